"""A gradient step of every network beside a bare PyTorch loop; what a fit costs before its first step."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._report import Page, number, stamp, table
from benchmarks._timing import Result, Results, in_turn, median_ratio, spread
from sktgdp import DiffusionGenerator
from sktgdp.estimators._training.batches import Batch, NoisedRows, Pool
from sktgdp.estimators._training.devices import has_fused_optimizer
from sktgdp.estimators._training.net import Objective
from sktgdp.estimators._training.objectives import CleanDomain, Denoising, Guidance, NoisedDomain
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainingProblem, train_network
from sktgdp.nets import DomainMLP, GuidanceMLP, ScoreConv, ScoreMLP
from sktgdp.process import VPProcess

INTRODUCTION = """\
Every network is trained by the package and by a bare PyTorch loop: the same network, objective, batch
size, AdamW (fused) and weight decay, on 5,000 rows of 10 features (series: 200 of 2 channels by 128
samples). The package does what a fit does: fresh rows by permutations, stratified times, a rate per step,
clipping, a moving average, a check that the gradient is finite, the history. A *step* of either side
includes drawing rows, times and noise (for the domain classifier, rows alone), and its share of what
happens before the first one.

- **bare**: rows and times drawn uniformly, AdamW, clipping by `clip_grad_norm_`, a moving average by one
  fused call; no schedule, no history, no checks.
- **strict**: the same without clipping and without the average.

All sides run in turn, round after round, in one process on one thread; a figure is the median over the
rounds of the processor time, with quartiles, a ratio the median of the ratios within a round."""

CPU = torch.device("cpu")
PROCESS = VPProcess()
UNUSED = torch.empty(0)
N_ROWS, N_FEATURES = 5000, 10
SERIES = (200, 2, 128)


@dataclass(frozen=True)
class Case:
    """One network and what it is trained on.

    Parameters
    ----------
    module : callable
    params : mapping
        Its arguments.
    objective : callable (module, batch) -> dict of scalars
    domains : tuple of str
        Pools, each with a log ratio.
    sizes : tuple of int
        Rows per batch of each pool, as multiples of the batch size.
    process : VPProcess or None
        None leaves the rows clean.
    """

    module: Callable[..., nn.Module]
    params: Mapping[str, Any]
    objective: Objective
    domains: tuple[str, ...] = ("rows",)
    sizes: tuple[int, ...] = (1,)
    rows: tuple[int, ...] = (N_ROWS, N_FEATURES)
    weights: Mapping[str, float] = field(default_factory=dict)
    process: VPProcess | None = PROCESS

    def pools(self, batch_size: int) -> dict[str, Pool]:
        """Fresh rows of every domain."""
        generator = torch.Generator().manual_seed(0)
        return {
            name: Pool(
                torch.randn(self.rows, generator=generator),
                None,
                size * batch_size,
                0.5 * torch.randn(self.rows[0], generator=generator),
            )
            for name, size in zip(self.domains, self.sizes, strict=True)
        }


def cases() -> dict[str, Case]:
    """Every network's training, with the default sizes for rows of ten features."""
    table_params = {"event_shape": (N_FEATURES,), "n_labels": 0, "process": PROCESS}
    small = table_params | {"hidden_sizes": (64, 64, 64)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        source = ScoreMLP(**table_params).eval().requires_grad_(False)
        ratio = GuidanceMLP(**small).eval().requires_grad_(False)
    domain = {"event_shape": (N_FEATURES,), "n_labels": 0}
    both, twice = ("source", "target"), (1, 2)
    plain = Guidance(source, PROCESS, consistency=False)
    full = Guidance(source, PROCESS, log_ratio_t=ratio)
    series = {"event_shape": SERIES[1:], "n_labels": 0, "process": PROCESS, "hidden_sizes": (8, 16)}
    return {
        "source diffusion": Case(ScoreMLP, table_params, Denoising()),
        "domain classifier": Case(DomainMLP, domain, CleanDomain(), both, (1, 1), process=None),
        "time classifier": Case(GuidanceMLP, small, NoisedDomain(), both, (1, 1)),
        "guidance, no regularisers": Case(GuidanceMLP, small, plain, both, twice),
        "guidance, both regularisers": Case(
            GuidanceMLP, small, full, both, twice, weights={"consistency": 5.0}
        ),
        "series, source diffusion": Case(ScoreConv, series, Denoising(), rows=SERIES),
    }


class LongFit(TrainingSettings):
    """Epochs as in a fit of 1,000 steps or more."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two summaries."""
        return min(50, self.max_steps)


def packaged(case: Case, batch_size: int, n_steps: int) -> None:
    """Train as a fit does."""
    problem = TrainingProblem(
        case.objective, case.pools(batch_size), case.process, "benchmark", term_weights=case.weights
    )
    train_network(case.module, case.params, problem, LongFit(n_steps), seed=0, device=CPU)


def bare(case: Case, batch_size: int, n_steps: int, *, strict: bool) -> None:
    """Train by the shortest loop that does the same work."""
    pools = case.pools(batch_size)
    module = case.module(**case.params)
    parameters = list(module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=1e-4, fused=has_fused_optimizer(CPU))
    average = [p.detach().clone() for p in parameters]
    for _ in range(n_steps):
        batch = Batch({name: bare_rows(pool, case.process) for name, pool in pools.items()})
        optimizer.zero_grad()
        terms = case.objective(module, batch)
        loss: Tensor = sum(case.weights.get(name, 1.0) * term for name, term in terms.items())  # type: ignore[assignment]
        loss.backward()
        if not strict:
            nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if not strict:
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 0.005)


def bare_rows(pool: Pool, process: VPProcess | None) -> NoisedRows:
    """A batch drawn uniformly."""
    index = torch.randint(len(pool), (pool.batch_size,))
    x0, log_ratio = pool.x0[index], None if pool.log_ratio is None else pool.log_ratio[index]
    if process is None:
        return NoisedRows(x0, None, UNUSED, UNUSED, x0, log_ratio)
    t = process.t_min + (1.0 - process.t_min) * torch.rand(pool.batch_size)
    eps = torch.randn(x0.shape)
    return NoisedRows(x0, None, t, eps, process.perturb(x0, t, eps), log_ratio)


def one_step_fit() -> DiffusionGenerator:
    """A whole fit of one step on 1,000 rows of ten features: what it costs to start, and to end."""
    X = np.random.default_rng(0).normal(size=(1000, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DiffusionGenerator(max_steps=1, random_state=0, device="cpu").fit(X)


def measure_start(rounds: int) -> dict[str, Result]:
    """A fit of one step, and its last phase, which comes after the step: what is left is the start."""
    fitted = one_step_fit()
    z = fitted.transformer_.transform(np.random.default_rng(0).normal(size=(1000, 10)))
    ending = partial(fitted._diagnose, z, 0)
    return in_turn({"fit of one step": one_step_fit, "its diagnostics": ending}, rounds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 512, 2048], help="batch sizes")
    parser.add_argument("--steps", type=int, default=100, help="steps per round (default: 100)")
    parser.add_argument("--case", action="append", choices=list(cases()), help="only this network")


HEADER = ("network", "batch", "ours, µs a step", "bare, µs a step", "ours over bare", "ours over strict")


def measure(case: Case, batch_size: int, n_steps: int, rounds: int) -> dict[str, Result]:
    """Seconds per step of the three sides."""
    sides = {
        "ours": partial(packaged, case, batch_size, n_steps),
        "bare": partial(bare, case, batch_size, n_steps, strict=False),
        "strict": partial(bare, case, batch_size, n_steps, strict=True),
    }
    results = in_turn(sides, rounds)
    for result in results.values():
        result.processor = [seconds / n_steps for seconds in result.processor]
        result.wall = [seconds / n_steps for seconds in result.wall]
    return results


def micro(result: Result) -> str:
    """Median and quartiles in microseconds."""
    return spread(Result(processor=[1e6 * seconds for seconds in result.processor]))


def run(args: argparse.Namespace) -> None:
    """Measure and write the page."""
    rounds = args.seeds or (1 if args.quick else 5)
    n_steps, batches = (3, [16]) if args.quick else (args.steps, args.batch)
    torch.set_num_threads(1)
    kept = Results(args.command)
    path = args.out / "benchmarks" / "training.md" if args.out else None
    page = Page(path, "Training beside a bare loop", INTRODUCTION, ["start", "steps"])
    start = measure_start(rounds)
    kept.add("start-up", start)
    whole, ending = (1e3 * start[name].seconds for name in ("fit of one step", "its diagnostics"))
    body = (
        f"`DiffusionGenerator(max_steps=1).fit(X)`, 1,000 rows of 10: **{number(whole - ending)} ms**, "
        f"imports aside. The whole call takes {number(whole)} ms; the diagnostics after the last step take "
        f"{number(ending)} ms of them."
    )
    page.put("start", "Before the first step", body, stamp(args.command))
    rows = []
    for name in args.case or cases():
        case = cases()[name]
        for batch_size in batches:
            size = max(1, batch_size // 16) if len(case.rows) == 3 else batch_size
            found = measure(case, size, n_steps, rounds)
            kept.add(f"{name}, {size}", found)
            ratios = (f"{median_ratio(found['ours'], found[side]):.2f}" for side in ("bare", "strict"))
            rows.append([name, size, micro(found["ours"]), micro(found["bare"]), *ratios])
            page.put("steps", "One gradient step", table(HEADER, rows), stamp(args.command))
    if args.out:
        kept.write(args.out / "benchmarks" / "training.json")
