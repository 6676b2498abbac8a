"""Folders of the PhysioNet challenges of 2020 and 2021, and ICBEB2018 among them.

References
----------
Perez Alday et al. (2020), Classification of 12-lead ECGs: the PhysioNet/Computing in Cardiology Challenge
2020, Physiological Measurement 41.
Liu et al. (2018), An open access database for evaluating the algorithms of electrocardiogram rhythm and
morphology abnormality detection, Journal of Medical Imaging and Health Informatics 8 (7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sktgdp.datasets._checks import check_count, check_known, check_path
from sktgdp.datasets._records import (
    Reading,
    Records,
    find_records,
    read_headers,
    read_records,
    unread_records,
)
from sktgdp.datasets._statements import (
    ICBEB_CLASSES,
    frequent,
    indicator,
    snomed_to_icbeb,
    snomed_to_scp,
    warn_of_empty,
)
from sktgdp.datasets._stratify import stratified_folds
from sktgdp.datasets._tables import path_inside, read_table, statements_of
from sktgdp.datasets._wfdb import Header, RecordError

__all__ = ["load_challenge", "load_icbeb2018"]

_TRANSLATE: dict[str, Callable[[str], str | None]] = {
    "snomed": lambda code: code,
    "scp": snomed_to_scp,
    "icbeb": snomed_to_icbeb,
}
_PREPARED = "icbeb_database.csv"
_CLASSES = {name: name for name in ICBEB_CLASSES}


def load_challenge(
    path: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    labels: str = "snomed",
    min_count: int = 0,
    keep_unlabelled: bool = False,
    waveforms: bool = True,
    **reading: Any,
) -> Bunch:
    """Load a folder of a PhysioNet challenge (extra ``timeseries``).

    A record without SNOMED CT codes in a line ``#Dx:`` of its header is one that cannot be used.

    Parameters
    ----------
    path : path or iterable of paths
        As in `load_wfdb_records`.
    labels : {"snomed", "scp", "icbeb"}
        The codes themselves, the SCP statements of PTB-XL (`snomed_to_scp`), or ICBEB2018's nine classes.
    min_count : int
        Leave out labels of fewer records, but none of the nine classes.
    keep_unlabelled, waveforms : bool
        Whether to keep records without a label, and to read more than headers.
    **reading
        The other parameters of `load_wfdb_records`.

    Returns
    -------
    Bunch
        See `sktgdp.datasets`; also ``codes``, a list of those of each record, and ``unknown_codes``, those
        that have no such label, {code: number of records}.
    """
    check_known(labels, "labels", _TRANSLATE)
    check_count(min_count, "min_count", least=0)
    options = Reading(**reading)
    records = (read_records if waveforms else _read_headers_only)(find_records(path), options, diagnoses)
    codes = [diagnoses(header) for header in records.headers]
    names = ICBEB_CLASSES if labels == "icbeb" else None
    bunch = _with_labels(options.report(records), codes, _TRANSLATE[labels], names, min_count)
    return bunch if keep_unlabelled else _without_unlabelled(bunch)


def load_icbeb2018(
    path: str | PathLike[str],
    *,
    n_folds: int = 10,
    waveforms: bool = True,
    sampling_rate: float | None = 100,
    **reading: Any,
) -> Bunch:
    """Load ICBEB2018, also called CPSC2018: 12-lead ECGs of 6 to 60 s, nine classes (extra ``timeseries``).

    Parameters
    ----------
    path : path
        The folder of the PhysioNet challenges (``cpsc_2018``, records of 500 Hz with SNOMED CT codes), or one
        that the benchmark of PTB-XL has written (``icbeb_database.csv``, ``records100``, ``records500``).
    n_folds : int
        Folds to deal the challenge's records to, always in the same way; the benchmark's have folds.
    waveforms : bool
        False reads the labels alone.
    sampling_rate : float, optional
        In Hz; records of another rate are resampled. None keeps 500 Hz.
    **reading
        ``leads``, ``length``, ``on_error``, ``cache``, ``verbose`` of `load_wfdb_records`.

    Returns
    -------
    Bunch
        As from `load_challenge`. The classes are NORM, AFIB, 1AVB, CLBBB, CRBBB, PAC, VPC, ``STD_``, ``STE_``
        (VPC is PTB-XL's PVC). Every record counts as a patient of its own.
    """
    folder = check_path(path, "path")
    check_count(n_folds, "n_folds", least=2)
    if (folder / _PREPARED).is_file():
        return _load_prepared(folder, waveforms, Reading(sampling_rate, **reading))
    options = {"waveforms": waveforms, "sampling_rate": sampling_rate, **reading}
    bunch = load_challenge(path, labels="icbeb", **options)
    bunch.folds = stratified_folds(bunch.target, n_folds, random_state=0)
    bunch.patient_id = np.arange(len(bunch.target))
    return bunch


def diagnoses(header: Header) -> list[str]:
    """The codes in the line ``#Dx:`` of a header, each once."""
    for comment in header.comments():
        name, colon, text = comment.partition(":")
        if colon and name.strip().lower() == "dx":
            return list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    raise RecordError(header.path, "its header has no line '#Dx:' with codes of diagnoses")


def _read_headers_only(
    paths: Sequence[Path], options: Reading, check: Callable[[Header], object] | None = None
) -> Records:
    headers = read_headers(paths, options, check)
    return Records(headers, options.sampling_rate or headers[0].rate)


def _with_labels(
    bunch: Bunch,
    codes: list[list[str]],
    translate: Callable[[str], str | None],
    names: Sequence[str] | None,
    min_count: int = 0,
) -> Bunch:
    """Add the target and what belongs to it; without names, all labels that are there."""
    has = [[label for code in row if (label := translate(code)) is not None] for row in codes]
    names = frequent(has, min_count) if names is None else names
    unknown = Counter(code for row in codes for code in row if translate(code) is None)
    target = indicator(has, names)
    warn_of_empty(target, names)
    bunch.update(target=target, target_names=np.array(names), folds=None, patient_id=None, n_unlabelled=0)
    bunch.update(codes=codes, unknown_codes=dict(unknown))
    bunch.DESCR += f"; {len(names)} labels, {sum(unknown.values())} codes without a label"
    return bunch


def _without_unlabelled(bunch: Bunch) -> Bunch:
    keep = np.flatnonzero(bunch.target.any(axis=1))
    n_unlabelled = len(bunch.target) - len(keep)
    if n_unlabelled:
        for name in ("data", "lengths", "record_names", "paths", "target"):
            bunch[name] = None if bunch[name] is None else bunch[name][keep]
        bunch.codes = [bunch.codes[i] for i in keep]
        bunch.n_unlabelled = n_unlabelled
        bunch.DESCR += f", {n_unlabelled} of the records without a label and left out"
    return bunch


def _load_prepared(folder: Path, waveforms: bool, options: Reading) -> Bunch:
    """ICBEB2018 as the benchmark of PTB-XL writes it: a table, and a WFDB record for each of its rows."""
    frame = read_table(folder / _PREPARED, ["scp_codes"], index="ecg_id", integers=["strat_fold"])
    rate = 100.0 if options.sampling_rate == 100 else 500.0
    place = f"records{rate:.0f}"
    paths = [path_inside(folder, f"{place}/{name}", _PREPARED) for name in frame.index]
    records = read_records(paths, options) if waveforms else unread_records(paths, rate)
    row = {path: i for i, path in enumerate(paths)}
    frame = frame.iloc[[row[header.path] for header in records.headers]]
    statements = statements_of(frame, folder / _PREPARED)
    bunch = _with_labels(options.report(records), statements, _CLASSES.get, ICBEB_CLASSES)
    bunch.update(folds=frame["strat_fold"].to_numpy(), patient_id=frame.index.to_numpy())
    return bunch
