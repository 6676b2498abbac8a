"""A sampled row depends on its number, its label and the seed: not on chunks, batches, workers or threads."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import torch
from small_models import TINY, Shift, tiny_tgdp
from torch import Tensor, nn

from sktgdp import DiffusionGenerator, TGDPGenerator
from sktgdp.estimators._sampling import chunks as _chunks
from sktgdp.estimators._sampling.row_noise import BLOCK, normal_rows
from sktgdp.solvers import SOLVERS

STOCHASTIC = [name for name, solver in SOLVERS.items() if solver.stochastic]
FAST: dict[str, Any] = {"random_state": 3, "n_steps": 3}


@pytest.fixture(scope="module")
def unlabelled(shift: Shift) -> DiffusionGenerator:
    return DiffusionGenerator(hidden_sizes=(8,), **TINY).fit(shift.X_src[:50])


@pytest.fixture(scope="module")
def guided(few: tuple[Any, ...]) -> TGDPGenerator:
    return tiny_tgdp(eta_cycle=0.0).fit(*few)


@pytest.fixture(scope="module")
def series() -> DiffusionGenerator:
    X = np.random.default_rng(0).normal(size=(20, 2, 24))
    return DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(X, np.arange(20) % 2)


# Noise ----------------------------------------------------------------------------------------------
def test_noise_of_a_row_is_its_own() -> None:
    shape = (BLOCK // 8,)  # eight rows in a block
    whole = normal_rows(7, 0, 0, 30, shape)
    parts = [normal_rows(7, 0, a, b, shape) for a, b in ((0, 3), (3, 8), (8, 21), (21, 30))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for other in (normal_rows(8, 0, 0, 30, shape), normal_rows(7, 1, 0, 30, shape)):
        assert not np.isin(other, whole).mean() > 0.01


def test_noise_is_standard_normal() -> None:
    noise = normal_rows(0, 0, 5, 40_005, (5,))
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=5 / np.sqrt(40_000))
    np.testing.assert_allclose(np.cov(noise.T), np.eye(5), atol=5 * np.sqrt(2 / 40_000))


# Chunks and batches ---------------------------------------------------------------------------------
@pytest.mark.parametrize("solver", ["dpm++2m", *STOCHASTIC])
@pytest.mark.parametrize("kind", ["unlabelled", "guided"])
def test_chunks_change_no_bit(
    kind: str, solver: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = request.getfixturevalue(kind)
    X, y = model.sample(150, solver=solver, **FAST)
    monkeypatch.setattr(_chunks, "SMALL", 1)
    sizes = []
    solve = _chunks._solve
    monkeypatch.setattr(_chunks, "_solve", lambda *a: (sizes.append(len(a[-1])), solve(*a))[1])
    with sklearn.config_context(working_memory=0.01):
        chunked, labels = model.sample(150, solver=solver, **FAST)
    assert len(sizes) > 1
    assert sum(sizes) == 150
    np.testing.assert_array_equal(chunked, X)
    np.testing.assert_array_equal(labels, y)


def test_chunks_of_series_change_no_bit(series: DiffusionGenerator) -> None:
    X, _ = series.sample(11, **FAST)
    with sklearn.config_context(working_memory=0.01):
        np.testing.assert_array_equal(series.sample(11, **FAST)[0], X)


@pytest.mark.parametrize("kind", ["unlabelled", "guided", "series"])
@pytest.mark.parametrize("solver", ["dpm++2m", "ancestral"])
def test_batches_are_the_rows_of_one_call(kind: str, solver: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(kind)
    X, y = model.sample(23, solver=solver, **FAST)
    batches = list(model.sample_batches(23, batch_size=7, solver=solver, **FAST))
    assert [len(rows) for rows, _ in batches] == [7, 7, 7, 2]
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in batches]), X)
    if y is not None:
        np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), y)


def test_batches_of_given_labels(guided: TGDPGenerator) -> None:
    labels = np.array([1, -1, 1, -1, 1])
    X, _ = guided.sample(5, labels, **FAST)
    batches = list(guided.sample_batches(5, labels, batch_size=2, **FAST))
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels)
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in batches]), X)


def test_first_rows_do_not_depend_on_how_many_follow(guided: TGDPGenerator) -> None:
    X, y = guided.sample(40, **FAST)
    for n in (1, 5, 33):
        some, labels = guided.sample(n, **FAST)
        np.testing.assert_array_equal(some, X[:n])
        np.testing.assert_array_equal(labels, y[:n])


# Memory ---------------------------------------------------------------------------------------------
class Hungry(nn.Module):
    """A network that runs out of memory above a number of rows, with one of the errors that happen."""

    limit = 10**9
    error: Exception = MemoryError()

    def __init__(self, event_shape: tuple[int, ...], n_labels: int, process: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(event_shape[0] + n_labels, event_shape[0])

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        if len(x_t) > self.limit:
            raise self.error
        return self.layer(x_t)


ERRORS = [MemoryError(), torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory")]


@pytest.mark.parametrize("error", ERRORS, ids=["host", "accelerator", "torch on the host"])
def test_out_of_memory_halves_the_chunk(
    error: Exception, shift: Shift, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = DiffusionGenerator(Hungry, **TINY).fit(shift.X_src[:50])
    X, _ = model.sample(1000, **FAST)
    monkeypatch.setattr(Hungry, "limit", 100)
    monkeypatch.setattr(Hungry, "error", error)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        halved, _ = model.sample(1000, **FAST)
    np.testing.assert_array_equal(halved, X)
    (warning,) = caught
    assert "1000 rows at a time do not fit" in str(warning.message)


def test_out_of_memory_with_few_rows_is_an_error(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DiffusionGenerator(Hungry, **TINY).fit(shift.X_src[:50])
    monkeypatch.setattr(Hungry, "limit", 3)
    with pytest.warns(UserWarning, match="do not fit"), pytest.raises(MemoryError):
        model.sample(1000, **FAST)


def test_other_errors_of_a_network_pass(shift: Shift, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DiffusionGenerator(Hungry, **TINY).fit(shift.X_src[:50])
    monkeypatch.setattr(Hungry, "limit", 100)
    monkeypatch.setattr(Hungry, "error", RuntimeError("shapes"))
    with pytest.raises(RuntimeError, match="shapes"):
        model.sample(1000, **FAST)


def test_chunks_follow_the_memory(unlabelled: DiffusionGenerator, guided: TGDPGenerator) -> None:
    """Twice the memory takes twice the rows; guidance needs more for each."""
    sizes = {}
    for name, model in {"alone": unlabelled, "guided": guided}.items():
        codes = None if name == "alone" else np.eye(2, dtype=np.float32)[np.zeros(40, dtype=int)]
        for limit in (8, 16):
            with sklearn.config_context(working_memory=limit):
                sizes[name, limit] = _chunks._chunk_size(model, codes, 10**6)
    assert sizes["alone", 16] == pytest.approx(2 * sizes["alone", 8], abs=1)
    assert sizes["guided", 8] < sizes["alone", 8]


# Workers, threads, processes ------------------------------------------------------------------------
@pytest.mark.parametrize("solver", ["dpm++2m", "sde-dpm++2m"])
@pytest.mark.parametrize("kind", ["unlabelled", "guided"])
def test_threads_of_joblib(
    kind: str, solver: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = request.getfixturevalue(kind)
    monkeypatch.setattr(_chunks, "SMALL", 64)
    X, y = model.sample(200, solver=solver, **FAST)
    with joblib.parallel_config("threading", n_jobs=3):
        parallel, labels = model.sample(200, solver=solver, **FAST)
    np.testing.assert_array_equal(parallel, X)
    np.testing.assert_array_equal(labels, y)


def test_other_processes_draw_the_same(guided: TGDPGenerator) -> None:
    n = _chunks.SMALL + 40  # more than one worker's share
    X, y = guided.sample(n, **FAST)
    with joblib.parallel_config("loky", n_jobs=2):
        parallel, labels = guided.sample(n, **FAST)
    np.testing.assert_array_equal(parallel, X)
    np.testing.assert_array_equal(labels, y)


def test_dask_cluster(guided: TGDPGenerator) -> None:
    distributed = pytest.importorskip("distributed")
    n = _chunks.SMALL + 40
    X, _ = guided.sample(n, **FAST)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        np.testing.assert_array_equal(guided.sample(n, **FAST)[0], X)


@pytest.mark.usefixtures("global_rng_untouched")
def test_a_hundred_callers_at_once(guided: TGDPGenerator) -> None:
    """Threads that share a model get the rows of their seeds."""

    def rows(seed: int) -> Any:
        return guided.sample(40, random_state=seed, n_steps=2, solver="ancestral")[0]

    with ThreadPoolExecutor(20) as pool:
        at_once = list(pool.map(rows, range(100)))
    np.testing.assert_array_equal(at_once, [rows(seed) for seed in range(100)])


@pytest.mark.parametrize("solver", ["dpm++2m", *STOCHASTIC])
def test_global_random_states_are_not_used(
    solver: str, unlabelled: DiffusionGenerator, global_rng_untouched: None
) -> None:
    X, _ = unlabelled.sample(20, solver=solver, **FAST)
    torch.rand(1)
    changed = unlabelled.sample(20, solver=solver, **FAST)[0]
    torch.manual_seed(0)
    np.testing.assert_array_equal(changed, X)


def test_labels_that_no_target_row_had(shift: Shift) -> None:
    """Said when they are asked for, not when labels are drawn as frequent as the target's."""
    model = tiny_tgdp(n_steps=2).fit(shift.X_src[:60], shift.y_src[:60], shift.X_tgt[:8], np.ones(8, int))
    for y in (-1, np.array([1, -1, 1])):
        with pytest.warns(UserWarning, match="No target row had the label -1: its rows follow the source"):
            model.sample(3, y=y, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.sample(3, random_state=0)
        model.sample(3, y=1, random_state=0)
