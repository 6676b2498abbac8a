"""The few values of a column of numbers, each with an indicator of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "has_shared_value", "indicator_scale"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_LEVELS = 32
ROWS_PER_LEVEL = 20
SHARED = 0.1  # of the rows


def indicator_scale(shares: Floats) -> float:
    """Scale of centred indicators, given the shares of their values: it makes their average variance 1."""
    return math.sqrt((1 - np.square(shares).sum()) / len(shares))


def has_shared_value(values: NDArray[Any]) -> bool:
    """Whether a tenth of the rows, and 20 at least, share one of three values or more: no density does so."""
    counts = np.unique(values, return_counts=True)[1]
    return len(counts) > 2 and bool(counts.max() >= max(SHARED * len(values), ROWS_PER_LEVEL))


@dataclass(frozen=True, eq=False)
class Levels:
    r"""Values that a column takes again and again, such as years of schooling or marks.

    A network that draws such a column as one number lands between the values, and what depends on them,
    like the name of the degree, no longer goes with them. Beside the number stands a block of centred
    indicators, as for categories. A value that is no level has none of them, and the number stands for it.

    Parameters
    ----------
    values : ndarray of shape (k,)
        Ascending.
    shares : ndarray of shape (k,)
        Of the rows.
    """

    values: NDArray[Any]
    shares: Floats

    @classmethod
    def of(cls, values: NDArray[Any]) -> Levels | None:
        """Levels of a column; None where there are two values, which the number tells apart, or many.

        Many are over 32, or over one in 20 rows.
        """
        levels, counts = np.unique(values, return_counts=True)
        if not 3 <= len(levels) <= min(MOST_LEVELS, len(values) // ROWS_PER_LEVEL):
            return None
        return cls(levels, counts / len(values))

    @property
    def scale(self) -> float:
        """Scale of the indicators."""
        return indicator_scale(self.shares)

    def transform(self, values: NDArray[Any]) -> Floats:
        """Scaled indicators, shape (n, k)."""
        return ((values[:, None] == self.values) - self.shares) / self.scale

    def inverse(self, z: Floats) -> tuple[NDArray[Any], Mask]:
        """The level of the largest indicator, shape (n,), and where there is one: indicators add up to 1."""
        indicators = z * self.scale + self.shares
        return self.values[indicators.argmax(axis=1)], indicators.sum(axis=1) > 0.5
