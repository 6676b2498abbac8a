"""Data of the benchmarks: a source, a few target rows to fit on, and other target rows to measure against.

Every data set is named by a JSON dict, ``{"name": ..., "n_target": ..., "seed": ...}``, so that it can be
part of a cache key, and is built again from it in whatever process needs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from sktgdp.datasets import make_digits_shift, make_gaussian_mixture_shift
from sktgdp.datasets._synthetic import SHIFTS, TARGET_MEAN, draw_pair
from sktgdp.oracles import MixtureShift, paper_mixture_shift

__all__ = ["Shift", "data_dir", "seeds", "load_shift", "source_key"]

ROOT = Path(__file__).resolve().parents[1]
FIRST_SEED = 200  # smaller ones served the development, so that no figure is tuned to its draws
FRESH = 1_000_003  # added to a seed for rows that no fit has seen
Data = Mapping[str, Any]
Floats = NDArray[np.float64]

HEART_FEATURES = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"]
HEART_CODES = [1, 2, 5, 6, 8]  # columns of codes; the others are measurements, to these decimals:
HEART_DECIMALS = {0: 0, 3: 0, 4: 0, 7: 0, 9: 1}
ADULT_COLUMNS = [0, 2, 4, 10, 11, 12]
ADULT_SKEWED = [3, 4]  # capital gain and loss: zero for most, thousands for some
ADULT_SEX, ADULT_INCOME = 9, 14


@dataclass(frozen=True, eq=False)
class Shift:
    """A source and a target domain.

    Parameters
    ----------
    X_src, y_src, X_tgt, y_tgt : ndarrays
        What is fitted on.
    X_test, y_test : ndarrays
        Target rows that no fit sees.
    common_unit : bool
        Whether distances take the features as they are, over one common scale (pictures), or each over its
        standard deviation among the test rows (tables).
    X_more : ndarray, optional
        Still other target rows, which show how close to ``X_test`` a perfect sampler comes.
    oracle : MixtureShift, optional
        The exact answer, where it is known; its components are the labels in ascending order.
    """

    X_src: Floats
    y_src: NDArray[Any]
    X_tgt: Floats
    y_tgt: NDArray[Any]
    X_test: Floats
    y_test: NDArray[Any]
    common_unit: bool = False
    X_more: Floats | None = None
    oracle: MixtureShift | None = None

    @property
    def unit(self) -> Floats:
        """Length of one, per feature, in which distances are measured."""
        scale = self.X_test.std(axis=0)
        if self.common_unit:
            return np.full_like(scale, np.sqrt(np.mean(scale**2)))
        return np.where(scale > 0, scale, 1.0)


def data_dir() -> Path:
    """The folder of real data sets: SKTGDP_DATA, or ``shared/data`` beside the repository."""
    path = Path(os.environ.get("SKTGDP_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        raise FileNotFoundError(
            "This benchmark needs real data. Set SKTGDP_DATA to the folder that holds uci_heart and adult."
        )
    return path


def _mixture(n_target: int, seed: int, n_source: int = 10_000, n_test: int = 10_000) -> Shift:
    fit = make_gaussian_mixture_shift(n_source, n_target, random_state=seed)
    X, y = draw_pair(2 * n_test, TARGET_MEAN, np.random.RandomState(seed + FRESH))
    return Shift(*fit, X[:n_test], y[:n_test], X_more=X[n_test:], oracle=paper_mixture_shift())


@lru_cache
def _heart_rows(hospital: str) -> tuple[Floats, NDArray[Any], int]:
    """Complete rows of a hospital, whether each is a case, and how many rows were dropped."""
    path = data_dir() / "uci_heart" / f"processed.{hospital}.data"
    table = np.genfromtxt(path, delimiter=",", names=True, missing_values="?")
    X = np.column_stack([table[name] for name in HEART_FEATURES])
    complete = ~np.isnan(X).any(axis=1)
    return X[complete], (table["target"][complete] > 0).astype(np.int64), int((~complete).sum())


def _heart(n_target: int, seed: int) -> Shift:
    X_src, y_src, _ = _heart_rows("cleveland")
    X, y, _ = _heart_rows("hungarian")
    X_tgt, X_test, y_tgt, y_test = train_test_split(X, y, train_size=n_target, stratify=y, random_state=seed)
    return Shift(X_src, y_src, X_tgt, y_tgt, X_test, y_test)


def heart_dropped() -> dict[str, tuple[int, int]]:
    """For each hospital: rows kept, rows dropped for a missing value."""
    rows = {name: _heart_rows(name) for name in ("cleveland", "hungarian")}
    return {name: (len(X), dropped) for name, (X, _, dropped) in rows.items()}


def snap_heart(X: Floats, codes_from: Floats) -> Floats:
    """Put generated patients on the grid of the data: known codes, whole years, tenths of a millimetre."""
    X = X.copy()
    for column in HEART_CODES:
        codes = np.unique(codes_from[:, column])
        X[:, column] = codes[np.abs(X[:, [column]] - codes).argmin(axis=1)]
    for column, decimals in HEART_DECIMALS.items():
        X[:, column] = np.round(X[:, column], decimals)
    return X


@lru_cache
def _adult_rows() -> tuple[Floats, NDArray[Any], NDArray[np.bool_]]:
    """Numeric columns of the census, whether the income is above 50,000, and who is a man."""
    path = data_dir() / "adult" / "adult.data"
    lines = [line.split(", ") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    table = np.array(lines)
    X = table[:, ADULT_COLUMNS].astype(np.float64)
    X[:, ADULT_SKEWED] = np.log1p(X[:, ADULT_SKEWED])
    return X, (table[:, ADULT_INCOME] == ">50K").astype(np.int64), table[:, ADULT_SEX] == "Male"


def _adult(n_target: int, seed: int, n_source: int = 5_000, n_test: int = 2_000) -> Shift:
    X, y, men = _adult_rows()
    rng = np.random.RandomState(seed)
    source = rng.permutation(np.flatnonzero(men))[:n_source]
    women = rng.permutation(np.flatnonzero(~men))
    target, test, more = women[2 * n_test :][:n_target], women[:n_test], women[n_test : 2 * n_test]
    return Shift(X[source], y[source], X[target], y[target], X[test], y[test], X_more=X[more])


def _digits(n_target: int, seed: int, shift: str) -> Shift:
    arrays = make_digits_shift(shift, n_target=n_target, random_state=seed, return_test=True)
    # the source's digits, had they been written in the target's hand
    more = SHIFTS[shift](arrays[0].reshape(-1, 8, 8)).reshape(-1, 64)
    return Shift(*arrays, common_unit=True, X_more=more[: len(arrays[4])])


LOADERS: dict[str, Callable[..., Shift]] = {
    "mixture": _mixture,
    "heart": _heart,
    "adult": _adult,
    "digits": _digits,
}


def load_shift(data: Data) -> Shift:
    """Build the data set of a name."""
    options = {key: value for key, value in data.items() if key != "name"}
    return LOADERS[data["name"]](**options)


def seeds(n: int) -> range:
    """Seeds of n repetitions."""
    return range(FIRST_SEED, FIRST_SEED + n)


def source_key(data: Data) -> dict[str, Any]:
    """What the source rows of a data set depend on, so that draws of the target share a source model."""
    free = {"mixture": ("n_target", "n_test"), "heart": ("n_target", "seed"), "adult": ("n_target", "n_test")}
    return {key: value for key, value in data.items() if key not in free.get(data["name"], ())}
