"""Reading WFDB records: what was written comes back, in the leads, the rate and the length asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ecg_files import edit_header, signals, write

from sktgdp.datasets import STANDARD_LEADS, RecordError, _records, load_wfdb_records


@pytest.mark.parametrize("fmt", ["16", "24", "32", "212", "80", "516"])
def test_round_trip_to_the_converters_resolution(tmp_path: Path, fmt: str) -> None:
    gain = 50.0 if fmt == "80" else 1000.0  # eight bits
    x = signals()
    write(tmp_path / "a", x, fmt=[fmt] * 12, adc_gain=[gain] * 12)
    bunch = load_wfdb_records(tmp_path)
    assert bunch.data.dtype == np.float32
    np.testing.assert_allclose(bunch.data[0], x, rtol=0, atol=0.5 / gain + 1e-6)
    assert bunch.lead_names.tolist() == list(STANDARD_LEADS)
    assert (bunch.sampling_rate, bunch.record_names.tolist(), bunch.lengths.tolist()) == (100.0, ["a"], [50])
    assert bunch.skipped == []


def test_gains_baselines_and_units_of_each_lead(tmp_path: Path) -> None:
    x = signals(leads=3)
    scale = np.array([1.0, 1e3, 1e-3])[:, None]
    write(
        tmp_path / "a",
        x * scale,
        ["I", "II", "III"],
        units=["mV", "uV", "V"],
        adc_gain=[1e3, 1.0, 1e6],
        baseline=[0, 70, -300],
    )
    edit_header(tmp_path / "a", "/mV", "/mv")
    data = load_wfdb_records(tmp_path, leads=["I", "II", "III"]).data[0]
    np.testing.assert_allclose(data, x, rtol=0, atol=0.501e-3)


def test_leads_come_in_the_order_asked_for_whatever_their_case(tmp_path: Path) -> None:
    x = signals()
    order = np.random.default_rng(1).permutation(12)
    write(tmp_path / "1", x[order], [STANDARD_LEADS[i].lower() for i in order])
    write(tmp_path / "2", x, [lead.upper() for lead in STANDARD_LEADS])
    bunch = load_wfdb_records(tmp_path)
    np.testing.assert_array_equal(bunch.data[0], bunch.data[1])
    np.testing.assert_allclose(bunch.data[0], x, atol=1e-3)
    chosen = load_wfdb_records(tmp_path, leads=["V6", "i"])
    np.testing.assert_array_equal(chosen.data, bunch.data[:, [11, 0]])
    assert chosen.lead_names.tolist() == ["V6", "i"]


def test_records_of_different_length(tmp_path: Path) -> None:
    for name, n in (("a", 30), ("b", 50), ("c", 40)):
        write(tmp_path / name, signals(n))
    padded = load_wfdb_records(tmp_path)
    assert padded.data.shape == (3, 12, 50)
    assert padded.lengths.tolist() == [30, 50, 40]
    assert not padded.data[0, :, 30:].any()
    cropped = load_wfdb_records(tmp_path, length=35)
    np.testing.assert_array_equal(cropped.data, padded.data[:, :, :35])
    assert cropped.lengths.tolist() == [30, 35, 35]
    assert load_wfdb_records(tmp_path, length=60).data.shape == (3, 12, 60)


@pytest.mark.parametrize(("rate", "n"), [(500, 2500), (250, 1251), (128, 640)])
def test_resampling_keeps_a_sine(tmp_path: Path, rate: int, n: int) -> None:
    def sine(hertz: float, count: int) -> np.ndarray:
        return 2.0 + np.sin(2 * np.pi * 5.0 * np.arange(count) / hertz)

    write(tmp_path / "a", sine(rate, n)[None], ["I"])
    edit_header(tmp_path / "a", "a 1 100 ", f"a 1 {rate} ")
    bunch = load_wfdb_records(tmp_path, sampling_rate=100, leads=["I"])
    count = -(-n * 100 // rate)
    assert bunch.data.shape == (1, 1, count)
    np.testing.assert_allclose(bunch.data[0, 0, 20:-20], sine(100, count)[20:-20], atol=0.01)
    assert bunch.sampling_rate == 100.0


def test_offset_makes_no_step_at_the_ends(tmp_path: Path) -> None:
    write(tmp_path / "a", np.full((1, 500), 7.0), ["I"], fs=500)
    data = load_wfdb_records(tmp_path, sampling_rate=100, leads=["I"]).data
    np.testing.assert_allclose(data, 7.0, atol=1e-3)


def test_without_a_rate_the_most_common_one_counts(tmp_path: Path) -> None:
    for name, rate in (("a", 500), ("b", 100), ("c", 100)):
        write(tmp_path / name, signals(), fs=rate)
    with pytest.raises(RecordError, match="500 Hz, expected 100 Hz; pass sampling_rate"):
        load_wfdb_records(tmp_path)
    with pytest.warns(UserWarning, match="1 of 3 records were skipped"):
        bunch = load_wfdb_records(tmp_path, on_error="skip")
    assert bunch.record_names.tolist() == ["b", "c"]
    assert load_wfdb_records(tmp_path, sampling_rate=100).lengths.tolist() == [10, 50, 50]


def test_folders_are_read_in_the_order_of_numbers(tmp_path: Path) -> None:
    for name in ("g1/10", "g1/9", "g2/1"):
        write(tmp_path / name, signals())
    assert load_wfdb_records(tmp_path).record_names.tolist() == ["9", "10", "1"]
    listed = load_wfdb_records([tmp_path / "g2" / "1.hea", str(tmp_path / "g1" / "10")])
    assert listed.record_names.tolist() == ["1", "10"]
    assert load_wfdb_records(tmp_path / "g1" / "9").paths.tolist() == [str(tmp_path / "g1" / "9")]


def test_no_records(tmp_path: Path) -> None:
    for paths in (tmp_path, tmp_path / "absent", []):
        with pytest.raises(FileNotFoundError, match="WFDB record"):
            load_wfdb_records(paths)


@pytest.mark.parametrize(
    "wrong",
    [{"leads": []}, {"leads": ["I", "i"]}, {"on_error": "ignore"}, {"sampling_rate": 0}, {"length": 0}],
)
def test_parameters_are_checked(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_wfdb_records(tmp_path, **wrong)


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a", signals())
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(ImportError, match=r"sktgdp\[timeseries\]"):
        load_wfdb_records(tmp_path)


def test_progress_bar_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a", signals())
    load_wfdb_records(tmp_path)
    assert capsys.readouterr() == ("", "")
    load_wfdb_records(tmp_path, verbose=1)
    assert "1/1" in capsys.readouterr().err


# The cache ------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "records" / name, signals(seed=ord(name)))
    return tmp_path


def load(folder: Path, **options: object) -> np.ndarray:
    return load_wfdb_records(folder / "records", cache=folder / "cache", **options).data


def n_arrays(folder: Path) -> int:
    return len(list((folder / "cache").glob("*.npy")))


def test_cache_is_a_memory_map_of_the_same_array(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_wfdb_records(folder / "records")
    first = load(folder)
    monkeypatch.setattr(_records, "read_signals", None)  # a second reading would fail
    second = load(folder)
    assert isinstance(second, np.memmap)
    np.testing.assert_array_equal(first, plain.data)
    np.testing.assert_array_equal(second, plain.data)
    assert sorted(file.suffix for file in (folder / "cache").iterdir()) == [".json", ".npy"]
    second[:] = 0.0  # in memory only
    np.testing.assert_array_equal(load(folder), plain.data)


def test_cache_follows_files_and_parameters(folder: Path) -> None:
    before = np.array(load(folder))
    write(folder / "records" / "a", signals(seed=7))
    after = load(folder)
    np.testing.assert_allclose(after[0], signals(seed=7), atol=1e-3)
    np.testing.assert_array_equal(after[1], before[1])
    edit_header(folder / "records" / "a", "1000.0(0)/mV", "500.0(0)/mV", 1)
    np.testing.assert_allclose(load(folder)[0, 0], 2 * after[0, 0], atol=1e-6)
    assert n_arrays(folder) == 3
    for i, options in enumerate([{"length": np.int64(20)}, {"leads": ["I"]}, {"sampling_rate": 50}]):
        load(folder, **options)
        assert n_arrays(folder) == 4 + i
    write(folder / "records" / "c", signals())
    assert len(load(folder)) == 3


def test_damaged_cache_is_made_anew(folder: Path) -> None:
    expected = np.array(load(folder))
    for suffix, damage in ((".npy", b"\x93NUMPY"), (".json", b"{")):
        next((folder / "cache").glob("*" + suffix)).write_bytes(damage)
        np.testing.assert_array_equal(load(folder), expected)


def test_failed_reading_leaves_no_cache(folder: Path) -> None:
    x = signals()
    x[3, 7] = np.nan
    write(folder / "records" / "b", x)
    with pytest.raises(RecordError, match="invalid"):
        load(folder)
    assert list((folder / "cache").iterdir()) == []


def test_cache_remembers_what_was_skipped(folder: Path) -> None:
    x = signals()
    x[3, 7] = np.nan
    write(folder / "records" / "aa", x)
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 of 3"):
            bunch = load_wfdb_records(folder / "records", cache=folder / "cache", on_error="skip")
        assert bunch.record_names.tolist() == ["a", "b"]
        assert "invalid" in bunch.skipped[0][1]
        np.testing.assert_allclose(bunch.data[1], signals(seed=ord("b")), atol=1e-3)
    with pytest.raises(RecordError, match="invalid"):
        load(folder)
    facts = json.loads(next((folder / "cache").glob("*.json")).read_text())
    assert facts["lengths"] == [50, 50]
