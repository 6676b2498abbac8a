"""The adult census: time, memory and quality beside CTGAN, TVAE and ForestDiffusion."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from benchmarks._cache import ROOT, code_version
from benchmarks._data import data_dir
from benchmarks._report import Page, number, stamp, table
from benchmarks._timing import Result, Results
from benchmarks._trials import FIT_CODE
from sktgdp.metrics import two_sample_auc

COLUMNS = [
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week",
    "native_country", "income",
]  # fmt: skip
SCRIPT = Path(__file__).with_name("_peer.py")
JUDGED = 5000  # rows of either kind that a classifier is to tell apart
QUALITY = ("trees", "boosting", "utility")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
INTRODUCTION = """\
The adult census: 15 columns, of which six are integers and nine categories, all of them modelled together,
the income too. Each generator is fitted on the 32,561 training rows at its defaults and draws as many. Ours
is `DiffusionGenerator().fit(frame)`. Each runs in a process of its own, on one thread, in a virtual
environment of its own where it is not ours; imports are outside the times, and peak memory is that of the
whole process. Times are processor seconds.

- **Two-sample AUC**: how well a classifier tells 5,000 synthetic rows from 5,000 of the test rows, which no
  generator saw: 0.5 is not at all, 1 without error. Once extremely randomised trees on one-hot rows
  (`sktgdp.metrics.two_sample_auc`), once gradient boosting on the columns as they are, three folds each.
- **Trained on synthetic rows**: ROC AUC on the test rows of a gradient boosting classifier of the income.

A generator that takes longer than the time it is given is ended; the table says after how long. SDV and CTGAN
are source-available under the Business Source License (BUSL), which restricts their use; nothing here imports
or contains them."""


@dataclass(frozen=True)
class Contender:
    """A generator with its settings.

    Parameters
    ----------
    name : str
        For the table.
    method : str
        For the script that runs it.
    options : dict
        What is not left at its default.
    """

    name: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)


CONTENDERS = (
    Contender("sktgdp", "sktgdp"),
    Contender("CTGAN", "CTGAN"),
    Contender("TVAE", "TVAE"),
    Contender("ForestDiffusion", "ForestDiffusion"),
)


# Quality --------------------------------------------------------------------------------------------
def read_adult(name: str) -> pd.DataFrame:
    """Rows of the census: "data" for those to fit on, "test" for the others."""
    path = data_dir() / "adult" / f"adult.{name}"
    options: dict[str, Any] = {"skipinitialspace": True, "keep_default_na": False, "comment": "|"}
    frame = pd.read_csv(path, names=COLUMNS, **options)
    frame["income"] = frame["income"].str.rstrip(".")
    return frame


def words_of(frame: pd.DataFrame) -> list[str]:
    """Names of the columns of words."""
    return [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name].dtype)]


def coded(frame: pd.DataFrame, encoder: OrdinalEncoder, words: list[str]) -> pd.DataFrame:
    """Frame with numbers for words."""
    return frame.assign(**dict(zip(words, encoder.transform(frame[words]).T, strict=True)))


def quality(drawn: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """Both two-sample AUC, and what a classifier that was trained on the drawn rows is worth."""
    words, n = words_of(train), min(JUDGED, len(test), len(drawn))
    one_hot = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    common = make_column_transformer((one_hot, words), remainder=StandardScaler()).fit(train)
    real, synthetic = (common.transform(frame[:n]) for frame in (test, drawn))
    ordinal = OrdinalEncoder().fit(pd.concat([train, test])[words])
    real_codes, synthetic_codes, all_codes = (
        coded(frame, ordinal, words) for frame in (test[:n], drawn[:n], drawn)
    )
    is_word: NDArray[np.bool_] = np.isin(train.columns, words)
    boosting = partial(HistGradientBoostingClassifier, random_state=0)
    judge = boosting(categorical_features=is_word)
    inputs = train.columns != "income"
    model = boosting(categorical_features=is_word[inputs])
    model.fit(all_codes.loc[:, inputs], all_codes["income"])
    scores = model.predict_proba(coded(test, ordinal, words).loc[:, inputs])[:, 1]
    options: dict[str, Any] = {"cv": 3, "random_state": 0}
    return {
        "trees": two_sample_auc(real, synthetic, **options),
        "boosting": two_sample_auc(real_codes, synthetic_codes, classifier=judge, **options),
        "utility": float(roc_auc_score(test["income"] == ">50K", scores)),
    }


# Runs -----------------------------------------------------------------------------------------------
def run_contender(contender: Contender, args: argparse.Namespace, rows: Path) -> Path:
    """Folder of a contender's run, which is made unless it is there."""
    code = code_version(FIT_CODE) if contender.method == "sktgdp" else ""
    words = [contender.method, *(f"{k}={v}" for k, v in contender.options.items()), code]
    folder: Path = args.cache / "peers" / "_".join(filter(None, [*words, "quick" if args.quick else ""]))
    record = folder / "record.json"
    if record.exists() and not args.fresh and "outcome" in json.loads(record.read_text(encoding="utf-8")):
        return folder
    python = dict(args.python).get(contender.method, sys.executable)
    command = [python, str(SCRIPT), contender.method, str(rows), str(folder)]
    command += ["--minutes", str(args.minutes), "--set"]
    command += [f"{name}={value}" for name, value in contender.options.items()]
    ours = {"PYTHONPATH": str(ROOT)} if contender.method == "sktgdp" else {}
    environment = os.environ | dict.fromkeys(THREADS, "1") | ours
    status = subprocess.run(command, env=environment, check=False).returncode
    if status not in (0, -signal.SIGXCPU, -signal.SIGKILL):
        raise RuntimeError(f"{contender.name} failed with status {status}: {' '.join(command)}")
    known = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps(known | {"outcome": "ended" if status else "finished"}), encoding="utf-8")
    return folder


def with_quality(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Any]:
    """What a run's folder holds, and the quality of the rows in it."""
    path = folder / "record.json"
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if record["outcome"] == "finished" and "trees" not in record:
        drawn = pd.read_csv(folder / "rows.csv", keep_default_na=False)
        record |= quality(drawn, train, test)
        path.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


# Tables ---------------------------------------------------------------------------------------------
HEADER = ("", "fit, s", "sample, s", "over ours", "peak, MiB", "AUC, trees", "AUC, boosting",
          "trained on synthetic")  # fmt: skip


def total(record: dict[str, Any]) -> float:
    """Processor seconds of fit and sample; infinite if it was ended."""
    if record["outcome"] != "finished":
        return float("inf")
    return float(record["fit_processor"] + record["sample_processor"])


def expected_hours(record: dict[str, Any]) -> float | None:
    """Processor hours of a whole fit that was ended, by the share of its boosting rounds that were done."""
    if not record.get("rounds_done"):
        return None
    rounds = record["rounds_processor"] / record["rounds_done"] * record["rounds_needed"]
    return float((rounds + record["levels"] * record["rows_processor"]) / 3600)


def result_of(record: dict[str, Any]) -> Result:
    """Seconds of fit and sample together, with all that the table states; what was ended has none."""
    facts = {k: record[k] for k in ("versions", "outcome", "minutes", *QUALITY) if k in record}
    facts["expected_hours"] = expected_hours(record)
    if record["outcome"] != "finished":
        return Result(peak_mib=record["peak_mib"], facts=facts)
    wall = record["fit_wall"] + record["sample_wall"]
    return Result([total(record)], [wall], record["peak_mib"], facts)


def line(name: str, record: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """A line of the table."""
    if record["outcome"] == "finished":
        seconds = [number(record[f"{phase}_processor"]) for phase in ("fit", "sample")]
        values = [f"{record[k]:.3f}" for k in QUALITY]
        return [name, *seconds, f"{total(record) / total(ours):.1f}", number(record["peak_mib"]), *values]
    hours = expected_hours(record)
    fit = f"not done in {number(60 * record['minutes'])}"
    least = 60 * record["minutes"] if hours is None else 3600 * hours
    times = least / total(ours)
    ratio = f"> {times:,.0f}" if hours is None else f"about {float(f'{times:.1e}'):,.0f}"
    return [name, fit, "", ratio, number(record["peak_mib"]), "", "", ""]


def notes(records: dict[str, dict[str, Any]]) -> str:
    """What the table cannot hold: versions, licences, runs that were ended."""
    lines = []
    for name, record in records.items():
        stated = [f"{k} {about['version']}" for k, about in record["versions"].items()]
        lines += [f"- {name}: {', '.join(stated)}."] if stated else []
        hours = expected_hours(record) if record["outcome"] == "ended" else None
        if hours is not None:
            lines.append(
                f"- {name} was ended after {record['rounds_done']:,} of {record['rounds_needed']:,} boosting "
                f"rounds; at that rate its fit takes {number(hours, 2)} hours of one core."
            )
    return "\n".join(lines)


def named_path(text: str) -> tuple[str, str]:
    """METHOD=INTERPRETER."""
    name, _, path = text.partition("=")
    if not path or name not in {c.method for c in CONTENDERS}:
        raise argparse.ArgumentTypeError(f"{text!r} is not METHOD=INTERPRETER")
    return name, path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--python", type=named_path, action="append", default=[], metavar="METHOD=INTERPRETER",
        help="Python in which a method is installed; only ours and the methods named here run",
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=60.0, help="processor time for each (default: 60)")


def contenders(args: argparse.Namespace) -> Sequence[Contender]:
    """Ours, and those that have an interpreter."""
    return [c for c in CONTENDERS if c.method == "sktgdp" or c.method in dict(args.python)]


def run(args: argparse.Namespace) -> None:
    """Run what has not run yet, and write the page."""
    train, test = read_adult("data"), read_adult("test")
    chosen = contenders(args)
    if args.quick:
        train, test = train[:300], test[:200]
        chosen = [Contender("sktgdp", "sktgdp", {"max_steps": 5})]
    rows = args.cache / "peers" / ("quick.csv" if args.quick else "adult.csv")
    rows.parent.mkdir(parents=True, exist_ok=True)
    train.to_csv(rows, index=False)
    path = args.out / "benchmarks" / "peers.md" if args.out else None
    page = Page(path, "Beside other generators", INTRODUCTION, ["adult"])
    command = re.sub(r"(--python \w+=)\S+", r"\1INTERPRETER", args.command)  # no paths of one machine
    kept = Results(command)
    real = args.store.record(
        {"quality": "training rows", "rows": len(train)},
        code_version(("sktgdp/metrics/*.py",)),
        lambda: quality(train.sample(frac=1, random_state=0), train, test),
    )
    floor = ["training rows themselves", *[""] * 4, *[f"{real[k]:.3f}" for k in QUALITY]]
    records: dict[str, dict[str, Any]] = {}
    for contender in chosen:
        records[contender.name] = with_quality(run_contender(contender, args, rows), train, test)
        kept.add("adult", {contender.name: result_of(records[contender.name])})
        lines = [line(name, found, records["sktgdp"]) for name, found in records.items()]
        body = f"{table(HEADER, [*lines, floor])}\n\n{notes(records)}"
        page.put("adult", f"Adult census, {len(train):,} rows", body, stamp(command))
    if args.out:
        kept.write(args.out / "benchmarks" / "peers.json")
