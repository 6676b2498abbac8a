"""Times of several things side by side, kept as JSON and compared between two runs.

On a machine that does other work, wall times tell about that work. So everything that is to be compared runs
in turn, round after round, in one process; processor time counts; and a ratio is the median over the rounds
of the ratio within a round.
"""

from __future__ import annotations

import gc
import json
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks._report import LIBRARIES, number
from sktgdp import __version__

__all__ = ["Result", "Results", "in_turn", "median_ratio", "noise", "peak_mib", "spread", "timed"]


@dataclass
class Result:
    """Times of one thing, a number for each round.

    Parameters
    ----------
    processor, wall : list of float
        Seconds.
    peak_mib : float or None
        Most memory that the process held so far, where it was measured in a process of its own.
    facts : dict
        Anything else that is worth keeping, such as a measure of quality.
    """

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peak_mib: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Median processor time."""
        return statistics.median(self.processor)


def timed(result: Result, function: Callable[[], Any]) -> Any:
    """Add a round to a result; what the function returned."""
    wall, processor = time.perf_counter(), time.process_time()
    returned = function()
    result.processor.append(time.process_time() - processor)
    result.wall.append(time.perf_counter() - wall)
    return returned


def in_turn(
    cases: Mapping[str, Callable[[], Any]], rounds: int = 5, *, repeats: int = 1, warm_up: bool = True
) -> dict[str, Result]:
    """Time some functions in turn: each once per round, in an order that turns round with the rounds.

    Parameters
    ----------
    cases : mapping of str to callable
    rounds : int
    repeats : int
        Calls per round; the seconds are those of one call.
    warm_up : bool
        Call each once before, without a clock.
    """
    results = {name: Result() for name in cases}
    if warm_up:
        for function in cases.values():
            function()
    for turn in range(rounds):
        for name, function in list(cases.items())[:: -1 if turn % 2 else 1]:
            gc.collect()
            timed(results[name], lambda function=function: [function() for _ in range(repeats)])
    for result in results.values():
        result.processor = [seconds / repeats for seconds in result.processor]
        result.wall = [seconds / repeats for seconds in result.wall]
    return results


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def median_ratio(of: Result, to: Result) -> float:
    """Median over the rounds of the ratio of processor times: how many times as long ``of`` takes."""
    return statistics.median(a / b for a, b in zip(of.processor, to.processor, strict=True))


def spread(result: Result) -> str:
    """Median processor time with its quartiles, for a table: "1.20 (1.15 to 1.31)"."""
    low, middle, high = (number(value) for value in quartiles(result.processor))
    return middle if len(result.processor) == 1 else f"{middle} ({low} to {high})"


def peak_mib() -> float:
    """Most memory that this process ever held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def machine() -> dict[str, Any]:
    """What the times depend on: processor, memory, versions; nothing that names the machine."""
    facts: dict[str, Any] = {"system": platform.system(), "architecture": platform.machine()}
    described = Path("/proc/cpuinfo")
    if described.exists():
        lines = described.read_text(encoding="utf-8").splitlines()
        facts["processor"] = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
    facts |= {"cores": os.cpu_count(), "threads": torch.get_num_threads()}
    if hasattr(os, "sysconf"):
        facts["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    facts |= {"python": platform.python_version(), "sktgdp": __version__}
    return facts | {name: version(name) for name in LIBRARIES}


@dataclass
class Results:
    """Results by name, with the machine and the command that made them; a file of JSON."""

    command: str
    machine: dict[str, Any] = field(default_factory=machine)
    results: dict[str, Result] = field(default_factory=dict)

    def add(self, group: str, results: Mapping[str, Result]) -> None:
        """Take over results under "group: name"."""
        self.results |= {f"{group}: {name}": result for name, result in results.items()}

    def write(self, path: Path) -> None:
        """Write all rounds of all results."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` wrote."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            results = {name: Result(**values) for name, values in stored["results"].items()}
            return cls(stored["command"], stored["machine"], results)
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no results of `python -m benchmarks`: {error!r}.") from error


def noise(result: Result) -> float:
    """How uncertain the logarithm of the median is: its standard error, from the quartiles.

    For a normal law the quartiles lie 1.35 standard deviations apart, and the error of a median of n is
    1.25 standard deviations over the root of n.
    """
    low, _, high = quartiles([math.log(max(value, 1e-9)) for value in result.processor])
    return 1.25 * (high - low) / 1.35 / math.sqrt(len(result.processor))
