"""Rows of several samples as matrices of reals, in the units of the first sample, to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp._arrays import refuse_hidden, refuse_times
from sktgdp.preprocessing._comparable import ComparableColumn, comparable_columns

__all__ = ["EncodedSamples", "encode_features", "encode_together"]

Floats = NDArray[np.float64]

MAX_CATEGORIES = 50  # of one column; rarer ones are taken together
MOST_DEVIATIONS = 1e30  # beyond, trees and squares run over
LEAST_DEVIATION = 0.1  # of marks of missing values, so that one missing value is no outlier of ten deviations


@dataclass(frozen=True)
class EncodedSamples:
    """Samples of the same columns as matrices.

    Attributes
    ----------
    rows : tuple of ndarray of shape (n_i, k)
        Numbers less the mean over the standard deviation of the first sample, categories as centred
        indicators whose variances add up to 1, so that all columns count alike; a further mark where values
        are missing.
        Series are flattened, each channel in its own unit.
    columns : list of ComparableColumn
        What was encoded; of series the channels.
    series : bool
    """

    rows: tuple[Floats, ...]
    columns: list[ComparableColumn]
    series: bool

    @property
    def all_numbers(self) -> bool:
        """Whether each column is one number without missing values."""
        numbers = all(column.kind == "number" for column in self.columns)
        return numbers and not self.series and self.rows[0].shape[1] == len(self.columns)

    def number(self, feature: Hashable) -> ComparableColumn:
        """Column of numbers of this name or at this position."""
        by_name = {column.name: column for column in self.columns}
        if self.series:
            raise ValueError("features are columns of tables, but these rows are series.")
        column = by_name.get(str(feature))
        if column is None and isinstance(feature, int) and -len(self.columns) <= feature < len(self.columns):
            column = self.columns[feature]
        if column is None or column.kind != "number":
            numbers = [name for name, each in by_name.items() if each.kind == "number"]
            raise ValueError(f"{feature!r} is no column of numbers; those there are: {numbers[:20]}.")
        return column


def encode_together(samples: Sequence[Any], names: Sequence[str]) -> EncodedSamples:
    """Encode samples in the units of the first.

    Parameters
    ----------
    samples : sequence of DataFrame or array-like of shape (n, d) or (n, channels, length)
    names : sequence of str
        For messages.

    Raises
    ------
    ValueError, TypeError
        As in `comparable_columns`; and for series with missing values.
    """
    columns = comparable_columns(samples, names)
    if np.ndim(samples[0]) == 3:
        return EncodedSamples(_encode_series(samples, names), columns, series=True)
    blocks = [_encode_category(c) if c.kind == "category" else _encode_number(c) for c in columns]
    rows = tuple(np.concatenate([block[k] for block in blocks], axis=1) for k in range(len(samples)))
    return EncodedSamples(rows, columns, series=False)


def encode_features(
    samples: Sequence[Any], names: Sequence[str], features: Callable[[Any], Any] | None
) -> tuple[Floats, ...]:
    """The user's features of each sample, in standard deviations of the first; else as `encode_together`.

    Raises
    ------
    ValueError, TypeError
        If they are not finite real numbers, one row for each row and as many for every sample.
    """
    if features is None:
        return encode_together(samples, names).rows
    found: list[Floats] = []
    for X, name in zip(samples, names, strict=True):
        refuse_hidden(X, name)
        matrix = features(X)
        refuse_times(matrix, f"features({name})")
        found.append(np.asarray(matrix, dtype=np.float64))
        if found[-1].ndim != 2 or len(found[-1]) != len(X) or not np.isfinite(found[-1]).all():
            raise ValueError(
                f"features must turn {len(X)} rows into a finite array of shape ({len(X)}, k); got shape "
                f"{found[-1].shape}."
            )
        if found[-1].shape[1] != found[0].shape[1]:
            raise ValueError(
                f"features must give as many columns for {name} as for {names[0]}; got "
                f"{found[-1].shape[1]} and {found[0].shape[1]}."
            )
    _, scale = _moments(found[0], (0,))
    scale[scale == 0.0] = 1.0
    pairs = zip(found, names, strict=True)
    return tuple(_in_deviations(matrix, 0.0, scale, f"A feature of {name}") for matrix, name in pairs)


def _moments(values: Floats, axes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Mean and standard deviation, in a unit of each part in which squares are safe."""
    exponent = np.frexp(np.abs(values).max(axis=axes, keepdims=True))[1]
    unit = np.ldexp(values, -exponent)
    parts = (part(unit, axis=axes, keepdims=True) for part in (np.mean, np.std))
    mean, deviation = (np.ldexp(part, exponent) for part in parts)
    return mean, deviation


def _in_deviations(values: Floats, mean: Any, scale: Any, what: str) -> Floats:
    """Distances from the mean in standard deviations, refused where their squares are no use to anybody."""
    with np.errstate(over="ignore"):
        found: Floats = (values - mean) / scale
    if np.nanmax(np.abs(found), initial=0.0) > MOST_DEVIATIONS:
        raise ValueError(
            f"{what} lies more than {MOST_DEVIATIONS:g} standard deviations from the mean of the first "
            "sample: too far to be compared. Drop such rows."
        )
    return found


def _encode_series(samples: Sequence[Any], names: Sequence[str]) -> tuple[Floats, ...]:
    series = [np.asarray(sample, dtype=np.float64) for sample in samples]
    for array, name in zip(series, names, strict=True):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; series must be complete. Fill or cut the gaps.")
    mean, scale = _moments(series[0], (0, 2))
    scale[scale == 0.0] = 1.0
    return tuple(
        _in_deviations(array, mean, scale, f"A value of {name}").reshape(len(array), -1)
        for array, name in zip(series, names, strict=True)
    )


def _encode_number(column: ComparableColumn) -> list[Floats]:
    present = column.present()
    first = present[0] if len(present[0]) else np.zeros(1)
    everything = np.concatenate(present) if any(map(len, present)) else np.zeros(1)
    (mean,), (spread,) = _moments(first, (0,))
    scale = float(spread) or float(_moments(everything, (0,))[1][0]) or 1.0
    marked = any(gone.any() for gone in column.missing)
    blocks = []
    for values, gone in zip(column.values, column.missing, strict=True):
        numbers = _in_deviations(np.where(gone, mean, values), mean, scale, f"Column {column.name!r}")
        blocks.append(np.stack([numbers, gone.astype(float)] if marked else [numbers], axis=1))
    if marked:
        share = blocks[0][:, 1].mean()
        deviation = max(float(np.sqrt(share * (1.0 - share))), LEAST_DEVIATION)
        for block in blocks:
            block[:, 1] = (block[:, 1] - share) / deviation
    return blocks


def _encode_category(column: ComparableColumn) -> list[Floats]:
    counts = Counter(value for values in column.values for value in values.tolist())
    known = Counter(column.values[0].tolist())
    order = sorted(counts, key=lambda value: (-known[value], -counts[value], str(value)))
    code = {value: min(k, MAX_CATEGORIES) for k, value in enumerate(order)}
    width = min(len(order), MAX_CATEGORIES + 1)
    codes = [np.array([code[value] for value in values.tolist()]) for values in column.values]
    shares = np.bincount(codes[0], minlength=width) / len(codes[0])
    deviation = max(float(np.sqrt(1.0 - np.square(shares).sum())), LEAST_DEVIATION)
    return [((part[:, None] == np.arange(width)) - shares) / deviation for part in codes]
