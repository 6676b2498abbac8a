"""Engine noise of two collections: does augmentation with generated spectra help a classifier?

Source: FordA. Target: FordB, of which 20, 50 or 100 labelled series are given. What is generated and
classified are log spectra, as their first principal components in the source.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import periodogram
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._data import Floats, Shift, data_dir, seeds
from benchmarks._report import Page, plus_minus, stamp, table
from benchmarks._trials import ASIDE, FIT_CODE, QUICK, quick_params, run_all
from benchmarks.heart_disease import (
    CLASSIFIERS,
    GENERATORS,
    MIXES,
    auc_table,
    fidelity,
    fidelity_table,
    fit_and_score,
)
from benchmarks.heart_disease import classifier as heart_classifier
from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator

SIZES = (20, 50, 100)
N_COMPONENTS = 8
N_SAMPLES = 2000
TREES = 100
CODE = (*FIT_CODE, "sktgdp/metrics/*.py", "benchmarks/heart_disease.py", "benchmarks/ford.py")
KINDS = {"vanilla": DiffusionGenerator, "fine-tuned": FineTunedDiffusionGenerator, "tgdp": TGDPGenerator}
SOURCE_PARAMS = {"max_steps": 2000}
# short fits, so that all draws take minutes
PARAMS: dict[str, dict[str, Any]] = {
    "vanilla": {"max_steps": 1000, "batch_size": 256},
    "fine-tuned": {"max_steps": 1000, "batch_size": 256},
    "tgdp": {
        "max_steps": 500,
        "batch_size": 128,
        "n_networks": 1,
        "domain_classifier__n_folds": 3,
        "domain_classifier__max_steps": 300,
    },
}
PROTOCOLS = {
    "noisy": "Target: FordB's noisy recordings",
    "archive": "Target rows without the noise: the archive's split",
}
OURS = [mix.name for mix in MIXES if mix.generator == "tgdp"]
INTRODUCTION = """\
FordA and FordB of the UCR archive: does a symptom show in 500 points of engine noise? FordA, all 4,921
series, is the source. FordB's 3,636 training series were recorded under the same typical conditions, its 810
test series in a noisy environment; so the archive holds two questions, and each has its section.

- **FordB's noisy recordings are the target**: n of the 810 are given with their labels, drawn in equal parts
  from the two classes, and all the others are held out. Given and held-out rows follow one law, as every
  method here supposes.
- **The archive's split**: n of FordB's training series are given, and all 810 noisy ones are held out. No
  method sees the noise that it is measured in.

The draw is repeated; tables show the mean ± standard error over the draws, which overlap.

- **What a row is**: the log of a series' spectrum in 28 bands (24 below 0.144 cycles per point, where the
  signal is, four above), standardised, and of that the first eight principal components; both steps are
  fitted on FordA. Spectra are generated, not series: the 28 bands follow by the inverse, phases do not.
- **Generators**: class-conditional, in these coordinates, with short fits; one source model serves all
  draws. 2,000 rows each. Weights and the rest are at their defaults.
- **Classifiers**: a random forest of 100 trees, and logistic regression on standardised coordinates; fixed,
  never tuned. Where rows of several origins (source, target, generated) meet, each origin gets the same
  total weight.
- Representation and lengths of the fits were chosen on other draws than these, of the same recordings."""


def log_spectra(X: Floats) -> Floats:
    """Log power of series, shape (n, 500), in 28 bands: narrow ones where the signal is, four above."""
    power = periodogram(X, window="hann", axis=1)[1]
    edges = np.concatenate([np.linspace(1, 72, 25), np.linspace(72, 251, 5)[1:]]).astype(int)
    sums = np.add.reduceat(power, edges[:-1], axis=1)
    return np.asarray(np.log(sums / np.diff(edges) + 1e-5))


@lru_cache
def _collections() -> dict[str, tuple[Floats, NDArray[Any]]]:
    """Coordinates and labels of FordA and of both parts of FordB; the coordinates are fitted on FordA."""
    folder = data_dir() / "ucr"
    with np.load(folder / "FordA.npz") as A, np.load(folder / "FordB.npz") as B:
        series = {
            "A": (np.concatenate([A["X_train"], A["X_test"]]), np.concatenate([A["y_train"], A["y_test"]])),
            "typical": (B["X_train"], B["y_train"]),
            "noisy": (B["X_test"], B["y_test"]),
        }
    spectra = {name: log_spectra(X.astype(np.float64)) for name, (X, _) in series.items()}
    units = make_pipeline(StandardScaler(), PCA(N_COMPONENTS, random_state=0)).fit(spectra["A"])
    return {name: (units.transform(spectra[name]), y) for name, (_, y) in series.items()}


def ford_shift(n_target: int, seed: int, protocol: str) -> Shift:
    """Source rows, n labelled target rows in equal parts from both classes, and the rows held out."""
    rows = _collections()
    X, y = rows["noisy" if protocol == "noisy" else "typical"]
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(y == label))[: n_target // 2] for label in np.unique(y)]
    given = np.zeros(len(y), dtype=bool)
    given[np.concatenate(chosen)] = True
    X_test, y_test = (X[~given], y[~given]) if protocol == "noisy" else rows["noisy"]
    return Shift(*rows["A"], X[given], y[given], X_test, y_test)


def source_model(quick: bool, store: RunCache) -> DiffusionGenerator:
    """The diffusion model of FordA, fitted once for all draws."""
    params = QUICK if quick else SOURCE_PARAMS

    def fit() -> DiffusionGenerator:
        return DiffusionGenerator(random_state=0).set_params(**params).fit(*_collections()["A"])

    model: DiffusionGenerator = store.model({"model": "ford", **params}, code_version(CODE, ASIDE), fit)
    return model


def generate(method: str, shift: Shift, seed: int, quick: bool, store: RunCache) -> tuple[Any, Record]:
    """Rows and labels drawn from a generator fitted on a draw, and what its fit took."""
    model = KINDS[method](random_state=seed)
    data: tuple[Any, ...] = (shift.X_tgt, shift.y_tgt)
    if method != "vanilla":
        model.set_params(source_model=FrozenEstimator(source_model(quick, store)))
        data = (shift.X_src, shift.y_src, *data)
    if method == "tgdp":
        model.set_params(domain_classifier=DomainClassifier())
    model.set_params(**(quick_params(method) if quick else PARAMS[method]))
    start = time.perf_counter()
    model.fit(*data)
    found = {f"{method}|fit": time.perf_counter() - start}
    if method == "tgdp":
        found["ess"] = float(model.effective_sample_size_)
    return model.sample(100 if quick else N_SAMPLES, random_state=seed), found


def classifier(name: str, seed: int, quick: bool) -> Any:
    """One of the two fixed classifiers; both take weights of rows."""
    if name == "forest":
        return RandomForestClassifier(10 if quick else TREES, min_samples_leaf=2, random_state=seed)
    return heart_classifier(name, seed, quick)


def all_target_rows(protocol: str, seed: int, quick: bool) -> Record:
    """AUC where every row of the target is given; of the noisy ones four fifths, as a fifth is held out."""
    rows = _collections()
    parts: Sequence[Any] = (*rows["typical"], *rows["noisy"])
    if protocol == "noisy":
        X_tgt, X_test, y_tgt, y_test = train_test_split(
            *rows["noisy"], test_size=0.2, stratify=rows["noisy"][1], random_state=seed
        )
        parts = (X_tgt, y_tgt, X_test, y_test)
    shift = Shift(*rows["A"], *parts)
    own = [(shift.X_tgt, shift.y_tgt)]
    return {f"all|{name}": fit_and_score(classifier(name, seed, quick), own, shift) for name in CLASSIFIERS}


def _key(data: Mapping[str, Any], quick: bool) -> dict[str, Any]:
    """Name of a draw in the cache."""
    return {"evaluate": "ford", **data, "quick": quick, "params": PARAMS, "source": SOURCE_PARAMS}


def evaluate(data: Mapping[str, Any], quick: bool, store: RunCache) -> Record:
    """Everything that is measured on one draw of the target rows."""

    def compute() -> Record:
        shift, seed = ford_shift(**data), int(data["seed"])
        found, rows = all_target_rows(data["protocol"], seed, quick), {}
        for method in GENERATORS:
            rows[method], more = generate(method, shift, seed, quick, store)
            found |= more
        for mix in MIXES:
            parts = [(shift.X_src, shift.y_src)] if mix.source else []
            parts += [(shift.X_tgt, shift.y_tgt)] if mix.target else []
            parts += [rows[mix.generator]] if mix.generator else []
            for name in CLASSIFIERS:
                found[f"{mix.name}|{name}"] = fit_and_score(classifier(name, seed, quick), parts, shift)
        for method, X in {"source": shift.X_src, **{m: X for m, (X, _) in rows.items()}}.items():
            found |= {f"{method}|{what}": value for what, value in fidelity(shift, X, seed, quick).items()}
        return found

    return store.record(_key(data, quick), code_version(CODE, ASIDE), compute)


def gap_table(measured: Mapping[int, list[Record]], name: str) -> str:
    """Both rows with TGDP less every other row, draw by draw."""
    rows = []
    for mix in MIXES:
        if mix.name in OURS:
            continue
        gaps = [
            plus_minus([r[f"{mine}|{name}"] - r[f"{mix.name}|{name}"] for r in found], error="se")
            for mine in OURS
            for found in measured.values()
        ]
        rows.append([mix.name, *gaps])
    header = [f"{mine[:3]} TGDP, n = {n}" for mine in OURS for n in measured]
    return table([f"{CLASSIFIERS[name]}: AUC less that of", *header], rows)


def write_csv(path: Path, measured: Mapping[int, list[Record]], repeats: Sequence[int]) -> None:
    """Every figure of every draw, one per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["n_target", "seed", "rows", "what", "value"])
        for n, found in measured.items():
            for seed, record in zip(repeats, found, strict=True):
                for key, value in record.items():
                    if key != "code":
                        out.writerow([n, seed, *(key.split("|") if "|" in key else ["tgdp", key]), value])


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", help=f"target rows (default: {SIZES})")
    parser.add_argument(
        "--protocols", nargs="+", choices=PROTOCOLS, help="which target rows are given (default: both)"
    )


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its page."""
    folder = args.out / "benchmarks" if args.out else None
    page = Page(
        folder / "ford.md" if folder else None,
        "Engine noise: from FordA to FordB",
        INTRODUCTION,
        ("findings", *PROTOCOLS),  # the first is written by hand, and kept
    )
    sizes = args.sizes or ((20,) if args.quick else SIZES)
    repeats = seeds(args.seeds or (2 if args.quick else 5))
    for protocol in args.protocols or PROTOCOLS:
        draws = [{"n_target": n, "seed": seed, "protocol": protocol} for n in sizes for seed in repeats]
        if not all(args.store.has(_key(data, args.quick), code_version(CODE, ASIDE)) for data in draws):
            source_model(args.quick, args.store)  # once, before several processes ask for it
        tasks = [
            (" ".join(map(str, data.values())), partial(evaluate, data, args.quick, args.store))
            for data in draws
        ]
        found = run_all(tasks, args.jobs)
        measured = {n: found[i * len(repeats) : (i + 1) * len(repeats)] for i, n in enumerate(sizes)}
        page.put(
            protocol,
            PROTOCOLS[protocol],
            section(measured, len(repeats)),
            stamp(args.command, {record["code"] for record in found}),
        )
        if folder:
            write_csv(folder / f"ford_{protocol}.csv", measured, repeats)


def section(measured: Mapping[int, list[Record]], n_draws: int) -> str:
    """Tables of one protocol."""
    first = next(iter(measured.values()))
    tops = [f"{plus_minus([r[f'all|{k}'] for r in first], error='se')} ({v})" for k, v in CLASSIFIERS.items()]
    ess = ", ".join(f"{plus_minus([r['ess'] for r in found])} (n = {n})" for n, found in measured.items())
    return "\n\n".join(
        [
            f"Macro AUC on the held-out rows; {n_draws} draws. With all target rows: {', '.join(tops)}.",
            *(auc_table(measured, name) for name in reversed(CLASSIFIERS)),
            "Paired differences, TGDP less the row:",
            *(gap_table(measured, name) for name in reversed(CLASSIFIERS)),
            f"Effective sample size of the density ratio on the source rows: {ess}.",
            fidelity_table(measured),
        ]
    )
