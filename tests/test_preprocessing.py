"""Standardisation of tables and series, against moments, round trips and its own Jacobian."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from sktgdp.preprocessing import RowStandardizer

Floats = NDArray[np.float64]


@pytest.fixture(params=["table", "series"])
def rows(request: pytest.FixtureRequest, rng: np.random.Generator) -> Floats:
    if request.param == "table":
        return rng.normal([1.0, -200.0, 0.01], [3.0, 0.5, 1e-3], (200, 3))
    scale = np.array([1.0, 50.0])[:, None]
    return scale * rng.normal(size=(100, 2, 12)) + 3.0 * scale


@pytest.mark.parametrize("common_scale", [False, True])
def test_round_trip(rows: Floats, common_scale: bool) -> None:
    scaler = RowStandardizer(common_scale=common_scale).fit(rows)
    z = scaler.transform(rows)
    assert z.shape == rows.shape
    assert z.dtype == np.float64
    np.testing.assert_allclose(scaler.inverse_transform(z), rows, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(RowStandardizer(common_scale=common_scale).fit_transform(rows), z)


def test_moments(rows: Floats) -> None:
    """Mean 0 and standard deviation 1 of every column, or of every channel."""
    z = np.moveaxis(RowStandardizer().fit_transform(rows), 1, 0).reshape(rows.shape[1], -1)
    np.testing.assert_allclose(z.mean(axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose(z.std(axis=1), 1.0)


def test_agrees_with_scikit_learn(rng: np.random.Generator) -> None:
    table = rng.normal([1.0, -5.0], [3.0, 0.1], (50, 2))
    expected = StandardScaler().fit_transform(table)
    np.testing.assert_allclose(RowStandardizer().fit_transform(table), expected, atol=1e-12)


def test_common_scale(rows: Floats) -> None:
    """One scale for all: the mean square deviation becomes 1, and ratios of spreads stay."""
    scaler = RowStandardizer(common_scale=True).fit(rows)
    z = scaler.transform(rows)
    assert np.square(z).mean() == pytest.approx(1.0)
    assert np.unique(scaler.scale_).size == 1


@pytest.mark.parametrize("common_scale", [False, True])
def test_jacobian(rows: Floats, common_scale: bool) -> None:
    scaler = RowStandardizer(common_scale=common_scale).fit(rows)
    mean, scale = (torch.from_numpy(np.array(a)) for a in (scaler.mean_, scaler.scale_))
    row = torch.from_numpy(rows[0])
    size = row.numel()
    jacobian = torch.autograd.functional.jacobian(lambda x: (x - mean) / scale, row).reshape(size, size)
    expected = torch.linalg.slogdet(jacobian).logabsdet.item()
    assert scaler.log_abs_det_jacobian(tuple(row.shape)) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 7.0, 1e12, -0.1])
def test_constant_column(value: float, rng: np.random.Generator) -> None:
    table = np.column_stack([rng.normal(size=30), np.full(30, value)])
    scaler = RowStandardizer().fit(table)
    assert scaler.scale_[1] == 1.0
    np.testing.assert_allclose(scaler.transform(table)[:, 1], 0.0, atol=1e-3)
    np.testing.assert_allclose(scaler.inverse_transform(np.zeros((1, 2)))[:, 1], value)


def test_all_constant_with_a_common_scale() -> None:
    assert RowStandardizer(common_scale=True).fit(np.ones((5, 3))).scale_.tolist() == [1.0] * 3


def test_small_spread_about_a_large_mean(rng: np.random.Generator) -> None:
    column = 1e8 + rng.normal(size=(1000, 1))
    assert RowStandardizer().fit(column).scale_[0] == pytest.approx(column.std())


def test_other_forms_of_input(rng: np.random.Generator) -> None:
    table = rng.integers(0, 100, (40, 2))
    z = RowStandardizer().fit_transform(table)
    frame = pd.DataFrame(table, columns=["a", "b"])
    scaler = RowStandardizer().fit(frame)
    assert scaler.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_allclose(scaler.transform(frame), z)
    np.testing.assert_allclose(RowStandardizer().fit_transform(table.astype(np.float32)), z, atol=1e-6)
    np.testing.assert_array_equal(RowStandardizer().fit_transform(table.tolist()), z)


def test_refuses(rows: Floats) -> None:
    with pytest.raises(NotFittedError):
        RowStandardizer().transform(rows)
    scaler = RowStandardizer().fit(rows)
    with pytest.raises(ValueError, match="features"):
        scaler.transform(rows[:, :1])
    broken = rows.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        scaler.transform(broken)


def test_clone_and_pickle(rows: Floats) -> None:
    scaler = RowStandardizer(common_scale=True).fit(rows)
    assert clone(scaler).get_params() == {"common_scale": True, "per": "channel"}
    again = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(again.transform(rows), scaler.transform(rows))


@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-560, 2.0**560, 2.0**1000])
@pytest.mark.parametrize("common_scale", [False, True])
def test_any_unit(rows: Floats, unit: float, common_scale: bool) -> None:
    """The squares of a spread of 1e200 are infinite, those of 1e-200 are 0; the spread is neither."""
    scaler, plain = (RowStandardizer(common_scale=common_scale).fit(X) for X in (unit * rows, rows))
    np.testing.assert_array_equal(scaler.scale_, unit * plain.scale_)
    np.testing.assert_array_equal(scaler.transform(unit * rows), plain.transform(rows))


@pytest.mark.parametrize(
    ("fitted", "given"), [((9, 3), (5, 4, 3)), ((9, 3), (5, 1)), ((9, 2, 8), (5, 1, 8)), ((9, 2, 8), (2, 8))]
)
def test_rows_of_another_shape_are_not_repeated(fitted: tuple[int, ...], given: tuple[int, ...]) -> None:
    scaler = RowStandardizer().fit(np.random.default_rng(0).normal(size=fitted))
    with pytest.raises(ValueError, match=r"rows of shape .* in fit they had"):
        scaler.inverse_transform(np.ones(given))
    with pytest.raises(ValueError, match=r"rows of shape .* in fit they had"):
        scaler.log_abs_det_jacobian(given[1:])
    with pytest.raises(ValueError, match=r"features|rows of shape"):
        scaler.transform(np.ones(given))


def test_no_infinity_leaves_a_scaler() -> None:
    small, large = (RowStandardizer().fit([[-unit], [unit]]) for unit in (1e-10, 1e10))
    with pytest.raises(ValueError, match="gives no finite numbers for 1 of 2 rows, the first of them row 1"):
        small.transform([[0.0], [1e305]])
    with pytest.raises(ValueError, match="gives no finite numbers for 1 of 2 rows"):
        large.inverse_transform([[0.0], [1e305]])
    with pytest.raises(ValueError, match="its rows hold no values"):
        RowStandardizer().fit(np.empty((3, 2, 0)))
