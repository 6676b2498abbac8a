"""Encoding of mixed tables: what the encoded columns are like, and every complaint."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktgdp.preprocessing import MixedTypeEncoder, RowStandardizer

ORDERED = pd.CategoricalDtype(["small", "medium", "large", "never seen"], ordered=True)


@parametrize_with_checks([MixedTypeEncoder(), MixedTypeEncoder(numeric="quantile", clip=False)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


# The encoded columns --------------------------------------------------------------------------------
@pytest.fixture
def people(rng: np.random.Generator) -> pd.DataFrame:
    """Like the census: skewed, whole, yes or no, rare categories, dates, and holes."""
    n = 400
    born = pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 18000, n), unit="D")
    frame = pd.DataFrame(
        {
            "age": rng.integers(17, 90, n),
            "income": rng.lognormal(10.0, 1.0, n),
            "gain": np.where(rng.random(n) < 0.9, 0, rng.integers(1, 99999, n)),
            "married": rng.random(n) < 0.3,
            "city": rng.choice(["Lima", "Oslo", "Rome", "Ouagadougou"], n, p=[0.6, 0.3, 0.09, 0.01]),
            "size": pd.Categorical(rng.choice(["small", "large"], n), dtype=ORDERED),
            "born": born,
        }
    )
    frame.loc[rng.random(n) < 0.2, "income"] = np.nan
    frame.loc[rng.random(n) < 0.1, "city"] = None
    return frame


@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_moments(people: pd.DataFrame, numeric: str) -> None:
    """Mean 0, and variance 1 of each column, or on the average over a block of categories."""
    encoder = MixedTypeEncoder(numeric=numeric)
    z = encoder.fit_transform(people)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-9)
    for name, at in encoder.output_slices_.items():
        variance = z[:, at].var(axis=0).mean()
        assert variance == pytest.approx(0.9 if name == "income" else 1.0, abs=0.03)
    assert z[:, encoder.output_slices_["city"]].max() < 50  # a rare category is not blown up
    pd.testing.assert_frame_equal(encoder.inverse_transform(z), people)


def test_quantiles_make_skewed_columns_normal(rng: np.random.Generator) -> None:
    skewed = pd.DataFrame({"a": rng.lognormal(0.0, 2.0, 5000), "b": 1e-12 * rng.exponential(size=5000)})
    encoder = MixedTypeEncoder(numeric="quantile").fit(skewed)
    z = encoder.transform(skewed)
    assert abs((z**3).mean(axis=0)).max() < 0.2
    np.testing.assert_allclose(encoder.inverse_transform(z), skewed, rtol=1e-5, atol=1e-17)


def test_quantiles_go_on_in_a_straight_line(rng: np.random.Generator) -> None:
    numbers = pd.DataFrame({"gain": np.where(rng.random(2000) < 0.9, 0.0, rng.exponential(100.0, 2000))})
    far = pd.DataFrame({"gain": [-500.0, 1e4, 2e4]})
    encoder = MixedTypeEncoder(numeric="quantile", clip=False).fit(numbers)
    z, (low, high) = encoder.transform(far)[:, 0], encoder.transform(numbers.agg(["min", "max"]))[:, 0]
    assert z[0] < low - 1
    assert z[1] > high + 1
    assert z[2] - z[1] == pytest.approx(1e4 / numbers["gain"].std(ddof=0))
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(far)), far)
    kept = MixedTypeEncoder(numeric="quantile").fit(numbers)
    between = np.linspace(-9.0, high + 9.0, 500)[:, None]  # what lies near the zeros is zero
    drawn = kept.inverse_transform(between)["gain"]
    assert (drawn[between[:, 0] < 0] == 0.0).all()
    assert drawn.max() == numbers["gain"].max()
    assert kept.widened(far).inverse_transform(kept.transform(far))["gain"].tolist() == pytest.approx(
        far["gain"].tolist()
    )


@pytest.mark.parametrize("more", ["city", "income", "gain"])  # categories, missing values, many zeros
def test_auto_takes_quantiles_where_there_is_no_density(people: pd.DataFrame, more: str) -> None:
    numbers = people[["age", "married", "born"]]
    auto, standard = MixedTypeEncoder(numeric="auto").fit(numbers), MixedTypeEncoder().fit(numbers)
    np.testing.assert_array_equal(auto.transform(numbers), standard.transform(numbers))
    assert np.isfinite(auto.log_abs_det_jacobian((3,)))
    frame = people[["age", "married", "born", more]]
    auto, quantile, standard = (
        MixedTypeEncoder(numeric=n).fit(frame) for n in ("auto", "quantile", "standard")
    )
    z, by_quantiles, plain = (e.transform(frame) for e in (auto, quantile, standard))
    np.testing.assert_array_equal(z[:, 0], by_quantiles[:, 0])
    np.testing.assert_array_equal(z[:, 1:3], plain[:, 1:3])  # booleans, and times to the last bit
    with pytest.raises(
        ValueError, match=r"Densities are not defined .* MixedTypeEncoder\(numeric='standard'"
    ):
        auto.log_abs_det_jacobian((4,))


def levelled(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Columns of few values, with a category that makes it a table without density."""
    years = rng.integers(5, 12, n)
    return pd.DataFrame(
        {
            "years": years,
            "marks": rng.choice([1.0, 1.3, 1.7, np.nan], n),
            "sex": rng.integers(0, 2, n),
            "age": np.arange(n) % 40,
            "degree": pd.Series(years).map("degree {}".format),
        }
    )


def test_few_values_get_indicators(rng: np.random.Generator) -> None:
    frame = levelled(rng, 400)
    encoder = MixedTypeEncoder(numeric="auto").fit(frame)
    names = encoder.get_feature_names_out().tolist()
    assert names[:8] == ["years", *(f"years_{k}" for k in range(5, 12))]
    assert names[8:15] == ["marks", "marks_missing", "marks_1.0", "marks_1.3", "marks_1.7", "sex", "age"]
    z = encoder.transform(frame)
    pd.testing.assert_frame_equal(encoder.inverse_transform(z), frame)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-9)
    assert z[:, encoder.output_slices_["years"]][:, 1:].var(axis=0).mean() == pytest.approx(1.0)
    # the largest indicator counts, not the number beside it
    z[:, 0] = 0.0
    z += rng.normal(size=z.shape, scale=0.2)
    pd.testing.assert_series_equal(encoder.inverse_transform(z)["years"], frame["years"])


def test_what_is_no_level_keeps_its_value(rng: np.random.Generator) -> None:
    frame = levelled(rng, 400)
    frame["years"] = frame["years"] * 2
    encoder = MixedTypeEncoder(numeric="auto", clip=False).fit(frame)
    other = frame.head(3).assign(years=[13, 27, 4], marks=[1.5, 1.7, np.nan])
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(other)), other)


@pytest.mark.parametrize(("n", "n_columns"), [(139, 1), (140, 8)])
def test_levels_need_rows(rng: np.random.Generator, n: int, n_columns: int) -> None:
    frame = levelled(rng, n)[["years", "degree"]]
    frame["years"] = np.arange(n) % 7
    at = MixedTypeEncoder(numeric="auto").fit(frame).output_slices_["years"]
    assert at == slice(0, n_columns)


def test_numbers_are_scaled_as_by_the_row_standardizer(rng: np.random.Generator) -> None:
    table = rng.normal([1.0, -200.0, 1e6], [3.0, 0.5, 1e-2], (1000, 3))
    scaler, encoder = RowStandardizer().fit(table), MixedTypeEncoder().fit(table)
    np.testing.assert_allclose(encoder.transform(table), scaler.transform(table), atol=1e-5)
    assert encoder.log_abs_det_jacobian((3,)) == pytest.approx(scaler.log_abs_det_jacobian((3,)))


@pytest.mark.parametrize("numeric", ["standard", "quantile"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e12, 1 / 3, 7, True, "x", pd.Timestamp("2020-02-29 12:34")])
def test_constant_columns(value: Any, numeric: str, rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"constant": [value] * 33, "other": rng.normal(size=33)})
    encoder = MixedTypeEncoder(numeric=numeric).fit(frame)
    z = encoder.transform(frame)
    np.testing.assert_array_equal(z[:, 0], 0.0)
    for each in (z, 50.0 * rng.normal(size=z.shape)):
        assert encoder.inverse_transform(each)["constant"].eq(value).all()
    again = MixedTypeEncoder(numeric=numeric, clip=False).fit(frame)
    assert again.inverse_transform(again.transform(frame))["constant"].eq(value).all()


def test_clip(rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2], "t": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    z = [[-9.0, -9.0, -9.0], [9.0, 9.0, 9.0]]
    pd.testing.assert_frame_equal(
        MixedTypeEncoder().fit(frame).inverse_transform(z), frame, check_dtype=False
    )
    free = MixedTypeEncoder(clip=False).fit(frame).inverse_transform(z)
    assert ((free < frame).iloc[0] & (free > frame).iloc[1]).all()


def test_attributes(people: pd.DataFrame) -> None:
    encoder = MixedTypeEncoder().fit(people)
    assert encoder.column_kinds_ == {
        "age": "integer",
        "income": "numeric",
        "gain": "integer",
        "married": "boolean",
        "city": "categorical",
        "size": "categorical",
        "born": "datetime",
    }
    assert encoder.categories_ == {
        "city": ["Lima", "Oslo", "Ouagadougou", "Rome"],
        "size": ["small", "medium", "large", "never seen"],
    }
    names = encoder.get_feature_names_out()
    assert names.tolist()[:6] == ["age", "income", "income_missing", "gain", "married", "city_Lima"]
    assert names[encoder.output_slices_["city"]].tolist()[-1] == "city_missing"
    assert encoder.output_slices_["born"] == slice(len(names) - 1, len(names))
    assert encoder.n_features_in_ == 7
    assert encoder.feature_names_in_.tolist() == list(people.columns)
    assert MixedTypeEncoder().fit(people[["age"]]).categories_ == {}


def test_a_declared_category_may_come_later() -> None:
    frame = pd.DataFrame({"a": pd.Series(["small", "large"], dtype=ORDERED)})
    late = pd.DataFrame({"a": pd.Series(["never seen", "small"], dtype=ORDERED)})
    encoder = MixedTypeEncoder().fit(frame)
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(late)), late)


def test_numbers_of_another_dtype_are_taken() -> None:
    encoder = MixedTypeEncoder().fit(pd.DataFrame({"a": [1, 2, 3], "b": [True, False, True]}))
    frame = pd.DataFrame({"a": [1.0, 3.0], "b": [0, 1]})
    expected = pd.DataFrame({"a": [1, 3], "b": [False, True]})
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(frame)), expected)
    assert encoder.transform(frame.assign(a=[1.0, 2.5]))[1, 0] > encoder.transform(frame.assign(a=2))[1, 0]


def test_set_output(people: pd.DataFrame) -> None:
    people.index = people.index + 7
    encoder = MixedTypeEncoder().set_output(transform="pandas").fit(people)
    z = encoder.transform(people)
    assert isinstance(z, pd.DataFrame)
    assert z.columns.tolist() == encoder.get_feature_names_out().tolist()
    assert z.index.equals(people.index)
    pd.testing.assert_frame_equal(encoder.inverse_transform(z), people.reset_index(drop=True))


def test_clone_pickle_and_refit(people: pd.DataFrame) -> None:
    encoder = clone(MixedTypeEncoder(numeric="quantile", clip=False)).fit(people)
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(people), encoder.transform(people))
    before = people.copy(deep=True)
    assert again.fit(np.eye(3)).transform(np.eye(3)).shape == (3, 3)
    pd.testing.assert_frame_equal(people, before)


# Densities ------------------------------------------------------------------------------------------
def test_jacobian(people: pd.DataFrame) -> None:
    frame = people[["age", "gain", "married", "born"]].assign(x=people["income"].fillna(0.0))
    encoder = MixedTypeEncoder().fit(frame)
    low, high = frame.iloc[[0]], frame.iloc[[0]].copy()
    high["x"] += 100.0
    high["age"] += 1
    high["gain"] += 1
    high["married"] = ~high["married"]
    high["born"] += pd.Timedelta(1, "D")
    day = pd.Timedelta(1, "D") // pd.Timedelta(1, frame["born"].dt.unit)
    slopes = np.abs(encoder.transform(high) - encoder.transform(low))[0] / [1, 1, 1, day, 100.0]
    assert encoder.log_abs_det_jacobian((5,)) == pytest.approx(np.log(slopes).sum())


@pytest.mark.parametrize("name", ["city", "size", "income"])
def test_no_density(people: pd.DataFrame, name: str) -> None:
    with pytest.raises(ValueError, match=rf"Densities are not defined .* columns \['{name}'\]"):
        MixedTypeEncoder().fit(people[["age", name]]).log_abs_det_jacobian((2,))
    with pytest.raises(ValueError, match=r"Densities are not defined .* \['age'\]"):
        MixedTypeEncoder(numeric="quantile").fit(people[["age"]]).log_abs_det_jacobian((1,))
    with pytest.raises(ValueError, match="event_shape"):
        MixedTypeEncoder().fit(people[["age"]]).log_abs_det_jacobian((2,))


# Complaints -----------------------------------------------------------------------------------------
BAD_IN_FIT: dict[str, tuple[pd.DataFrame, type[Exception], str]] = {
    "complex": (pd.DataFrame({"a": [1j]}), TypeError, "Column 'a' has dtype complex128.*must be of hashable"),
    "sparse": (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}), TypeError, "'a' has dtype Sparse"),
    "period": (pd.DataFrame({"a": pd.period_range("2020", periods=2)}), TypeError, "'a' has dtype period"),
    "interval": (pd.DataFrame({"a": pd.interval_range(0, 2)}), TypeError, "'a' has dtype interval"),
    "list": (pd.DataFrame({"a": [[1], [2]]}), TypeError, "Column 'a' of dtype object holds list"),
    "list in tuple": (pd.DataFrame({"a": [([],), 2]}), TypeError, "holds unhashable values"),
    "missing": (pd.DataFrame({"a": [np.nan, np.nan]}), ValueError, "Column 'a' has only missing values"),
    "none": (pd.DataFrame({"a": [None, None]}), ValueError, "Column 'a' has only missing values"),
    "NaT": (pd.DataFrame({"a": [pd.NaT]}), ValueError, "Column 'a' has only missing values"),
    "NA": (pd.DataFrame({"a": pd.array([None], "Int64")}), ValueError, "Column 'a' has only missing values"),
    "infinity": (pd.DataFrame({"a": [1.0, np.inf]}), ValueError, "Column 'a' contains infinity"),
    "too large": (pd.DataFrame({"a": [1e300, -1e300]}), ValueError, "Column 'a' has values too large"),
    "no rows": (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\).*shape=\(0, 1\)"),
    "no columns": (pd.DataFrame(index=[1, 2]), ValueError, r"0 feature\(s\).*shape=\(2, 0\)"),
    "duplicates": (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, r"several columns .*\['a'\]"),
}


@pytest.mark.parametrize("case", BAD_IN_FIT)
def test_refuses_in_fit(case: str) -> None:
    frame, error, message = BAD_IN_FIT[case]
    with pytest.raises(error, match=message):
        MixedTypeEncoder().fit(frame)


GOOD = pd.DataFrame({"a": [1.0, 2.0], "n": pd.array([1, None], "Int64"), "c": ["x", "y"], "f": [True, False]})
BAD_LATER: dict[str, tuple[pd.DataFrame, type[Exception], str]] = {
    "missing number": (
        GOOD.assign(a=[1.0, np.nan]),
        ValueError,
        "Column 'a' has missing values; it had none",
    ),
    "missing category": (
        GOOD.assign(c=["x", None]),
        ValueError,
        "Column 'c' has missing values; it had none",
    ),
    "unseen": (GOOD.assign(c=["x", "z"]), ValueError, r"Column 'c' has categories unknown in fit: \['z'\]\."),
    "infinity": (GOOD.assign(a=[1.0, -np.inf]), ValueError, "Column 'a' contains infinity"),
    "text for numbers": (GOOD.assign(a=["1", "2"]), TypeError, "Column 'a' was of dtype float64 in fit"),
    "text for booleans": (GOOD.assign(f=["no", "2"]), TypeError, "Column 'f' was of dtype bool in fit"),
    "lists": (GOOD.assign(c=[["x"], "y"]), TypeError, "Column 'c' .* holds list"),
    "reordered": (GOOD[["n", "a", "c", "f"]], ValueError, "feature names should match"),
    "too few": (GOOD[["a", "n", "c"]], ValueError, "feature names should match"),
    "renamed": (GOOD.rename(columns={"a": "b"}), ValueError, "feature names should match"),
}


@pytest.mark.parametrize("case", BAD_LATER)
def test_refuses_in_transform(case: str) -> None:
    frame, error, message = BAD_LATER[case]
    encoder = MixedTypeEncoder().fit(GOOD)
    with pytest.raises(error, match=message):
        encoder.transform(frame)
    assert encoder.transform(GOOD).shape == (2, 6)


def test_unseen_categories_are_named_up_to_five() -> None:
    encoder = MixedTypeEncoder().fit(pd.DataFrame({"a": list("abc")}))
    with pytest.raises(ValueError, match=r"\['t', 'u', 'v', 'w', 'x'\] and 2 more"):
        encoder.transform(pd.DataFrame({"a": list("atuvwxyzt")}))


def test_refuses_other_things() -> None:
    with pytest.raises(NotFittedError):
        MixedTypeEncoder().transform(GOOD)
    with pytest.raises(ValueError, match="'numeric' parameter"):
        MixedTypeEncoder(numeric="rank").fit(GOOD)
    with pytest.raises(ValueError, match="'clip' parameter"):
        MixedTypeEncoder(clip="yes").fit(GOOD)  # type: ignore[arg-type]
    encoder = MixedTypeEncoder().fit(GOOD)
    for broken in (np.nan, np.inf):
        with pytest.raises(ValueError, match="contains"):
            encoder.inverse_transform(np.full((2, 6), broken))
    with pytest.raises(ValueError, match="X has 5 columns; encoded rows have 6"):
        encoder.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="infinity"):
        MixedTypeEncoder().fit([[1.0, np.inf]])


# Decimals -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float64", "float32", "Float64"])
@pytest.mark.parametrize("numeric", ["standard", "quantile"])
@pytest.mark.parametrize("decimals", [0, 1, 3])
def test_decimals_come_back(decimals: int, numeric: str, dtype: str, rng: np.random.Generator) -> None:
    """As dropping rows leaves whole numbers as floats, and as prices are written."""
    values = np.round(rng.normal(3.0, 2.0, 90), decimals)
    X = pd.DataFrame({"x": values}).astype(dtype)
    encoder = MixedTypeEncoder(numeric=numeric).fit(X)
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(X)), X)
    back = encoder.inverse_transform(rng.normal(size=(60, 1)))["x"].astype("float64").to_numpy()
    np.testing.assert_allclose(back, np.round(back, decimals), atol=1e-6)
    assert len(np.unique(np.round(back, 6))) > 3
    assert X["x"].min() <= back.min() < back.max() <= X["x"].max()


def test_decimals_of_missing_and_of_many(rng: np.random.Generator) -> None:
    X = pd.DataFrame(
        {"hole": [1.0, None, 4.0] * 20, "free": rng.normal(size=60), "tiny": 1e-9 * np.arange(60)}
    )
    encoder = MixedTypeEncoder().fit(X)
    back = encoder.inverse_transform(rng.normal(size=(40, 4)))
    assert (back["hole"].dropna() % 1 == 0).all()
    assert (back["free"] != back["free"].round(6)).mean() > 0.9
    assert len(back["tiny"].unique()) > 20


def test_further_rows_may_have_more_decimals(rng: np.random.Generator) -> None:
    X = pd.DataFrame({"x": rng.integers(0, 50, 80).astype(float)})
    encoder = MixedTypeEncoder().fit(X)
    z = rng.normal(size=(40, 1))
    tenths = encoder.widened(X / 10).inverse_transform(z)["x"]
    assert (tenths % 1 != 0).any()
    np.testing.assert_array_equal(tenths, tenths.round(1))
    free = encoder.widened(X / 7).inverse_transform(z)["x"]
    assert (free != free.round(6)).mean() > 0.8  # the ends come back as they were
    assert (encoder.inverse_transform(z)["x"] % 1 == 0).all()


@pytest.mark.parametrize("value", [1e100, -1e18, 2.0**60, 1e-12])
def test_decimals_of_extreme_values(value: float) -> None:
    X = pd.DataFrame({"x": [value, 2 * value, 3 * value, 4 * value]})
    encoder = MixedTypeEncoder(numeric="quantile").fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    np.testing.assert_allclose(back["x"], X["x"], rtol=1e-9)
