"""Heart disease in two hospitals: does augmentation with generated patients help a classifier?

Source: Cleveland. Target: Hungarian, of which 10, 30 or 100 labelled rows are given and the others held out.
The generators are class-conditional and run at their defaults; the source model is trained once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._cache import Record, RunCache, code_version
from benchmarks._data import FRESH, Floats, Shift, data_dir, heart_dropped, load_shift, seeds, snap_heart
from benchmarks._report import Page, plus_minus, stamp, table
from benchmarks._trials import QUICK, Trial, quick_params, run_all, run_trials, trees
from sktgdp.metrics import coverage_score, frechet_distance, macro_roc_auc_score, two_sample_auc

SIZES = (10, 30, 100)
CODE = ("sktgdp/metrics/*.py", "benchmarks/heart_disease.py", "benchmarks/_data.py")
GENERATORS = {"vanilla": "vanilla", "fine-tuned": "fine-tuned", "tgdp": "TGDP"}
CLASSIFIERS = {"logistic": "logistic regression", "forest": "random forest"}
INTRODUCTION = """\
UCI heart disease: is there a narrowing of a vessel (target > 0), from the ten features age, sex, cp,
trestbps, chol, fbs, restecg, thalach, exang and oldpeak. {rows} 10, 30 or 100 labelled rows of the target are
given, drawn in proportion to the classes, and all its others are held out; the draw is repeated, and the
tables show mean ± standard error over the draws. The draws overlap, and so do the rows held out.

- **Generators**: class-conditional, at their defaults; one source model, trained once, serves all draws. Each
  generator gives as many rows as the source has, and all are treated alike: codes go to the nearest known
  code, measurements to the precision of the data.
- **Classifiers**: logistic regression on standardised features, and a random forest; fixed, never tuned.
  Where rows of several origins (source, target, generated) meet, each origin gets the same total weight.
- **Samples**: Fréchet distance and coverage with each feature over its standard deviation, and the AUC of a
  classifier that tells samples from held-out rows (½ if it cannot), with as many samples as held-out rows.
  The row *source* shows the Cleveland patients themselves."""


@dataclass(frozen=True)
class Mixed:
    """A row of the table: which rows a classifier is trained on."""

    name: str
    source: bool = False
    target: bool = False
    generator: str | None = None


MIXES = (
    Mixed("(a) target only", target=True),
    Mixed("(b) source only", source=True),
    Mixed("(c) source + weighted target", source=True, target=True),
    Mixed("(d) target + vanilla samples", target=True, generator="vanilla"),
    Mixed("(d) target + fine-tuned samples", target=True, generator="fine-tuned"),
    Mixed("(d) target + TGDP samples", target=True, generator="tgdp"),
    Mixed("(e) source + target + TGDP samples", source=True, target=True, generator="tgdp"),
    Mixed("(f) source + target + vanilla samples", source=True, target=True, generator="vanilla"),
    Mixed("(f) source + target + fine-tuned samples", source=True, target=True, generator="fine-tuned"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="+", help=f"target rows (default: {SIZES})")


def classifier(name: str, seed: int, quick: bool) -> Any:
    """One of the two fixed classifiers; both take weights of rows."""
    if name == "forest":
        return RandomForestClassifier(10 if quick else 300, min_samples_leaf=2, random_state=seed)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def fit_and_score(model: Any, parts: Sequence[tuple[Floats, NDArray[Any]]], shift: Shift) -> float:
    """Macro AUC on the held-out target rows, trained on parts of equal total weight."""
    X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    weights = np.concatenate([np.full(len(rows), 1.0 / len(rows)) for rows, _ in parts])
    weights *= len(weights) / weights.sum()
    step = f"{model.steps[-1][0]}__" if hasattr(model, "steps") else ""
    model.fit(X, y, **{f"{step}sample_weight": weights})
    return float(macro_roc_auc_score(shift.y_test, model.predict_proba(shift.X_test)))


def downstream(shift: Shift, drawn: Mapping[str, Record], seed: int, quick: bool) -> Record:
    """AUC of every classifier on every mix of training rows."""
    rows = {
        method: (snap_heart(record["X"].astype(np.float64), shift.X_src), record["y"])
        for method, record in drawn.items()
    }
    found: Record = {}
    for mix in MIXES:
        parts = [(shift.X_src, shift.y_src)] if mix.source else []
        parts += [(shift.X_tgt, shift.y_tgt)] if mix.target else []
        parts += [rows[mix.generator]] if mix.generator else []
        for name in CLASSIFIERS:
            found[f"{mix.name}|{name}"] = fit_and_score(classifier(name, seed, quick), parts, shift)
    return found


def fidelity(shift: Shift, X: Floats, seed: int, quick: bool) -> Record:
    """How far rows are from the held-out target rows."""
    order = np.random.default_rng(seed + FRESH).permutation(len(X))[: len(shift.X_test)]
    real, syn = shift.X_test / shift.unit, X[order] / shift.unit
    return {
        "frechet": frechet_distance(real, syn),
        "coverage": coverage_score(real, syn),
        "auc": two_sample_auc(real, syn, classifier=trees(quick), random_state=seed),
    }


def evaluate(data: Mapping[str, Any], drawn: Mapping[str, Record], quick: bool, store: RunCache) -> Record:
    """Everything that is measured on one draw of the target rows."""

    def compute() -> Record:
        shift, seed = load_shift(data), int(data["seed"])
        found = downstream(shift, drawn, seed, quick)
        rows = {m: snap_heart(r["X"].astype(np.float64), shift.X_src) for m, r in drawn.items()}
        for method, X in {"source": shift.X_src, **rows}.items():
            found |= {f"{method}|{what}": value for what, value in fidelity(shift, X, seed, quick).items()}
        return found

    fitted = {method: record["fitted"] for method, record in drawn.items()}
    key = {"evaluate": "heart", **data, "quick": quick, "fitted": fitted}
    return store.record(key, code_version(CODE), compute)


def draws(args: argparse.Namespace, n: int, seeds: Sequence[int]) -> tuple[list[Record], set[str]]:
    """Fit the generators on every draw of n target rows, and measure; one record per draw."""
    n_samples = heart_dropped()["cleveland"][0]
    source = QUICK if args.quick else {}

    def trial(method: str, seed: int) -> Trial:
        params = quick_params(method) if args.quick else {}
        data = {"name": "heart", "n_target": n, "seed": seed}
        return Trial(data, method, params, source, n_samples=n_samples)

    trials = [trial(method, seed) for seed in seeds for method in GENERATORS]
    records = run_trials(trials, args.store, args.jobs)
    # what the samples came from, in few words: the version of the code and the parameters
    made = [
        {**r, "fitted": [t.method, t.params, t.source_params, r["code"]]}
        for t, r in zip(trials, records, strict=True)
    ]
    tasks = []
    for i, seed in enumerate(seeds):
        mine = dict(zip(GENERATORS, made[i * len(GENERATORS) :], strict=False))
        data = {"name": "heart", "n_target": n, "seed": seed}
        task = partial(evaluate, data, mine, args.quick, args.store)
        tasks.append((f"classifiers on n={n} seed={seed}", task))
    found = run_all(tasks, args.jobs)
    for i, one in enumerate(found):
        for k, method in enumerate(GENERATORS):
            one[f"{method}|fit"] = records[i * len(GENERATORS) + k]["fit_seconds"]
        one["ess"] = records[i * len(GENERATORS) + len(GENERATORS) - 1]["ess"]
    return found, {record["code"] for record in records}


def auc_table(measured: Mapping[int, list[Record]], name: str) -> str:
    """AUC by training rows and number of target rows."""
    rows = []
    for mix in MIXES:
        columns = ([r[f"{mix.name}|{name}"] for r in found] for found in measured.values())
        rows.append([mix.name, *(plus_minus(column, error="se") for column in columns)])
    return table([f"{CLASSIFIERS[name]} trained on", *(f"n = {n}" for n in measured)], rows)


def verdict_table(measured: Mapping[int, list[Record]]) -> str:
    """The best TGDP row against the best other one, draw by draw."""
    ours = [mix.name for mix in MIXES if mix.generator == "tgdp"]
    rows = []
    for name, title in CLASSIFIERS.items():
        for n, found in measured.items():
            means = {mix.name: np.mean([r[f"{mix.name}|{name}"] for r in found]) for mix in MIXES}
            mine = max(ours, key=lambda row: means[row])
            other = max((row for row in means if row not in ours), key=lambda row: means[row])
            gaps = np.array([r[f"{mine}|{name}"] - r[f"{other}|{name}"] for r in found])
            error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
            within = "yes" if gaps.mean() >= -error else "no"
            rows.append([title, n, mine, other, plus_minus(gaps, error="se"), within])
    header = ["classifier", "n", "best row with TGDP", "best other row", "difference of AUC, paired"]
    return table([*header, "TGDP at least as good, within the standard error"], rows)


def fidelity_table(measured: Mapping[int, list[Record]]) -> str:
    """Distances of the samples to held-out target rows."""
    titles = {"frechet": "Fréchet distance", "coverage": "coverage", "auc": "two-sample AUC"}
    rows = []
    for n, found in measured.items():
        for method, title in {"source": "source", **GENERATORS}.items():
            cells = [plus_minus([r[f"{method}|{what}"] for r in found], error="se") for what in titles]
            fit = "–" if method == "source" else plus_minus([r[f"{method}|fit"] for r in found], error="se")
            rows.append([f"{title}, n = {n}", *cells, fit])
    return table(["samples", *titles.values(), "fit, s"], rows)


def run(args: argparse.Namespace) -> None:
    """Run the benchmark and write its page."""
    data_dir()
    sizes = args.sizes or ((30,) if args.quick else SIZES)
    repeats = seeds(args.seeds or (2 if args.quick else 10))
    kept = [
        f"{name.capitalize()}: {rows} rows, {dropped} more dropped for a missing value among these."
        for name, (rows, dropped) in heart_dropped().items()
    ]
    page = Page(
        args.out / "benchmarks" / "heart_disease.md" if args.out else None,
        "Heart disease: from Cleveland to Hungary",
        INTRODUCTION.format(rows=" ".join(kept)),
        ("auc", "samples"),
    )
    measured, codes = {}, set()
    for n in sizes:
        measured[n], more = draws(args, n, repeats)
        codes |= more
    tables = [auc_table(measured, name) for name in CLASSIFIERS]
    stamped = stamp(args.command, codes)
    body = [f"Macro AUC on the held-out target rows; {len(repeats)} draws.", *tables, verdict_table(measured)]
    page.put("auc", "Classifiers", "\n\n".join(body), stamped)
    overlap = ", ".join(f"{plus_minus([r['ess'] for r in found])} (n = {n})" for n, found in measured.items())
    note = f"Effective sample size of the density ratio on the source rows: {overlap}.\n\n"
    page.put("samples", "Samples", note + fidelity_table(measured), stamped)
