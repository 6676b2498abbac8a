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
from torch.optim.lr_scheduler import OneCycleLR

from sktgdp.estimators._training.batches import Batch
from sktgdp.estimators._training.divergence import DivergenceGuard
from sktgdp.estimators._training.processes import ALONE, Processes
from sktgdp.estimators._training.settings import TrainingSettings

__all__ = [
    "SCHEDULES",
    "EpochSummary",
    "MovingAverage",
    "Objective",
    "ObjectiveCriterion",
    "ObjectiveNet",
    "Schedule",
    "Trainable",
]

Objective = Callable[[nn.Module, Any], dict[str, Tensor]]
Trainable = Callable[[nn.Module], Iterable[nn.Parameter]]


class MovingAverage:
    """Exponential moving average of a module's trained weights that forgets the start while it is young.

    Not a module itself: skorch would hand its weights to the optimiser.

    Parameters
    ----------
    module : nn.Module
        Averaged are its parameters that require a gradient; its buffers are copied.
    decay : float
        0 keeps no average: ``module`` is then the live network itself.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.n_steps = decay, 0
        self.live = self._module = module
        if decay > 0.0:
            self._module = copy.deepcopy(module).eval().requires_grad_(False)
        pairs = zip(module.parameters(), self._module.parameters(), strict=True)
        # detached, so that no step has to switch gradients off
        trained = [(theirs.detach(), ours.detach()) for theirs, ours in pairs if theirs.requires_grad]
        self._live_weights, self._weights = ([pair[k] for pair in trained] for k in (0, 1))

    def update(self) -> None:
        """Take in the weights of one more step."""
        if self.decay > 0.0:
            weight = 1.0 - min(self.decay, self.n_steps / (self.n_steps + 10.0))
            torch._foreach_lerp_(self._weights, self._live_weights, weight)
        self.n_steps += 1

    @property
    def module(self) -> nn.Module:
        """The averaged network."""
        if self._module is not self.live:
            for ours, theirs in zip(self._module.buffers(), self.live.buffers(), strict=True):
                ours.copy_(theirs)
        return self._module

    def state_dict(self) -> dict[str, Any]:
        """Give the averaged weights and the number of steps in them."""
        return {"n_steps": self.n_steps, "weights": self.module.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where another average stood."""
        self.n_steps = state_dict["n_steps"]
        self._module.load_state_dict(state_dict["weights"])


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
        precision: str = "fp32",
        processes: Processes = ALONE,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.term_weights = term_weights
        self.ema_decay = ema_decay
        self.max_grad_norm = max_grad_norm
        self.precision = precision
        self.guard = guard
        self.processes = processes

    def initialize(self) -> ObjectiveNet:
        super().initialize()
        self.record_: dict[str, Any] = {}  # what the history holds of the batch at hand
        self.step_: dict[str, Any] = {}  # its loss, and the terms of it
        self.listeners_: dict[str, list[Any]] = {}
        self.start_from(None, None)
        return self

    def start_from(self, module: nn.Module | None, trainable: Trainable | None) -> None:
        """Copy the weights of another network, if given, and free only the trainable parameters."""
        if module is not None:
            try:
                self.module_.load_state_dict(module.state_dict())
            except RuntimeError as error:
                raise ValueError(
                    "The training cannot start from the network that is there, whose shapes are others than "
                    "what the parameters ask for: give them the values of the last fit, or set "
                    f"warm_start=False to start anew. The first of them: {str(error).splitlines()[1].strip()}"
                ) from error
        if trainable is not None:
            self.module_.requires_grad_(False)
            for parameter in trainable(self.module_):
                parameter.requires_grad_(True)
        self.trained_ = [p for p in self.module_.parameters() if p.requires_grad]
        self.average_ = MovingAverage(self.module_, self.ema_decay)
        self.replica_: Callable[..., Tensor] | None = None

    def replicate(self) -> None:
        """Train with the other processes from here on; ``module_`` stays the plain network."""
        if self.processes.n > 1:
            # a method: skorch would take the wrapper for one more network to train
            self.replica_ = self.processes.replicate(self.module_).__call__

    def parts(self) -> dict[str, Any]:
        """All in it that has a state, but the history."""
        return {"module": self.module_, "average": self.average_, "optimizer": self.optimizer_}

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call those callbacks alone that have something to do at this moment."""
        getattr(self, method_name)(self, **cb_kwargs)
        listeners = self.listeners_.get(method_name)
        if listeners is None:
            methods = [getattr(callback, method_name) for _, callback in self.callbacks_]
            idle = getattr(Callback, method_name)
            listeners = [method for method in methods if getattr(method, "__func__", None) is not idle]
            self.listeners_[method_name] = listeners
        for method in listeners:
            method(self, **cb_kwargs)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        return dataset

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training != training:
            super()._set_training(training)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., Any], **fit_params: Any
    ) -> None:
        """As skorch's, but the losses stay on the device until the epoch is over."""
        if iterator is None:
            return
        batches = self.history[-1]["batches"]
        start = len(batches)
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            self.record_ = batches[-1]
            step = step_fn(batch, **fit_params)
            self.record_[prefix + "_loss"] = _kept(step["loss"])
            self.record_[prefix + "_batch_size"] = len(batch[0])
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(prefix + "_batch_count", len(batches) - start)
        _read(batches[start:])

    def infer(self, x: Batch, **fit_params: Any) -> dict[str, Tensor]:
        return self.terms(self.replica_ or self.module_, x)

    def terms(self, module: Callable[..., Tensor], x: Batch) -> dict[str, Tensor]:
        """Terms of the loss, in the precision of the training."""
        if self.precision == "fp32":
            return self.criterion_(module, x)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            terms = self.criterion_(module, x)
        return {name: term.float() for name, term in terms.items()}

    def get_loss(
        self, y_pred: dict[str, Tensor], y_true: Tensor, X: Batch | None = None, training: bool = False
    ) -> Tensor:
        prefix = "train_" if training else "valid_"
        weights = self.term_weights or {}
        total: Tensor | None = None
        for name, term in y_pred.items():
            self.record_[prefix + name] = _kept(term)
            weighted = term * weights[name] if name in weights else term
            total = weighted if total is None else total + weighted
        assert total is not None
        total = self.processes.settle(total)
        self.step_ = {"loss": total, "y_pred": y_pred}
        return total

    def train_step(self, batch: tuple[Batch, Tensor], **fit_params: Any) -> dict[str, Any]:
        step = super().train_step(batch, **fit_params)
        self.average_.update()
        return step

    def validation_step(self, batch: tuple[Batch, Tensor], **fit_params: Any) -> dict[str, Any]:
        self._set_training(False)
        with torch.no_grad():
            terms = self.criterion_(self.average_.module, batch[0])
            return {"loss": self.get_loss(terms, batch[1]), "y_pred": terms}

    def on_grad_computed(self, net: NeuralNet, batch: Any = None, **kwargs: Any) -> None:
        """Clip the gradient; a step that the guard refuses leaves the weights as they are."""
        norm = nn.utils.clip_grad_norm_(self.trained_, self.max_grad_norm)
        if not self.guard.accepts(self, batch[0], self.step_, float(norm)):
            self.module_.zero_grad()


def _kept(value: Tensor) -> float | Tensor:
    """A loss as a number where that costs nothing, elsewhere a copy on the device."""
    return value.item() if value.device.type == "cpu" else value.detach().clone()


def _read(batches: list[dict[str, Any]]) -> None:
    """Bring what batches recorded on the device to the host, all at once."""
    places = [(batch, k) for batch in batches for k, v in batch.items() if isinstance(v, Tensor)]
    if places:
        values = torch.stack([batch[name] for batch, name in places]).tolist()
        for (batch, name), value in zip(places, values, strict=True):
            batch[name] = value


def _mean(batches: list[dict[str, Any]], name: str) -> float:
    """Mean of a loss over the rows of the steps that were taken."""
    size = f"{name.split('_')[0]}_batch_size"
    kept = [batch for batch in batches if math.isfinite(batch.get(name, math.nan))]
    if not kept:
        return math.nan
    most = max(batch[size] for batch in kept)
    shares = [batch[size] / most for batch in kept]  # 1, and nothing is rounded, where all are alike
    return float(sum(s * batch[name] for s, batch in zip(shares, kept, strict=True)) / sum(shares))


class Schedule(Callback):
    """Set the rate of every step: that of the settings, times what the guard leaves of it."""

    def __init__(self, settings: TrainingSettings, guard: DivergenceGuard) -> None:
        self.settings, self.guard = settings, guard

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.step_ = 0
        self.peaks = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            for group, peak in zip(net.optimizer_.param_groups, self.peaks, strict=True):
                self.set(group, peak)
            self.step_ += 1

    def set(self, group: dict[str, Any], peak: float) -> None:
        """Set the rate of some parameters, whose highest is given."""
        group["lr"] = peak * self.settings.rate(self.step_) * self.guard.rate_

    def state_dict(self) -> dict[str, Any]:
        """Give the number of steps taken."""
        return {"step": self.step_}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a step."""
        self.step_ = state_dict["step"]


class OneCycle(Schedule):
    """Torch's one-cycle schedule: the rate grows while the momentum falls, and then the other way round."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        super().on_train_begin(net)
        n_steps = self.settings.n_epochs * self.settings.steps_per_epoch
        optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
        cycle = OneCycleLR(optimizer, max_lr=1.0, total_steps=n_steps)
        (group,) = optimizer.param_groups
        self.cycle: list[tuple[float, float]] = []
        for _ in range(n_steps):
            self.cycle.append((group["lr"], group["betas"][0]))
            optimizer.step()
            cycle.step()

    def set(self, group: dict[str, Any], peak: float) -> None:
        """Set the rate and the momentum of some parameters."""
        rate, momentum = self.cycle[self.step_]
        group["lr"], group["betas"] = peak * rate * self.guard.rate_, (momentum, group["betas"][1])


SCHEDULES: dict[str, type[Schedule]] = {"cosine": Schedule, "one-cycle": OneCycle}


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
        means = {}
        for name in sorted({key for batch in batches for key in batch if not key.endswith("batch_size")}):
            means[name] = _mean(batches, name)
        epoch.update(net.processes.mean(means))  # so that all processes stop together
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
