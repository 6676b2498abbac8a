"""What the rows are worth for a purpose, and what they give away: utility and privacy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktgdp.metrics import macro_roc_auc_score
from sktgdp.metrics._distances import nearest_distances
from sktgdp.preprocessing._comparable import ComparableColumn, comparable_columns
from sktgdp.report._figures import Section, make_figure
from sktgdp.report._samples import Samples

__all__ = ["closest_distances", "label_columns", "privacy", "utility"]

Floats = NDArray[np.float64]

LOW_TAIL = 0.05  # quantile of the distances that privacy is decided by
MEMORISED = 1.0 / 3.0  # of the second closest distance


# Utility --------------------------------------------------------------------------------------------
def label_columns(samples: Samples) -> list[ComparableColumn]:
    """The labels of the three samples as columns of text, one for each column of an indicator."""
    parts = [rows.y for rows in (samples.real, samples.judged, samples.synthetic)]
    matrices = [np.asarray(y, dtype=object).reshape(len(y), -1) for y in parts if y is not None]
    names = ("y_real", "y_holdout" if samples.has_holdout else "y_real", "y_synthetic")
    columns = comparable_columns(matrices, names)
    for column in columns:
        without = [name for name, gone in zip(names, column.missing, strict=True) if gone.any()]
        if without:
            raise ValueError(
                f"{without[0]} misses labels. Drop their rows, or give them a class of their own."
            )
    text = [
        ComparableColumn("label" if len(columns) == 1 else f"label {k}", "category", _texts(column))
        for k, column in enumerate(columns)
    ]
    return text


def _texts(column: ComparableColumn) -> tuple[NDArray[Any], ...]:
    if column.kind == "category":
        return column.values
    found = []
    for values in column.values:
        texts = np.empty(len(values), dtype=object)
        texts[:] = [str(int(value)) if value.is_integer() else str(value) for value in values.tolist()]
        found.append(texts)
    return tuple(found)


def _indicators(columns: list[ComparableColumn]) -> tuple[NDArray[np.bool_], ...]:
    """Labels of each sample as indicators of all classes that any sample has."""
    found = []
    for column in columns:
        classes = sorted(set().union(*(set(values.tolist()) for values in column.values)))
        shown = classes[1:] if len(classes) == 2 else classes
        found.append([values[:, None] == np.array(shown, dtype=object) for values in column.values])
    return tuple(np.concatenate([part[k] for part in found], axis=1).astype(bool) for k in range(3))


def _auc(model: Any, X: Floats, Y: NDArray[np.bool_], X_test: Floats, Y_test: NDArray[np.bool_]) -> float:
    """Macro AUC of one classifier per class; a class that the training rows lack scores one half."""
    scores = np.zeros(Y_test.shape)
    for k in np.flatnonzero(Y.any(axis=0) & ~Y.all(axis=0)):
        scores[:, k] = clone(model).fit(X, Y[:, k]).predict_proba(X_test)[:, 1]
    return float(macro_roc_auc_score(Y_test, scores, single_class="skip"))


def utility(samples: Samples, classifier: Any) -> Section:
    """Scores on real rows of classifiers trained on synthetic, on real, and on both kinds of rows."""
    model = classifier or make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    real, judged, synthetic = samples.features
    Y_real, Y_judged, Y_synthetic = _indicators(label_columns(samples))
    both = ~(Y_judged.all(axis=0) | ~Y_judged.any(axis=0))
    question = "Do they serve to train a classifier?"
    if not both.any():
        return Section("Utility", question, [], ["The judging rows hold one class only: nothing to learn."])
    tests = [(np.arange(len(real)), np.arange(len(judged)))]
    sizes = f"{len(synthetic):,} synthetic rows"
    notes = [
        f"Trained on {sizes}, {len(real):,} real rows, or both; tested on {len(judged):,} held-out rows."
    ]
    if not samples.has_holdout:
        halves = samples.splits[0]
        rest = np.setdiff1d(np.arange(len(real)), halves.judged)
        tests = [(rest, halves.judged), (halves.judged, rest)]
        notes = [f"Trained on {sizes}, either half of {len(real):,} real rows, or both; tested on the other."]
    scores = []
    for train, test in tests:
        sets = [
            (synthetic, Y_synthetic),
            (real[train], Y_real[train]),
            (np.concatenate([real[train], synthetic]), np.concatenate([Y_real[train], Y_synthetic])),
        ]
        scores.append([_auc(model, X, Y, judged[test], Y_judged[test]) for X, Y in sets])
    alone, reference, together = np.mean(scores, axis=0)
    figures = [
        make_figure(f"auc_{key}", f"AUC, trained on {name}", (score, reference), "high", "utility")
        for key, name, score in (("synthetic", "synthetic rows", alone), ("both", "both", together))
    ]
    return Section("Utility", question, figures, notes)


# Privacy --------------------------------------------------------------------------------------------
def closest_distances(samples: Samples) -> tuple[Floats, Floats]:
    """Distances to the two closest distinct training rows, of synthetic rows and of new real rows.

    New real rows are the held-out ones; without them, or where they are no new rows, each training row is
    compared with all others.
    """
    real, judged, synthetic = samples.features
    distinct = np.unique(real, axis=0)
    if samples.has_new_rows:
        new = nearest_distances(judged, distinct, 2, "euclidean")
    else:
        new = nearest_distances(real, real, 2, "euclidean", exclude_self=True)
    return nearest_distances(synthetic, distinct, 2, "euclidean"), new


def privacy(samples: Samples) -> Section:
    """Whether synthetic rows come closer to the training rows than new real rows do."""
    question = "Are training rows copied?"
    if len(np.unique(samples.features[0], axis=0)) < 3:
        return Section("Privacy", question, [], ["The training rows hold fewer than three distinct rows."])
    pair = closest_distances(samples)
    quantile = [float(np.quantile(part[:, 0], LOW_TAIL)) for part in pair]
    copied = [float(np.mean(part[:, 0] == 0.0)) for part in pair]
    learnt = [float(np.mean(part[:, 0] <= MEMORISED * part[:, 1])) for part in pair]
    name = f"distance to closest training row, {LOW_TAIL:.0%} quantile"
    figures = [
        make_figure("closest_record", name, quantile, "high", "closest record"),
        make_figure("copies", "share of exact copies", copied, "low", "copies"),
        make_figure("memorization", "share of memorised rows", learnt, "low", "memorization"),
    ]
    n_known = samples.n_known
    kind = "held-out rows" if samples.has_new_rows else "training rows, each compared with all others"
    notes = [f"In the column 'real': {len(pair[1]):,} {kind}. Closeness is a sign of a leak, and no proof."]
    if n_known:
        notes.append(
            f"{n_known:,} of the {len(samples.judged):,} held-out rows used are training rows. So they do "
            "not say how near new rows come, and the other sections judge copies too kindly. Give rows that "
            "the generator never saw."
        )
    return Section("Privacy", question, figures, notes)
