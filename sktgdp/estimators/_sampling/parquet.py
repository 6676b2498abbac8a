"""Samples in a Parquet file: any number of rows in the memory of one batch, and no row lost or drawn twice.

Every batch becomes a file of its own in the folder ``<path>.parts``, moved into place whole, beside a note
of what was asked for. At the end the parts are copied into the file, small ones several to a row group: what
Parquet notes of every row group is held in memory until its file is closed. A process that was killed or a
disk that was full leaves the folder; the same call goes on after the last whole part.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import joblib
import numpy as np
from tqdm import tqdm

from sktgdp.estimators._rows.labels import LabelRuns
from sktgdp.estimators._sampling.arrow_rows import arrow, file_schema, parquet, rows_table
from sktgdp.estimators._sampling.chunks import check_sizes
from sktgdp.estimators._state.memory import draw_seed

__all__ = ["write_parquet"]

# Numbers in a batch where the user names no size: 16 MiB in float64.
BATCH_NUMBERS = 2**21
GROUP_BYTES = 2**22  # a row group ends with the part that fills it
# Rows that are drawn at first, to see their columns, and that it is the same generator that goes on.
CHECKED = 8
LOCK, UNFINISHED, PART = "lock", "unfinished", re.compile(r"part_\d{6,}\.parquet")
# Endings of names that promise something else than Parquet.
OTHER_FORMATS = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xlsx", ".xls", ".feather", ".arrow", ".orc",
                 ".pkl", ".npy", ".npz", ".h5", ".gz", ".bz2", ".xz", ".zip"}  # fmt: skip


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
    parquet()
    parts = Parts(_checked(path, label_column))
    size = max(1, BATCH_NUMBERS // math.prod(generator.latent_shape_)) if batch_size is None else batch_size
    check_sizes(n_samples=n_samples, batch_size=size)
    n_samples, size = int(n_samples), int(size)
    y = y if y is None or isinstance(y, LabelRuns) else np.asarray(y)
    _check_all_labels(generator, y, n_samples, size)
    asked = {
        "n_samples": n_samples,
        "batch_size": size,
        "labels": None if y is None else joblib.hash(y),
        "label_column": label_column,
        "solver": solving["solver"] or generator.solver,
        "n_steps": solving["n_steps"] or generator.n_steps,
    }
    given = generator.random_state if random_state is None else random_state
    with parts.locked(overwrite), _saying_how_to_go_on(parts):
        solving["random_state"] = parts.claim(asked, None if given is None else draw_seed(given))
        form = {"label_column": label_column, "columns": columns}
        _write_parts(generator, parts, n_samples, y, size, form, solving)
        parts.join(-(-n_samples // size))
    parts.remove()
    return parts.path


def _checked(path: Any, label_column: Any) -> Path:
    """The path of a file that can be written."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise TypeError(f"path must be the name of a file, such as 'rows.parquet'; got {path!r}.")
    if not isinstance(label_column, str):
        raise TypeError(f"label_column must be a string; got {label_column!r}.")
    path = Path(path)
    if path.suffix.lower() in OTHER_FORMATS:
        raise ValueError(
            f"{path} is to be a Parquet file, and its name ends in {path.suffix}. Name it "
            f"{path.with_suffix('.parquet').name}; for another format write the batches of sample_batches."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it, such as {path / 'rows.parquet'}.")
    if path.is_symlink() and not path.exists():
        raise FileExistsError(f"{path} is a link to a file that does not exist. Delete it, or name another.")
    folder = next(each for each in path.absolute().parents if each.exists())
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, so {path} cannot be written. Name another folder.")
    return path


def _check_all_labels(generator: Any, y: Any, n_samples: int, size: int) -> None:
    """Refuse labels of the last batch before the first is drawn."""
    if generator.labels_.kind != "none" and not generator.labels_.is_one(y, n_samples):
        for start in range(0, n_samples, size):
            generator.labels_.encode(y[start : start + size])


def _write_parts(
    generator: Any, parts: Parts, n_samples: int, y: Any, size: int, form: dict[str, Any], drawing: Any
) -> None:
    """Write the batches that are not there yet."""
    few = next(generator._batches(n_samples, y, min(CHECKED, size, n_samples), **drawing))
    schema = file_schema(generator, *few, **form)

    def make(X: Any, labels: Any) -> Any:
        return rows_table(generator, X, labels, **form, schema=schema)

    done = parts.count()
    if done:
        parts.check_first(make(*few))
    first = min(done * size, n_samples)
    batches = generator._batches(n_samples, y, size, first=first, **drawing)
    with tqdm(total=n_samples, initial=first, unit=" rows", disable=not generator.verbose) as bar:
        for index, (X, labels) in enumerate(batches, start=done):
            parts.add(index, make(X, labels))
            bar.update(len(X))


@contextlib.contextmanager
def _saying_how_to_go_on(parts: Parts) -> Iterator[None]:
    """Say of an error of the disk what is there and what to do."""
    try:
        yield
    except OSError as error:
        if not parts.count():
            raise
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
        """Keep other processes away from the folder; without a part in it, it goes where the call fails."""
        if self.path.exists() and not overwrite and not self.note.exists():
            raise FileExistsError(f"{self.path} is there already. Delete it, or name another file.")
        self._refuse_others()
        noted = self.note.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.folder / LOCK, timeout=0):
                yield
        except filelock.Timeout as error:
            raise RuntimeError(f"Another process is writing {self.path}; wait for it to end.") from error
        except BaseException:
            if not noted and not self.count():
                self.remove()
            raise

    def _refuse_others(self) -> None:
        """Refuse a folder of files that are not of parts: it is deleted at the end."""
        known = {LOCK, UNFINISHED, self.note.name}
        others = [
            each.name
            for each in (self.folder.iterdir() if self.folder.is_dir() else ())
            if each.name not in known and not PART.fullmatch(each.name)
        ]
        if others:
            raise FileExistsError(
                f"{self.folder}, where finished batches would be kept, holds other files, such as "
                f"{min(others)}. Move them, or name another file than {self.path.name}."
            )

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
        found = parquet().ParquetFile(self._part(0)).read().slice(0, len(table))
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
        self._replace(self._part(index), lambda file: parquet().write_table(table, file, **options))

    def join(self, n_parts: int) -> None:
        """Copy all parts into the file."""
        self._replace(self.path, lambda file: self._copy(n_parts, file))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)

    def _part(self, index: int) -> Path:
        return self.folder / f"part_{index:06d}.parquet"

    def _copy(self, n_parts: int, file: Path) -> None:
        schema = parquet().ParquetFile(self._part(0)).schema_arrow
        with parquet().ParquetWriter(file, schema, use_dictionary=_of_few_values(schema)) as writer:
            for group in self._groups(n_parts):
                writer.write_table(group)
                arrow().default_memory_pool().release_unused()  # it would grow by and by

    def _groups(self, n_parts: int) -> Iterator[Any]:
        """Tables of one row group each."""
        gathered: list[Any] = []
        for index in range(n_parts):
            # without threads: each would keep memory of its own
            gathered.append(parquet().ParquetFile(self._part(index)).read(use_threads=False))
            if index == n_parts - 1 or sum(part.nbytes for part in gathered) >= GROUP_BYTES:
                yield arrow().concat_tables(gathered)
                gathered = []

    def _replace(self, path: Path, write: Any) -> None:
        """Write a file under another name and move it into place once it is on the disk."""
        unfinished = self.folder / UNFINISHED
        try:
            write(unfinished)
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _of_few_values(schema: Any) -> list[str]:
    """Columns that a dictionary shortens: those that are no fractions, nor series of them."""
    types = arrow().types
    fractions = (types.is_floating, types.is_fixed_size_list)
    return [field.name for field in schema if not any(check(field.type) for check in fractions)]
