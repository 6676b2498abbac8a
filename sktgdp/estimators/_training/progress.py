"""Progress bars for training."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm

from sktgdp.estimators._training.settings import TrainingSettings

__all__ = ["progress_callbacks"]


class _Progress(Callback):
    """A bar of the gradient steps of one phase, with the last loss."""

    def __init__(self, phase: str, settings: TrainingSettings) -> None:
        self.phase, self.settings = phase, settings

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_ = tqdm(total=self.settings.max_steps, desc=f"{self.phase:>14}", unit="step")

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        step = min(self.settings.max_steps, len(net.history) * self.settings.steps_per_epoch)
        self.bar_.set_postfix(loss=f"{net.history[-1]['train_loss']:.4f}", refresh=False)
        self.bar_.update(step - self.bar_.n)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_.close()


def progress_callbacks(verbose: int, phase: str, settings: TrainingSettings) -> list[Callback]:
    """Give the callbacks that ``verbose`` asks for."""
    return [_Progress(phase, settings)] if verbose else []
