"""Markdown tables of repeated measurements, and pages whose sections state the commands that made them."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sktgdp import __version__

__all__ = ["Page", "folded", "number", "plus_minus", "shown_command", "stamp", "table"]

LIBRARIES = ("torch", "scikit-learn", "numpy")
NOT_SHOWN = ("--out", "--cache")  # where things lie on one machine says nothing about the result


def number(value: float, digits: int = 3) -> str:
    """A number to some significant digits, without an exponent where it can be read without."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞"
    if value == 0.0:
        return "0"
    if abs(value) < 10**9 and (abs(value) >= 10**digits or float(value).is_integer()):
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}" if decimals <= 6 else f"{value:.{digits}g}"


def plus_minus(values: ArrayLike, *, error: str = "sd", digits: int = 3) -> str:
    """Mean and spread of repetitions: "0.0052 ± 0.0007".

    Parameters
    ----------
    values : array-like of shape (n_repetitions,)
        NaN counts as not measured.
    error : {"sd", "se"}
        Standard deviation of the repetitions, or standard error of their mean.
    digits : int
        Significant digits of a single value.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if len(array) == 0:
        return "–"
    mean = float(array.mean())
    if len(array) == 1:
        return number(mean, digits)
    spread = float(array.std(ddof=1)) / (math.sqrt(len(array)) if error == "se" else 1.0)
    if not math.isfinite(spread) or spread <= 1e-9 * max(1.0, abs(mean)):
        return number(mean, digits)
    decimals = 1 - math.floor(math.log10(spread))
    if mean != 0.0:  # four digits of the mean will do
        decimals = min(decimals, 3 - math.floor(math.log10(max(abs(mean), spread))))
    decimals = min(6, max(0, decimals))
    return f"{mean:,.{decimals}f} ± {spread:,.{decimals}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    for row in body:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells, the header {len(header)}: {row}")
    align = [":--", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(header), align, *body])


def folded(summary: str, body: str) -> str:
    """Text that a reader opens by a click."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def shown_command(arguments: Sequence[str]) -> str:
    """The command as typed, less the options that name folders."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
            continue
        if argument in NOT_SHOWN:
            skip = True
        elif not argument.startswith(tuple(f"{option}=" for option in NOT_SHOWN)):
            kept.append(argument)
    return " ".join(["python -m benchmarks", *kept])


def stamp(command: str, codes: Iterable[str] = ()) -> str:
    """Where a section comes from: command, versions of the libraries, versions of the code."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    code = f"; code {', '.join(sorted(set(codes)))}" if codes else ""
    return (
        f"<sub>Made by `{command}` with sktgdp {__version__}, Python {platform.python_version()}, "
        f"{libraries}{code}.</sub>"
    )


@dataclass
class Page:
    """A Markdown file of named sections, which are replaced one by one.

    Parameters
    ----------
    path : Path or None
        None only prints.
    title, introduction : str
    order : sequence of str
        Names of the sections as they follow each other.
    """

    path: Path | None
    title: str
    introduction: str
    order: Sequence[str]
    sections: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            pattern = r"<!-- section (\S+) -->\n(.*?)\n<!-- end \1 -->"
            text = self.path.read_text(encoding="utf-8")
            self.sections = dict(re.findall(pattern, text, re.DOTALL))

    def put(self, name: str, heading: str, body: str, stamped: str) -> None:
        """Replace a section, print it, and write the page at once."""
        if name not in self.order:
            raise ValueError(f"no section {name!r} on this page; it has {', '.join(self.order)}")
        self.sections[name] = f"## {heading}\n\n{body}\n\n{stamped}"
        print(f"\n{self.sections[name]}\n", flush=True)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """The whole page."""
        parts = [f"# {self.title}", self.introduction]
        for name in self.order:
            if name in self.sections:
                parts.append(f"<!-- section {name} -->\n{self.sections[name]}\n<!-- end {name} -->")
        return "\n\n".join(parts) + "\n"
