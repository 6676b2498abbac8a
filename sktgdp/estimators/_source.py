"""The source model of a transfer: trained here, or frozen and taken as it is."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from sktgdp.estimators._domains import Domains, Floats, InputForm, check_domains, check_rows, rows_as_fitted
from sktgdp.estimators._labels import LabelPrior, check_labels
from sktgdp.estimators._support import remember_rows
from sktgdp.estimators._units import fit_units, to_units
from sktgdp.estimators.diffusion import DiffusionGenerator
from sktgdp.preprocessing import MixedTypeEncoder

__all__ = ["SHARED_WITH_SOURCE", "adopt_source", "prepare_source", "source_alone"]


# Parameters that a source model takes over where it is made here.
SHARED_WITH_SOURCE = ("memory", "device", "verbose", "compile", "precision")


def prepare_source(
    source_model: Any, domains: Domains, *, seed: int, n_rows: int = 10_000, **shared: Any
) -> tuple[DiffusionGenerator, Domains, bool]:
    """Give a fitted source model and source rows, whatever of the two the user has.

    Parameters
    ----------
    source_model : DiffusionGenerator, FrozenEstimator of a fitted one, or None
        Unfitted models are cloned and fitted on the source rows; frozen ones are used as they are. A clone
        without a seed or a memory of its own takes those given here.
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
    if domains.X_src is None or (frozen is not None and _num_samples(domains.X_src) == 0):
        if frozen is None:
            raise ValueError(
                "X_src is None. Give source rows, or a trained source model to draw them from: "
                "source_model=FrozenEstimator(fitted_diffusion_generator)."
            )
        X_src, y_src = frozen.sample(n_rows, random_state=seed)
        domains = domains._replace(X_src=X_src, y_src=None if domains.y_tgt is None else y_src)
    source, _, target, _ = check_domains(domains)
    if frozen is not None:
        return frozen, domains, False
    model = unfitted_source(source_model, seed, **shared)
    # what is wrong with a column of the target is to be said before the source is trained
    transformer, _ = fit_units(model.transformer, source, "X_src")
    to_units(transformer, target, "X_tgt")
    return model.fit(domains.X_src, domains.y_src), domains, True


def unfitted_source(source_model: Any, seed: int, **shared: Any) -> DiffusionGenerator:
    """A source model to be fitted: the default one, or a clone with what it lacks of seed and memory."""
    model = DiffusionGenerator(**shared) if source_model is None else clone(source_model)
    inherited = {"random_state": seed, "memory": shared.get("memory")}
    params = model.get_params(deep=False)
    return model.set_params(**{name: value for name, value in inherited.items() if params[name] is None})


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
    target: Any, source: DiffusionGenerator, X_tgt: Any, labels: NDArray[Any] | None
) -> tuple[Floats, NDArray[np.float32] | None]:
    """Take over the source model's units and label code; the target's rows and labels in them."""
    rows = rows_as_fitted(X_tgt, source.form_, "X_tgt")
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
    target.process_, target.device_ = source.process_, source.device_
    target.transformer_, target.latent_shape_ = source.transformer_, source.latent_shape_
    z = to_units(source.transformer_, rows, "X_tgt")
    remember_rows(target, z, source)
    if isinstance(source.transformer_, MixedTypeEncoder):  # it keeps rows inside the ranges that it knows
        target.transformer_ = source.transformer_.widened(rows)
    target.labels_, target.classes_ = source.labels_, source.classes_
    target.form_ = InputForm.of(X_tgt, rows).along_with(source.form_)
    codes = None if labels is None else source.labels_.encode(labels, "y_tgt")
    target.prior_ = None if codes is None else LabelPrior.of(codes)
    return z, codes


def source_alone(target: Any, domains: Domains, *, seed: int, **shared: Any) -> DiffusionGenerator:
    """Let a generator without target rows stand for its source model, with a warning."""
    X, y, _, y_tgt = domains
    kind = type(target).__name__
    if X is None or y_tgt is not None:
        raise ValueError("X_tgt is None. Give target rows, or stacked rows and their sample_domain.")
    check_rows(X, "X_src", min_rows=2)
    validate_data(target, X, skip_check_array=True)
    frozen = frozen_model(target.source_model)
    source = unfitted_source(target.source_model, seed, **shared).fit(X, y) if frozen is None else frozen
    warnings.warn(
        f"{kind}.fit got no target rows, so it samples the source. Give X_tgt, or stacked rows with "
        "sample_domain, where negative numbers mark the target.",
        UserWarning,
        stacklevel=3,
    )
    adopt_source(target, source, X, None if y is None else check_labels(y, X, "y_src"))
    return source
