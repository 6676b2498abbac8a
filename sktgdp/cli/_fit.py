"""``sktgdp fit``: a source table and a target table become a saved model."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer

from sktgdp.cli._pair import Reading, Table, labels_of, named, read_pair
from sktgdp.cli._run import UserError
from sktgdp.cli._tables import refuse_existing
from sktgdp.estimators import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.estimators._training.devices import resolve_device
from sktgdp.exceptions import ColumnError

__all__ = ["LAYOUT", "Training", "describe", "fit_tables"]

SHOWN = 12  # names in a line
LAYOUT = "table.json"  # beside the model's own files: the columns of the table, with the labels among them

# What to do about a `ColumnError` here.
REMEDIES = {
    "missing": "Leave such rows out with --drop-missing, or the column with --drop.",
    "unknown": "Leave these rows out, or the column with --drop.",
    "empty": "Leave it out with --drop.",
}


class Training(NamedTuple):
    """The options of a fit: parameters of the estimator, and where its state is kept."""

    eta_cycle: float | str
    eta_consistency: float | str
    max_steps: int | None
    lr: float | None
    seed: int
    device: str
    checkpoint: Path | None = None

    def generator(self, verbose: bool) -> TGDPGenerator:
        """The estimator that these options ask for."""
        given = {"max_steps": self.max_steps, "lr": self.lr}
        resolve_device(self.device)  # raises now, not when the source is trained
        common: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        common["device"] = self.device
        return TGDPGenerator(
            DiffusionGenerator(verbose=int(verbose), **common),
            domain_classifier=DomainClassifier(**common),
            eta_cycle=self.eta_cycle,
            eta_consistency=self.eta_consistency,
            random_state=self.seed,
            verbose=int(verbose),
            **common,
        )


def fit_tables(
    source: Path,
    target: Path,
    model: Path,
    *,
    label: str | None,
    reading: Reading,
    training: Training,
    force: bool,
    quiet: bool,
) -> None:
    """Fit, save, and say what came of it."""
    _check_place(model, force)
    one, two = read_pair(source, target, reading)
    X_src, y_src = labels_of(one, label)
    X_tgt, y_tgt = labels_of(two, label)
    generator = training.generator(verbose=not quiet and sys.stderr.isatty())
    try:
        generator.fit(X_src, y_src, X_tgt, y_tgt, checkpoint=training.checkpoint)
    except (TypeError, ValueError) as error:
        words = {"X_src": str(source), "X_tgt": str(target)}
        words |= {"y_src": f"{source}, column {label}:", "y_tgt": f"{target}, column {label}:"}
        text = f"{error.problem} {REMEDIES[error.kind]}" if isinstance(error, ColumnError) else str(error)
        raise UserError(named(text, words)) from error
    if not generator.diagnostics_.get("n_drawn", 1):
        raise UserError(
            "The fit has diverged: its model gives no finite row, and is not saved. Lower --lr, or leave out "
            "columns with outlying values (--drop)."
        )
    generator.save(model)
    layout = {"label": label, "columns": list(one.frame.columns)}
    (model / LAYOUT).write_text(json.dumps(layout, ensure_ascii=False), encoding="utf-8")
    if not quiet:
        typer.echo(f"{'Source':<9} {_counted(one, y_src)}")
        typer.echo(f"{'Target':<9} {_counted(two, y_tgt)}")
        typer.echo(describe(generator, label))
        typer.echo(f"{'Model':<9} {model}")


def _check_place(model: Path, force: bool) -> None:
    """See before the fit that the model can be saved after it."""
    if model.suffix.lower() == ".zip":
        raise UserError(f"--model {model}: give the name of a folder, without .zip.")
    refuse_existing(model, force)
    if model.exists() and not (model / "model.json").is_file():
        raise UserError(f"{model} is no model, and is left as it is. Choose another name.")
    folder = next(each for each in model.absolute().parents if each.exists())
    if not os.access(folder, os.W_OK):
        raise UserError(f"--model {model}: the folder {folder} cannot be written to.")


def _counted(table: Table, y: Any) -> str:
    """Rows of a table, by class if there are labels."""
    rows = f"{table.path}: {len(table.frame):,} rows"
    if y is None:
        return rows
    classes, counts = np.unique(y, return_counts=True)
    pairs = list(zip(classes, counts, strict=True))
    more = f", {len(pairs) - SHOWN} more classes" if len(pairs) > SHOWN else ""
    return f"{rows}; " + ", ".join(f"{count:,} of {name}" for name, count in pairs[:SHOWN]) + more


def describe(generator: Any, label: str | None) -> str:
    """What a fitted generator is, in lines: columns, labels, overlap, weights, time."""
    form = generator.form_
    names = [] if form.columns is None else list(map(str, form.columns))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    lines = [("Columns", f"{form.event_shape[0]}" + ": " * bool(names) + ", ".join(names[:SHOWN]) + more)]
    if generator.prior_ is not None:
        lines.append(("Label", _shares(generator, label)))
    if getattr(generator, "guidance_", None) is not None:
        size, overlap = generator.effective_sample_size_, generator.overlap_
        lines.append(("Overlap", f"{overlap:.0%}, effective sample size {size:.1f} source rows"))
        weights = f"eta_cycle {generator.eta_cycle_:.3g}, eta_consistency {generator.eta_consistency_:.3g}"
        chosen = "auto" in (generator.eta_cycle, generator.eta_consistency)
        lines.append(("Weights", weights + (" (chosen from the overlap)" if chosen else "")))
    times = {name: seconds for name, seconds in generator.fit_time_.items() if seconds >= 0.05}
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in times.items())
    lines.append(("Time", f"{sum(generator.fit_time_.values()):.1f} s ({parts})"))
    return "\n".join(f"{name:<9} {text}" for name, text in lines)


def _shares(generator: Any, label: str | None) -> str:
    """Classes, or several labels, and the share of the rows that carry each."""
    shares = generator.prior_.frequencies @ generator.prior_.rows
    pairs = list(zip(generator.labels_.classes, shares, strict=True))
    more = f", {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
    return f"{label or 'label'}: " + ", ".join(f"{name} {share:.0%}" for name, share in pairs[:SHOWN]) + more
