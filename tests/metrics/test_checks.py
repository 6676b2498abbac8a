"""What every score says to bad rows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sktgdp import metrics

PAIR_SCORES: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(metrics, name)
        for name in (
            "coverage_score",
            "density_score",
            "distance_to_closest_record",
            "energy_distance",
            "fid_score",
            "memorization_ratio",
            "precision_score_knn",
            "recall_score_knn",
        )
    },
    "fid_infinity_score": partial(metrics.fid_infinity_score, random_state=0),
    "sliced_wasserstein_distance": partial(metrics.sliced_wasserstein_distance, random_state=0),
    "two_sample_auc": partial(metrics.two_sample_auc, random_state=0),
}
ALL = pytest.mark.parametrize("score", PAIR_SCORES.values(), ids=PAIR_SCORES)
X = np.random.default_rng(0).normal(size=(12, 4))


def with_nan(whole_column: bool) -> pd.DataFrame:
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.loc[slice(None) if whole_column else 3, "b"] = np.nan
    return frame


@ALL
@pytest.mark.parametrize(
    ("real", "syn", "message"),
    [
        (X, with_nan(False), "X_syn contains NaN or infinity in 1 of 12 rows .the first is row 3.*Impute"),
        (with_nan(True), X, "X_real contains NaN .* Column 'b' holds no finite value at all: drop it"),
        (X, X * np.inf, "X_syn contains NaN or infinity"),
        (X, X[:, :3], r"X_real and X_syn must hold rows of the same shape, got \(4,\) and \(3,\)"),
        (X, X.reshape(12, 2, 2), r"rows of the same shape, got \(4,\) and \(2, 2\)"),
        (X[:, 0], X, r"X_real must have shape .*, got \(12,\). Reshape .* X_real.reshape\(-1, 1\)"),
        (X, X[:, :0], "X_syn has no features"),
        (X, X[:0], "X_syn has 0 rows, but .* needs at least"),
        (X, [["a", "b", "c", "d"]] * 12, "X_syn must be a dense numeric array: could not convert"),
        (X, [[1.0], [1.0, 2.0]], "X_syn must be a dense numeric array"),
        (
            pd.DataFrame(X, columns=list("abcd")),
            pd.DataFrame(X, columns=list("abdc")),
            r"same columns in the same order.*X_syn\[X_real.columns\]",
        ),
    ],
    ids=[
        "nan",
        "empty column",
        "inf",
        "width",
        "rank",
        "1-d",
        "no column",
        "no row",
        "text",
        "ragged",
        "order",
    ],
)
def test_bad_rows(score: Callable[..., Any], real: Any, syn: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(real, syn)


@ALL
def test_frames_lists_and_other_dtypes(score: Callable[..., Any]) -> None:
    integers = np.round(4 * X).astype(np.int16)
    value = score(integers.astype(float), integers[::-1] + 1.0)
    assert np.isfinite(value)
    assert isinstance(value, float)
    assert score(pd.DataFrame(integers), pd.DataFrame(integers[::-1] + 1)) == value
    assert score(integers.tolist(), (integers[::-1] + 1).astype(np.float32)) == value


@ALL
def test_arguments_are_left_alone(score: Callable[..., Any]) -> None:
    real, syn = X.copy(), X[::-1] + 0.5
    before = syn.copy()
    score(real, syn)
    np.testing.assert_array_equal(real, X)
    np.testing.assert_array_equal(syn, before)


def test_every_public_name_is_documented() -> None:
    for name in metrics.__all__:
        public = getattr(metrics, name)
        doc = public.__doc__
        assert doc, name
        if name != "BootstrapInterval" and inspect.signature(public).parameters:
            assert "Parameters\n" in doc, name
        if not isinstance(public, type):
            assert "Returns\n" in doc, name
