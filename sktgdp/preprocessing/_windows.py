"""Records cut into windows, at a fixed stride or about each heart beat, and gathered again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy  # scipy.signal is large and loads on use
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter1d
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from sktgdp._arrays import common_exponent, refuse_hidden, refuse_times
from sktgdp.preprocessing._checks import Signals, check_records
from sktgdp.preprocessing._filters import ZeroPhaseFilter
from sktgdp.preprocessing._leads import STANDARD_LEADS, lead_positions

__all__ = ["BeatWindows", "SlidingWindow", "aggregate_windows"]

Index = NDArray[np.intp]
FEW_RECORDS, RECORDS_PER_WINDOW = 1_000_000, 100  # more rows of NaN than this are a mistake

POSITIVE = Interval(Real, 0, None, closed="neither")


@validate_params(
    {
        "how": [StrOptions({"mean", "max"})],
        "n_records": [Interval(Integral, 1, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def aggregate_windows(
    predictions: ArrayLike, record_index: ArrayLike, how: str = "mean", n_records: int | None = None
) -> NDArray[np.float64]:
    """Gather what was predicted for windows into one row for each record.

    Parameters
    ----------
    predictions : array-like of shape (n_windows,) or (n_windows, ...)
    record_index : array-like of shape (n_windows,)
        Number of the record of each window, from 0.
    how : {"mean", "max"}, default="mean"
    n_records : int, optional
        Number of records; by default as many as ``record_index`` names.

    Returns
    -------
    ndarray of shape (n_records, ...), float64
        NaN for a record without windows.

    Examples
    --------
    >>> aggregate_windows([0.2, 0.4, 0.9], [0, 0, 1]).round(3).tolist()
    [0.3, 0.9]
    """
    refuse_times(predictions, "predictions")
    values = check_array(predictions, dtype=np.float64, ensure_2d=False, allow_nd=True)
    index, size = _records_of(record_index, values, n_records)
    counts = np.bincount(index, minlength=size).reshape(-1, *[1] * (values.ndim - 1))
    start, add = (0.0, np.add) if how == "mean" else (-np.inf, np.maximum)
    gathered = np.full((size, *values.shape[1:]), start)
    with np.errstate(over="ignore"):
        add.at(gathered, index, values)
    gathered = gathered / np.maximum(counts, 1) if how == "mean" else gathered
    if not np.isfinite(gathered[counts.ravel() > 0]).all():
        raise ValueError("predictions are too large to be averaged: their sum is infinite. Scale them down.")
    return np.where(counts > 0, gathered, np.nan)


def _records_of(record_index: ArrayLike, values: NDArray[Any], n_records: int | None) -> tuple[Index, int]:
    """Checked numbers of the records of all windows, and how many records there are."""
    refuse_hidden(record_index, "record_index")
    index = column_or_1d(record_index)
    check_consistent_length(values, index)
    if index.dtype.kind not in "iu" or index.min() < 0:
        raise ValueError(f"record_index must hold the numbers of records, from 0; got {index.dtype}.")
    size = int(index.max()) + 1 if n_records is None else int(n_records)
    if n_records is None and size > max(FEW_RECORDS, RECORDS_PER_WINDOW * len(index)):
        raise ValueError(
            f"record_index names record {index.max()}, but there are only {len(index)} windows. Number the "
            "records from 0 without large gaps, as `split` does, or give n_records."
        )
    if index.max() >= size:
        raise ValueError(f"record_index names record {index.max()}, but n_records is {size}.")
    return index.astype(np.intp), size


class _Windows(BaseEstimator):
    """What cuts records at starts of its own; a subclass gives ``_starts`` and ``_size``."""

    def split(self, X: Any) -> tuple[Signals, Index]:
        """Cut records into windows.

        Parameters
        ----------
        X : array-like of shape (n, channels, length), or sequence of arrays (channels, length_i)

        Returns
        -------
        windows : ndarray of shape (n_windows, channels, size)
            In the order of the records, and of time within each; in their dtype if that is floating.
        record_index : ndarray of shape (n_windows,)
            Number of the record that each window comes from: ``y[record_index]`` are the windows' labels.

        Raises
        ------
        ValueError
            If a record is empty, not finite or too short; its number is named.
        """
        self._validate_params()
        records, size = check_records(X), self._size
        starts = [self._starts(number, record) for number, record in enumerate(records)]
        windows = [
            record[:, at : at + size] for record, own in zip(records, starts, strict=True) for at in own
        ]
        index = np.repeat(np.arange(len(records)), [len(own) for own in starts])
        empty = np.empty((0, len(records[0]), size), dtype=records[0].dtype)
        return np.stack(windows) if windows else empty, index

    def aggregate(
        self, predictions: ArrayLike, record_index: ArrayLike, how: str = "mean", n_records: int | None = None
    ) -> NDArray[np.float64]:
        """Gather what was predicted for windows into one row for each record; see `aggregate_windows`."""
        return aggregate_windows(predictions, record_index, how, n_records)

    @property
    def _size(self) -> int:
        raise NotImplementedError

    def _starts(self, number: int, record: Signals) -> Sequence[int]:
        raise NotImplementedError


class SlidingWindow(_Windows):
    """Cut records into windows of one size, and gather predictions for them.

    Parameters
    ----------
    size : int
        Samples per window.
    stride : int, optional
        Samples from one window to the next, at most ``size``; by default ``size``: no overlap.

    Notes
    -----
    Every sample lies in a window: where the stride does not end at the record's end, a last window is added
    that does. It is no transformer, as the number of rows changes.

    Examples
    --------
    >>> import numpy as np
    >>> window = SlidingWindow(4, stride=3)
    >>> windows, record = window.split(np.arange(16.0).reshape(2, 1, 8))
    >>> windows[:3, 0, 0].tolist(), record.tolist()
    ([0.0, 3.0, 4.0], [0, 0, 0, 1, 1, 1])
    >>> window.aggregate(windows.mean(axis=(1, 2)), record, how="max").tolist()
    [5.5, 13.5]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, size: int, stride: int | None = None) -> None:
        self.size = size
        self.stride = stride

    @property
    def _size(self) -> int:
        return self.size

    def _starts(self, number: int, record: Signals) -> Sequence[int]:
        stride = self.size if self.stride is None else self.stride
        if stride > self.size:
            raise ValueError(f"stride={stride} is longer than size={self.size} and would leave samples out.")
        last = record.shape[1] - self.size
        if last < 0:
            raise ValueError(
                f"Record {number} has {record.shape[1]} samples, fewer than a window's {self.size}. Pad it "
                "with CropPad, leave it out, or take a smaller window."
            )
        return sorted({*range(0, last + 1, stride), last})


class BeatWindows(_Windows):
    """Cut ECG records into windows about each R peak.

    Parameters
    ----------
    rate : float
        Samples per second, above 30.
    before, after : float, default=0.25, 0.45
        Seconds before and after the peak.
    lead : str, int or None, default=None
        Name or number of the lead on which peaks are sought; None takes the norm of all, which no single
        flat or noisy lead can spoil.
    leads : sequence of str, default=STANDARD_LEADS
        Names of the channels, for a named lead.

    Notes
    -----
    The QRS complex is where 5 to 15 Hz are steep [1]_. The root mean square of the slope in that band, over
    0.12 s and over the leads, is searched for peaks at least 0.25 s apart whose prominence exceeds 0.3 times
    the usual: the median over the highest peaks, as many as a pulse of 40 per minute would have. So the
    threshold follows amplitude and unit of each record. A peak is then moved to the largest deflection within
    0.1 s.

    A window that would reach beyond the record is left out: the first and the last beat may be lacking.
    Records without any window are counted in a warning.

    References
    ----------
    .. [1] Pan and Tompkins, "A real-time QRS detection algorithm", IEEE Transactions on Biomedical
       Engineering, 1985.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "rate": [Interval(Real, 30, None, closed="neither")],
        "before": [Interval(Real, 0, None, closed="left")],
        "after": [POSITIVE],
        "lead": [str, Integral, None],
        "leads": ["array-like", tuple],
    }

    def __init__(
        self,
        rate: float,
        before: float = 0.25,
        after: float = 0.45,
        lead: str | int | None = None,
        leads: Sequence[str] = STANDARD_LEADS,
    ) -> None:
        self.rate = rate
        self.before = before
        self.after = after
        self.lead = lead
        self.leads = leads

    def r_peaks(self, X: Any) -> list[Index]:
        """Find the R peaks of each record.

        Parameters
        ----------
        X : array-like of shape (n, channels, length), or sequence of arrays (channels, length_i)

        Returns
        -------
        list of n ndarrays
            Numbers of the samples, rising.
        """
        self._validate_params()
        return [self._peaks(number, record) for number, record in enumerate(check_records(X))]

    def split(self, X: Any) -> tuple[Signals, Index]:
        """Cut records into one window for each beat; see `SlidingWindow.split`.

        Warns
        -----
        UserWarning
            If records have no window.
        """
        windows, index = super().split(X)
        without = np.setdiff1d(np.arange(len(X)), index)
        if len(without):
            warnings.warn(
                f"{len(without)} of {len(X)} records have no beat that fits into a window, the first of them "
                f"record {without[0]}. They have no rows in the result.",
                UserWarning,
                stacklevel=2,
            )
        return windows, index

    @property
    def _size(self) -> int:
        size = round(self.before * self.rate) + round(self.after * self.rate)
        if size == 0:
            raise ValueError(
                f"before={self.before} and after={self.after} make windows of no samples at "
                f"rate={self.rate}. Give more seconds."
            )
        return size

    def _starts(self, number: int, record: Signals) -> Sequence[int]:
        starts = self._peaks(number, record) - round(self.before * self.rate)
        return starts[(starts >= 0) & (starts + self._size <= record.shape[1])].tolist()

    def _peaks(self, number: int, record: Signals) -> Index:
        record = np.ldexp(record, -common_exponent(record))  # squares are finite, and not all 0
        try:
            band = ZeroPhaseFilter(5.0, min(15.0, 0.45 * self.rate), self.rate, 2)(self._chosen(record))
        except ValueError as error:
            raise ValueError(f"Record {number}: {error}") from error
        slope = np.gradient(band.astype(np.float64), axis=1)
        power = uniform_filter1d(np.square(slope).mean(axis=0), self._samples(0.12))
        steepness = np.sqrt(np.maximum(power, 0.0))  # a running sum may end below 0 by rounding
        found, shape = scipy.signal.find_peaks(steepness, distance=self._samples(0.25), prominence=0.0)
        prominences = shape["prominences"]
        n_usual = max(1, round(record.shape[1] / self.rate * 40 / 60))
        usual = np.median(np.sort(prominences)[-n_usual:]) if len(found) else 0.0
        # the filter leaves rounding errors of a flat record behind
        least = max(0.3 * float(usual), 1e-9 * float(np.abs(record).max()))
        deflection = np.square(band).sum(axis=0)
        reach = self._samples(0.1)
        lows = [max(0, peak - reach) for peak in found[prominences > least]]
        peaks = [low + int(deflection[low : low + 2 * reach + 1].argmax()) for low in lows]
        return np.unique(np.array(peaks, dtype=np.intp))

    def _samples(self, seconds: float) -> int:
        return max(1, round(seconds * self.rate))

    def _chosen(self, record: Signals) -> Signals:
        if self.lead is None:
            return record
        if isinstance(self.lead, str):
            at = lead_positions([self.lead], self.leads, len(record))[0]
        else:
            at = int(self.lead)
        if not 0 <= at < len(record):
            raise ValueError(f"lead={self.lead!r}, but there are {len(record)} channels, numbered from 0.")
        return record[at : at + 1]
