"""Compare two files of times: which things became slower or faster, beyond the noise of both runs."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from benchmarks._report import number, table
from benchmarks._timing import Result, Results, noise

FLOOR = 0.03  # two runs of the same code differ by this much for reasons that no single run shows
HEADER = ("", "old, s", "new, s", "new over old", "noise", "")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this command."""
    parser.add_argument("old", type=Path, help="a file of JSON that a benchmark wrote")
    parser.add_argument("new", type=Path)


def verdict(old: Result, new: Result) -> tuple[float, float, str]:
    """Ratio of the medians, the change that noise explains (two standard errors), and a word."""
    ratio = new.seconds / old.seconds
    explained = math.exp(2 * math.hypot(noise(old), noise(new), FLOOR))
    word = "slower" if ratio > explained else "faster" if ratio < 1 / explained else ""
    return ratio, explained, word


def compared(old: Results, new: Results) -> str:
    """The table of ratios, and what only one file has."""
    rows = []
    for name in (name for name in old.results if name in new.results):
        before, after = old.results[name], new.results[name]
        if not before.processor or not after.processor:  # a file holds other figures than times, too
            continue
        ratio, explained, word = verdict(before, after)
        seconds = [number(before.seconds), number(after.seconds)]
        rows.append([name, *seconds, f"{ratio:.2f}", f"± {100 * (explained - 1):.0f} %", word])
    lines = [table(HEADER, rows)]
    for which, one, other in (("old", old, new), ("new", new, old)):
        only = [name for name in one.results if name not in other.results]
        lines += [f"Only in the {which} file: {', '.join(only)}."] if only else []
    differ = [key for key in old.machine | new.machine if old.machine.get(key) != new.machine.get(key)]
    lines += [f"{key}: {old.machine.get(key)} before, {new.machine.get(key)} now." for key in differ]
    return "\n\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Print the comparison."""
    print(compared(Results.read(args.old), Results.read(args.new)))
