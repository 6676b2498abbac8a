"""Training of every network, through skorch's hooks: batches, loss terms, schedule, best weights.

A training problem is an *objective*, a callable ``(module, batch) -> {term: scalar}``, and one
`Pool` of rows per domain. All randomness lies in the batches (`sktgdp.estimators._batches`), so that an
objective is a pure function and validation batches can be fixed once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from sktgdp.estimators._batches import Batch, Pool, PoolBatches
from sktgdp.process import VPProcess

__all__ = ["TrainedNetwork", "TrainingProblem", "TrainingSettings", "resolve_device", "train_network"]

N_VALIDATION_DRAWS = 4096
N_VALIDATION_SERIES = 256  # each of them holds hundreds of noised numbers


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how a network is trained.

    Parameters
    ----------
    max_steps : int
        Gradient steps.
    lr, weight_decay : float
        Of AdamW; the rate warms up over 5 % of the steps and decays by a cosine to zero.
    max_grad_norm : float
        Gradients are scaled down to this norm.
    ema_decay : float
        Decay of the moving average of the weights that is kept; 0 keeps the last weights.
    patience : float
        Share of the steps without a better validation loss after which training stops.
    """

    max_steps: int = 2500
    lr: float = 2e-3
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    ema_decay: float = 0.995
    patience: float = 0.4

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two validations."""
        return max(1, min(50, self.max_steps // 20))

    @property
    def n_epochs(self) -> int:
        """Number of skorch epochs."""
        return math.ceil(self.max_steps / self.steps_per_epoch)

    def rate(self, step: int) -> float:
        """Learning rate at a step, as a share of ``lr``."""
        warm_up = max(1, self.max_steps // 20)
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(1, self.max_steps - warm_up)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


Objective = Callable[[nn.Module, Batch], dict[str, Tensor]]
Trainable = Callable[[nn.Module], Iterable[nn.Parameter]]


class _Average:
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


class _Criterion(nn.Module):
    """Carry an objective where skorch wants a module; what the objective holds stays out of training."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return self.objective(module, batch)


class _ObjectiveNet(NeuralNet):
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

    def initialize(self) -> _ObjectiveNet:
        super().initialize()
        self.n_bad_steps_ = 0
        self.average_ = _Average(self.module_, self.ema_decay)
        return self

    def start_from(self, module: nn.Module | None, trainable: Trainable | None) -> None:
        """Copy the weights of another network, if given, and free only the trainable parameters."""
        if module is not None:
            self.module_.load_state_dict(module.state_dict())
            self.average_ = _Average(self.module_, self.ema_decay)
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


class _EpochSummary(Callback):
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


@dataclass
class TrainedNetwork:
    """A trained module and what its training recorded."""

    module: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.nan
    n_parameters: int = 0


def resolve_device(device: str) -> torch.device:
    """Turn "auto" into CUDA, MPS or the CPU, whichever is there first."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@dataclass(frozen=True)
class TrainingProblem:
    """What a network is trained on and for.

    Parameters
    ----------
    objective : callable (module, batch) -> dict of scalars
    pools, valid_pools : mapping of str to Pool
        Training rows and, if any, held-out rows that choose the best weights.
    process : VPProcess
    term_weights : mapping of str to float
        Weight of each term of the loss, 1 where missing.
    phase : str
        Name of this training in the history.
    """

    objective: Objective
    pools: Mapping[str, Pool]
    process: VPProcess
    phase: str
    valid_pools: Mapping[str, Pool] | None = None
    term_weights: Mapping[str, float] = field(default_factory=dict)

    def datasets(self, n_steps: int, seed: int) -> tuple[PoolBatches, PoolBatches | None]:
        """Training batches of one epoch, and fixed noised copies of the held-out rows, many of each."""
        generator = torch.Generator().manual_seed(seed)
        valid = None
        if self.valid_pools is not None:
            series = any(pool.x0.ndim == 3 for pool in self.valid_pools.values())
            n_draws = N_VALIDATION_SERIES if series else N_VALIDATION_DRAWS
            many = {k: replace(pool, batch_size=n_draws) for k, pool in self.valid_pools.items()}
            valid = PoolBatches(many, self.process, 1, generator, fixed=True)
        return PoolBatches(self.pools, self.process, n_steps, generator), valid


def _make_net(
    module: Callable[..., nn.Module],
    module_params: Mapping[str, Any],
    problem: TrainingProblem,
    settings: TrainingSettings,
    callbacks: Sequence[Callback],
    **options: Any,
) -> _ObjectiveNet:
    rate = LRScheduler(LambdaLR, lr_lambda=settings.rate, step_every="batch")
    return _ObjectiveNet(
        module,
        criterion=_Criterion,
        criterion__objective=problem.objective,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=settings.weight_decay,
        lr=settings.lr,
        max_epochs=settings.n_epochs,
        verbose=0,
        term_weights=problem.term_weights,
        max_grad_norm=settings.max_grad_norm,
        max_bad_steps=min(20, settings.max_steps),
        ema_decay=settings.ema_decay,
        callbacks=[rate, *callbacks],
        **{f"module__{name}": value for name, value in module_params.items()},
        **options,
    )


def train_network(
    module: Callable[..., nn.Module],
    module_params: Mapping[str, Any],
    problem: TrainingProblem,
    settings: TrainingSettings,
    *,
    seed: int,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
    start: nn.Module | None = None,
    trainable: Trainable | None = None,
) -> TrainedNetwork:
    """Train one network; torch's global random state is left as it was.

    Parameters
    ----------
    module, module_params
        Class (or function) of the network and its arguments.
    seed : int
        Decides the initial weights and all batches.
    callbacks : sequence of skorch callbacks
        Called after the package's own.
    start : nn.Module, optional
        Network of the same kind whose weights the training starts from.
    trainable : callable (module) -> parameters, optional
        What is trained; all parameters by default.
    """
    data, valid = problem.datasets(settings.steps_per_epoch, seed)
    summary = _EpochSummary(settings)
    options = {"device": device, "train_split": valid and predefined_split(valid)}
    net = _make_net(module, module_params, problem, settings, [summary, *callbacks], **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net.initialize()
        net.start_from(start, trainable)
        net.partial_fit(data)
    n_trained = sum(p.numel() for p in net.module_.parameters() if p.requires_grad)
    history = [_history_row(epoch, problem.phase, settings.steps_per_epoch) for epoch in net.history]
    return TrainedNetwork(net.module_.eval().requires_grad_(False), history, summary.best_loss_, n_trained)


def _history_row(epoch: Mapping[str, Any], phase: str, steps_per_epoch: int) -> dict[str, Any]:
    """Loss terms of one epoch without skorch's bookkeeping."""
    row: dict[str, Any] = {"phase": phase, "step": epoch["epoch"] * steps_per_epoch}
    return row | {k: v for k, v in epoch.items() if k.startswith(("train_", "valid_")) and "batch" not in k}
