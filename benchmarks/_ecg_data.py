"""Recordings of the ECG benchmark: windows of a large source, few windows of a target, whole target records.

Windows are what the models are trained on; a record is judged by the mean over its windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks._data import data_dir
from sktgdp.datasets import load_icbeb2018, load_ptbxl, stratified_target_subset
from sktgdp.preprocessing import (
    INDEPENDENT_LEADS,
    STANDARD_LEADS,
    BandPass,
    BeatWindows,
    SlidingWindow,
    limb_gains,
)

__all__ = ["AXES", "EcgShift", "heart_axis", "load_published", "load_small"]

Floats = NDArray[np.float64]
Signals = NDArray[np.float32]

AXES = ("left", "normal", "vertical")
AXIS_LIMITS = (30.0, 70.0)  # degrees between them: LUDB's "normal" is 30 to 69
LUDB_AXES = {
    "left axis deviation": "left",
    "horizontal": "left",
    "normal": "normal",
    "vertical": "vertical",
    "right axis deviation": "vertical",
}
AS_IN_PTBXL = {"VPC": "PVC"}  # one class, two names
BAND = (0.5, 40.0)  # Hz
TARGET_SHARE = 0.1
USUAL_POWER = 0.2  # millivolts, root mean square


@dataclass(frozen=True, eq=False)
class EcgShift:
    """Windows of both domains, and the target records that are held out.

    Parameters
    ----------
    X_src, X_tgt, X_test : arrays of shape (n_windows, 8, size)
        Leads I, V1 to V6, aVF; millivolts, or in units of each record's root mean square (small).
    y_src, y_tgt : arrays of shape (n_windows,) or (n_windows, k)
        Class of each window, or indicator of its labels.
    Y_test : array of shape (n_records, n_classes)
        Indicator of the classes that are judged.
    record : array of shape (n_windows,)
        Record of each test window.
    classes : sequence of str
        The classes that are judged; of an indicator, the columns ``columns``.
    rate : float
        Samples per second.
    columns : array of int, optional
        Columns of the indicator that are judged.
    unit : float
        Millivolts that a unit of the windows stands for in pictures.
    """

    X_src: Signals
    y_src: NDArray[Any]
    X_tgt: Signals
    y_tgt: NDArray[Any]
    X_test: Signals
    Y_test: NDArray[np.int64]
    record: NDArray[np.intp]
    classes: Sequence[str]
    rate: float
    columns: NDArray[np.intp] | None = None
    unit: float = 1.0

    def indicator(self, y: ArrayLike) -> NDArray[np.int64]:
        """Labels as an indicator of the classes that are judged."""
        labels = np.asarray(y)
        if self.columns is None:
            return (labels[:, None] == np.asarray(self.classes)).astype(np.int64)
        return labels[:, self.columns].astype(np.int64)


def heart_axis(X: ArrayLike, leads: Sequence[str], rate: float) -> Floats:
    """Axis of the QRS complex in the frontal plane, from its net area in leads I and aVF.

    Parameters
    ----------
    X : array-like of shape (n, 12, length)
    leads : sequence of str
    rate : float
        Samples per second.

    Returns
    -------
    ndarray of shape (n,)
        Degrees in (-180, 180]; NaN for a record without beats.
    """
    windows, record = BeatWindows(rate, before=0.13, after=0.07, leads=leads).split(X)
    names = [lead.lower() for lead in leads]
    limb = windows[:, [names.index("i"), names.index("avf")]].astype(np.float64)
    base = np.median(limb[:, :, : round(0.07 * rate)], axis=2)  # before the complex begins
    area = (limb[:, :, round(0.07 * rate) :] - base[:, :, None]).sum(axis=2)
    degrees = np.full(len(np.asarray(X)), np.nan)
    for i in np.unique(record):
        first, augmented = np.median(area[record == i], axis=0)
        # an augmented lead is smaller than a bipolar one by the factor sqrt(3) / 2
        degrees[i] = np.degrees(np.arctan2(2.0 / np.sqrt(3.0) * augmented, first))
    return degrees


def _independent(X: NDArray[Any], leads: Sequence[str], rate: float) -> Signals:
    """The eight independent leads, without baseline wander and mains hum."""
    names = [str(lead).lower() for lead in leads]
    chosen = X[:, [names.index(lead.lower()) for lead in INDEPENDENT_LEADS]].astype(np.float32)
    return np.asarray(BandPass(*BAND, rate).fit_transform(chosen), dtype=np.float32)


def _without_gains(X: Signals) -> Signals:
    """Each chest lead of each record, and its limb leads together, at a root mean square of 1.

    For collections that are compared with LUDB, where the gains of the leads are lost.
    """
    limb = [INDEPENDENT_LEADS.index(name) for name in ("I", "aVF")]
    power = np.square(X).mean(axis=2, keepdims=True)
    power[:, limb] = power[:, limb].mean(axis=1, keepdims=True)
    return X / np.sqrt(power)


@lru_cache
def _brugada() -> tuple[Signals, NDArray[Any], int]:
    """Records of Brugada-HUCA, the class of each one's axis, and how many had none."""
    file = np.load(data_dir() / "brugada_huca" / "brugada_huca_100hz.npz", allow_pickle=False)
    X, leads, rate = file["X"] / 1000.0, list(file["leads"]), float(file["fs"])
    degrees = heart_axis(X, leads, rate)
    known = np.isfinite(degrees)
    classes = np.array(AXES)[np.digitize(degrees[known], AXIS_LIMITS)]
    return _without_gains(_independent(X[known], leads, rate)), classes, int((~known).sum())


@lru_cache
def _ludb() -> tuple[Signals, NDArray[Any], int]:
    """Records of LUDB, the class of each one's axis as its cardiologists gave it, and how many had none."""
    file = np.load(data_dir() / "ludb" / "ludb_100hz.npz", allow_pickle=False)
    known = np.isin(file["axis"], list(LUDB_AXES))
    classes = np.array([LUDB_AXES[name] for name in file["axis"][known]])
    X, leads = file["X"][known].astype(np.float64), [str(lead) for lead in file["leads"]]
    limb = [leads.index(lead.lower()) for lead in STANDARD_LEADS[:6]]
    X[:, limb] *= limb_gains(X, leads)[:, :, None]  # each lead was scaled for itself
    return _without_gains(_independent(X, leads, float(file["fs"]))), classes, int((~known).sum())


def load_small(seed: int, *, size: int = 256) -> EcgShift:
    """Brugada-HUCA to LUDB: three classes of the heart's axis; a tenth of LUDB's patients to fit on.

    LUDB has one record per patient, so that no patient is on both sides.
    """
    X_source, y_source, _ = _brugada()
    X, y, _ = _ludb()
    chosen = stratified_target_subset(y, TARGET_SHARE, random_state=seed)
    held = np.setdiff1d(np.arange(len(y)), chosen)
    window = SlidingWindow(size)
    (X_src, source), (X_tgt, target), (X_test, record) = map(window.split, (X_source, X[chosen], X[held]))
    Y_test = (y[held][:, None] == np.array(AXES)).astype(np.int64)
    return EcgShift(
        X_src, y_source[source], X_tgt, y[chosen][target], X_test, Y_test, record, AXES, 100.0,
        unit=USUAL_POWER,
    )  # fmt: skip


def load_published(seed: int, *, ptbxl: Path, icbeb: Path, size: int = 1000) -> EcgShift:
    """PTB-XL to ICBEB2018: the nine classes among PTB-XL's 71 statements; a tenth of ICBEB2018 to fit on."""
    source, target = load_ptbxl(ptbxl, 100, "all", length=size), load_icbeb2018(icbeb)
    names = [str(name) for name in source.target_names]
    classes = [AS_IN_PTBXL.get(str(name), str(name)) for name in target.target_names]
    columns = np.array([names.index(name) for name in classes])
    Y = np.zeros((len(target.target), len(names)), dtype=np.int64)
    Y[:, columns] = target.target
    chosen = stratified_target_subset(target.target, TARGET_SHARE, random_state=seed)
    held = np.setdiff1d(np.arange(len(Y)), chosen)
    window = SlidingWindow(size)

    def windows(rows: NDArray[np.intp]) -> tuple[Signals, NDArray[np.intp]]:
        # records are padded to the longest; a short one keeps a window
        lengths = np.maximum(target.lengths[rows], size)
        whole = (target.data[i][None, :, :n] for i, n in zip(rows, lengths, strict=True))
        return window.split([_independent(record, STANDARD_LEADS, 100.0)[0] for record in whole])

    (X_tgt, tgt), (X_test, record) = windows(chosen), windows(held)
    return EcgShift(
        _independent(source.data, STANDARD_LEADS, 100.0), source.target, X_tgt, Y[chosen][tgt], X_test,
        target.target[held], record, classes, 100.0, columns,
    )  # fmt: skip
