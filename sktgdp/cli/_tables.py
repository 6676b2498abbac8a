"""Tables in files: CSV (also compressed) and Parquet, by the ending of the name."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from sktgdp.cli._run import UserError, note

__all__ = ["append_csv", "check_output", "in_place", "is_parquet", "read_table", "refuse_existing"]

CSV = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz")
PARQUET = (".parquet", ".pq")


def is_parquet(path: str | Path) -> bool:
    """Tell Parquet from CSV by the name; a UserError for any other name."""
    name = str(path).lower()
    if not name.endswith((*CSV, *PARQUET)):
        raise UserError(f"{path}: the name must end in one of {', '.join((*CSV, *PARQUET))}.")
    return name.endswith(PARQUET)


def read_table(path: Path, missing: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table with at least one row; types are inferred as pandas does.

    Parameters
    ----------
    path : Path
    missing : sequence of str
        Texts that stand for a missing value in CSV, besides those of pandas.
    """
    parquet = is_parquet(path)
    if not path.is_file():
        raise UserError(f"{path} is no file." if path.exists() else f"{path} does not exist.")
    try:
        frame = pd.read_parquet(path) if parquet else _read_csv(path, missing)
    except pd.errors.EmptyDataError:
        raise UserError(f"{path} is empty. The first line must name the columns.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8.") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever the readers make of arbitrary bytes
        what = str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}, {error}"
        raise UserError(f"{path} cannot be read as {'Parquet' if parquet else 'CSV'}: {what}") from error
    frame.columns = frame.columns.astype(str)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise UserError(f"{path} has several columns of one name: {', '.join(twice)}. Rename them.")
    if frame.empty:
        raise UserError(f"{path} has no rows.")
    return frame.reset_index(drop=True)


def _read_csv(path: Path, missing: Sequence[str]) -> pd.DataFrame:
    # pandas renames equal names in silence, so the names are read by themselves
    head = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, skipinitialspace=True)
    names = head.iloc[0].tolist()
    frame = pd.read_csv(path, na_values=list(missing), skipinitialspace=True)
    if len(frame) and not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(f"its rows have more values than its first line has names, {len(names)}")
    frame.columns = pd.Index(names)
    if names[0] == "":
        note(f"{path}: left out the first column, which has no name (row numbers, as pandas writes them).")
        frame = frame.iloc[:, 1:]
    return frame


def refuse_existing(path: Path, force: bool) -> None:
    """Keep what is there, unless the user said otherwise."""
    if not force and path.exists():
        raise UserError(f"{path} exists. Choose another name, or overwrite it with --force.")


def check_output(path: Path, force: bool) -> None:
    """See before the work that its file can be written after it."""
    refuse_existing(path, force)
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}.")


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    """A name beside the path to write to; it becomes the path at the end, or else is removed."""
    # the name ends as the path does, since endings tell the format
    partial = path.with_name(f".{secrets.token_hex(4)}.partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def append_csv(frame: pd.DataFrame, place: Any, *, header: bool) -> None:
    """Append rows to a CSV file, or to the standard output."""
    frame.to_csv(place, mode="a", header=header, index=False)
