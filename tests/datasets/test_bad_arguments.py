"""Arguments of makers and loaders that are not what they should be: refused by name, before any work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sktgdp.datasets import (
    load_challenge,
    load_icbeb2018,
    load_ptbxl,
    load_wfdb_records,
    make_diabetes_shift,
    make_digits_shift,
    make_gaussian_mixture_shift,
    stratified_folds,
    stratified_target_subset,
)

COUNTS: dict[str, tuple[Callable[..., Any], str, int]] = {
    "mixture, source": (make_gaussian_mixture_shift, "n_source", 1),
    "mixture, target": (make_gaussian_mixture_shift, "n_target", 1),
    "digits, target": (make_digits_shift, "n_target", 1),
    "digits, test": (make_digits_shift, "n_test", 0),
    "diabetes": (make_diabetes_shift, "n_target", 1),
    "folds": (partial(stratified_folds, [0, 1, 0, 1]), "n_folds", 2),
    "records": (partial(load_wfdb_records, "somewhere"), "length", 1),
    "labels": (partial(load_challenge, "somewhere"), "min_count", 0),
    "PTB-XL": (partial(load_ptbxl, "somewhere"), "min_count", 0),
    "ICBEB2018": (partial(load_icbeb2018, "somewhere"), "n_folds", 2),
}


@pytest.mark.parametrize("case", COUNTS)
@pytest.mark.parametrize("value", [-1, 2.5, True, "3", [3], float("nan")])
def test_counts(case: str, value: Any) -> None:
    call, name, least = COUNTS[case]
    with pytest.raises(ValueError, match=f"expected a whole number of at least {least}; got {name}="):
        call(**{name: value})


def test_no_rows_at_all() -> None:
    for name in ("n_source", "n_target"):
        with pytest.raises(ValueError, match=f"expected a whole number of at least 1; got {name}=0"):
            make_gaussian_mixture_shift(**{name: 0})
    assert [len(part) for part in make_gaussian_mixture_shift(np.int64(3), 2)] == [3, 3, 2, 2]


NUMBERS: dict[str, tuple[Callable[..., Any], str]] = {
    "digits": (make_digits_shift, "strength"),
    "subset": (partial(stratified_target_subset, [0, 1, 0, 1]), "fraction"),
    "records": (partial(load_wfdb_records, "somewhere"), "sampling_rate"),
}


@pytest.mark.parametrize("case", NUMBERS)
@pytest.mark.parametrize("value", ["a", True, [0.5]])
def test_numbers(case: str, value: Any) -> None:
    call, name = NUMBERS[case]
    with pytest.raises(TypeError, match=f"{name} must be a number; got "):
        call(**{name: value})


NAMES: dict[str, tuple[Callable[..., Any], str]] = {
    "digits": (make_digits_shift, "shift"),
    "challenge": (partial(load_challenge, "somewhere"), "labels"),
    "PTB-XL": (partial(load_ptbxl, "somewhere"), "task"),
}


@pytest.mark.parametrize("case", NAMES)
@pytest.mark.parametrize("value", [None, 3, "other", ["all"], {}])
def test_names(case: str, value: Any) -> None:
    call, name = NAMES[case]
    with pytest.raises(ValueError, match=f"unknown {name} .*; the known ones are '"):
        call(**{name: value})


@pytest.mark.parametrize("value", [3, [3], []])
def test_leads(value: Any) -> None:
    with pytest.raises(ValueError, match="leads must be names; got "):
        load_wfdb_records("somewhere", leads=value)


@pytest.mark.parametrize("load", [load_wfdb_records, load_challenge, load_icbeb2018, load_ptbxl])
@pytest.mark.parametrize("value", [None, 3, "", b"folder", [3]])
def test_paths(load: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"paths? must be the path of a folder or a file; got "):
        load(value)


def test_caches(tmp_path: Path) -> None:
    for value in ("", 3):
        with pytest.raises(TypeError, match="cache must be the path of a folder"):
            load_wfdb_records("somewhere", cache=value)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"cache must be a folder, or a path for a new one; .*file"):
        load_wfdb_records("somewhere", cache=tmp_path / "file")


@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_labels_are_dealt_to_no_fold(missing: Any) -> None:
    with pytest.raises(ValueError, match="y has 2 missing entries; leave these rows out"):
        stratified_folds([1, missing, 1, missing], 2)
    with pytest.raises(ValueError, match="folds has 1 missing entries"):
        stratified_target_subset([0, 1, 0, 1], 0.5, folds=[1, 1, 2, missing])
