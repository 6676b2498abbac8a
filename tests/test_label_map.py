"""Labels of one set as those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from sktgdp.preprocessing import LabelMapper

SOURCE = ["AFIB", "CLBBB", "ILBBB", "NORM", "PACE"]
TARGET = ["NORM", "LBBB", "AFIB", "STE"]
TO = {"CLBBB": "LBBB", "ILBBB": "LBBB"}


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_columns(dtype: Any, rng: np.random.Generator) -> None:
    """Same names keep their column, merged ones are set where either is, others are 0."""
    Y = rng.integers(0, 2, (40, 5)).astype(dtype)
    mapper = LabelMapper(SOURCE, TARGET, TO)
    mapped = mapper.transform(Y)
    assert mapped.dtype == dtype
    expected = np.stack([Y[:, 3], np.maximum(Y[:, 1], Y[:, 2]), Y[:, 0], 0 * Y[:, 0]], axis=1)
    np.testing.assert_array_equal(mapped, expected)
    assert mapper.dropped == ["PACE"]
    assert mapper.without_source == ["STE"]


def test_identity_and_way_back(rng: np.random.Generator) -> None:
    Y = rng.integers(0, 2, (10, 5))
    np.testing.assert_array_equal(LabelMapper(SOURCE, SOURCE).transform(Y), Y)
    there = LabelMapper(SOURCE, SOURCE[::-1]).transform(Y)
    np.testing.assert_array_equal(there, Y[:, ::-1])
    np.testing.assert_array_equal(LabelMapper(SOURCE[::-1], SOURCE).transform(there), Y)


def test_left_out_by_name() -> None:
    mapper = LabelMapper(SOURCE, TARGET, {**TO, "PACE": None, "NORM": None}, unmapped="error")
    assert mapper.transform([[0, 0, 0, 1, 1], [1, 1, 1, 0, 0]]).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0]]
    assert mapper.dropped == ["NORM", "PACE"]
    assert clone(mapper).get_params() == mapper.get_params()


@pytest.mark.parametrize(
    ("mapper", "message"),
    [
        (LabelMapper(SOURCE, TARGET, TO, unmapped="error"), r"go nowhere: \['PACE'\]"),
        (LabelMapper(SOURCE, TARGET, {"RBBB": "LBBB"}), r"neither source nor target: \['RBBB'\]"),
        (LabelMapper(SOURCE, TARGET, {"CLBBB": "RBBB"}), r"neither source nor target: \['RBBB'\]"),
        (LabelMapper([*SOURCE[:4], "NORM"], TARGET), "source has a label more than once"),
        (LabelMapper(SOURCE, ["NORM", "NORM"]), "target has a label more than once"),
        (LabelMapper(SOURCE[:4], TARGET), "Y has 5 columns; source names 4"),
        (LabelMapper(SOURCE, TARGET, unmapped="keep"), "unmapped"),
    ],
    ids=range(7),
)
def test_refuses(mapper: LabelMapper, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mapper.transform(np.ones((2, 5), dtype=int))


def test_refuses_other_values() -> None:
    with pytest.raises(ValueError, match="other than 0 and 1"):
        LabelMapper(SOURCE, TARGET).transform([[0, 1, 2, 0, 0]])
