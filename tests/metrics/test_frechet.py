"""Fréchet distances against matrix square roots, closed forms and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import qr, sqrtm
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from sktgdp.metrics import _frechet, fid_infinity_score, fid_score, frechet_distance

Array = NDArray[np.float64]


def by_sqrtm(F: Array, G: Array) -> float:
    """The textbook form, right for regular covariances."""
    C1, C2 = np.cov(F, rowvar=False), np.cov(G, rowvar=False)
    return float(np.sum((F.mean(0) - G.mean(0)) ** 2) + np.trace(C1 + C2 - 2 * np.real(sqrtm(C1 @ C2))))


def exact_sample(mean: Array, covariance: Array, n: int, rng: np.random.Generator) -> Array:
    """Rows with exactly this sample mean and this (possibly singular) sample covariance."""
    d = len(mean)
    Z = rng.normal(size=(n, d))
    Z -= Z.mean(0)
    Z = np.linalg.qr(Z)[0] * np.sqrt(n - 1)
    values, vectors = np.linalg.eigh(covariance)
    return mean + Z @ (vectors * np.sqrt(values.clip(0))).T


@pytest.mark.parametrize(("n", "m", "d"), [(50, 80, 1), (200, 150, 7), (500, 400, 64)])
def test_agrees_with_matrix_square_root(n: int, m: int, d: int, rng: np.random.Generator) -> None:
    F = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    G = rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 0.5
    expected = by_sqrtm(F, G) if d > 1 else (F.mean() - G.mean()) ** 2 + (F.std(ddof=1) - G.std(ddof=1)) ** 2
    assert frechet_distance(F, G) == pytest.approx(expected, rel=1e-9)


def test_closed_form_of_commuting_gaussians(rng: np.random.Generator) -> None:
    a, b = rng.uniform(0.1, 3.0, size=(2, 6))
    rotation = qr(rng.normal(size=(6, 6)))[0]
    mean = rng.normal(size=6)
    F = exact_sample(np.zeros(6), rotation @ np.diag(a**2) @ rotation.T, 50, rng)
    G = exact_sample(mean, rotation @ np.diag(b**2) @ rotation.T, 40, rng)
    assert frechet_distance(F, G) == pytest.approx(mean @ mean + np.sum((a - b) ** 2), rel=1e-12)


def test_closed_form_of_singular_covariances(rng: np.random.Generator) -> None:
    """C1 = diag(4, 0, 1) and C2 = diag(1, 9, 0): only the first axis is shared."""
    F = exact_sample(np.zeros(3), np.diag([4.0, 0.0, 1.0]), 20, rng)
    G = exact_sample(np.zeros(3), np.diag([1.0, 9.0, 0.0]), 30, rng)
    assert frechet_distance(F, G) == pytest.approx((2 - 1) ** 2 + 9 + 1, rel=1e-7)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_fewer_rows_than_features(n: int, rng: np.random.Generator) -> None:
    """With orthogonal row spaces nothing is shared, and the distance is the sum of the traces."""
    F, G = np.zeros((n, 60)), np.zeros((n, 60))
    F[:, :30], G[:, 30:] = rng.normal(size=(2, n, 30))
    F, G = F - F.mean(0), G - G.mean(0)
    traces = F.var(axis=0, ddof=1).sum() + G.var(axis=0, ddof=1).sum()
    assert frechet_distance(F, G) == pytest.approx(traces, rel=1e-12)
    assert frechet_distance(F, F) == pytest.approx(0.0, abs=1e-12 * traces)
    assert frechet_distance(F, 3 * F) == pytest.approx(4 * F.var(axis=0, ddof=1).sum(), rel=1e-10)


def test_fast_and_exact_route_agree(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    d = 60
    monkeypatch.setattr(_frechet, "FAST_MIN_FEATURES", d)
    F = rng.normal(size=(700, d)) * np.linspace(0.3, 2.0, d)
    G = rng.normal(size=(600, d)) @ rng.normal(size=(d, d)) / np.sqrt(d)
    assert _frechet._fast_root_trace(np.cov(F, rowvar=False), np.cov(G, rowvar=False)) is not None
    fast = frechet_distance(F, G)
    monkeypatch.setattr(_frechet, "FAST_MIN_FEATURES", d + 1)
    assert fast == pytest.approx(frechet_distance(F, G), rel=1e-10)


@pytest.mark.parametrize("decay", [0.5, 1.0, 2.0, 4.0])
def test_fast_route_keeps_its_digits(
    decay: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spectra like 1 / i**decay in unrelated bases, up to a condition number of 1e16."""
    d = 100
    scales = np.arange(1.0, d + 1) ** -decay
    F, G = (rng.normal(size=(250, d)) * scales @ qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    exact = frechet_distance(F, G)
    monkeypatch.setattr(_frechet, "FAST_MIN_FEATURES", d)
    assert frechet_distance(F, G) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("scale", [0.0, 1e-9])
def test_fast_route_leaves_singular_covariances(
    scale: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    d = 100
    monkeypatch.setattr(_frechet, "FAST_MIN_FEATURES", d)
    scales = np.ones(d)
    scales[d // 2 :] = scale
    F, G = rng.normal(size=(2, 600, d)) * scales
    fast = _frechet._fast_root_trace(np.cov(F, rowvar=False), np.cov(G, rowvar=False))
    assert (fast is None) == (scale == 0.0)
    half = frechet_distance(F[:, : d // 2], G[:, : d // 2])
    traces = 2 * (d // 2)
    assert frechet_distance(F, G) == pytest.approx(half, abs=1e-8 * traces)


def test_fast_route_gives_way_to_the_bound(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    covariances = [F.T @ F for F in rng.normal(size=(2, 30, 5))]
    assert _frechet._fast_root_trace(*covariances) is not None
    monkeypatch.setattr(_frechet, "FAST_TOLERANCE", 0.0)
    assert _frechet._fast_root_trace(*covariances) is None


@pytest.mark.parametrize("d", [3, 256])
def test_constant_sample(d: int, rng: np.random.Generator) -> None:
    F = rng.normal(size=(2 * d, d))
    expected = F.var(axis=0, ddof=1).sum() + np.sum((F.mean(0) - 1.0) ** 2)
    constant = np.ones((2 * d, d))
    assert frechet_distance(F, constant) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(constant, F) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(constant, constant) == 0.0


@pytest.mark.parametrize(("n", "d"), [(100, 8), (10, 30)])
def test_invariances(n: int, d: int, rng: np.random.Generator) -> None:
    F, G = rng.normal(size=(n, d)), 1.5 * rng.normal(size=(n + 7, d)) + 1
    distance = frechet_distance(F, G)
    rotation = qr(rng.normal(size=(d, d)))[0]
    assert frechet_distance(G, F) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(F @ rotation + 5, G @ rotation + 5) == pytest.approx(distance, rel=1e-9)
    assert frechet_distance(rng.permutation(F), rng.permutation(G)) == pytest.approx(distance, rel=1e-10)
    assert frechet_distance(10 * F, 10 * G) == pytest.approx(100 * distance, rel=1e-10)


def test_extrapolation_removes_the_bias(rng: np.random.Generator) -> None:
    plain, extrapolated = [], []
    for seed in range(12):
        X, Z = rng.normal(size=(2, 100, 16))
        plain.append(fid_score(X, Z))
        extrapolated.append(fid_infinity_score(X, Z, random_state=seed))
    assert np.mean(plain) > 1.4
    assert abs(np.mean(extrapolated)) < 0.3
    assert fid_infinity_score(X, Z, random_state=3) == fid_infinity_score(X, Z, random_state=3)


class Embedder:
    """An extractor with both methods; ``embed`` goes first."""

    def embed(self, X: Array) -> Array:
        return X.mean(axis=2)

    def transform(self, X: Array) -> Array:
        raise AssertionError("embed goes first")


def test_feature_extractors(rng: np.random.Generator) -> None:
    X, Z = rng.normal(size=(2, 40, 3, 8))
    expected = frechet_distance(X.mean(axis=2), Z.mean(axis=2))
    assert fid_score(X, Z, lambda rows: rows.mean(axis=2)) == expected
    assert fid_score(X, Z, Embedder()) == expected
    assert fid_score(X, Z) == frechet_distance(X.reshape(40, -1), Z.reshape(40, -1))
    pca = PCA(2).fit(X.reshape(40, -1))
    flat_X, flat_Z = X.reshape(40, -1), Z.reshape(40, -1)
    assert fid_score(flat_X, flat_Z, pca) == frechet_distance(pca.transform(flat_X), pca.transform(flat_Z))
    assert isinstance(fid_infinity_score(X, Z, Embedder(), random_state=0), float)
    with pytest.raises(NotFittedError):
        fid_score(flat_X, flat_Z, PCA(2))


@pytest.mark.parametrize(
    ("extractor", "error", "message"),
    [
        (3, TypeError, "feature_extractor must be None, a callable"),
        (PCA, TypeError, "feature_extractor must be"),
        (lambda X: X[:2], ValueError, "one row of features per row of X_real, got 2 for 5 rows"),
        (lambda X: X * np.nan, ValueError, r"feature_extractor\(X_real\) contains NaN"),
        (lambda X: X.sum(axis=1), ValueError, r"feature_extractor\(X_real\) must have shape"),
    ],
)
def test_bad_extractors(extractor: object, error: type[Exception], message: str) -> None:
    X = np.arange(10.0).reshape(5, 2)
    with pytest.raises(error, match=message):
        fid_score(X, X, extractor)


def test_bad_input() -> None:
    X = np.arange(12.0).reshape(4, 3)
    with pytest.raises(
        ValueError, match="F_syn has 1 rows, but a covariance of the features needs at least 2"
    ):
        frechet_distance(X, X[:1])
    with pytest.raises(ValueError, match=r"rows of the same shape, got \(3,\) and \(2,\)"):
        frechet_distance(X, X[:, :2])
    with pytest.raises(ValueError, match="overflows"):
        frechet_distance(X * 1e200, X)
    with pytest.raises(ValueError, match="needs at least 4"):
        fid_infinity_score(X[:3], X)
    with pytest.raises(ValueError, match="n_points must be an integer of at least 2"):
        fid_infinity_score(X, X, n_points=1)
