"""Two-sample distances against scipy, closed forms of Gaussians and invariances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import qr
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from sktgdp.metrics import (
    _distances,
    average_likelihood,
    energy_distance,
    sliced_wasserstein_distance,
    two_sample_auc,
)

Array = NDArray[np.float64]
DISTANCES = pytest.mark.parametrize(
    "distance",
    [energy_distance, lambda X, Z: sliced_wasserstein_distance(X, Z, random_state=0)],
    ids=["energy", "sliced"],
)
samples = arrays(np.float64, st.integers(1, 12), elements=st.floats(-100, 100, width=32))


@settings(max_examples=60, deadline=None)
@given(x=samples, z=samples)
def test_one_dimension_agrees_with_scipy(x: Array, z: Array) -> None:
    """Any sizes, duplicates and all."""
    X, Z = x[:, None], z[:, None]
    assert energy_distance(X, Z) == pytest.approx(stats.energy_distance(x, z), abs=1e-5)
    assert sliced_wasserstein_distance(X, Z, order=1) == pytest.approx(
        stats.wasserstein_distance(x, z), abs=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(x=samples, z=samples, order=st.floats(1, 4))
def test_unequal_sizes_are_exact(x: Array, z: Array, order: float) -> None:
    """Repeating every row brings both samples to one size without changing their laws."""
    m, n = len(x), len(z)
    common = np.sort(np.repeat(x, n)) - np.sort(np.repeat(z, m))
    expected = np.mean(np.abs(common) ** order) ** (1 / order)
    distance = sliced_wasserstein_distance(x[:, None], z[:, None], order=order)
    assert distance == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 1), (50, 20, 3), (40, 40, 100)])
def test_energy_distance_is_its_definition(
    n: int, m: int, d: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Z = rng.normal(size=(n, d)) + 1e3, 2 * rng.normal(size=(m, d)) + 1e3
    squared = 2 * cdist(X, Z).mean() - cdist(X, X).mean() - cdist(Z, Z).mean()
    assert energy_distance(X, Z) == pytest.approx(np.sqrt(squared), rel=1e-9)
    monkeypatch.setattr(_distances, "BLOCK_BYTES", 1000)
    assert energy_distance(X, Z) == pytest.approx(np.sqrt(squared), rel=1e-9)


@pytest.mark.parametrize("apart", [1e3, 1e5, 1e6])
def test_energy_distance_of_tight_groups_far_apart(apart: float, rng: np.random.Generator) -> None:
    """Distances within a group are below the rounding of a product of coordinates."""
    group = apart * (np.arange(60) % 2)[:, None] * np.ones(2)
    X, Z = (1e-3 * rng.normal(size=(60, 2)) + offset + group for offset in (0.0, 0.5))
    squared = 2 * cdist(X, Z).mean() - cdist(X, X).mean() - cdist(Z, Z).mean()
    assert energy_distance(X, Z) == pytest.approx(np.sqrt(squared), rel=1e-5)
    assert energy_distance(X, X) == 0.0


def test_sliced_distance_of_a_shift_and_a_scale(rng: np.random.Generator) -> None:
    """In every direction a shift moves by its projection; orthogonal directions average that exactly."""
    X, shift = rng.normal(size=(500, 5)), rng.normal(size=5)
    shifted = sliced_wasserstein_distance(X, X + shift, n_projections=10, random_state=0)
    assert shifted == pytest.approx(np.linalg.norm(shift) / np.sqrt(5), rel=1e-10)
    second_moments = np.trace(X.T @ X) / len(X) / 5
    scaled = sliced_wasserstein_distance(X, 3 * X, n_projections=5, random_state=0)
    assert scaled == pytest.approx(2 * np.sqrt(second_moments), rel=1e-10)


def test_sliced_distance_of_gaussians(rng: np.random.Generator) -> None:
    """Between N(0, I) and N(m, s^2 I): the root of |m|^2 / d + (1 - s)^2."""
    X, Z = rng.normal(size=(20_000, 3)), 2 * rng.normal(size=(15_000, 3)) + [1.0, 0.0, -2.0]
    assert sliced_wasserstein_distance(X, Z, random_state=0) == pytest.approx(np.sqrt(5 / 3 + 1), rel=0.02)


def test_orthogonal_directions_in_many_dimensions(rng: np.random.Generator) -> None:
    """More features than directions, and a number of directions that no group size divides."""
    X, Z = rng.normal(size=(40, 300)), rng.normal(size=(30, 300)) + 1
    for n_projections in (7, 64, 301):
        value = sliced_wasserstein_distance(X, Z, n_projections=n_projections, random_state=0)
        assert 0.5 < value < 2.0


@DISTANCES
def test_distance_laws(distance: Callable[[Array, Array], float], rng: np.random.Generator) -> None:
    X, Z = rng.normal(size=(60, 6)), rng.normal(size=(45, 6)) + 0.7
    value = distance(X, Z)
    assert isinstance(value, float)
    assert distance(Z, X) == pytest.approx(value, rel=1e-9)
    assert distance(X, rng.permutation(X)) == pytest.approx(0.0, abs=1e-7)
    assert distance(np.repeat(X, 3, axis=0), Z) == pytest.approx(value, rel=1e-9)
    assert distance(X + 100, Z + 100) == pytest.approx(value, rel=1e-9)
    assert distance(X.reshape(60, 2, 3), Z.reshape(45, 2, 3)) == value


def test_rotation(rng: np.random.Generator) -> None:
    X, Z = rng.normal(size=(60, 6)), rng.normal(size=(45, 6)) + 0.7
    rotation = qr(rng.normal(size=(6, 6)))[0]
    assert energy_distance(X @ rotation, Z @ rotation) == pytest.approx(energy_distance(X, Z), rel=1e-9)
    rotated = sliced_wasserstein_distance(X @ rotation, Z @ rotation, n_projections=6000, random_state=0)
    assert rotated == pytest.approx(
        sliced_wasserstein_distance(X, Z, n_projections=6000, random_state=1), rel=0.01
    )


@DISTANCES
def test_one_row(distance: Callable[[Array, Array], float]) -> None:
    assert distance(np.zeros((1, 2)), np.zeros((1, 2))) == 0.0
    assert distance(np.zeros((1, 2)), np.ones((1, 2))) > 0.5


# Classifier two-sample test -------------------------------------------------------------------------
def test_auc_tells_equal_from_different(rng: np.random.Generator) -> None:
    X, same, other = rng.normal(size=(300, 2)), rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 3
    assert two_sample_auc(X, same, random_state=0) == pytest.approx(0.5, abs=0.08)
    assert two_sample_auc(X, other, random_state=0) > 0.95
    assert two_sample_auc(X, X + 1e-6, random_state=0) < 0.3  # copies, as the docstring says
    value = two_sample_auc(X, other, random_state=0)
    assert value == two_sample_auc(X, other, random_state=0)


def test_auc_of_a_shift_has_a_closed_form(rng: np.random.Generator) -> None:
    """The best classifier between N(0, 1) and N(1, 1) has AUC Phi(1 / sqrt 2)."""
    X, Z = rng.normal(size=(4000, 1)), rng.normal(size=(3000, 1)) + 1
    auc = two_sample_auc(X, Z, classifier=LogisticRegression(), cv=StratifiedKFold(3, shuffle=True))
    assert auc == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.02)


def test_bad_folds() -> None:
    X = np.arange(8.0)[:, None]
    with pytest.raises(ValueError, match="X_syn has 3 rows, but cv=5 needs at least 5"):
        two_sample_auc(X, X[:3])
    with pytest.raises(ValueError, match="cv must be an integer of at least 2"):
        two_sample_auc(X, X, cv=1)
    with pytest.warns(match="Only one class"), pytest.raises(ValueError, match="rows of one sample only"):
        two_sample_auc(X, X, cv=KFold(4), classifier=LogisticRegression())


# Average likelihood ---------------------------------------------------------------------------------
def test_average_likelihood_of_the_paper(rng: np.random.Generator) -> None:
    """Exact samples score 0.4006, and a collapse onto the modes 0.796."""
    modes = np.array([[0.5, -0.5], [-0.5, 0.5]])

    def log_density(x: Array) -> Array:
        return np.logaddexp.reduce([stats.multivariate_normal(m, 0.1).logpdf(x) for m in modes]) - np.log(2)

    exact = modes[rng.integers(2, size=20_000)] + np.sqrt(0.1) * rng.normal(size=(20_000, 2))
    assert average_likelihood(exact, log_density) == pytest.approx(0.4006, abs=0.005)
    assert average_likelihood(modes, log_density) == pytest.approx(0.796, abs=1e-3)


def test_average_likelihood_of_series_and_impossible_rows() -> None:
    X = np.array([[[0.5, 0.5]], [[2.0, 0.0]]])  # one inside the unit square, one outside

    def log_density(x: Array) -> Array:
        assert x.shape == (2, 1, 2)
        return np.where((x <= 1).all(axis=(1, 2)), 0.0, -np.inf)

    assert average_likelihood(X, log_density) == 0.5
    assert average_likelihood(X, lambda x: np.full(2, -np.inf)) == 0.0


@pytest.mark.parametrize(
    ("log_density", "error", "message"),
    [
        (lambda x: np.zeros((3, 1)), ValueError, r"one value per row, shape \(3,\), got \(3, 1\)"),
        (lambda x: np.full(3, np.nan), ValueError, "log_density must be finite or -inf"),
        (lambda x: np.full(3, 1e4), OverflowError, "Average the log density instead"),
    ],
)
def test_bad_densities(log_density: Callable[..., Array], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        average_likelihood(np.eye(3), log_density)


@pytest.mark.parametrize("order", [0.5, np.inf, np.nan, "2", True])
def test_bad_order(order: object) -> None:
    with pytest.raises(ValueError, match="order must be a finite number of at least 1"):
        sliced_wasserstein_distance(np.eye(3), np.eye(3), order=order)
