"""Filters without phase shift: a band of frequencies kept, a wandering baseline removed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy  # scipy.signal is large and loads on use
from scipy.ndimage import median_filter
from sklearn.utils._param_validation import Interval, StrOptions

from sktgdp.preprocessing._checks import Signals, SignalTransformer, by_chunks

__all__ = ["BandPass", "BaselineRemover", "ZeroPhaseFilter"]

POSITIVE = Interval(Real, 0, None, closed="neither")


class ZeroPhaseFilter:
    r"""Butterworth filter, run forward and backward.

    The gain at frequency f is :math:`|H(f)|^2`, H the Butterworth response of the given order: 1/2 at the
    edges. A record is continued at both ends by its own mirror image, as long as one period of the lower
    edge or as `scipy.signal.sosfiltfilt` would, whichever is longer. Point reflection, the default there,
    doubles the level at which a record happens to end: a step in the baseline where that is inside a QRS.
    """

    def __init__(self, low: float | None, high: float | None, rate: float, order: int) -> None:
        edges = [edge for edge in (low, high) if edge is not None]
        if not edges or edges != sorted(set(edges)) or edges[-1] >= rate / 2:
            raise ValueError(
                f"low={low} and high={high} do not bound a band below half the rate, {rate / 2} Hz. Give "
                "low < high < rate / 2; None leaves a side open."
            )
        kind = "band" if len(edges) == 2 else "highpass" if high is None else "lowpass"
        at = edges if len(edges) == 2 else edges[0]
        self.sections = scipy.signal.butter(order, at, kind, fs=rate, output="sos")
        default = 3 * (2 * len(self.sections) + 1)
        self.padding = max(default, math.ceil(rate / edges[0]))

    def __call__(self, signals: Signals) -> Signals:
        """Filter along the last axis, which must be longer than the padding."""
        if signals.shape[-1] <= self.padding:
            raise ValueError(
                f"X has records of {signals.shape[-1]} samples; this filter needs more than "
                f"{self.padding:.10g}, one period of its lower edge. Give longer records, filter before "
                "cutting windows, or raise the lower edge."
            )
        return scipy.signal.sosfiltfilt(self.sections, signals, axis=-1, padtype="even", padlen=self.padding)


class _Removal(SignalTransformer):
    """Transformer that removes a part of a signal, and cannot bring it back."""

    _no_density = "many signals differ only in what it removes"
    _if_infinite = "Give signals in a larger unit, or take a lower order."

    def _backward(self, signals: Signals) -> Signals:
        return signals


class BandPass(_Removal):
    """Keep a band of frequencies, without phase shift.

    Parameters
    ----------
    low, high : float or None
        Edges of the band in Hz, where the gain is 1/2; None leaves a side open. For ECG 0.5 and 40 is usual.
    rate : float
        Samples per second.
    order : int, default=3
        Of the Butterworth filter, which is run forward and backward.

    Attributes
    ----------
    event_shape_ : tuple
        Channels and length of the fitted signals.
    n_features_in_ : int
        Number of channels.

    Notes
    -----
    Linear, and the same for every channel, so that relations between leads stay. Records are continued at
    the ends by their mirror image; they must be longer than one period of the lower edge, since less
    says nothing about it. `inverse_transform` gives its argument back: what was removed is gone, and a
    generator that was fitted on filtered rows draws filtered rows. There is no density.

    See Also
    --------
    scipy.signal.sosfiltfilt

    Examples
    --------
    >>> import numpy as np
    >>> time = np.arange(1000) / 100
    >>> wave = np.sin(2 * np.pi * 10 * time)[None, None]
    >>> kept = BandPass(0.5, 40, rate=100).fit_transform(wave + 3.0)
    >>> bool(np.abs(kept - wave)[..., 200:-200].max() < 0.01)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "low": [POSITIVE, None],
        "high": [POSITIVE, None],
        "rate": [POSITIVE],
        "order": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, low: float | None, high: float | None, rate: float, order: int = 3) -> None:
        self.low = low
        self.high = high
        self.rate = rate
        self.order = order

    def _forward(self, signals: Signals) -> Signals:
        return by_chunks(ZeroPhaseFilter(self.low, self.high, self.rate, self.order), signals)

    def _learn(self, signals: Signals) -> None:
        self._forward(signals[:1])  # raises where the band or the length does not fit


class BaselineRemover(_Removal):
    """Remove the slow wander of a baseline.

    Parameters
    ----------
    rate : float
        Samples per second.
    method : {"median", "highpass"}, default="median"
        "median" takes two running medians, the second of the first, for the baseline: it keeps slow waves
        of the beat but is not linear, so that relations between leads no longer hold exactly. "highpass" is
        a `BandPass` that is open above: linear and faster.
    cutoff : float, default=0.5
        Edge of the high-pass in Hz.
    windows : tuple of two floats, default=(0.2, 0.6)
        Widths of the medians in seconds: the first clears the QRS complex and the P wave, the second the T
        wave.

    Attributes
    ----------
    event_shape_ : tuple
        Channels and length of the fitted signals.
    n_features_in_ : int
        Number of channels.

    Notes
    -----
    For the medians a record is continued at the ends by its first and last value, and it must be at least
    as long as the longer window. A constant offset is removed exactly. The inverse and the density are as
    for `BandPass`.

    References
    ----------
    de Chazal, O'Dwyer and Reilly, "Automatic classification of heartbeats using ECG morphology and heartbeat
    interval features", IEEE Transactions on Biomedical Engineering, 2004.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "rate": [POSITIVE],
        "method": [StrOptions({"median", "highpass"})],
        "cutoff": [POSITIVE],
        "windows": ["array-like", tuple],
    }

    def __init__(
        self,
        rate: float,
        method: str = "median",
        cutoff: float = 0.5,
        windows: tuple[float, float] = (0.2, 0.6),
    ) -> None:
        self.rate = rate
        self.method = method
        self.cutoff = cutoff
        self.windows = windows

    def _learn(self, signals: Signals) -> None:
        self._forward(signals[:1])  # raises where the cut-off or the length does not fit

    def _forward(self, signals: Signals) -> Signals:
        if self.method == "highpass":
            return by_chunks(ZeroPhaseFilter(self.cutoff, None, self.rate, 3), signals)
        with np.errstate(over="ignore"):  # announced with the results
            return signals - self._medians(signals)

    def _sizes(self) -> list[int]:
        """Widths of both medians in samples, odd."""
        widths: list[Any] = list(self.windows)
        kinds = (int, float, np.integer, np.floating)
        real = all(isinstance(width, kinds) and not isinstance(width, bool) for width in widths)
        if len(widths) != 2 or not real or not all(0 <= width * self.rate < math.inf for width in widths):
            raise ValueError(f"windows={self.windows!r} must be two widths in seconds, none negative.")
        sizes = [2 * round(width * self.rate / 2) + 1 for width in widths]
        if max(sizes) == 1:
            raise ValueError(
                f"windows={self.windows!r} hold one sample each at rate={self.rate}, whose median is the "
                "signal itself: nothing would be left. Give wider windows."
            )
        return sizes

    def _medians(self, signals: Signals) -> Signals:
        sizes = self._sizes()
        if signals.shape[-1] < max(sizes):
            raise ValueError(
                f"X has records of {signals.shape[-1]} samples; the medians need at least {max(sizes):.10g}. "
                "Give longer records, or narrower windows."
            )
        lines = np.asarray(signals.reshape(-1, signals.shape[-1]))
        for size in sizes:
            lines = np.stack([median_filter(line, size, mode="nearest") for line in lines])
        return lines.reshape(signals.shape)
