"""Checks of the two domains' arrays, and the form in which rows came and go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, column_or_1d
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import _num_samples, check_array

from sktgdp._arrays import refuse_hidden
from sktgdp.estimators._rows.labels import LabelCode, check_labels
from sktgdp.preprocessing._mixed import is_frame

__all__ = [
    "CHECKPOINT",
    "FOUR_ARRAYS",
    "Domains",
    "InputForm",
    "Reals",
    "Units",
    "check_columns",
    "check_domains",
    "check_rows",
    "rows_as_fitted",
    "split_domains",
]

Floats = NDArray[np.float64]
Units = NDArray[np.float32]  # rows in the units of a transformer, as networks are trained on them
Reals = NDArray[np.floating[Any]]  # either


def check_rows(X: Any, name: str, *, min_rows: int = 1) -> Any:
    """Check rows: a frame is left as it is, its columns to the transformer; anything else becomes floats."""
    check_columns(X, name)
    if not is_frame(X):
        return numeric_rows(X, name, min_rows=min_rows)
    if X.shape[0] < min_rows or X.shape[1] < 1:
        raise ValueError(
            f"{name} has too few rows or columns: {X.shape[0]} and {X.shape[1]}, where at least {min_rows} "
            "and 1 are needed."
        )
    return X


def check_columns(X: Any, name: str) -> None:
    """Refuse frames of other libraries than pandas, and columns that have no name of their own."""
    if not is_frame(X):
        if hasattr(X, "to_pandas") and (hasattr(X, "columns") or hasattr(X, "column_names")):
            raise TypeError(
                f"{name} is a {type(X).__module__.split('.')[0]} {type(X).__name__}. Give a frame of pandas, "
                f"{name}.to_pandas(), or an array."
            )
        return
    nameless = [k for k, c in enumerate(X.columns) if type(c).__name__ in ("NoneType", "NAType") or c != c]
    if nameless:
        raise ValueError(f"{name} has columns without a name, at the positions {nameless}. Name them.")
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()].unique().tolist()
        raise ValueError(f"{name} has several columns of one name: {twice}. Rename them, or keep one.")


def numeric_rows(X: Any, name: str, *, min_rows: int = 1) -> Reals:
    """Check rows of a table (n, d) or of series (n, channels, length); finite.

    Those of float32 stay so, and memory-mapped ones on disk; all else becomes float64.
    """
    X = _array_of_numbers(X, name)
    rows: Reals = check_array(
        X, dtype=[np.float64, np.float32], order="C", allow_nd=True, ensure_min_samples=min_rows,
        input_name=name, estimator=name,
    )  # fmt: skip
    if rows.ndim > 3:
        raise ValueError(
            f"{name} has shape {rows.shape}; expected (n, d) for a table or (n, channels, length) for series."
        )
    if 0 in rows.shape[1:]:
        raise ValueError(
            f"{name} has shape {rows.shape}: its rows hold no numbers. Series (n, channels, length) need at "
            "least one channel and one sample."
        )
    _check_digits(X, rows, name)
    return rows


def _array_of_numbers(X: Any, name: str) -> Any:
    """Refuse what is no number, or none for sure, and yet turns into one without a word."""
    other = _other_columns(X)
    if other:
        raise ValueError(
            f"{name} has columns that are not numeric: {other}. The other rows are arrays of numbers; give "
            "frames for all, or encode these columns first."
        )
    refuse_hidden(X, name)
    X = X if hasattr(X, "dtype") or hasattr(X, "dtypes") else np.asarray(X)
    if getattr(getattr(X, "dtype", None), "kind", "") in ("m", "M"):
        raise TypeError(
            f"{name} is an array of times ({X.dtype}). Give a frame, whose columns of times come back as "
            f"times: pandas.DataFrame({name})."
        )
    return X


def _check_digits(X: Any, rows: Reals, name: str) -> None:
    """Refuse integers that a float does not hold: they would come back as others."""
    floats = getattr(getattr(X, "dtype", None), "kind", "O") not in "iuO"  # a frame may hold integers
    if floats or max(rows.max(), -rows.min()) <= 2.0**53:
        return
    given = np.asarray(X)
    with np.errstate(invalid="ignore"):
        lost = (rows.astype(given.dtype) if given.dtype.kind in "iu" else rows) != given
    if lost.any():
        first = given[lost].flat[0]
        raise ValueError(
            f"{name} holds integers beyond 2**53, such as {first}, whose last digits an array of floats "
            f"does not keep. Give a frame, whose columns of integers keep them: pandas.DataFrame({name}). Or "
            "subtract what they have in common, and leave out numbers that only name a row."
        )


def _other_columns(X: Any) -> list[str]:
    """Names of a frame's columns that are neither numbers nor booleans."""
    if not (hasattr(X, "dtypes") and hasattr(X, "columns")):
        return []
    kinds = [getattr(dtype, "kind", "O") for dtype in X.dtypes]
    return [str(c) for c, kind in zip(X.columns, kinds, strict=True) if kind not in "iufb"]


@dataclass(frozen=True)
class InputForm:
    """How rows came in: columns and dtypes of a frame, or the dtype of an array.

    ``constant`` holds the numbers that are the same in every row, NaN elsewhere; None for frames. A network
    comes near them only, so rows get them exactly.
    """

    event_shape: tuple[int, ...]
    dtype: Any
    columns: Any = None
    constant: Floats | None = None

    @classmethod
    def of(cls, X: Any, rows: Any) -> InputForm:
        """Remember the form of ``X``, whose checked values are ``rows``."""
        if is_frame(X):
            return cls(rows.shape[1:], list(X.dtypes), X.columns)
        dtype = getattr(X, "dtype", None)
        constant = None  # rows may be a frame even so: they take the form of others
        if isinstance(rows, np.ndarray):
            same = rows.min(axis=0) == rows.max(axis=0)
            constant = np.where(same, rows[0].astype(np.float64), np.nan)
        return cls(rows.shape[1:], dtype if isinstance(dtype, np.dtype) else rows.dtype, constant=constant)

    def along_with(self, other: InputForm) -> InputForm:
        """Take as constant what is so in other rows too: a few may agree by chance."""
        if self.constant is None or other.constant is None:
            return replace(self, constant=None)
        return replace(self, constant=np.where(self.constant == other.constant, self.constant, np.nan))

    def restore(self, rows: Any) -> Any:
        """Give rows the remembered form; integers are rounded, booleans cut at one half."""
        if self.columns is None:
            numbers = np.asarray(rows)
            if self.constant is not None:
                numbers = np.where(np.isnan(self.constant), numbers, self.constant)
            return _as_dtype(numbers, self.dtype)
        if is_frame(rows):
            return self._in_own_numbers(rows)
        import pandas as pd  # the input was a frame, so pandas is there

        columns = [
            pd.Series(_as_dtype(rows[:, i], getattr(dtype, "numpy_dtype", dtype))).astype(dtype)
            for i, dtype in enumerate(self.dtype)  # nullable types wrap numpy's
        ]
        frame = pd.DataFrame(dict(enumerate(columns)))
        frame.columns = self.columns
        return frame

    def _in_own_numbers(self, frame: Any) -> Any:
        """Columns of plain numbers in the remembered dtypes: the source may have had others."""
        for column, dtype in zip(self.columns, self.dtype, strict=True):
            kinds = [each.kind for each in (frame[column].dtype, dtype) if isinstance(each, np.dtype)]
            numbers = len(kinds) == 2 and kinds[0] in "iufb" and kinds[1] in "iuf"
            if numbers and frame[column].dtype != dtype and not frame[column].isna().any():
                frame[column] = _as_dtype(frame[column].to_numpy(), dtype)
        return frame


def _as_dtype(values: Floats, dtype: Any) -> NDArray[Any]:
    kind = getattr(dtype, "kind", "f")
    if kind == "b":
        return values > 0.5
    if kind in "iu":
        if values.dtype.kind == "b":
            return values.astype(dtype)
        limits = np.iinfo(dtype)
        most = float(limits.max)
        most = most if int(most) <= limits.max else float(np.nextafter(most, 0.0))  # 2^63 would go round
        return np.clip(np.rint(values), limits.min, most).astype(dtype)
    if kind != "f":
        return values
    ends = np.finfo(dtype)
    return np.clip(values, ends.min, ends.max).astype(dtype)


def rows_as_fitted(X: Any, form: InputForm, name: str, *, min_rows: int = 1) -> Any:
    """Check rows, and give them the form that others had: frames or arrays of numbers."""
    if form.columns is None:
        return numeric_rows(X, name, min_rows=min_rows)
    if not is_frame(X) and getattr(X, "dtype", np.dtype(float)).kind == "O":
        raise TypeError(
            f"{name} is an array of objects, but the other rows are a frame. Give a frame with the columns "
            f"{list(form.columns)}."
        )
    rows = check_rows(X, name, min_rows=min_rows)
    if is_frame(rows):
        return rows
    if rows.shape[1:] != form.event_shape:
        raise ValueError(
            f"{name} has rows of shape {rows.shape[1:]}; expected a frame with the columns "
            f"{list(form.columns)}."
        )
    import pandas as pd  # the others were frames, so pandas is there

    return pd.DataFrame(rows, columns=form.columns)


# Metadata routing asks a fit for sample_domain only: slices of the target's arrays by the folds of the
# source would go wrong in silence.
FOUR_ARRAYS = dict.fromkeys(("X_src", "y_src", "X_tgt", "y_tgt"), UNUSED)
# A checkpoint is of one fit; the fits of a search share what they can by memory=.
CHECKPOINT = {"checkpoint": UNUSED}


class Domains(NamedTuple):
    """Source and target as the user gave them."""

    X_src: Any
    y_src: Any
    X_tgt: Any
    y_tgt: Any


def split_domains(X_src: Any, y_src: Any, X_tgt: Any, y_tgt: Any, sample_domain: Any) -> Domains:
    """Bring both call forms into one: four arrays, or stacked rows with ``sample_domain``."""
    if sample_domain is None:
        return Domains(X_src, y_src, X_tgt, y_tgt)
    if X_tgt is not None or y_tgt is not None:
        raise ValueError(
            "fit got both sample_domain and X_tgt or y_tgt. Give stacked rows with sample_domain, or the "
            "arrays X_src, y_src, X_tgt, y_tgt, but not both: a search would slice X_tgt by the wrong rows."
        )
    if issparse(X_src):
        check_array(X_src)  # raises
    refuse_hidden(sample_domain, "sample_domain")
    domain = column_or_1d(sample_domain)
    for name, values in (("X_src", X_src), ("y_src", y_src)):
        if values is not None and _num_samples(values) != len(domain):
            raise ValueError(
                f"sample_domain must hold one number per row: found {len(domain)} for {_num_samples(values)} "
                f"in {name}."
            )
    if domain.dtype.kind not in "iuf" or np.isnan(domain).any():
        raise ValueError(
            f"sample_domain must hold numbers (>= 0 source, < 0 target), without NaN; got {domain.dtype}."
        )
    source, target = np.flatnonzero(domain >= 0), np.flatnonzero(domain < 0)

    def pick(values: Any, index: NDArray[np.intp]) -> Any:
        return None if values is None else _safe_indexing(values, index)

    return Domains(pick(X_src, source), pick(y_src, source), pick(X_src, target), pick(y_src, target))


def _other_columns_in_target(source: list[Any], target: list[Any]) -> str:
    """What differs between the columns of the two domains, and what to do."""
    start = "X_src and X_tgt must have the same columns in the same order"
    lacking = [c for c in source if c not in target]
    extra = [c for c in target if c not in source]
    if not lacking and not extra:
        return f"{start}; give X_tgt[X_src.columns]."
    parts = [f"X_tgt lacks {lacking}"] * bool(lacking) + [f"X_src lacks {extra}"] * bool(extra)
    return f"{start}: {', and '.join(parts)}."


def check_domains(domains: Domains) -> tuple[Any, NDArray[Any] | None, Any, NDArray[Any] | None]:
    """Check both domains against each other before anything is trained; rows, and labels as arrays."""
    X_src, y_src, X_tgt, y_tgt = domains
    if X_tgt is None:
        raise ValueError("X_tgt is None. Give target rows, or stacked rows and their sample_domain.")
    if np.ndim(X_tgt) == 1 and np.ndim(y_src) == 2:
        raise ValueError(
            f"X_tgt is a vector, and y_src a table of shape {np.shape(y_src)}. The order of the arguments is "
            "fit(X_src, y_src, X_tgt, y_tgt)."
        )
    check_columns(X_src, "X_src")
    check_columns(X_tgt, "X_tgt")
    columns = [list(getattr(X, "columns", [])) for X in (X_src, X_tgt)]
    if all(columns) and columns[0] != columns[1]:
        raise ValueError(_other_columns_in_target(*columns))
    source = check_rows(X_src, "X_src", min_rows=2)
    if _num_samples(X_tgt) == 0:
        raise ValueError(
            "Found 0 sample(s) of the target, while a minimum of 2 is required by X_tgt. sample_domain is to "
            "mark target rows with a negative number, such as -1, and source rows with 0 or more, as "
            "model_selection.pack_domains does; in a search each fold needs both: "
            "cv=StratifiedTargetKFold(sample_domain=...)."
        )
    target = rows_as_fitted(X_tgt, InputForm.of(X_src, source), "X_tgt", min_rows=2)
    if source.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"X_src and X_tgt must have the same features: rows of shape {source.shape[1:]} in X_src, "
            f"{target.shape[1:]} in X_tgt."
        )
    if (y_src is None) != (y_tgt is None):
        given, missing = ("y_src", "y_tgt") if y_tgt is None else ("y_tgt", "y_src")
        raise ValueError(
            f"{given} was given and {missing} was not. Give labels of both domains, or of neither."
        )
    if y_src is None:
        return source, None, target, None
    labels = check_labels(y_src, X_src, "y_src"), check_labels(y_tgt, X_tgt, "y_tgt")
    LabelCode(labels[0]).encode(labels[1], "y_tgt")  # raises where the source lacks a label
    return source, labels[0], target, labels[1]
