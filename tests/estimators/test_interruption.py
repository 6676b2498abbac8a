"""Ctrl-C leaves what was learned; a warm start goes on from it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback
from small_models import TINY_NETWORK, TINY_SERIES, tiny_tgdp

from sktgdp import (
    DiffusionGenerator,
    DomainClassifier,
    FineTunedDiffusionGenerator,
    FineTunedSeriesClassifier,
    SeriesClassifier,
)

X_SRC, X_TGT = np.random.default_rng(0).normal(size=(2, 40, 2))
X_TGT = X_TGT[:20] + 0.5
SHORT = {**TINY_NETWORK, "max_steps": 40}


@pytest.fixture(autouse=True)
def _listens_to_ctrl_c() -> Iterator[None]:
    """Processes in the background of a shell are started deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class CtrlC(Callback):
    """Send the interrupt of a user in the middle of an epoch of one of the trainings."""

    def __init__(self, training: int, step: int = 7) -> None:
        self.training, self.step = training, step

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.training -= 1
        self.n_steps = 0

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        self.n_steps += training
        if self.training == 0 and self.n_steps == self.step:
            signal.raise_signal(signal.SIGINT)


class Stop(Callback):
    """End a training in skorch's way."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        raise KeyboardInterrupt


def weights(model: Any) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.network_.parameters()])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupted_model_is_usable(early_stopping: bool) -> None:
    """The weights are the best of the three whole epochs and the step after them."""
    params = {**SHORT, "early_stopping": early_stopping}
    model = DiffusionGenerator(**params, callbacks=[CtrlC(1)])
    with pytest.warns(
        ConvergenceWarning, match=r"interrupted in the phase 'diffusion', step 7 of 40; the model"
    ) as found:
        model.fit(X_SRC)
    assert found[0].filename == __file__
    assert [row["step"] for row in model.history_] == [2, 4, 6]
    assert np.isfinite(model.sample(10)[0]).all()
    assert (model.diagnostics_.keys(), model.fit_time_.keys()) == ({"skipped_steps"}, {"diffusion"})
    assert not torch.equal(weights(model), weights(DiffusionGenerator(**params).fit(X_SRC)))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_learned_is_no_model() -> None:
    model = DiffusionGenerator(**SHORT, callbacks=[CtrlC(1, step=1)])
    with pytest.raises(KeyboardInterrupt, match=r"'diffusion', step 1 of 40.*checkpoint="):
        model.fit(X_SRC)
    with pytest.raises(NotFittedError):
        model.sample(2)


def test_end_by_a_callback_is_no_interrupt(recwarn: pytest.WarningsRecorder) -> None:
    model = DiffusionGenerator(**SHORT, callbacks=[Stop()]).fit(X_SRC)
    assert len(model.history_) == 1
    assert not [w for w in recwarn if issubclass(w.category, ConvergenceWarning)]


def test_fit_in_a_thread() -> None:
    """Signals are the main thread's; a fit elsewhere leaves their handler alone."""
    done: list[DiffusionGenerator] = []
    thread = threading.Thread(target=lambda: done.append(DiffusionGenerator(**SHORT).fit(X_SRC)))
    thread.start()
    thread.join()
    assert torch.equal(weights(done[0]), weights(DiffusionGenerator(**SHORT).fit(X_SRC)))


def test_interrupted_fit_goes_on(tmp_path: Path) -> None:
    whole = DiffusionGenerator(**SHORT).fit(X_SRC)
    model = DiffusionGenerator(**SHORT, callbacks=[CtrlC(1, step=11)])
    with pytest.warns(ConvergenceWarning, match="with the same checkpoint to go on"):
        model.fit(X_SRC, checkpoint=tmp_path / "fit")
    resumed = DiffusionGenerator(**SHORT).fit(X_SRC, checkpoint=tmp_path / "fit")
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history_ == whole.history_


@pytest.mark.parametrize(("n_networks", "interrupted", "n_left"), [(1, 1, 1), (2, 1, 1), (3, 3, 2)])
def test_interrupted_guidance(n_networks: int, interrupted: int, n_left: int) -> None:
    """Every phase is there: the networks that are done are kept, or the first as far as it is."""
    frozen = FrozenEstimator(DiffusionGenerator(**SHORT).fit(X_SRC))
    model = tiny_tgdp(
        source_model=frozen, n_networks=n_networks, eta_cycle=0, max_steps=40, callbacks=[CtrlC(interrupted)]
    )
    with pytest.warns(ConvergenceWarning, match="interrupted in the phase 'guidance', step 7 of 40"):
        model.fit(X_SRC, None, X_TGT)
    assert len(getattr(model.guidance_, "members", [1])) == n_left
    assert np.isfinite(model.sample(10)[0]).all()
    assert model.diagnostics_.keys() == {"skipped_steps", "effective_sample_size", "overlap"}


@pytest.mark.parametrize("phase", ["source", "time classifier"])
def test_interrupted_before_the_guidance(phase: str) -> None:
    source = DiffusionGenerator(**SHORT, callbacks=[CtrlC(1)] if phase == "source" else None)
    model = tiny_tgdp(
        source_model=source, eta_cycle=1.0, max_steps=40, callbacks=[CtrlC(1)] if phase != "source" else None
    )
    name = "diffusion" if phase == "source" else phase
    with pytest.raises(KeyboardInterrupt, match=f"interrupted in the phase '{name}', step 7"):
        model.fit(X_SRC, None, X_TGT)
    with pytest.raises(NotFittedError):
        model.sample(2)


# Classifiers of series --------------------------------------------------------------------------------
CLASSES = np.arange(40) % 2
SERIES = np.random.default_rng(1).normal(size=(40, 1, 16)) + CLASSES[:, None, None]
SHORT_SERIES = {**TINY_SERIES, "max_steps": 40, "batch_size": 16}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupted_classifier_is_usable_and_goes_on(tmp_path: Path, early_stopping: bool) -> None:
    params = {**SHORT_SERIES, "early_stopping": early_stopping}
    whole = SeriesClassifier(**params).fit(SERIES, CLASSES)
    model = SeriesClassifier(**params, callbacks=[CtrlC(1)])
    with pytest.warns(
        ConvergenceWarning, match=r"in the phase 'classifier', step 7 of 40; the model"
    ) as found:
        model.fit(SERIES, CLASSES, checkpoint=tmp_path / "fit")
    assert found[0].filename == __file__
    assert [row["step"] for row in model.history_] == [2, 4, 6]
    assert np.isfinite(model.predict_proba(SERIES)).all()
    resumed = SeriesClassifier(**params).fit(SERIES, CLASSES, checkpoint=tmp_path / "fit")
    assert torch.equal(weights(resumed), weights(whole))
    assert not torch.equal(weights(resumed), weights(model))
    assert resumed.history_ == whole.history_


def test_classifier_that_learned_nothing_is_none() -> None:
    model = SeriesClassifier(**SHORT_SERIES, callbacks=[CtrlC(1, step=1)])
    with pytest.raises(KeyboardInterrupt, match=r"'classifier', step 1 of 40.*checkpoint="):
        model.fit(SERIES, CLASSES)
    with pytest.raises(NotFittedError):
        model.predict(SERIES)


@pytest.mark.parametrize(
    ("training", "step", "phase", "epochs"),
    [(1, 3, "new head", (2, 0)), (2, 1, "fine-tuning", (4, 0)), (2, 3, "fine-tuning", (4, 1))],
)
def test_interrupted_fine_tuning_of_a_classifier(
    training: int, step: int, phase: str, epochs: tuple[int, int]
) -> None:
    """The head alone is a model, too, and what comes after it is left out."""
    source = FrozenEstimator(SeriesClassifier(**SHORT_SERIES).fit(SERIES, CLASSES))
    model = FineTunedSeriesClassifier(
        source, head_steps=4, max_steps=40, random_state=0, callbacks=[CtrlC(training, step)]
    )
    with pytest.warns(ConvergenceWarning, match=f"in the phase '{phase}', step {step} of"):
        model.fit(None, None, SERIES[:20], np.arange(20) % 3)
    phases = [row["phase"] for row in model.history_]
    assert phases == ["new head"] * epochs[0] + ["fine-tuning"] * epochs[1]
    assert model.predict_proba(SERIES).shape == (40, 3)


def test_interrupted_source_classifier_ends_the_fit() -> None:
    """A classifier that is a part of another fit cannot stand for it."""
    source = SeriesClassifier(**SHORT_SERIES, callbacks=[CtrlC(1)])
    tuned = FineTunedSeriesClassifier(source, head_steps=2, max_steps=2)
    ratio = DomainClassifier(source.set_params(n_channels=1), n_folds=2)
    for model, y in ((tuned, CLASSES), (ratio, None)):
        with pytest.raises(KeyboardInterrupt, match="interrupted in the phase 'classifier', step 7"):
            model.fit(SERIES, y, SERIES, y)
        with pytest.raises(NotFittedError):
            model.predict_proba(SERIES)


# Warm start -------------------------------------------------------------------------------------------
def test_warm_start_goes_on() -> None:
    """At a rate of next to nothing the weights stay; units and classes are the first fit's."""
    y = np.arange(40) % 2
    model = DiffusionGenerator(**SHORT, early_stopping=False, warm_start=True).fit(X_SRC, y)
    before, units = weights(model), model.transformer_
    model.set_params(lr=1e-9).fit(5 * X_SRC[:15], y[:15])
    torch.testing.assert_close(weights(model), before, rtol=0, atol=1e-5)
    assert model.transformer_ is units
    assert [row["step"] for row in model.history_] == list(range(2, 81, 2))
    assert np.isfinite(model.sample(4, y=1)[0]).all()
    cold = model.set_params(warm_start=False).fit(X_SRC, y)
    assert not torch.allclose(weights(cold), before, rtol=0, atol=1e-3)
    assert len(cold.history_) == 20


def test_warm_start_with_other_shapes() -> None:
    model = DiffusionGenerator(**SHORT, warm_start=True).fit(X_SRC)
    with pytest.raises(
        ValueError, match=r"whose shapes are others.*warm_start=False.*size mismatch for trunk"
    ):
        model.set_params(hidden_sizes=(9, 9)).fit(X_SRC)
    model.set_params(hidden_sizes=(8, 8))
    with pytest.raises(ValueError, match=r"X has rows of shape \(3,\), but the model \(warm_start=True\)"):
        model.fit(np.ones((9, 3)))


def test_warm_start_of_transfers() -> None:
    """The source model is taken as it is, and what the target trained goes on."""
    fine_tuned = FineTunedDiffusionGenerator(
        DiffusionGenerator(**SHORT),
        **{k: v for k, v in SHORT.items() if k != "hidden_sizes"},
        warm_start=True,
    ).fit(X_SRC, None, X_TGT)
    before, source = weights(fine_tuned), fine_tuned.source_model_
    fine_tuned.set_params(lr=1e-9).fit(X_SRC, None, X_TGT[:10])
    assert fine_tuned.source_model_ is source
    torch.testing.assert_close(weights(fine_tuned), before, rtol=0, atol=1e-5)

    tgdp = tiny_tgdp(warm_start=True, eta_cycle=1.0, max_steps=40).fit(X_SRC, None, X_TGT)
    source = tgdp.source_model_
    old = [p.clone() for p in (*tgdp.guidance_.parameters(), *tgdp.time_classifier_.parameters())]
    tgdp.set_params(lr=1e-9).fit(X_SRC, None, X_TGT[:10])
    new = [*tgdp.guidance_.parameters(), *tgdp.time_classifier_.parameters()]
    assert tgdp.source_model_ is source
    assert all(torch.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(old, new, strict=True))
    kept = dict(vars(tgdp))
    with pytest.raises(ValueError, match="goes on with the 2 guidance networks of the last fit, but 3"):
        tgdp.set_params(n_networks=3).fit(X_SRC, None, X_TGT)
    assert {**vars(tgdp), "n_networks": 2} == kept, "a fit that fails leaves the last one as it was"
    assert tgdp.history_
