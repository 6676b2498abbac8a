"""Encoding of mixed tables: the way there and back, for every dtype, and every complaint."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sktgdp.preprocessing import MixedTypeEncoder

Floats = NDArray[np.float64]


# There and back -------------------------------------------------------------------------------------
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
CITIES = ["Oslo", "Lima", "Oslo", "Rome", "Oslo"]
TIMES = ["2024-01-31", "2023-05-01 13:00", "1969-12-31 23:59:59", "2024-02-29", "2024-01-31"]
ORDERED = pd.CategoricalDtype(["small", "medium", "large", "never seen"], ordered=True)
COLUMNS: dict[str, pd.Series] = {
    **{dtype: pd.Series([3, 1, 4, 1, 100], dtype=dtype) for dtype in INTEGERS},
    **{dtype: pd.Series([3, 1, 4, 1, 100], dtype=dtype) for dtype in ["Int8", "Int64", "UInt32"]},
    **{d: pd.Series([0.1, -2.5, 3e4, 7.0, 1e-3], dtype=d) for d in ["float16", "float32", "float64"]},
    **{d: pd.Series([0.1, -2.5, 3e4, 7.0, 1e-3], dtype=d) for d in ["Float32", "Float64"]},
    **{dtype: pd.Series([True, False, False, True, True], dtype=dtype) for dtype in ["bool", "boolean"]},
    **{dtype: pd.Series(CITIES, dtype=dtype) for dtype in ["object", "string", "category"]},
    "inferred strings": pd.Series(CITIES),
    "ordered": pd.Series(["small", "large", "small", "medium", "large"], dtype=ORDERED),
    "integer categories": pd.Series([7, 3, 7, 7, -1], dtype="category"),
    "intervals": pd.cut(pd.Series([0.1, 0.4, 0.9, 0.2, 0.5]), 3),
    "mixed objects": pd.Series([1, True, "1", (1, 2), Decimal(3)], dtype=object),
    "boolean objects": pd.Series([True, False, True, True, False], dtype=object),
    "timedelta": pd.Series(pd.to_timedelta(["1D", "-3h", "5s", "1D", "0s"])),
}
MOMENTS = pd.Series(pd.to_datetime(TIMES, format="mixed"))
COLUMNS |= {f"datetime64[{unit}]": MOMENTS.dt.as_unit(unit) for unit in ["s", "ms", "us", "ns"]}
COLUMNS["aware"] = MOMENTS.dt.tz_localize("Europe/Oslo")
MAY_MISS = [name for name in COLUMNS if name != "bool" and name not in INTEGERS]


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """All the same, but rounding errors in floats, as large as those of the largest in the column."""
    for name, column in expected.items():
        exact = column.dtype.kind != "f"
        error = {} if exact else {"rtol": 1e-12, "atol": 1e-14 * float(column.abs().max())}
        pd.testing.assert_series_equal(found[name], column, check_exact=exact, **error)
        if column.dtype == object:  # 1 == True
            assert [type(value) for value in found[name]] == [type(value) for value in column]
    pd.testing.assert_frame_equal(found, expected)


def assert_round_trip(frame: pd.DataFrame, **parameters: Any) -> MixedTypeEncoder:
    encoder = MixedTypeEncoder(**parameters)
    z = encoder.fit_transform(frame)
    assert z.dtype == np.float64
    assert z.shape == (len(frame), len(encoder.get_feature_names_out()))
    assert np.isfinite(z).all()
    assert_same(encoder.inverse_transform(z), frame.reset_index(drop=True))
    return encoder


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("numeric", ["standard", "quantile"])
@pytest.mark.parametrize("name", COLUMNS)
def test_round_trip(name: str, numeric: str, clip: bool) -> None:
    if name in ("timedelta", "aware") or name.startswith("datetime"):
        numeric = "standard"  # quantiles give no more than rounding, as seconds over decades show
    encoder = assert_round_trip(COLUMNS[name].to_frame("column"), numeric=numeric, clip=clip)
    assert_round_trip(COLUMNS[name].to_frame("column").iloc[[2]], numeric=numeric, clip=clip)  # one row
    assert list(encoder.column_kinds_) == ["column"]


@pytest.mark.parametrize("name", MAY_MISS)
def test_round_trip_with_missing_values(name: str) -> None:
    column = COLUMNS[name].copy()
    column[[0, 3]] = None
    encoder = assert_round_trip(column.to_frame("column"))
    assert encoder.get_feature_names_out()[-1] == "column_missing"
    assert_round_trip(column.to_frame("column").iloc[[1, 3]])
    # rows without missing values are no surprise later
    full = column.to_frame("column").dropna()
    assert_same(encoder.inverse_transform(encoder.transform(full)), full.reset_index(drop=True))


def test_marks_of_missing_objects() -> None:
    for mark in (None, np.nan, pd.NaT, pd.NA):
        frame = pd.DataFrame({"a": pd.Series(["x", mark, 3, mark], dtype=object)})
        back = MixedTypeEncoder().fit(frame).inverse_transform(MixedTypeEncoder().fit_transform(frame))
        assert back["a"][1] is mark
        assert back["a"].tolist()[::2] == ["x", 3]


def moderate(dtype: str) -> st.SearchStrategy[int]:
    limits = np.iinfo(dtype.lower())
    return st.integers(max(int(limits.min), -(2**48)), min(int(limits.max), 2**48))


REALS = st.floats(-1e6, 1e6)
DATETIMES = st.datetimes(datetime(1995, 1, 1), datetime(2025, 1, 1))
SPANS = st.timedeltas(timedelta(-3000), timedelta(3000))
WORDS = st.text(max_size=3)
# dtype: values, and whether it has a missing value
RECIPES: dict[str, tuple[st.SearchStrategy[Any], bool]] = {
    **{dtype: (moderate(dtype), False) for dtype in INTEGERS},
    **{dtype: (moderate(dtype), True) for dtype in ["Int16", "Int64", "UInt8"]},
    "float32": (st.floats(-1e6, 1e6, width=32), True),
    "float64": (REALS, True),
    "Float64": (REALS, True),
    "bool": (st.booleans(), False),
    "boolean": (st.booleans(), True),
    "datetime64[us]": (DATETIMES, True),
    "datetime64[s]": (DATETIMES, True),
    "datetime64[us, Asia/Tokyo]": (DATETIMES, True),
    "timedelta64[us]": (SPANS, True),
    "category": (WORDS, True),
    "object": (st.one_of(WORDS, st.booleans(), st.integers(-2, 2), st.tuples(st.integers(0, 1))), True),
    "string": (WORDS, True),
    "str": (WORDS, True),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    n = draw(st.integers(1, 12))
    columns: dict[str, pd.Series] = {}
    for dtype in draw(st.lists(st.sampled_from(sorted(RECIPES)), min_size=1, max_size=5)):
        values, may_miss = RECIPES[dtype]
        kept = draw(st.lists(values, min_size=n, max_size=n))
        if may_miss and draw(st.booleans()):
            missing = draw(st.lists(st.booleans(), min_size=n - 1, max_size=n - 1))
            kept = [kept[0], *(None if m else v for m, v in zip(missing, kept[1:], strict=True))]
        target = object if dtype == "str" and pd.__version__ < "3" else dtype
        columns[f"{len(columns)}: {dtype}"] = pd.Series(kept, dtype=target)
    return pd.DataFrame(columns)


def assert_valid(found: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """Rows that might come from the fitted frame: dtypes, ranges and categories."""
    assert found.columns.equals(fitted.columns)
    assert found.dtypes.tolist() == fitted.dtypes.tolist()
    assert isinstance(found.index, pd.RangeIndex)
    for name, column in fitted.items():
        known, values = column.dropna(), found[name].dropna()
        if not column.hasnans:
            assert len(values) == len(found)
        if known.dtype.kind in "iufmM":
            assert values.between(known.min(), known.max()).all()
        elif known.dtype.kind == "O":
            assert {(type(v), v) for v in values} <= {(type(v), v) for v in known}


@given(frames())
@settings(max_examples=60, deadline=None)
def test_random_frames(frame: pd.DataFrame) -> None:
    encoder = assert_round_trip(frame)
    z = 50.0 * np.random.default_rng(0).normal(size=(20, encoder.transform(frame).shape[1]))
    assert_valid(encoder.inverse_transform(z), frame)
    assert_valid(encoder.inverse_transform(z.astype(np.float32)), frame)


@given(frames())
@settings(max_examples=20, deadline=None)
def test_random_frames_by_quantiles(frame: pd.DataFrame) -> None:
    encoder = MixedTypeEncoder(numeric="quantile").fit(frame)
    z = 50.0 * np.random.default_rng(0).normal(size=(20, encoder.transform(frame).shape[1]))
    assert_valid(encoder.inverse_transform(z), frame)
    assert_valid(encoder.inverse_transform(encoder.transform(frame)), frame)


@pytest.mark.parametrize("dtype", [*INTEGERS, "Int64", "UInt64", "float16", "float32", "float64"])
def test_inside_the_dtype_without_clip(dtype: str) -> None:
    """Even of columns that use all of it, and with nothing that numpy would warn of."""
    limits: Any = np.finfo(dtype) if dtype.startswith("f") else np.iinfo(dtype.lower())
    big = limits.max if limits.dtype.itemsize < 8 or limits.dtype.kind != "f" else 1e100
    frame = pd.DataFrame({"all of it": [limits.min if big == limits.max else -big, 0, big], "b": [1, 2, 3]})
    frame = frame.astype(dtype)
    for clip in (True, False):
        encoder = MixedTypeEncoder(clip=clip).fit(frame)
        found = encoder.inverse_transform([[1e9, 1e12], [-1e9, -1e12], [0.0, 0.0]])
        assert found.dtypes.tolist() == frame.dtypes.tolist()
        assert found.iloc[0, 0] > 0.999 * float(big)
        assert found.iloc[1, 0] < 0.999 * float(frame.iloc[0, 0]) or found.iloc[1, 0] == 0
        assert np.isfinite(found.astype(float)).all(axis=None)
        assert (found.iloc[:, 1].tolist() == [3, 1, 2]) == clip


@pytest.mark.parametrize("offset", [0, 2**62, -(2**63), 2**63 - 1 - 2**40])
def test_large_integers_stay_exact(offset: int, rng: np.random.Generator) -> None:
    identifiers = pd.DataFrame({"id": rng.integers(0, 2**40, 500) + np.int64(offset)})
    assert_round_trip(identifiers)
    unsigned = pd.DataFrame({"id": rng.integers(0, 2**40, 500).astype(np.uint64) + np.uint64(2**64 - 2**40)})
    assert_round_trip(unsigned)
    far = MixedTypeEncoder(clip=False).fit(identifiers)
    with_limits = pd.DataFrame({"id": [-(2**63), 0, 2**63 - 1]})
    assert np.isfinite(far.transform(with_limits)).all()
    assert (np.diff(far.transform(with_limits)[:, 0]) > 0).all()


def test_dates_stay_dates(rng: np.random.Generator) -> None:
    """Drawn times have the resolution of the fitted ones."""
    days = pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 900, 50), unit="D")
    frame = pd.DataFrame(
        {
            "date": days.as_unit("ns"),
            "hour": days.as_unit("us") + pd.to_timedelta(rng.integers(0, 24, 50), unit="h"),
            "shift": pd.to_timedelta(15 * rng.integers(0, 9, 50), unit="min").as_unit("s"),
        }
    )
    drawn = MixedTypeEncoder().fit(frame).inverse_transform(rng.normal(size=(200, 3)))
    assert (drawn["date"] == drawn["date"].dt.normalize()).all()
    assert drawn["date"].nunique() > 50
    assert (drawn["hour"] == drawn["hour"].dt.floor("h")).all()
    assert (drawn["shift"] == drawn["shift"].dt.floor("min")).all()
    assert (drawn["hour"] != drawn["hour"].dt.normalize()).any()


def test_times_in_another_unit_or_zone() -> None:
    frame = COLUMNS["datetime64[us]"].to_frame("t")
    encoder = MixedTypeEncoder().fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame.astype("datetime64[ns]")), encoder.transform(frame))
    aware = COLUMNS["aware"].to_frame("t")
    encoder = MixedTypeEncoder().fit(aware)
    z = encoder.transform(aware.assign(t=aware["t"].dt.tz_convert("Asia/Tokyo")))
    np.testing.assert_array_equal(z, encoder.transform(aware))
    with pytest.raises(TypeError, match="Column 't' was of dtype datetime64"):
        encoder.transform(frame)


def test_equal_objects_of_several_types() -> None:
    """True == 1 == 1.0: told apart where the fitted column has them all, one where it does not."""
    encoder = assert_round_trip(pd.DataFrame({"a": pd.Series([1, 1.0, True, "x"], dtype=object)}))
    assert len(encoder.categories_["a"]) == 4
    encoder = MixedTypeEncoder().fit(pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}))
    assert encoder.inverse_transform(encoder.transform(pd.DataFrame({"a": [1.0, True]})))["a"].tolist() == [
        1,
        1,
    ]


@pytest.mark.parametrize("columns", [[0, 1, 2], [("a", 1), ("a", 2), ("b", 1)]])
def test_names_that_are_no_strings(columns: list[Any]) -> None:
    frame = pd.DataFrame([[1, 2.5, "a"], [3, 4.5, "b"]])
    frame.columns = pd.Index(columns)
    encoder = assert_round_trip(frame)
    assert encoder.get_feature_names_out().tolist() == ["x0", "x1", "x2_a", "x2_b"]
    assert list(encoder.output_slices_) == columns
    with pytest.raises(ValueError, match="feature names should match"):
        encoder.transform(frame.iloc[:, [1, 0, 2]])


# Arrays ---------------------------------------------------------------------------------------------
class NoPandas:
    """Finds that there is no pandas."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "pandas":
            raise ImportError(name)


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16", "float32", "float64", "bool", "U4", "S4"])
def test_arrays_need_no_pandas(dtype: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    table = rng.integers(0, 9, (20, 3)).astype(dtype)
    monkeypatch.delitem(sys.modules, "pandas")
    monkeypatch.setattr(sys, "meta_path", [NoPandas(), *sys.meta_path])
    encoder = MixedTypeEncoder().fit(table)
    back = encoder.inverse_transform(encoder.transform(table))
    assert back.dtype == table.dtype
    np.testing.assert_array_equal(back, table)
    assert list(encoder.column_kinds_) == [0, 1, 2]
    with pytest.raises(ImportError):
        MixedTypeEncoder().fit(table.astype(object))


def test_array_with_missing_values(rng: np.random.Generator) -> None:
    table = rng.normal(size=(50, 2))
    table[::5, 1] = np.nan
    encoder = MixedTypeEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == ["x0", "x1", "x1_missing"]
    np.testing.assert_allclose(encoder.inverse_transform(encoder.transform(table)), table, rtol=1e-12)
    with pytest.raises(ValueError, match="Column 0 has missing values"):
        encoder.transform(table[:, ::-1])


def test_array_of_objects() -> None:
    table = np.array(
        [[1, 0.5, "x", True, None], [2, None, None, False, 3], [1, 2.5, 7, True, "a"]], dtype=object
    )
    encoder = MixedTypeEncoder().fit(table)
    kinds = ["integer", "numeric", "categorical", "boolean", "categorical"]
    assert list(encoder.column_kinds_.values()) == kinds
    back = encoder.inverse_transform(encoder.transform(table))
    assert back.dtype == object
    assert back[:, [0, 2, 3, 4]].tolist() == table[:, [0, 2, 3, 4]].tolist()
    np.testing.assert_allclose(back[:, 1].astype(float), [0.5, np.nan, 2.5])


def test_array_of_times() -> None:
    table = np.array([["2020-01-01", "2021-03-04"], ["2020-01-05", "NaT"]], dtype="datetime64[D]")
    encoder = MixedTypeEncoder().fit(table)
    back = encoder.inverse_transform(encoder.transform(table))
    assert back.dtype == table.dtype
    np.testing.assert_array_equal(back, table)


# Real data ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_adult(data_dir: Path, numeric: str, rng: np.random.Generator) -> None:
    names = (
        "age workclass fnlwgt education education-num marital-status occupation relationship race sex "
        "capital-gain capital-loss hours-per-week native-country income"
    )
    path = data_dir / "adult" / "adult.data"
    adult = pd.read_csv(path, names=names.split(), skipinitialspace=True, na_values="?", nrows=8000)
    adult = adult.astype(
        {"education": "category", "age": "int8", "fnlwgt": "Int64", "capital-gain": "float32"}
    )
    adult.loc[::7, "fnlwgt"] = pd.NA
    assert adult["occupation"].hasnans
    encoder = assert_round_trip(adult, numeric=numeric)
    assert_valid(
        encoder.inverse_transform(50.0 * rng.normal(size=(500, len(encoder.get_feature_names_out())))), adult
    )


def test_names_of_the_columns_are_names() -> None:
    encoder = MixedTypeEncoder().fit(np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match="input_features has a name more than once"):
        encoder.get_feature_names_out(["a", "b", "a"])
    for names in ("abc", 5, [["a", "b", "c"]]):
        with pytest.raises(ValueError, match="input_features must be 3 names"):
            encoder.get_feature_names_out(names)


def test_masks_hide_nothing() -> None:
    X = np.arange(6.0).reshape(2, 3)
    hidden = np.ma.MaskedArray(X, mask=X > 4)
    encoder = MixedTypeEncoder().fit(X)
    for refused in (encoder.fit, encoder.transform, encoder.inverse_transform):
        with pytest.raises(ValueError, match="X is a masked array that hides 1 values"):
            refused(hidden)
