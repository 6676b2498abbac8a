"""The rule for the weights of the regularisers, over data sets from ample overlap to none.

For every data set one source model is fitted per seed, and TGDP with every pair of weights of a grid and
with the weights of its rule. Vanilla and fine-tuned run at several numbers of steps; they are judged by the
best of these for each measure, chosen on the test rows, which no user could do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from benchmarks._cache import Record
from benchmarks._data import data_dir, load_shift, seeds
from benchmarks._report import Page, folded, number, plus_minus, stamp, table
from benchmarks._trials import QUICK, Trial, quick_params, run_trials
from sktgdp.metrics import coverage_score, frechet_distance, sliced_wasserstein_distance

DATA: dict[str, dict[str, Any]] = {
    "mixture-100": {"name": "mixture", "n_target": 100, "n_test": 2000},
    "mixture-1000": {"name": "mixture", "n_target": 1000, "n_test": 2000},
    "heart-30": {"name": "heart", "n_target": 30},
    "heart-100": {"name": "heart", "n_target": 100},
    "adult-100": {"name": "adult", "n_target": 100},
    "adult-1000": {"name": "adult", "n_target": 1000},
    **{
        f"digits-{shift}-{n}": {"name": "digits", "n_target": n, "shift": shift}
        for shift, n in product(("thicken", "translate", "rescale"), (30, 100))
    },
}
REAL = ("heart", "adult")
DIGITS = tuple(name for name in DATA if name.startswith("digits"))
CYCLE, CONSISTENCY = (0.0, 0.2, 1.0), (0.0, 5.0, 20.0, 100.0)
STEPS = {"vanilla": (300, 1000, 3000), "fine-tuned": (300, 1000, 3000)}
RULE: dict[str, Any] = {}  # TGDP at its defaults
LOWER = {"Fréchet distance": True, "coverage": False, "sliced W₂": True}
INTRODUCTION = """\
How the default weights of TGDP's two regularisers, η cycle and η consistency, follow from the overlap of the
domains. The overlap is measured by the effective sample size (ESS) of the density ratio on the source rows.

- **mixture**: the paper's simulation in the plane, without labels. **heart**: ten features, Cleveland →
  Hungarian. **adult**: six numeric columns of the census (logarithms of capital gain and loss), men → women,
  income as label. **digits**: 64 pixels, scikit-learn's digits → thickened, shifted or paler digits. The
  number is that of the target rows.
- Every data set but the mixture is fitted with labels. As many samples as there are target rows that no fit
  has seen are measured against these, each feature over its standard deviation. Pixels share a unit, so all
  are put over one common scale, in the measures and in every model: a pixel that hardly varies in the source
  would else lie hundreds of standard deviations away in the target.
- Vanilla and fine-tuned run without early stopping at several numbers of steps, as they come, and as the mean
  of three (which TGDP is where target rows are few). *Better baseline* is the best of all of these, for each
  measure by itself, chosen on the test rows.
- *Other target rows* are what a perfect sampler would draw. Mean ± standard deviation over the seeds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--data", nargs="+", choices=list(DATA), metavar="NAME", help=f"of {', '.join(DATA)}")
    parser.add_argument("--digits", action="store_true", help="only the digits, TGDP at its defaults")
    parser.add_argument("--own-scales", action="store_true", help="digits: each pixel over its own spread")


@dataclass(frozen=True)
class Run:
    """One row of a data set's table: a method with its setting."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)
    members: int = 1

    @property
    def is_rule(self) -> bool:
        """Whether it is TGDP as it comes."""
        return self.method == "tgdp" and not self.params

    @property
    def is_grid(self) -> bool:
        """Whether it is TGDP with given weights."""
        return self.method == "tgdp" and bool(self.params)

    @property
    def is_baseline(self) -> bool:
        """Whether it is vanilla or fine-tuned."""
        return self.method in STEPS

    def name(self, records: Sequence[Record]) -> str:
        """How the table calls it."""
        if self.method == "exact":
            return "other target rows"
        if self.method == "source":
            return "source model as it is"
        if self.is_baseline:
            how = f"{self.params['max_steps']:,} steps" if self.params else "defaults"
            return f"{self.method}, {how}" + (f", mean of {self.members}" if self.members > 1 else "")
        cycle, consistency = (np.mean([r[eta] for r in records]) for eta in ("eta_cycle", "eta_consistency"))
        name = f"TGDP ({cycle:.2g}, {consistency:.3g})"
        return f"**{name}, the rule**" if self.is_rule else name


def runs(quick: bool, floor: bool, *, with_grid: bool = True) -> list[Run]:
    """All rows of a table."""
    steps = dict.fromkeys(STEPS, (5,)) if quick else STEPS
    etas = [(0.0, 1.0), (1.0, 0.0)] if quick else list(product(CYCLE, CONSISTENCY))
    found = [Run("exact")] if floor else []
    found.append(Run("source"))
    for method, several in steps.items():
        found += [Run(method, {"max_steps": n, "early_stopping": False}) for n in several]
        found += [Run(method), Run(method, members=2 if quick else 3)]
    if with_grid:
        found += [Run("tgdp", {"eta_cycle": a, "eta_consistency": b}) for a, b in etas]
    return [*found, Run("tgdp", RULE)]


def measures(data: Mapping[str, Any], record: Record) -> Record:
    """How far samples are from the test rows."""
    shift = load_shift(data)
    real, drawn = shift.X_test / shift.unit, record["X"] / shift.unit
    return {
        "Fréchet distance": frechet_distance(real, drawn),
        "coverage": coverage_score(real, drawn),
        "sliced W₂": sliced_wasserstein_distance(real, drawn, random_state=0),
    }


@dataclass
class Results:
    """What was measured on one data set: for each run one record per seed."""

    name: str
    runs: list[Run]
    records: list[list[Record]]

    def values(self, measure: str) -> list[list[float]]:
        """A measure by run and seed."""
        return [[record[measure] for record in records] for records in self.records]

    def best(self, measure: str, among: Sequence[bool]) -> float:
        """Best mean of some runs."""
        means = [float(np.mean(v)) for v, wanted in zip(self.values(measure), among, strict=True) if wanted]
        return min(means) if LOWER[measure] else max(means)

    def rule(self, measure: str) -> float:
        """Mean of the rule."""
        return self.best(measure, [run.is_rule for run in self.runs])

    def ratio(self, measure: str, among: Sequence[bool]) -> str:
        """The rule over the best of some runs."""
        best = self.best(measure, among)
        return f"{self.rule(measure) / best:.2f}" if best > 0 else "–"

    def rank(self, measure: str) -> str:
        """Place of the rule among the weights of the grid, by the mean."""
        rule, sign = self.rule(measure), 1.0 if LOWER[measure] else -1.0
        grid = [np.mean(v) for run, v in zip(self.runs, self.values(measure), strict=True) if run.is_grid]
        return f"{1 + sum(sign * value < sign * rule for value in grid)} of {len(grid) + 1}"

    def overlap(self) -> Record:
        """Dimension, source rows, ESS and the rule's weights."""
        found = next(r for run, r in zip(self.runs, self.records, strict=True) if run.is_rule)
        shift = load_shift(DATA[self.name] | {"seed": 0})
        means = {k: float(np.mean([r[k] for r in found])) for k in ("ess", "eta_cycle", "eta_consistency")}
        return {"features": shift.X_src.shape[1], "source rows": len(shift.X_src), **means}


class Study:
    """The runs of all data sets, as the options want them."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.seeds = seeds(args.seeds or (1 if args.quick else 2))
        self.with_grid = not args.digits

    def trials(self, name: str) -> tuple[list[Run], list[Trial]]:
        """Runs of a data set, and their trials, seed by seed."""
        quick = self.args.quick
        named = runs(quick, DATA[name]["name"] != "heart", with_grid=self.with_grid)
        return named, [self._trial(name, run, seed) for run in named for seed in self.seeds]

    def _trial(self, name: str, run: Run, seed: int) -> Trial:
        common = DATA[name]["name"] == "digits" and not self.args.own_scales
        unit = {"transformer": "common"} if common else {}
        tiny, source = (quick_params(run.method), QUICK) if self.args.quick else ({}, {})
        params = {**tiny, **run.params, **(unit if run.method == "vanilla" else {})}
        data = {**DATA[name], "seed": seed}
        if self.args.quick and data["name"] == "mixture":
            data |= {"n_source": 200, "n_test": 100}
        labels = data["name"] != "mixture"
        return Trial(data, run.method, params, {**source, **unit}, labels=labels, members=run.members)

    def results(self, name: str, *, only_finished: bool = False) -> Results | None:
        """Run a data set; or None if runs are missing and only finished ones are wanted."""
        named, trials = self.trials(name)
        store = self.args.store
        if only_finished and not all(store.has(trial.key(), trial.code) for trial in trials):
            return None
        records = run_trials(trials, store, self.args.jobs)
        full = [r | measures(t.data, r) for t, r in zip(trials, records, strict=True)]
        n = len(self.seeds)
        return Results(name, named, [full[i : i + n] for i in range(0, len(full), n)])


def usable(names: Sequence[str]) -> list[str]:
    """Data sets whose files are there; tells of the others."""
    try:
        data_dir()
    except FileNotFoundError as error:
        absent = [name for name in names if DATA[name]["name"] in REAL]
        if absent:
            print(f"{error} Left out: {', '.join(absent)}.", file=sys.stderr)
        return [name for name in names if name not in absent]
    return list(names)


def one_table(results: Results) -> str:
    """All runs of a data set."""
    about = results.overlap()
    rows = [
        [
            run.name(records),
            *(plus_minus([record[measure] for record in records]) for measure in LOWER),
            plus_minus([record["fit_seconds"] for record in records]),
        ]
        for run, records in zip(results.runs, results.records, strict=True)
    ]
    text = (
        f"{about['features']} features, {about['source rows']:,} source rows, ESS {number(about['ess'])}. "
        f"TGDP (η cycle, η consistency)."
    )
    return f"{text}\n\n{table(['method', *LOWER, 'fit, s'], rows)}"


def summary(several: Sequence[Results]) -> str:
    """What the rule chose and how good it was, one row per data set."""
    rows = []
    for results in several:
        about = results.overlap()
        grid = [run.is_grid for run in results.runs]
        baselines = [run.is_baseline for run in results.runs]
        cells = [f"{results.ratio(m, grid)} ({results.rank(m)})" for m in LOWER]
        against = [results.ratio(m, baselines) for m in LOWER]
        weights = f"({about['eta_cycle']:.2g}, {about['eta_consistency']:.3g})"
        rows.append([results.name, about["features"], number(about["ess"]), weights, *cells, *against])
    to_grid = [f"{measure}: rule / best of grid (rank)" for measure in LOWER]
    to_baseline = [f"{measure}: rule / better baseline" for measure in LOWER]
    header = ["data", "features", "ESS", "rule (η cycle, η consistency)", *to_grid, *to_baseline]
    note = "Ratios below 1 are better for the distances, above 1 for the coverage.\n\n"
    return note + table(header, rows)


def digits_table(several: Sequence[Results]) -> str:
    """TGDP at its defaults against the better of the baselines, each at its best number of steps."""
    rows = []
    for results in several:
        for measure in ("Fréchet distance", "coverage"):
            cells = []
            for method in STEPS:
                cells.append(results.best(measure, [run.method == method for run in results.runs]))
            floor = results.best(measure, [run.method == "exact" for run in results.runs])
            rule = results.rule(measure)
            sign = 1.0 if LOWER[measure] else -1.0
            met = "yes" if all(sign * rule < sign * cell for cell in cells) else "no"
            rows.append([results.name, measure, *map(number, cells), number(rule), number(floor), met])
    header = ["data", "measure", "vanilla, best", "fine-tuned, best", "TGDP, defaults", "other target rows"]
    return table([*header, "TGDP ahead"], rows)


def run(args: argparse.Namespace) -> None:
    """Run the data sets that are asked for."""
    study = Study(args)
    names = usable(args.data or (DIGITS if args.digits else list(DATA)))
    page = Page(
        args.out / "benchmarks" / "overlap.md" if args.out else None,
        "Weights of the regularisers and the overlap of the domains",
        INTRODUCTION,
        ("summary", "digits", "digits-own-scales", *DATA),
    )
    several = []
    for name in names:
        results = study.results(name)
        assert results is not None
        several.append(results)
        if study.with_grid and not args.own_scales:
            codes = {record["code"] for records in results.records for record in records}
            page.put(name, name, one_table(results), stamp(args.command, codes))
    _finish(study, several, page)


def _finish(study: Study, several: list[Results], page: Page) -> None:
    """The sections over all data sets; those that were finished in earlier calls take part."""
    args = study.args
    done = {results.name: results for results in several}
    digits_only = args.digits or args.own_scales
    for name in usable(DIGITS if digits_only else list(DATA)):
        if name not in done and not args.quick:
            finished = study.results(name, only_finished=True)
            if finished is not None:
                done[name] = finished
    chosen = [done[name] for name in DATA if name in done]
    codes = {record["code"] for results in chosen for records in results.records for record in records}
    if not digits_only:
        page.put("summary", "Summary", summary(chosen), stamp(args.command, codes))
    digits = [results for results in chosen if results.name in DIGITS]
    if digits:
        section = "digits-own-scales" if args.own_scales else "digits"
        heading = "64 pixels" + (", each over its own spread" if args.own_scales else "")
        details = "\n\n".join(folded(results.name, one_table(results)) for results in digits)
        body = digits_table(digits) + (f"\n\n{details}" if digits_only else "")
        page.put(section, heading, body, stamp(args.command, codes))
