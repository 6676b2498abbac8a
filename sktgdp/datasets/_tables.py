"""Tables that come with records: read by pandas, checked before anything is done with what they say."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sktgdp._extras import require

__all__ = ["path_inside", "read_table", "statements_of"]

LONGEST_CELL = 10_000  # characters of a dictionary; the parser of Python's own literals has no bound


def read_table(path: Path, columns: Sequence[str], index: str | int, integers: Sequence[str] = ()) -> Any:
    """Read a table as a frame that has at least these columns.

    Parameters
    ----------
    path : Path
    columns, index
        Names that must be there, and the column (or its place) that names the rows.
    integers : sequence of str
        Columns that hold whole numbers.

    Raises
    ------
    FileNotFoundError, ValueError
        Where there is no such file, it cannot be parsed, or a column is missing or holds something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; path must be the folder that holds {path.name}")
    pandas = require("pandas", f"Reading {path.name}", extra="timeseries")
    try:
        frame = pandas.read_csv(path)
    except (ValueError, OverflowError) as error:  # decoding and parsing errors are among them
        raise ValueError(f"{path} cannot be read as a table ({type(error).__name__}: {error})") from error
    named = [frame.columns[index] if isinstance(index, int) else index, *columns, *integers]
    missing = [column for column in named if column not in frame.columns]
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    for column in integers:
        frame[column] = _whole_numbers(path, frame[column])
    return frame.set_index(named[0])


def _whole_numbers(path: Path, column: Any) -> Any:
    try:
        numbers = column.astype(float)
        whole = numbers.astype("int64")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{path}: the column {column.name} must hold whole numbers ({error})") from error
    if not (numbers == whole).all():
        raise ValueError(f"{path}: the column {column.name} must hold whole numbers")
    return whole


def statements_of(frame: Any, path: Path) -> list[list[str]]:
    """The names in the column ``scp_codes``, a dictionary of likelihoods written as text."""
    column = frame["scp_codes"]
    parsed = {}
    for row, text in column.drop_duplicates().items():
        try:
            if len(text) > LONGEST_CELL:
                raise ValueError("it is too long")
            parsed[text] = [str(code) for code in dict(ast.literal_eval(text))]
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            shown = repr(text[:60] if isinstance(text, str) else text)
            raise ValueError(f"{path}: scp_codes of record {row} is no dictionary: {shown}") from error
    return [parsed[text] for text in column]


def path_inside(folder: Path, name: Any, table: str) -> Path:
    """The path of a file that a table names, which must lie in the table's folder."""
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{folder / table} names the file {str(name)!r}, which lies outside of its folder")
    return path
