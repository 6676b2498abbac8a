"""Training of every network, through skorch's hooks: batches, loss terms, schedule, best weights.

A training problem is an *objective*, a callable ``(module, batch) -> {term: scalar}``, and one
`Pool` of rows per domain. All randomness lies in the batches (`sktgdp.estimators._training.batches`), so that
an objective is a pure function and validation batches can be fixed once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import nn

from sktgdp.estimators._state.checkpoint import Checkpointing, FitCheckpoint, TrainingFile
from sktgdp.estimators._training.batches import NoisedRows, Pool, PoolBatches
from sktgdp.estimators._training.devices import can_compile, has_fused_optimizer, seeded
from sktgdp.estimators._training.divergence import ENOUGH_STEPS, DivergenceGuard, warn_if_idle
from sktgdp.estimators._training.interruption import TrainingInterrupted, noting_interrupts
from sktgdp.estimators._training.net import (
    SCHEDULES,
    EpochSummary,
    Objective,
    ObjectiveCriterion,
    ObjectiveNet,
    Trainable,
)
from sktgdp.estimators._training.objectives import Denoising
from sktgdp.estimators._training.processes import ALONE, Processes
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.nets._architecture import remember_architecture
from sktgdp.process import VPProcess

__all__ = ["TrainedNetwork", "TrainingProblem", "train_network"]

N_VALIDATION_DRAWS = 4096
N_JUDGED = 256
N_VALIDATION_SERIES = 256  # each of them holds hundreds of noised numbers


@dataclass
class TrainedNetwork:
    """A trained module and what its training recorded."""

    module: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.nan
    n_parameters: int = 0


class Problem(Protocol):
    """What a network is trained on and for, as the training sees it."""

    @property
    def objective(self) -> Objective:
        """The loss of a batch, by terms."""

    @property
    def phase(self) -> str:
        """Name of the training in the history."""

    @property
    def term_weights(self) -> Mapping[str, float]:
        """Weights of the terms."""

    def depends_on(self) -> dict[str, Any]:
        """All of it that the weights depend on, by the name that a user knows it by."""

    def datasets(
        self, n_steps: int, seed: int, device: torch.device, processes: Processes = ALONE
    ) -> tuple[Any, Any]:
        """Batches of one epoch, whose state can be kept, and those of held-out rows or None."""


@dataclass(frozen=True)
class TrainingProblem:
    """What a network is trained on and for.

    Parameters
    ----------
    objective : callable (module, batch) -> dict of scalars
    pools, valid_pools : mapping of str to Pool
        Training rows and, if any, held-out rows that choose the best weights.
    process : VPProcess or None
        None trains on clean rows.
    term_weights : mapping of str to float
        Weight of each term of the loss, 1 where missing.
    phase : str
        Name of this training in the history.
    """

    objective: Objective
    pools: Mapping[str, Pool]
    process: VPProcess | None
    phase: str
    valid_pools: Mapping[str, Pool] | None = None
    term_weights: Mapping[str, float] = field(default_factory=dict)

    def depends_on(self) -> dict[str, Any]:
        """All of it that the weights depend on, by the name that a user knows it by."""
        objective = [self.objective, self.process, self.term_weights]
        return {"rows": self.pools, "held-out rows": self.valid_pools, "objective": objective}

    def some_rows(self, process: VPProcess, seed: int, device: torch.device) -> NoisedRows:
        """Noised training rows, a few hundred at most."""
        (pool,) = self.pools.values()
        generator = torch.Generator(device).manual_seed(seed)
        index = torch.randperm(len(pool), generator=generator, device=device)[:N_JUDGED]
        return pool.noised(index, process, generator)

    def datasets(
        self, n_steps: int, seed: int, device: torch.device, processes: Processes = ALONE
    ) -> tuple[PoolBatches, PoolBatches | None]:
        """Training batches of one epoch, and fixed noised copies of the held-out rows, many of each.

        The processes of a training share the held-out copies and draw batches of their own.
        """
        generator = torch.Generator(device).manual_seed(seed)
        valid = None
        if self.valid_pools is not None:
            series = any(pool.x0.ndim == 3 for pool in self.valid_pools.values())
            n_draws = N_VALIDATION_SERIES if series else N_VALIDATION_DRAWS
            many = {k: replace(pool, batch_size=n_draws) for k, pool in self.valid_pools.items()}
            valid = PoolBatches(many, self.process, 1, generator, fixed=True)
        generator = processes.batch_generator(generator)
        return PoolBatches(self.pools, self.process, n_steps, generator), valid


def _make_net(
    module: Callable[..., nn.Module],
    module_params: Mapping[str, Any],
    problem: Problem,
    settings: TrainingSettings,
    **options: Any,
) -> ObjectiveNet:
    groups = [(f"{name}.*", {"lr": settings.lr * share}) for name, share in settings.rates.items()]
    return ObjectiveNet(
        module,
        criterion=ObjectiveCriterion,
        criterion__objective=problem.objective,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=settings.weight_decay,
        optimizer__fused=has_fused_optimizer(options["device"]),
        optimizer__param_groups=groups,
        lr=settings.lr,
        max_epochs=settings.n_epochs,
        verbose=0,
        term_weights=problem.term_weights,
        max_grad_norm=settings.max_grad_norm,
        ema_decay=settings.ema_decay,
        precision=settings.precision,
        **{f"module__{name}": value for name, value in module_params.items()},
        **options,
    )


def train_network(
    module: Callable[..., nn.Module],
    module_params: Mapping[str, Any],
    problem: Problem,
    settings: TrainingSettings,
    *,
    seed: int,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
    start: nn.Module | None = None,
    trainable: Trainable | None = None,
    checkpoint: FitCheckpoint | None = None,
    processes: Processes = ALONE,
) -> TrainedNetwork:
    """Train one network; torch's global random state is left as it was.

    Parameters
    ----------
    module, module_params : class or function, and its arguments
        Or a network and none: it is trained in place.
    seed : int
        Decides the initial weights and all batches.
    callbacks : sequence of skorch callbacks
        Called after the package's own.
    start : nn.Module, optional
        Network of the same kind whose weights the training starts from.
    trainable : callable (module) -> parameters, optional
        What is trained; all parameters by default.
    checkpoint : FitCheckpoint, optional
        Keeps the state of the training, and gives it back to the same training.
    processes : Processes, optional
        Those that train the network together.

    An interrupt by the user is raised as `TrainingInterrupted`, with the best weights in it.
    """
    training = _Training(module, module_params, problem, settings, seed, device, start, trainable, processes)
    file = None if checkpoint is None else checkpoint.training(problem.phase, training.depends_on)
    with seeded(seed, device):
        return training.recall(file.result) if file and file.result else training.run(callbacks, file)


@dataclass(frozen=True)
class _Training:
    """One training: what `train_network` was given."""

    module: Callable[..., nn.Module]
    module_params: Mapping[str, Any]
    problem: Problem
    settings: TrainingSettings
    seed: int
    device: torch.device
    start: nn.Module | None
    trainable: Trainable | None
    processes: Processes

    def depends_on(self) -> dict[str, Any]:
        """All that the weights depend on, by the name that a user knows it by."""
        return {
            **self.problem.depends_on(),
            "network": [self.module, self.module_params, self.trainable],
            "first weights": self.start,
            "settings": self.settings,
            "seed": self.seed,
            "device": str(self.device),
        }

    def recall(self, result: Mapping[str, Any]) -> TrainedNetwork:
        """What the training gave before."""
        module = self.module if isinstance(self.module, nn.Module) else self.module(**self.module_params)
        module.load_state_dict(result["module"])
        return TrainedNetwork(**{**result, "module": self._finished(module.to(self.device))})

    def run(self, callbacks: Sequence[Callback], file: TrainingFile | None) -> TrainedNetwork:
        """Train, or go on with what the file holds."""
        guard = DivergenceGuard(self.problem.phase, self.settings.max_steps)
        schedule = SCHEDULES[self.settings.schedule](self.settings, guard)
        summary = EpochSummary(self.settings)
        own = {"schedule": schedule, "guard": guard, "summary": summary}
        steps, processes = self.settings.steps_per_epoch, self.processes
        data, valid = self.problem.datasets(steps, self.seed, self.device, processes)
        keeping = [Checkpointing(file, lambda net: {**own, **net.parts(), "rows": data})] if file else []
        net = _make_net(
            self.module, self.module_params, self.problem, self.settings,
            guard=guard, processes=processes, device=self.device,
            train_split=valid and predefined_split(valid),
            callbacks=[*own.values(), *keeping, *callbacks],
        )  # fmt: skip
        net.initialize()
        net.start_from(self.start, self.trainable)
        if self.settings.compile:
            compile_in_place(net.module_, self.device)
        net.replicate()
        with noting_interrupts() as interrupts:
            net.partial_fit(data, epochs=self.settings.n_epochs - sum(each.n_epochs for each in keeping))
        if interrupts and processes.n > 1:  # the others stand elsewhere: there is no common model
            raise KeyboardInterrupt
        processes.share(net.module_)
        trained = self._result(net, summary.best_loss_)
        if interrupts:
            where = f"{self.problem.phase!r}, step {schedule.step_} of {self.settings.max_steps}"
            raise TrainingInterrupted(trained, where, file is not None)
        guard.report()
        self._check_idle(trained.module)
        if file is not None:
            file.write({**vars(trained), "module": trained.module.state_dict()}, finished=True)
        return trained

    def _result(self, net: ObjectiveNet, best_loss: float) -> TrainedNetwork:
        n_trained = sum(p.numel() for p in net.module_.parameters() if p.requires_grad)
        epochs = [epoch for epoch in net.history if "skipped_steps" in epoch]  # the last may be cut short
        rows = [_history_row(epoch, self.problem.phase, self.settings.steps_per_epoch) for epoch in epochs]
        return TrainedNetwork(self._finished(net.module_), rows, best_loss, n_trained)

    def _check_idle(self, module: nn.Module) -> None:
        problem = self.problem
        if self.settings.max_steps < ENOUGH_STEPS or not isinstance(problem, TrainingProblem):
            return
        if isinstance(problem.objective, Denoising) and problem.process is not None:
            rows = problem.some_rows(problem.process, self.seed, self.device)
            warn_if_idle(module, rows, problem.process, problem.phase)

    def _finished(self, module: nn.Module) -> nn.Module:
        module._compiled_call_impl = None  # samples come in batches of other sizes
        if module is not self.module:
            remember_architecture(module, self.module, **self.module_params)
        return module.eval().requires_grad_(False)


def compile_in_place(module: nn.Module, device: torch.device) -> None:
    """Compile a network's calls, or say that this cannot be done here."""
    if can_compile(device):
        module.compile()
    else:
        warnings.warn(
            f"compile=True has no effect: torch.compile finds no compiler for {str(device)!r}. Install one "
            "(for the CPU a C++ compiler such as g++), or leave compile=False.",
            UserWarning,
            stacklevel=2,
        )


def _history_row(epoch: Mapping[str, Any], phase: str, steps_per_epoch: int) -> dict[str, Any]:
    """Loss terms of one epoch without skorch's bookkeeping."""
    row: dict[str, Any] = {"phase": phase, "step": epoch["epoch"] * steps_per_epoch}
    losses = {k: v for k, v in epoch.items() if k.startswith(("train_", "valid_")) and "batch" not in k}
    return row | losses | {name: epoch[name] for name in ("skipped_steps", "restores")}
