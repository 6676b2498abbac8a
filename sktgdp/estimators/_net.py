"""The skorch network whose loss is an objective, and the callback that keeps its best weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sktgdp.estimators._batches import Batch, PoolBatches
from sktgdp.estimators._settings import TrainingSettings

__all__ = ["EpochSummary", "MovingAverage", "Objective", "ObjectiveCriterion", "ObjectiveNet", "Trainable"]

Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]
Trainable = Callable[[nn.Module], Iterable[nn.Parameter]]


class MovingAverage:
    """Exponential moving average of a module's weights that forgets the start while it is young.

    Not a module itself: skorch would hand its weights to the optimiser.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = AveragedModel(module, multi_avg_fn=self._blend)

    @torch.no_grad()
    def _blend(self, average: Any, live: Any, n_averaged: Tensor | int) -> None:
        n_steps = int(n_averaged)
        torch._foreach_lerp_(average, live, 1.0 - min(self.decay, n_steps / (n_steps + 10.0)))

    @property
    def module(self) -> nn.Module:
        """The averaged network."""
        return self.model.module


class ObjectiveCriterion(nn.Module):
    """Carry an objective where skorch wants a module; what the objective holds stays out of training."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return self.objective(module, batch)


class ObjectiveNet(NeuralNet):
    """skorch network whose criterion is an objective; records every term of the loss."""

    def __init__(
        self,
        *args: Any,
        term_weights: Mapping[str, float] | None = None,
        max_grad_norm: float = 1.0,
        ema_decay: float = 0.995,
        max_bad_steps: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.term_weights = term_weights
        self.ema_decay = ema_decay
        self.max_grad_norm = max_grad_norm
        self.max_bad_steps = max_bad_steps

    def initialize(self) -> ObjectiveNet:
        super().initialize()
        self.n_bad_steps_ = 0
        self.average_ = MovingAverage(self.module_, self.ema_decay)
        return self

    def start_from(self, module: nn.Module | None, trainable: Trainable | None) -> None:
        """Copy the weights of another network, if given, and free only the trainable parameters."""
        if module is not None:
            self.module_.load_state_dict(module.state_dict())
            self.average_ = MovingAverage(self.module_, self.ema_decay)
        if trainable is not None:
            self.module_.requires_grad_(False)
            for parameter in trainable(self.module_):
                parameter.requires_grad_(True)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []

    def get_iterator(self, dataset: PoolBatches, training: bool = False) -> PoolBatches:
        return dataset

    def infer(self, x: Batch, **fit_params: Any) -> dict[str, Tensor]:
        return self.criterion_(self.module_, x)

    def get_loss(
        self, y_pred: dict[str, Tensor], y_true: Tensor, X: Batch | None = None, training: bool = False
    ) -> Tensor:
        prefix = "train_" if training else "valid_"
        for name, term in y_pred.items():
            self.history.record_batch(prefix + name, term.item())
        weights = self.term_weights or {}
        return sum((weights.get(name, 1.0) * term for name, term in y_pred.items()), torch.zeros(()))

    def train_step(self, batch: tuple[Batch, Tensor], **fit_params: Any) -> dict[str, Any]:
        step = super().train_step(batch, **fit_params)
        self.average_.model.update_parameters(self.module_)
        return step

    def validation_step(self, batch: tuple[Batch, Tensor], **fit_params: Any) -> dict[str, Any]:
        with torch.no_grad():
            terms = self.criterion_(self.average_.module, batch[0])
            return {"loss": self.get_loss(terms, batch[1]), "y_pred": terms}

    def train_step_single(self, batch: tuple[Batch, Tensor], **fit_params: Any) -> dict[str, Any]:
        step = super().train_step_single(batch, **fit_params)
        norm = nn.utils.clip_grad_norm_(self.module_.parameters(), self.max_grad_norm)
        if math.isfinite(float(norm)):
            self.n_bad_steps_ = 0
            return step
        self.n_bad_steps_ += 1
        self.module_.zero_grad()
        if self.n_bad_steps_ >= self.max_bad_steps:
            terms = ", ".join(f"{k} = {v.item():.3g}" for k, v in step["y_pred"].items())
            raise FloatingPointError(
                f"Training diverged: {self.n_bad_steps_} steps in a row had a non-finite gradient "
                f"(last losses: {terms}). Lower `lr`, or scale the features."
            )
        return step


class EpochSummary(Callback):
    """Average each loss term over the epoch, keep the best averaged weights, stop without progress."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.best_loss_, self.best_epoch_, self.epoch_ = math.inf, 0, 0
        self.best_: dict[str, Tensor] | None = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        epoch = net.history[-1]
        batches = epoch["batches"]
        for name in {key for batch in batches for key in batch if not key.endswith("batch_size")}:
            values = [batch[name] for batch in batches if name in batch]
            epoch[name] = sum(values) / len(values)
        self.epoch_ += 1
        loss = epoch.get("valid_loss")
        if loss is None:
            return
        if loss < self.best_loss_:
            self.best_loss_, self.best_epoch_ = loss, self.epoch_
            self.best_ = copy.deepcopy(net.average_.module.state_dict())
        elif self.epoch_ - self.best_epoch_ >= self.settings.patience * self.settings.n_epochs:
            raise KeyboardInterrupt  # skorch's own way to end a fit

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        best = self.best_ if self.best_ is not None else net.average_.module.state_dict()
        net.module_.load_state_dict(best)
