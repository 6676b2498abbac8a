"""Rows in any unit that floats can hold, features whose units are far apart, and what is no number."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from sktgdp.metrics import (
    bootstrap_interval,
    coverage_score,
    density_score,
    distance_to_closest_record,
    energy_distance,
    fid_infinity_score,
    frechet_distance,
    macro_roc_auc_score,
    memorization_ratio,
    precision_score_knn,
    recall_score_knn,
    sliced_wasserstein_distance,
    two_sample_auc,
)

Metric = Callable[..., Any]

RNG = np.random.default_rng(0)
REAL, SYN = RNG.normal(size=(40, 3)), 1.3 * RNG.normal(size=(30, 3)) + 0.2
SHARES = [coverage_score, density_score, precision_score_knn, recall_score_knn, memorization_ratio]
SEEDED = partial(sliced_wasserstein_distance, random_state=0)
LENGTHS: list[tuple[Metric, float]] = [
    (energy_distance, 0.5),
    (SEEDED, 1),
    (partial(SEEDED, order=1000), 1),
    (distance_to_closest_record, 1),
    (partial(distance_to_closest_record, quantile=None), 1),
    (partial(distance_to_closest_record, metric="manhattan"), 1),
    (partial(distance_to_closest_record, metric="cosine"), 0),
    (frechet_distance, 2),
    (partial(fid_infinity_score, n_points=3, random_state=0), 2),
]


def called(metric: Metric) -> str:
    return getattr(metric, "__name__", str(getattr(metric, "keywords", "")))


@pytest.mark.parametrize("exponent", [-1000, -560, -1, 1, 560, 1000])
@pytest.mark.parametrize(
    "score",
    [*SHARES, *(partial(s, metric="minkowski") for s in SHARES), partial(two_sample_auc, random_state=0)],
)
def test_shares_have_no_unit(score: Metric, exponent: int) -> None:
    """Equal bit for bit, whatever the unit."""
    unit = 2.0**exponent
    assert score(REAL * unit, SYN * unit) == score(REAL, SYN)


@pytest.mark.parametrize("exponent", [-1000, -500, 2, 500, 1000])
@pytest.mark.parametrize(("distance", "degree"), LENGTHS, ids=lambda value: called(value))
def test_distances_are_in_the_unit_of_the_rows(distance: Metric, degree: float, exponent: int) -> None:
    """Equal but for the factor, or announced where the factor is beyond the floats."""
    unit = 2.0**exponent
    if abs(degree * exponent) > 1023:
        with pytest.raises(ValueError, match=r"overflows on such large|too small for a"):
            distance(REAL * unit, SYN * unit)
    else:
        expected = distance(REAL, SYN) * 2.0 ** (degree * exponent)
        np.testing.assert_array_equal(distance(REAL * unit, SYN * unit), expected)


def test_a_high_order_is_the_widest_gap() -> None:
    """The order to infinity is the largest difference of quantiles."""
    far = sliced_wasserstein_distance([[0.0], [1000.0]], [[0.0], [4000.0]], order=1e6)
    assert far == pytest.approx(3000.0, rel=1e-5)


def test_an_offset_hides_no_spread() -> None:
    """A constant column of any size adds nothing to a distance, and takes nothing away."""
    beside = [np.column_stack([part, np.full(len(part), 1e200)]) for part in (REAL, SYN)]
    for distance in (energy_distance, frechet_distance, distance_to_closest_record):
        assert distance(*beside) == pytest.approx(distance(REAL, SYN))
    assert coverage_score(*beside) == coverage_score(REAL, SYN)
    assert sliced_wasserstein_distance(*beside, random_state=0) > 0.1


@pytest.mark.parametrize("score", [*SHARES, distance_to_closest_record])
def test_rows_that_only_tiny_values_tell_apart(score: Metric) -> None:
    """Squares of 1e-200 vanish beside 1e200: no row may pass for a copy for that."""
    X = np.column_stack([np.repeat([1e200, -1e200], 20), 1e-200 * np.arange(40)])
    with pytest.raises(ValueError, match="Some rows differ only by amounts below"):
        score(X, X[::-1] + np.array([0.0, 1e-201]))


def test_a_tiny_value_among_others_is_no_error() -> None:
    """Probabilities may be 1e-300; rows that differ elsewhere keep their distances."""
    X = REAL.copy()
    X[0, 0] = 1e-300
    assert distance_to_closest_record(X, X, quantile=0.5) == 0.0


@pytest.mark.parametrize("scale", [[1e-9, 1, 1], [1, 1e60, 1], [1e-300, 1e300, 1]])
def test_trees_split_features_of_any_unit(scale: list[float]) -> None:
    """They have single precision, and take differences below 1e-7 for none."""
    assert two_sample_auc(REAL * scale, SYN * scale, random_state=0) == two_sample_auc(
        REAL, SYN, random_state=0
    )
    shifted = two_sample_auc(REAL + 1e9, SYN + 1e9, random_state=0)
    assert shifted == pytest.approx(two_sample_auc(REAL, SYN, random_state=0), abs=0.05)


def test_a_metric_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match="metric='correlation' gave NaN or infinity between some rows"):
        density_score(REAL, np.ones((10, 3)), metric="correlation")


# What is no number ----------------------------------------------------------------------------------
HIDDEN = np.ma.MaskedArray(REAL, mask=REAL > 1)
NO_NUMBERS = [
    (HIDDEN, ValueError, "X_real is a masked array that hides .* values"),
    (REAL * 1j, ValueError, "Complex data not supported: X_real"),
    ((1e6 * REAL).astype("M8[s]"), TypeError, "X_real holds datetimes"),
    ((1e6 * REAL).astype("m8[s]"), TypeError, "X_real holds durations"),
]


@pytest.mark.parametrize("score", [*SHARES, energy_distance, two_sample_auc])
@pytest.mark.parametrize(("rows", "error", "message"), NO_NUMBERS)
def test_what_is_no_number(score: Metric, rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        score(rows, SYN)


def test_a_frame_of_times_is_no_frame_of_numbers() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": pd.date_range("2020", periods=40)})
    with pytest.raises(TypeError, match="X_real holds datetimes"):
        coverage_score(frame, frame)


def test_a_mask_that_hides_nothing_is_no_error() -> None:
    assert coverage_score(np.ma.MaskedArray(REAL), SYN) == coverage_score(REAL, SYN)


def test_labels_that_a_mask_hides() -> None:
    labels = np.ma.MaskedArray(REAL[:, 0] > 0, mask=REAL[:, 1] > 0)
    with pytest.raises(ValueError, match="Y_true is a masked array"):
        macro_roc_auc_score(labels, REAL[:, :2])
    with pytest.raises(ValueError, match="Y_true is a masked array"):
        bootstrap_interval(lambda truth, predicted: 1.0, labels, REAL)
