"""``sktgdp report``: two tables become a page on how good the second is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sktgdp.cli._pair import Reading, labels_of, named, read_pair
from sktgdp.cli._run import UserError, note
from sktgdp.cli._tables import check_output, in_place
from sktgdp.report import QualityReport

__all__ = ["report_tables"]


def report_tables(
    real: Path,
    synthetic: Path,
    output: Path | None,
    *,
    holdout: Path | None,
    label: str | None,
    reading: Reading,
    seed: int,
    force: bool,
    quiet: bool,
) -> None:
    """Judge synthetic rows: print the figures, and write the page if there is a name for it."""
    if output is not None:
        if output.suffix.lower() not in (".html", ".htm"):
            raise UserError(f"--output {output}: a report is a page; the name must end in .html.")
        check_output(output, force)
    files = {"real": real, "synthetic": synthetic, "holdout": holdout}
    given: dict[str, Any] = {}
    for name in ("holdout", "synthetic"):
        path = files[name]
        if path is not None:
            one, two = read_pair(real, path, reading)
            given["real"], given["y_real"] = labels_of(one, label)
            given[name], given[f"y_{name}"] = labels_of(two, label)
    try:
        report = QualityReport(**given, random_state=seed)
    except (TypeError, ValueError) as error:
        raise UserError(named(str(error), {k: str(v) for k, v in files.items() if v is not None})) from error
    if not quiet:
        typer.echo(str(report))
    if output is not None:
        with in_place(output) as partial:
            report.to_html(partial)
        if not quiet:
            note(f"The page is {output}")
