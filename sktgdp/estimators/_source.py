"""The source model of a transfer: trained here, or frozen and taken as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from sktgdp.estimators._domains import Domains, Floats, InputForm, check_domains
from sktgdp.estimators._labels import LabelPrior
from sktgdp.estimators.diffusion import DiffusionGenerator

__all__ = ["adopt_source", "prepare_source"]


def prepare_source(
    source_model: Any, domains: Domains, *, seed: int, n_rows: int = 10_000, **shared: Any
) -> tuple[DiffusionGenerator, Domains, bool]:
    """Give a fitted source model and source rows, whatever of the two the user has.

    Parameters
    ----------
    source_model : DiffusionGenerator, FrozenEstimator of a fitted one, or None
        Unfitted models are cloned and fitted on the source rows; frozen ones are used as they are.
    domains : Domains
        Without source rows they are drawn from the frozen model (source-free transfer).
    seed : int
    n_rows : int
        Source rows to draw where there are none.
    **shared
        Parameters of a default source model.

    Returns
    -------
    model, domains, trained
        ``trained`` tells whether the model was fitted here.
    """
    frozen = frozen_model(source_model)
    if frozen is not None:
        if domains.X_src is None:
            X_src, y_src = frozen.sample(n_rows, random_state=seed)
            domains = domains._replace(X_src=X_src, y_src=None if domains.y_tgt is None else y_src)
        check_domains(domains)
        return frozen, domains, False
    if domains.X_src is None:
        raise ValueError(
            "X_src is None. Give source rows, or a trained source model to draw them from: "
            "source_model=FrozenEstimator(fitted_diffusion_generator)."
        )
    check_domains(domains)
    given = source_model is not None
    model = clone(source_model) if given else DiffusionGenerator(random_state=seed, **shared)
    return model.fit(domains.X_src, domains.y_src), domains, True


def frozen_model(source_model: Any) -> DiffusionGenerator | None:
    """Check the parameter ``source_model``; the model inside if it is frozen, else None."""
    frozen = isinstance(source_model, FrozenEstimator)
    model = source_model.estimator if frozen else source_model
    if model is not None and not isinstance(model, DiffusionGenerator):
        raise TypeError(
            "source_model must be None, a DiffusionGenerator, or FrozenEstimator(fitted DiffusionGenerator); "
            f"got {type(model).__name__}."
        )
    if not frozen:
        return None
    check_is_fitted(model)
    return model


def adopt_source(
    target: Any, source: DiffusionGenerator, X_tgt: Any, rows: Floats, labels: NDArray[Any] | None
) -> NDArray[np.float32] | None:
    """Take over the source model's units and label code; encode the target's labels with it."""
    if rows.shape[1:] != source.form_.event_shape:
        raise ValueError(
            f"X_tgt has rows of shape {rows.shape[1:]}, but source_model was fitted on "
            f"{source.form_.event_shape}."
        )
    known = list(getattr(source, "feature_names_in_", []))
    if known and known != list(getattr(X_tgt, "columns", known)):
        raise ValueError(
            f"X_tgt must have the columns that source_model was fitted on, in the same order: expected "
            f"{known}, got {list(X_tgt.columns)}."
        )
    if labels is None and source.labels_.kind != "none":
        raise ValueError("source_model was fitted with labels; give y_src and y_tgt too.")
    target.source_model_ = source
    target.process_ = source.process_
    target.transformer_ = source.transformer_
    target.labels_, target.classes_ = source.labels_, source.classes_
    target.form_ = InputForm.of(X_tgt, rows)
    target.device_ = source.device_
    codes = None if labels is None else source.labels_.encode(labels, "y_tgt")
    target.prior_ = None if codes is None else LabelPrior.of(codes)
    return codes
