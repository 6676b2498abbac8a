"""The rows of a report: bounded in number, in one form, cut into halves that are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

from sktgdp._arrays import refuse_hidden
from sktgdp.metrics._distances import nearest_distances
from sktgdp.plotting._draws import some_rows, take
from sktgdp.preprocessing._comparable import ComparableColumn
from sktgdp.preprocessing._encoding import encode_features, encode_together

__all__ = ["LEAST_ROWS", "Rows", "Samples", "Split", "collect"]

Floats = NDArray[np.float64]

KNOWN = 0.1  # of the held-out rows are training rows, beyond what repeats among these: no hold-out
LEAST_ROWS = 12  # judged real rows: two halves of six, as five neighbours need
MAX_FEATURES = 64
ROWS_PER_COMPONENT = 4  # fewer would learn the rows by heart
TRAINING_ROWS = 20  # times max_rows are looked through for copies


@dataclass(frozen=True)
class Rows:
    """A sample as it came, bounded in number."""

    X: Any
    y: NDArray[Any] | None
    n_given: int

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Split:
    """Positions of the rows of one comparison: two halves of the judged rows, as many synthetic ones."""

    judged: NDArray[np.intp]
    yardstick: NDArray[np.intp]
    synthetic: NDArray[np.intp]


@dataclass(frozen=True)
class Samples:
    """Everything that the figures are computed from.

    Attributes
    ----------
    real, judged, synthetic : Rows
        Training rows, real rows that judge (the held-out ones, else the training rows), synthetic rows.
    features : tuple of three ndarrays of shape (n, k)
        The rows as reals, in that order.
    columns : list of ComparableColumn
        Values of the three samples, in that order.
    has_holdout : bool
    splits : list of Split
    seed : int
    notes : list of str
        What the reader must know: rows left out, features taken together.
    """

    real: Rows
    judged: Rows
    synthetic: Rows
    features: tuple[Floats, Floats, Floats]
    columns: list[ComparableColumn]
    has_holdout: bool
    splits: list[Split]
    seed: int
    notes: list[str] = field(default_factory=list)

    @cached_property
    def n_known(self) -> int:
        """How many held-out rows are training rows; 0 where chance makes as many, or nothing is held out."""
        if not self.has_holdout:
            return 0
        real, judged, _ = self.features
        known = nearest_distances(judged, real, 1, "euclidean")[:, 0] == 0.0
        repeated = nearest_distances(real, real, 1, "euclidean", exclude_self=True)[:, 0] == 0.0
        return int(known.sum()) if known.mean() > repeated.mean() + KNOWN else 0

    @property
    def has_new_rows(self) -> bool:
        """Whether there are held-out rows, and they are none that were trained on."""
        return self.has_holdout and not self.n_known

    def halves(self) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Features of judged, yardstick and synthetic rows, for each split."""
        _, judged, synthetic = self.features
        for split in self.splits:
            yield judged[split.judged], judged[split.yardstick], synthetic[split.synthetic]


def collect(
    real: Rows,
    synthetic: Rows,
    holdout: Rows | None,
    features: Callable[[Any], Any] | None,
    n_repeats: int,
    max_rows: int,
    seed: int,
) -> Samples:
    """Encode the rows, and draw the halves."""
    judged = real if holdout is None else holdout
    _check_sizes(judged, synthetic, holdout is not None)
    names = ("real", "real" if holdout is None else "holdout", "synthetic")
    encoded = encode_together((real.X, judged.X, synthetic.X), names)
    notes = _notes({"training": real, "held-out": holdout, "synthetic": synthetic})
    if features is None:
        matrices, more = _reduced(encoded.rows)
    else:
        first, second, third = encode_features(
            (judged.X, real.X, synthetic.X), (names[1], *names[::2]), features
        )
        matrices, more = (second, first, third), []
    splits = _splits(len(judged), len(synthetic), n_repeats, max_rows, seed)
    return Samples(
        real, judged, synthetic, matrices, encoded.columns, holdout is not None, splits, seed, notes + more
    )


def _notes(parts: dict[str, Rows | None]) -> list[str]:
    """Which rows were left out, and whether held-out rows were missing."""
    notes = [
        f"{len(rows):,} of the {rows.n_given:,} {name} rows were used, drawn at random."
        for name, rows in parts.items()
        if rows is not None and len(rows) < rows.n_given
    ]
    if parts["held-out"] is None:
        notes.append(
            "No held-out rows were given: the synthetic rows are judged by rows that the generator may have "
            "been trained on, so that copies look as good as new rows. For a fair report give real rows that "
            "it never saw (holdout=, on the command line --holdout)."
        )
    return notes


def _check_sizes(judged: Rows, synthetic: Rows, has_holdout: bool) -> None:
    if len(judged) < LEAST_ROWS:
        name = "holdout" if has_holdout else "real"
        raise ValueError(
            f"{name} has too few rows to judge by: {len(judged)}, where a report needs {LEAST_ROWS}."
        )
    if len(synthetic) < LEAST_ROWS // 2:
        raise ValueError(
            f"synthetic has too few rows: {len(synthetic)}, where a report needs {LEAST_ROWS // 2}."
        )


def bounded(X: Any, y: Any, name: str, max_rows: int, seed: int) -> Rows:
    """At most ``max_rows`` rows, drawn at random."""
    refuse_hidden(X, name)
    refuse_hidden(y, f"y_{name}")
    if not hasattr(X, "iloc"):
        X = np.asarray(X)
    at = some_rows(len(X), max_rows, seed)
    return Rows(take(X, at), None if y is None else np.asarray(y)[at], len(X))


def _reduced(rows: tuple[Floats, ...]) -> tuple[tuple[Floats, Floats, Floats], list[str]]:
    """The rows, or their principal components where they have many coordinates.

    The components are those of equal numbers of rows of each sample: components of the real rows alone would
    hold these to the last digit and cut others short, which every comparison would then see.
    """
    real, judged, synthetic = rows
    n_features = real.shape[1]
    if n_features <= MAX_FEATURES:
        return (real, judged, synthetic), []
    n_each = min(map(len, rows))
    common = np.concatenate([part[:n_each] for part in rows])
    n_components = min(MAX_FEATURES, max(2, len(common) // ROWS_PER_COMPONENT))
    pca = PCA(n_components, svd_solver="randomized", random_state=0).fit(common)
    found = (pca.transform(real), pca.transform(judged), pca.transform(synthetic))
    share = found[1].var(axis=0).sum() / max(float(judged.var(axis=0).sum()), np.finfo(float).tiny)
    note = (
        f"Rows are compared by {n_components} principal components of their {n_features:,} coordinates, "
        f"which hold {share:.0%} of the variance of the real rows. Give features= to compare by others."
    )
    return found, [note]


def _splits(n_judged: int, n_synthetic: int, n_repeats: int, max_rows: int, seed: int) -> list[Split]:
    """Random halves of the judged rows, of one size, and as many synthetic rows."""
    rng = check_random_state(seed)
    size = min(n_judged // 2, n_synthetic, max_rows)
    found = []
    for _ in range(n_repeats):
        order, drawn = rng.permutation(n_judged), rng.permutation(n_synthetic)
        found.append(Split(order[:size], order[size : 2 * size], drawn[:size]))
    return found
