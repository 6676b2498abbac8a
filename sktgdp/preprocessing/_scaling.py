"""Standardisation of tables by column and of series by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from sktgdp._arrays import common_exponent
from sktgdp.preprocessing._checks import check_rows, finite_rows

__all__ = ["RowStandardizer"]

Floats = NDArray[np.float64]
PART = 2**20  # numbers
SAFE_EXPONENT = 400  # of the largest value, at which squares are finite and not all 0


def _spread(rows: NDArray[Any], mean: Floats, axes: tuple[int, ...]) -> Floats:
    """Standard deviation over some axes of rows whose mean is known, in float64, a part of them at a time."""
    total = square = np.zeros_like(mean)
    for part in gen_batches(len(rows), max(1, PART // rows[0].size)):
        distance = rows[part] - mean
        total = total + distance.sum(axis=axes, keepdims=True)[0]
        square = square + np.square(distance).sum(axis=axes, keepdims=True)[0]
    n = rows.size / mean.size
    return np.sqrt(np.maximum(square / n - np.square(total / n), 0.0))


def usable_scale(rows: NDArray[Any], mean: Floats, scale: Floats) -> Floats:
    """Standard deviations to divide by: of what is constant but for rounding, 1 or more than the rounding."""
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise ValueError(
            f"Numbers as large as {np.abs(rows).max():.3g} cannot be standardised: their squares are beyond "
            "the range of floats. Leave out the rows that hold them, or divide the features by a constant."
        )
    rounding = 10 * np.finfo(np.float64).eps * np.abs(mean)
    return np.where(scale > rounding, scale, np.maximum(1.0, rounding))


class RowStandardizer(TransformerMixin, BaseEstimator):
    """Shift and scale to mean 0 and standard deviation 1, by column or, for series, by channel.

    Unlike scikit-learn's `StandardScaler` it takes series of shape (n, channels, length) too, and
    knows the logarithm of its Jacobian, which a density in the user's own units needs.

    Parameters
    ----------
    common_scale : bool, default=False
        Use one scale for all features: right where they share a unit, as pixels do. A pixel that hardly
        varies in the source then stays small instead of being blown up.
    per : {"channel", "value"}, default="channel"
        For series: whether all positions of a channel share a mean and a scale, or each has its own, as
        the coefficients of `SpectralTransformer` need.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,), (channels, 1) or (channels, length)
        In the units of the data. The scale of a constant column is 1, or more where rounding is; so is, with
        ``per="value"``, that of a position which varies less than 1e-6 of the channel's most variable one.
    """

    mean_: Floats
    scale_: Floats

    def __init__(self, common_scale: bool = False, per: str = "channel") -> None:
        self.common_scale = common_scale
        self.per = per

    def fit(self, X: ArrayLike, y: Any = None) -> RowStandardizer:
        """Learn means and scales of ``X``, shape (n, d) or (n, channels, length)."""
        if self.per not in ("channel", "value"):
            raise ValueError(f"per={self.per!r}; expected 'channel' or 'value'.")
        rows = check_rows(X, self, reset=True, dtype=[np.float64, np.float32])
        if rows[0].size == 0:
            raise ValueError(f"X has shape {rows.shape}: its rows hold no values.")
        exponent = common_exponent(rows)
        if abs(exponent) < SAFE_EXPONENT:
            mean, scale = self._moments(rows)
        else:  # squares would run over
            moments = self._moments(np.ldexp(rows.astype(np.float64), -exponent))
            mean, scale = (np.ldexp(each, exponent) for each in moments)
        self.mean_, self.scale_ = mean, usable_scale(rows, mean, scale)
        return self

    def _moments(self, rows: NDArray[Any]) -> tuple[Floats, Floats]:
        """Means and standard deviations, 0 where these are none."""
        axes = (0,) if rows.ndim == 2 or self.per == "value" else (0, *range(2, rows.ndim))
        # centring first keeps the scale right where the mean is far larger than the spread
        mean = rows.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
        scale = _spread(rows, mean, axes)
        if self.common_scale:
            scale = np.full_like(scale, np.sqrt(np.square(scale).mean()))
        if rows.ndim > 2 and self.per == "value":  # of one unit: what rounding left is not to be blown up
            scale = np.where(scale > 1e-6 * scale.max(axis=-1, keepdims=True), scale, 0.0)
        return mean, scale

    def transform(self, X: ArrayLike) -> Floats:
        """Standardise rows; same shape, float64."""
        check_is_fitted(self)
        rows = check_rows(X, self, dtype=np.float64)
        self._check_shape(rows.shape[1:])
        with np.errstate(over="ignore"):
            return finite_rows((rows - self.mean_) / self.scale_, self, "They lie too far from those of fit.")

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Return standardised rows to the units of the data."""
        check_is_fitted(self)
        rows = check_rows(X, dtype=np.float64)
        self._check_shape(rows.shape[1:])
        with np.errstate(over="ignore"):
            return finite_rows(rows * self.scale_ + self.mean_, self, "They lie too far from those of fit.")

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|`` for one row of the given shape."""
        self._check_shape(event_shape)
        return -float(np.log(np.broadcast_to(self.scale_, event_shape)).sum())

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse rows that numpy would repeat to fit; a channel may have any length."""
        fitted = self.mean_.shape
        free = range(1, len(fitted)) if self.per == "channel" else ()
        pairs = zip(shape, fitted, strict=False)
        if len(shape) != len(fitted) or any(n != m for k, (n, m) in enumerate(pairs) if k not in free):
            expected = ", ".join("any" if k in free else str(n) for k, n in enumerate(fitted))
            raise ValueError(f"X has rows of shape {tuple(shape)}; in fit they had ({expected}).")
