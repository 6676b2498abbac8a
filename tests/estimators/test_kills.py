"""Fits that are killed at random moments end with the weights of one that is left alone, bit by bit."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from kill_fits import fit_under_fire, weights_of
from small_models import TINY_RATIO, tiny_tgdp

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator

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


def check(tmp_path: Path, n_kills: int, seed: int) -> int:
    start = time.monotonic()
    left_alone = weights_of(short_tgdp().fit(*DOMAINS))
    duration = time.monotonic() - start
    delays = np.random.default_rng(seed).uniform(0.2, 1.2, n_kills) * duration / n_kills
    survived, n_killed = fit_under_fire(short_tgdp, DOMAINS, tmp_path / "fit", delays)
    assert survived.keys() == left_alone.keys()
    for name, values in left_alone.items():
        np.testing.assert_array_equal(survived[name], values, err_msg=name)
    assert not list(tmp_path.rglob("*.new"))
    return n_killed


def test_killed_five_times(tmp_path: Path) -> None:
    assert check(tmp_path, 5, 0) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_forty_times(tmp_path: Path, seed: int) -> None:
    """Ten kills in each of four fits."""
    assert check(tmp_path, 10, seed + 1) >= 3
