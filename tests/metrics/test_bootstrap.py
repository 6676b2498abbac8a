"""Bootstrap intervals: the printed form, the resamples, and the coverage of a known mean."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from sktgdp.metrics import (
    BootstrapInterval,
    bootstrap_interval,
    challenge_g_beta_score,
    macro_roc_auc_score,
)

Array = NDArray[Any]


def mean_of_predictions(y_true: Array, y_pred: Array) -> float:
    return float(np.mean(y_pred))


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (BootstrapInterval(0.953, 0.948, 0.957), "0.953(05)"),
        (BootstrapInterval(0.953, 0.950, 0.958), "0.953(05)"),
        (BootstrapInterval(0.9528, 0.9411, 0.9601), "0.953(12)"),
        (BootstrapInterval(1.0, 1.0, 1.0), "1.000(00)"),
        (BootstrapInterval(0.5, 0.3, 0.6), "0.500(200)"),
    ],
)
def test_printed_form(interval: BootstrapInterval, text: str) -> None:
    assert str(interval) == text
    assert f"{interval}" == text


def test_interval_of_a_mean(rng: np.random.Generator) -> None:
    """Near the normal interval of the mean."""
    x = rng.normal(size=400)
    y = np.arange(400) + 0.5  # continuous: no class to keep
    found = bootstrap_interval(mean_of_predictions, y, x, n_resamples=2000, random_state=0)
    half = 1.645 * x.std() / np.sqrt(400)
    assert found.point == pytest.approx(x.mean())
    assert found.lower == pytest.approx(x.mean() - half, abs=0.01)
    assert found.upper == pytest.approx(x.mean() + half, abs=0.01)
    wider = partial(
        bootstrap_interval, mean_of_predictions, np.zeros(400), x, n_resamples=500, random_state=0
    )
    assert wider(confidence_level=0.99).half_width > wider(confidence_level=0.5).half_width


def test_every_resample_holds_every_class(rng: np.random.Generator) -> None:
    """Rare classes, in an indicator and as labels; also the rows outside a frequent class."""
    Y = np.zeros((60, 3), dtype=int)
    Y[:2, 0] = Y[:30, 1] = Y[:-2, 2] = 1
    S = rng.random((60, 3))
    point, lower, upper = bootstrap_interval(macro_roc_auc_score, Y, S, n_resamples=50, random_state=0)
    assert point == macro_roc_auc_score(Y, S)
    assert 0 <= lower < upper <= 1
    y = np.repeat(["a", "b", "c"], [2, 30, 30])

    def accuracy(y_true: Array, y_pred: Array) -> float:
        assert set(y_true) == {"a", "b", "c"}
        return float(accuracy_score(y_true, y_pred))

    assert bootstrap_interval(accuracy, y, np.roll(y, 5), random_state=0).point == accuracy(y, np.roll(y, 5))


def test_a_class_absent_from_the_whole_is_not_asked_for() -> None:
    Y = np.array([[1, 0, 0], [0, 1, 0]] * 20)
    score = partial(challenge_g_beta_score, beta=2)
    assert bootstrap_interval(score, Y, Y, random_state=0) == (1.0, 1.0, 1.0)


def test_random_state(rng: np.random.Generator) -> None:
    y, x = np.zeros(50), rng.normal(size=50)
    intervals = [bootstrap_interval(mean_of_predictions, y, x, random_state=seed) for seed in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_bad_input() -> None:
    y = np.repeat([0, 1], 20)
    with pytest.raises(ValueError, match="the rarest has 2 of 200 rows"):
        bootstrap_interval(mean_of_predictions, np.arange(200) % 100, np.arange(200))
    with pytest.raises(ValueError, match="metric must be finite on every resample"):
        bootstrap_interval(lambda a, b: np.nan, y, y)
    with pytest.raises(TypeError, match=r"metric must be a callable \(Y_true, Y_pred\) -> float, got 'auc'"):
        bootstrap_interval("auc", y, y)
    with pytest.raises(
        ValueError, match="confidence_level must be a number strictly between 0 and 1, got 95"
    ):
        bootstrap_interval(mean_of_predictions, y, y, confidence_level=95)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        bootstrap_interval(mean_of_predictions, y, y[:-1])
    for nothing in ([], np.empty((0, 3)), 1.0):
        with pytest.raises(ValueError, match="Y_true has no rows"):
            bootstrap_interval(mean_of_predictions, nothing, nothing)
    for returned in (None, 1j, np.ones(3), "0.5"):
        with pytest.raises(TypeError, match="metric must return one number"):
            bootstrap_interval(lambda a, b, value=returned: value, y, y)
    with pytest.raises(ValueError, match="too large for an interval"):
        bootstrap_interval(lambda a, b: 1.7e308 * (-1) ** int(a.sum()), y, y, random_state=0)


def test_large_scores_print_few_digits() -> None:
    """A score beyond any benchmark's is no row of 300 digits."""
    assert str(BootstrapInterval(1e300, 9e299, 1.1e300)) == "1e+300 ± 1e+299"
