"""Windows at a stride and about beats: nothing is lost, and what is gathered belongs to its record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import clone

from sktgdp.preprocessing import BeatWindows, SlidingWindow, aggregate_windows

Floats = NDArray[np.float64]


# At a stride ----------------------------------------------------------------------------------------
@given(
    lengths=st.lists(st.integers(5, 30), min_size=1, max_size=4),
    size=st.integers(1, 5),
    data=st.data(),
)
@settings(max_examples=80, deadline=None)
def test_every_sample_lies_in_a_window(lengths: list[int], size: int, data: Any) -> None:
    stride = data.draw(st.none() | st.integers(1, size))
    records = [100.0 * i + np.arange(float(length))[None] for i, length in enumerate(lengths)]
    windows, index = SlidingWindow(size, stride).split(records)
    assert windows.shape == (len(index), 1, size)
    for number, record in enumerate(records):
        own = windows[index == number, 0]
        np.testing.assert_array_equal(np.unique(own), record[0])  # all of its samples, and no other
        assert (np.diff(own, axis=1) == 1).all()
        steps = np.diff(own[:, 0])
        assert (steps[:-1] == (stride or size)).all()
        assert (steps > 0).all()
        assert own[-1, -1] == record[0, -1]
    assert (np.diff(index) >= 0).all()


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_what_is_split_is_gathered(how: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Labels of records, given to their windows, come back as they were."""
    X, y = rng.normal(size=(5, 2, 17)), rng.normal(size=(5, *shape))
    window = SlidingWindow(6, 4)
    windows, index = window.split(X)
    np.testing.assert_allclose(window.aggregate(y[index], index, how=how), y, atol=1e-15)
    if how == "max":
        np.testing.assert_array_equal(window.aggregate(windows.max(axis=2), index, how=how), X.max(axis=2))


def test_means_of_equal_parts(rng: np.random.Generator) -> None:
    X = rng.normal(size=(4, 2, 30))
    window = SlidingWindow(10)
    windows, index = window.split(X)
    np.testing.assert_array_equal(windows, np.concatenate(X.reshape(4, 2, 3, 10).swapaxes(1, 2)))
    np.testing.assert_allclose(window.aggregate(windows.mean(axis=2), index), X.mean(axis=2))


def test_record_without_windows() -> None:
    gathered = aggregate_windows([[1, 2], [3, 6]], [1, 1], n_records=3)
    np.testing.assert_array_equal(gathered, [[np.nan] * 2, [2, 4], [np.nan] * 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [0]), "inconsistent"),
        (([1.0, np.nan], [0, 1]), "NaN"),
        (([1.0], [-1]), "from 0"),
        (([1.0], [0.5]), "from 0"),
        (([1.0], [2], "mean", 2), "names record 2, but n_records is 2"),
        (([1.0], [0], "sum"), "how"),
    ],
)
def test_aggregate_refuses(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aggregate_windows(*arguments)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (SlidingWindow(6), "Record 1 has 5 samples, fewer than a window's 6"),
        (SlidingWindow(3, 4), "would leave samples out"),
        (SlidingWindow(0), "size"),
        (SlidingWindow(2, 0), "stride"),
    ],
)
def test_split_refuses(window: SlidingWindow, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window.split([np.zeros((1, 8)), np.zeros((1, 5))])


@pytest.mark.parametrize("window", [SlidingWindow(20), BeatWindows(100.0)], ids=str)
def test_dtype_and_bad_records(window: Any) -> None:
    X = synthetic_ecg(np.arange(0.5, 10, 0.8))[None]
    for dtype, expected in [(np.float32, np.float32), (np.float64, np.float64), (np.int16, np.float64)]:
        windows, _ = clone(window).split((1000 * X).astype(dtype))
        assert windows.dtype == expected
    with pytest.raises(ValueError, match="Record 1 contains NaN or infinity in channels"):
        window.split([X[0], np.where(np.arange(1000) == 5, np.nan, X[0])])
    with pytest.raises(ValueError, match="Record 1 has 2 channels"):
        window.split([X[0], X[0, :2]])


# About beats ----------------------------------------------------------------------------------------
def synthetic_ecg(beats: Any, rate: float = 100.0, seconds: float = 10.0, amplitude: Any = 1.0) -> Floats:
    """Three leads with P, QRS and T waves about known R peaks (seconds), the second upside down."""
    time = np.arange(round(seconds * rate)) / rate
    waves = [
        (-0.18, 0.12, 0.025),
        (-0.03, -0.15, 0.01),
        (0, 1, 0.012),
        (0.03, -0.25, 0.01),
        (0.25, 0.3, 0.05),
    ]
    ecg = np.zeros_like(time)
    for beat, size in zip(beats, np.broadcast_to(amplitude, len(beats)), strict=True):
        for shift, height, width in waves:
            ecg += size * height * np.exp(-((time - beat - shift) ** 2) / (2 * width**2))
    return np.stack([ecg, -1.5 * ecg, 0.3 * ecg])


PULSES = {
    "slow": np.arange(0.6, 9.7, 1.5),
    "usual": np.arange(0.4, 9.7, 0.83),
    "fast": np.arange(0.4, 9.7, 0.36),
    "irregular": 0.5 + np.cumsum([0, 0.6, 1.1, 0.45, 0.9, 1.6, 0.5, 0.7, 0.8, 1.2]),
}


@pytest.mark.parametrize("pulse", PULSES)
@pytest.mark.parametrize("rate", [100.0, 360.0])
@pytest.mark.parametrize("unit", [1.0, 1e-3, 1000.0])
def test_known_peaks(pulse: str, rate: float, unit: float, rng: np.random.Generator) -> None:
    """Each beat once, within 20 ms, in noise and drift, whatever the unit."""
    beats = PULSES[pulse]
    X = synthetic_ecg(beats, rate, amplitude=rng.uniform(0.7, 1.3, len(beats)))
    time = np.arange(X.shape[1]) / rate
    X = unit * (X + 0.03 * rng.normal(size=X.shape) + np.sin(2 * np.pi * 0.2 * time))
    for lead in (None, 0, "II", "iii"):
        finder = BeatWindows(rate, lead=lead, leads=("I", "II", "III"))
        (found,) = finder.r_peaks(X[None])
        assert len(found) == len(beats)
        assert np.abs(found / rate - beats).max() <= 0.02


def test_windows_are_about_the_peaks() -> None:
    beats = np.array([0.1, 1.0, 2.0, 3.5, 5.0, 6.2, 7.5, 8.8, 9.8])
    X = np.stack([synthetic_ecg(beats), synthetic_ecg(beats[:6])])
    windows, index = BeatWindows(100.0, before=0.25, after=0.45).split(X)
    assert windows.shape == (12, 3, 70)  # without the first beat, and the last, which reach beyond
    assert np.bincount(index).tolist() == [7, 5]
    assert (np.abs(windows).argmax(axis=2) == 25).all()
    np.testing.assert_array_equal(windows[0], X[0, :, 75:145])


def test_records_without_beats_are_counted() -> None:
    X = np.stack([np.zeros((3, 1000)), synthetic_ecg(PULSES["usual"]), np.full((3, 1000), 7.3)])
    finder = BeatWindows(100.0)
    with pytest.warns(UserWarning, match="2 of 3 records have no beat .* record 0"):
        windows, index = finder.split(X)
    assert set(index) == {1}
    with pytest.warns(UserWarning, match="1 of 1 records"):
        windows, index = finder.split(X[:1])
    assert windows.shape == (0, 3, 70)
    assert index.shape == (0,)


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        (BeatWindows(100.0, lead="V9"), r"lacks \['V9'\]"),
        (BeatWindows(100.0, lead="II"), "X has 3 channels, but leads names 12"),
        (BeatWindows(100.0, lead=3), "lead=3, but there are 3 channels"),
        (BeatWindows(30.0), "rate"),
        (BeatWindows(100.0, after=0.0), "after"),
        (BeatWindows(1000.0), "Record 0: X has records of 50 samples"),
    ],
    ids=str,
)
def test_beats_refuse(finder: BeatWindows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        finder.r_peaks(np.ones((1, 3, 50)))


@pytest.mark.parametrize("name", ["brugada_huca/brugada_huca_100hz.npz", "ludb/ludb_100hz.npz"])
def test_real_pulses_are_physiologic(name: str, data_dir: Path) -> None:
    """Every record has 30 to 200 beats a minute, and half of the people 50 to 100."""
    X = np.load(data_dir / name, allow_pickle=False)["X"]
    peaks = BeatWindows(100.0).r_peaks(X)
    pulses = 6000 / X.shape[2] * np.array([len(found) for found in peaks])
    assert pulses.min() >= 30
    assert pulses.max() <= 200
    assert ((pulses > 50) & (pulses < 100)).mean() > 0.8
    shortest = min(int(np.diff(found).min()) for found in peaks)
    assert shortest >= 20


# Hostile input --------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [10**12, np.uint64(2**64 - 1)])
def test_few_windows_do_not_make_many_records(number: Any) -> None:
    """A number of a record that is far off would fill the memory with NaN."""
    with pytest.raises(ValueError, match=r"but there are only 2 windows\. Number the records from 0"):
        aggregate_windows([0.1, 0.2], np.array([0, number], dtype=np.uint64))


def test_predictions_are_real_and_their_sums_finite() -> None:
    index, hidden = np.array([0, 0]), np.ma.MaskedArray([0.1, 0.2], mask=[0, 1])
    with pytest.raises(ValueError, match="predictions is a masked array"):
        aggregate_windows(hidden, index)
    with pytest.raises(ValueError, match="record_index is a masked array"):
        aggregate_windows([0.1, 0.2], np.ma.MaskedArray(index, mask=[0, 1]))
    with pytest.raises(ValueError, match="Complex data not supported: predictions"):
        aggregate_windows([0.1j, 0.2], index)
    with pytest.raises(TypeError, match="predictions holds datetimes"):
        aggregate_windows(index.astype("M8[s]"), index)
    with pytest.raises(ValueError, match="too large to be averaged"):
        aggregate_windows([1.7e308, 1.7e308], index)


def test_a_beat_has_samples() -> None:
    with pytest.raises(ValueError, match="make windows of no samples at rate=100"):
        BeatWindows(100.0, before=0, after=0.001).split(np.zeros((1, 1, 500)))


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**700])
def test_beats_are_found_in_any_unit(unit: float, data_dir: Path) -> None:
    X = np.load(data_dir / "ludb" / "ludb_100hz.npz", allow_pickle=False)["X"][:2].astype(np.float64)
    for found, expected in zip(
        BeatWindows(100.0).r_peaks(unit * X), BeatWindows(100.0).r_peaks(X), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
