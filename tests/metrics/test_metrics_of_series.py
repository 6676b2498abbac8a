"""Metrics and scorers of series (n, channels, length): what they say is what they say of flat rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sktgdp import metrics
from sktgdp.metrics import fid_score, get_scorer, make_sample_scorer
from sktgdp.preprocessing import RowStandardizer

Floats = NDArray[np.float64]
SHAPE = (2, 6)
METRICS: dict[str, Callable[..., float]] = {
    **{name: getattr(metrics, name) for name in ("fid_score", "frechet_distance", "energy_distance")},
    **{name: getattr(metrics, name) for name in ("coverage_score", "density_score", "memorization_ratio")},
    **{name: getattr(metrics, name) for name in ("precision_score_knn", "recall_score_knn")},
    "fid_infinity_score": partial(metrics.fid_infinity_score, random_state=0),
    "sliced_wasserstein_distance": partial(metrics.sliced_wasserstein_distance, random_state=0),
}


def series(n: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).cumsum(axis=2)


class Walks(BaseEstimator):
    """A generator that knows the law of random walks, with steps of the wrong size if wanted."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def fit(self, X: Any, y: Any = None) -> Walks:
        self.transformer_ = RowStandardizer().fit(X)
        return self

    def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
        X = self.scale * series(n_samples, random_state)
        return X, (X[:, 0, -1] > 0).astype(int)

    def score(self, X: Any, y: Any = None) -> float:
        return -abs(float(np.log(np.diff(X, axis=2).std() / self.scale)))


@pytest.mark.parametrize("name", METRICS)
def test_metric_of_series_is_that_of_flat_rows(name: str) -> None:
    real, syn = series(60, 1), 1.2 * series(50, 2)
    assert METRICS[name](real, syn) == METRICS[name](real.reshape(60, -1), syn.reshape(50, -1))


def test_extractor_receives_series() -> None:
    """FID of a network's features: here each channel's last sample."""
    real, syn = series(60, 1), series(50, 2) + 1.0
    assert fid_score(real, syn, lambda X: X[:, :, -1]) == fid_score(real[:, :, -1], syn[:, :, -1])


@pytest.mark.parametrize("name", metrics.get_scorer_names())
def test_scorer_prefers_the_right_law(name: str) -> None:
    X = series(60, 3)
    y = (X[:, 0, -1] > 0).astype(int)
    scorer = get_scorer(name)
    right, wrong = (scorer(Walks(scale).fit(series(500, 4)), X, y) for scale in (1.0, 3.0))
    if name == "tstr_roc_auc":  # the classifier standardises what the scale changes
        assert right > 0.9
    else:
        assert right > wrong


def test_scorer_compares_in_the_models_units() -> None:
    """A channel in another unit does not count more."""
    X, unit = series(60, 3), np.array([[1.0], [1000.0]])

    class InUnits(Walks):
        def sample(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            rows, y = super().sample(*args, **kwargs)
            return rows * unit, y

    scorer = replace(get_scorer("neg_energy_distance"), n_samples=80)  # type: ignore[type-var]
    same = scorer(Walks().fit(series(500, 4)), X)
    assert scorer(InUnits().fit(series(500, 4) * unit), X * unit) == pytest.approx(same)


def test_metric_of_ones_own_receives_flat_rows() -> None:
    seen: list[tuple[int, ...]] = []

    def metric(X_real: Floats, X_syn: Floats) -> float:
        seen.extend([X_real.shape, X_syn.shape])
        return 0.0

    make_sample_scorer(metric, n_samples=30)(Walks().fit(series(50, 4)), series(20, 3))
    assert seen == [(20, 12), (30, 12)]


@pytest.mark.parametrize("shape", [(3, 6), (2, 5), (12,)], ids=str)
def test_series_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must hold rows of the same shape"):
        fid_score(series(20, 0), np.zeros((20, *shape)))
