"""``sktgdp sample``: a saved model becomes a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from tqdm.auto import tqdm

from sktgdp.cli._fit import LAYOUT, describe
from sktgdp.cli._pair import suggestion
from sktgdp.cli._run import UserError, note
from sktgdp.cli._tables import TableWriter, in_place, is_parquet, refuse_existing
from sktgdp.estimators._persistence import load

__all__ = ["Drawing", "Model", "load_model", "sample_table", "show_model"]


class Model(NamedTuple):
    """A fitted generator of tables, the name of its label, and its columns with the label among them."""

    generator: Any
    label: str | None
    columns: list[str]

    def frame(self, X: Any, y: Any) -> pd.DataFrame:
        """Rows and labels as the table that they were fitted on."""
        frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=self.features)
        if y is None:
            return frame
        if np.ndim(y) == 2:
            return frame.assign(**{f"{self.label}_{i}": column for i, column in enumerate(np.transpose(y))})
        return frame.assign(**{str(self.label): y})[self.columns]

    @property
    def features(self) -> list[str]:
        """Names of the columns without the label."""
        return [name for name in self.columns if name != self.label]


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
        return Model(generator, layout["label"], layout["columns"])
    names = [f"x{i}" for i in range(form.event_shape[0])] if form.columns is None else form.columns
    columns = list(map(str, names))
    if generator.prior_ is None:
        return Model(generator, None, columns)
    return Model(generator, "label", [*columns, "label"])


class Drawing(NamedTuple):
    """The options of ``sample`` that say what is drawn and how."""

    n_rows: int | None
    labels: Sequence[str]
    n_steps: int | None
    solver: str | None
    seed: int
    batch_size: int

    def plan(self, model: Model) -> tuple[int, NDArray[Any] | None]:
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
        y = np.repeat(classes[[index for index, _ in counted]], [count for _, count in counted])
        if self.n_rows is not None and len(y) != self.n_rows:
            raise UserError(f"-n {self.n_rows}, but the counts of --label add up to {len(y)}. Leave -n out.")
        if len(y) == 0:
            raise UserError("The counts of --label add up to 0; there is nothing to draw.")
        return len(y), y

    def batches(self, model: Model, n_rows: int, y: NDArray[Any] | None) -> Iterator[pd.DataFrame]:
        """The rows, in parts."""
        options = {"n_steps": self.n_steps, "solver": self.solver}
        options = {name: value for name, value in options.items() if value is not None}
        parts = model.generator.sample_batches(
            n_rows, y, batch_size=self.batch_size, random_state=self.seed, **options
        )
        for X, labels in parts:
            yield model.frame(X, labels)


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
    if path is not None:
        is_parquet(path)
        refuse_existing(path, force)
    loaded = load_model(model, device)
    n_rows, y = drawing.plan(loaded)
    silent = quiet or not sys.stderr.isatty()
    with (
        nullcontext() if path is None else in_place(path) as partial,
        closing(TableWriter(partial)) as writer,
        tqdm(total=n_rows, desc="sample", unit="row", disable=silent) as bar,
    ):
        for frame in drawing.batches(loaded, n_rows, y):
            writer.write(frame)
            bar.update(len(frame))
    if path is not None and not quiet:
        note(f"{n_rows:,} rows in {path}")


def show_model(path: Path) -> None:
    """Print what a saved model is."""
    model = load_model(path, "cpu")
    typer.echo(f"{'Model':<9} {path}: {type(model.generator).__name__}")
    typer.echo(describe(model.generator, model.label))
