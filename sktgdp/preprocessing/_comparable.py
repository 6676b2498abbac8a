"""Columns of several samples side by side: frames, arrays and series in one form that can be compared."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sktgdp._arrays import refuse_hidden
from sktgdp.preprocessing._mixed import is_frame

__all__ = ["ComparableColumn", "comparable_columns"]

Kind = Literal["number", "time", "category"]

MAX_TIMES = 64  # points of a series whose values stand for its channel: neighbours say the same again
SECONDS_PER_DAY = 86_400.0
MOST_EXACT = 2.0**53  # up to here a float64 tells all integers apart


@dataclass(frozen=True)
class ComparableColumn:
    """One column of every sample.

    Attributes
    ----------
    name : str
    kind : {"number", "time", "category"}
        Times are in days since 1970, and durations are numbers of days.
    values : tuple of ndarray
        One vector per sample: float64 with NaN where a value is missing, or str (of dtype object) with None.
    """

    name: str
    kind: Kind
    values: tuple[NDArray[Any], ...]

    @property
    def missing(self) -> tuple[NDArray[np.bool_], ...]:
        """Where each sample misses a value."""
        if self.kind == "category":
            return tuple(np.array([value is None for value in values], dtype=bool) for values in self.values)
        return tuple(np.isnan(values) for values in self.values)

    def present(self) -> tuple[NDArray[Any], ...]:
        """The values of each sample that are not missing."""
        return tuple(values[~gone] for values, gone in zip(self.values, self.missing, strict=True))


def comparable_columns(samples: Sequence[Any], names: Sequence[str]) -> list[ComparableColumn]:
    """Take samples of the same columns apart.

    Parameters
    ----------
    samples : sequence of DataFrame or array-like of shape (n, d) or (n, channels, length)
        Columns of frames are found by name, in the order of the first frame; those of arrays by position.
        The kind of a column is that of the first sample. Each channel of a series is a column that holds its
        values at up to 64 times.
    names : sequence of str
        Names of the samples, for messages.

    Raises
    ------
    ValueError
        If the samples differ in their columns, or hold no rows or no columns.
    TypeError
        If a column of numbers or times holds something else in another sample.
    """
    for sample, name in zip(samples, names, strict=True):
        refuse_hidden(sample, name)
    tables = [sample if is_frame(sample) else np.asarray(sample) for sample in samples]
    for table, name in zip(tables, names, strict=True):
        if len(table.shape) not in (2, 3) or 0 in table.shape:
            raise ValueError(
                f"{name} must be a frame or an array of shape (n, d) or (n, channels, length), with at least "
                f"one row and one column; got shape {tuple(table.shape)}."
            )
    labels = _common_labels(tables, names)
    columns = []
    for position, label in enumerate(labels):
        parts = [_column(table, label, position) for table in tables]
        columns.append(_comparable(label, parts, names))
    return columns


def _common_labels(tables: Sequence[Any], names: Sequence[str]) -> list[Hashable]:
    """Labels of the columns, the same in all samples."""
    framed = [i for i, table in enumerate(tables) if is_frame(table)]
    first = framed[0] if framed else 0
    for i, table in enumerate(tables):
        if table.shape[1:] != tables[first].shape[1:]:
            raise ValueError(
                f"{names[first]} and {names[i]} must have the same columns; got rows of shape "
                f"{tuple(tables[first].shape[1:])} and {tuple(table.shape[1:])}."
            )
    for i in framed:
        labels, others = list(tables[first].columns), list(tables[i].columns)
        if len(set(others)) < len(others):
            twice = sorted({str(label) for label in others if others.count(label) > 1})
            raise ValueError(f"{names[i]} has several columns of one name: {twice}. Rename them.")
        if set(labels) != set(others):
            lacking = [label for label in labels if label not in others][:5]
            more = [label for label in others if label not in labels][:5]
            raise ValueError(
                f"{names[i]} must have the columns of {names[first]}; it lacks {lacking} and has {more} more."
            )
    if framed:
        return list(tables[first].columns)
    prefix = "channel " if tables[0].ndim == 3 else "x"
    return [f"{prefix}{j}" for j in range(tables[0].shape[1])]


def _column(table: Any, label: Hashable, position: int) -> Any:
    """Values of one column as a Series or a vector."""
    if is_frame(table):
        return table[label]
    if table.ndim == 2:
        return table[:, position]
    times = np.unique(np.linspace(0, table.shape[2] - 1, MAX_TIMES).round().astype(np.intp))
    return table[:, position, times].ravel()


def _kind(column: Any) -> str:
    """Letter of numpy's kinds that says how a column is read: f numbers, M times, m durations, O the rest."""
    dtype = column.dtype
    if getattr(dtype, "tz", None) is not None:
        return "M"
    kind = str(getattr(dtype, "kind", "O"))
    if kind in "iuf":
        return "f"
    if kind in "mM":
        return kind
    return "f" if str(dtype) == "object" and _holds_numbers(column) else "O"


def _holds_numbers(column: Any) -> bool:
    """Whether the objects that are not missing are all numbers, and there are some."""
    found = {type(value) for value in column if value is not None and value == value}
    return bool(found) and all(issubclass(kind, Real) and not issubclass(kind, bool) for kind in found)


def _comparable(label: Hashable, parts: Sequence[Any], names: Sequence[str]) -> ComparableColumn:
    kind = _kind(parts[0])
    if kind == "f" and any(getattr(part.dtype, "kind", "O") == "b" for part in parts):
        kind = "O"
    if kind == "O":
        return ComparableColumn(str(label), "category", tuple(_as_text(part) for part in parts))
    numbers = []
    for part, name in zip(parts, names, strict=True):
        try:
            numbers.append(_as_floats(part, kind))
        except (TypeError, ValueError) as error:
            what = {"f": "numbers", "M": "times", "m": "durations"}[kind]
            raise TypeError(
                f"Column {label!r} holds {what} in {names[0]}, but not in {name}: {error}. Convert it first."
            ) from error
        _refuse_lost(part, numbers[-1], label, name)
    name = f"{label} (days)" if kind == "m" else str(label)
    return ComparableColumn(name, "time" if kind == "M" else "number", tuple(numbers))


def _as_floats(column: Any, kind: str) -> NDArray[np.float64]:
    """Numbers as float64; times and durations in days."""
    if kind in "mM":
        if kind == "M" and _kind(column) == "O":
            import pandas as pd

            column = pd.to_datetime(column)
        if getattr(column.dtype, "tz", None) is not None:
            column = column.dt.tz_convert(None)
        stamps = np.asarray(column).astype("M8[us]" if kind == "M" else "m8[us]")
        days = stamps.astype(np.int64) / (1e6 * SECONDS_PER_DAY)
        return np.where(np.isnat(stamps), np.nan, days)
    nullable = hasattr(column, "to_numpy") and hasattr(column.dtype, "numpy_dtype")
    return column.to_numpy(np.float64, na_value=np.nan) if nullable else np.asarray(column, np.float64)


def _refuse_lost(column: Any, values: NDArray[np.float64], label: Hashable, name: str) -> None:
    """Refuse infinities, and integers of which some are equal as float64."""
    if np.isinf(values).any():
        raise ValueError(f"Column {label!r} of {name} holds infinite values. Replace them, or drop the rows.")
    present = values[~np.isnan(values)]
    if np.abs(present).max(initial=0.0) < MOST_EXACT or _kind(column) != "f":
        return
    if len(np.unique(present)) < len(set(np.asarray(column, dtype=object)[~np.isnan(values)].tolist())):
        raise ValueError(
            f"Column {label!r} of {name} holds integers beyond 2**53 that are equal as floating-point "
            "numbers. Subtract a constant from all samples, or give them as text if they are names."
        )


def _as_text(column: Any) -> NDArray[np.object_]:
    """Categories as text, None where missing."""
    missing = column.isna().to_numpy() if hasattr(column, "isna") else _absent(column)
    values = np.asarray(column, dtype=object)
    texts = np.empty(len(values), dtype=object)
    texts[:] = [None if gone else _text(value) for value, gone in zip(values, missing, strict=True)]
    return texts


def _absent(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an array of objects holds None or NaN."""
    return np.array([value is None or value != value for value in column], dtype=bool)


def _text(value: Any) -> str:
    """Text of a category; a whole float is written as an integer, as another file may have it."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
