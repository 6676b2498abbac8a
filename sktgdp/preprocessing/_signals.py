"""Sampling rates, lengths, frequencies: signals made alike, and chains of such steps."""

from __future__ import annotations

from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy  # scipy.signal is large and loads on use
from numpy.typing import ArrayLike
from scipy.fft import dct, idct
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sktgdp._arrays import common_exponent
from sktgdp.preprocessing._checks import (
    Signals,
    SignalTransformer,
    by_chunks,
    check_records,
    check_rows,
    finite_rows,
    same_channels,
)

__all__ = ["CropPad", "Resampler", "SpectralTransformer", "TransformerChain", "make_chain"]

POSITIVE = Interval(Real, 0, None, closed="neither")
LARGER_UNIT = "Give signals in a larger unit."


class Resampler(SignalTransformer):
    """Change the sampling rate, by a polyphase filter against aliasing.

    Parameters
    ----------
    rate_in, rate_out : float
        Samples per second, before and after.

    Attributes
    ----------
    event_shape_ : tuple
        Channels and length of the fitted signals, to which `inverse_transform` returns.
    n_features_in_ : int
        Number of channels.

    Notes
    -----
    A record of length L becomes one of length ceil(L rate_out / rate_in). The inverse gives back what lies
    below half the lower of both rates, but for the filter's transition band; nothing else can. At the
    ends the record is continued along the line through its first and last sample, so that an offset or a
    drift makes no step there.

    See Also
    --------
    scipy.signal.resample_poly

    Examples
    --------
    >>> import numpy as np
    >>> Resampler(500, 100).fit_transform(np.zeros((1, 12, 5000))).shape
    (1, 12, 1000)
    """

    _parameter_constraints: dict[str, list[Any]] = {"rate_in": [POSITIVE], "rate_out": [POSITIVE]}
    _no_density = "another rate has another number of samples"

    def __init__(self, rate_in: float, rate_out: float) -> None:
        self.rate_in = rate_in
        self.rate_out = rate_out

    @property
    def _ratio(self) -> Fraction:
        out, into = (Fraction(rate).limit_denominator(1000) for rate in (self.rate_out, self.rate_in))
        if 0 in (out, into):
            raise ValueError(
                f"rate_in={self.rate_in} and rate_out={self.rate_out} must be at least 0.001 per second."
            )
        return out / into

    def _learn(self, signals: Signals) -> None:
        _ = self._ratio  # raises

    def _forward(self, signals: Signals) -> Signals:
        return _resampled(signals, self._ratio)

    def _backward(self, signals: Signals) -> Signals:
        length = self.event_shape_[1]
        expected = -(-length * self._ratio.numerator // self._ratio.denominator)
        if signals.shape[2] != expected:
            raise ValueError(f"X has signals of length {signals.shape[2]}; `transform` gives {expected}.")
        return _resampled(signals, 1 / self._ratio)[..., :length]

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|``: 0 where both rates are equal, else a TypeError."""
        return 0.0 if self._ratio == 1 else super().log_abs_det_jacobian(event_shape)


def _resampled(signals: Signals, ratio: Fraction) -> Signals:
    up, down = ratio.numerator, ratio.denominator
    if signals.shape[-1] == 1:  # one sample makes no line to go on along
        return np.repeat(signals, -(-up // down), axis=-1)
    return by_chunks(
        lambda part: scipy.signal.resample_poly(part, up, down, axis=-1, padtype="line"), signals
    )


class CropPad(TransformerMixin, BaseEstimator):
    """Crop or pad records to one length.

    Parameters
    ----------
    length : int
        Number of samples, at least 1.
    align : {"start", "center"}, default="start"
        Which part of a longer record is kept, and where a shorter one lies.
    fill : float, default=0.0
        Value of the samples that are added.

    Attributes
    ----------
    length_in_ : int or None
        The length of the fitted records; None if they differ.
    n_features_in_ : int
        Number of channels.

    Notes
    -----
    Records come as an array of shape (n, channels, length) or as a list of arrays (channels, length_i). The
    inverse returns records to ``length_in_``: exactly where they were padded, with ``fill`` for what was
    cropped. Where the fitted lengths differ, it leaves them as they are.

    Examples
    --------
    >>> import numpy as np
    >>> CropPad(4).fit_transform([np.ones((1, 3)), np.ones((1, 5))]).tolist()
    [[[1.0, 1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]]]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "length": [Interval(Integral, 1, None, closed="left")],
        "align": [StrOptions({"start", "center"})],
        "fill": [Interval(Real, None, None, closed="neither")],
    }

    length_in_: int | None
    n_features_in_: int

    def __init__(self, length: int, align: str = "start", fill: float = 0.0) -> None:
        self.length = length
        self.align = align
        self.fill = fill

    def fit(self, X: Any, y: Any = None) -> CropPad:
        """Learn the records' length and number of channels.

        Parameters
        ----------
        X : array-like of shape (n, channels, length), or sequence of arrays (channels, length_i)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a record is empty, not finite or has another number of channels; its number is named.
        """
        self._validate_params()
        records = check_records(X)
        lengths = {record.shape[1] for record in records}
        self.n_features_in_ = len(records[0])
        self.length_in_ = lengths.pop() if len(lengths) == 1 else None
        return self

    def transform(self, X: Any) -> Signals:
        """Crop or pad records; array of shape (n, channels, length), in their dtype if that is floating."""
        check_is_fitted(self)
        records = check_records(X)
        same_channels(records, self.n_features_in_)
        return np.stack([self._to_length(record, self.length) for record in records])

    def inverse_transform(self, X: ArrayLike) -> Signals:
        """Return records to the length of those that were fitted, if it was one.

        Parameters
        ----------
        X : array-like of shape (n, channels, self.length)

        Returns
        -------
        ndarray of shape (n, channels, ``length_in_``)
        """
        check_is_fitted(self)
        given = check_records(X)
        same_channels(given, self.n_features_in_)
        for number, record in enumerate(given):
            if record.shape[1] != self.length:
                raise ValueError(
                    f"Record {number} has {record.shape[1]} samples; `transform` gives {self.length}."
                )
        records = np.stack(given)
        return records if self.length_in_ is None else self._to_length(records, self.length_in_)

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|``: 0 where the length stays the same, else a TypeError."""
        if event_shape[-1] == self.length:
            return 0.0
        raise TypeError(
            f"CropPad gives no density: rows of {event_shape[-1]} samples become rows of {self.length}."
        )

    def _to_length(self, records: Signals, length: int) -> Signals:
        surplus = records.shape[-1] - length
        before = abs(surplus) // 2 if self.align == "center" else 0
        if surplus >= 0:
            return records[..., before : before + length]
        if abs(self.fill) > float(np.finfo(records.dtype).max):
            raise ValueError(f"fill={self.fill} is too large for records of dtype {records.dtype}.")
        pad = [(0, 0)] * (records.ndim - 1) + [(before, -surplus - before)]
        return np.pad(records, pad, constant_values=self.fill)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class SpectralTransformer(TransformerMixin, BaseEstimator):
    r"""Signals as the coefficients of an orthonormal cosine basis.

    For a record x of length L, and along the last axis of any array,

    .. math:: z_k = \sqrt{(2 - [k = 0]) / L} \sum_j x_j \cos(\pi k (2 j + 1) / 2 L), \quad k = 0 \dots L - 1.

    Coefficient k belongs to the frequency k / 2L per sample. The coefficients of a stationary signal are
    nearly independent, whatever its phase, so that its law is simple here and hard in time. Followed by
    ``RowStandardizer(per="value")`` each coefficient has a unit of its own. Norms are kept (Parseval), and
    the inverse is exact to rounding, unless coefficients are left out.

    Parameters
    ----------
    n_coefficients : int, optional
        Keep this many, those of the lowest frequencies: right for signals without energy above, whose other
        coefficients tell of the records' ends only. The inverse then gives the nearest signal in that band,
        and there is no density. By default all are kept.

    Attributes
    ----------
    kept_ : float
        Share of the fitted signals' energy in the coefficients that are kept; 1 for signals of zeros.
    event_shape_ : tuple
        Shape of the fitted rows.
    n_features_in_ : int
        Number of columns, or of channels.

    References
    ----------
    Ahmed, Natarajan and Rao, "Discrete cosine transform", IEEE Transactions on Computers, 1974.

    Examples
    --------
    >>> import numpy as np
    >>> SpectralTransformer().fit_transform(np.ones((1, 1, 4))).round(6).tolist()
    [[[2.0, 0.0, 0.0, 0.0]]]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "n_coefficients": [Interval(Integral, 1, None, closed="left"), None]
    }

    n_features_in_: int
    event_shape_: tuple[int, ...]
    kept_: float

    def __init__(self, n_coefficients: int | None = None) -> None:
        self.n_coefficients = n_coefficients

    def fit(self, X: ArrayLike, y: Any = None) -> SpectralTransformer:
        """Learn the shape of rows, (n, length) or (n, channels, length), and their energy in the band."""
        self._validate_params()
        rows = check_rows(X, self, reset=True)
        if rows.shape[-1] == 0:
            raise ValueError(f"X has shape {rows.shape}: its rows have no samples.")
        if self.n_coefficients is not None and self.n_coefficients > rows.shape[-1]:
            raise ValueError(
                f"n_coefficients={self.n_coefficients}, but rows of {rows.shape[-1]} samples have no more "
                "coefficients than samples."
            )
        self.event_shape_ = rows.shape[1:]
        unit = np.ldexp(rows, -common_exponent(rows))  # in which squares are finite, and not all 0
        energy = float(np.square(unit, dtype=np.float64).sum())
        kept = float(np.square(self._spectrum(unit), dtype=np.float64).sum())
        self.kept_ = min(kept / energy, 1.0) if energy > 0 else 1.0
        return self

    def transform(self, X: ArrayLike) -> Signals:
        """Coefficients of rows; same shape, and dtype if that is floating."""
        check_is_fitted(self)
        rows = check_rows(X, self)
        self._refuse_length(rows.shape[-1], self.event_shape_[-1])
        return finite_rows(self._spectrum(rows).astype(rows.dtype, copy=False), self, LARGER_UNIT)

    def inverse_transform(self, X: ArrayLike) -> Signals:
        """Rows of given coefficients, shape (n, ...) as fitted; dtype kept if floating."""
        check_is_fitted(self)
        rows = check_rows(X)
        length = self.event_shape_[-1]
        self._refuse_length(rows.shape[-1], self.n_coefficients or length)
        found = idct(rows, n=length, norm="ortho").astype(rows.dtype, copy=False)
        return finite_rows(found, self, LARGER_UNIT)

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|``: 0, as the basis is orthonormal; a TypeError where not all is kept."""
        if self.n_coefficients in (None, event_shape[-1]):
            return 0.0
        raise TypeError(
            f"SpectralTransformer gives no density: it keeps {self.n_coefficients} of {event_shape[-1]} "
            "coefficients."
        )

    def _spectrum(self, rows: Signals) -> Signals:
        return dct(rows, norm="ortho")[..., : self.n_coefficients]

    @staticmethod
    def _refuse_length(length: int, expected: int) -> None:
        if length != expected:
            raise ValueError(f"X has rows of length {length}; expected {expected}, as in fit.")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class TransformerChain(Pipeline):
    """A scikit-learn pipeline of transformers that knows its Jacobian, too.

    It goes wherever a generator takes a ``transformer``. `make_chain` names the steps by itself.

    Parameters
    ----------
    steps, transform_input, memory, verbose
        As for `sklearn.pipeline.Pipeline`.
    """

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|`` for one row of the given shape, the sum over the steps.

        Raises
        ------
        TypeError
            If a step has no Jacobian; it is named.
        """
        row, total = np.zeros((1, *event_shape)), 0.0
        for name, step in self.steps:
            if step is None or step == "passthrough":
                continue
            if not hasattr(step, "log_abs_det_jacobian"):
                raise TypeError(
                    f"Step {name!r} of the chain gives no density: {type(step).__name__} has no method "
                    "log_abs_det_jacobian."
                )
            total += step.log_abs_det_jacobian(row.shape[1:])
            row = np.asarray(step.transform(row))
        return total


def make_chain(*transformers: Any) -> TransformerChain:
    """Chain transformers, each named after its class.

    Parameters
    ----------
    *transformers : transformer
        In the order in which rows go through them.

    Returns
    -------
    TransformerChain

    Examples
    --------
    >>> from sktgdp.preprocessing import RowStandardizer
    >>> [name for name, _ in make_chain(SpectralTransformer(), RowStandardizer()).steps]
    ['spectraltransformer', 'rowstandardizer']
    """
    return TransformerChain(make_pipeline(*transformers).steps)
