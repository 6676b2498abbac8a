"""Multi-label scores against scikit-learn and against loops over rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import fbeta_score, roc_auc_score

from sktgdp.metrics import (
    _classification,
    apply_thresholds,
    challenge_f_beta_score,
    challenge_g_beta_score,
    macro_roc_auc_score,
    optimal_thresholds,
)

Array = NDArray[Any]
CHALLENGE_SCORES = pytest.mark.parametrize("score", [challenge_f_beta_score, challenge_g_beta_score])


def labels_and_scores(rng: np.random.Generator, n: int = 200, k: int = 5) -> tuple[Array, Array]:
    """An indicator, some of whose rows are empty, and informative scores in [0, 1] with ties."""
    Y = (rng.random((n, k)) < np.linspace(0.1, 0.5, k)).astype(int)
    return Y, np.round(np.clip(0.3 * Y + rng.random((n, k)) * 0.7, 0, 1), 2)


def by_loop(Y_true: Array, Y_pred: Array, beta: float, row_weights: Array) -> tuple[Array, Array]:
    """F-beta and G-beta of each class, row by row; nan for an empty class."""
    f, g = [], []
    for true_column, pred_column in zip(Y_true.T, Y_pred.T, strict=True):
        tp = fp = fn = 0.0
        for true, predicted, weight in zip(true_column, pred_column, row_weights, strict=True):
            tp += weight * (true == 1 and predicted == 1)
            fp += weight * (true == 0 and predicted == 1)
            fn += weight * (true == 1 and predicted == 0)
        empty = tp + fp + fn == 0
        f.append(np.nan if empty else (1 + beta**2) * tp / ((1 + beta**2) * tp + fp + beta**2 * fn))
        g.append(np.nan if empty else tp / (tp + fp + beta * fn))
    return np.array(f), np.array(g)


def challenge_weights(Y_true: Array) -> Array:
    return 1.0 / np.maximum(Y_true.sum(axis=1), 1)


# Challenge scores -----------------------------------------------------------------------------------
@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_challenge_scores_agree_with_a_loop(beta: float, rng: np.random.Generator) -> None:
    Y, S = labels_and_scores(rng)
    P = (S > 0.5).astype(int)
    f, g = by_loop(Y, P, beta, challenge_weights(Y))
    assert challenge_f_beta_score(Y, P, beta=beta) == pytest.approx(f.mean(), rel=1e-12)
    assert challenge_g_beta_score(Y, P, beta=beta) == pytest.approx(g.mean(), rel=1e-12)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), beta=st.floats(0.25, 4), zero=st.sampled_from([0.0, 1.0]))
def test_f_beta_agrees_with_scikit_learn(data: st.DataObject, beta: float, zero: float) -> None:
    """Empty rows and empty classes too, with the same zero_division."""
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(2, 4)))
    Y, P = (data.draw(arrays(np.int64, shape, elements=st.integers(0, 1))) for _ in range(2))
    expected = fbeta_score(
        Y, P, beta=beta, average="macro", sample_weight=challenge_weights(Y), zero_division=zero
    )
    assert challenge_f_beta_score(Y, P, beta=beta, zero_division=zero) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_score_laws(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 4)))
    Y, P = (data.draw(arrays(np.bool_, shape)) for _ in range(2))
    if not (Y | P).any():
        return
    f, g = challenge_f_beta_score(Y, P), challenge_g_beta_score(Y, P)
    assert 0.0 <= g <= f <= 1.0
    assert challenge_g_beta_score(Y[::-1, ::-1], P[::-1, ::-1]) == pytest.approx(g)
    if Y.any():
        assert challenge_g_beta_score(Y, Y) == challenge_f_beta_score(Y, Y) == 1.0


@CHALLENGE_SCORES
def test_empty_classes(score: Callable[..., float]) -> None:
    """The second class occurs nowhere; the third is predicted only, and scores zero."""
    Y, P = np.array([[1, 0, 0], [1, 0, 0]]), np.array([[1, 0, 1], [1, 0, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(Y, P) == 0.5
        assert score(Y, P, zero_division=0.0) == pytest.approx(1 / 3)
        assert score(Y, P, zero_division=1.0) == pytest.approx(2 / 3)
        with pytest.raises(ValueError, match="hold no label in any class"):
            score(0 * Y, 0 * P)
        assert score(0 * Y, 0 * P, zero_division=1.0) == 1.0


@CHALLENGE_SCORES
def test_bad_indicators(score: Callable[..., float]) -> None:
    Y = np.eye(3, dtype=int)
    with pytest.raises(ValueError, match=r"Y_pred must hold 0 and 1 only.*\[0.5\].*apply_thresholds"):
        score(Y, 0.5 * Y)
    with pytest.raises(ValueError, match=r"same shape .* got \(3, 3\) and \(3, 2\)"):
        score(Y, Y[:, :2])
    with pytest.raises(ValueError, match="Y_true contains NaN"):
        score(np.where(Y == 1, np.nan, 0), Y)
    with pytest.raises(ValueError, match="Y_true must be a dense numeric array"):
        score([["a", "b", "c"]] * 3, Y)
    for beta in (0, -1, np.nan, "2", True):
        with pytest.raises(ValueError, match="beta must be a positive number"):
            score(Y, Y, beta=beta)


# Thresholds -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", ["g_beta", "f_beta"])
def test_thresholds_agree_with_a_search(metric: str, weighted: bool, rng: np.random.Generator) -> None:
    """As the ECG benchmark: strictly above, the first best of 100, rows alike unless weighted."""
    Y, S = labels_and_scores(rng, n=80, k=3)
    weights = challenge_weights(Y) if weighted else np.ones(len(Y))
    grid = np.linspace(0, 1, 100)
    found = np.array([by_loop(Y, np.greater(S, t).astype(int), 2, weights)[metric == "g_beta"] for t in grid])
    expected = np.nan_to_num(found)
    thresholds = optimal_thresholds(Y, S, metric=metric, sample_weight=weights if weighted else None)
    at = np.searchsorted(grid, thresholds)
    np.testing.assert_array_equal(grid[at], thresholds)
    np.testing.assert_allclose(expected[at, np.arange(3)], expected.max(axis=0), rtol=1e-12)
    if not weighted:  # whole counts: not even rounding moves the first best one
        np.testing.assert_array_equal(thresholds, grid[expected.argmax(axis=0)])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_thresholds=st.integers(2, 9))
def test_scores_on_the_grid_are_not_above_it(data: st.DataObject, n_thresholds: int) -> None:
    grid = np.linspace(0, 1, n_thresholds)
    n = data.draw(st.integers(1, 10))
    S = grid[data.draw(arrays(np.int64, (n, 1), elements=st.integers(0, n_thresholds - 1)))]
    Y = data.draw(arrays(np.int64, (n, 1), elements=st.integers(0, 1)))
    threshold = optimal_thresholds(Y, S, beta=1.5, n_thresholds=n_thresholds)[0]
    if not Y.any():
        assert threshold == 1.0
        return
    g = [np.nan_to_num(by_loop(Y, np.greater(S, t).astype(int), 1.5, np.ones(n))[1][0]) for t in grid]
    assert threshold == grid[np.argmax(g)]


@pytest.mark.parametrize("n_thresholds", [2, 3, 7, 50, 100, 101, 1000])
def test_bins_beside_every_threshold(n_thresholds: int) -> None:
    grid = np.linspace(0, 1, n_thresholds)
    scores = np.concatenate([grid, np.nextafter(grid[1:], 0), np.nextafter(grid[:-1], 1)])
    np.testing.assert_array_equal(_classification._grid_bins(scores, grid), np.searchsorted(grid, scores))


def test_apply_thresholds_fills_empty_rows() -> None:
    S = np.array([[0.2, 0.6], [0.5, 0.1], [0.1, 0.3], [0.2, 0.2]])
    expected = [[0, 1], [1, 0], [0, 1], [1, 0]]  # 0.5 is not above 0.5; the last row is a tie
    found = apply_thresholds(S, [0.5, 0.4])
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(apply_thresholds(S, 0.5), expected)
    np.testing.assert_array_equal(apply_thresholds(S, -np.inf), np.ones((4, 2)))


def test_the_unit_of_weights_does_not_matter(rng: np.random.Generator) -> None:
    Y, S = labels_and_scores(rng, k=3)
    expected = optimal_thresholds(Y, S, sample_weight=1 + S[:, 0])
    for unit in (2.0**-1000, 2.0**1000):
        found = optimal_thresholds(Y, S, sample_weight=unit * (1 + S[:, 0]))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("score", [challenge_f_beta_score, challenge_g_beta_score])
@pytest.mark.parametrize("beta", [1e200, 10**400, 0, True, np.nan])
def test_bad_beta(score: Callable[..., float], beta: Any) -> None:
    Y = np.eye(3, dtype=int)
    with pytest.raises(ValueError, match=r"beta must be a positive number, at most 1e\+100"):
        score(Y, Y, beta=beta)


@pytest.mark.parametrize("value", ["a", None, np.inf, 1e300])
def test_bad_zero_division(value: Any) -> None:
    Y = np.eye(3, dtype=int)
    with pytest.raises(ValueError, match="zero_division must be a score in"):
        challenge_f_beta_score(Y, Y, zero_division=value)


def test_bad_thresholds() -> None:
    Y, S = np.eye(3, dtype=int), np.full((3, 3), 0.5)
    with pytest.raises(ValueError, match=r"Y_score must lie in \[0, 1\], got \[-1, 0.5\].*expit"):
        optimal_thresholds(Y, np.where(Y == 1, -1, S))
    with pytest.raises(ValueError, match="metric must be 'g_beta' or 'f_beta', got 'auc'"):
        optimal_thresholds(Y, S, metric="auc")
    with pytest.raises(ValueError, match="n_thresholds must be an integer of at least 2"):
        optimal_thresholds(Y, S, n_thresholds=1)
    nothing, pairs = [0.0, 0.0, 0.0], np.ones((3, 2))
    for weight in ([1.0, 2.0], [1.0, -1.0, 1.0], [1.0, np.nan, 1.0], nothing, pairs):
        with pytest.raises(ValueError, match="sample_weight must hold 3 weights"):
            optimal_thresholds(Y, S, sample_weight=weight)
    for thresholds in ([0.1, 0.2], [[0.1, 0.2, 0.3]], [0.1, np.nan, 0.2]):
        with pytest.raises(ValueError, match="thresholds must be one number or 3 numbers"):
            apply_thresholds(S, thresholds)
    with pytest.raises(ValueError, match="Y_score contains NaN"):
        apply_thresholds(np.full((3, 3), np.nan), 0.5)


# Macro AUC ------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_auc_agrees_with_scikit_learn(data: st.DataObject) -> None:
    """Ties included: the scores are few small integers."""
    shape = data.draw(st.tuples(st.integers(2, 12), st.integers(1, 4)))
    Y = data.draw(arrays(np.int64, shape, elements=st.integers(0, 1)))
    S = data.draw(arrays(np.float64, shape, elements=st.integers(-2, 2)))
    Y[0], Y[1] = 0, 1
    expected = np.mean([roc_auc_score(y, s) for y, s in zip(Y.T, S.T, strict=True)])
    assert macro_roc_auc_score(Y, S) == pytest.approx(expected, abs=1e-12)
    assert macro_roc_auc_score(Y, -S) == pytest.approx(1 - expected, abs=1e-12)


def test_auc_of_class_labels(rng: np.random.Generator) -> None:
    y = np.array(["a", "b", "c"])[rng.integers(3, size=90)]
    S = rng.random((90, 3))
    S /= S.sum(axis=1, keepdims=True)
    expected = roc_auc_score(y, S, multi_class="ovr", average="macro")
    assert macro_roc_auc_score(y, S) == pytest.approx(expected, rel=1e-12)
    binary = (y == "a").astype(int)
    assert macro_roc_auc_score(binary, S[:, 0]) == pytest.approx(roc_auc_score(binary, S[:, 0]))
    assert macro_roc_auc_score(binary, S[:, [1, 0]]) > 0  # the two columns of predict_proba
    with pytest.raises(ValueError, match="Y_true holds 3 distinct labels, but Y_score has 2 columns"):
        macro_roc_auc_score(y, S[:, :2])


def test_single_class_columns_are_named(rng: np.random.Generator) -> None:
    Y, S = labels_and_scores(rng, k=3)
    Y[:, 0], Y[:, 2] = 0, 1
    with pytest.raises(
        ValueError, match=r"undefined for Y_true columns 0, 2: one class only.*single_class='skip'"
    ):
        macro_roc_auc_score(Y, S)
    frame = pd.DataFrame(Y, columns=["AFIB", "NORM", "PVC"])
    with pytest.warns(UndefinedMetricWarning, match="columns 'AFIB', 'PVC'.*left out of the mean"):
        score = macro_roc_auc_score(frame, S, single_class="skip")
    assert score == pytest.approx(roc_auc_score(Y[:, 1], S[:, 1]))
    with pytest.raises(ValueError, match="undefined for Y_true columns 0, 1: one class only"):
        macro_roc_auc_score(Y[:, [0, 2]], S[:, :2], single_class="skip")
    with pytest.raises(ValueError, match="single_class must be 'raise' or 'skip', got 'nan'"):
        macro_roc_auc_score(Y, S, single_class="nan")


def test_bad_scores(rng: np.random.Generator) -> None:
    Y, S = labels_and_scores(rng, k=3)
    with pytest.raises(ValueError, match="Y_score contains NaN or infinity in 1 of 200 rows"):
        macro_roc_auc_score(Y, np.where(np.arange(200)[:, None] == 3, np.nan, S))
    for fewer in ((Y, S[:-1]), (Y[:-1], S)):
        with pytest.raises(ValueError, match="same shape"):
            macro_roc_auc_score(*fewer)
    with pytest.raises(ValueError, match=r"Y_score must have shape \(n_samples, n_classes\), got \(0, 3\)"):
        macro_roc_auc_score(Y[:0], S[:0])
