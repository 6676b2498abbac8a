"""Series as traces, on the paper of an electrocardiogram or without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp._arrays import refuse_times
from sktgdp.metrics._checks import is_number
from sktgdp.plotting._style import one_axes, shorten
from sktgdp.preprocessing import INDEPENDENT_LEADS, STANDARD_LEADS

__all__ = ["TraceDisplay"]

Floats = NDArray[np.float64]

INCH = 25.4  # millimetres
LARGEST = 1e100
LONGEST = 10_000.0  # millimetres of paper
SPEED, GAIN = 25.0, 10.0  # millimetres per second and per millivolt
FINE, COARSE = "#F6D5D5", "#E3A3A3"  # squares of 1 mm and of 5 mm
MARGINS = (28.0, 22.0)  # millimetres beside and below the paper
KNOWN_LEADS = {len(STANDARD_LEADS): STANDARD_LEADS, len(INDEPENDENT_LEADS): INDEPENDENT_LEADS}


class TraceDisplay:
    """Channels of one series below each other.

    It is recommended to use `from_estimator` or `from_data`.

    Parameters
    ----------
    series : ndarray of shape (channels, length)
    rate : float or None
        Samples per second.
    channel_names : sequence of str

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    lines_ : list of Line2D
        One for each channel, its values less the channel's place.
    offsets_ : ndarray of shape (channels,)
        Places of the channels: what was added to their values.

    Notes
    -----
    On paper one second is 25 mm and one millivolt 10 mm, with squares of 1 mm (0.04 s, 0.1 mV) and of 5 mm
    (0.2 s, 0.5 mV). A figure of its own has this size when printed; given axes keep the proportions.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.plotting import TraceDisplay
    >>> display = TraceDisplay.from_data(np.zeros((12, 1000)), rate=100.0)
    >>> display.ax_.get_xlabel()
    'seconds (25 mm/s, 10 mm/mV)'
    """

    def __init__(self, series: Floats, *, rate: float | None, channel_names: Sequence[str]) -> None:
        refuse_times(series, "series")
        self.series: Floats = np.asarray(series, dtype=np.float64)
        if self.series.ndim != 2 or 0 in self.series.shape:
            raise ValueError(f"series must have shape (channels, length), got {self.series.shape}.")
        if np.isinf(self.series).any() or np.nanmax(np.abs(self.series), initial=0.0) > LARGEST:
            raise ValueError(f"series holds infinity, or values above {LARGEST:g}: too large to be drawn.")
        if rate is not None:
            _positive(rate, "rate")
        if len(channel_names) != len(self.series):
            raise ValueError(
                f"There are {len(self.series)} channels, but {len(channel_names)} channel_names."
            )
        self.rate, self.channel_names = rate, [str(name) for name in channel_names]

    @classmethod
    def from_estimator(
        cls, generator: Any, *, y: Any = None, random_state: Any = 0, **options: Any
    ) -> TraceDisplay:
        """Draw a series that a fitted generator samples.

        Parameters
        ----------
        generator : fitted generator of series
        y : label, optional
            What to sample; drawn with the frequencies of the fitted domain by default.
        random_state : int, RandomState, Generator or None
        **options
            As for `from_data`.

        Returns
        -------
        TraceDisplay
        """
        return cls.from_data(generator.sample(1, y, random_state=random_state)[0], **options)

    @classmethod
    def from_data(
        cls,
        X: Any,
        *,
        rate: float | None = None,
        row: int = 0,
        channel_names: Sequence[str] | None = None,
        **options: Any,
    ) -> TraceDisplay:
        """Draw one series.

        Parameters
        ----------
        X : array-like of shape (channels, length) or (n, channels, length)
            In millivolts for ECG paper.
        rate : float, optional
            Samples per second; without it the axis counts samples.
        row : int, default=0
            Which of n series.
        channel_names : sequence of str, optional
            By default the standard leads of 12 channels, the independent ones of 8, else numbers.
        **options
            See `plot`.

        Returns
        -------
        TraceDisplay
        """
        refuse_times(X, "X")
        series = np.asarray(X)
        if series.ndim not in (2, 3) or 0 in series.shape:
            raise ValueError(
                f"X must have shape (channels, length) or (n, channels, length), got {series.shape}."
            )
        series = _chosen(series, row) if series.ndim == 3 else series
        if channel_names is None:
            channel_names = KNOWN_LEADS.get(len(series), [str(k) for k in range(len(series))])
        return cls(series, rate=rate, channel_names=channel_names).plot(**options)

    def plot(
        self,
        *,
        paper: bool | str = "auto",
        spacing: float | None = None,
        ax: Any = None,
        title: str | None = None,
    ) -> TraceDisplay:
        """Draw.

        Parameters
        ----------
        paper : bool or "auto"
            The paper of an electrocardiogram; "auto" for 8 or 12 channels of a known rate, on at most 10 m.
        spacing : float, optional
            Between two channels, in the units of the series; by default by their ranges.
        ax : Axes, optional
        title : str, optional

        Returns
        -------
        self
        """
        on_paper = self._has_paper() if paper == "auto" else bool(paper)
        step = self._spacing(on_paper) if spacing is None else _positive(spacing, "spacing")
        self.offsets_ = -step * np.arange(len(self.series))
        x = np.arange(self.series.shape[1]) / (self.rate or 1.0)
        low, high = self._limits(step, on_paper)
        self.ax_ = one_axes(ax, "TraceDisplay", self._size(x[-1], high - low, on_paper))
        self.figure_ = self.ax_.figure
        traces = self.series + self.offsets_[:, None]
        self.lines_ = [self.ax_.plot(x, trace, color="black", linewidth=0.7)[0] for trace in traces]
        self.ax_.set_yticks(self.offsets_, [shorten(name) for name in self.channel_names])
        self.ax_.set(xlim=(0.0, x[-1] or 1.0), ylim=(low, high), title=title or "")
        self.ax_.spines[["left", "top", "right"]].set_visible(False)
        if on_paper:
            self._draw_paper()
        else:
            self.ax_.set_xlabel("samples" if self.rate is None else "seconds")
        return self

    def _has_paper(self) -> bool:
        """Whether the series looks like an electrocardiogram, and fits on a strip."""
        if self.rate is None or len(self.series) not in KNOWN_LEADS:
            return False
        height = GAIN * np.nanmax(np.abs(self.series), initial=0.0)
        return max(SPEED * self.series.shape[1] / self.rate, height) < LONGEST

    def _spacing(self, on_paper: bool) -> float:
        """Distance of two channels: most of the larger ranges, in whole squares on paper."""
        if on_paper and self.rate is None:
            raise ValueError("paper=True needs rate, in samples per second.")
        finite = (channel[np.isfinite(channel)] for channel in self.series)
        ranges = [np.ptp(channel) for channel in finite if len(channel)]
        wide = float(np.quantile(ranges, 0.75)) if ranges else 1.0
        return max(1.0, math.ceil(2 * wide) / 2) if on_paper else 1.1 * wide or 1.0

    def _limits(self, step: float, on_paper: bool) -> tuple[float, float]:
        """Ends of the axis: room for the outer channels, to whole squares on paper."""
        first, last = self.series[0], self.series[-1] + self.offsets_[-1]
        low, high = np.nanmin(last, initial=self.offsets_[-1]), np.nanmax(first, initial=0.0)
        low, high = float(low) - 0.25 * step, float(high) + 0.25 * step
        return (math.floor(2 * low) / 2, math.ceil(2 * high) / 2) if on_paper else (low, high)

    def _size(self, duration: float, height: float, on_paper: bool) -> tuple[float, float]:
        """Inches of a new figure."""
        if on_paper and max(duration * SPEED, height * GAIN) > LONGEST:
            raise ValueError(
                f"{duration:.4g} s and {height:.4g} mV do not fit on paper of {LONGEST / 1000:g} m. Cut the "
                "series, bring it to millivolts, or leave out paper=True."
            )
        if not on_paper:
            return 8.0, 1.2 + 0.55 * len(self.series)
        return (duration * SPEED + MARGINS[0]) / INCH, (height * GAIN + MARGINS[1]) / INCH

    def _draw_paper(self) -> None:
        """Squares of 1 mm and 5 mm below the traces, at the scale of the paper."""
        (left, right), (low, high) = self.ax_.get_xlim(), self.ax_.get_ylim()
        for millimetres, color, width in ((1.0, FINE, 0.4), (5.0, COARSE, 0.6)):
            across = np.arange(left, right + 1e-9, millimetres / SPEED)
            along = np.arange(low, high + 1e-9, millimetres / GAIN)
            style = {"colors": color, "linewidth": width, "zorder": 0}
            self.ax_.vlines(across, low, high, **style)
            self.ax_.hlines(along, left, right, **style)
        self.ax_.set_aspect(GAIN / SPEED)
        self.ax_.set_xlabel("seconds (25 mm/s, 10 mm/mV)")


def _positive(value: Any, name: str) -> float:
    """A positive finite number."""
    if not is_number(value) or value <= 0:
        raise ValueError(f"{name} must be positive and finite, got {value!r}.")
    return float(value)


def _chosen(series: NDArray[Any], row: Any) -> NDArray[Any]:
    """One of several series."""
    if isinstance(row, bool) or row not in range(-len(series), len(series)):
        raise ValueError(f"row must be the number of one of {len(series)} series, got {row!r}.")
    chosen: NDArray[Any] = series[int(row)]
    return chosen
