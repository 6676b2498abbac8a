"""Labels of every kind: there and back, frequencies, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sktgdp.estimators._rows.labels import LabelCode, LabelPrior, LabelRuns, check_labels

X = np.zeros((6, 2))
INDICATOR = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 1], [0, 1, 0], [1, 0, 1]])
LABELS: dict[str, Any] = {
    "integers": np.array([3, 1, 1, 3, 7, 1]),
    "whole floats": np.array([1.0, 2.0, 2.0, 1.0, 1.0, 2.0]),
    "booleans": np.array([True, False, True, True, False, False]),
    "strings": np.array(["sick", "well", "well", "sick", "well", "unclear"]),
    "objects": np.array(["a", "bb", "a", "bb", "bb", "a"], dtype=object),
    "one class": np.array([4, 4, 4, 4, 4, 4]),
    "indicator": INDICATOR,
    "float indicator": INDICATOR.astype(np.float32),
}


@pytest.fixture(params=LABELS)
def labels(request: pytest.FixtureRequest) -> NDArray[Any]:
    return LABELS[request.param]


def test_there_and_back(labels: NDArray[Any]) -> None:
    y = check_labels(labels, X, "y")
    code = LabelCode(y)
    rows = code.encode(y)
    assert rows.shape == (6, code.n_labels)
    assert rows.dtype == np.float32
    decoded = code.decode(rows)
    np.testing.assert_array_equal(decoded, labels)
    assert decoded.dtype == labels.dtype


@pytest.mark.parametrize("kind", [list, pd.Series])
@pytest.mark.parametrize("name", ["integers", "strings"])
def test_other_containers(kind: Any, name: str) -> None:
    y = check_labels(kind(LABELS[name].tolist()), X, "y")
    np.testing.assert_array_equal(LabelCode(y).decode(LabelCode(y).encode(y)), LABELS[name])


def test_multilabel_frame() -> None:
    y = check_labels(pd.DataFrame(INDICATOR, columns=["a", "b", "c"]), X, "y")
    assert LabelCode(y).kind == "multilabel"
    np.testing.assert_array_equal(LabelCode(y).classes, [0, 1, 2])


def test_classes_are_one_hot() -> None:
    code = LabelCode(LABELS["strings"])
    assert code.classes.tolist() == ["sick", "unclear", "well"]
    assert code.encode(np.array(["well", "sick"])).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_no_labels() -> None:
    code = LabelCode(None)
    assert (code.kind, code.n_labels, code.classes.tolist()) == ("none", 0, [])
    assert code.for_sampling(None, 3, None, np.random.default_rng(0)) is None
    with pytest.raises(ValueError, match="y was given, but the model was fitted without labels"):
        code.for_sampling(1, 3, None, np.random.default_rng(0))


# Prior ----------------------------------------------------------------------------------------------
def test_prior_counts_rows() -> None:
    prior = LabelPrior.of(INDICATOR.astype(np.float32))
    found = {tuple(row): share for row, share in zip(prior.rows.tolist(), prior.frequencies, strict=True)}
    assert found == pytest.approx({(1, 0, 1): 1 / 2, (0, 0, 0): 1 / 6, (1, 1, 1): 1 / 6, (0, 1, 0): 1 / 6})


def test_prior_draws_its_frequencies(rng: np.random.Generator) -> None:
    """Combinations that never occurred are never drawn; the others within four standard errors."""
    prior = LabelPrior.of(INDICATOR.astype(np.float32))
    drawn = LabelPrior.of(prior.draw(10_000, rng))
    np.testing.assert_array_equal(drawn.rows, prior.rows)
    np.testing.assert_allclose(drawn.frequencies, prior.frequencies, atol=4 * 0.5 / 100)


# Sampling -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", [False, True])
def test_labels_for_sampling(labels: NDArray[Any], one: bool, rng: np.random.Generator) -> None:
    code = LabelCode(labels)
    prior = LabelPrior.of(code.encode(labels))
    rows = code.for_sampling(labels[1] if one else labels, 6, prior, rng)
    assert rows is not None
    expected = np.broadcast_to(labels[1], labels.shape) if one else labels
    np.testing.assert_array_equal(code.decode(rows), expected)


def test_labels_drawn_for_sampling(labels: NDArray[Any], rng: np.random.Generator) -> None:
    code = LabelCode(labels)
    rows = code.for_sampling(None, 50, LabelPrior.of(code.encode(labels)), rng)
    assert rows is not None
    known = {str(row) for row in labels.tolist()}
    assert {str(row) for row in code.decode(rows).tolist()} <= known


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("integers", [1, 3], "y holds 2 labels for n_samples = 6"),
        ("integers", 5, r"y holds labels that the model has not seen: \[5\]. Known: \[1, 3, 7\]"),
        ("strings", ["sick"] * 5 + ["dead"], r"not seen: \['dead'\]"),
        ("strings", 1, r"not seen: \[1\]"),
        ("integers", INDICATOR, "vector of classes"),
        ("indicator", 1, "y must be an indicator row of 3 zeros and ones"),
        ("indicator", [1, 0], r"y has shape \(6, 2\)"),
        ("indicator", [1, 0, 2], "zeros and ones"),
        ("indicator", INDICATOR[:4], "y holds 4 labels for n_samples = 6"),
    ],
)
def test_refused_for_sampling(name: str, y: Any, message: str, rng: np.random.Generator) -> None:
    code = LabelCode(LABELS[name])
    with pytest.raises(ValueError, match=message):
        code.for_sampling(y, 6, LabelPrior.of(code.encode(LABELS[name])), rng)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 1], "y_tgt must hold one label per row: found 3 labels for 6 rows"),
        (np.array([1.0, np.nan, 1, 1, 2, 2]), "y_tgt contains NaN or infinity"),
        (np.linspace(0, 1, 6), "y_tgt holds continuous values"),
        (2 * INDICATOR, r"y_tgt has shape \(6, 3\), so it must be a multi-label indicator"),
        (INDICATOR + 0.5, r"y_tgt has shape \(6, 3\), so it must be a multi-label indicator"),
        ([1, None, 1, 2, 2, 2], "y_tgt has missing labels"),
        (["a", None, "a", "b", "b", "b"], "y_tgt has missing labels"),
        (["a", np.nan, "a", "b", "b", "b"], "y_tgt has missing labels"),
        (["a", pd.NA, "a", "b", "b", "b"], "y_tgt has missing labels"),
        (["a", 1, "a", "b", "b", "b"], "y_tgt mixes strings with other labels"),
    ],
)
def test_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_labels(y if isinstance(y, np.ndarray) else np.array(y, dtype=object), X, "y_tgt")


def test_runs_read_as_the_labels_they_stand_for() -> None:
    labels, counts = np.array(["no", "yes", "no"]), np.array([3, 0, 5])
    runs, whole = LabelRuns(labels, counts), np.repeat(labels, counts)
    assert len(runs) == len(whole)
    for rows in (slice(0, 8), slice(2, 4), slice(3, 3), slice(6, 20)):
        np.testing.assert_array_equal(runs[rows], whole[rows])
