"""The figures of a report, each beside what real rows score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from sktgdp.metrics import (
    coverage_score,
    density_score,
    energy_distance,
    frechet_distance,
    precision_score_knn,
    recall_score_knn,
    sliced_wasserstein_distance,
    two_sample_auc,
)
from sktgdp.preprocessing._comparable import ComparableColumn
from sktgdp.report._samples import Samples
from sktgdp.report._verdicts import RULES, VerdictName, worst

__all__ = ["Figure", "Section", "column_figures", "comparisons", "make_figure"]

Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats, int], float]


@dataclass(frozen=True)
class Figure:
    """A number with its yardstick and a verdict.

    Attributes
    ----------
    key : str
        For programs.
    name : str
        For people.
    value : float
        Of the synthetic rows.
    reference : float
        What real rows score in their place.
    best : str
        What a perfect generator reaches: "low", "high", or a number.
    verdict : {"good", "fair", "concern", "unknown"}
    words : str
        The verdict in a line.
    """

    key: str
    name: str
    value: float
    reference: float
    best: str
    verdict: VerdictName
    words: str


@dataclass(frozen=True)
class Section:
    """Figures that answer one question."""

    name: str
    question: str
    figures: list[Figure]
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> VerdictName:
        """The least favourable verdict of its figures."""
        return worst([figure.verdict for figure in self.figures])

    @property
    def summary(self) -> str:
        """How many figures are good, fair, of concern."""
        names: tuple[VerdictName, ...] = ("good", "fair", "concern", "unknown")
        counts = {name: sum(figure.verdict == name for figure in self.figures) for name in names}
        return ", ".join(f"{n} {name}" for name, n in counts.items() if n)


def make_figure(key: str, name: str, pair: Sequence[float], best: str, rule: str) -> Figure:
    """A figure, of synthetic and of real rows, with the verdict of a rule; others than numbers are errors."""
    value, reference = (float(number) for number in pair)
    if not np.isfinite([value, reference]).all():
        raise FloatingPointError(f"{name} is {value} for the synthetic and {reference} for the real rows.")
    verdict = RULES[rule](value, reference)
    return Figure(key, name, value, reference, best, verdict.name, verdict.words)


def _sliced(real: Floats, syn: Floats, seed: int) -> float:
    return sliced_wasserstein_distance(real, syn, n_projections=100, random_state=seed)


def _two_sample(real: Floats, syn: Floats, seed: int) -> float:
    trees = ExtraTreesClassifier(50, min_samples_leaf=5, random_state=seed)
    return two_sample_auc(real, syn, classifier=trees, cv=3, random_state=seed)


def _correlations(rows: Floats) -> Floats:
    """Correlations of the columns; 0 with a column that is constant."""
    scale = rows.std(axis=0)
    centred = (rows - rows.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    return centred.T @ centred / len(rows)


def _correlation_difference(real: Floats, syn: Floats, seed: int) -> float:
    """Mean absolute difference of the correlations of two different columns; 0 for a single column."""
    above = np.triu_indices(real.shape[1], 1)
    gaps = np.abs(_correlations(real) - _correlations(syn))[above]
    return float(gaps.mean()) if len(gaps) else 0.0


def _unseeded(metric: Callable[[Floats, Floats], float]) -> Score:
    return lambda real, syn, seed: metric(real, syn)


FIDELITY: list[tuple[str, str, Score, str, str]] = [
    ("correlation_difference", "difference of correlations", _correlation_difference, "low", "distance"),
    ("sliced_wasserstein", "sliced Wasserstein distance (sd)", _sliced, "low", "distance"),
    ("energy", "energy distance (√sd)", _unseeded(energy_distance), "low", "distance"),
    ("frechet", "Fréchet distance (sd²)", _unseeded(frechet_distance), "low", "squared distance"),
    ("two_sample_auc", "two-sample AUC", _two_sample, "0.5", "two-sample"),
]
DIVERSITY: list[tuple[str, str, Score, str, str]] = [
    ("coverage", "coverage", _unseeded(coverage_score), "high", "coverage"),
    ("recall", "recall", _unseeded(recall_score_knn), "high", "recall"),
    ("density", "density", _unseeded(density_score), "1", "density"),
    ("precision", "precision", _unseeded(precision_score_knn), "high", "precision"),
]


def comparisons(samples: Samples, which: list[tuple[str, str, Score, str, str]]) -> list[Figure]:
    """Scores of synthetic and of real rows against the same real rows, means over the splits."""
    figures = []
    for key, name, score, best, rule in which:
        pairs = [
            (score(judged, synthetic, samples.seed), score(judged, yardstick, samples.seed))
            for judged, yardstick, synthetic in samples.halves()
        ]
        figures.append(make_figure(key, name, np.mean(pairs, axis=0).tolist(), best, rule))
    return figures


def column_figures(samples: Samples) -> list[Figure]:
    """Distance of each column by itself, the largest first."""
    figures = []
    for column in samples.columns:
        pairs = []
        for split in samples.splits:
            judged = _part(column, 1, len(samples.judged), split.judged)
            yardstick = _part(column, 1, len(samples.judged), split.yardstick)
            synthetic = _part(column, 2, len(samples.synthetic), split.synthetic)
            pairs.append([column_distance(column.kind, judged, other) for other in (synthetic, yardstick)])
        mean = np.mean(pairs, axis=0).tolist()
        figures.append(make_figure(column.kind, column.name, mean, "low", "distance"))
    return sorted(figures, key=lambda figure: -figure.value)


def _part(column: ComparableColumn, sample: int, n_rows: int, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Values of some rows of a sample; of a series several for each row."""
    return column.values[sample].reshape(n_rows, -1)[rows].ravel()


def column_distance(kind: str, real: NDArray[Any], synthetic: NDArray[Any]) -> float:
    """Distance of two samples of one column, in [0, 1].

    Of numbers the Kolmogorov–Smirnov distance of those present, or the difference of the shares of missing
    ones if that is larger; of categories the total variation distance, missing ones being one more.
    """
    if kind == "category":
        values = sorted({*real.tolist(), *synthetic.tolist()}, key=str)
        shares = [
            np.array([part.tolist().count(value) for value in values]) / len(part)
            for part in (real, synthetic)
        ]
        return float(0.5 * np.abs(shares[0] - shares[1]).sum())
    gone = [np.isnan(part) for part in (real, synthetic)]
    present = [np.sort(part[~missing]) for part, missing in zip((real, synthetic), gone, strict=True)]
    gap = abs(float(gone[0].mean()) - float(gone[1].mean()))
    if not all(map(len, present)):
        return gap
    everything = np.concatenate(present)
    below = [np.searchsorted(part, everything, side="right") / len(part) for part in present]
    return max(gap, float(np.abs(below[0] - below[1]).max()))
