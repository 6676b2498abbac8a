"""What a search over the two weights costs with ``memory=``, beside its target-side fits alone."""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from benchmarks._report import Page, stamp, table
from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift
from sktgdp.metrics import get_scorer
from sktgdp.model_selection import StratifiedTargetKFold, pack_domains

GRID = {"eta_cycle": [0, 0.5, 1], "eta_consistency": [0, 1, 5]}
INTRODUCTION = """\
`GridSearchCV` over 3 × 3 weights with 5 folds on the paper's mixture, {n_source:,} source rows and {n_target}
target rows, networks of {steps} steps on the target side. *Target side alone*: the 46 fits with a source
model that was trained before, without `memory`. *With memory*: the whole search from an empty folder, the
source model's training and all reading and writing included."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--steps", type=int, default=200, help="steps of each network of the target side")


def timed_search(model: TGDPGenerator, data: tuple[Any, Any, Any], quick: bool) -> tuple[float, GridSearchCV]:
    """Seconds of a whole search, and the search."""
    X, y, domain = data
    cv = StratifiedTargetKFold(2 if quick else 5, sample_domain=domain, random_state=0)
    grid = {"eta_cycle": [0]} if quick else GRID
    search = GridSearchCV(model, grid, scoring=get_scorer("neg_energy_distance"), cv=cv)
    start = time.perf_counter()
    search.fit(X, y, sample_domain=domain)
    return time.perf_counter() - start, search


def run(args: argparse.Namespace) -> None:
    """Run both searches and write the page."""
    n_source, n_target, source_steps = (100, 30, 10) if args.quick else (5000, 100, 1000)
    steps = 5 if args.quick else args.steps
    arrays = make_gaussian_mixture_shift(n_source, n_target, random_state=0)
    data = pack_domains(*arrays)
    source = DiffusionGenerator(max_steps=source_steps, random_state=0)
    ratio = DomainClassifier(max_steps=steps, n_folds=2 if args.quick else 5)
    params = {"domain_classifier": ratio, "max_steps": steps, "n_networks": 1, "random_state": 0}
    start = time.perf_counter()
    frozen = FrozenEstimator(source.fit(*arrays[:2]))
    source_seconds = time.perf_counter() - start
    bare, search = timed_search(TGDPGenerator(frozen, **params), data, args.quick)
    results = search.cv_results_
    fits = float(np.sum(results["mean_fit_time"]) * search.n_splits_ + search.refit_time_)
    with tempfile.TemporaryDirectory() as folder:
        kept, _ = timed_search(TGDPGenerator(source, memory=folder, **params), data, args.quick)
    rows = [
        ["source model, trained once", f"{source_seconds:.1f}", ""],
        ["target side alone, sum of the 46 fits", f"{fits:.1f}", "1"],
        ["target side alone, whole search with scoring", f"{bare:.1f}", f"{bare / fits:.2f}"],
        ["with memory, whole search with scoring", f"{kept:.1f}", f"{kept / fits:.2f}"],
    ]
    page = Page(
        args.out / "benchmarks" / "search.md" if args.out else None,
        "A search over the two weights",
        INTRODUCTION.format(n_source=n_source, n_target=n_target, steps=steps),
        ("cost",),
    )
    page.put("cost", "Cost", table(["", "seconds", "over the sum of the fits"], rows), stamp(args.command))
