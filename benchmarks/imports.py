"""Time to import the estimators beside that of what they stand on, in fresh interpreters, interleaved."""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

from benchmarks._report import Page, number, stamp, table
from benchmarks._timing import Result, Results

INTRODUCTION = """\
Each figure, and each ratio, is the median over fresh interpreters, which take turns; the time of an
interpreter that imports nothing is part of it. The base is PyTorch, skorch, and the parts of scikit-learn
that a user of skorch imports: pipelines, searches, scalers. Processor time counts all threads; on a machine
that does other work, too, it is the one to compare. matplotlib, pandas and all other optional packages load
on use, unless scikit-learn loads them itself. `import sktgdp` alone loads nothing: the first name that is
used does, here `TGDPGenerator`."""

BASE = "torch, scikit-learn, skorch"
STATEMENTS = {
    "nothing": "pass",
    "torch": "import torch",
    BASE: (
        "import torch, skorch, sklearn.base, sklearn.model_selection, sklearn.pipeline, sklearn.preprocessing"
    ),
    "sktgdp": "from sktgdp import TGDPGenerator",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def seconds(statement: str) -> tuple[float, float]:
    """Wall and processor time of an interpreter that runs one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(args: argparse.Namespace) -> None:
    for statement in STATEMENTS.values():
        seconds(statement)  # so that files lie in memory, compiled
    rounds = [
        {name: seconds(each) for name, each in STATEMENTS.items()}
        for _ in range(args.seeds or (1 if args.quick else 15))
    ]
    rows = []
    for name in STATEMENTS:
        both = [statistics.median(each[name][i] for each in rounds) for i in (0, 1)]
        ratios = [statistics.median(each[name][i] / each[BASE][i] for each in rounds) for i in (0, 1)]
        rows.append([name, *map(number, both), *map(number, ratios)])
    header = ["imported", "wall time, s", "processor time, s", "wall time / base", "processor time / base"]
    path = None if args.out is None else args.out / "benchmarks/imports.md"
    page = Page(path, "Time to import", INTRODUCTION, ["time"])
    page.put("time", "Time", f"{table(header, rows)}\n\n{len(rounds)} rounds.", stamp(args.command))
    if args.out:
        kept = Results(args.command)
        for name in STATEMENTS:
            walls, processor = zip(*(each[name] for each in rounds), strict=True)
            kept.add("import", {name: Result(list(processor), list(walls))})
        kept.write(args.out / "benchmarks" / "imports.json")
