"""``sktgdp sample``: a saved model becomes a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm.auto import tqdm

from sktgdp.cli._fit import LAYOUT, describe
from sktgdp.cli._pair import suggestion
from sktgdp.cli._run import Interrupted, UserError, note
from sktgdp.cli._tables import append_csv, check_output, in_place, is_parquet
from sktgdp.estimators import load
from sktgdp.estimators._rows.labels import LabelRuns
from sktgdp.estimators._sampling.arrow_rows import rows_table
from sktgdp.estimators._sampling.parquet import write_parquet

__all__ = ["Drawing", "Model", "load_model", "sample_table", "show_model"]


class Model(NamedTuple):
    """A fitted generator of tables, the name of its label, and the order of the table's columns.

    Of a model that was saved in Python no order is known: the label comes last.
    """

    generator: Any
    label: str = "label"
    columns: list[str] | None = None


def load_model(path: Path, device: str) -> Model:
    """Load a generator of tables that was saved by ``fit`` or by ``save``."""
    if not path.exists():
        raise UserError(f"{path} does not exist. A model is what `sktgdp fit` writes.")
    generator = load(path, device=device)
    form = getattr(generator, "form_", None)
    if form is None or len(form.event_shape) != 1:
        kind = type(generator).__name__
        raise UserError(f"{path} holds a {kind} that does not draw rows of a table; use it in Python.")
    if (path / LAYOUT).is_file():
        layout = json.loads((path / LAYOUT).read_text(encoding="utf-8"))
        return Model(generator, layout["label"] or "label", layout["columns"])
    return Model(generator)


class Drawing(NamedTuple):
    """The options of ``sample`` that say what is drawn and how."""

    n_rows: int | None
    labels: Sequence[str]
    n_steps: int | None
    solver: str | None
    seed: int
    batch_size: int

    def plan(self, model: Model) -> tuple[int, LabelRuns | None]:
        """Number of rows, and their labels if the user gave any."""
        if not self.labels:
            if self.n_rows is None:
                raise UserError("Say how many rows: -n 1000, or by class: --label NAME=500.")
            return self.n_rows, None
        if model.generator.labels_.kind != "class":
            kind = "several labels at once" if model.generator.labels_.kind == "multilabel" else "no labels"
            raise UserError(f"--label needs a model with classes; this one was fitted with {kind}.")
        classes = model.generator.labels_.classes
        counted = [_class_count(text, classes) for text in self.labels]
        indices, counts = np.array(counted, dtype=np.int64).T
        y = LabelRuns(classes[indices], counts)
        if self.n_rows is not None and len(y) != self.n_rows:
            raise UserError(f"-n {self.n_rows}, but the counts of --label add up to {len(y)}. Leave -n out.")
        if len(y) == 0:
            raise UserError("The counts of --label add up to 0; there is nothing to draw.")
        return len(y), y

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of `sample_batches` and of `write_parquet`."""
        return {
            "batch_size": self.batch_size,
            "random_state": self.seed,
            "n_steps": self.n_steps,
            "solver": self.solver,
        }


def _class_count(text: str, classes: NDArray[Any]) -> tuple[int, int]:
    """Position of the class and number of rows in "NAME=COUNT"."""
    name, equals, count = text.rpartition("=")
    if not equals or not count.strip().isdecimal():
        raise UserError(f"--label {text}: write NAME=COUNT, such as {classes[0]}=500.")
    known = [str(each) for each in classes]
    if name not in known:
        raise UserError(f"--label {text}: the model knows no class {name!r}.{suggestion(name, known)}")
    return known.index(name), int(count)


def sample_table(
    model: Path, output: str, drawing: Drawing, *, device: str, force: bool, quiet: bool
) -> None:
    """Draw rows and write them, part by part; "-" is the standard output."""
    path = None if output == "-" else Path(output)
    parquet = path is not None and is_parquet(path)
    if path is not None:
        check_output(path, force)
    loaded = load_model(model, device)
    n_rows, y = drawing.plan(loaded)
    loaded.generator.set_params(verbose=int(not quiet and sys.stderr.isatty()))
    if path is None:
        _write_csv(sys.stdout, loaded, drawing, n_rows, y)
    elif parquet:
        _write_parquet(path, loaded, drawing, n_rows, y, force)
    else:
        with in_place(path) as partial:
            _write_csv(partial, loaded, drawing, n_rows, y)
    if path is not None and not quiet:
        note(f"{n_rows:,} rows in {path}")


def _write_csv(place: Any, model: Model, drawing: Drawing, n_rows: int, y: Any) -> None:
    parts = model.generator.sample_batches(n_rows, y, **drawing.options)
    with tqdm(total=n_rows, unit=" rows", disable=not model.generator.verbose) as bar:
        for number, (X, labels) in enumerate(parts):
            table = rows_table(model.generator, X, labels, model.label, model.columns)
            append_csv(table.to_pandas(), place, header=number == 0)
            bar.update(len(X))


def _write_parquet(path: Path, model: Model, drawing: Drawing, n_rows: int, y: Any, force: bool) -> None:
    options = drawing.options | {"label_column": model.label, "columns": model.columns, "overwrite": force}
    try:
        write_parquet(model.generator, path, n_rows, y, **options)
    except Interrupted:
        folder = f"{path}.parts"
        raise Interrupted(f"Interrupted; the same command goes on after the rows in {folder}") from None


def show_model(path: Path) -> None:
    """Print what a saved model is."""
    model = load_model(path, "cpu")
    typer.echo(f"{'Model':<9} {path}: {type(model.generator).__name__}")
    typer.echo(describe(model.generator, model.label))
