"""Training in several processes: all end with one model, which is as good as that of a single process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import parallel_worker
import pytest
import torch
from small_models import TINY_NETWORK
from torch.nn.functional import mse_loss

from sktgdp import DiffusionGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.estimators._training.processes import Processes
from sktgdp.metrics import energy_distance

TESTS = Path(__file__).resolve().parents[1]
X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes that torchrun starts leave behind."""
    folder = tmp_path_factory.mktemp("processes")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    path = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*launcher, str(TESTS / "parallel_worker.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def reports(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"report-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", ["network", "skipping"])
def test_all_processes_end_with_the_same_weights(launched: Path, name: str) -> None:
    first, second = (np.load(launched / f"{name}-{rank}.npz") for rank in (0, 1))
    assert first.files == second.files
    for key in first.files:
        np.testing.assert_array_equal(first[key], second[key])
    np.testing.assert_array_equal(np.load(launched / "rows-0.npy"), np.load(launched / "rows-1.npy"))


def test_the_history_is_common_and_the_loss_falls(launched: Path) -> None:
    first, second = (report["history"] for report in reports(launched))
    assert first == second
    assert [row["step"] for row in first][:2] == [20, 40]
    assert first[-1]["train_loss"] < 0.9 * first[0]["train_loss"]
    assert all(row["skipped_steps"] == 0 for row in first)


def test_a_step_that_one_process_cannot_take_is_taken_by_none(launched: Path) -> None:
    for report in reports(launched):
        assert sum(row["skipped_steps"] for row in report["skipping"]) == 1


def test_different_rows_are_refused_by_all(launched: Path) -> None:
    for report in reports(launched):
        assert "The 2 processes were given different X" in report["refused"]


def test_the_samples_are_as_close_as_those_of_one_process(launched: Path) -> None:
    rows = parallel_worker.X
    held_out = make_gaussian_mixture_shift(n_source=2000, n_target=2, random_state=1)[0]
    alone = DiffusionGenerator(**parallel_worker.SETTINGS, random_state=0).fit(rows, parallel_worker.Y)
    distances = [
        energy_distance(held_out, samples)
        for samples in (np.load(launched / "rows-0.npy"), alone.sample(2000, random_state=1)[0], rows)
    ]
    print("energy distance to held-out rows: two processes, one process, training rows:", distances)
    weights = np.load(launched / "network-0.npz")
    assert not np.array_equal(weights[weights.files[0]], alone.network_.state_dict()[weights.files[0]])
    assert distances[0] < 2.0 * distances[1]


def test_the_mean_of_two_batches_is_the_gradient_of_both() -> None:
    """Each process draws batches of its own, so the averaged gradient is that of twice the rows."""
    streams = [Processes(2, rank).batch_generator(torch.Generator().manual_seed(5)) for rank in (0, 1)]
    first, second = (torch.randn(8, 2, generator=stream) for stream in streams)
    assert not torch.equal(first, second)
    again = Processes(2, 1).batch_generator(torch.Generator().manual_seed(5))
    torch.testing.assert_close(torch.randn(8, 2, generator=again), second, rtol=0, atol=0)
    weight = torch.ones(2, requires_grad=True)

    def gradient(rows: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(mse_loss(rows @ weight, torch.zeros(len(rows))), weight)[0]

    mean = (gradient(first) + gradient(second)) / 2
    torch.testing.assert_close(mean, gradient(torch.cat([first, second])))


def test_a_process_alone_says_so_and_trains_as_ever() -> None:
    with pytest.warns(UserWarning, match="data_parallel=True has no effect: this process is alone"):
        flagged = DiffusionGenerator(**TINY_NETWORK, data_parallel=True).fit(X)
    plain = DiffusionGenerator(**TINY_NETWORK).fit(X)
    np.testing.assert_array_equal(flagged.sample(9)[0], plain.sample(9)[0])


def test_locks_that_would_stop_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"memory=.* cannot be used with data_parallel=True"):
        DiffusionGenerator(**TINY_NETWORK, data_parallel=True, memory=str(tmp_path / "memory")).fit(X)
    folder = tmp_path / "checkpoint"
    with pytest.raises(ValueError, match=r"checkpoint=.* cannot be used with data_parallel=True"):
        DiffusionGenerator(**TINY_NETWORK, data_parallel=True).fit(X, checkpoint=folder)
    assert not folder.exists()


def test_a_device_for_all_processes_is_refused() -> None:
    processes = Processes(2, 1, torch.device("cuda:1"))
    assert processes.resolve_device("auto") == processes.resolve_device("cuda") == torch.device("cuda:1")
    with pytest.raises(ValueError, match=r"device='cuda:0' with data_parallel=True.*Leave device='auto'"):
        processes.resolve_device("cuda:0")


def test_without_accelerate_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"data_parallel=True needs accelerate: .*sktgdp\[accelerate\]"):
        DiffusionGenerator(**TINY_NETWORK, data_parallel=True).fit(X)
