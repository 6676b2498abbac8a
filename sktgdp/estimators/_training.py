"""Training of every network, through skorch's hooks: batches, loss terms, schedule, best weights.

A training problem is an *objective*, a callable ``(module, batch) -> {term: scalar}``, and one
`Pool` of rows per domain. All randomness lies in the batches (`sktgdp.estimators._batches`), so that an
objective is a pure function and validation batches can be fixed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from skorch.callbacks import Callback, LRScheduler
from skorch.helper import predefined_split
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sktgdp.estimators._batches import Pool, PoolBatches
from sktgdp.estimators._net import EpochSummary, Objective, ObjectiveCriterion, ObjectiveNet, Trainable
from sktgdp.estimators._settings import TrainingSettings
from sktgdp.process import VPProcess

__all__ = ["TrainedNetwork", "TrainingProblem", "train_network"]

N_VALIDATION_DRAWS = 4096
N_VALIDATION_SERIES = 256  # each of them holds hundreds of noised numbers


@dataclass
class TrainedNetwork:
    """A trained module and what its training recorded."""

    module: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.nan
    n_parameters: int = 0


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
) -> ObjectiveNet:
    rate = LRScheduler(LambdaLR, lr_lambda=settings.rate, step_every="batch")
    return ObjectiveNet(
        module,
        criterion=ObjectiveCriterion,
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
    summary = EpochSummary(settings)
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
