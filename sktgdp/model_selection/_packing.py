"""Two domains as one stacked table, and apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import _num_samples

from sktgdp._arrays import refuse_hidden
from sktgdp.estimators._rows.domains import split_domains

__all__ = ["domain_indices", "pack_domains", "unpack_domains"]

Indices = NDArray[np.intp]


def pack_domains(X_src: Any, y_src: Any, X_tgt: Any, y_tgt: Any) -> tuple[Any, Any, NDArray[np.int64]]:
    """Stack both domains, source first, for a search or a pipeline; `unpack_domains` is the inverse.

    Parameters
    ----------
    X_src : array-like of shape (m, ...)
        Source rows; arrays of any rank, or a pandas frame.
    y_src : array-like of shape (m,) or (m, k), or None
        Source labels.
    X_tgt : array-like of shape (n, ...)
        Target rows, with the columns of ``X_src``; a frame where that is one.
    y_tgt : array-like of shape (n,) or (n, k), or None
        Target labels, None exactly where ``y_src`` is.

    Returns
    -------
    X : array or frame of shape (m + n, ...)
        Frames get a new index. Columns of categories stay so, since both sides must have the same categories.
    y : array, series or frame of m + n labels, or None
    sample_domain : ndarray of shape (m + n,)
        1 for source rows, -1 for target rows.

    Raises
    ------
    ValueError
        Where widths, columns, categories or lengths differ, or only one side has labels.
    """
    for name, rows in (("X_src", X_src), ("X_tgt", X_tgt)):
        if rows is None:
            raise ValueError(f"{name} is None. Give rows of both domains.")
    if (y_src is None) != (y_tgt is None):
        given, missing = ("y_src", "y_tgt") if y_tgt is None else ("y_tgt", "y_src")
        raise ValueError(f"{given} was given and {missing} was not. Give labels of both domains, or of none.")
    _check_length(y_src, X_src, "y_src", "X_src")
    _check_length(y_tgt, X_tgt, "y_tgt", "X_tgt")
    X = _stack(X_src, X_tgt, ("X_src", "X_tgt"))
    y = None if y_src is None else _stack(y_src, y_tgt, ("y_src", "y_tgt"))
    return X, y, np.repeat([1, -1], [_num_samples(X_src), _num_samples(X_tgt)])


def unpack_domains(X: Any, y: Any, sample_domain: Any) -> tuple[Any, Any, Any, Any]:
    """Take stacked rows apart again.

    Parameters
    ----------
    X : array-like of shape (n_rows, ...)
    y : array-like of n_rows labels, or None
    sample_domain : array-like of shape (n_rows,)
        >= 0 for source rows, < 0 for target rows.

    Returns
    -------
    X_src, y_src, X_tgt, y_tgt
        In the order of the rows; both labels are None where ``y`` is. Frames keep their index.

    Raises
    ------
    ValueError
        Where the lengths differ, or ``sample_domain`` holds something other than numbers.
    """
    if sample_domain is None:
        raise ValueError("sample_domain is None. Give one number per row: >= 0 source, < 0 target.")
    domain_indices(sample_domain, "sample_domain", _num_samples(X))
    _check_length(y, X, "y", "X")
    return split_domains(X, y, None, None, sample_domain)


def _check_length(y: Any, X: Any, y_name: str, X_name: str) -> None:
    """Refuse labels, if there are any, of another number than there are rows."""
    if y is not None and _num_samples(y) != _num_samples(X):
        raise ValueError(
            f"{y_name} must hold one label per row of {X_name}: found {_num_samples(y)} labels for "
            f"{_num_samples(X)} rows."
        )


def _stack(source: Any, target: Any, names: tuple[str, str]) -> Any:
    """Rows of the source followed by those of the target."""
    sides, both = (source, target), f"{names[0]} and {names[1]}"
    if any(hasattr(values, "iloc") for values in sides):
        if type(source) is not type(target):
            types = " and ".join(type(values).__name__ for values in sides)
            raise ValueError(f"{both} must be of one kind, got {types}. Convert one.")
        return _stack_pandas(source, target, names)
    if any(issparse(values) for values in sides):
        raise ValueError(f"{both} must be dense. Convert with .toarray().")
    for name, values in zip(names, sides, strict=True):
        refuse_hidden(values, name)
    arrays = [np.asarray(values) for values in sides]
    shapes = [array.shape for array in arrays]
    if shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"{both} must agree in all but the number of rows, got shapes {shapes[0]} and {shapes[1]}."
        )
    kinds = [_kind(array.dtype) for array in arrays]
    if kinds[0] != kinds[1] and not ("objects" in kinds and set(kinds) <= {"objects", "numbers", "text"}):
        dtypes = f"{arrays[0].dtype} and {arrays[1].dtype}"
        mixture = " with ".join(sorted(kinds, reverse=True))
        raise ValueError(f"{both} mix {mixture}, got {dtypes}. Convert one.")
    if set(kinds) == {"numbers"}:
        arrays = [array.astype(_exact_dtype(arrays, both), copy=False) for array in arrays]
    return np.concatenate(arrays)


def _kind(dtype: Any) -> str:
    """What values of a dtype are, in words; two kinds have no common dtype, or only that of objects."""
    if dtype.kind in "mM":
        zone = getattr(dtype, "tz", None) or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)
        return "lengths of time" if dtype.kind == "m" else f"times in the zone {zone}" if zone else "times"
    return "numbers" if dtype.kind in "biufc" else "objects" if dtype.kind == "O" else "text"


def _exact_dtype(arrays: Sequence[NDArray[Any]], both: str) -> np.dtype[Any]:
    """A dtype of all arrays of numbers in which none of their integers changes."""
    common = np.result_type(*arrays)
    integers = [array for array in arrays if array.dtype.kind in "iu" and array.size]
    if common.kind != "f" or not integers:
        return common
    low, high = min(int(array.min()) for array in integers), max(int(array.max()) for array in integers)
    if max(-low, high) <= 2 ** (np.finfo(common).nmant + 1):
        return common
    for dtype in map(np.dtype, ("int64", "uint64")):
        fits = np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max
        if fits and all(array.dtype.kind in "iu" for array in arrays):
            return dtype
    dtypes = " and ".join(str(array.dtype) for array in arrays)
    raise ValueError(
        f"{both} hold integers as large as {max(-low, high)} in {dtypes}, and together would be {common}, in "
        "which neighbours among them are equal. Number them anew, or convert both to text."
    )


def _stack_pandas(source: Any, target: Any, names: tuple[str, str]) -> Any:
    """Concatenate two frames, or two series, that agree in columns and in kinds of columns."""
    import pandas as pd  # the input is pandas, so it is there

    tables = [values.to_frame("labels") if values.ndim == 1 else values for values in (source, target)]
    columns = [list(table.columns) for table in tables]
    if columns[0] != columns[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same columns in the same order, got {columns[0]} and "
            f"{columns[1]}."
        )
    casts: dict[Any, str] = {}
    for i, (column, *dtypes) in enumerate(zip(columns[0], *(table.dtypes for table in tables), strict=True)):
        kinds = [dtype if isinstance(dtype, pd.CategoricalDtype) else _kind(dtype) for dtype in dtypes]
        if kinds[0] != kinds[1]:
            remedy = "both, for example with .astype(pandas.CategoricalDtype(categories_of_both))"
            raise ValueError(
                f"Column {column!r} must be of one kind in {names[0]} and {names[1]}, and have the same "
                f"categories if it has any; got {dtypes[0]!r} and {dtypes[1]!r}. Convert "
                f"{'one' if all(isinstance(kind, str) for kind in kinds) else remedy}."
            )
        if kinds[0] == "numbers" and dtypes[0] != dtypes[1]:
            whole = _common_integers([table.iloc[:, i] for table in tables], f"Columns {column!r}")
            casts |= {} if whole is None else {column: whole}
    if casts:
        sides = [values.astype(casts if values.ndim == 2 else casts["labels"]) for values in (source, target)]
        return pd.concat(sides, ignore_index=True)
    return pd.concat([source, target], ignore_index=True)


def _common_integers(columns: Sequence[Any], both: str) -> str | None:
    """The dtype of integers that pandas would make floats of; None where it keeps what they are."""
    arrays = [column.dropna().to_numpy(getattr(column.dtype, "numpy_dtype", None)) for column in columns]
    exact = _exact_dtype(arrays, both)
    if exact == np.result_type(*arrays):
        return None
    plain = all(isinstance(column.dtype, np.dtype) for column in columns)
    return exact.name if plain else {"int64": "Int64", "uint64": "UInt64"}[exact.name]


def domain_indices(sample_domain: Any, given_as: str, n_rows: int) -> tuple[Indices, Indices]:
    """Positions of the source rows and of the target rows."""
    n_domains = _num_samples(sample_domain)
    if n_domains != n_rows:
        raise ValueError(
            f"The domains given as {given_as} hold {n_domains} numbers for {n_rows} rows in X. Where X is a "
            "part of the data, as inside another search, they must be cut with it: switch metadata routing "
            "on, or pass them as groups."
        )
    try:
        domains = split_domains(np.arange(n_rows), None, None, None, sample_domain)
    except ValueError as error:
        raise ValueError(f"The domains given as {given_as} cannot be used: {error}") from error
    return domains.X_src, domains.X_tgt
