"""Rows of every form, layout and scale give the same fit, or a scaled one; fits learn nothing here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_models import TINY, TINY_NETWORK, Floats, tiny_tgdp

from sktgdp import DiffusionGenerator, FineTunedDiffusionGenerator
from sktgdp.metrics import energy_distance

RNG = np.random.default_rng(0)
SOURCE, TARGET = RNG.normal(size=(24, 3)), RNG.normal(1.0, size=(9, 3))

Fit = Callable[[Any, Any, Any, Any], Any]
FITS: dict[str, Fit] = {
    "diffusion": lambda X, y, X_tgt, y_tgt: DiffusionGenerator(**TINY_NETWORK).fit(X_tgt, y_tgt),
    "fine-tuned": lambda *domains: FineTunedDiffusionGenerator(
        DiffusionGenerator(**TINY_NETWORK), **TINY
    ).fit(*domains),
    "tgdp": lambda *domains: tiny_tgdp().fit(*domains),
}
few = settings(max_examples=6, deadline=None, derandomize=True)


@cache
def plain_rows(name: str) -> Floats:
    rows: Floats = drawn(FITS[name], SOURCE, None, TARGET, None)[0]
    return rows


def drawn(fit: Fit, *domains: Any) -> tuple[Any, Any]:
    return fit(*domains).sample(6, random_state=1)


# Layout ---------------------------------------------------------------------------------------------
def read_only(X: Floats) -> Floats:
    X = X.copy()
    X.flags.writeable = False
    return X


def memory_mapped(X: Floats) -> Any:
    path = Path(tempfile.mkdtemp()) / "rows.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


LAYOUTS: dict[str, Callable[[Floats], Any]] = {
    "list": lambda X: X.tolist(),
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: X[::-1].copy()[::-1],
    "read-only": read_only,
    "big-endian": lambda X: X.astype(">f8"),
    "memory-mapped": memory_mapped,
    "objects": lambda X: X.astype(object),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FITS)
def test_layout_does_not_matter(name: str, layout: str) -> None:
    source, target = (LAYOUTS[layout](X) for X in (SOURCE, TARGET))
    other, _ = drawn(FITS[name], source, None, target, None)
    np.testing.assert_array_equal(np.asarray(other, dtype=float), plain_rows(name))
    np.testing.assert_array_equal(np.asarray(target, dtype=float), TARGET)


@pytest.mark.parametrize("dtype", ["f4", "f2", "i8", "i2", "u1", "bool"])
def test_dtypes_come_back(dtype: str) -> None:
    X = (np.abs(20 * TARGET) if dtype == "u1" else 5 * TARGET).astype(dtype)
    rows, _ = drawn(FITS["tgdp"], X, None, X[:4], None)
    assert rows.dtype == X.dtype
    assert np.isfinite(rows.astype(float)).all()


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.coo_array])
@pytest.mark.parametrize("name", FITS)
def test_sparse_rows_are_refused(name: str, kind: Any) -> None:
    with pytest.raises(TypeError, match=r"[Ss]parse.*dense"):
        FITS[name](kind(SOURCE), None, kind(TARGET), None)


INDEXES: dict[str, Any] = {
    "repeated": [7] * len(TARGET),
    "reversed": range(len(TARGET))[::-1],
    "strings": list("äbcdefgh\u2603"),
    "dates": pd.date_range("2020", periods=len(TARGET)),
    "levels": pd.MultiIndex.from_product([[0, 1, 2], list("abc")]),
}


@pytest.mark.parametrize("index", INDEXES)
def test_rows_of_frames_go_by_position(index: str) -> None:
    labels = np.arange(len(TARGET)) % 2
    frame = pd.DataFrame(TARGET, columns=["a", "b", "c"])
    source = pd.DataFrame(SOURCE, columns=["a", "b", "c"])
    y_source = np.arange(len(SOURCE)) % 2
    plain, y_plain = drawn(FITS["tgdp"], source, y_source, frame, labels)
    moved = frame.set_axis(INDEXES[index], axis=0)
    y_moved = pd.Series(labels, index=range(50, 50 + len(labels)))
    other, y_other = drawn(FITS["tgdp"], source, y_source, moved, y_moved)
    pd.testing.assert_frame_equal(other, plain)
    np.testing.assert_array_equal(y_other, y_plain)


# Scale ----------------------------------------------------------------------------------------------
@given(st.lists(st.floats(-12, 12), min_size=3, max_size=3), st.sampled_from(list(FITS)))
@few
def test_units_of_columns_do_not_matter(exponents: list[float], name: str) -> None:
    units = 10.0 ** np.array(exponents)
    scaled, _ = drawn(FITS[name], SOURCE * units, None, TARGET * units, None)
    np.testing.assert_allclose(scaled / units, plain_rows(name), rtol=1e-3, atol=1e-3)


@given(
    arrays(np.float64, st.tuples(st.integers(2, 6), st.just(2)), elements=st.floats(-1e12, 1e12)),
    st.sampled_from(list(FITS)),
)
@few
def test_any_few_finite_rows(X: Floats, name: str) -> None:
    """Two rows are enough; constant columns, outliers and subnormal numbers do no harm."""
    rows, _ = drawn(FITS[name], X, None, X[:2], None)
    assert rows.shape == (6, 2)
    assert np.isfinite(rows).all()
    for constant in np.flatnonzero(np.ptp(X, axis=0) == 0):
        np.testing.assert_allclose(rows[:, constant], X[0, constant], rtol=1e-6, atol=1e-300)


@pytest.mark.parametrize("name", FITS)
def test_constant_and_duplicate_columns(name: str) -> None:
    source, target = (np.c_[X, X[:, :1], np.full(len(X), -3.5)] for X in (SOURCE, TARGET))
    rows, _ = drawn(FITS[name], source, None, target, None)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows[:, -1], -3.5, atol=1e-6)


# Labels ---------------------------------------------------------------------------------------------
@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=4, unique=True),
    st.sampled_from(list(FITS)),
)
@few
def test_labels_in_any_script(classes: list[str], name: str) -> None:
    y_source, y_target = (
        np.array([classes[i % len(classes)] for i in range(len(X))], dtype=object) for X in (SOURCE, TARGET)
    )
    fitted = FITS[name](SOURCE, y_source, TARGET, y_target)
    assert set(fitted.sample(6)[1]) <= set(classes)
    assert fitted.sample(3, classes[0])[1].tolist() == [classes[0]] * 3


# Order ----------------------------------------------------------------------------------------------
def test_order_of_rows_does_not_change_the_law() -> None:
    """Another order draws other batches; the distance of the two laws is that of two seeds."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 2)) * [1.0, 0.3] + [0.0, 2.0]
    settings_ = {"hidden_sizes": (32, 32), "max_steps": 200, "batch_size": 128, "early_stopping": False}

    def law(rows: Floats, seed: int) -> Floats:
        return DiffusionGenerator(**settings_, random_state=seed).fit(rows).sample(500)[0]

    plain = law(X, 0)
    between_orders = energy_distance(plain, law(X[rng.permutation(len(X))], 0))
    between_seeds = energy_distance(plain, law(X, 1))
    shifted = energy_distance(plain, plain + 0.2 * X.std(0))
    assert between_orders < max(3 * between_seeds, 0.3 * shifted)
