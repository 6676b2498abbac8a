"""Transformers, labels and threads of the user's: what they do must not come out wrong in silence."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from small_models import TINY, TINY_NETWORK, tiny_tgdp

import sktgdp
from sktgdp import AugmentedClassifier, DiffusionGenerator, SeriesClassifier
from sktgdp.exceptions import ModelFileError
from sktgdp.model_selection import pack_domains, unpack_domains
from sktgdp.plotting import TSNEDisplay

X = np.random.default_rng(0).normal(100.0, 10.0, (60, 2))


def test_a_transformer_that_writes_into_its_input() -> None:
    rows, target = X.copy(), X[:20] + 5.0
    source = DiffusionGenerator(transformer=StandardScaler(copy=False), **TINY_NETWORK)
    model = tiny_tgdp(source_model=source).fit(rows, None, target)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(target, X[:20] + 5.0)
    expected = tiny_tgdp(source_model=DiffusionGenerator(transformer=StandardScaler(), **TINY_NETWORK))
    expected = expected.fit(rows, None, target).sample(9, random_state=0)[0]
    np.testing.assert_array_equal(model.sample(9, random_state=0)[0], expected)
    frame = pd.DataFrame(X)
    DiffusionGenerator(transformer=StandardScaler(copy=False), **TINY).fit(frame)
    np.testing.assert_array_equal(frame, X)


def test_rows_that_the_way_back_breaks() -> None:
    roots = FunctionTransformer(np.square, np.sqrt, check_inverse=False)
    model = DiffusionGenerator(transformer=roots, **TINY).fit(0.01 * X)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError, match=r"rows are not finite after FunctionTransformer\.inverse"),
    ):
        model.sample(500, random_state=0)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_largest_integers_do_not_go_round(dtype: str) -> None:
    most = np.iinfo(dtype).max - 2047  # a float holds it
    rows = np.zeros((40, 2), dtype)
    rows[:, 0], rows[:, 1] = most, 2048 * np.arange(40)
    rows[:20, 0] = most - 2048
    found = DiffusionGenerator(**TINY).fit(rows).sample(200, random_state=0)[0][:, 0]
    assert found.min() > most // 2


ROWS_WITH_LOST_DIGITS = [
    2**60 + np.arange(40)[:, None],
    (2**60 + np.arange(40)[:, None]).tolist(),
    2**70 + np.arange(40)[:, None].astype(object),
    np.full((40, 1), np.iinfo(np.uint64).max),
]


@pytest.mark.parametrize("rows", ROWS_WITH_LOST_DIGITS, ids=["int64", "list", "object", "uint64"])
def test_integers_whose_digits_an_array_would_lose(rows: Any) -> None:
    with pytest.raises(ValueError, match=r"X holds integers beyond 2\*\*53, such as [0-9]+"):
        DiffusionGenerator(**TINY).fit(rows)


def test_a_frame_keeps_the_digits() -> None:
    frame = pd.DataFrame({"a": 2**60 + 1 + np.arange(40)})
    found = DiffusionGenerator(**TINY).fit(frame).sample(50, random_state=0)[0]["a"]
    assert found.between(2**60 + 1, 2**60 + 40).all()
    assert (found % 2 == 1).any()


def test_masked_entries_are_not_numbers() -> None:
    rows = np.ma.MaskedArray(X, mask=X > 110.0)
    with pytest.raises(ValueError, match="X_tgt is a masked array that hides"):
        tiny_tgdp().fit(X, None, rows)
    DiffusionGenerator(**TINY).fit(np.ma.MaskedArray(X))  # none is masked


@pytest.mark.parametrize("dtype", ["M8[D]", "m8[s]"])
def test_arrays_of_times_are_not_numbers(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"X is an array of times .* Give a frame"):
        DiffusionGenerator(**TINY).fit(np.arange(40)[:, None].astype(dtype))


def test_a_column_of_names_is_announced() -> None:
    rows = np.random.default_rng(0).normal(size=(120, 1))
    frame = pd.DataFrame(rows, columns=["v"]).assign(name=[f"person {i}" for i in range(120)], kind="a")
    with pytest.warns(
        UserWarning, match=r"Column 'name' of X holds 120 different values in 120 rows"
    ) as caught:
        DiffusionGenerator(**TINY).fit(frame)
    assert [Path(each.filename).name for each in caught if "as names" in str(each.message)] == [
        "test_foreign_parts.py"
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Column")
        DiffusionGenerator(**TINY).fit(frame.assign(name=frame["name"].str.slice(0, 8)))
        DiffusionGenerator(**TINY).fit(frame[:50])


def test_swapped_domains_are_announced() -> None:
    rows = np.random.default_rng(0).normal(size=(90, 2))
    with pytest.warns(UserWarning, match="X_tgt has 60 rows, and X_src 30: .* Are they swapped"):
        tiny_tgdp().fit(rows[:30], None, rows[30:])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="X_tgt has")
        tiny_tgdp().fit(rows[:60], None, rows[60:])


def test_booleans_beside_numbers() -> None:
    rng = np.random.default_rng(0)
    source = pd.DataFrame({"a": rng.random(60) > 0.5, "b": X[:, 0]})
    target = source[:20].assign(a=rng.integers(0, 2, 20))
    found = tiny_tgdp().fit(source, None, target).sample(50, random_state=0)[0]
    assert found["a"].dtype == target["a"].dtype
    assert set(found["a"]) <= {0, 1}
    with pytest.raises(ValueError, match="X_tgt: Column 'a' had booleans in X_src, and holds 5 now"):
        tiny_tgdp().fit(source, None, target.assign(a=5))


def test_narrow_floats_end_at_their_limits() -> None:
    rows = (600.0 * X.clip(None, 105.0)).astype(np.float16)
    found = DiffusionGenerator(**TINY).fit(rows).sample(200, random_state=0)[0]
    assert found.dtype == np.float16
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("dtype", "values"), [("Int64", [2**60 + 1, 2**60]), ("boolean", [True, False]), ("Int8", [1, 2])]
)
def test_nullable_labels_keep_their_kind(dtype: str, values: list[int]) -> None:
    model = DiffusionGenerator(**TINY).fit(X, pd.Series(values * 30, dtype=dtype))
    assert model.classes_.tolist() == sorted(values)
    assert model.sample(3, random_state=0)[1].dtype.kind in "ib"


def test_fits_in_threads_are_those_of_one() -> None:
    def fit(seed: int) -> DiffusionGenerator:
        return DiffusionGenerator(**{**TINY, "random_state": seed, "max_steps": 30}).fit(X)

    before, models = torch.get_rng_state(), {}
    threads = [threading.Thread(target=lambda s=s: models.update({s: fit(s)})) for s in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), before)
    for seed, model in models.items():
        alone = fit(seed).sample(5, random_state=0)[0]
        np.testing.assert_array_equal(model.sample(5, random_state=0)[0], alone)


def test_equal_rows_are_no_picture() -> None:
    with pytest.raises(ValueError, match="all equal"):
        TSNEDisplay.from_data(np.ones((30, 3)), np.ones((20, 3)))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="neither a folder nor a file"):
        sktgdp.load(tmp_path / "pipe")


Y = np.arange(60) % 2
HIDDEN = np.ma.MaskedArray(np.where(Y == 1, 1, 999999), mask=Y == 0)
MASKED_ROWS = np.ma.MaskedArray(X, mask=X > 110.0)


@pytest.mark.parametrize(
    "fit",
    [
        lambda: DiffusionGenerator(**TINY).fit(X, HIDDEN),
        lambda: DiffusionGenerator(**TINY).fit(list(MASKED_ROWS)),
        lambda: tiny_tgdp().fit(X, None, sample_domain=HIDDEN),
        lambda: pack_domains(MASKED_ROWS, None, X, None),
        lambda: AugmentedClassifier(n_synthetic=0).fit(MASKED_ROWS, Y),
        lambda: SeriesClassifier(max_steps=2).fit(MASKED_ROWS[:, None], Y),
    ],
    ids=["labels", "list", "domains", "packing", "augmentation", "series"],
)
def test_masks_are_seen_everywhere(fit: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"is a masked array that hides [0-9]+ values"):
        fit()


def test_missing_times_are_no_class() -> None:
    times = np.where(Y == 1, np.datetime64("NaT"), np.datetime64("2020"))
    with pytest.raises(ValueError, match=r"y has missing labels \(NaT\)"):
        DiffusionGenerator(**TINY).fit(X, times)


def test_domains_that_are_booleans() -> None:
    with pytest.raises(ValueError, match=r"sample_domain must hold numbers .* got bool"):
        unpack_domains(X, None, Y == 1)


def test_messages_quote_no_rows() -> None:
    with pytest.raises(ValueError, match="Complex data not supported: X holds complex") as caught:
        DiffusionGenerator(**TINY).fit(X + 1j)
    assert len(str(caught.value)) < 200
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1]})
    with pytest.raises(TypeError, match=r"X_src is a pyarrow Table\. .*X_src\.to_pandas\(\)"):
        tiny_tgdp().fit(table, None, table)
