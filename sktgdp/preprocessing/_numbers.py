"""Columns of numbers, booleans and times, between the user's values and reals of unit variance."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from sktgdp.exceptions import ColumnError
from sktgdp.preprocessing._levels import Levels

__all__ = [
    "BooleanColumn",
    "IntegerColumn",
    "NumericColumn",
    "QuantileScaler",
    "TimeColumn",
    "missing_entries",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_STEPS = 2**53  # the integers that a float64 tells apart
MOST_DECIMALS = 6


def missing_entries(column: Any) -> Mask:
    """Where a Series or an array has NaN, None, NaT or pd.NA."""
    if hasattr(column, "isna"):
        mask: Mask = column.isna().to_numpy(dtype=bool)
        return mask
    return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)


def decimals_of(values: NDArray[Any]) -> int | None:
    """The fewest decimals that all values of a column can be written with; None where these are many."""
    exact = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        for decimals in range(MOST_DECIMALS + 1):
            if (np.round(exact, decimals).astype(values.dtype) == values).all():
                return decimals
    return None


def _plain_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of numpy beneath one of pandas."""
    if getattr(dtype, "tz", None) is not None:
        return np.dtype(f"datetime64[{dtype.unit}]")
    return np.dtype(getattr(dtype, "numpy_dtype", dtype))


def _plain_values(column: Any) -> NDArray[Any]:
    """Values of a column without missing entries as numpy has them; aware times become UTC."""
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert(None)
    return np.asarray(column, dtype=_plain_dtype(column.dtype))


class QuantileScaler:
    """Quantiles as those of a normal law of unit variance; past the fitted values in a straight line.

    The ends of n values stand for the quantiles 1/2n and 1 - 1/2n, so they lie no farther out than those of
    a normal sample do, and equal values for the middle of the quantiles that they take up. A value that lies
    outside keeps its place beyond the others, one unit of z for each standard deviation.
    """

    def fit(self, x: Floats) -> QuantileScaler:
        """Learn from a column, shape (n, 1)."""
        # quantiles are told apart down to 1e-7, hence in standard units first
        curve = QuantileTransformer(n_quantiles=min(len(x), 1000), subsample=None)
        self.line, self.curve, self.unit = _plain(StandardScaler()), _plain(curve), _plain(StandardScaler())
        u = self.line.fit_transform(x)
        self.curve.fit(u)
        self.margin = 0.5 / max(len(x), 2)
        self.u_ends = float(u.min()), float(u.max())
        # where the curve is flat at an end, for equal values, their middle
        low, high = (curve.references_[curve.quantiles_[:, 0] == end] for end in self.u_ends)
        self.p_ends = (low[0] + low[-1]) / 2.0, (high[0] + high[-1]) / 2.0
        self.unit.fit(self._quantiles(u))
        ends = ndtri([[self.margin], [1.0 - self.margin]])
        self.z_ends = tuple(self.unit.transform(ends)[:, 0].tolist())
        return self

    def _quantiles(self, u: Floats) -> Floats:
        """Standardised values inside the range to quantiles of the standard normal law."""
        p = self.curve.transform(u)
        p[u <= self.u_ends[0]], p[u >= self.u_ends[1]] = self.p_ends
        quantiles: Floats = ndtri(self.margin + (1.0 - 2.0 * self.margin) * p)
        return quantiles

    def transform(self, x: Floats) -> Floats:
        """Values to z, shape (n, 1)."""
        u = self.line.transform(x)
        inside = np.clip(u, *self.u_ends)
        z = self.unit.transform(self._quantiles(inside))
        z = np.where(u < inside, self.z_ends[0], np.where(u > inside, self.z_ends[1], z)) + (u - inside)
        return np.asarray(z)

    def inverse_transform(self, z: Floats) -> Floats:
        """And back."""
        inside = np.clip(z, *self.z_ends)
        p = (ndtr(self.unit.inverse_transform(inside)) - self.margin) / (1.0 - 2.0 * self.margin)
        u = self.curve.inverse_transform(np.clip(p, 0.0, 1.0)) + (z - inside)
        x: Floats = self.line.inverse_transform(u)
        return x


def _plain(scaler: Any) -> Any:
    """The scaler with arrays as its output, whatever the user's configuration is."""
    return scaler.set_output(transform="default")


class NumericColumn:
    """Real numbers, less their mean, scaled; where some are missing, a mark of those; and marks of levels.

    The base of all kinds whose values lie on a line: they differ in how values become numbers (`learn`,
    `encode`) and numbers become values (`decode`).
    """

    kind = "numeric"
    takes = "iufb"
    low: Any
    high: Any
    levels: Levels | None = None  # with numeric="levels", where the values are few
    decimals: int | None = None  # of fractions, where they are few

    def __init__(self, name: Hashable, dtype: Any, numeric: str, clip: bool) -> None:
        self.name, self.dtype, self.numeric, self.clip = name, dtype, numeric, clip

    def fit(self, column: Any) -> None:
        """Learn the range, the scale, and how often values are missing."""
        missing, values = self._split(column)
        if missing.all():
            problem = f"Column {self.name!r} has only missing values: there is nothing to learn from."
            raise ColumnError(problem, "empty", "Leave it out.")
        self.missing_rate = float(missing.mean())
        self.learn(values)
        self.levels = Levels.of(values) if self.numeric == "levels" else None
        scaler: Any = _plain(StandardScaler()) if self.numeric == "standard" else QuantileScaler()
        self.scaler = scaler.fit(self.encode(values)[:, None])

    def transform(self, column: Any) -> Floats:
        """Scaled values, marks of the missing ones if there are any, and of levels; shape (n, width)."""
        missing, values = self._split(column)
        z = np.zeros((len(missing), self.width))  # zero, the mean, stays where a value is missing
        if len(values):
            z[~missing, 0] = self.scaler.transform(self.encode(values)[:, None])[:, 0]
            if self.levels is not None:
                z[~missing, self._width_of_number :] = self.levels.transform(values)
        if self.missing_rate:
            z[:, 1] = (missing - self.missing_rate) / self._mark_scale
        elif missing.any():
            problem = f"Column {self.name!r} has missing values; it had none in fit."
            raise ColumnError(problem, "missing", "Fill them in, or leave these rows out.")
        return z

    def inverse(self, z: Floats) -> tuple[NDArray[Any], Mask]:
        """Values, shape (n,), and marks of the missing ones."""
        values = self.decode(self.scaler.inverse_transform(z[:, :1])[:, 0])
        if self.levels is not None:
            level, known = self.levels.inverse(z[:, self._width_of_number :])
            values[known] = level[known]
        if not self.missing_rate:
            return values, np.zeros(len(z), dtype=bool)
        return values, z[:, 1] * self._mark_scale + self.missing_rate > 0.5

    def widen(self, column: Any) -> None:
        """Extend the range to the values of another column, and the decimals."""
        _, values = self._split(column)
        if len(values):
            low, high = self.ends(values)
            self.low, self.high = min(self.low, low), max(self.high, high)
            if self.decimals is not None:
                more = decimals_of(values)
                self.decimals = None if more is None else max(self.decimals, more)

    def ends(self, values: NDArray[Any]) -> tuple[Any, Any]:
        """Lowest and highest value, as numbers."""
        return float(values.min()), float(values.max())

    def learn(self, values: NDArray[Any]) -> None:
        """Learn the range of the values, their origin and their decimals."""
        numbers = values.astype(np.float64)
        self.low, self.high = self.ends(numbers)
        self.decimals = decimals_of(values)
        with np.errstate(over="ignore", invalid="ignore"):
            # the scaler takes a small spread about a large mean for rounding error: the mean goes first
            self.origin = float(numbers.mean())
            spread = float(np.std(numbers - self.origin))
        if not math.isfinite(spread):
            raise ValueError(f"Column {self.name!r} has values too large to be scaled.")

    def encode(self, values: NDArray[Any]) -> Floats:
        """Values as distances from the origin."""
        return values.astype(np.float64) - self.origin

    def decode(self, numbers: Floats) -> NDArray[Any]:
        """Values at these distances from the origin, inside the range, with the decimals that there were."""
        dtype = _plain_dtype(self.dtype)
        limits = np.finfo(dtype)
        bounds = (self.low, self.high) if self.clip else (float(limits.min), float(limits.max))
        values = np.clip(numbers + self.origin, *bounds)
        if self.decimals is not None:
            values = np.clip(np.round(values, self.decimals), *bounds) + 0.0  # no minus before a zero
        return values.astype(dtype)

    @property
    def width(self) -> int:
        """Number of output columns."""
        return self._width_of_number + (0 if self.levels is None else len(self.levels.values))

    @property
    def _width_of_number(self) -> int:
        return 2 if self.missing_rate else 1

    @property
    def suffixes(self) -> list[str]:
        """What to add to the column's name for the names of the output columns."""
        levels = [] if self.levels is None else [f"_{value}" for value in self.levels.values.tolist()]
        return ["", "_missing"][: self._width_of_number] + levels

    @property
    def log_scale(self) -> float | None:
        """Logarithm of the unit of z in units of the column; None where z is not affine in the value."""
        if self.missing_rate or self.numeric != "standard":
            return None
        return math.log(self.scaler.scale_[0])

    @property
    def _mark_scale(self) -> float:
        return math.sqrt(self.missing_rate * (1 - self.missing_rate))

    def _split(self, column: Any) -> tuple[Mask, NDArray[Any]]:
        """Check a column; where it misses values, and the values that it has."""
        kind = getattr(column.dtype, "kind", "O")
        if kind not in self.takes or (getattr(column.dtype, "tz", None) is None) != self._is_naive:
            raise TypeError(
                f"Column {self.name!r} was of dtype {self.dtype} in fit; dtype {column.dtype} does not go "
                "with it."
            )
        missing = missing_entries(column)
        values = _plain_values(column[~missing])
        if kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"Column {self.name!r} contains infinity or values too large for its dtype.")
        return missing, values

    @property
    def _is_naive(self) -> bool:
        return getattr(self.dtype, "tz", None) is None


class IntegerColumn(NumericColumn):
    """Integers, as numbers of steps from an origin near their mean.

    Taking the origin off as an integer keeps large ones exact: within 2^50 steps of the mean, values come
    back as they were. A step is 1, or a power of 2 where a float64 cannot count the column's range.
    """

    kind = "integer"

    def learn(self, values: NDArray[Any]) -> None:
        """Learn the range of the values, the step between them, and an origin."""
        integers = self.integers(values)
        self.low, self.high = self.ends(values)
        distances = integers.astype(np.uint64) - np.uint64(self.low % 2**64)  # exact, in arithmetic mod 2^64
        self.step = self.learn_step(distances)
        while (self.high - self.low) // self.step > MOST_STEPS:
            self.step *= 2
        self.origin = self.low + self.step * round(float((distances / self.step).mean()))

    def ends(self, values: NDArray[Any]) -> tuple[Any, Any]:
        """Lowest and highest value, as integers."""
        integers = self.integers(values)
        return int(integers.min()), int(integers.max())

    def learn_step(self, distances: NDArray[np.uint64]) -> int:
        """The step between values, given their distances from the lowest."""
        return 1

    def integers(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values as integers."""
        return values

    def encode(self, values: NDArray[Any]) -> Floats:
        """Values as numbers of steps from the origin."""
        integers = self.integers(values)
        rough = (integers.astype(np.float64) - self.origin) / self.step
        if integers.dtype.kind == "f":
            return rough
        exact = (integers.astype(np.uint64) - np.uint64(self.origin % 2**64)).astype(np.int64)
        whole, rest = np.divmod(exact, self.step)
        # farther away than int64 counts, the exact difference is wrong, having gone round
        return np.where(np.abs(rough) < 2.0**62 / self.step, whole + rest / self.step, rough)

    def decode(self, numbers: Floats) -> NDArray[Any]:
        """Values after these numbers of steps, rounded, and kept inside the range."""
        bounds = (self.low, self.high) if self.clip else self.limits
        lowest = max(-((self.origin - bounds[0]) // self.step), -MOST_STEPS)
        highest = min((bounds[1] - self.origin) // self.step, MOST_STEPS)
        steps = np.clip(np.rint(numbers), lowest, highest).astype(np.int64).astype(np.uint64)
        integers = steps * np.uint64(self.step) + np.uint64(self.origin % 2**64)
        return integers.astype(np.int64).astype(_plain_dtype(self.dtype))

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest integer of the dtype."""
        limits = np.iinfo(_plain_dtype(self.dtype))
        return int(limits.min), int(limits.max)

    @property
    def log_scale(self) -> float | None:
        """Logarithm of the unit of z in units of the column."""
        scale = super().log_scale
        return None if scale is None else scale + math.log(self.step)


class BooleanColumn(NumericColumn):
    """Booleans as 0 and 1, cut at one half on the way back. A constant column stays constant."""

    kind = "boolean"

    def __init__(self, name: Hashable, dtype: Any, numeric: str, clip: bool) -> None:
        super().__init__(name, dtype, "standard", True)

    def encode(self, values: NDArray[Any]) -> Floats:
        """Values as distances from the origin; numbers are taken where they are zeros and ones."""
        other = values[(values != 0) & (values != 1)]
        if len(other):
            raise ValueError(
                f"Column {self.name!r} had booleans in fit, and holds {other[0]} now. Give numbers in both, "
                "or booleans in both."
            )
        return super().encode(values)

    def decode(self, numbers: Floats) -> NDArray[Any]:
        """Whether the numbers are nearer to 1."""
        return np.clip(numbers + self.origin, self.low, self.high) > 0.5


class TimeColumn(IntegerColumn):
    """Datetimes or timedeltas, as integers in the resolution that the column shows.

    A column of dates comes back as dates: the step is the longest of a day, an hour, ..., a nanosecond that
    divides all differences of the fitted values.
    """

    def __init__(self, name: Hashable, dtype: Any, numeric: str, clip: bool) -> None:
        super().__init__(name, dtype, numeric, clip)
        self.takes = dtype.kind
        self.kind = "datetime" if dtype.kind == "M" else "timedelta"

    def learn_step(self, distances: NDArray[np.uint64]) -> int:
        """The longest unit of time that divides all distances."""
        unit, _ = np.datetime_data(_plain_dtype(self.dtype))
        second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        common = int(np.gcd.reduce(distances))
        lengths = [86400 * second, 3600 * second, 60 * second, *(10**e for e in (9, 6, 3, 0))]
        return next(length for length in lengths if length <= 86400 * second and common % length == 0)

    def integers(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values as integers, in the unit of the column."""
        return values.astype(_plain_dtype(self.dtype)).astype(np.int64)

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest integer of the dtype; the least int64 is NaT."""
        return -(2**63) + 1, 2**63 - 1
