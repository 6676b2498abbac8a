"""Checkpoints: what was killed goes on to the same weights; what does not belong is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from small_models import TINY_NETWORK, tiny_tgdp
from torch import Tensor, nn

from sktgdp import DiffusionGenerator
from sktgdp.estimators._state.checkpoint import FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.files import read_state, write_state
from sktgdp.estimators._training.batches import Pool
from sktgdp.estimators._training.objectives import Denoising
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainedNetwork, TrainingProblem, train_network
from sktgdp.exceptions import CheckpointError
from sktgdp.process import VPProcess

SETTINGS = TrainingSettings(max_steps=40, lr=0.01)


class Noise(nn.Module):
    """A small network with dropout, which draws from torch's own random stream."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3, 8), nn.Dropout(0.2), nn.SiLU(), nn.BatchNorm1d(8), nn.Linear(8, 2)
        )

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.layers(torch.cat([x_t, t[:, None]], dim=1))


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package may catch it."""


class KillAfter(Callback):
    def __init__(self, n_steps: int) -> None:
        self.n_steps = n_steps

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        self.n_steps -= training
        if self.n_steps == 0:
            raise Killed


def pool(n_rows: int = 30, seed: int = 0) -> Pool:
    return Pool(torch.randn(n_rows, 2, generator=torch.Generator().manual_seed(seed)), None, 7)


def train(
    folder: Path | None,
    *callbacks: Callback,
    valid: bool = True,
    settings: TrainingSettings = SETTINGS,
    rows: Pool | None = None,
    seed: int = 0,
    start: nn.Module | None = None,
) -> TrainedNetwork:
    held = {"rows": pool(9, 1)} if valid else None
    problem = TrainingProblem(Denoising(), {"rows": rows or pool()}, VPProcess(), "test", held)
    return train_network(
        Noise, {}, problem, settings, seed=seed, device=torch.device("cpu"), callbacks=callbacks, start=start,
        checkpoint=FitCheckpoint(folder),
    )  # fmt: skip


def same(a: TrainedNetwork, b: TrainedNetwork) -> bool:
    weights = zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    return (
        all(torch.equal(x, y) for x, y in weights) and a.history == b.history and a.best_loss == b.best_loss
    )


@pytest.fixture(autouse=True)
def _every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sktgdp.estimators._state.checkpoint.SPACING", 0.0)


@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.usefixtures("global_rng_untouched")
def test_same_weights_after_any_step(tmp_path: Path, valid: bool) -> None:
    """Killed after 3, 9, 11 and 19 further steps, the training ends bitwise where it would have ended."""
    whole = train(None, valid=valid)
    for n_steps in (3, 9, 11, 19):
        with pytest.raises(Killed):
            train(tmp_path, KillAfter(n_steps), valid=valid)
    assert same(train(tmp_path, valid=valid), whole)
    assert same(train(tmp_path, KillAfter(1), valid=valid), whole), "read, not trained"


def test_read_back_is_as_it_was(tmp_path: Path) -> None:
    state = {
        "nest": [1, 2.5, None, "text", {"tensor": torch.arange(4.0).bfloat16(), 3: [float("inf"), True]}],
        "shared": torch.eye(3)[0],
        "empty": torch.empty(0, 2),
    }
    write_state(tmp_path / "state", state)
    found = read_state(tmp_path / "state")
    assert found["nest"][:4] == state["nest"][:4]
    assert found["nest"][4][3] == [float("inf"), True]
    assert torch.equal(found["nest"][4]["tensor"], state["nest"][4]["tensor"])
    assert torch.equal(found["shared"], torch.tensor([1.0, 0.0, 0.0]))
    assert found["empty"].shape == (0, 2)
    assert os.listdir(tmp_path) == ["state"]


# What does not belong ---------------------------------------------------------------------------------
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "rows": ({"rows": pool(seed=5)}, "rows"),
    "seed": ({"seed": 1}, "seed"),
    "rate": ({"settings": replace(SETTINGS, lr=0.02)}, "settings"),
    "held-out rows": ({"valid": False}, "held-out rows"),
    "start": ({"start": Noise()}, "first weights"),
}


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a training that was killed half-way."""
    folder = tmp_path_factory.mktemp("half")
    with pytest.raises(Killed):
        train(folder, KillAfter(21))
    return folder


@pytest.mark.parametrize(("change", "name"), OTHERS.values(), ids=OTHERS)
def test_other_trainings_are_refused(half: Path, change: dict[str, Any], name: str) -> None:
    before = (half / "test.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=rf"of another training; other are: {name}\."):
        train(half, **change)
    assert (half / "test.safetensors").read_bytes() == before


@pytest.mark.parametrize("place", [0, 30, -1, "truncated", "empty"])
def test_damage_is_refused(half: Path, tmp_path: Path, place: Any) -> None:
    data = bytearray((half / "test.safetensors").read_bytes())
    if place == "truncated":
        del data[len(data) // 2 :]
    elif place == "empty":
        data.clear()
    else:
        data[place] ^= 1
    (tmp_path / "test.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"test\.safetensors is damaged"):
        train(tmp_path)


def test_full_disk_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(None)
    monkeypatch.setattr("sktgdp.estimators._state.files.os.fsync", _no_space)
    with pytest.warns(RuntimeWarning, match=r"could not be written \(.*No space left.*The fit goes on"):
        assert same(train(tmp_path), whole)


def _no_space(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


# Folders ----------------------------------------------------------------------------------------------
X = np.random.default_rng(0).normal(size=(20, 2))


def test_seed_is_kept(tmp_path: Path) -> None:
    """A fit without a seed, called again, is the same fit."""
    model = DiffusionGenerator(**{**TINY_NETWORK, "random_state": None})
    first, again = (model.fit(X, checkpoint=tmp_path / "new" / "fit").network_.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    names = {path.name for path in (tmp_path / "new" / "fit").iterdir()} - {"fit.lock"}
    assert names == {"fit.json", "diffusion.safetensors"}


def test_folders_of_something_else(tmp_path: Path) -> None:
    model = DiffusionGenerator(**TINY_NETWORK)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"is no checkpoint; it holds note\.txt"):
        model.fit(X, checkpoint=tmp_path)
    assert os.listdir(tmp_path) == ["note.txt"]
    with pytest.raises(CheckpointError, match=r"note\.txt is a file"):
        model.fit(X, checkpoint=tmp_path / "note.txt")
    with pytest.raises(TypeError, match="checkpoint must be a path or None; got int"):
        model.fit(X, checkpoint=3)


def test_folder_of_another_estimator(tmp_path: Path) -> None:
    DiffusionGenerator(**TINY_NETWORK).fit(X, checkpoint=str(tmp_path / "fit"))
    with pytest.raises(CheckpointError, match=r"of DiffusionGenerator, format 1; TGDPGenerator"):
        tiny_tgdp().fit(X, None, X + 1, checkpoint=tmp_path / "fit")
    (tmp_path / "fit" / "fit.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"fit\.json is damaged"):
        DiffusionGenerator(**TINY_NETWORK).fit(X, checkpoint=tmp_path / "fit")


def test_one_fit_at_a_time(tmp_path: Path) -> None:
    model = DiffusionGenerator(**TINY_NETWORK)
    with (
        open_checkpoint(tmp_path / "fit", model),
        pytest.raises(CheckpointError, match=r"Another fit is using .* memory="),
    ):
        model.fit(X, checkpoint=tmp_path / "fit")
    assert model.fit(X, checkpoint=tmp_path / "fit").sample(2)[0].shape == (2, 2)
