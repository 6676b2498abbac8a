"""Times of fit, sample, metrics and search, cost against size, and all that other benchmarks timed."""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from benchmarks._bars import bars
from benchmarks._report import Page, number, stamp, table
from benchmarks._timing import Result, Results, in_turn, peak_mib, quartiles, spread, timed
from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import (
    coverage_score,
    energy_distance,
    frechet_distance,
    get_scorer,
    sliced_wasserstein_distance,
    two_sample_auc,
)
from sktgdp.model_selection import StratifiedTargetKFold, pack_domains

INTRODUCTION = """\
What the package costs, on two cores that other work shares. Figures are processor seconds on one thread
unless they say otherwise, medians over rounds that take turns, with quartiles in brackets; a ratio is between
things that were timed side by side in one run. All rounds, with the versions and the machine, are in files of
JSON under `docs/benchmarks`, and `python -m benchmarks compare old.json new.json` tells what became slower or
faster, beyond the noise, between two such files. Nothing here was measured on a GPU."""
FEATURES = 20
Case = Callable[[], Any]


@cache
def table_of(n_rows: int) -> Any:
    """Rows of correlated numbers."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, FEATURES)) @ rng.normal(size=(FEATURES, FEATURES))


def fit_rows(n_rows: int, n_steps: int) -> DiffusionGenerator:
    """Fit a table of 20 columns."""
    return DiffusionGenerator(max_steps=n_steps, random_state=0, device="cpu").fit(table_of(n_rows))


@cache
def fitted() -> DiffusionGenerator:
    """A generator to sample from: the time of sampling does not depend on what it has learned."""
    return fit_rows(1000, 5)


def sample_rows(n_rows: int) -> None:
    """Draw rows of 20 columns."""
    fitted().sample(n_rows, random_state=0)


# Calls ----------------------------------------------------------------------------------------------
def small_tgdp(source: Any = None, **params: Any) -> TGDPGenerator:
    """TGDP with short trainings; its warnings that they are short are of no interest."""
    warnings.simplefilter("ignore")
    ratio = DomainClassifier(max_steps=50, n_folds=2)
    params = {"max_steps": 50, "n_networks": 1, "random_state": 0, "device": "cpu"} | params
    return TGDPGenerator(source, domain_classifier=ratio, **params)


@cache
def mixture() -> tuple[Any, ...]:
    """The paper's mixture, 2,000 source rows and 100 target rows."""
    arrays: tuple[Any, ...] = make_gaussian_mixture_shift(2000, 100, random_state=0)
    return arrays


@cache
def source_model() -> FrozenEstimator:
    """A source model that is already there."""
    return FrozenEstimator(DiffusionGenerator(max_steps=50, random_state=0).fit(*mixture()[:2]))


def fit_target_side() -> TGDPGenerator:
    """Everything but the source model."""
    return small_tgdp(source_model()).fit(*mixture())


@cache
def guided() -> TGDPGenerator:
    """A guided generator to sample from."""
    return fit_target_side()


def sample_guided() -> None:
    """Draw 10,000 rows with guidance."""
    guided().sample(10_000, random_state=0)


def search() -> None:
    """Four settings and two folds, nine fits of TGDP, from an empty folder."""
    X, y, domain = pack_domains(*mixture())
    cv = StratifiedTargetKFold(2, sample_domain=domain, random_state=0)
    grid = {"eta_cycle": [0, 1], "eta_consistency": [0, 5]}
    with tempfile.TemporaryDirectory() as folder:
        source = DiffusionGenerator(max_steps=50, random_state=0)
        model = small_tgdp(source, memory=folder)
        scorer = get_scorer("neg_energy_distance")
        GridSearchCV(model, grid, scoring=scorer, cv=cv).fit(X, y, sample_domain=domain)


def metric(function: Callable[..., float], n_rows: int, **options: Any) -> None:
    """A metric on two samples of 20 columns."""
    X = table_of(2 * n_rows)
    function(X[:n_rows], X[n_rows:], **options)


CALLS: dict[str, Case] = {
    "fit of 1,000 rows × 20, 200 steps": partial(fit_rows, 1000, 200),
    "fit of TGDP's target side, 50 steps a network": fit_target_side,
    "sample of 10,000 rows × 20": partial(sample_rows, 10_000),
    "sample of 10,000 rows × 2, guided": sample_guided,
    "Fréchet distance, 10,000 rows": partial(metric, frechet_distance, 10_000),
    "energy distance, 2,000 rows": partial(metric, energy_distance, 2000),
    "sliced Wasserstein distance, 2,000 rows": partial(
        metric, sliced_wasserstein_distance, 2000, random_state=0
    ),
    "coverage, 2,000 rows": partial(metric, coverage_score, 2000),
    "two-sample AUC, 500 rows": partial(metric, two_sample_auc, 500, random_state=0),
    "search, nine fits, with memory": search,
}


def growth(name: str) -> float:
    """MiB by which a case raises the peak of a process that has imported everything."""
    before = peak_mib()
    CALLS[name]()
    return peak_mib() - before


def alone(function: Callable[..., Any], *args: Any) -> Any:
    """Call in a fresh process, whose peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def measure_calls(rounds: int, quick: bool) -> tuple[str, dict[str, Result]]:
    """Table of the calls, and their times."""
    names = list(CALLS)[:1] if quick else list(CALLS)
    results = in_turn({name: CALLS[name] for name in names}, rounds)
    for name, result in results.items():
        result.peak_mib = None if quick else alone(growth, name)
    rows = [
        [name, spread(result), "" if result.peak_mib is None else number(result.peak_mib)]
        for name, result in results.items()
    ]
    text = "Memory is by how much the call raises the peak of a process that has imported everything."
    return f"{text}\n\n{table(['', 'seconds', 'memory, MiB'], rows)}", results


# Cost against size ----------------------------------------------------------------------------------
def growths(results: Mapping[str, Result]) -> list[str]:
    """Median ratio of each to the first, over the rounds, with quartiles."""
    first, *_ = results.values()
    found = []
    for result in results.values():
        ratios = [a / b for a, b in zip(result.processor, first.processor, strict=True)]
        found.append("{1:.2f} ({0:.2f} to {2:.2f})".format(*quartiles(ratios)))
    return found


def measure_sizes(rounds: int, quick: bool) -> tuple[str, dict[str, Result]]:
    """Tables of time against rows and steps, and the times."""
    steps, sizes = ([2, 4], [50, 100]) if quick else ([200, 400, 800], [1000, 10_000, 100_000])
    fixed_rows, fixed_steps = (50, 2) if quick else (10_000, 200)
    by_steps = {f"fit, {n:,} steps, {fixed_rows:,} rows": partial(fit_rows, fixed_rows, n) for n in steps}
    by_rows = {f"fit, {n:,} rows, {fixed_steps:,} steps": partial(fit_rows, n, fixed_steps) for n in sizes}
    drawn = {f"sample, {n:,} rows": partial(sample_rows, n) for n in sizes}
    parts, everything = [], {}
    for cases in (by_steps, by_rows, drawn):
        results = in_turn(cases, rounds)
        rows = [[name, spread(r), x] for (name, r), x in zip(results.items(), growths(results), strict=True)]
        parts.append(table(["20 columns", "seconds", "over the first"], rows))
        everything |= results
    return "\n\n".join(parts), everything


def written(n_rows: int) -> tuple[float, float, float]:
    """Processor seconds, wall seconds and growth of the peak while rows go to a Parquet file."""
    import pyarrow  # noqa: F401 - it is loaded on use, and belongs to what is there before

    model = fitted()
    model.sample(1000, random_state=0)
    result, before = Result(), peak_mib()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write = partial(model.sample_to_parquet, path, n_rows, batch_size=10_000, random_state=0, n_steps=5)
        timed(result, write)
    return result.processor[0], result.wall[0], peak_mib() - before


def measure_stream(rounds: int, quick: bool) -> tuple[str, dict[str, Result]]:
    """Table of files of several lengths, each written by a process of its own, and the times."""
    results = {}
    for n_rows in (100, 200) if quick else (100_000, 1_000_000, 10_000_000):
        found = [written(n_rows) if quick else alone(written, n_rows) for _ in range(min(rounds, 3))]
        processor, wall, growth = (list(column) for column in zip(*found, strict=True))
        results[f"{n_rows:,} rows"] = Result(processor, wall, quartiles(growth)[1])
    rows = [[name, spread(result), number(result.peak_mib or 0.0)] for name, result in results.items()]
    text = "`sample_to_parquet`, 20 columns, 5 solver steps, batches of 10,000 rows."
    return f"{text}\n\n{table(['', 'seconds', 'memory, MiB'], rows)}", results


PARTS: dict[str, tuple[str, Callable[[int, bool], tuple[str, dict[str, Result]]]]] = {
    "calls": ("Fit, sample, metrics, search", measure_calls),
    "size": ("Cost against size", measure_sizes),
    "stream": ("Rows to a file", measure_stream),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--part", choices=[*PARTS, "bars"], action="append", help="only this part")


def run(args: argparse.Namespace) -> None:
    """Measure, and write the page."""
    rounds = args.seeds or (1 if args.quick else 5)
    path = args.out / "performance.md" if args.out else None
    page = Page(path, "Performance", INTRODUCTION, ["bars", *PARTS])
    stored = args.out / "benchmarks" / "performance.json" if args.out else None
    kept = Results.read(stored) if stored and args.part and stored.exists() else Results(args.command)
    for name in args.part or PARTS:
        if name in PARTS:
            heading, measure = PARTS[name]
            body, results = measure(rounds, args.quick)
            kept.add(name, results)
            page.put(name, heading, body, stamp(args.command))
            if stored:
                kept.write(stored)
    if args.out:
        page.put("bars", "What was to be reached", bars(args.out / "benchmarks"), stamp(args.command))
