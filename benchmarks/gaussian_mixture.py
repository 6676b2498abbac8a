"""The paper's simulation: Table 1, Figures 1, 2 and 4, and how long a fit takes.

Everything about it is known in closed form, so errors are measured against the exact answer. The baselines
are tuned over a grid and the best setting is chosen by the exact error, which no user could do; TGDP is run
at its defaults.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._data import FRESH, load_shift, seeds
from benchmarks._report import Page, folded, plus_minus, stamp, table
from benchmarks._trials import QUICK, Trial, quick_params, run_all, run_trials, trees
from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import (
    average_likelihood,
    energy_distance,
    sliced_wasserstein_distance,
    two_sample_auc,
)
from sktgdp.oracles import paper_mixture_shift

SIZES = (10, 100, 1000)
METRICS_CODE = ("sktgdp/metrics/*.py",)
BASELINES = ("vanilla", "fine-tuned")
BASELINE_ROWS = slice(2, 6)  # of the table: each as it comes, and at its best
NAMES = {
    "exact": "fresh target rows (noise floor)",
    "source": "source model as it is",
    "vanilla": "vanilla",
    "fine-tuned": "fine-tuned",
    "parametric": "maximum likelihood, the right family",
    "tgdp": "TGDP, defaults",
}
INTRODUCTION = """\
The simulation of Ouyang et al. (2024), Section 4.1: in the plane, y = ±1 with equal odds and
x | y ~ N(y μ, 0.1 I), with μ = (0.5, 0.5) on the source and (0.5, −0.5) on the target; 10,000 source rows and
10, 100 or 1,000 target rows. Mean ± standard deviation over the seeds; every seed draws its own data.

- **ε-error**: E ‖ε̂ − ε*‖² of the noise prediction against the exact target score, over t ~ U(0.001, 1) and
  x_t from the true target, in standardised units. Lower is better.
- **average likelihood**: mean density of the samples under the true target, the measure of the paper's Table
  1. Exact samples score {oracle:.4f}; *more is not better*: samples that collapse onto the modes score more.
- **sliced W₂**, **energy distance**, **two-sample AUC**: samples against as many fresh target rows. The first
  row of each table, exact samples, shows how low they can get (½ for the AUC).
- **steps**: gradient steps on the target side, all networks together. **fit**: seconds of the target side.

The fine-tuned model and TGDP share one source model per seed. Vanilla and fine-tuned stand in the table
twice: as they come, and at the setting of a grid with the lowest mean ε-error, chosen with the exact answer
at hand. The grid holds means of three networks too, since TGDP is one where target rows are few. TGDP is
never tuned. *Maximum likelihood, the right family* is what no user has: two round Gaussians fitted to the
target rows, the form of the truth known. It shows about how much these rows tell at all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--conditional", action="store_true", help="fit with the labels y")
    parser.add_argument("--table", action="store_true", help="Table 1 (the default if nothing else is asked)")
    parser.add_argument("--figures", action="store_true", help="Figures 1 and 2, and Figure 4 with its table")
    parser.add_argument("--speed", action="store_true", help="time a whole fit, source model included")
    parser.add_argument("--sizes", type=int, nargs="+", help=f"target rows (default: {SIZES})")


def grid(method: str, n_target: int) -> list[dict[str, Any]]:
    """Settings that a baseline is tuned over, beside its defaults; the longest is as long as TGDP's fit."""
    few = n_target < 1000  # there a long training without a stop only learns the rows by heart
    if method == "vanilla":
        found: list[dict[str, Any]] = [{"max_steps": s} for s in ((300, 1000) if few else (1000, 2500, 6000))]
        stopped = [{"max_steps": 1000}, {"max_steps": 3000, "members": 3}]
    else:
        rates, lengths = (3e-4, 1e-3), ((100, 400) if few else (400, 1500))
        found = [{"max_steps": s, "lr": lr} for s, lr in product(lengths, rates)]
        found += [] if few else [{"max_steps": 6000, "lr": rates[1]}]
        stopped = [{"max_steps": 1500, "lr": lr} for lr in rates]
        stopped.append({"max_steps": 3000, "lr": rates[1], "members": 3})
    found = [{**setting, "early_stopping": False} for setting in found]
    # TGDP is a mean of three networks where target rows are few, so the baselines may be too
    return found + [{**setting, "early_stopping": True} for setting in stopped] if few else found


@dataclass(frozen=True)
class Plan:
    """What is run: sizes, seeds, and how large."""

    sizes: Sequence[int]
    seeds: Sequence[int]
    labels: bool = False
    quick: bool = False

    @property
    def data(self) -> dict[str, Any]:
        """Options of the data set."""
        small = {"n_source": 300, "n_test": 200} if self.quick else {}
        return {"name": "mixture", **small}

    def trial(self, method: str, n: int, seed: int, params: Mapping[str, Any] | None = None) -> Trial:
        """One trial."""
        data = self.data | {"n_target": n, "seed": seed}
        params = {**(quick_params(method) if self.quick else {}), **(params or {})}
        members = params.pop("members", 1)
        source = dict(QUICK) if self.quick else {}
        return Trial(data, method, params, source, labels=self.labels, members=members)

    def grid(self, method: str, n: int) -> list[dict[str, Any]]:
        """Settings of a baseline."""
        return [{"max_steps": 5}, {"max_steps": 8, "members": 2}] if self.quick else grid(method, n)


def measures(trial: Trial, fitted: Record, store: RunCache, quick: bool = False) -> Record:
    """Distances of samples to fresh target rows."""

    def compute() -> Record:
        shift = load_shift(trial.data)
        density = paper_mixture_shift().target.log_prob
        rows = fitted["X"].astype(np.float64)
        return {
            "likelihood": average_likelihood(rows, lambda x: density(torch.from_numpy(x)).numpy()),
            "sliced": sliced_wasserstein_distance(shift.X_test, rows, random_state=0),
            "energy": energy_distance(shift.X_test, rows),
            "auc": two_sample_auc(shift.X_test, rows, classifier=trees(quick), random_state=trial.seed),
        }

    key = {"measures": trial.method} | trial.key() | {"fitted with": fitted["code"], "quick": quick}
    return store.record(key, code_version(METRICS_CODE), compute)


def measured(trials: Sequence[Trial], args: argparse.Namespace) -> list[Record]:
    """Records of trials with their measures."""
    records = run_trials(trials, args.store, args.jobs)
    tasks = [
        (f"measures of {trial.describe()}", partial(measures, trial, record, args.store, args.quick))
        for trial, record in zip(trials, records, strict=True)
    ]
    extra = run_all(tasks, args.jobs)
    # the code that names the section is that of the fits
    return [more | record for more, record in zip(extra, records, strict=True)]


Settings = list[tuple[dict[str, Any], list[Record]]]  # each with its records, the best first


def tuned(plan: Plan, args: argparse.Namespace) -> dict[tuple[str, int], Settings]:
    """Records of every baseline, size and setting of the grid, best mean ε-error first."""
    cells = [(m, n, params) for m in BASELINES for n in plan.sizes for params in plan.grid(m, n)]
    trials = [plan.trial(m, n, seed, params) for m, n, params in cells for seed in plan.seeds]
    records = iter(run_trials(trials, args.store, args.jobs))
    found: dict[tuple[str, int], Settings] = {}
    for method, n, params in cells:
        found.setdefault((method, n), []).append((params, [next(records) for _ in plan.seeds]))
    for settings in found.values():
        settings.sort(key=lambda item: np.mean([record["eps_error"] for record in item[1]]))
    return found


def say(params: Mapping[str, Any]) -> str:
    """A setting in words."""
    words = [f"{params['max_steps']:,} steps"]
    if "lr" in params:
        words.append(f"lr {params['lr']:g}")
    if "early_stopping" in params:
        words.append("early stopping" if params["early_stopping"] else "no early stopping")
    if "members" in params:
        words.append(f"mean of {params['members']} networks")
    return ", ".join(words)


COLUMNS: dict[str, Callable[[Record], float]] = {
    "ε-error": lambda r: r["eps_error"],
    "average likelihood": lambda r: r["likelihood"],
    "sliced W₂": lambda r: r["sliced"],
    "energy distance": lambda r: r["energy"],
    "two-sample AUC": lambda r: r["auc"],
    "steps": lambda r: r["steps"],
    "fit, s": lambda r: r["fit_seconds"],
}


def rows_of(plan: Plan, n: int, best: Mapping[tuple[str, int], Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Rows of the table for n target rows: name, method, setting."""
    rows = [(NAMES[m], m, {}) for m in ("exact", "source")]
    for method in BASELINES:
        params = best[method, n][0][0]
        rows.append((f"{method}, defaults", method, {}))
        rows.append((f"{method}, best of grid: {say(params)}", method, params))
    if not plan.labels:
        rows.append((NAMES["parametric"], "parametric", {}))
    return [*rows, (NAMES["tgdp"], "tgdp", {})]


def table_1(plan: Plan, args: argparse.Namespace, page: Page) -> None:
    """Table 1, one table for each number of target rows, and the grid behind it."""
    best = tuned(plan, args)
    parts, codes, summary = [], set(), []
    for n in plan.sizes:
        rows = rows_of(plan, n, best)
        trials = [plan.trial(m, n, seed, params) for _, m, params in rows for seed in plan.seeds]
        records = measured(trials, args)
        codes |= {record["code"] for record in records}
        groups = [records[i : i + len(plan.seeds)] for i in range(0, len(records), len(plan.seeds))]
        body = [
            [name, *(plus_minus([column(r) for r in group]) for column in COLUMNS.values())]
            for (name, _, _), group in zip(rows, groups, strict=True)
        ]
        parts.append(f"### {n:,} target rows\n\n" + table(["method", *COLUMNS], body))
        summary.append([f"{n:,}", *_against_best(groups)])
    head = ["target rows", "ε-error over the better baseline's", "sliced W₂ over the better baseline's"]
    parts.append("### TGDP against the better baseline, each at its best\n\n" + table(head, summary))
    parts.append(_grid_table(best))
    name, heading = ("conditional", "Table 1 with labels") if plan.labels else ("table", "Table 1")
    page.put(name, heading, "\n\n".join(parts), stamp(args.command, codes))


def _against_best(groups: Sequence[Sequence[Record]]) -> list[str]:
    """Ratio of TGDP's mean error to the lowest mean among the baselines' rows."""
    ratios = []
    for what in ("eps_error", "sliced"):
        means = [float(np.mean([record[what] for record in group])) for group in groups]
        ratios.append(f"{means[-1] / min(means[BASELINE_ROWS]):.2f}")
    return ratios


def _grid_table(best: Mapping[tuple[str, int], Any]) -> str:
    """Mean ε-error of every setting of the baselines, folded away."""
    rows = [
        [method, f"{n:,}", say(params), plus_minus([record["eps_error"] for record in records])]
        for (method, n), settings in best.items()
        for params, records in settings
    ]
    body = table(["baseline", "target rows", "setting", "ε-error"], rows)
    return folded("ε-error of every setting of the baselines' grid", body)


def samples_figure(plan: Plan, args: argparse.Namespace, folder: Path) -> set[str]:
    """Figure 1: samples of each method, the baselines at their best setting."""
    from benchmarks._figures import draw_samples

    best = tuned(plan, args)
    methods = ["exact", *BASELINES, "tgdp"]
    seed, panels, codes = plan.seeds[0], {}, set()
    for method in methods:
        for n in plan.sizes:
            params = best[method, n][0][0] if method in BASELINES else {}
            (record,) = run_trials([plan.trial(method, n, seed, params)], args.store)
            panels[method, n] = record["X"]
            codes.add(record["code"])
    names = {"exact": "target itself", "vanilla": "vanilla", "fine-tuned": "fine-tuned", "tgdp": "TGDP"}
    draw_samples(panels, [names[m] for m in methods], plan.sizes, folder / "gaussian_mixture_samples.png")
    return codes


def ratio_figure(plan: Plan, args: argparse.Namespace, folder: Path) -> set[str]:
    """Figure 2: estimated against true log density ratio."""
    from benchmarks._figures import draw_ratios

    trials = [plan.trial("tgdp", n, plan.seeds[0]) for n in plan.sizes]
    records = run_trials(trials, args.store, args.jobs)
    draw_ratios(dict(zip(plan.sizes, records, strict=True)), folder / "gaussian_mixture_ratio.png")
    return {record["code"] for record in records}


def ablation(plan: Plan, args: argparse.Namespace, folder: Path, n: int) -> tuple[str, set[str]]:
    """Figure 4: what each regulariser adds."""
    from benchmarks._figures import draw_ablation

    etas = list(product((0.0, 1.0), (0.0, 5.0)))
    params = [{"eta_cycle": cycle, "eta_consistency": consistency} for cycle, consistency in etas]
    params.append({})  # the rule
    records = measured([plan.trial("tgdp", n, s, p) for p in params for s in plan.seeds], args)
    groups = [records[i : i + len(plan.seeds)] for i in range(0, len(records), len(plan.seeds))]
    names = [f"η cycle = {a:g}, η consistency = {b:g}" for a, b in etas]
    rule = groups[-1][0]
    names.append(f"rule: η cycle = {rule['eta_cycle']:.2g}, η consistency = {rule['eta_consistency']:.2g}")
    some = ["ε-error", "average likelihood", "sliced W₂", "energy distance", "two-sample AUC"]
    body = [
        [name, *(plus_minus([COLUMNS[c](r) for r in group]) for c in some)]
        for name, group in zip(names, groups, strict=True)
    ]
    pictures = [(name, group[0]["X"]) for name, group in zip(names[:4], groups[:4], strict=True)]
    draw_ablation(pictures, n, folder / "gaussian_mixture_ablation.png")
    return table([f"{n:,} target rows", *some], body), {record["code"] for record in records}


def figures(plan: Plan, args: argparse.Namespace, page: Page) -> None:
    """All pictures, and the section that shows them."""
    folder = args.out / "benchmarks" if args.out else args.store.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    codes = samples_figure(plan, args, folder) | ratio_figure(plan, args, folder)
    middle = plan.sizes[len(plan.sizes) // 2]
    ablated, more = ablation(plan, args, folder, middle)
    body = (
        "![Samples of each method](gaussian_mixture_samples.png)\n\n"
        "**Figure 1.** Samples of one seed; the baselines at the best setting of their grid. Lines: the true "
        "target's density, at a half, a tenth and a hundredth of its maximum.\n\n"
        "![Estimated against true log density ratio](gaussian_mixture_ratio.png)\n\n"
        "**Figure 2.** The log density ratio log q/p that TGDP estimates, at rows that it has not seen.\n\n"
        "![What each regulariser adds](gaussian_mixture_ablation.png)\n\n"
        f"**Figure 4.** TGDP with and without its two regularisers.\n\n{ablated}"
    )
    page.put("figures", "Figures", body, stamp(args.command, codes | more))


def speed(plan: Plan, args: argparse.Namespace, page: Page) -> None:
    """Time a whole fit, the source model included, and sampling; never taken from the cache."""
    n_source, n_target, n_rows = (300, 100, 200) if plan.quick else (10_000, 1000, 10_000)
    seconds: dict[str, list[float]] = {}
    for seed in plan.seeds:
        data = make_gaussian_mixture_shift(n_source, n_target, random_state=seed)
        model = TGDPGenerator(random_state=seed)
        if plan.quick:
            model.set_params(source_model=DiffusionGenerator(**QUICK), domain_classifier=DomainClassifier())
            model.set_params(**quick_params("tgdp"))
        labels = data if plan.labels else (data[0], None, data[2], None)
        start = time.perf_counter()
        model.fit(*labels)
        middle = time.perf_counter()
        model.sample(n_rows, random_state=seed + FRESH)
        times = {**model.fit_time_, "whole fit": middle - start}
        times[f"sampling {n_rows:,} rows"] = time.perf_counter() - middle
        for name, value in times.items():
            seconds.setdefault(name, []).append(value)
    rows = [[name, plus_minus(values)] for name, values in seconds.items()]
    threads = torch.get_num_threads()
    body = f"{n_source:,} source rows, {n_target:,} target rows, defaults, threads: {threads}.\n\n"
    page.put("speed", "Speed", body + table(["phase", "seconds"], rows), stamp(args.command))


def run(args: argparse.Namespace) -> None:
    """Run what the options ask for."""
    sizes = args.sizes or ((10, 20, 30) if args.quick else SIZES)
    repeats = seeds(args.seeds or (2 if args.quick else 5))
    plan = Plan(tuple(sizes), tuple(repeats), args.conditional, args.quick)
    oracle = paper_mixture_shift().target.average_likelihood()
    page = Page(
        args.out / "benchmarks" / "gaussian_mixture.md" if args.out else None,
        "Gaussian mixture: the paper's simulation",
        INTRODUCTION.format(oracle=oracle),
        ("table", "conditional", "figures", "speed"),
    )
    if args.table or not (args.figures or args.speed):
        table_1(plan, args, page)
    if args.figures:
        figures(plan, args, page)
    if args.speed:
        speed(plan, args, page)
