"""What "auto" stands for, where that depends on the rank of the rows: (n, d), or (n, channels, length).

A gradient step of a convolutional network costs as many multiplications per sample of a series as a
perceptron's per row of a table, hence fewer rows per step. The numbers for series keep a default fit of a
source model on some thousand series of 500 samples within six minutes of one processor core, and what is
trained on the target side below a tenth of the source model's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from sktgdp.nets import DomainConv, DomainMLP, GuidanceConv, GuidanceMLP, ScoreConv, ScoreMLP

__all__ = [
    "DOMAIN_NETWORK",
    "DOMAIN_SIZES",
    "GUIDANCE_NETWORK",
    "SCORE_NETWORK",
    "SCORE_SIZES",
    "SERIES_GUIDANCE_SIZES",
    "ByRank",
    "is_series",
    "parts_of",
]


def is_series(event_shape: tuple[int, ...]) -> bool:
    """Whether a row is a series, (channels, length)."""
    return len(event_shape) == 2


WIDE = 64  # numbers in a row: 128 hidden units blur what depends on one category of a hundred


class ByRank(NamedTuple):
    """A default for tables, and one for series; another for wide tables where these differ."""

    table: Any
    series: Any
    wide_table: Any = None

    def of(self, event_shape: tuple[int, ...], given: Any = "auto") -> Any:
        """What was given, or the default for rows of this shape in place of "auto"."""
        if not (isinstance(given, str) and given == "auto"):
            return given
        if is_series(event_shape):
            return self.series
        is_wide = self.wide_table is not None and math.prod(event_shape) > WIDE
        return self.wide_table if is_wide else self.table


SCORE_NETWORK = ByRank(ScoreMLP, ScoreConv)
SCORE_SIZES = ByRank((128, 128, 128), (24, 48, 96, 192), wide_table=(256, 256, 256))
GUIDANCE_NETWORK = ByRank(GuidanceMLP, GuidanceConv)
SERIES_GUIDANCE_SIZES = (48, 48)
DOMAIN_NETWORK = ByRank(DomainMLP, DomainConv)
DOMAIN_SIZES = ByRank((64, 64), (16,))


def parts_of(n_rows: int, event_shape: tuple[int, ...], *, rows: int, coordinates: int) -> Iterator[slice]:
    """Cut rows into parts that fit into memory together with what a network makes of them.

    Parameters
    ----------
    n_rows : int
    event_shape : tuple of int
    rows : int
        Rows of one part, for tables.
    coordinates : int
        Numbers in one part, for series; at least one row goes into a part.
    """
    size = max(1, coordinates // math.prod(event_shape)) if is_series(event_shape) else rows
    return (slice(start, start + size) for start in range(0, n_rows, size))
