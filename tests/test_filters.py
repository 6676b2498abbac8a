"""Filters of signals, against the gain they were designed for, and what they must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import butter, freqz_sos

from sktgdp.preprocessing import BandPass, BaselineRemover

Floats = NDArray[np.float64]
RATE = 100.0
TIME = np.arange(3000) / RATE
MIDDLE = slice(1000, 2000)
BANDS: list[tuple[Any, Any]] = [(0.5, 40.0), (5.0, 15.0), (None, 20.0), (1.0, None)]


@pytest.mark.parametrize(("low", "high"), BANDS)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_gain(low: float | None, high: float | None, order: int) -> None:
    """Waves come out with the square of the designed gain, and with their own phase."""
    frequencies = np.array([0.2, 0.5, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 47.0])
    edges = [edge for edge in (low, high) if edge is not None]
    kind = "bandpass" if len(edges) == 2 else "lowpass" if low is None else "highpass"
    sections = butter(order, edges if len(edges) == 2 else edges[0], kind, fs=RATE, output="sos")
    gain = np.abs(freqz_sos(sections, frequencies, fs=RATE)[1]) ** 2
    waves = np.cos(2 * np.pi * np.outer(frequencies, TIME))[None]
    kept = BandPass(low, high, RATE, order).fit_transform(waves)
    np.testing.assert_allclose(kept[0, :, MIDDLE], gain[:, None] * waves[0, :, MIDDLE], atol=0.01)


@pytest.mark.parametrize(("low", "high"), BANDS)
def test_half_the_gain_at_the_edges(low: float | None, high: float | None) -> None:
    for edge in (low, high):
        if edge is not None:
            wave = np.cos(2 * np.pi * edge * TIME)[None, None]
            kept = BandPass(low, high, RATE).fit_transform(wave)[..., MIDDLE]
            assert np.vdot(kept, wave[..., MIDDLE]) / np.square(wave[..., MIDDLE]).sum() == pytest.approx(
                0.5, abs=0.02
            )


@pytest.mark.parametrize(
    "remover", [BandPass(0.5, 40, RATE), BaselineRemover(RATE, "highpass")], ids=["band", "highpass"]
)
def test_linear(remover: Any, rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(2, 3, 2, 400))
    mixed = remover.fit_transform(2.5 * X - Y)
    np.testing.assert_allclose(mixed, 2.5 * remover.transform(X) - remover.transform(Y), atol=1e-10)


@given(
    scale=st.floats(-100, 100).filter(lambda a: abs(a) > 1e-3),
    offset=st.floats(-1e3, 1e3),
    method=st.sampled_from(["median", "highpass"]),
)
@settings(max_examples=30, deadline=None)
def test_offset_and_unit(scale: float, offset: float, method: str) -> None:
    """An offset goes, a change of unit commutes."""
    X = np.random.default_rng(0).normal(size=(1, 2, 300))
    remover = BaselineRemover(RATE, method).fit(X)
    size = abs(scale) + abs(offset)
    np.testing.assert_allclose(
        remover.transform(scale * X + offset), scale * remover.transform(X), atol=1e-9 * size
    )


@pytest.mark.parametrize("method", ["median", "highpass"])
def test_wander_goes_and_beats_stay(method: str) -> None:
    """A drift of 0.1 Hz, three times as high as the beats, is gone; narrow beats are nearly as they were."""
    beats = np.exp(-(((TIME % 1.0) - 0.5) ** 2) / (2 * 0.015**2))
    drift = 3 * np.sin(2 * np.pi * 0.1 * TIME + 1.0)
    kept = BaselineRemover(RATE, method).fit_transform((beats + drift)[None, None])[0, 0]
    error = (kept - beats)[MIDDLE]
    assert np.abs(error - error.mean()).max() < 0.15
    assert np.sqrt(np.square(kept[:100] - beats[:100]).mean()) < 0.5  # also at the ends


def test_medians_are_those_stated(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 3, 150))
    baseline = median_filter(median_filter(X, (1, 1, 21), mode="nearest"), (1, 1, 61), mode="nearest")
    np.testing.assert_array_equal(BaselineRemover(RATE).fit_transform(X), X - baseline)


@pytest.mark.parametrize("at", [0, 7, 150, 399])
def test_edges_stay_small(at: int) -> None:
    """A record that ends inside a beat gets no step of the baseline from it."""
    X = np.exp(-((np.arange(400) - at) ** 2) / (2 * 1.5**2))[None, None]
    kept = BandPass(0.5, 40, RATE).fit_transform(X)
    far = np.abs(np.arange(400) - at) > 30
    assert np.abs(kept[0, 0, far]).max() < 0.1


@pytest.mark.parametrize(
    ("remover", "length", "message"),
    [
        (BandPass(0.5, 40, RATE), 200, "200 samples; this filter needs more than 200"),
        (BandPass(None, 40, RATE, order=1), 9, "needs more than 9"),
        (BaselineRemover(RATE, "highpass", cutoff=1.0), 100, "needs more than 100"),
        (BaselineRemover(RATE), 60, "60 samples; the medians need at least 61"),
    ],
    ids=str,
)
def test_short_records(remover: Any, length: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        remover.fit(np.zeros((1, 1, length)))
    assert remover.fit_transform(np.zeros((1, 1, length + 1))).shape == (1, 1, length + 1)


@pytest.mark.parametrize(
    ("remover", "message"),
    [
        (BandPass(40, 0.5, RATE), "low < high"),
        (BandPass(5, 5, RATE), "low < high"),
        (BandPass(None, None, RATE), "low < high"),
        (BandPass(0.5, 50, RATE), r"50\.0 Hz"),
        (BandPass(0.5, 40, -1), "rate"),
        (BandPass(0.5, 40, RATE, order=0), "order"),
        (BaselineRemover(RATE, "mean"), "method"),
        (BaselineRemover(RATE, windows=(0.2,)), "two widths"),
        (BaselineRemover(RATE, windows=(0.2, -0.6)), "none negative"),
    ],
    ids=str,
)
def test_refuses(remover: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        remover.fit(np.zeros((1, 1, 500)))


@pytest.mark.parametrize(
    "windows", [(np.nan, 1), (np.inf, 1), ("a", "b"), (True, 0.6), (1e308, 1e308), (1j, 1), (0.2, 0.6, 1)]
)
def test_windows_are_two_widths(windows: Any) -> None:
    with pytest.raises(ValueError, match="must be two widths in seconds, none negative"):
        BaselineRemover(RATE, windows=windows).fit(np.zeros((1, 1, 500)))


def test_medians_of_one_sample_would_leave_nothing() -> None:
    with pytest.raises(ValueError, match="nothing would be left"):
        BaselineRemover(RATE, windows=(0, 0.001)).fit(np.zeros((1, 1, 500)))


@pytest.mark.parametrize(
    "remover", [BandPass(0.5, 20, RATE, order=300), BandPass(0.5, 20, RATE), BaselineRemover(RATE)], ids=str
)
def test_no_infinity_leaves_a_filter(remover: Any, rng: np.random.Generator) -> None:
    """A high order is unstable, and sums of the largest numbers run over."""
    X = np.sign(rng.normal(size=(2, 1, 4000))) * (1.0 if getattr(remover, "order", 0) == 300 else 1.7e308)
    fitted = remover.fit(X)
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="gives no finite numbers for 2 of 2 rows"),
    ):
        fitted.transform(X)
