"""Transformers of the user's own: what they must do is tried before anything is trained."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._rows.domains import InputForm

__all__ = ["check_units", "log_abs_det_jacobian", "try_way_back"]

N_TRIED = 8  # rows
# What lossy ways back may do: so many of the numbers within so many standard deviations.
SAME_SHARE, FAR = 0.8, 0.3

Floats = NDArray[np.float64]


def check_units(values: Any, transformer: Any, n_rows: int) -> Floats:
    """Check what a transformer made of rows: an array of numbers, one row for each."""
    name = f"{type(transformer).__name__}.transform"
    if issparse(values):
        raise TypeError(
            f"{name} gives a sparse matrix, but networks need arrays of numbers. Let it give dense ones, as "
            "OneHotEncoder does with sparse_output=False, or use transformer='auto'."
        )
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must give an array of numbers; got {type(values).__name__}: {error}"
        ) from error
    if numbers.ndim not in (2, 3) or len(numbers) != n_rows or 0 in numbers.shape:
        raise ValueError(
            f"{name} gives shape {numbers.shape} for {n_rows} rows; expected ({n_rows}, d), or ({n_rows}, "
            "channels, length). A transformer keeps the number of rows: leave rows out before the fit."
        )
    return numbers


def try_way_back(transformer: Any, z: NDArray[Any], form: InputForm) -> None:
    """Take a few transformed rows back, as samples will be.

    Parameters
    ----------
    transformer : transformer
        Fitted.
    z : ndarray of shape (n, ...)
        Rows in its units.
    form : InputForm
        Of the rows as the user gave them.
    """
    some = z[:N_TRIED].astype(np.float64)
    name = f"{type(transformer).__name__}.inverse_transform"
    try:
        rows = transformer.inverse_transform(some)
    except Exception as error:
        raise ValueError(
            f"{name} fails on rows that transform gave, so that no samples would come back: "
            f"{type(error).__name__}: {error}"
        ) from error
    expected = (len(some), *form.event_shape)
    if issparse(rows) or np.shape(rows) != expected:
        kind = "sparse matrix" if issparse(rows) else type(rows).__name__
        raise ValueError(
            f"{name} gives a {kind} of shape {np.shape(rows)} for {len(some)} rows that transform gave; "
            f"expected an array or a frame of shape {expected}, as the rows of the fit."
        )
    kind = "O" if hasattr(rows, "iloc") else np.asarray(rows).dtype.kind
    if kind == "f" and not np.isfinite(rows).all():
        raise ValueError(f"{name} gives NaN or infinity for rows that transform gave.")
    _warn_of_another_way(transformer, rows, z)
    if form.columns is None and kind not in "fiub":
        raise ValueError(
            f"{name} gives {type(rows).__name__} that holds no plain numbers; expected an array of numbers, "
            "as the rows of the fit. For columns of several types give frames."
        )


def _warn_of_another_way(transformer: Any, rows: Any, z: NDArray[Any]) -> None:
    """Warn where rows that were taken back do not come out as they were: samples would be in other units."""
    expected = z[: len(rows)].astype(np.float64)
    try:
        with np.errstate(all="ignore"):
            again = np.asarray(transformer.transform(rows), dtype=np.float64)
    except (TypeError, ValueError):
        again = np.full_like(expected, np.nan)
    spread = np.where(z.std(axis=0) > 0.0, z.std(axis=0), 1.0)
    if again.shape != expected.shape or not (np.abs(again - expected) < FAR * spread).mean() > SAME_SHARE:
        warnings.warn(
            f"{type(transformer).__name__}.inverse_transform is not the way back of transform: rows that "
            "went there and back come out as others. Samples are what inverse_transform makes of them.",
            UserWarning,
            stacklevel=level_of_user(),
        )


def log_abs_det_jacobian(transformer: Any, event_shape: tuple[int, ...]) -> float:
    """Logarithm of ``|det dz/dx|`` by a fitted transformer's own word, or of scikit-learn's scalers.

    Parameters
    ----------
    transformer : transformer
    event_shape : tuple of int
        Of a row as the user gave it.
    """
    if hasattr(transformer, "log_abs_det_jacobian"):
        return float(transformer.log_abs_det_jacobian(event_shape))
    if isinstance(transformer, Pipeline):
        steps = [step for _, step in transformer.steps if step not in (None, "passthrough")]
        return sum(log_abs_det_jacobian(step, event_shape) for step in steps)
    clips = getattr(transformer, "clip", False)  # rows outside the range would all become its ends
    kind = type(transformer)  # a subclass may do something else
    if kind is MinMaxScaler and not clips:
        return float(np.log(transformer.scale_).sum())
    if kind in (StandardScaler, RobustScaler, MaxAbsScaler) and not clips:
        return 0.0 if transformer.scale_ is None else -float(np.log(transformer.scale_).sum())
    raise TypeError(
        f"Densities in your own units need the Jacobian of the transformer, and {type(transformer).__name__} "
        "does not tell it. Give it a method log_abs_det_jacobian(event_shape), the logarithm of |det dz/dx| "
        "for one row; or use transformer='auto', or a StandardScaler, MinMaxScaler, RobustScaler or "
        "MaxAbsScaler without clipping."
    )
