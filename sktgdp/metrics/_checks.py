"""Checks of arguments shared by the metrics: every message names the argument and the way out."""

from __future__ import annotations

from math import isfinite
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from sktgdp._arrays import refuse_times

__all__ = [
    "Floats",
    "check_count",
    "check_finite",
    "check_fraction",
    "check_pair",
    "check_rows",
    "column_names",
    "to_floats",
]

Floats = NDArray[np.float64]


def to_floats(values: Any, name: str) -> Floats:
    """Array of float64 of any rank, or an error that names the argument; NaN passes."""
    refuse_times(values, name)
    try:
        return check_array(
            values,
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=0,
            ensure_min_features=0,
            input_name=name,
        )
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{name} must be a dense numeric array: {error}. Encode categories as numbers and give all "
            f"rows one shape first."
        ) from error


def column_names(values: Any, n_columns: int) -> list[str]:
    """Names of the columns for messages: those of a frame, or their positions."""
    columns = getattr(values, "columns", None)
    return [repr(column) for column in (range(n_columns) if columns is None else columns)]


def check_finite(array: Floats, values: Any, name: str) -> None:
    """Refuse NaN and infinity, naming a column that is missing throughout where there is one."""
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    flat = bad.reshape(len(array), -1)
    names = column_names(values, flat.shape[1])
    empty = [names[j] for j in np.flatnonzero(flat.all(axis=0))[:5]]
    hint = f" Column {', '.join(empty)} holds no finite value at all: drop it." if empty else ""
    raise ValueError(
        f"{name} contains NaN or infinity in {flat.any(axis=1).sum()} of {len(flat)} rows (the first is row "
        f"{flat.any(axis=1).argmax()}). Impute or drop them before scoring.{hint}"
    )


def check_rows(values: Any, name: str, *, min_rows: int = 1, reason: str = "the score") -> Floats:
    """Finite rows in the shape they came in.

    Parameters
    ----------
    values : array-like of shape (n_samples, n_features) or (n_samples, channels, length)
    name : str
        Name of the argument, for messages.
    min_rows : int
        Fewest rows that are accepted.
    reason : str
        What needs so many rows, for the message.

    Returns
    -------
    ndarray of float64, of the shape of ``values``
    """
    array = to_floats(values, name)
    if array.ndim < 2:
        raise ValueError(
            f"{name} must have shape (n_samples, n_features) or (n_samples, channels, length), got "
            f"{array.shape}. Reshape a single feature with {name}.reshape(-1, 1)."
        )
    if len(array) < min_rows:
        raise ValueError(f"{name} has {len(array)} rows, but {reason} needs at least {min_rows}.")
    if 0 in array.shape[1:]:
        raise ValueError(f"{name} has no features (shape {array.shape}). Give at least one column.")
    check_finite(array, values, name)
    return array


def check_pair(
    X_real: ArrayLike,
    X_syn: ArrayLike,
    *,
    names: tuple[str, str] = ("X_real", "X_syn"),
    min_rows: tuple[int, int] = (1, 1),
    reason: str = "the score",
) -> tuple[Floats, Floats]:
    """Two samples with rows of one shape, flattened to (n_samples, n_features).

    Frames must hold the same columns in the same order; series are flattened over channels and time.
    """
    real = check_rows(X_real, names[0], min_rows=min_rows[0], reason=reason)
    syn = check_rows(X_syn, names[1], min_rows=min_rows[1], reason=reason)
    if real.shape[1:] != syn.shape[1:]:
        raise ValueError(
            f"{names[0]} and {names[1]} must hold rows of the same shape, got {real.shape[1:]} and "
            f"{syn.shape[1:]}. Give both the same columns (channels, length)."
        )
    columns = [getattr(values, "columns", None) for values in (X_real, X_syn)]
    if columns[0] is not None and columns[1] is not None and list(columns[0]) != list(columns[1]):
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same columns in the same order, got "
            f"{list(columns[0])[:8]} and {list(columns[1])[:8]}. Reorder with {names[1]}[{names[0]}.columns]."
        )
    return real.reshape(len(real), -1), syn.reshape(len(syn), -1)


def check_count(value: Any, name: str, *, minimum: int = 1) -> int:
    """A whole number of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}, got {value!r}.")
    return int(value)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite real number, and not a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False


def check_fraction(value: Any, name: str) -> float:
    """A number strictly between 0 and 1."""
    if not is_number(value) or not 0 < value < 1:
        raise ValueError(f"{name} must be a number strictly between 0 and 1, got {value!r}.")
    return float(value)
