"""How many small errors put into the mathematics do the tests notice?

cosmic-ray lists every mutant of the modules below; a random sample of these is run, each in a copy of the
repository, against the tests of its module. Left out are mutants that no test has to notice (bits and shifts
in place of arithmetic, which raise at once; operators inside annotations, which nobody evaluates).
"""

from __future__ import annotations

import argparse
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks._report import Page, folded, stamp, table

ROOT = Path(__file__).resolve().parents[1]
INTRODUCTION = """\
A sample of the mutants of the process, the losses, the solvers and the metrics: small changes of the code,
each of which some test should notice. Survivors are listed; some change nothing that can be observed."""
TESTS = {
    "process": "tests/test_losses.py tests/test_oracles.py tests/test_solvers.py tests/test_likelihood.py",
    "losses": "tests/test_losses.py tests/test_guidance.py tests/estimators/test_objectives.py",
    "solvers": "tests/test_solvers.py tests/test_oracles.py",
    "_privacy": "tests/metrics/test_neighbours.py tests/metrics",
    "_distances": "tests/metrics/test_two_sample.py tests/metrics",
}
NOT_TRIED = re.compile(r"Bit|Shift|Invert|_Mod$|UAdd|(Eq|Lt|Gt|LtE|GtE|NotEq)_Is|Decorator")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".cache", "_build")
CONFIG = """\
[cosmic-ray]
module-path = [{modules}]
timeout = 300.0
excluded-modules = ["sktgdp/metrics/__init__.py"]
test-command = "{command}"
[cosmic-ray.distributor]
name = "local"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--sample", type=int, default=120, help="mutants to try (default: 120)")


def _modules(folder: Path) -> list[str]:
    core = [f"sktgdp/{name}.py" for name in ("process", "losses", "solvers")]
    metrics = sorted(p.relative_to(folder).as_posix() for p in (folder / "sktgdp/metrics").glob("_[a-z]*.py"))
    return core + metrics


def _cosmic_ray(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _eligible(folder: Path, module: str) -> list[str]:
    """Start a session for one module; the mutants worth trying."""
    name = Path(module).stem
    tests = TESTS.get(name, f"tests/metrics/test{name}.py tests/metrics")
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider -p no:randomly {tests}"
    (folder / f"{name}.toml").write_text(CONFIG.format(modules=f"'{module}'", command=command))
    _cosmic_ray(folder, "init", f"{name}.toml", f"{name}.sqlite")
    with sqlite3.connect(folder / f"{name}.sqlite") as session:
        rows = session.execute("SELECT job_id, operator_name FROM mutation_specs").fetchall()
    return sorted(job for job, operator in rows if not NOT_TRIED.search(operator))


def _keep(folder: Path, name: str, jobs: set[str]) -> None:
    with sqlite3.connect(folder / f"{name}.sqlite") as session:
        for relation in ("mutation_specs", "work_items"):
            marks = ",".join("?" * len(jobs))
            session.execute(f"DELETE FROM {relation} WHERE job_id NOT IN ({marks})", sorted(jobs))


def _outcomes(folder: Path, name: str) -> list[tuple[str, str]]:
    """Outcome and change of every mutant that was tried."""
    query = "SELECT test_outcome, diff FROM work_results"
    with sqlite3.connect(folder / f"{name}.sqlite") as session:
        return [(str(outcome).lower(), diff or "") for outcome, diff in session.execute(query)]


def _copy(folder: Path) -> None:
    for name in ("sktgdp", "tests", "benchmarks", "docs", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for file in ("pyproject.toml", "README.md", "Makefile", "constraints.txt", "CHANGELOG.md"):
        shutil.copy(ROOT / file, folder)


def run(args: argparse.Namespace) -> None:
    """Try the sample and write the page."""
    seed, n_tried = args.seeds or 0, 3 if args.quick else args.sample
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _copy(folder)
        modules = _modules(folder)
        every = [(module, job) for module in modules for job in _eligible(folder, module)]
        picked = np.random.default_rng(seed).choice(len(every), min(n_tried, len(every)), replace=False)
        chosen: dict[str, set[str]] = {module: set() for module in modules}
        for at in picked:
            chosen[every[at][0]].add(every[at][1])
        tried: list[tuple[str, str, str]] = []
        for module, jobs in chosen.items():
            name = Path(module).stem
            if jobs:
                _keep(folder, name, jobs)
                _cosmic_ray(folder, "exec", f"{name}.toml", f"{name}.sqlite")
                tried += [(module, *row) for row in _outcomes(folder, name)]
                print(f"{module}: {len(jobs)} tried", flush=True)
    _write(args, tried, Counter(module for module, _ in every))


def _write(args: argparse.Namespace, tried: list[tuple[str, str, str]], n_all: Counter[str]) -> None:
    rows = []
    for module in n_all:
        outcomes = [outcome for name, outcome, _ in tried if name == module]
        killed = sum("survived" not in outcome for outcome in outcomes)
        rows.append([f"`{module}`", f"{n_all[module]:,}", f"{len(outcomes)}", f"{killed}"])
    killed = sum("survived" not in outcome for _, outcome, _ in tried)
    share = f"**{killed}** ({killed / len(tried):.0%})"
    rows.append(["**all**", f"{n_all.total():,}", f"{len(tried)}", share])
    survivors = "\n".join(diff for _, outcome, diff in tried if "survived" in outcome)
    body = table(["module", "mutants", "tried", "noticed"], rows)
    body += "\n\n" + folded("Survivors", f"```diff\n{survivors}\n```")
    path = args.out / "benchmarks" / "mutation.md" if args.out else None
    Page(path, "Mutants", INTRODUCTION, ("sample",)).put("sample", "Sample", body, stamp(args.command))
