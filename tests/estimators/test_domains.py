"""Rows and domains: what is taken, what is refused, and how rows come back."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import tiny_tgdp

from sktgdp.estimators._rows.domains import Domains, InputForm, check_domains, check_rows, split_domains
from sktgdp.exceptions import ColumnError

TABLE = np.array([[0.2, -3.7, 400.0], [0.7, 2.5, -1.0]])


def roundtrip(X: Any, rows: Any) -> Any:
    return InputForm.of(X, check_rows(X, "X")).restore(np.asarray(rows, dtype=np.float64))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_keep_their_type(dtype: Any) -> None:
    X = TABLE.astype(dtype)
    restored = roundtrip(X, X)
    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored, X)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_integers_are_rounded_within_their_range(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    restored = roundtrip(np.eye(2, 3, dtype=dtype) + np.eye(2, 3, 2, dtype=dtype), TABLE)
    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored, np.clip(np.rint(TABLE), limits.min, limits.max))


def test_booleans_are_cut_at_one_half() -> None:
    restored = roundtrip(np.array([[1, 0, 1], [0, 1, 0]], bool), TABLE)
    np.testing.assert_array_equal(restored, [[False, False, True], [True, True, False]])


def test_lists_become_floats() -> None:
    assert roundtrip([[1, 2], [3, 4]], [[1.5, 2.5]]).tolist() == [[1.5, 2.5]]


def test_frames_keep_columns_and_types() -> None:
    frame = pd.DataFrame(
        {
            "age": np.array([50, 61], np.int16),
            "ratio": np.array([0.5, 0.25], np.float32),
            "smokes": [True, False],
            "dose": [1.5, 2.5],
        },
        index=["a", "b"],
    )
    restored = roundtrip(frame, [[49.6, 0.125, 0.9, 3.25]] * 3)
    assert restored.dtypes.tolist() == frame.dtypes.tolist()
    assert restored.columns.tolist() == frame.columns.tolist()
    assert restored.iloc[0].tolist() == [50, 0.125, True, 3.25]
    assert len(restored) == 3


def test_frames_with_nullable_types() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]}).convert_dtypes()
    restored = roundtrip(frame, [[1.7, 0.25, 0.1]])
    assert restored.dtypes.tolist() == frame.dtypes.tolist()
    assert restored.iloc[0].tolist() == [2, 0.25, False]


def test_series_keep_their_rank() -> None:
    series = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert InputForm.of(series, check_rows(series, "X")).event_shape == (3, 4)
    np.testing.assert_array_equal(roundtrip(series, series), series)


# Splitting ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("frame", [False, True])
def test_stacked_rows_are_split(frame: bool, rng: np.random.Generator) -> None:
    """>= 0 is source, < 0 is target, in the order of the rows."""
    X, y = rng.normal(size=(7, 2)), np.array(list("abcdefg"))
    domain = [1, -1, 0, 2, -3, 1, -1]
    X = pd.DataFrame(X) if frame else X
    X_src, y_src, X_tgt, y_tgt = split_domains(X, y, None, None, domain)
    np.testing.assert_array_equal(X_src, np.asarray(X)[[0, 2, 3, 5]])
    np.testing.assert_array_equal(X_tgt, np.asarray(X)[[1, 4, 6]])
    assert (y_src.tolist(), y_tgt.tolist()) == (list("acdf"), list("beg"))
    assert isinstance(X_src, pd.DataFrame) == frame


def test_four_arrays_pass_through() -> None:
    arrays = (TABLE, [1, 2], TABLE[:1], [1])
    assert split_domains(*arrays, None) == arrays


def test_stacked_rows_without_labels() -> None:
    assert split_domains(TABLE, None, None, None, [0, -1])[1::2] == (None, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TABLE, None, TABLE, None, [0, -1]), "both sample_domain and X_tgt"),
        ((TABLE, [0, 1], None, [0], [0, -1]), "both sample_domain and X_tgt or y_tgt"),
        ((TABLE, None, None, None, [0, -1, 1]), "one number per row: found 3 for 2 in X_src"),
        ((TABLE, [1], None, None, [0, -1]), "one number per row: found 2 for 1 in y_src"),
        ((TABLE, None, None, None, ["s", "t"]), "sample_domain must hold numbers"),
        ((TABLE, None, None, None, [0, np.nan]), "without NaN"),
    ],
)
def test_refused_stacks(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_domains(*arguments)


# Checks ---------------------------------------------------------------------------------------------
def test_checked_domains() -> None:
    frame = pd.DataFrame(TABLE, columns=list("abc"))
    source, y_source, target, y_target = check_domains(Domains(frame, ["u", "v"], frame, ["v", "v"]))
    assert source is target is frame, "a frame's columns are the transformer's business"
    assert (list(y_source), list(y_target)) == (["u", "v"], ["v", "v"])


def test_input_is_not_changed() -> None:
    X = TABLE.copy()
    rows = check_rows(X, "X")
    rows += 1.0 if rows is not X else 0.0
    np.testing.assert_array_equal(X, TABLE)


def test_frames_must_agree_in_their_columns() -> None:
    frame = pd.DataFrame(TABLE, columns=list("abc"))
    with pytest.raises(ValueError, match=r"same columns in the same order; give X_tgt\[X_src.columns\]"):
        check_domains(Domains(frame, None, frame[["b", "a", "c"]], None))
    other = frame.rename(columns={"b": "z"})
    with pytest.raises(ValueError, match=r"order: X_tgt lacks \['b'\], and X_src lacks \['z'\]\."):
        check_domains(Domains(frame, None, other, None))
    with pytest.raises(ValueError, match=r"order: X_tgt lacks \['c'\]\."):
        check_domains(Domains(frame, None, frame[["a", "b"]], None))


def test_no_target_row_is_marked() -> None:
    """Domains coded as 0 and 1, or folds that know no domains."""
    with pytest.raises(ValueError, match=r"0 sample\(s\) of the target.*pack_domains.*StratifiedTarget"):
        tiny_tgdp().fit(np.eye(4), sample_domain=[0, 0, 1, 1])


def test_other_order_of_the_arguments() -> None:
    """As train_test_split gives them."""
    y = np.array([0, 1])
    with pytest.raises(ValueError, match=r"X_tgt is a vector.*fit\(X_src, y_src, X_tgt, y_tgt\)"):
        check_domains(Domains(TABLE, TABLE, y, y))
    frame = pd.DataFrame(TABLE)
    with pytest.raises(ValueError, match=r"table of shape \(2, 3\)"):
        check_domains(Domains(frame, frame, pd.Series(y), y))


def test_objects_beside_a_frame() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "city": ["Basel", "Genf"]})
    with pytest.raises(TypeError, match=r"X_tgt is an array of objects.*\['x', 'city'\]"):
        check_domains(Domains(frame, None, frame.to_numpy(), None))


def test_complaints_about_the_target_name_the_source() -> None:
    source = pd.DataFrame({"x": [1.0, 2.0, 3.0] * 4, "city": ["Basel", "Genf", "Bern"] * 4})
    for target, words in (
        (
            source.assign(city="Zug"),
            r"X_tgt: .*'city' has categories unknown in X_src.*CategoricalDtype",
        ),
        (source.assign(x=[None, 1.0, 2.0] * 4), "X_tgt: Column 'x' has missing values; it had none in X_src"),
    ):
        with pytest.raises(ValueError, match=words):
            tiny_tgdp().fit(source, None, target)


def test_remedies_come_apart_from_what_is_wrong() -> None:
    source = pd.DataFrame({"city": ["Basel", "Genf", "Bern"] * 4})
    with pytest.raises(ColumnError) as raised:
        tiny_tgdp().fit(source, None, source.assign(city="Zug"))
    error = pickle.loads(pickle.dumps(raised.value))  # as from a worker
    assert (error.kind, error.problem) == (
        "unknown",
        "X_tgt: Column 'city' has categories unknown in X_src: ['Zug'].",
    )
    assert str(error) == f"{error.problem} {error.remedy}"
    assert "CategoricalDtype" in error.remedy


def test_non_numeric_columns_are_named() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0], "city": ["Basel", "Genf"]})
    with pytest.raises(ValueError, match=r"X_tgt has columns that are not numeric: \['city'\]"):
        check_domains(Domains(TABLE[:, :2], None, frame, None))
