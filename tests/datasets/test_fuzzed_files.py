"""Mutated files: a result or a named error, never a crash or memory without bound.

A seeded fuzzer: each case mutates a good file many times. Errors are `RecordError` for a record, and for a
table a `ValueError` that names the file.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from ecg_files import signals, write, write_ptbxl
from fuzzing import bounded_memory, mutations
from scipy.io import savemat

from sktgdp.datasets import RecordError, load_challenge, load_ptbxl, load_wfdb_records

CODES = ["{'NORM': 100.0, 'SR': 0.0}", "{'IMI': 80.0}", "{'AMI': 50.0, 'SR': 0.0}", "{'NDT': 100.0}"]
GIGABYTE = 2**30


def _write_challenge(path: Path, fmt: str) -> Path:
    if fmt != "mat":
        return write(path, signals(), fmt=[fmt] * 12, comments=["Dx: 164889003"])
    x = np.rint(1000 * signals()).astype(np.int16)
    savemat(path.with_suffix(".mat"), {"val": x}, format="4")
    leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    form = f"{path.name}.mat 16+24 1000/mV 16 0"
    lines = [f"{form} {row[0]} 0 0 {lead}" for lead, row in zip(leads, x, strict=True)]
    path.with_suffix(".hea").write_text("\n".join([f"{path.name} 12 100 50", *lines, "#Dx: 164889003", ""]))
    return path


@pytest.mark.parametrize("fmt", ["16", "212", "516", "mat"])
@pytest.mark.parametrize("part", ["header", "signals"])
def test_records(tmp_path: Path, fmt: str, part: str) -> None:
    path = _write_challenge(tmp_path / "a", fmt)
    file = min(f for f in tmp_path.iterdir() if (f.suffix == ".hea") == (part == "header"))
    text, outcomes = file.read_bytes(), {"read": 0, "refused": 0}
    with bounded_memory(GIGABYTE):
        for mutated in mutations(text, n=60, seed=len(fmt)):
            file.write_bytes(mutated)
            try:
                bunch = load_challenge(path, sampling_rate=100, keep_unlabelled=True)
            except RecordError:
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
                assert bunch.data.shape[:2] == (1, 12)
                assert np.isfinite(bunch.data).all()
    assert min(outcomes.values()) > 0, outcomes


@pytest.mark.parametrize("name", ["ptbxl_database.csv", "scp_statements.csv"])
def test_tables_of_labels(tmp_path: Path, name: str) -> None:
    write_ptbxl(tmp_path, CODES)
    file = tmp_path / name
    text, outcomes, nameless = file.read_bytes(), {"read": 0, "refused": 0}, []
    with bounded_memory(GIGABYTE), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels that no record has any more
        for mutated in mutations(text, n=150, seed=0):
            file.write_bytes(mutated)
            try:
                bunch = load_ptbxl(tmp_path, keep_unlabelled=True)
            except ValueError as error:
                outcomes["refused"] += 1
                nameless += [] if isinstance(error, RecordError) or ".csv" in str(error) else [error]
            else:
                outcomes["read"] += 1
                assert len(bunch.data) == len(bunch.target) == len(bunch.frame)
                assert np.isfinite(bunch.data).all()
    assert not nameless
    assert min(outcomes.values()) > 0, outcomes


DEEP = ["[" * 100_000, "{'A': " + "-" * 50_000 + "1}", "{" * 5_000]


@pytest.mark.parametrize("text", [*DEEP, "__import__('os')"])
def test_statements_that_no_parser_should_meet(tmp_path: Path, text: str) -> None:
    write_ptbxl(tmp_path, CODES[:1])
    file = tmp_path / "ptbxl_database.csv"
    file.write_text(file.read_text().replace(CODES[0], text))
    with pytest.raises(ValueError, match=r"scp_codes of record 1 is no dictionary: .{,70}$"):
        load_ptbxl(tmp_path)


def test_records_elsewhere(tmp_path: Path) -> None:
    """A table leads to files of its own folder only."""
    write_ptbxl(tmp_path / "data", CODES[:2])
    write(tmp_path / "secret", signals())
    file = tmp_path / "data" / "ptbxl_database.csv"
    file.write_text(file.read_text().replace("records100/00000_lr", "../secret"))
    with pytest.raises(ValueError, match=r"ptbxl_database\.csv.*\.\./secret.*outside"):
        load_ptbxl(tmp_path / "data")


def test_names_in_any_script(tmp_path: Path) -> None:
    path = write(tmp_path / "записи" / "a", signals())
    assert load_wfdb_records(path).data.shape == (1, 12, 50)
