"""What shows only after a long time or in a bad moment: leaks, and workers that die."""

from __future__ import annotations

import gc
import os
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from kill_worker import KillOnce
from sklearn.model_selection import GridSearchCV
from small_models import TINY_NETWORK, tiny_tgdp

from sktgdp import DiffusionGenerator
from sktgdp.metrics import get_scorer
from sktgdp.model_selection import TargetKFold, pack_domains

RNG = np.random.default_rng(0)
X_SRC, X_TGT = RNG.normal(size=(40, 2)), RNG.normal(0.5, size=(12, 2))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Workers that die -----------------------------------------------------------------------------------
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_search_with_a_killed_worker(tmp_path: Path) -> None:
    """The search ends with joblib's error; the next one completes, with what was kept and nothing else."""
    kept = tmp_path / "kept"
    X, y, domain = pack_domains(X_SRC, None, X_TGT, None)
    killer = KillOnce(tmp_path / "killed", spared=os.getpid())
    source = DiffusionGenerator(**TINY_NETWORK, memory=str(kept), callbacks=[killer])
    model = tiny_tgdp(source_model=source, memory=str(kept))

    def search() -> GridSearchCV:
        cv = TargetKFold(2, sample_domain=domain)
        grid, scoring = {"eta_cycle": [0.0, 1.0]}, get_scorer("neg_energy_distance")
        return GridSearchCV(model, grid, scoring=scoring, cv=cv, n_jobs=2).fit(X, y, sample_domain=domain)

    try:
        with pytest.raises(TerminatedWorkerError):
            search()
        assert (tmp_path / "killed").exists()
        results = search().cv_results_
    finally:
        get_reusable_executor().shutdown(kill_workers=True)
    assert np.isfinite(results["mean_test_score"]).all()
    allowed = (".pkl", ".json", ".lock", ".gitignore", ".py")
    left = [str(p.relative_to(kept)) for p in kept.rglob("*") if p.is_file() and not p.name.endswith(allowed)]
    assert not left


# Leaks ----------------------------------------------------------------------------------------------
def _growth(action: Any, n_warm: int, n: int) -> tuple[int, int]:
    """Bytes of Python's and of the whole process that many calls leave behind after a few."""
    for _ in range(n_warm):
        action()
    gc.collect()
    tracemalloc.start()
    start, resident = tracemalloc.get_traced_memory()[0], resident_bytes()
    for _ in range(n):
        action()
    gc.collect()
    traced = tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()
    return traced, resident_bytes() - resident


@pytest.mark.parametrize("n", [8, pytest.param(1000, marks=pytest.mark.slow)])
def test_fits_leave_no_memory_behind(n: int) -> None:
    def action() -> None:
        tiny_tgdp().fit(X_SRC, None, X_TGT, None).sample(3)

    traced, resident = _growth(action, n_warm=5, n=n)
    assert traced < 300_000 + 200 * n  # it levels off after some dozen fits
    assert resident < 30_000_000 + 10_000 * n


@pytest.mark.parametrize("n", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_concurrent_samplers(n: int) -> None:
    """Threads share one model and draw what each would draw alone."""
    model = tiny_tgdp().fit(X_SRC, None, X_TGT, None)
    alone = [model.sample(20, random_state=seed)[0] for seed in range(n)]
    with ThreadPoolExecutor(n) as pool:
        together = list(pool.map(lambda seed: model.sample(20, random_state=seed)[0], range(n)))
    np.testing.assert_array_equal(together, alone)
