"""Fits that are killed at random moments end with the weights of one that is left alone, bit by bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kill_fits import fit_under_fire
from small_models import TINY_RATIO, tiny_tgdp

from sktgdp import (
    DiffusionGenerator,
    DomainClassifier,
    FineTunedSeriesClassifier,
    SeriesClassifier,
    TGDPGenerator,
)
from sktgdp.nets import xresnet1d_small

pytestmark = pytest.mark.skipif(
    not hasattr(__import__("os"), "fork"), reason="needs SIGKILL and a fork server"
)

X_SRC, X_TGT = np.random.default_rng(0).normal(size=(2, 40, 2))
DOMAINS = (X_SRC, np.arange(40) % 2, X_TGT[:20] + 0.5, np.arange(20) % 2)
SHORT = {"max_steps": 40, "hidden_sizes": (8, 8), "batch_size": 16, "random_state": 0}


def short_tgdp() -> TGDPGenerator:
    """Every phase: source, two folds of the ratio, time classifier, two guidance networks."""
    ratio = DomainClassifier(**{**TINY_RATIO, "max_steps": 40})
    source = DiffusionGenerator(**SHORT)
    return tiny_tgdp(**{**SHORT, "source_model": source, "domain_classifier": ratio, "eta_cycle": 0.5})


SERIES = np.random.default_rng(1).normal(size=(60, 2, 32))
SERIES_DOMAINS = (SERIES, np.arange(60) % 2, SERIES[:20], np.arange(20) % 3)


def short_series() -> FineTunedSeriesClassifier:
    """Three trainings with crops, batch norms and dropout; rows held out by the source's."""
    network = partial(xresnet1d_small, width=4)
    source = SeriesClassifier(network, window=24, max_steps=40, batch_size=16, early_stopping=True)
    return FineTunedSeriesClassifier(source, head_steps=20, max_steps=40, batch_size=8, random_state=0)


def check(tmp_path: Path, n_kills: int, seed: int, make: Callable[[], Any], domains: tuple[Any, ...]) -> int:
    fit_under_fire(make, domains, tmp_path / "started", [])  # the server has imported all by then
    start = time.monotonic()
    left_alone, _ = fit_under_fire(make, domains, tmp_path / "left alone", [])
    duration = time.monotonic() - start
    delays = np.random.default_rng(seed).uniform(0.2, 1.2, n_kills) * duration / n_kills
    survived, n_killed = fit_under_fire(make, domains, tmp_path / "fit", delays)
    assert survived.keys() == left_alone.keys()
    for name, values in left_alone.items():
        np.testing.assert_array_equal(survived[name], values, err_msg=name)
    assert not list(tmp_path.rglob("*.new"))
    return n_killed


def test_killed_five_times(tmp_path: Path) -> None:
    assert check(tmp_path, 5, 0, short_tgdp, DOMAINS) >= 1


def test_classifier_of_series_killed_three_times(tmp_path: Path) -> None:
    assert check(tmp_path, 3, 0, short_series, SERIES_DOMAINS) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("make", "domains"), [(short_tgdp, DOMAINS), (short_series, SERIES_DOMAINS)], ids=["rows", "series"]
)
def test_killed_forty_times(tmp_path: Path, seed: int, make: Any, domains: Any) -> None:
    """Ten kills in each of four fits."""
    assert check(tmp_path, 10, seed + 1, make, domains) >= 3
