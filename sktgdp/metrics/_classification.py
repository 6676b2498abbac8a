r"""Scores of multi-label classifiers as the ECG benchmarks report them.

With :math:`w_i` one over the number of true labels of row i, each class counts

.. math:: TP = \sum_i w_i\, y_i \hat y_i, \quad FP = \sum_i w_i (1 - y_i) \hat y_i, \quad
          FN = \sum_i w_i\, y_i (1 - \hat y_i),

.. math:: F_\beta = \frac{(1 + \beta^2) TP}{(1 + \beta^2) TP + FP + \beta^2 FN}, \qquad
          G_\beta = \frac{TP}{TP + FP + \beta FN},

and the score is the mean over classes.

References
----------
Perez Alday et al., "Classification of 12-lead ECGs: the PhysioNet/CinC challenge 2020", 2020.
Strodthoff et al., "Deep learning for ECG analysis: benchmarks and insights from PTB-XL", 2021.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.exceptions import UndefinedMetricWarning

from sktgdp._arrays import common_exponent, refuse_hidden
from sktgdp.metrics._checks import Floats, check_count, check_finite, column_names, is_number, to_floats

__all__ = [
    "apply_thresholds",
    "challenge_f_beta_score",
    "challenge_g_beta_score",
    "macro_roc_auc_score",
    "optimal_thresholds",
]

Flags = NDArray[np.bool_]

MOST_BETA = 1e100


def _columns(values: ArrayLike, name: str) -> Floats:
    """Finite array of shape (n_samples, n_classes) with at least one row; a vector becomes one column."""
    array = to_floats(values, name)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} must have shape (n_samples, n_classes), got {array.shape}.")
    check_finite(array, values, name)
    return array


def _indicator(values: ArrayLike, name: str) -> Flags:
    """Multi-label indicator matrix as booleans."""
    array = _columns(values, name)
    positive = array == 1.0
    if not (positive | (array == 0.0)).all():
        found = np.setdiff1d(array, (0.0, 1.0))[:3].tolist()
        raise ValueError(
            f"{name} must hold 0 and 1 only, one column per class, got also {found}. Binarise labels with "
            f"sklearn.preprocessing.label_binarize and scores with apply_thresholds."
        )
    return positive


def _same_shape(first: NDArray[Any], second: NDArray[Any], names: tuple[str, str]) -> None:
    """Refuse two matrices of different shapes."""
    if first.shape != second.shape:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same shape (n_samples, n_classes), "
            f"got {first.shape} and {second.shape}."
        )


def _check_beta(beta: Any) -> float:
    """A positive number whose square is finite."""
    if not is_number(beta) or not 0 < beta <= MOST_BETA:
        raise ValueError(f"beta must be a positive number, at most {MOST_BETA:g}, got {beta!r}.")
    return float(beta)


def _check_zero_division(value: Any) -> None:
    """A score, or nan."""
    if not (is_number(value) and 0 <= value <= 1) and not (isinstance(value, float) and np.isnan(value)):
        raise ValueError(f"zero_division must be a score in [0, 1], or nan, got {value!r}.")


def _f_weights(beta: Any) -> tuple[float, float, float]:
    """Weights of TP, FP and FN in F-beta."""
    beta = _check_beta(beta)
    return 1.0 + beta**2, 1.0, beta**2


def _g_weights(beta: Any) -> tuple[float, float, float]:
    """Weights of TP, FP and FN in G-beta."""
    return 1.0, 1.0, _check_beta(beta)


def _one_versus_rest(Y_true: ArrayLike, n_classes: int) -> tuple[Flags, list[str]]:
    """Indicator of the classes and their names, from an indicator matrix or a vector of class labels."""
    refuse_hidden(Y_true, "Y_true")
    labels = np.asarray(Y_true)
    if labels.ndim != 1 or n_classes == 1:
        return _indicator(Y_true, "Y_true"), column_names(Y_true, n_classes)
    classes = np.unique(labels)
    if len(classes) != n_classes:
        raise ValueError(
            f"Y_true holds {len(classes)} distinct labels, but Y_score has {n_classes} columns. Give one "
            f"column per label in sorted order, or Y_true as an indicator matrix."
        )
    return labels[:, None] == classes, [repr(label) for label in classes.tolist()]


def macro_roc_auc_score(
    Y_true: ArrayLike, Y_score: ArrayLike, *, single_class: Literal["raise", "skip"] = "raise"
) -> float:
    """Area under the ROC curve, averaged over classes.

    Parameters
    ----------
    Y_true : array-like of shape (n_samples, n_classes) or (n_samples,)
        Multi-label indicator, or class labels (one against the rest, classes in sorted order).
    Y_score : array-like of shape (n_samples, n_classes) or (n_samples,)
        Scores, greater for more likely; only their order within a column matters.
    single_class : {"raise", "skip"}, default="raise"
        For a column whose true labels are all 0 or all 1 the area is undefined: raise an error that names
        it, or leave it out of the mean with a warning that names it.

    Returns
    -------
    float
        In [0, 1]; 0.5 by chance.

    See Also
    --------
    sklearn.metrics.roc_auc_score : Equal with ``average="macro"`` where every column has both classes.
    """
    if single_class not in ("raise", "skip"):
        raise ValueError(f"single_class must be 'raise' or 'skip', got {single_class!r}.")
    scores = _columns(Y_score, "Y_score")
    truth, names = _one_versus_rest(Y_true, scores.shape[1])
    _same_shape(truth, scores, ("Y_true", "Y_score"))
    n_positive = truth.sum(axis=0)
    n_negative = len(truth) - n_positive
    defined = (n_positive > 0) & (n_negative > 0)
    if not defined.all():
        _report_single_class(names, defined, single_class)
    # The area is the Mann-Whitney statistic: the ranks of the positives, ties at their mean.
    rank_sums = np.sum(rankdata(scores[:, defined], axis=0), axis=0, where=truth[:, defined])
    n_positive, n_negative = n_positive[defined], n_negative[defined]
    return float(np.mean((rank_sums - 0.5 * n_positive * (n_positive + 1)) / (n_positive * n_negative)))


def _report_single_class(names: list[str], defined: Flags, single_class: str) -> None:
    """Error or warning that names the columns without both classes."""
    undefined = [name for name, ok in zip(names, defined, strict=True) if not ok]
    message = f"The ROC AUC is undefined for Y_true columns {', '.join(undefined)}: one class only."
    if single_class == "raise" or not defined.any():
        raise ValueError(f"{message} Drop them, add rows, or leave them out with single_class='skip'.")
    warnings.warn(f"{message} They are left out of the mean.", UndefinedMetricWarning, stacklevel=3)


def _challenge_score(
    Y_true: ArrayLike, Y_pred: ArrayLike, weights: tuple[float, float, float], zero_division: float
) -> float:
    """Mean over classes of a TP / (a TP + b FP + c FN), with the weights (a, b, c)."""
    _check_zero_division(zero_division)
    truth, predicted = _indicator(Y_true, "Y_true"), _indicator(Y_pred, "Y_pred")
    _same_shape(truth, predicted, ("Y_true", "Y_pred"))
    row_weight = 1.0 / np.maximum(truth @ np.ones(truth.shape[1]), 1.0)
    true_positive = row_weight @ (truth & predicted)
    false_positive = row_weight @ (predicted > truth)
    false_negative = row_weight @ (truth > predicted)
    numerator = weights[0] * true_positive
    denominator = numerator + weights[1] * false_positive + weights[2] * false_negative
    empty = denominator == 0.0
    scores = np.divide(numerator, denominator, out=np.full(len(empty), float(zero_division)), where=~empty)
    if np.isnan(scores).all():
        raise ValueError(
            "Y_true and Y_pred hold no label in any class, so that no class can be scored. Give rows with "
            "labels, or set zero_division to a number."
        )
    return float(np.nanmean(scores))


def challenge_f_beta_score(
    Y_true: ArrayLike, Y_pred: ArrayLike, *, beta: float = 2, zero_division: float = np.nan
) -> float:
    """Macro F-beta with rows weighted by one over their number of labels.

    Parameters
    ----------
    Y_true : array-like of shape (n_samples, n_classes)
        Multi-label indicator. A row without labels has weight 1.
    Y_pred : array-like of shape (n_samples, n_classes)
        Predicted indicator, for instance from `apply_thresholds`.
    beta : float, default=2
        Weight of recall against precision.
    zero_division : float, default=nan
        Score of a class with neither a true nor a predicted row; nan leaves it out of the mean.

    Returns
    -------
    float
        In [0, 1]; greater is better.

    See Also
    --------
    sklearn.metrics.fbeta_score : Equal with ``average="macro"``, the row weights as ``sample_weight`` and
        the same ``zero_division``.
    """
    return _challenge_score(Y_true, Y_pred, _f_weights(beta), zero_division)


def challenge_g_beta_score(
    Y_true: ArrayLike, Y_pred: ArrayLike, *, beta: float = 2, zero_division: float = np.nan
) -> float:
    """Macro G-beta with rows weighted by one over their number of labels.

    A generalised Jaccard index, TP / (TP + FP + beta FN); not the geometric mean of the same letter.

    Parameters
    ----------
    Y_true : array-like of shape (n_samples, n_classes)
        Multi-label indicator. A row without labels has weight 1.
    Y_pred : array-like of shape (n_samples, n_classes)
        Predicted indicator, for instance from `apply_thresholds`.
    beta : float, default=2
        Weight of missed labels.
    zero_division : float, default=nan
        Score of a class with neither a true nor a predicted row; nan leaves it out of the mean.

    Returns
    -------
    float
        In [0, 1]; greater is better.

    References
    ----------
    Perez Alday et al., "Classification of 12-lead ECGs", 2020.
    """
    return _challenge_score(Y_true, Y_pred, _g_weights(beta), zero_division)


def optimal_thresholds(
    Y_true: ArrayLike,
    Y_score: ArrayLike,
    *,
    metric: Literal["g_beta", "f_beta"] = "g_beta",
    beta: float = 2,
    n_thresholds: int = 100,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """Threshold of each class that maximises its F-beta or G-beta, tuned on training predictions.

    Parameters
    ----------
    Y_true : array-like of shape (n_samples, n_classes)
        Multi-label indicator.
    Y_score : array-like of shape (n_samples, n_classes)
        Probabilities in [0, 1].
    metric : {"g_beta", "f_beta"}, default="g_beta"
    beta : float, default=2
    n_thresholds : int, default=100
        Candidates, evenly spaced from 0 to 1; at least 2.
    sample_weight : array-like of shape (n_samples,), optional
        By default rows count alike, as the ECG benchmark does while tuning.

    Returns
    -------
    ndarray of shape (n_classes,)
        The smallest best ones; scores strictly above are positive. A class without a true row gets 1.
    """
    if metric not in ("g_beta", "f_beta"):
        raise ValueError(f"metric must be 'g_beta' or 'f_beta', got {metric!r}.")
    weights = (_g_weights if metric == "g_beta" else _f_weights)(beta)
    truth, scores = _indicator(Y_true, "Y_true"), _columns(Y_score, "Y_score")
    _same_shape(truth, scores, ("Y_true", "Y_score"))
    if scores.min() < 0.0 or scores.max() > 1.0:
        found = f"[{scores.min():.4g}, {scores.max():.4g}]"
        raise ValueError(f"Y_score must lie in [0, 1], got {found}. Pass logits through scipy.special.expit.")
    grid = np.linspace(0.0, 1.0, check_count(n_thresholds, "n_thresholds", minimum=2))
    return _best_on_grid(truth, scores, grid, _row_weights(sample_weight, len(truth)), weights)


def _best_on_grid(
    truth: Flags, scores: Floats, grid: Floats, row_weight: Floats, weights: tuple[float, float, float]
) -> Floats:
    """Smallest best threshold of each class, for the score with the weights (a, b, c)."""
    true_positive, predicted = _counts_above(truth, scores, grid, row_weight)
    n_positive = row_weight @ truth
    a, b, c = weights
    numerator = a * true_positive
    denominator = numerator + b * (predicted - true_positive) + c * (n_positive - true_positive)
    class_scores = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return np.where(n_positive > 0, grid[class_scores.argmax(axis=0)], 1.0)


def _row_weights(sample_weight: ArrayLike | None, n_samples: int) -> Floats:
    """Row weights of shape (n_samples,), not negative."""
    if sample_weight is None:
        return np.ones(n_samples)
    weights = to_floats(sample_weight, "sample_weight")
    if weights.shape not in ((n_samples,), (n_samples, 1)):
        raise ValueError(f"sample_weight must hold {n_samples} weights, got shape {weights.shape}.")
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            f"sample_weight must hold {n_samples} weights that are finite, not negative and not all 0; got "
            f"{weights.min():g} to {weights.max():g}."
        )
    return np.ldexp(weights.ravel(), -common_exponent(weights))


def _grid_bins(scores: Floats, grid: Floats) -> NDArray[np.intp]:
    """Number of thresholds strictly below each score: a quicker `searchsorted` for an even grid on [0, 1]."""
    # Rounded down, so that the place found is right or one too low.
    below = (len(grid) - 1) * (1.0 - 4.0 * np.finfo(np.float64).eps)
    bins = np.ceil(scores * below).astype(np.intp)
    bins += grid[bins] < scores
    return bins


def _counts_above(truth: Flags, scores: Floats, grid: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weight of true positives and of predicted rows at each threshold: two (n_thresholds, n_classes).

    Every score is sorted into the grid once; the counts are then tail sums of a histogram.
    """
    n_thresholds, n_classes = len(grid), scores.shape[1]
    cells = (2 * _grid_bins(scores, grid) + truth) * n_classes + np.arange(n_classes)
    shape = (n_thresholds + 1, 2, n_classes)
    histogram = np.bincount(cells.ravel(), np.repeat(weight, n_classes), minlength=np.prod(shape))
    above = histogram.reshape(shape)[:0:-1].cumsum(axis=0)[::-1]
    return above[:, 1], above.sum(axis=1)


def apply_thresholds(Y_score: ArrayLike, thresholds: ArrayLike) -> NDArray[np.int64]:
    """Indicator of the scores strictly above their class's threshold; never an empty row.

    Parameters
    ----------
    Y_score : array-like of shape (n_samples, n_classes)
        Scores.
    thresholds : float or array-like of shape (n_classes,)
        Thresholds, for instance from `optimal_thresholds`.

    Returns
    -------
    ndarray of int64 of shape (n_samples, n_classes)
        A row that passes no threshold gets its highest class (the first of equal ones).
    """
    scores = _columns(Y_score, "Y_score")
    limits = np.atleast_1d(to_floats(thresholds, "thresholds"))
    if limits.shape not in ((1,), (scores.shape[1],)) or np.isnan(limits).any():
        raise ValueError(
            f"thresholds must be one number or {scores.shape[1]} numbers, one per class, without NaN, "
            f"got shape {limits.shape}."
        )
    passed = (scores > limits).astype(np.int64)
    empty = np.flatnonzero(~passed.any(axis=1))
    passed[empty, scores[empty].argmax(axis=1)] = 1
    return passed
