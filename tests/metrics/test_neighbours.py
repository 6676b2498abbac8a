"""Coverage, density, precision, recall against prdc, and against plain loops where prdc is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prdc import compute_prdc
from scipy.linalg import qr
from scipy.spatial.distance import cdist

from sktgdp.metrics import (
    _distances,
    coverage_score,
    density_score,
    distance_to_closest_record,
    memorization_ratio,
    precision_score_knn,
    recall_score_knn,
)

Array = NDArray[np.float64]
SCORES: dict[str, Callable[..., float]] = {
    "coverage": coverage_score,
    "density": density_score,
    "precision": precision_score_knn,
    "recall": recall_score_knn,
}
ALL_SCORES = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def plain(real: Array, syn: Array, k: int, metric: Any = "euclidean") -> dict[str, float]:
    """The definitions with closed balls, word for word."""

    def radii(X: Array) -> Array:
        D = cdist(X, X, metric)
        np.fill_diagonal(D, np.inf)
        return np.sort(D, axis=1)[:, k - 1] * (1 + 1e-12) + 1e-14

    D = cdist(real, syn, metric)
    scores = {}
    if len(real) > k:
        in_real = radii(real)[:, None] >= D
        scores = {
            "precision": in_real.any(0).mean(),
            "density": in_real.sum(0).mean() / k,
            "coverage": in_real.any(1).mean(),
        }
    if len(syn) > k:
        scores["recall"] = (radii(syn)[None] >= D).any(1).mean()
    return {name: float(value) for name, value in scores.items()}


@pytest.mark.parametrize(("n", "m", "d", "k"), [(200, 150, 2, 5), (150, 220, 8, 3), (120, 120, 40, 1)])
def test_agrees_with_prdc(
    n: int, m: int, d: int, k: int, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    real, syn = rng.normal(size=(n, d)), 1.1 * rng.normal(size=(m, d)) + 0.2
    expected = compute_prdc(real, syn, k)
    capsys.readouterr()  # prdc prints
    for name, score in SCORES.items():
        assert score(real, syn, n_neighbors=k) == pytest.approx(expected[name], abs=1e-12), name
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("metric", ["manhattan", "cosine", "chebyshev", "correlation"])
def test_other_metrics(metric: str, rng: np.random.Generator) -> None:
    real, syn = rng.normal(size=(80, 5)), rng.normal(size=(60, 5)) + 0.3
    for name, expected in plain(real, syn, 4, "cityblock" if metric == "manhattan" else metric).items():
        assert SCORES[name](real, syn, n_neighbors=4, metric=metric) == pytest.approx(expected), name


def test_callable_metric(rng: np.random.Generator) -> None:
    real, syn = rng.normal(size=(2, 20, 3))

    def distance(a: Array, b: Array) -> float:
        return float(np.abs(a - b).max())

    assert density_score(real, syn, metric=distance) == density_score(real, syn, metric="chebyshev")


@ALL_SCORES
@pytest.mark.parametrize("d", [3, 20])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_copy_of_duplicated_rows_scores_one(
    score: Callable[..., float], d: int, metric: str, rng: np.random.Generator
) -> None:
    """Balls of radius zero: prdc gives 0 here."""
    X = np.repeat(rng.normal(size=(10, d)) + 1e3, 6, axis=0)
    copy = rng.permutation(X)
    assert score(X, copy, metric=metric) == pytest.approx(1.2 if score is density_score else 1.0)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), d=st.integers(1, 9), k=st.integers(1, 3))
def test_ties_of_discrete_rows_count(data: st.DataObject, d: int, k: int) -> None:
    """Small integers tie everywhere; both searches (tree and matrix product) see every tie."""
    rows = st.lists(st.lists(st.integers(0, 2), min_size=d, max_size=d), min_size=k + 1, max_size=14)
    real, syn = (np.array(data.draw(rows), dtype=float) for _ in range(2))
    for name, expected in plain(real, syn, k).items():
        assert SCORES[name](real, syn, n_neighbors=k) == pytest.approx(expected, abs=1e-12), name


@ALL_SCORES
def test_invariances(score: Callable[..., float], rng: np.random.Generator) -> None:
    real, syn = rng.normal(size=(90, 12)), rng.normal(size=(70, 12)) * 1.3
    value = score(real, syn)
    rotation = qr(rng.normal(size=(12, 12)))[0]
    assert score(rng.permutation(real), rng.permutation(syn)) == pytest.approx(value, abs=1e-12)
    assert score(real @ rotation, syn @ rotation) == pytest.approx(value, abs=1e-12)
    assert score(7 * real + 1e6, 7 * syn + 1e6) == pytest.approx(value, abs=1e-12)
    series = score(real.reshape(90, 3, 4), syn.reshape(70, 3, 4))
    assert series == value
    assert isinstance(series, float)


@pytest.mark.parametrize("d", [4, 12])
def test_tight_clusters_far_apart(d: int, rng: np.random.Generator) -> None:
    """Years in seconds beside features of unit scale: a bare matrix product sees no neighbours here."""
    real, syn = rng.normal(size=(90, d)), rng.normal(size=(60, d)) * 1.2
    real[:, 0], syn[:, 0] = 3e7 * rng.integers(4, size=90) + 1e9, 3e7 * rng.integers(4, size=60) + 1e9
    real[0] += 1e9  # and an outlier
    for name, expected in plain(real, syn, 5).items():
        assert SCORES[name](real, syn) == pytest.approx(expected, abs=1e-12), name
    closest = distance_to_closest_record(real, syn, quantile=None)
    np.testing.assert_allclose(closest, cdist(syn, real).min(axis=1), rtol=1e-9)


@ALL_SCORES
def test_blocks_do_not_change_the_score(
    score: Callable[..., float], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, syn = rng.normal(size=(2, 50, 10))
    value = score(real, syn)
    monkeypatch.setattr(_distances, "BLOCK_BYTES", 1)
    assert score(real, syn) == value


def test_one_law_scores_as_the_theory_says(rng: np.random.Generator) -> None:
    real, syn = rng.normal(size=(2, 3000, 4))
    assert coverage_score(real, syn) == pytest.approx(1 - 2**-5, abs=0.01)
    assert density_score(real, syn) == pytest.approx(1.0, abs=0.03)


@ALL_SCORES
def test_far_samples_score_zero(score: Callable[..., float], rng: np.random.Generator) -> None:
    real, syn = rng.normal(size=(2, 30, 4))
    assert score(real, syn + 1e4) == 0.0


@pytest.mark.parametrize("score", [coverage_score, density_score, precision_score_knn])
def test_few_rows(score: Callable[..., float]) -> None:
    X = np.arange(12.0).reshape(6, 2)
    assert score(X, X[:1]) > 0  # one synthetic row and k + 1 real ones suffice
    with pytest.raises(ValueError, match=r"X_real has 5 rows, but n_neighbors=5 .* needs at least 6"):
        score(X[:5], X)
    with pytest.raises(ValueError, match="X_syn has 5 rows"):
        recall_score_knn(X, X[:5])
    assert recall_score_knn(X[:1], X) == 1.0


@ALL_SCORES
@pytest.mark.parametrize("k", [0, 2.0, True, "5"])
def test_bad_neighbours(score: Callable[..., float], k: object) -> None:
    with pytest.raises(ValueError, match="n_neighbors must be an integer of at least 1"):
        score(np.eye(4), np.eye(4), n_neighbors=k)


# Privacy --------------------------------------------------------------------------------------------
def test_distance_to_closest_record(rng: np.random.Generator) -> None:
    for d in (3, 20):
        train, syn = rng.normal(size=(60, d)) + 1e4, rng.normal(size=(40, d)) + 1e4
        expected = cdist(syn, train).min(axis=1)
        distances = distance_to_closest_record(train, syn, quantile=None)
        np.testing.assert_allclose(distances, expected, rtol=1e-12)
        assert distance_to_closest_record(train, syn) == pytest.approx(np.quantile(expected, 0.05))
        manhattan = distance_to_closest_record(train, syn, quantile=0.5, metric="manhattan")
        assert manhattan == pytest.approx(np.median(cdist(syn, train, "cityblock").min(axis=1)))
        assert distance_to_closest_record(train, train[:7], quantile=0.9) == 0.0  # copies: exactly zero


@pytest.mark.parametrize("d", [4, 20])
def test_memorization_ratio(d: int, rng: np.random.Generator) -> None:
    train, fresh = rng.normal(size=(200, d)), rng.normal(size=(100, d))
    assert memorization_ratio(train, train) == 1.0
    assert memorization_ratio(train, fresh) < 0.05
    assert memorization_ratio(train, np.concatenate([train[:30] + 1e-6, fresh[:70]])) == pytest.approx(
        0.3, abs=0.03
    )
    D = np.sort(cdist(fresh, train), axis=1)
    assert memorization_ratio(train, fresh, threshold=0.9) == np.mean(D[:, 0] <= 0.9 * D[:, 1])


def test_copies_of_a_record_entered_twice_are_found(rng: np.random.Generator) -> None:
    train = np.repeat(rng.normal(size=(20, 5)), 2, axis=0)
    assert memorization_ratio(train, train[:10] + 1e-9) == 1.0


def test_bad_privacy_input() -> None:
    with pytest.raises(ValueError, match="all 3 rows of X_real are equal"):
        memorization_ratio(np.ones((3, 2)), np.eye(2))
    with pytest.raises(ValueError, match="threshold must be a number strictly between 0 and 1, got 1"):
        memorization_ratio(np.eye(2), np.eye(2), threshold=1)
    with pytest.raises(ValueError, match="quantile must be a number strictly between 0 and 1, got 5"):
        distance_to_closest_record(np.eye(2), np.eye(2), quantile=5)
