"""Metrics over the workers of joblib give the values of one process."""

from __future__ import annotations

from collections.abc import Callable

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray

from sktgdp.metrics import _distances as distances
from sktgdp.metrics import (
    coverage_score,
    density_score,
    distance_to_closest_record,
    energy_distance,
    memorization_ratio,
    precision_score_knn,
    recall_score_knn,
    sliced_wasserstein_distance,
)
from sktgdp.metrics._workers import map_blocks

METRICS: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = {
    "coverage": coverage_score,
    "density": density_score,
    "precision": precision_score_knn,
    "recall": recall_score_knn,
    "closest record": distance_to_closest_record,
    "memorization": memorization_ratio,
    "energy": energy_distance,
    "sliced": lambda real, syn: sliced_wasserstein_distance(real, syn, random_state=0),
}


@pytest.mark.parametrize("n_features", [3, 9], ids=["by tree", "by product"])
@pytest.mark.parametrize("name", METRICS)
def test_values_do_not_depend_on_workers(
    name: str, n_features: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "BLOCK_BYTES", 2**20)  # several blocks of few rows
    real, syn = rng.normal(size=(900, n_features)), rng.normal(0.1, size=(1100, n_features))
    syn[:50] = real[:50]
    alone = METRICS[name](real, syn)
    with joblib.parallel_config("threading", n_jobs=3):
        assert METRICS[name](real, syn) == alone


def test_blocks_go_to_processes(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 2))
    blocks = [slice(0, 10), slice(10, 20), slice(20, 40)]
    expected = [float(X[block].sum()) for block in blocks]
    with joblib.parallel_config("loky", n_jobs=2):
        assert map_blocks(np.sum, X, blocks) == expected
