"""Between the user's rows and the units in which the networks live.

Arrays go to a transformer of the user's own as arrays of float64. Frames go to it as they are, so that it can
treat each column by its type; "auto" is a `MixedTypeEncoder` with ``numeric="auto"`` for frames and a
`RowStandardizer` for arrays.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import gen_batches

from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._own_transformer import check_units
from sktgdp.estimators._rows.domains import Floats, Reals, Units
from sktgdp.exceptions import ColumnError
from sktgdp.preprocessing import MixedTypeEncoder, RowStandardizer
from sktgdp.preprocessing._mixed import is_frame

__all__ = ["fit_transformer", "fit_units", "is_mapped", "to_exact_units", "to_units", "units_in_parts"]

ROW_BY_ROW = (MixedTypeEncoder, RowStandardizer)
PART = 2**20  # numbers
ON_DISK = 2**30  # bytes
FEW_CATEGORIES = 50  # so many are no identifiers yet, however few the rows
COMMON_CATEGORIES = (
    "Leave these rows out, or give the column of both frames one CategoricalDtype with the categories of "
    "both."
)


def fit_units(transformer: Any, rows: Any, name: str) -> tuple[Any, Units]:
    """Fit a transformer on checked rows, as `fit_transformer` does; it, and the rows in its units."""
    fitted = fit_transformer(transformer, rows, name)
    _warn_of_identifiers(fitted, rows, name)
    return fitted, to_units(fitted, rows, name)


def fit_transformer(transformer: Any, rows: Any, name: str) -> Any:
    """Fit a transformer on checked rows.

    Parameters
    ----------
    transformer : "auto" or transformer
        Never changed: a clone is fitted.
    rows : array or frame
    name : str
        Of the argument, for errors.

    Returns
    -------
    transformer
    """
    if isinstance(transformer, str):
        fitted = MixedTypeEncoder(numeric="auto") if is_frame(rows) else RowStandardizer()
    else:
        fitted = clone(transformer)
    with _naming(name):
        fitted.fit(_for(fitted, rows))
    return fitted


def _warn_of_identifiers(transformer: Any, rows: Any, name: str) -> None:
    """Warn of columns whose categories tell rows apart: they are learned by heart, and kept in the model."""
    if not isinstance(transformer, MixedTypeEncoder) or not is_frame(rows):
        return
    for column in transformer.categories_:
        n_seen = rows[column].nunique()
        if n_seen > max(FEW_CATEGORIES, len(rows) // 2):
            warnings.warn(
                f"Column {column!r} of {name} holds {n_seen:,} different values in {len(rows):,} rows, as "
                "names and identifiers do. Each is a category that the model keeps and draws again: leave "
                "the column out, or group its values.",
                UserWarning,
                stacklevel=level_of_user(),
            )


def to_units(transformer: Any, rows: Any, name: str) -> Units:
    """Rows in the transformer's units, as networks are trained on them: float32, finite.

    They take no more memory than that. Where the rows are in a memory-mapped array and these would take over
    1 GiB, they are in one too, whose file goes with it.
    """
    z: Units | None = None
    for part, values in units_in_parts(transformer, rows, name):
        if z is None:
            shape = (len(rows), *values.shape[1:])
            on_disk = is_mapped(rows) and 4 * math.prod(shape) > ON_DISK
            z = _on_disk(shape) if on_disk else np.empty(shape, np.float32)
        with np.errstate(over="ignore"):
            z[part] = values
        _check_finite(z[part], transformer, name)
    assert z is not None
    return z


def to_exact_units(transformer: Any, rows: Any, name: str) -> Floats:
    """Rows in the transformer's units, as densities want them: float64, finite."""
    return np.concatenate([values for _, values in units_in_parts(transformer, rows, name)])


def is_mapped(rows: Any) -> bool:
    """Whether rows, or what they are a view of, are a memory-mapped array."""
    while rows is not None and not isinstance(rows, np.memmap):
        rows = getattr(rows, "base", None)
    return rows is not None


def units_in_parts(transformer: Any, rows: Any, name: str) -> Iterator[tuple[slice, Floats]]:
    """Rows in the transformer's units, float64; a few at a time, where it takes each by itself."""
    size = max(1, PART // math.prod(rows.shape[1:]))
    whole = not isinstance(transformer, ROW_BY_ROW) or len(rows) <= size
    for part in [slice(0, len(rows))] if whole else gen_batches(len(rows), size):
        some = rows if whole else rows.iloc[part] if is_frame(rows) else rows[part]
        with _naming(name):
            values = check_units(transformer.transform(_for(transformer, some)), transformer, len(some))
        _check_finite(values, transformer, name)
        yield part, values


def _for(transformer: Any, rows: Any) -> Any:
    """Rows as a transformer gets them: the user's own a copy, arrays in float64, for it may write there."""
    if isinstance(transformer, ROW_BY_ROW):
        return rows
    return rows.copy() if is_frame(rows) else np.array(rows, dtype=np.float64)


def _on_disk(shape: tuple[int, ...]) -> Units:
    """Room in a file of the folder for temporary files that nobody else sees."""
    n_bytes = 4 * math.prod(shape)
    with tempfile.TemporaryFile() as file:
        try:
            if hasattr(os, "posix_fallocate"):  # a disk that fills up later would end the process
                os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: rows of a memory-mapped array need {n_bytes / 2**30:.1f} GiB in the "
                f"folder for temporary files, {tempfile.gettempdir()}. Name another one by the environment "
                "variable TMPDIR, or give the rows as an array in memory",
            ) from error
        return np.memmap(file, np.float32, "w+", shape=shape)


def _check_finite(z: Reals, transformer: Any, name: str) -> None:
    if not np.isfinite(z).all():
        raise ValueError(
            f"{name} is not finite after {type(transformer).__name__}.transform. Fill in what is missing, or "
            'use transformer="auto", which marks it in frames; leave out rows that lie beyond the range of '
            "floats in its units."
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the argument's name before a transformer's complaint about a frame's column."""
    try:
        yield
    except ColumnError as error:
        problem, remedy = error.problem, error.remedy
        if name == "X_tgt":  # columns are learned from the source
            problem = problem.replace(" in fit", " in X_src")
            remedy = COMMON_CATEGORIES if error.kind == "unknown" else remedy
        raise ColumnError(f"{name}: {problem}", error.kind, remedy) from error
    except (TypeError, ValueError) as error:
        text = str(error)
        if not text.startswith(("Column ", "The feature names", "Numbers as large")):
            raise
        if name == "X_tgt":  # columns are learned from the source
            text = text.replace(" in fit", " in X_src")
        raise type(error)(f"{name}: {text}") from error
