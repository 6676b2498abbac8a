"""Two tables of one kind: the same columns, the same types, and a column of labels taken apart."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from sktgdp.cli._run import UserError, note
from sktgdp.cli._tables import read_table

__all__ = ["Reading", "Table", "labels_of", "named", "read_pair", "suggestion"]

SHOWN = 8  # names in a message
EXACT = 2**53  # below it reals tell integers apart


class Table(NamedTuple):
    """A table, the file that it came from, and the columns of the file."""

    path: Path
    frame: pd.DataFrame
    columns: list[str]


class Reading(NamedTuple):
    """How tables are read: the options of that name."""

    drop: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    drop_missing: bool = False

    def read(self, path: Path) -> Table:
        """Read a table, without the columns and rows that the user leaves out."""
        frame = read_table(path, self.missing)
        columns = list(frame.columns)
        separator = next((each for each in ";\t|" if each in str(columns[0])), None)
        if len(columns) == 1 and separator:
            raise UserError(
                f"{path} has a single column, {columns[0]!r}, as if its values were separated by "
                f"{separator!r} instead of commas. Write it with commas."
            )
        frame = frame.drop(columns=[name for name in self.drop if name in columns])
        if frame.shape[1] == 0:
            raise UserError(f"{path} has no columns but those of --drop.")
        return Table(path, self._without_missing(path, frame) if self.drop_missing else frame, columns)

    @staticmethod
    def _without_missing(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
        kept = frame.dropna(ignore_index=True)
        if kept.empty:
            raise UserError(
                f"{path}: every row has a missing value, so --drop-missing leaves none. Most are missing in "
                f"{frame.isna().sum().idxmax()!r}; leave columns out with --drop."
            )
        if len(kept) < len(frame):
            note(f"{path}: left out {len(frame) - len(kept):,} of {len(frame):,} rows with missing values.")
        return kept.infer_objects()  # booleans are objects to pandas where some are missing


def read_pair(first: Path, second: Path, reading: Reading) -> tuple[Table, Table]:
    """Read two tables; the second's columns come in the order and the types of the first's."""
    one, two = reading.read(first), reading.read(second)
    for name in reading.drop:
        if name not in {*one.columns, *two.columns}:
            raise UserError(f"--drop {name}: no such column.{suggestion(name, one.columns)}")
    columns = list(one.frame.columns)
    lacks = [name for name in columns if name not in two.frame.columns]
    more = [name for name in two.frame.columns if name not in columns]
    if lacks or more:
        says = [f"{second} lacks {_listed(lacks)} of {first}"] * bool(lacks)
        says += [f"{first} lacks {_listed(more)} of {second}"] * bool(more)
        remedy = " ".join(f"--drop {shlex.quote(name)}" for name in [*lacks, *more])
        raise UserError(f"{'; '.join(says)}. Rename these columns, or leave them out: {remedy}")
    pairs = {name: _alike(name, one, two) for name in columns}
    frames = [pd.DataFrame({name: pair[i] for name, pair in pairs.items()}) for i in (0, 1)]
    return one._replace(frame=frames[0]), two._replace(frame=frames[1])


def _alike(name: str, one: Table, two: Table) -> tuple[pd.Series[Any], ...]:
    """A column of both tables: numbers in one type; an error where only one holds numbers."""
    columns = one.frame[name], two.frame[name]
    numbers = [is_numeric_dtype(column) and not is_bool_dtype(column) for column in columns]
    if all(numbers):
        return _as_numbers(*columns)
    left_out = f"--drop {shlex.quote(name)}"
    if any(numbers):
        for table in (one, two):
            if table.frame[name].isna().all():
                where = f"Column {name!r} of {table.path}"
                raise UserError(f"{where} is empty. Fill it in, or leave it out: {left_out}")
        there, other = (one, two) if numbers[0] else (two, one)
        texts = other.frame[name].dropna()
        odd = texts[pd.to_numeric(texts, errors="coerce").isna()]
        example = (odd if len(odd) else texts).iloc[0]
        raise UserError(
            f"Column {name!r} holds numbers in {there.path} and {example!r} in {other.path}. If that stands "
            f"for a missing value, name it: --missing {shlex.quote(str(example))}; or leave the column out: "
            f"{left_out}"
        )
    return columns


def _as_numbers(*columns: pd.Series[Any]) -> tuple[pd.Series[Any], ...]:
    """Columns of numbers in one type: integers where all are whole, however they were written."""
    values = [column.dropna().to_numpy(dtype=float) for column in columns]
    if not all((np.abs(each) < EXACT).all() and np.array_equal(each, np.rint(each)) for each in values):
        return tuple(column.astype("float64") for column in columns)
    missing = any(column.isna().any() for column in columns)
    return tuple(column.astype("Int64" if missing else "int64") for column in columns)


def labels_of(table: Table, label: str | None) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """Rows and labels of a table; texts as an array of strings."""
    if label is None:
        return table.frame, None
    if label not in table.frame.columns and label in table.columns:
        raise UserError(f"--drop leaves out {label!r}, which --label names. Give one of the two.")
    if label not in table.frame.columns:
        raise UserError(f"{table.path} has no column {label!r}.{suggestion(label, table.frame.columns)}")
    column = table.frame[label]
    if column.isna().any():
        raise UserError(
            f"{table.path}: {int(column.isna().sum()):,} rows have no {label!r}. Fill it in, or leave such "
            "rows out with --drop-missing."
        )
    values = column.to_numpy()
    if values.dtype == object and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    rows = table.frame.drop(columns=label)
    if rows.shape[1] == 0:
        raise UserError(f"{table.path} has no columns but {label!r}.")
    return rows, values


def suggestion(name: str, known: Iterable[Any]) -> str:
    """What a misspelt name may stand for, to put after a message."""
    names = [str(each) for each in known]
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {lower[close[0]]!r}?"
    return f" There are: {_listed(names)}."


def named(text: str, names: dict[str, str]) -> str:
    """The library's message with the user's words for its arguments."""
    for argument, words in names.items():
        text = re.sub(rf"\b{argument}\b", lambda _: words, text)  # noqa: B023
    return text


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
