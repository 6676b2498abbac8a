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
from sktgdp.estimators._divergence import DivergenceGuard
from sktgdp.estimators._settings import TrainingSettings

__all__ = [
    "EpochSummary",
    "MovingAverage",
    "Objective",
    "ObjectiveCriterion",
    "ObjectiveNet",
    "Schedule",
    "Trainable",
]

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
        guard: DivergenceGuard,
        term_weights: Mapping[str, float] | None = None,
        max_grad_norm: float = 1.0,
        ema_decay: float = 0.995,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.term_weights = term_weights
        self.ema_decay = ema_decay
        self.max_grad_norm = max_grad_norm
        self.guard = guard

    def initialize(self) -> ObjectiveNet:
        super().initialize()
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

    def parts(self) -> dict[str, Any]:
        """All in it that has a state, but the history."""
        return {"module": self.module_, "average": self.average_.model, "optimizer": self.optimizer_}

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
        if not self.guard.accepts(self, batch[0], step, float(norm)):
            self.module_.zero_grad()
        return step


class Schedule(Callback):
    """Set the rate of every step: that of the settings, times what the guard leaves of it."""

    def __init__(self, settings: TrainingSettings, guard: DivergenceGuard) -> None:
        self.settings, self.guard = settings, guard

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.step_ = 0

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            rate = self.settings.lr * self.settings.rate(self.step_) * self.guard.rate_
            for group in net.optimizer_.param_groups:
                group["lr"] = rate
            self.step_ += 1

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps taken."""
        return {"step": self.step_}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a step."""
        self.step_ = state_dict["step"]


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
            values = [batch[name] for batch in batches if math.isfinite(batch.get(name, math.nan))]
            epoch[name] = sum(values) / len(values) if values else math.nan  # of the steps that were taken
        self.epoch_ += 1
        loss = epoch.get("valid_loss")
        if loss is None:
            return
        if loss < self.best_loss_:
            self.best_ = copy.deepcopy(net.average_.module.state_dict())  # first: an interrupt may follow
            self.best_loss_, self.best_epoch_ = loss, self.epoch_
        elif self.epoch_ - self.best_epoch_ >= self.settings.patience * self.settings.n_epochs:
            raise KeyboardInterrupt  # skorch's own way to end a fit

    def state_dict(self) -> dict[str, Any]:
        """Give the best weights and when they were."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where another summary stood."""
        self.__dict__.update(state_dict)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        best = self.best_ if self.best_ is not None else net.average_.module.state_dict()
        net.module_.load_state_dict(best)
