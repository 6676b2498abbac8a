"""Folds and subsets: every label, every fold and the size within a row of the ideal, or nearly so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sktgdp.datasets import load_ptbxl, stratified_folds, stratified_target_subset


def icbeb_like(seed: int = 0) -> np.ndarray:
    """6,877 rows with the class counts of CPSC2018; 482 rows have a second label."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(9), [918, 1221, 722, 236, 1857, 616, 700, 869, 220]))
    Y = np.zeros((6877, 9), dtype=int)
    Y[np.arange(6877), labels[:6877]] = 1
    Y[rng.choice(6877, len(labels) - 6877, replace=False), labels[6877:]] = 1
    return Y


def deviation(Y: np.ndarray, rows: np.ndarray, share: float) -> float:
    """The largest difference from the share, over labels and the number of rows."""
    whole = np.hstack([Y, np.ones((len(Y), 1))])
    return float(np.abs(whole[rows].sum(0) - share * whole.sum(0)).max())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("global_rng_untouched")
def test_every_label_has_its_share(seed: int) -> None:
    Y = icbeb_like(seed)
    subset = stratified_target_subset(Y, 0.1, random_state=seed)
    assert deviation(Y, subset, 0.1) < 1.0
    assert (np.diff(subset) > 0).all()
    folds = stratified_folds(Y, 10, random_state=seed)
    assert set(folds) == set(range(1, 11))
    assert max(deviation(Y, folds == fold, 0.1) for fold in range(1, 11)) < 1.5


def test_many_labels_that_occur_together(data_dir: Path) -> None:
    bunch = load_ptbxl(data_dir / "ptbxl_metadata", waveforms=False)
    subset = stratified_target_subset(bunch.target, folds=bunch.folds, random_state=0)
    together = np.hstack([bunch.target, bunch.folds[:, None] == np.arange(1, 11)])
    assert deviation(together, subset, 0.1) <= 1.0


def test_subset_takes_from_every_fold() -> None:
    Y = icbeb_like()
    folds = stratified_folds(Y, 10, random_state=0)
    subset = stratified_target_subset(Y, 0.1, folds=folds, random_state=0)
    taken, there = np.bincount(folds[subset])[1:], np.bincount(folds)[1:]
    assert np.abs(taken - 0.1 * there).max() <= 1.0
    assert deviation(Y, subset, 0.1) <= 1.0


def test_classes_of_any_kind() -> None:
    y = np.repeat(["a", "b", "c"], [60, 30, 10])
    folds = stratified_folds(y, 5, random_state=0)
    for fold in range(1, 6):
        assert [(y[folds == fold] == label).sum() for label in "abc"] == [12, 6, 2]
    subset = stratified_target_subset(y, 0.5, random_state=0)
    assert [(y[subset] == label).sum() for label in "abc"] == [30, 15, 5]


def test_rows_without_labels_are_dealt_out_too() -> None:
    Y = np.zeros((40, 3), dtype=int)
    Y[:4, 0] = 1
    folds = stratified_folds(Y, 4, random_state=0)
    assert np.bincount(folds)[1:].tolist() == [10] * 4
    assert sorted(folds[:4]) == [1, 2, 3, 4]


def test_seeds() -> None:
    Y = icbeb_like()[:500]
    first = stratified_target_subset(Y, 0.1, random_state=0)
    np.testing.assert_array_equal(first, stratified_target_subset(Y, 0.1, random_state=0))
    assert not np.array_equal(first, stratified_target_subset(Y, 0.1, random_state=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stratified_folds([0, 1, 1], 4), "n_folds must be from 2 to the number of rows, 3; got 4"),
        (lambda: stratified_folds(np.array([[0, 2]])), "indicator"),
        (lambda: stratified_target_subset([], 0.1), "no row"),
        (lambda: stratified_target_subset([0, 1], 1.0), "fraction must lie between 0 and 1; got 1.0"),
        (lambda: stratified_target_subset([0, 1], 0.5, folds=[1]), "one entry for each of 2 rows"),
    ],
)
def test_wrong_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
