"""Stacked domains keep every value: integers stay apart, and times mix with nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sktgdp.model_selection import pack_domains

X = np.zeros((2, 1))
LARGE = [2**60, 2**60 + 1]  # one number to float64


@pytest.mark.parametrize("make", [np.array, pd.Series])
@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [("uint64", "int64", "int64"), ("int64", "uint64", "int64"), ("uint64", "int8", "int64")],
)
def test_large_integers_of_two_dtypes(make: Any, source: str, target: str, expected: str) -> None:
    values = [LARGE, [5, 6] if target == "int8" else LARGE]
    labels = [make(value, dtype=dtype) for value, dtype in zip(values, (source, target), strict=True)]
    _, y, _ = pack_domains(X, labels[0], X, labels[1])
    assert y.dtype == expected
    assert list(y) == values[0] + values[1]


def test_the_largest_integers_of_two_dtypes() -> None:
    y_src, y_tgt = np.array([2**64 - 1, 2**64 - 2], "uint64"), np.array([0, 1])
    _, y, _ = pack_domains(X, y_src, X, y_tgt)
    assert y.tolist() == [2**64 - 1, 2**64 - 2, 0, 1]
    with pytest.raises(
        ValueError, match=r"hold integers as large as 18446744073709551615 in uint64 and int64"
    ):
        pack_domains(X, y_src, X, y_tgt - 1)


@pytest.mark.parametrize(
    ("source", "target", "expected"), [("uint64", "int64", "int64"), ("UInt64", "Int64", "Int64")]
)
def test_columns_of_frames(source: str, target: str, expected: str) -> None:
    frames = [
        pd.DataFrame({"n": pd.array(LARGE, dtype=dtype), "x": [0.5, 1.5]}) for dtype in (source, target)
    ]
    stacked, _, _ = pack_domains(frames[0], None, frames[1], None)
    assert [str(dtype) for dtype in stacked.dtypes] == [expected, "float64"]
    assert stacked["n"].tolist() == LARGE * 2


def test_missing_integers_of_two_dtypes() -> None:
    frames = [pd.DataFrame({"n": pd.array([2**60 + 1, None], dtype=dtype)}) for dtype in ("UInt64", "Int64")]
    stacked, _, _ = pack_domains(frames[0], None, frames[1], None)
    assert stacked["n"].dropna().tolist() == [2**60 + 1] * 2
    assert stacked["n"].isna().tolist() == [False, True] * 2


TIMES = np.array(["2020", "2021"], "M8[D]")
REFUSED: list[tuple[Any, Any, str]] = [
    (np.array(LARGE), np.array([0.5, 1.5]), "as large as 1152921504606846977 in int64 and float64"),
    (pd.Series(LARGE, dtype="Int64"), pd.Series([0.5, 1.5]), "Columns 'labels' hold integers as large as"),
    (TIMES, np.array(["a", "b"]), r"mix times with text, got datetime64\[D\] and <U1. Convert one"),
    (TIMES, np.array([1, 2]), "mix times with numbers"),
    (TIMES, np.array(["a", 1], object), "mix times with objects"),
    (TIMES, TIMES - TIMES[0], "mix times with lengths of time"),
    (pd.Series(TIMES), pd.Series(["a", "b"]), r"Column 'labels' must be of one kind .*Convert one\."),
    (pd.Series(TIMES), pd.Series(TIMES).dt.tz_localize("UTC"), "Column 'labels' must be of one kind"),
]


@pytest.mark.parametrize(("y_src", "y_tgt", "message"), REFUSED)
def test_labels_without_a_common_dtype_are_refused(y_src: Any, y_tgt: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_domains(X, y_src, X, y_tgt)


def test_numbers_that_floats_hold_are_stacked() -> None:
    _, y, _ = pack_domains(X, np.array([2**53, 1]), X, np.array([0.5, 1.5]))
    assert y.tolist() == [2.0**53, 1.0, 0.5, 1.5]
