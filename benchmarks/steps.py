"""Quality of samples against the number of network calls, for every solver: python -m benchmarks steps"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._data import Floats, Shift, load_shift, seeds
from benchmarks._figures import draw_steps
from benchmarks._report import Page, number, plus_minus, stamp, table
from benchmarks._timing import Result, Results
from benchmarks._trials import FIT_CODE, Trial, fit_generator, quick_params
from sktgdp.metrics import energy_distance, sliced_wasserstein_distance
from sktgdp.solvers import SOLVERS, sample

CALLS = (5, 8, 10, 15, 20, 25, 50)
CODE = (*FIT_CODE, "sktgdp/metrics/*.py", "benchmarks/steps.py")
SETTINGS = {
    "exact": "Gaussian mixture, exact noise prediction",
    "mixture": "Gaussian mixture, TGDP on 100 target rows",
    "heart": "heart disease, TGDP on 100 target rows",
}
MEASURES = {"sliced": "sliced 2-Wasserstein distance", "energy": "energy distance"}
INTRODUCTION = """\
How far samples are from rows of the target that no fit has seen, by solver and number of calls of the
network. Features are measured in standard deviations of these rows. All solvers and all numbers of calls
start from the same noise, so the columns of a table may be compared more closely than their spread over the
seeds suggests.

- **Exact**: the mixture of the paper's simulation with its noise prediction in closed form. All that is
  left is the error of the solver, and the distance between two samples of one law (row *another sample*).
- **TGDP** at its defaults on 100 target rows, with labels, on that mixture and on heart disease (source
  Cleveland, target Hungary). Here the error of the fit comes on top, the same for every number of calls.

A solver of two calls per step (`dpm++2s`) has half the steps. The last column is the distance at 10 calls
over that at 50, the median over the seeds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))


def steps_for(solver: str, calls: int) -> int:
    """Steps that take so many calls: the last step has one, and the third order starts with one more."""
    if solver == "dpm++3m":
        return calls - 1
    return (calls + 1) // SOLVERS[solver].calls


def exact_sampler(shift: Shift, n: int, seed: int) -> Callable[[str, int], Floats]:
    """Samples of the mixture's own noise prediction."""
    assert shift.oracle is not None
    target = shift.oracle.target

    def draw(solver: str, n_steps: int) -> Floats:
        generator = torch.Generator().manual_seed(seed)
        x_T = torch.randn((n, 2), generator=generator)
        options = {"process": target.process, "solver": solver, "n_steps": n_steps, "generator": generator}
        return sample(lambda x, t: target.noise(x, t).to(x), x_T, **options).double().numpy()

    return draw


def fitted_sampler(shift: Shift, trial: Trial, store: RunCache, n: int) -> Callable[[str, int], Floats]:
    """Samples of a fitted generator, always from the same noise and labels."""
    model, _ = fit_generator(trial, shift, store)
    return lambda solver, n_steps: model.sample(n, random_state=0, solver=solver, n_steps=n_steps)[0]


def measure(setting: str, seed: int, calls: Sequence[int], store: RunCache, quick: bool) -> Record:
    """Both distances for every solver and number of calls, and for another sample of the true law."""
    name = "heart" if setting == "heart" else "mixture"
    trial = Trial({"name": name, "n_target": 30 if quick else 100, "seed": seed}, "tgdp")
    if quick:
        trial.params.update(quick_params("tgdp"))
        trial.source_params.update(quick_params("vanilla"))
    shift = load_shift(trial.data)
    n = 200 if quick else 10_000 if setting == "exact" else 4_000
    draw = exact_sampler(shift, n, seed) if setting == "exact" else fitted_sampler(shift, trial, store, n)

    def distances(X: Floats) -> list[float]:
        real, rows = shift.X_test[:n] / shift.unit, X / shift.unit
        sliced = sliced_wasserstein_distance(real, rows, n_projections=100, random_state=0)
        return [sliced, energy_distance(real[:1000], rows[:2000])]

    values = {s: [distances(draw(s, steps_for(s, c))) for c in calls] for s in SOLVERS}
    other = distances(shift.X_more) if shift.X_more is not None else [np.nan, np.nan]
    return {"values": np.array([values[s] for s in SOLVERS]), "other": np.array(other)}


def show(records: Sequence[Record], calls: Sequence[int], which: int) -> str:
    """Table of one measure: solvers by calls, and how much 10 calls lose."""
    values = np.stack([record["values"][..., which] for record in records])  # (seeds, solvers, calls)
    ends = calls.index(10), calls.index(50)
    rows = []
    for i, solver in enumerate(SOLVERS):
        cells = [plus_minus(values[:, i, j]) for j in range(len(calls))]
        rows.append([f"`{solver}`", *cells, number(np.median(values[:, i, ends[0]] / values[:, i, ends[1]]))])
    other = [record["other"][which] for record in records]
    if not np.isnan(other).all():
        rows.append(["another sample", *[""] * (len(calls) - 1), plus_minus(other), ""])
    return table(["solver", *[f"{c} calls" for c in calls], "10 over 50"], rows)


def run(args: argparse.Namespace) -> None:
    """Measure setting after setting, and write the page and the figure."""
    calls = [5, 10, 50] if args.quick else list(CALLS)
    page = Page(
        args.out / "benchmarks" / "steps.md" if args.out else None,
        "Steps of the solver",
        INTRODUCTION,
        ("figure", *SETTINGS),
    )
    curves: dict[str, Any] = {}
    kept = Results(args.command)
    for setting in args.settings:
        code = code_version(CODE)
        records = []
        for seed in seeds(args.seeds or 3):
            key = {"steps": setting, "seed": seed, "calls": calls, "quick": args.quick}
            compute = partial(measure, setting, seed, calls, args.store, args.quick)
            records.append(args.store.record(key, code, compute))
        body = [f"{title[0].upper()}{title[1:]}, mean ± standard deviation over {len(records)} seeds:\n\n"
                + show(records, calls, i) for i, title in enumerate(MEASURES.values())]  # fmt: skip
        codes = [record["code"] for record in records]
        page.put(setting, SETTINGS[setting], "\n\n".join(body), stamp(args.command, codes))
        sliced = np.stack([record["values"][..., 0] for record in records])
        curves[SETTINGS[setting]] = np.median(sliced, axis=0)
        losses = np.median(sliced[..., calls.index(10)] / sliced[..., calls.index(50)], axis=0)
        facts = {solver: float(loss) for solver, loss in zip(SOLVERS, losses, strict=True)}
        kept.add("10 calls over 50", {setting: Result(facts=facts)})
    if page.path is not None:
        kept.write(page.path.with_suffix(".json"))
        draw_steps(curves, list(SOLVERS), calls, Path(page.path).with_suffix(".png"))
        page.put("figure", "Figure", "![distance against calls](steps.png)", stamp(args.command))
