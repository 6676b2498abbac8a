"""Transfer between collections of 12-lead ECG: the paper's Tables 2 and 3 and its Figure 3.

``--config published`` is the paper's: PTB-XL to a tenth of ICBEB2018, the published networks, a GPU.
``--config small`` needs none: Brugada-HUCA to a tenth of LUDB, three classes of the heart's axis.
``--config ford`` is the benchmark of engine noise, `benchmarks.ford`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ford
from benchmarks._cache import Record
from benchmarks._data import seeds
from benchmarks._ecg_trials import CONFIGS, Experiment
from benchmarks._report import Page, number, plus_minus, stamp, table
from benchmarks._trials import run_all
from sktgdp.metrics import (
    BootstrapInterval,
    apply_thresholds,
    bootstrap_interval,
    challenge_f_beta_score,
    challenge_g_beta_score,
    macro_roc_auc_score,
    optimal_thresholds,
)

GENERATORS = {"vanilla": "vanilla diffusion", "fine-tuned": "fine-tuned generator", "tgdp": "TGDP"}
CLASSIFIERS = {
    "target": "vanilla classifier",
    "transfer": "fine-tuned classifier",
    **{name: f"classifier, with samples of: {title}" for name, title in GENERATORS.items()},
}
SCORES: dict[str, Callable[..., float]] = {
    "macro AUC": macro_roc_auc_score,
    "macro F₂": challenge_f_beta_score,
    "macro G₂": challenge_g_beta_score,
}
N_RESAMPLES = 1000

INTRODUCTION = """\
The paper's second experiment: a generator of 12-lead ECG is trained on a large collection and transferred to
a small one, of which it sees a tenth of the records. Generated are the eight independent leads; the other
four follow exactly.

- **Brugada-HUCA → LUDB** (`--config small`): 363 records of 12 s to 190 of 10 s, one per patient, 100 Hz, in
  windows of 2.56 s. Classes: the heart's axis is left of 30°, normal, or above 70°. LUDB's come from its
  cardiologists (ten records without one are left out), Brugada-HUCA's are computed from the net area of the
  QRS complex in leads I and aVF. LUDB's leads were scaled one by one; the laws of the limb leads give back
  the gains of these among each other, but not those of V1 to V6. So in both collections each chest lead of a
  record, and its limb leads together, are brought to a root mean square of 1.
- **PTB-XL → ICBEB2018** (`--config published --ptbxl FOLDER --icbeb FOLDER`): the paper's data and the
  published size of the networks, for a GPU. Not run here.
- **Sampling**: by `sde-dpm++2m` in 50 steps for every generator. With the default, whose path is not
  stochastic, each of them covers less and is farther away. This, the gains and the length of the source's fit
  were chosen on a draw that is not among those below, after a first design (leads as they are, the default
  solver, a third of the steps) in which TGDP covered less than either baseline.
- **Table 2**: coverage and Fréchet distance of samples in the features of a classifier of the source's
  windows, against the windows of all held-out records. Parameters and seconds are what the target's side
  trains and takes; the source model, common to the last two, is not counted.
- **Table 3**: scores on the held-out records, the mean over the windows of each. Thresholds of F₂ and G₂ are
  chosen on the training windows. Samples and target windows have equal total weight. 0.953(05) is a score and
  the half width of its bootstrap interval (90 %) in units of its last digit, mean over the draws; ± the
  standard deviation between draws."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--config", choices=[*CONFIGS, "ford"], default="small")
    parser.add_argument("--ptbxl", type=Path, help="folder of PTB-XL (published)")
    parser.add_argument("--icbeb", type=Path, help="folder of ICBEB2018 (published)")
    ford.add_arguments(parser.add_argument_group("FordA to FordB (ford)"))


def judged(experiment: Experiment, method: str) -> dict[str, BootstrapInterval]:
    """Scores of one classifier on the held-out records."""
    shift, found = experiment.shift, experiment.scores(method)
    thresholds = optimal_thresholds(shift.indicator(shift.y_tgt), found["train"])
    flags = apply_thresholds(found["test"], thresholds)
    resamples = 20 if experiment.quick else N_RESAMPLES
    return {
        name: bootstrap_interval(
            score, shift.Y_test, found["test"] if score is macro_roc_auc_score else flags,
            n_resamples=resamples, random_state=0,
        )
        for name, score in SCORES.items()
    }  # fmt: skip


def table_2(experiments: Sequence[Experiment]) -> tuple[list[str], list[list[Any]]]:
    """Coverage, Fréchet distance, trained parameters and seconds of each generator."""
    rows = []
    for method, title in {"source": "source windows as they are", **GENERATORS}.items():
        near = [one.fidelity(method) for one in experiments]
        cells = [plus_minus([r[what] for r in near]) for what in ("coverage", "fid")]
        costs = ["–", "–"]
        if method != "source":
            drawn = [one.samples(method) for one in experiments]
            costs = [number(drawn[0]["n_parameters"], 8), plus_minus([r["seconds"] for r in drawn])]
        rows.append([title, *cells, *costs])
    return ["generator", "coverage", "Fréchet distance", "trained parameters", "fit, s"], rows


def _cell(intervals: Sequence[BootstrapInterval]) -> str:
    """Mean score and half width over the draws, and their spread."""
    point, half = (float(np.mean([getattr(i, a) for i in intervals])) for a in ("point", "half_width"))
    cell = str(BootstrapInterval(point, point - half, point + half))
    return cell if len(intervals) == 1 else f"{cell} ± {np.std([i.point for i in intervals], ddof=1):.3f}"


def table_3(experiments: Sequence[Experiment]) -> tuple[list[str], list[list[Any]]]:
    """The three scores of each classifier."""
    rows = []
    for method, title in CLASSIFIERS.items():
        found = [judged(one, method) for one in experiments]
        rows.append([title, *(_cell([f[name] for f in found]) for name in SCORES)])
    return ["trained on the target's windows", *SCORES], rows


def run_fits(experiments: Sequence[Experiment], jobs: int) -> None:
    """Fit everything that is not in the cache."""
    first = experiments[0]
    run_all([("source model", first.source_model), ("source classifier", first.source_classifier)], jobs)
    steps: list[tuple[str, Callable[[Experiment, str], Record], Sequence[str]]] = [
        ("samples", Experiment.samples, list(GENERATORS)),
        ("fidelity", Experiment.fidelity, ["source", *GENERATORS]),
        ("classifier", Experiment.scores, list(CLASSIFIERS)),
    ]
    for name, what, methods in steps:
        tasks = [
            (f"{name} of {method}, seed {one.seed}", partial(what, one, method))
            for one in experiments
            for method in methods
        ]
        run_all(tasks, jobs)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table as comma-separated values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def run(args: argparse.Namespace) -> None:
    """Run one configuration and write its section of the page; FordA to FordB has a page of its own."""
    if args.config == "ford":
        ford.run(args)
        return
    repeats = seeds(args.seeds or (1 if args.quick else 3))
    experiments = [
        Experiment(args.config, seed, args.quick, args.store, (args.ptbxl, args.icbeb)) for seed in repeats
    ]
    shift = experiments[0].shift
    run_fits(experiments, args.jobs)
    folder = args.out / "benchmarks" if args.out else args.store.folder / "figures"
    tables = {"table_2": table_2(experiments), "table_3": table_3(experiments)}
    for name, (header, rows) in tables.items():
        write_csv(folder / f"ecg_{args.config}_{name}.csv", header, rows)
    from benchmarks._ecg_figures import draw_embedding, draw_traces

    pictures = {name: f"ecg_{args.config}_{name}.png" for name in ("tsne", "traces")}
    draw_embedding(experiments[0], GENERATORS, folder / pictures["tsne"])
    draw_traces(experiments[0], GENERATORS, folder / pictures["traces"])
    title = CONFIGS[args.config].title
    sizes = f"{len(shift.X_src):,} source windows, {len(shift.X_tgt):,} target windows, "
    sizes += f"{len(shift.Y_test):,} held-out records; draws: {len(repeats)}."
    body = [
        sizes, "### Table 2", table(*tables["table_2"]), "### Table 3", table(*tables["table_3"]),
        f"![Real and synthetic windows]({pictures['tsne']})",
        "**Figure 3.** Held-out and generated windows: t-SNE of the classifier's features, one draw.",
        f"![Traces]({pictures['traces']})",
        "Twelve leads, four of them derived: a held-out window and one of each generator, drawn at random.",
    ]  # fmt: skip
    path = args.out / "benchmarks" / "ecg.md" if args.out else None
    page = Page(path, "12-lead ECG", INTRODUCTION, list(CONFIGS))
    codes = {one.samples(method)["code"] for one in experiments for method in GENERATORS}
    page.put(args.config, title, "\n\n".join(body), stamp(args.command, codes))
