"""The source model of a transfer: trained here, or frozen and taken as it is."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import _num_samples, check_is_fitted, validate_data

from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._rows.adoption import adopt
from sktgdp.estimators._rows.domains import Domains, Units, check_domains, check_rows
from sktgdp.estimators._rows.labels import LabelCode, check_labels
from sktgdp.estimators._rows.units import fit_transformer, to_units
from sktgdp.estimators._state.checkpoint import FitCheckpoint
from sktgdp.estimators._training.devices import resolve_device, same_device
from sktgdp.estimators.diffusion import DiffusionGenerator

__all__ = ["SHARED_WITH_SOURCE", "adopt_source", "prepare_source", "source_alone"]


# Source rows to draw where there are none.
N_DRAWN = 10_000
# Parameters that a source model takes over where it is made here.
SHARED_WITH_SOURCE = ("memory", "device", "verbose", "compile", "precision")


def prepare_source(
    source_model: Any, domains: Domains, *, seed: int, checkpoint: FitCheckpoint,
    before_training: Callable[[tuple[int, ...], int], None] = lambda event_shape, n_labels: None,
    **shared: Any,
) -> tuple[DiffusionGenerator, Domains, bool]:  # fmt: skip
    """Give a fitted source model and source rows, whatever of the two the user has.

    Parameters
    ----------
    source_model : DiffusionGenerator, FrozenEstimator of a fitted one, or None
        Unfitted models are cloned and fitted on the source rows; frozen ones are used as they are. A clone
        without a seed, a memory or a device of its own takes those given here.
    domains : Domains
        Without source rows they are drawn from the frozen model (source-free transfer).
    seed, checkpoint
        Of the source model's part of the fit.
    before_training : callable
        Called with the shape of a row in the source model's units and the number of labels.
    **shared
        Parameters of a default source model.

    Returns
    -------
    model, domains, trained
        Domains with checked labels; ``trained`` tells whether the model was fitted here.
    """
    frozen = frozen_model(source_model, shared["device"])
    domains = _with_source_rows(frozen, domains, seed)
    source, y_source, target, y_target = check_domains(domains)
    domains = domains._replace(y_src=y_source, y_tgt=y_target)
    if frozen is not None:
        before_training(frozen.latent_shape_, frozen.labels_.n_labels)
        return frozen, domains, False
    model = unfitted_source(source_model, seed, **shared)
    _warn_if_swapped(len(source), len(target))
    transformer = fit_transformer(model.transformer, source, "X_src")
    z_target = to_units(transformer, target, "X_tgt")  # what is wrong with a column is to be said now
    before_training(z_target.shape[1:], LabelCode(y_source).n_labels)
    model.fit(domains.X_src, domains.y_src, checkpoint=checkpoint)
    return on_device(model, shared["device"]), domains, True


def _warn_if_swapped(n_source: int, n_target: int) -> None:
    if n_target > n_source:
        warnings.warn(
            f"X_tgt has {n_target:,} rows, and X_src {n_source:,}: the source is to be the domain with many "
            "rows, the target the one with few, whose rows are drawn. Are they swapped? If not, a "
            "DiffusionGenerator fitted on the target alone may do as well.",
            UserWarning,
            stacklevel=level_of_user(),
        )


def _with_source_rows(frozen: DiffusionGenerator | None, domains: Domains, seed: int) -> Domains:
    """Draw source rows from a frozen model where there are none (source-free transfer)."""
    if domains.X_src is not None and (frozen is None or _num_samples(domains.X_src) > 0):
        return domains
    if frozen is None:
        raise ValueError(
            "X_src is None. Give source rows, or a trained source model to draw them from: "
            "source_model=FrozenEstimator(fitted_diffusion_generator)."
        )
    X_src, y_src = frozen.sample(N_DRAWN, random_state=seed)
    return domains._replace(X_src=X_src, y_src=None if domains.y_tgt is None else y_src)


def unfitted_source(source_model: Any, seed: int, **shared: Any) -> DiffusionGenerator:
    """A source model to be fitted: the default one, or a clone with what it lacks of seed, memory, device."""
    resolve_device(shared["device"])  # one that is not there is refused before the training
    if source_model is None:
        return DiffusionGenerator(**shared, random_state=seed)
    model = clone(source_model)
    inherited = {"random_state": seed, "memory": shared["memory"], "device": shared["device"]}
    lacks = {"random_state": None, "memory": None, "device": "auto"}
    params = model.get_params(deep=False)
    return model.set_params(
        **{name: value for name, value in inherited.items() if params[name] == lacks[name]}
    )


def on_device(model: DiffusionGenerator, device: str) -> DiffusionGenerator:
    """The model itself where it lies on the device or the device is "auto", else a copy of it there."""
    if device == "auto" or same_device(model.device_, resolve_device(device)):
        return model
    return moved(model, resolve_device(device))


def moved(model: DiffusionGenerator, device: torch.device) -> DiffusionGenerator:
    """A copy of a fitted model whose network lies on another device."""
    there = copy.copy(model)
    there.network_, there.device_ = copy.deepcopy(model.network_).to(device), device
    return there


def frozen_model(source_model: Any, device: str) -> DiffusionGenerator | None:
    """Check the parameter ``source_model``; the model inside if it is frozen, on the device, else None."""
    if source_model is None:
        return None
    frozen = isinstance(source_model, FrozenEstimator)
    model = source_model.estimator if frozen else source_model
    if not isinstance(model, DiffusionGenerator):
        raise TypeError(
            "source_model must be None, a DiffusionGenerator, or FrozenEstimator(fitted DiffusionGenerator); "
            f"got {type(model).__name__}."
        )
    if not frozen:
        return None
    check_is_fitted(model)
    return on_device(model, device)


def adopt_source(
    target: Any, source: DiffusionGenerator, X_tgt: Any, labels: NDArray[Any] | None
) -> tuple[Units, NDArray[np.float32] | None]:
    """Take over the source model's units and label code; the target's rows and labels in them."""
    target.source_model_ = source
    names = ("X_tgt", "y_tgt", "source_model")
    return adopt(target, source, X_tgt, labels, names=names, all_labels="y_src and y_tgt")


def source_alone(
    target: Any, domains: Domains, *, seed: int, checkpoint: FitCheckpoint, **shared: Any
) -> DiffusionGenerator:
    """Let a generator without target rows stand for its source model, with a warning."""
    X, y, _, y_tgt = domains
    kind = type(target).__name__
    if X is None or y_tgt is not None:
        raise ValueError("X_tgt is None. Give target rows, or stacked rows and their sample_domain.")
    check_rows(X, "X_src", min_rows=2)
    validate_data(target, X, skip_check_array=True)
    source = frozen_model(target.source_model, shared["device"])
    if source is None:
        model = unfitted_source(target.source_model, seed, **shared)
        source = on_device(model.fit(X, y, checkpoint=checkpoint), shared["device"])
    warnings.warn(
        f"{kind}.fit got no target rows, so it samples the source. Give X_tgt, or stacked rows with "
        "sample_domain, where negative numbers mark the target.",
        UserWarning,
        stacklevel=3,
    )
    adopt_source(target, source, X, None if y is None else check_labels(y, X, "y_src"))
    target._diagnostics = dict(getattr(source, "_diagnostics", {}))  # models of older versions have none
    return source
