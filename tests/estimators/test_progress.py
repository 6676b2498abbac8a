"""Who watches a fit: progress bars, skorch's callbacks, TensorBoard, scikit-learn's callbacks of a search."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNet
from skorch.callbacks import Callback, TensorBoard
from small_models import TINY_NETWORK, tiny_tgdp

from sktgdp import DiffusionGenerator


class EpochCounter(Callback):
    """Count the epochs of all fits that it sees."""

    def initialize(self) -> EpochCounter:
        self.epochs: list[dict[str, Any]] = []
        return self

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epochs.append(dict(net.history[-1]))


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(40, 2))


def test_silent_by_default(rows: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    model = tiny_tgdp().fit(rows, None, rows[:10], None)
    model.sample(5)
    assert capfd.readouterr() == ("", "")


def test_a_bar_for_each_phase(rows: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    """Every phase says its name, counts all its steps, and shows the loss."""
    source = DiffusionGenerator(**TINY_NETWORK, verbose=1)
    model = tiny_tgdp(source_model=source, eta_cycle=1.0, verbose=1).fit(rows, None, rows[:10], None)
    out, err = capfd.readouterr()
    assert out == ""
    ends = [line.strip() for line in re.split(r"[\r\n]", err) if "100%" in line]
    for phase in {row["phase"] for row in model.history_}:
        mine = [line for line in ends if line.startswith(phase)]
        assert mine, f"no bar of {phase} among {ends}"
        assert re.search(r"loss=\d+\.\d{4}", mine[-1])


def test_phases_are_logged(rows: np.ndarray, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sktgdp"):
        model = tiny_tgdp(eta_cycle=1.0).fit(rows, None, rows[:10], None)
    for phase in model.fit_time_:
        assert f"TGDPGenerator: {phase} begins" in caplog.messages
        assert any(line.startswith(f"TGDPGenerator: {phase} took ") for line in caplog.messages)


def test_skorch_callbacks_see_every_epoch(rows: np.ndarray) -> None:
    counter = EpochCounter()
    model = DiffusionGenerator(**TINY_NETWORK, callbacks=[counter]).fit(rows)
    assert len(counter.epochs) == len(model.history_) > 0
    losses = [epoch["train_loss"] for epoch in counter.epochs]
    assert losses == [row["train_loss"] for row in model.history_]


def test_tensorboard(rows: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        callbacks = [TensorBoard(writer, close_after_train=False)]
        model = DiffusionGenerator(**TINY_NETWORK, callbacks=callbacks).fit(rows)
    events = EventAccumulator(str(tmp_path)).Reload()
    written = [event.value for event in events.Scalars("Loss/train_loss")]
    np.testing.assert_allclose(written, [row["train_loss"] for row in model.history_], rtol=1e-6)


def test_search_shows_its_progress(rows: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    """scikit-learn's own bar of a search counts our fits; generators need not know of it."""
    callback = pytest.importorskip("sklearn.callback", reason="needs scikit-learn 1.9 or later")
    pytest.importorskip("rich")
    search = GridSearchCV(DiffusionGenerator(**TINY_NETWORK), {"lr": [0.01, 0.02]}, cv=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.fit(rows)
    assert "GridSearchCV" in capfd.readouterr().out
    assert len(search.cv_results_["params"]) == 2
