"""Checkpoints: what was killed goes on to the same weights; what does not belong is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sktgdp.estimators._batches import Pool
from sktgdp.estimators._checkpoint import FitCheckpoint
from sktgdp.estimators._objectives import Denoising
from sktgdp.estimators._settings import TrainingSettings
from sktgdp.estimators._training import TrainedNetwork, TrainingProblem, train_network
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
    monkeypatch.setattr("sktgdp.estimators._checkpoint.SPACING", 0.0)


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
