"""PTB-XL with the label sets of its benchmark.

A record has a statement if ``scp_codes`` names it, whatever its likelihood: 0 stands for an unknown one. The
task "all" has the 71 statements, "diagnostic" 44 of them, "subdiagnostic" and "superdiagnostic" their 23
subclasses and 5 superclasses, "form" 19 and "rhythm" 12; four statements are both diagnostic and of form.

References
----------
Wagner et al. (2020), PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7, 154.
Strodthoff et al. (2021), Deep learning for ECG analysis: benchmarks and insights from PTB-XL, IEEE Journal of
Biomedical and Health Informatics 25 (5).
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from sktgdp.datasets._checks import check_count, check_known, check_path
from sktgdp.datasets._records import Reading, read_records, unread_records
from sktgdp.datasets._statements import frequent, indicator, warn_of_empty
from sktgdp.datasets._tables import path_inside, read_table, statements_of

__all__ = ["load_ptbxl"]

TASKS = ("all", "diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm")
_GROUP = {"subdiagnostic": "diagnostic_subclass", "superdiagnostic": "diagnostic_class"}
_TABLE = "ptbxl_database.csv"
_FILES = {100: "filename_lr", 500: "filename_hr"}


def load_ptbxl(
    path: str | PathLike[str],
    sampling_rate: int = 100,
    task: str = "all",
    *,
    folds: int | Iterable[int] | None = None,
    min_count: int = 0,
    keep_unlabelled: bool = False,
    waveforms: bool = True,
    **reading: Any,
) -> Bunch:
    """Load PTB-XL, 12-lead ECGs of 10 s, with the labels of one task (extra ``timeseries``).

    Parameters
    ----------
    path : path
        The folder with ``ptbxl_database.csv`` and ``scp_statements.csv``.
    sampling_rate : {100, 500}
        In Hz: the records in ``records100`` or ``records500``, as they are.
    task : {"all", "diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm"}
    folds : int or iterable of int, optional
        Which of the ten to load. The benchmark trains on 1 to 8, validates on 9 and tests on 10.
    min_count : int
        Leave out labels that fewer records of all folds have.
    keep_unlabelled, waveforms : bool
        Whether to keep records without a label, as the benchmark does not, and to read more than tables.
    **reading
        ``leads``, ``length``, ``on_error``, ``cache``, ``verbose`` of `load_wfdb_records`.

    Returns
    -------
    Bunch
        See `sktgdp.datasets`; also ``ecg_id`` (n,) and ``frame``, rows of ``ptbxl_database.csv``.
    """
    folder = _check(path, task, sampling_rate, min_count)
    names, target, frame = _labels(folder, task, min_count)
    wanted, labelled = _in_folds(frame, folds), target.any(axis=1) | keep_unlabelled
    options = Reading(sampling_rate, may_resample=False, **reading)
    bunch = _read(folder, frame, target, wanted & labelled, options, waveforms)
    return _describe(bunch, task, names, int((wanted & ~labelled).sum()))


def _check(path: Any, task: str, sampling_rate: int, min_count: int) -> Path:
    """Check what can be told before anything is read; the folder."""
    check_count(min_count, "min_count", least=0)
    check_known(task, "task", TASKS)
    if sampling_rate not in tuple(_FILES):
        raise ValueError(f"PTB-XL has records of 100 and 500 Hz; got sampling_rate={sampling_rate}")
    return check_path(path, "path")


def _labels(folder: Path, task: str, min_count: int) -> tuple[list[str], NDArray[np.int64], Any]:
    """The names of the labels, which record has which, and the table of records."""
    known = ["diagnostic", "form", "rhythm", *_GROUP.values()]
    table = read_table(folder / "scp_statements.csv", known, index=0)
    needed, integers = ["scp_codes", *_FILES.values()], ["strat_fold", "patient_id"]
    frame = read_table(folder / _TABLE, needed, index="ecg_id", integers=integers)
    statements = statements_of(frame, folder / _TABLE)
    unknown = sorted({name for has in statements for name in has} - set(table.index))
    if unknown:
        raise ValueError(f"scp_statements.csv does not know the statements {', '.join(unknown)}")
    if task != "all":
        table = table[table["diagnostic" if task in _GROUP else task] == 1]
    label = table[_GROUP[task]].to_dict() if task in _GROUP else {name: name for name in table.index}
    labels = [[str(label[name]) for name in has if name in label] for has in statements]
    names = frequent(labels, min_count)
    return names, indicator(labels, names), frame


def _in_folds(frame: Any, folds: int | Iterable[int] | None) -> Any:
    if folds is None:
        return np.ones(len(frame), dtype=bool)
    wanted = list(folds) if isinstance(folds, Iterable) else [folds]
    there = sorted(set(frame["strat_fold"]))
    if not wanted or not set(wanted) <= set(there):
        raise ValueError(f"folds must be among {', '.join(map(str, there))}; got {wanted}")
    return frame["strat_fold"].isin(wanted).to_numpy()


def _read(folder: Path, frame: Any, target: Any, rows: Any, options: Reading, waveforms: bool) -> Bunch:
    """Read the records of these rows; those that are skipped are left out of table and target, too."""
    frame, target = frame[rows], target[rows]
    rate = options.sampling_rate or 0
    paths = [path_inside(folder, name, _TABLE) for name in frame[_FILES[int(rate)]]]
    records = read_records(paths, options) if waveforms else unread_records(paths, rate)
    row = {path: i for i, path in enumerate(paths)}
    kept = [row[header.path] for header in records.headers]
    frame = frame.iloc[kept]
    return Bunch(
        **options.report(records),
        target=target[kept],
        folds=frame["strat_fold"].to_numpy(),
        patient_id=frame["patient_id"].to_numpy(),
        ecg_id=frame.index.to_numpy(),
        frame=frame,
    )


def _describe(bunch: Bunch, task: str, names: list[str], n_unlabelled: int) -> Bunch:
    warn_of_empty(bunch.target, names)
    bunch.update(target_names=np.array(names), n_unlabelled=n_unlabelled)
    bunch.DESCR = f"PTB-XL, {task}: {bunch.DESCR}; {len(names)} labels, {n_unlabelled} records without one"
    return bunch
