"""Standardisation of tables by column and of series by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

__all__ = ["RowStandardizer"]

Floats = NDArray[np.float64]
PART = 2**20  # numbers


def _spread(rows: NDArray[Any], mean: Floats, axes: tuple[int, ...]) -> Floats:
    """Standard deviation over some axes of rows whose mean is known, in float64, a part of them at a time."""
    total = square = np.zeros_like(mean)
    for part in gen_batches(len(rows), max(1, PART // rows[0].size)):
        distance = rows[part] - mean
        total = total + distance.sum(axis=axes, keepdims=True)[0]
        square = square + np.square(distance).sum(axis=axes, keepdims=True)[0]
    n = rows.size / mean.size
    return np.sqrt(np.maximum(square / n - np.square(total / n), 0.0))


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
        In the units of the data; the scale of a constant column is 1, and with ``per="value"`` that of a
        position which varies less than 1e-6 of the channel's most variable one.
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
        rows = validate_data(self, X, dtype=[np.float64, np.float32], allow_nd=True)
        axes = (0,) if rows.ndim == 2 or self.per == "value" else (0, *range(2, rows.ndim))
        # centring first keeps the scale right where the mean is far larger than the spread
        self.mean_ = rows.mean(axis=axes, keepdims=True, dtype=np.float64)[0]
        scale = _spread(rows, self.mean_, axes)
        if self.common_scale:
            scale = np.full_like(scale, np.sqrt(np.square(scale).mean()))
        tiny = 10 * np.finfo(np.float64).eps * np.abs(self.mean_)
        if rows.ndim > 2 and self.per == "value":  # of one unit: what rounding left is not to be blown up
            tiny = np.maximum(tiny, 1e-6 * scale.max(axis=-1, keepdims=True))
        self.scale_ = np.where(scale > tiny, scale, 1.0)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Standardise rows; same shape, float64."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, allow_nd=True, reset=False)
        if self.per == "value" and rows.shape[1:] != self.mean_.shape:
            raise ValueError(f"X has rows of shape {rows.shape[1:]}; in fit they had {self.mean_.shape}.")
        return (rows - self.mean_) / self.scale_

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Return standardised rows to the units of the data."""
        check_is_fitted(self)
        rows: Floats = check_array(X, dtype=np.float64, allow_nd=True)
        return rows * self.scale_ + self.mean_

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|`` for one row of the given shape."""
        return -float(np.log(np.broadcast_to(self.scale_, event_shape)).sum())
