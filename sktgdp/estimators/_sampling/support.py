"""What samples are held against: the ranges of the training rows, and, if asked for, the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from sktgdp.estimators._rows.domains import Floats, Reals, Units
from sktgdp.estimators._sampling.chunks import FEWEST, Draw, draw_rows
from sktgdp.metrics._distances import nearest_distances

__all__ = [
    "FAR",
    "NEAR",
    "KnownRows",
    "SampleDiagnostics",
    "Support",
    "Tolerance",
    "outside_in_turn",
    "remember_rows",
    "without_copies",
]

SAME = 0.01  # in the units of the transformer, where a standard deviation is about 1
ATTEMPTS = 10
BLOCK = 2**22  # numbers


class Tolerance(NamedTuple):
    """How far a value may lie beyond a range before its row is outside, and whose range that is.

    Attributes
    ----------
    share : float
        Of the range's length, or of 1 in the units of the transformer if that is more.
    by_channel : bool
        Whether a series is held against the ranges of its channels: a sample may be anywhere in its channel's
        range, waves come sooner or later. Otherwise every coordinate has a range of its own, as in tables.
    """

    share: float
    by_channel: bool

    def ends(self, z: Reals) -> tuple[Reals, Reals]:
        """Least and greatest values of rows, one for each range."""
        return (z.min(axis=2), z.max(axis=2)) if self.by_channel and z.ndim == 3 else (z, z)


NEAR = Tolerance(0.1, by_channel=False)
FAR = Tolerance(0.5, by_channel=True)


@dataclass(frozen=True)
class Support:
    """Least and greatest value of every coordinate among the training rows, in the transformer's units."""

    low: Reals
    high: Reals

    @classmethod
    def of(cls, z: Reals) -> Support:
        """Ranges of rows."""
        return cls(z.min(axis=0).astype(np.float64), z.max(axis=0).astype(np.float64))

    def joined(self, other: Support | None) -> Support:
        """Ranges of both sets of rows."""
        if other is None:
            return self
        return Support(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def at(self, tolerance: Tolerance) -> Support:
        """The ranges that a tolerance speaks of."""
        return Support(tolerance.ends(self.low[None])[0][0], tolerance.ends(self.high[None])[1][0])

    def outside(self, z: Reals, tolerance: Tolerance = NEAR) -> NDArray[np.bool_]:
        """Rows with a value beyond its range by more than is tolerated."""
        return self.at(tolerance)._beyond(*tolerance.ends(z), tolerance.share)

    def _beyond(self, lowest: Reals, highest: Reals, share: float) -> NDArray[np.bool_]:
        margins = share * np.maximum(self.high - self.low, 1.0)
        beyond = (lowest < self.low - margins) | (highest > self.high + margins)
        return np.asarray(beyond.reshape(len(lowest), -1).any(axis=1))


@dataclass(frozen=True)
class SampleDiagnostics:
    """What was noticed about samples.

    Attributes
    ----------
    outside : ndarray of bool of shape (n_samples,)
        Rows outside the support: some coordinate, in the units of ``transformer_``, lies beyond the range of
        the rows of the fit (source and target) by more than a tenth of its length, or 0.1 if that is more.
    memorized : float or None
        Share of the samples that were copies of training rows before they were drawn again; None without
        ``max_memorization``.
    n_redrawn : int
        Rows that were drawn again.
    """

    outside: NDArray[np.bool_]
    memorized: float | None = None
    n_redrawn: int = 0

    @property
    def n_outside(self) -> int:
        """Number of rows outside the support."""
        return int(self.outside.sum())


def outside_in_turn(z: Reals, more: Support | None, tolerance: Tolerance = NEAR) -> NDArray[np.bool_]:
    """Which rows are outside the ranges of all the others, and of further rows; two rows at least."""
    lowest, highest = (part.reshape(len(z), -1) for part in tolerance.ends(z))
    more = None if more is None else more.at(tolerance)
    found = np.zeros(len(z), dtype=bool)
    for at in gen_batches(lowest.shape[1], max(1, BLOCK // len(z))):
        a, b = lowest[:, at], highest[:, at]
        lows, highs = np.partition(a, 1, axis=0)[:2], np.partition(b, -2, axis=0)[-2:]
        others = Support(
            np.where(a == lows[0], lows[1], lows[0]), np.where(b == highs[1], highs[0], highs[1])
        )
        further = None if more is None else Support(more.low.reshape(-1)[at], more.high.reshape(-1)[at])
        found |= others.joined(further)._beyond(a, b, tolerance.share)
    return found


class KnownRows:
    """Training rows that must not come back, in the transformer's units.

    A row that has a twin among the training rows is nobody's own: it may come back.
    """

    def __init__(self, z: Units) -> None:
        rows = z.reshape(len(z), -1).astype(np.float64)
        alone = len(rows) == 1 or ~self._same(rows, rows, exclude_self=True)
        self.rows = rows[alone] if np.ndim(alone) else rows

    @staticmethod
    def _same(z: Floats, rows: Floats, *, exclude_self: bool = False) -> NDArray[np.bool_]:
        closest = nearest_distances(z, rows, 1, "euclidean", exclude_self=exclude_self)[:, 0]
        same: NDArray[np.bool_] = closest <= SAME * np.sqrt(rows.shape[1])
        return same

    def copies(self, z: Floats) -> NDArray[np.bool_]:
        """Rows within 0.01 of a known one, as a root mean square over the coordinates."""
        if not len(self.rows):
            return np.zeros(len(z), dtype=bool)
        return self._same(z.reshape(len(z), -1), self.rows)


def remember_rows(generator: Any, z: Units, source: Any = None) -> None:
    """Keep the ranges of training rows, and the rows themselves where ``max_memorization`` asks for it."""
    generator.support_ = Support.of(z).joined(getattr(source, "support_", None))
    if generator.max_memorization is not None:
        generator._known_rows = KnownRows(z)
    elif hasattr(generator, "_known_rows"):
        del generator._known_rows


def _runs(marked: NDArray[np.bool_], size: int) -> Iterator[slice]:
    """Runs of rows that hold all that are marked: fewer would not be drawn any faster."""
    for run in np.unique(np.flatnonzero(marked) // size).tolist():
        yield slice(run * size, (run + 1) * size)


def without_copies(
    generator: Any, z: Floats, draw: Draw, codes: NDArray[np.float32] | None, rows: range
) -> tuple[Floats, float, int]:
    """Draw copies of training rows again; the rows, the share of copies, and how many were drawn again."""
    known = getattr(generator, "_known_rows", None)
    if known is None:
        raise ValueError(
            "max_memorization needs the training rows, and this model has none: it was saved without them, "
            "or fitted before the parameter was set. Fit it again, or set max_memorization=None."
        )

    def copies(z: Floats) -> NDArray[np.bool_]:
        X = generator.form_.restore(generator.transformer_.inverse_transform(z))
        return known.copies(generator._to_units(X))  # as the user gets them: rounded, in categories

    copied = copies(z)
    share, n_redrawn = float(copied.mean()), 0
    for attempt in range(ATTEMPTS):
        if share > generator.max_memorization:
            break
        if not copied.any():
            return z, share, n_redrawn
        seed = int(np.random.SeedSequence([draw.seed, 3, attempt]).generate_state(1)[0])
        for at in _runs(copied, FEWEST.of(generator.latent_shape_)):
            fresh = draw_rows(
                generator, draw._replace(seed=seed), None if codes is None else codes[at], rows[at]
            )
            z[at][copied[at]] = fresh[copied[at]]
        n_redrawn += int(copied.sum())
        copied[copied] = copies(z[copied])
    raise ValueError(
        f"{share:.2%} of {len(z)} samples are copies of training rows ({copied.sum()} of them remain), over "
        f"max_memorization={generator.max_memorization}. The model has learned rows by heart: use more "
        "target rows, early_stopping=True or fewer steps, or allow more."
    )
