"""Rows and labels as Arrow tables: one schema for all of a call, known before the first batch is drawn.

Arrow infers the type of a column of Python objects from the values that it sees, so batches would differ:
decimals of other precisions, or nothing but missing values. The schema is that of a table in which every
category occurs; columns that a Parquet file cannot hold are refused while that table is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp._extras import require
from sktgdp.preprocessing._numbers import missing_entries

__all__ = ["arrow", "file_schema", "parquet", "rows_table"]

# Where a column can go instead, by the kind of its dtype.
REMEDIES = {"f": "float", "i": "int", "u": "int"}


def parquet() -> Any:
    """The module that reads and writes Parquet, or an error that says what to install."""
    return require("pyarrow.parquet", "sample_to_parquet")


def arrow() -> Any:
    """The module of Arrow's tables."""
    return require("pyarrow", "sample_to_parquet")


def file_schema(
    generator: Any, X: Any, y: NDArray[Any] | None, label_column: str, columns: Sequence[str] | None = None
) -> Any:
    """Schema of all rows that a generator may draw, seen on a few of them.

    Raises
    ------
    TypeError
        A column has values that a Parquet file cannot hold.
    """
    X, y = _with_every_value(generator, X, y)
    for name, values, table in _single_columns(X, y, label_column):
        try:
            parquet().write_table(table(), arrow().BufferOutputStream())
        except (arrow().ArrowException, OverflowError, TypeError, ValueError) as error:
            to = REMEDIES.get(getattr(values.dtype, "kind", "O"), "str")
            raise TypeError(
                f"Column {name!r} holds {_held(values, error)}, for which a Parquet file has no type. Fit on "
                f"other values, such as those of .astype({to}), or draw with sample_batches."
            ) from error
    return rows_table(generator, X, y, label_column, columns).schema


def _held(values: Any, error: Exception) -> str:
    """The types of a column's values, in words."""
    if isinstance(error, OverflowError):
        return "integers of more than 64 bits"
    if values.dtype != object and not hasattr(values.dtype, "categories"):
        return f"values of {values.dtype}"
    there = np.asarray(values.astype(object))[~missing_entries(values)]
    return "values of " + " and ".join(sorted({type(value).__name__ for value in there}))


def _with_every_value(generator: Any, X: Any, y: NDArray[Any] | None) -> tuple[Any, NDArray[Any] | None]:
    """Rows and labels, repeated until every class is among them, and every value of columns of objects."""
    encoder = getattr(generator.transformer_, "steps", [("", generator.transformer_)])[0][1]
    known = getattr(encoder, "categories_", {})
    dtypes = zip(X.columns, X.dtypes, strict=True) if hasattr(X, "columns") else ()
    objects = [name for name, dtype in dtypes if dtype == np.dtype(object) and name in known]
    classes = generator.labels_.classes if generator.labels_.kind == "class" else []
    number = np.arange(max([len(X), len(classes), *(len(known[name]) for name in objects)]))
    if y is not None:
        y = classes[number % len(classes)] if len(classes) else y[number % len(y)]
    if not hasattr(X, "columns"):
        return X[number % len(X)], y
    X = X.take(number % len(X))
    for name in objects:
        X[name] = np.fromiter(cycle(known[name]), dtype=object, count=len(number))
    return X, y


def _single_columns(X: Any, y: NDArray[Any] | None, label_column: str) -> Iterator[tuple[Any, Any, Any]]:
    """Name, values, and a function that makes a table, for each column whose type is its own."""
    if hasattr(X, "columns"):
        for i, name in enumerate(X.columns):
            yield name, X.iloc[:, i], lambda i=i: _frame_table(X.iloc[:, [i]])
    else:
        yield "x0", X, lambda: arrow().table(_columns(X[:1], []))
    if y is not None:
        yield label_column, y, lambda: arrow().table(_label_columns(y, label_column))


def rows_table(
    generator: Any,
    X: Any,
    y: NDArray[Any] | None,
    label_column: str,
    columns: Sequence[str] | None = None,
    schema: Any = None,
) -> Any:
    """Rows and labels as an Arrow table, the labels last unless ``columns`` gives another order.

    Values take the types of ``schema`` where it is given.
    """
    if hasattr(X, "columns"):
        table = _frame_table(X)
    else:
        table = arrow().table(_columns(X, list(getattr(generator, "feature_names_in_", ()))))
    for name, values in ({} if y is None else _label_columns(y, label_column)).items():
        if name in table.column_names:
            raise ValueError(f"The rows have a column {name!r} already; choose another label_column.")
        table = table.append_column(name, values)
    table = table if y is None or columns is None else table.select(columns)
    return table if schema is None or table.schema.equals(schema) else table.cast(schema)


def _frame_table(X: Any) -> Any:
    return arrow().Table.from_pandas(X, preserve_index=False)


def _label_columns(y: NDArray[Any], label_column: str) -> dict[str, Any]:
    labels = {label_column: y} if y.ndim == 1 else {f"{label_column}_{i}": y[:, i] for i in range(y.shape[1])}
    return {name: arrow().array(_native(values)) for name, values in labels.items()}


def _columns(X: NDArray[Any], names: list[str]) -> dict[str, Any]:
    """Columns of a table, or channels of series as lists of one length."""
    X = _native(X)
    if X.ndim == 2:
        return {names[i] if names else f"x{i}": np.ascontiguousarray(X[:, i]) for i in range(X.shape[1])}
    make = arrow().FixedSizeListArray.from_arrays
    channels = (np.ascontiguousarray(X[:, i]).ravel() for i in range(X.shape[1]))
    return {f"channel_{i}": make(arrow().array(values), X.shape[2]) for i, values in enumerate(channels)}


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Values in this machine's order of bytes, the only one that Arrow knows."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)
