"""A report as text for a terminal."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from sktgdp.report._figures import Figure, Section

__all__ = ["number", "report_text"]

MARKS = {"good": "good", "fair": "fair", "concern": "CONCERN", "unknown": "–"}
MAX_COLUMNS = 15
NAME_WIDTH = 56
LINE_WIDTH = 100


def number(value: float) -> str:
    """Three significant digits, without an exponent where none is needed."""
    if value != 0.0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _width(text: str) -> int:
    """Cells that a terminal gives to a text: two for wide characters, none for combining ones."""
    cells = 0
    for character in text:
        if not unicodedata.combining(character):
            cells += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return cells


def _cell(text: str, width: int) -> str:
    """A text cut or filled to a width; control characters cannot move the cursor."""
    clean = "".join(c if c.isprintable() else "�" for c in text)
    while _width(clean) > width:
        clean = clean[:-2] + "…"
    return clean + " " * (width - _width(clean))


def _row(figure: Figure) -> str:
    numbers = f"{number(figure.value):>10}{number(figure.reference):>10}"
    return f"  {_cell(figure.name, NAME_WIDTH)}{numbers}  {MARKS[figure.verdict]:<9}{figure.words}"


def _head(title: str) -> str:
    return f"{_cell(title, NAME_WIDTH + 2)}{'synthetic':>10}{'real':>10}"


def _notes(notes: Sequence[str]) -> list[str]:
    return [
        line
        for note in notes
        for line in textwrap.wrap(note, LINE_WIDTH, initial_indent="  ", subsequent_indent="    ")
    ]


def report_text(
    title: str, lead: str, sections: Sequence[Section], columns: Sequence[Figure], notes: Sequence[str]
) -> str:
    """The whole report, one figure a line."""
    heading = _cell(title, min(_width(title), LINE_WIDTH))
    lines = [heading, "=" * len(heading), *textwrap.wrap(lead, LINE_WIDTH)]
    for section in sections:
        lines += ["", _head(f"{section.name}: {section.question}")]
        lines += [_row(figure) for figure in section.figures]
        lines += _notes(section.notes)
    shown = columns[:MAX_COLUMNS]
    lines += ["", _head("Columns: distance of each by itself, 0 to 1")]
    lines += [_row(figure) for figure in shown]
    if len(shown) < len(columns):
        lines.append(f"  and {len(columns) - len(shown)} columns with smaller distances")
    if notes:
        lines += ["", "Notes", *_notes(notes)]
    return "\n".join(lines)
