"""Speed of sampling: guided beside unguided, and beside diffusers' scheduler with the same network."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._report import Page, stamp, table
from benchmarks._timing import Results, in_turn, median_ratio, spread
from sktgdp.estimators._sampling.chunks import rows_at_a_time
from sktgdp.guidance import TimeFunction, guided_noise_prediction
from sktgdp.nets import GuidanceMLP, MeanOf, ScoreMLP, written_gradient
from sktgdp.process import VPProcess
from sktgdp.solvers import sample, time_grid

PROCESS = VPProcess()
N_STEPS = 25
SIZES = ((2, 1_000), (20, 1_000), (20, 5_000))
INTRODUCTION = """\
Seconds of processor time of one thread, median (and quartiles) over rounds in which all sides take turns; a
ratio is the median of the ratios within a round. The networks are those of a default fit of a table, with
random weights: a score network of three layers of 128, and guidance networks of three layers of four times
the width of a row, but no less than 64. Every sample takes 25 steps of DPM-Solver++ of second order,
25 calls of the score network. Ours takes as many rows at a time as a generator does by itself, so that they
stay in the caches of the processor; the loop with diffusers' scheduler takes all at once."""

Sampler = Callable[[], Tensor]
RATIOS = (
    "rows",
    "guided by one network, over unguided",
    "guided by three, over unguided",
    "unguided over diffusers, a time per row",
    "unguided over diffusers, one time",
)


def random_weights(module: nn.Module, seed: int) -> nn.Module:
    """Weights that differ from zero in every layer, also the last."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.1, generator=generator)
    return module.eval()


class Networks:
    """A score network, guidance networks, noise and labels of one size of table."""

    def __init__(self, n_features: int, n_rows: int, n_labels: int) -> None:
        width = min(256, max(64, 4 * n_features))
        shape = (n_features,)
        self.score = random_weights(ScoreMLP(shape, n_labels, PROCESS), 0)
        make = partial(GuidanceMLP, shape, n_labels, PROCESS, (width,) * 3)
        self.members = [random_weights(make(), seed) for seed in (1, 2, 3)]
        generator = torch.Generator().manual_seed(0)
        self.x_T = torch.randn((n_rows, n_features), generator=generator)
        codes = torch.eye(n_labels)[torch.arange(n_rows) % n_labels] if n_labels else None
        self.y: Tensor | None = codes

    def unguided(self) -> Tensor:
        """Samples of the score network alone."""
        return self._sample(lambda y: partial(self.score, y=y))

    def guided(self, n_members: int) -> Tensor:
        """Samples guided by one network, or by the mean of several."""
        log_h = MeanOf(self.members[:n_members]) if n_members > 1 else self.members[0]
        gradient = written_gradient(log_h)
        assert gradient is not None

        def model(y: Tensor | None) -> TimeFunction:
            return guided_noise_prediction(
                partial(self.score, y=y), lambda x, t: log_h(x, t, y), PROCESS, lambda x, t: gradient(x, t, y)
            )

        return self._sample(model)

    def _sample(self, model: Callable[[Tensor | None], TimeFunction]) -> Tensor:
        """As many rows at a time as a generator takes."""
        few = self.x_T[:32]
        size = rows_at_a_time(model(None if self.y is None else self.y[:32]), few)
        labels = [None] * len(self.x_T) if self.y is None else self.y.split(size)
        pieces = zip(self.x_T.split(size), labels, strict=False)
        return torch.cat([sample(model(y), x, process=PROCESS, n_steps=N_STEPS) for x, y in pieces])

    def scheduled(self, time_per_row: bool) -> Tensor:
        """The same path by diffusers' scheduler."""
        from diffusers import DPMSolverMultistepScheduler

        scheduler = DPMSolverMultistepScheduler(solver_order=2, final_sigmas_type="zero")
        scheduler.set_timesteps(N_STEPS)
        times = time_grid(PROCESS, N_STEPS)
        ratios = torch.exp(-PROCESS.log_snr_half(times))
        scheduler.sigmas = torch.cat([ratios, torch.zeros(1)]).float()
        x = self.x_T
        with torch.no_grad():
            for t, step in zip(times.float(), scheduler.timesteps, strict=True):
                eps = self.score(x, t.expand(len(x)) if time_per_row else t, self.y)
                x = scheduler.step(eps, step, x).prev_sample
        return x


def cases(networks: Networks) -> dict[str, Sampler]:
    """All sides of a comparison."""
    return {
        "unguided": networks.unguided,
        "guided by one network": partial(networks.guided, 1),
        "guided by three networks": partial(networks.guided, 3),
        "diffusers, a time per row": partial(networks.scheduled, True),
        "diffusers, one time": partial(networks.scheduled, False),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own: the common ones do."""


def run(args: argparse.Namespace) -> None:
    """Measure and write the page and the times."""
    rounds = args.seeds or (1 if args.quick else 5)
    torch.set_num_threads(1)
    kept = Results(args.command)
    path = args.out / "benchmarks" / "sampling.md" if args.out else None
    page = Page(path, "Sampling", INTRODUCTION, ["times", "ratios"])
    times, ratios = [], []
    for n_features, n_rows in ((2, 50),) if args.quick else SIZES:
        for n_labels in (0, 2):
            sides = cases(Networks(n_features, n_rows, n_labels))
            agree(sides)
            found = in_turn(sides, rounds)
            what = f"{n_rows:,} × {n_features}{', labels' if n_labels else ''}"
            kept.add(what, found)
            times.append([what, *[spread(result) for result in found.values()]])
            ratios.append([what, *compared(found)])
            page.put("times", "Seconds", table(["rows", *sides], times), stamp(args.command))
    page.put("ratios", "Throughput", table(RATIOS, ratios), stamp(args.command))
    if args.out:
        kept.write(args.out / "benchmarks" / "sampling.json")


def compared(found: dict[str, Any]) -> list[str]:
    """Ratios of throughput, in the order of `RATIOS`."""
    unguided, one, three, per_row, scalar = found.values()
    pairs = ((unguided, one), (unguided, three), (per_row, unguided), (scalar, unguided))
    return [f"{median_ratio(a, b):.2f}" for a, b in pairs]


def agree(sides: dict[str, Sampler]) -> None:
    """Both libraries follow the same path."""
    ours, theirs = sides["unguided"](), sides["diffusers, one time"]()
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)
