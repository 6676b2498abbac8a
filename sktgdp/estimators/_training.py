"""Training of every network, through skorch's hooks: batches, loss terms, schedule, best weights.

A training problem is an *objective*, a callable ``(module, batch) -> {term: scalar}``, and one
`Pool` of rows per domain. All randomness lies in the batches (rows, times and noise), drawn
from a generator of their own, so that an objective is a pure function and validation batches can
be fixed once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from sktgdp.process import VPProcess

__all__ = ["Batch", "NoisedRows", "Pool", "TrainingSettings", "resolve_device", "train_network"]

N_VALIDATION_DRAWS = 4096


@dataclass(frozen=True)
class NoisedRows:
    """Rows of one domain with a time and a noise each; see `sktgdp.process` for the symbols."""

    x0: Tensor
    y: Tensor | None
    t: Tensor
    eps: Tensor
    x_t: Tensor
    log_ratio: Tensor | None


class Batch:
    """Noised rows by domain; its length is the number of rows of all domains together.

    Not a dict: skorch expects the values of a dict to have one common length.
    """

    def __init__(self, domains: Mapping[str, NoisedRows]) -> None:
        self._domains = dict(domains)

    def __getitem__(self, domain: str) -> NoisedRows:
        return self._domains[domain]

    def get(self, domain: str) -> NoisedRows | None:
        """Rows of a domain, or None where the batch has none of it."""
        return self._domains.get(domain)

    def __len__(self) -> int:
        return sum(len(rows.x0) for rows in self._domains.values())


@dataclass
class Pool:
    """Rows of one domain that batches are drawn from.

    Parameters
    ----------
    x0 : Tensor of shape (n, *event)
    y : Tensor of shape (n, n_labels) or None
    batch_size : int
        Rows per batch; rows repeat, each as often as any other, where the pool is smaller.
    log_ratio : Tensor of shape (n,) or None
        Log density ratio q/p at the clean rows.
    weights : Tensor of shape (n,) or None
        Frequencies to draw rows with; None for equal ones.
    """

    x0: Tensor
    y: Tensor | None
    batch_size: int
    log_ratio: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x0)

    def indices(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Endless index batches: by permutations, or by weight with replacement."""
        size, n_rows = self.batch_size, len(self)
        if self.weights is not None:
            while True:
                yield torch.multinomial(self.weights, size, replacement=True, generator=generator)
        queue = torch.empty(0, dtype=torch.long)
        while True:
            while len(queue) < size:
                queue = torch.cat([queue, torch.randperm(n_rows, generator=generator)])
            yield queue[:size]
            queue = queue[size:]

    def noised(self, index: Tensor, process: VPProcess, generator: torch.Generator) -> NoisedRows:
        """Noise the indexed rows at times spread evenly over (t_min, 1] (stratified draws)."""
        x0 = self.x0[index.to(self.x0.device)]
        spread = torch.arange(len(index)) + torch.rand(len(index), generator=generator)
        t = process.t_min + (1.0 - process.t_min) * spread / len(index)
        t = t[torch.randperm(len(index), generator=generator)].to(x0)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0)
        pick = index.to(x0.device)
        y = None if self.y is None else self.y[pick]
        log_ratio = None if self.log_ratio is None else self.log_ratio[pick]
        return NoisedRows(x0, y, t, eps, process.perturb(x0, t, eps), log_ratio)


class PoolBatches(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """The batches of one skorch epoch; iterating goes on with the same random stream.

    Parameters
    ----------
    pools : mapping of str to Pool
    process : VPProcess
    n_steps : int
        Batches per epoch.
    generator : torch.Generator
    fixed : bool
        Draw the batches once and repeat them (validation).
    """

    def __init__(
        self,
        pools: Mapping[str, Pool],
        process: VPProcess,
        n_steps: int,
        generator: torch.Generator,
        fixed: bool = False,
    ) -> None:
        self.pools, self.process, self.n_steps, self.generator = pools, process, n_steps, generator
        self.streams = {name: pool.indices(generator) for name, pool in pools.items()}
        self.fixed = [self._draw() for _ in range(n_steps)] if fixed else None

    def _draw(self) -> Batch:
        return Batch(
            {
                name: pool.noised(next(self.streams[name]), self.process, self.generator)
                for name, pool in self.pools.items()
            }
        )

    def __len__(self) -> int:
        return sum(map(len, self.pools.values()))

    def __iter__(self) -> Iterator[tuple[Batch, Tensor]]:
        # skorch unpacks (X, y); nothing here has a target
        unused = torch.empty(0)
        if self.fixed is not None:
            return ((batch, unused) for batch in self.fixed)
        return ((self._draw(), unused) for _ in range(self.n_steps))


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


def resolve_device(device: str) -> torch.device:
    """Turn "auto" into CUDA, MPS or the CPU, whichever is there first."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _validation_data(pools: Mapping[str, Pool], process: VPProcess, generator: torch.Generator) -> PoolBatches:
    """Fix noised copies of the held-out rows, many of each, so that losses compare across epochs."""
    rows = {name: replace(pool, batch_size=N_VALIDATION_DRAWS) for name, pool in pools.items()}
    return PoolBatches(rows, process, 1, generator, fixed=True)


def train_network(
    module: Callable[..., nn.Module],
    module_params: Mapping[str, Any],
    objective: Objective,
    pools: Mapping[str, Pool],
    *,
    process: VPProcess,
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    valid_pools: Mapping[str, Pool] | None = None,
    term_weights: Mapping[str, float] | None = None,
    callbacks: Sequence[Callback] = (),
    initial_state: Mapping[str, Tensor] | None = None,
    phase: str = "",
) -> TrainedNetwork:
    """Train one network; torch's global random state is left as it was.

    Parameters
    ----------
    module, module_params
        Class (or function) of the network and its arguments.
    objective : callable (module, batch) -> dict of scalars
    pools, valid_pools : mapping of str to Pool
        Training rows and, if any, held-out rows that choose the best weights.
    process, settings, device
        See their classes.
    seed : int
        Decides the initial weights and all batches.
    term_weights : mapping of str to float, optional
        Weight of each term of the loss, 1 where missing.
    callbacks : sequence of skorch callbacks
        Called beside the package's own.
    initial_state : state dict, optional
        Weights to start from.
    phase : str
        Name of this training in the history.

    Returns
    -------
    TrainedNetwork
    """
    generator = torch.Generator().manual_seed(seed)
    valid = None if valid_pools is None else _validation_data(valid_pools, process, generator)
    data = PoolBatches(pools, process, settings.steps_per_epoch, generator)
    summary = _EpochSummary(settings)
    net = _ObjectiveNet(
        module,
        criterion=_Criterion,
        criterion__objective=objective,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=settings.weight_decay,
        lr=settings.lr,
        max_epochs=settings.n_epochs,
        train_split=None if valid is None else predefined_split(valid),
        callbacks=[
            ("summary", summary),
            ("rate", LRScheduler(LambdaLR, lr_lambda=settings.rate, step_every="batch")),
            *[(f"user{i}", callback) for i, callback in enumerate(callbacks)],
        ],
        verbose=0,
        device=device,
        term_weights=term_weights,
        max_grad_norm=settings.max_grad_norm,
        ema_decay=settings.ema_decay,
        **{f"module__{name}": value for name, value in module_params.items()},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net.initialize()
        if initial_state is not None:
            net.module_.load_state_dict(initial_state)
            net.average_.module.load_state_dict(initial_state)
        net.partial_fit(data)
    history = [
        {"phase": phase, "step": (i + 1) * settings.steps_per_epoch}
        | {k: v for k, v in epoch.items() if k.startswith(("train_", "valid_")) and "batch" not in k}
        for i, epoch in enumerate(net.history)
    ]
    module_ = net.module_.eval().requires_grad_(False)
    return TrainedNetwork(module_, history, summary.best_loss_)
