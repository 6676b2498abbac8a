"""The kinds of column: each one between the user's values and reals of about unit variance.

A kind is fitted on one column, a pandas Series or a one-dimensional array, and has ``transform``, which
gives an array of shape (n, width), and ``inverse``, which gives values of the column's numpy dtype and a
mark of those that are missing.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp.exceptions import ColumnError
from sktgdp.preprocessing._levels import indicator_scale
from sktgdp.preprocessing._numbers import (
    BooleanColumn,
    IntegerColumn,
    NumericColumn,
    TimeColumn,
    missing_entries,
)

__all__ = ["CategoryColumn", "Column", "kind_of_column"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ACCEPTED = (
    "Every column of the argument must be of hashable values, such as strings, or of numbers, booleans, "
    "datetimes or timedeltas"
)


class CategoryColumn:
    r"""Categories, as a block of centred indicators with one scale.

    With k categories of frequencies p, the block is :math:`(e_j - p) / s`, where :math:`e_j` is the
    indicator of category j and :math:`s^2 = (1 - \sum p_j^2) / k` makes the average variance of the block's
    columns 1. A scale of its own for each column would blow up the rare categories, whose indicators
    hardly vary. Missing entries are one more category, the last. Back, the category of the largest
    indicator is taken, so any real block is one.
    """

    kind = "categorical"
    log_scale = None

    def __init__(self, name: Hashable, dtype: Any, numeric: str, clip: bool) -> None:
        self.name, self.dtype = name, dtype

    def fit(self, column: Any) -> None:
        """Learn the categories, those of the dtype or those seen, and their frequencies."""
        missing = missing_entries(column)
        if missing.all():
            problem = f"Column {self.name!r} has only missing values: there is nothing to learn from."
            raise ColumnError(problem, "empty", "Leave it out.")
        values = np.asarray(column.astype(object))
        self.missing_mark = values[missing][:1]  # none where nothing is missing
        self.categories = self._known(values[~missing])
        self.frequencies = np.bincount(self._encode(column), minlength=self.width) / len(missing)
        self.scale = indicator_scale(self.frequencies) if self._varies else 1.0

    def transform(self, column: Any) -> Floats:
        """Scaled indicators, shape (n, width)."""
        indicators = self._encode(column)[:, None] == np.arange(self.width)
        return (indicators - self.frequencies) / self.scale

    def inverse(self, z: Floats) -> tuple[NDArray[Any], Mask]:
        """Categories, shape (n,), among them the mark of missing ones as it was; so none is marked anew."""
        table = np.empty(self.width, dtype=object)
        table[: len(self.categories)] = self.categories
        table[len(self.categories) :] = self.missing_mark
        return table[np.argmax(z * self.scale + self.frequencies, axis=1)], np.zeros(len(z), dtype=bool)

    @cached_property
    def codes(self) -> dict[tuple[type, Any], int]:
        """Numbers of the categories; 1, 1.0 and True are equal and still three, if all were fitted."""
        return {(type(value), value): code for code, value in enumerate(self.categories)}

    @cached_property
    def loose_codes(self) -> dict[Any, int]:
        """Numbers of the categories whatever their type."""
        return {value: code for (_, value), code in self.codes.items()}

    @property
    def width(self) -> int:
        """Number of output columns."""
        return len(self.categories) + len(self.missing_mark)

    @property
    def suffixes(self) -> list[str]:
        """What to add to the column's name for the names of the output columns."""
        return [f"_{category}" for category in self.categories] + ["_missing"] * len(self.missing_mark)

    @property
    def _varies(self) -> bool:
        return bool(self.frequencies.max() < 1)

    def _known(self, values: NDArray[Any]) -> list[Any]:
        """Categories in the order of the dtype, or else sorted if they can be, or else as they come."""
        declared = getattr(self.dtype, "categories", None)
        if declared is not None:
            return list(declared.tolist())
        try:
            seen = [value for _, value in dict.fromkeys((type(value), value) for value in values)]
        except TypeError:
            raise self._unhashable(values) from None
        try:
            return sorted(seen)
        except TypeError:
            return seen

    def _encode(self, column: Any) -> NDArray[np.intp]:
        """Numbers of the categories, shape (n,)."""
        missing = missing_entries(column)
        if missing.any() and not len(self.missing_mark):
            problem = f"Column {self.name!r} has missing values; it had none in fit."
            raise ColumnError(problem, "missing", "Fill them in, or leave these rows out.")
        codes = np.full(len(missing), len(self.categories))
        values = np.asarray(column.astype(object))[~missing]
        known, loose = self.codes, self.loose_codes
        try:
            codes[~missing] = [known.get((type(v), v), loose.get(v, -1)) for v in values]
        except TypeError:
            raise self._unhashable(values) from None
        unseen = list(dict.fromkeys(values[codes[~missing] < 0]))
        if unseen:
            more = f" and {len(unseen) - 5} more" if len(unseen) > 5 else ""
            problem = f"Column {self.name!r} has categories unknown in fit: {unseen[:5]}{more}."
            raise ColumnError(problem, "unknown", "Leave these rows out.")
        return codes

    def _unhashable(self, values: NDArray[Any]) -> TypeError:
        kinds = sorted({type(value).__name__ for value in values if not isinstance(value, Hashable)})
        held = ", ".join(kinds) or "unhashable values"
        return TypeError(f"Column {self.name!r} of dtype {self.dtype} holds {held}. {ACCEPTED}.")


Column = NumericColumn | CategoryColumn
KINDS: dict[str, type[Column]] = {
    "f": NumericColumn,
    "i": IntegerColumn,
    "u": IntegerColumn,
    "b": BooleanColumn,
    "M": TimeColumn,
    "m": TimeColumn,
    "O": CategoryColumn,
    "U": CategoryColumn,
    "S": CategoryColumn,
}
OTHER_DTYPES = ("period", "interval", "sparse")  # they call themselves objects, or what they hold


def kind_of_column(name: Hashable, dtype: Any) -> type[Column]:
    """The class for columns of this dtype; a TypeError where there is none."""
    kind = KINDS.get(getattr(dtype, "kind", "?"))
    if kind is None or str(dtype).lower().startswith(OTHER_DTYPES):
        raise TypeError(f"Column {name!r} has dtype {dtype}, which cannot be encoded. {ACCEPTED}.")
    return kind
