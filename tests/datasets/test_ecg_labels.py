"""Labels of PTB-XL, of the PhysioNet challenges and of ICBEB2018, on small folders and on the real tables."""

from __future__ import annotations

import ast
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ecg_files import signals, write, write_ptbxl

from sktgdp.datasets import (
    RecordError,
    load_challenge,
    load_icbeb2018,
    load_ptbxl,
    load_wfdb_records,
    snomed_to_scp,
)

CODES = [
    "{'NORM': 80.0, 'SR': 0.0}",
    "{'IMI': 0.0, 'AMI': 35.0}",
    "{'SR': 0.0}",
    "{'NDT': 100.0, 'NORM': 50.0}",
]


# PTB-XL ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("task", "n_labels", "n_records"),
    [
        ("all", 71, 21837),
        ("diagnostic", 44, 21430),
        ("subdiagnostic", 23, 21430),
        ("superdiagnostic", 5, 21430),
        ("form", 19, 8988),
        ("rhythm", 12, 21066),
    ],
)
def test_label_sets_of_the_benchmark(data_dir: Path, task: str, n_labels: int, n_records: int) -> None:
    bunch = load_ptbxl(data_dir / "ptbxl_metadata", task=task, waveforms=False)
    assert bunch.target.shape == (n_records, n_labels)
    assert bunch.n_unlabelled == 21837 - n_records
    assert bunch.target.any(axis=1).all()
    assert bunch.data is None
    assert len(bunch.target_names) == len(set(bunch.target_names)) == n_labels
    assert len(bunch.frame) == len(bunch.patient_id) == len(bunch.record_names) == n_records
    assert set(bunch.folds) == set(range(1, 11))
    first = dict(zip(bunch.target_names, bunch.target[0], strict=True))
    assert sorted(name for name, has in first.items() if has) == {  # record 1: NORM, LVOLT, SR
        "all": ["LVOLT", "NORM", "SR"],
        "form": ["LVOLT"],
        "rhythm": ["SR"],
    }.get(task, ["NORM"])


@pytest.mark.parametrize(
    ("task", "names", "rows"),
    [
        ("all", ["AMI", "IMI", "NDT", "NORM", "SR"], ["00011", "11000", "00001", "00110"]),
        ("diagnostic", ["AMI", "IMI", "NDT", "NORM"], ["0001", "1100", "0011"]),
        ("superdiagnostic", ["MI", "NORM", "STTC"], ["010", "100", "011"]),
        ("form", ["NDT"], ["1"]),
        ("rhythm", ["SR"], ["1", "1"]),
    ],
)
def test_tasks_on_a_small_folder(tmp_path: Path, task: str, names: list[str], rows: list[str]) -> None:
    x = write_ptbxl(tmp_path, CODES)
    bunch = load_ptbxl(tmp_path, task=task)
    assert bunch.target_names.tolist() == names
    assert ["".join(map(str, row)) for row in bunch.target] == rows
    np.testing.assert_allclose(bunch.data, x[bunch.ecg_id - 1], atol=1e-3)
    assert bunch.patient_id.tolist() == (99 + bunch.ecg_id).tolist()
    assert bunch.n_unlabelled == 4 - len(rows)
    kept = load_ptbxl(tmp_path, 500, task=task, keep_unlabelled=True)
    assert kept.data.shape == (4, 12, 250)
    assert kept.sampling_rate == 500.0
    np.testing.assert_array_equal(kept.target[bunch.ecg_id - 1], bunch.target)


def test_folds_and_rare_labels(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, CODES)
    with pytest.warns(UserWarning, match="1 of 5 labels have no positive row: SR"):
        bunch = load_ptbxl(tmp_path, folds=[2, 4])
    assert bunch.ecg_id.tolist() == [2, 4]
    assert bunch.folds.tolist() == [2, 4]
    assert len(bunch.target_names) == 5
    common = load_ptbxl(tmp_path, min_count=2)
    assert common.target_names.tolist() == ["NORM", "SR"]
    assert common.ecg_id.tolist() == [1, 3, 4]
    with pytest.raises(ValueError, match="folds must be among 1, 2, 3, 4; got"):
        load_ptbxl(tmp_path, folds=11)


def test_skipped_records_leave_every_array(tmp_path: Path) -> None:
    x = write_ptbxl(tmp_path, CODES)
    (tmp_path / "records100" / "00001_lr.dat").unlink()
    with pytest.raises(RecordError, match="absent"):
        load_ptbxl(tmp_path)
    with pytest.warns(UserWarning, match="1 of 4 records were skipped"):
        bunch = load_ptbxl(tmp_path, on_error="skip", cache=tmp_path / "cache")
    assert bunch.ecg_id.tolist() == [1, 3, 4]
    assert bunch.target.sum() == 5
    np.testing.assert_allclose(bunch.data, x[[0, 2, 3]], atol=1e-3)
    assert [Path(path).name for path, _ in bunch.skipped] == ["00001_lr"]


def test_records_of_a_wrong_rate_are_not_resampled(tmp_path: Path) -> None:
    write_ptbxl(tmp_path, CODES)
    write(tmp_path / "records100" / "00002_lr", signals(), fs=500)
    with pytest.raises(RecordError, match=r"is 500 Hz, expected 100 Hz$"):
        load_ptbxl(tmp_path)


def test_wrong_folders_and_parameters(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"scp_statements\.csv does not exist; path must be the folder"
    ):
        load_ptbxl(tmp_path)
    write_ptbxl(tmp_path, CODES)
    for wrong, message in (({"task": "stroke"}, "unknown task"), ({"sampling_rate": 250}, "100 and 500 Hz")):
        with pytest.raises(ValueError, match=message):
            load_ptbxl(tmp_path, **wrong)
    for codes, message in ((["NORM"], "no dictionary"), (["{'XYZ': 1}"], "does not know the statements XYZ")):
        write_ptbxl(tmp_path, codes)
        with pytest.raises(ValueError, match=message):
            load_ptbxl(tmp_path, waveforms=False)
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,age\n1,50\n")
    with pytest.raises(ValueError, match="lacks the columns scp_codes"):
        load_ptbxl(tmp_path)


# SNOMED CT codes ------------------------------------------------------------------------------------
def _dx(folder: Path, *codes: str | None) -> None:
    for i, code in enumerate(codes):
        write(folder / f"A{i}", signals(seed=i), comments=[] if code is None else [f"Dx: {code}"])


def test_codes_as_they_are_and_as_statements(tmp_path: Path) -> None:
    _dx(tmp_path, "164889003,59118001", "39732003", "164889003,39732003,164889003")
    plain = load_challenge(tmp_path)
    assert plain.target_names.tolist() == ["164889003", "39732003", "59118001"]
    assert plain.target.tolist() == [[1, 0, 1], [0, 1, 0], [1, 1, 0]]
    assert plain.unknown_codes == {}
    scp = load_challenge(tmp_path, labels="scp")
    assert scp.target_names.tolist() == ["AFIB", "CRBBB"]
    assert scp.target.tolist() == [[1, 1], [1, 0]]
    assert scp.record_names.tolist() == ["A0", "A2"]
    assert (scp.unknown_codes, scp.n_unlabelled) == ({"39732003": 2}, 1)
    np.testing.assert_array_equal(scp.data, plain.data[[0, 2]])
    assert load_challenge(tmp_path, labels="scp", keep_unlabelled=True).target.tolist() == [
        [1, 1],
        [0, 0],
        [1, 0],
    ]
    assert load_challenge(tmp_path, min_count=2).target_names.tolist() == ["164889003", "39732003"]
    headers = load_challenge(tmp_path, waveforms=False)
    np.testing.assert_array_equal(headers.target, plain.target)
    assert headers.data is None


def test_record_without_diagnoses(tmp_path: Path) -> None:
    _dx(tmp_path, "164889003", None)
    with pytest.raises(RecordError, match="no line '#Dx:'"):
        load_challenge(tmp_path)
    with pytest.warns(UserWarning, match="1 of 2 records were skipped"):
        assert load_challenge(tmp_path, on_error="skip").record_names.tolist() == ["A0"]
    with pytest.raises(ValueError, match="unknown labels 'icd'"):
        load_challenge(tmp_path, labels="icd")


def test_real_records_and_their_labels(data_dir: Path) -> None:
    mini = np.load(data_dir / "cinc2021_mini" / "mini_100hz.npz")
    row = {name: i for i, name in enumerate(mini["record"])}
    for folder, n in (("ptbxl", 20), ("cpsc2018", 10)):
        bunch = load_challenge(data_dir / "cinc2021_mini" / folder, sampling_rate=100, length=1000)
        assert bunch.data.shape == (n, 12, 1000)
        rows = [row[name] for name in bunch.record_names]
        assert [",".join(codes) for codes in bunch.codes] == mini["dx"][rows].tolist()
        inner = np.s_[:, :, 50:950]
        np.testing.assert_allclose(bunch.data[inner], mini["X"][rows][inner], atol=0.02)
        einthoven = bunch.data[:, 0] + bunch.data[:, 2] - bunch.data[:, 1]
        assert np.abs(einthoven).mean() < 0.005


def test_raw_records_of_ludb(data_dir: Path) -> None:
    ludb = np.load(data_dir / "ludb" / "ludb_100hz.npz")
    bunch = load_wfdb_records(data_dir / "ludb" / "records", sampling_rate=100)
    rows = np.searchsorted(ludb["record"], bunch.record_names.astype(int))
    assert bunch.data.shape == (30, 12, 1000)
    np.testing.assert_allclose(bunch.data[..., 50:950], ludb["X"][rows][..., 50:950], atol=0.02)


def test_statements_of_the_codes_agree_with_ptbxl(data_dir: Path) -> None:
    """The challenge has counted each code over PTB-XL's records: as often as the statement, or as several."""
    table = pd.read_csv(data_dir / "ptbxl_metadata" / "ptbxl_database.csv")
    counts = Counter(name for text in table.scp_codes for name in ast.literal_eval(text))
    wider = {"426783006", "164934002"}  # sinus rhythm or normal; several statements of T waves
    compared = 0
    with (data_dir / "cinc2021_mini" / "scored_diagnoses_2021.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            code, n = row["SNOMEDCTCode"], int(row["PTB_XL"])
            if (statement := snomed_to_scp(code)) and n:
                compared += 1
                assert (n > counts[statement]) if code in wider else (n == counts[statement]), row
    assert compared == 21


def test_codes_of_ptbxl_records_are_their_statements(data_dir: Path) -> None:
    bunch = load_challenge(data_dir / "cinc2021_mini" / "ptbxl", labels="scp", waveforms=False)
    table = pd.read_csv(data_dir / "ptbxl_metadata" / "ptbxl_database.csv", index_col="ecg_id")
    differ = set()
    for name, target in zip(bunch.record_names, bunch.target, strict=True):
        theirs = set(ast.literal_eval(table.scp_codes[int(name[2:])]))
        ours = set(bunch.target_names[target == 1])
        if not ours - {"TAB_", "SR"} <= theirs:  # the wider ones
            differ.add(str(name))
    assert differ == {"HR00003", "HR00010"}  # the challenge has another opinion of their rhythm


def test_unknown_code_has_no_statement() -> None:
    assert snomed_to_scp(164889003) == snomed_to_scp(" 164889003 ") == "AFIB"
    assert snomed_to_scp("39732003") is None


# ICBEB2018 ------------------------------------------------------------------------------------------
CLASSES = ["NORM", "AFIB", "1AVB", "CLBBB", "CRBBB", "PAC", "VPC", "STD_", "STE_"]
NINE = [
    *("426783006", "164889003", "270492004", "164909002", "59118001"),
    *("284470004", "164884008", "429622005", "164931005"),
]


def test_nine_classes(tmp_path: Path) -> None:
    _dx(tmp_path, *NINE, "59118001,164884008", "39732003")
    bunch = load_icbeb2018(tmp_path, n_folds=2, cache=tmp_path / "cache")
    assert bunch.target_names.tolist() == CLASSES
    np.testing.assert_array_equal(bunch.target[:9], np.eye(9))
    assert np.flatnonzero(bunch.target[9]).tolist() == [4, 6]
    assert (bunch.unknown_codes, bunch.n_unlabelled) == ({"39732003": 1}, 1)
    assert sorted(bunch.folds) == [1] * 5 + [2] * 5
    assert len(set(bunch.patient_id)) == 10
    again = load_icbeb2018(tmp_path, n_folds=2, waveforms=False)
    np.testing.assert_array_equal(again.folds, bunch.folds)


def test_real_cpsc_records(data_dir: Path) -> None:
    with pytest.warns(UserWarning, match="4 of 9 labels have no positive row: 1AVB, CLBBB, PAC, STE_"):
        bunch = load_icbeb2018(data_dir / "cinc2021_mini" / "cpsc2018", n_folds=2)
    names = [CLASSES[i] for i in bunch.target.argmax(1)]
    assert names == ["CRBBB", "NORM", "AFIB", "AFIB", "VPC", "CRBBB", "AFIB", "STD_", "AFIB", "CRBBB"]
    assert bunch.lengths.tolist() == [1500, 1000, 1000, 1195, 2500, 1400, 1000, 1518, 1600, 1000]


@pytest.mark.parametrize("rate", [100, 500])
def test_folder_that_the_benchmark_has_prepared(tmp_path: Path, rate: int) -> None:
    for i in range(9):
        write(tmp_path / f"records{rate}" / str(i + 1), signals(seed=i), fs=rate)
    lines = [f"{i + 1},A{i},\"{{'{name}': 100}}\",{i % 3 + 1}" for i, name in enumerate(CLASSES)]
    (tmp_path / "icbeb_database.csv").write_text("\n".join(["ecg_id,filename,scp_codes,strat_fold", *lines]))
    for waveforms in (True, False):
        bunch = load_icbeb2018(tmp_path, sampling_rate=rate, waveforms=waveforms)
        np.testing.assert_array_equal(bunch.target, np.eye(9))
        assert bunch.folds.tolist() == [1, 2, 3] * 3
        assert bunch.sampling_rate == rate
        assert bunch.data is None or bunch.data.shape == (9, 12, 50)
