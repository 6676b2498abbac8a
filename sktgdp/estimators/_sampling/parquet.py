"""Samples in a Parquet file: any number of rows in the memory of one batch, and no row lost or drawn twice.

Every batch becomes a file of its own in the folder ``<path>.parts``, moved into place whole, beside a note
of what was asked for. At the end the parts are copied into the file, small ones several to a row group: what
Parquet notes of every row group is held in memory until its file is closed. A process that was killed or a
disk that was full leaves the folder; the same call goes on after the last whole part.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sktgdp._extras import require
from sktgdp.estimators._rows.labels import LabelRuns
from sktgdp.estimators._state.memory import draw_seed

__all__ = ["rows_table", "write_parquet"]

# Numbers in a batch where the user names no size: 16 MiB in float64.
BATCH_NUMBERS = 2**21
GROUP_BYTES = 2**22  # a row group ends with the part that fills it
# Rows that are drawn again to see that it is the same generator that goes on.
CHECKED = 8


def write_parquet(
    generator: Any,
    path: str | os.PathLike[str],
    n_samples: int,
    y: Any,
    *,
    batch_size: int | None,
    label_column: str,
    random_state: Any,
    columns: Sequence[str] | None = None,
    overwrite: bool = False,
    **solving: Any,
) -> Path:
    """Do what `SamplingMixin.sample_to_parquet` says; ``columns`` gives the order of the file's columns."""
    _parquet()
    parts = Parts(Path(path))
    size = max(1, BATCH_NUMBERS // math.prod(generator.latent_shape_)) if batch_size is None else batch_size
    asked = {
        "n_samples": n_samples,
        "batch_size": size,
        "labels": None if y is None else joblib.hash(y if isinstance(y, LabelRuns) else np.asarray(y)),
        "label_column": label_column,
        "solver": solving["solver"] or generator.solver,
        "n_steps": solving["n_steps"] or generator.n_steps,
    }
    given = generator.random_state if random_state is None else random_state
    make = functools.partial(rows_table, generator, label_column=label_column, columns=columns)
    with parts.locked(overwrite), _saying_how_to_go_on(parts):
        solving["random_state"] = parts.claim(asked, None if given is None else draw_seed(given))
        _write_parts(generator, parts, n_samples, y, size, make, solving)
        parts.join(-(-n_samples // size))
    parts.remove()
    return parts.path


def _write_parts(
    generator: Any, parts: Parts, n_samples: int, y: Any, size: int, make: Callable[..., Any], drawing: Any
) -> None:
    """Write the batches that are not there yet."""
    done = parts.count()
    if done:
        X, labels = next(generator._batches(n_samples, y, min(CHECKED, size, n_samples), **drawing))
        parts.check_first(make(X, labels))
    first = min(done * size, n_samples)
    batches = generator._batches(n_samples, y, size, first=first, **drawing)
    with tqdm(total=n_samples, initial=first, unit=" rows", disable=not generator.verbose) as bar:
        for index, (X, labels) in enumerate(batches, start=done):
            parts.add(index, make(X, labels))
            bar.update(len(X))


def _parquet() -> Any:
    return require("pyarrow.parquet", "sample_to_parquet")


def _arrow() -> Any:
    return require("pyarrow", "sample_to_parquet")


@contextlib.contextmanager
def _saying_how_to_go_on(parts: Parts) -> Iterator[None]:
    """Say of an error of the disk what is there and what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror or error}. {parts.count()} parts are kept in {parts.folder}; the same call "
            "goes on after them once there is room",
        ) from error


class Parts:
    """The folder of finished batches beside a file that is being written.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name(f"{path.name}.parts")
        self.note = self.folder / "asked_for.json"

    @contextlib.contextmanager
    def locked(self, overwrite: bool = False) -> Iterator[None]:
        """Keep other processes away from the folder."""
        if self.path.exists() and not overwrite and not self.note.exists():
            raise FileExistsError(f"{self.path} is there already. Delete it, or name another file.")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.folder / "lock", timeout=0):
                yield
        except filelock.Timeout as error:
            raise RuntimeError(f"Another process is writing {self.path}; wait for it to end.") from error

    def claim(self, asked: dict[str, Any], seed: int | None) -> int:
        """Note what is asked for, or check it against the note of an earlier call; the seed."""
        if not self.note.exists():
            asked = {**asked, "seed": draw_seed(None) if seed is None else seed}
            self._replace(self.note, lambda file: file.write_text(json.dumps(asked), encoding="utf-8"))
            return int(asked["seed"])
        noted = json.loads(self.note.read_text(encoding="utf-8"))
        asked = {**asked, "seed": noted["seed"] if seed is None else seed}
        other = [f"{k}={v!r} (was {noted.get(k)!r})" for k, v in asked.items() if v != noted.get(k)]
        if other:
            raise ValueError(
                f"{self.folder} holds the parts of another call: {', '.join(other)}. Repeat that call to "
                "complete its file, or delete the folder to start anew."
            )
        return int(noted["seed"])

    def check_first(self, table: Any) -> None:
        """Refuse to go on with a generator that draws other rows."""
        found = _parquet().ParquetFile(self._part(0)).read().slice(0, len(table))
        if not found.equals(table):
            raise ValueError(
                f"{self.folder} holds the rows of another generator. Repeat the call on that one to complete "
                "its file, or delete the folder to start anew."
            )

    def count(self) -> int:
        """Number of whole parts, from the first on."""
        return next(index for index in itertools.count() if not self._part(index).exists())

    def add(self, index: int, table: Any) -> None:
        """Write a part."""
        options = {"use_dictionary": _of_few_values(table.schema)}
        self._replace(self._part(index), lambda file: _parquet().write_table(table, file, **options))

    def join(self, n_parts: int) -> None:
        """Copy all parts into the file."""
        self._replace(self.path, lambda file: self._copy(n_parts, file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    def _part(self, index: int) -> Path:
        return self.folder / f"part_{index:06d}.parquet"

    def _copy(self, n_parts: int, file: Path) -> None:
        parquet = _parquet()
        schema = parquet.ParquetFile(self._part(0)).schema_arrow
        with parquet.ParquetWriter(file, schema, use_dictionary=_of_few_values(schema)) as writer:
            for group in self._groups(n_parts):
                writer.write_table(group)
                _arrow().default_memory_pool().release_unused()  # it would grow by and by

    def _groups(self, n_parts: int) -> Iterator[Any]:
        """Tables of one row group each."""
        gathered: list[Any] = []
        for index in range(n_parts):
            # without threads: each would keep memory of its own
            gathered.append(_parquet().ParquetFile(self._part(index)).read(use_threads=False))
            if index == n_parts - 1 or sum(part.nbytes for part in gathered) >= GROUP_BYTES:
                yield _arrow().concat_tables(gathered)
                gathered = []

    def _replace(self, path: Path, write: Any) -> None:
        """Write a file under another name and move it into place once it is on the disk."""
        unfinished = self.folder / "unfinished"
        try:
            write(unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _of_few_values(schema: Any) -> list[str]:
    """Columns that a dictionary shortens: those that are no fractions, nor series of them."""
    types = _arrow().types
    fractions = (types.is_floating, types.is_fixed_size_list)
    return [field.name for field in schema if not any(check(field.type) for check in fractions)]


def rows_table(
    generator: Any,
    X: Any,
    y: NDArray[Any] | None,
    label_column: str,
    columns: Sequence[str] | None = None,
) -> Any:
    """Rows and labels as an Arrow table, the labels last unless ``columns`` gives another order."""
    arrow = _arrow()
    if hasattr(X, "columns"):
        table = arrow.Table.from_pandas(X, preserve_index=False)
    else:
        table = arrow.table(_columns(X, list(getattr(generator, "feature_names_in_", ()))))
    if y is None:
        return table
    labels = {label_column: y} if y.ndim == 1 else {f"{label_column}_{i}": y[:, i] for i in range(y.shape[1])}
    for name, values in labels.items():
        if name in table.column_names:
            raise ValueError(f"The rows have a column {name!r} already; choose another label_column.")
        table = table.append_column(name, arrow.array(values))
    return table if columns is None else table.select(columns)


def _columns(X: NDArray[Any], names: list[str]) -> dict[str, Any]:
    """Columns of a table, or channels of series as lists of one length."""
    if X.ndim == 2:
        return {names[i] if names else f"x{i}": np.ascontiguousarray(X[:, i]) for i in range(X.shape[1])}
    arrow = _arrow()
    make = arrow.FixedSizeListArray.from_arrays
    channels = (np.ascontiguousarray(X[:, i]).ravel() for i in range(X.shape[1]))
    return {f"channel_{i}": make(arrow.array(values), X.shape[2]) for i, values in enumerate(channels)}
