"""Bootstrap intervals of any score, printed as the ECG benchmarks print them.

References
----------
Efron & Tibshirani, "An introduction to the bootstrap", 1993 (percentile intervals).
Strodthoff et al., "Deep learning for ECG analysis: benchmarks and insights from PTB-XL", 2021 (the form).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import type_of_target

from sktgdp._arrays import refuse_hidden
from sktgdp.metrics._checks import check_count, check_fraction, is_number

__all__ = ["BootstrapInterval", "bootstrap_interval"]

LARGE = 1e6
DRAWS_PER_RESAMPLE = 100  # how many draws an accepted resample may cost on average


class BootstrapInterval(NamedTuple):
    """A score with its bootstrap interval; prints as 0.953(05).

    Attributes
    ----------
    point : float
        Score of the whole sample.
    lower, upper : float
        Ends of the interval.
    """

    point: float
    lower: float
    upper: float

    @property
    def half_width(self) -> float:
        """Distance of the point to the farther end."""
        return max(self.upper - self.point, self.point - self.lower)

    def __str__(self) -> str:
        """Point to three decimals and half width in units of the last, rounded (the benchmark cuts it)."""
        if not abs(self.point) + self.half_width < LARGE:  # no score, and many digits that mean nothing
            return f"{self.point:.4g} ± {self.half_width:.2g}"
        return f"{self.point:.3f}({round(1000 * self.half_width):02d})"


def _required_rows(Y_true: NDArray[Any]) -> NDArray[np.float64]:
    """Indicators (n_samples, n_groups) of the groups that every resample must meet: each column's classes."""
    kind = type_of_target(Y_true)
    if kind == "multilabel-indicator":
        positive = Y_true.astype(bool)
        groups = np.concatenate([positive, ~positive], axis=1)
    elif kind in ("binary", "multiclass"):
        groups = Y_true.reshape(-1, 1) == np.unique(Y_true)
    else:
        groups = np.empty((len(Y_true), 0), dtype=bool)
    return groups[:, groups.any(axis=0)].astype(np.float64)


def _resamples(Y_true: NDArray[Any], n_resamples: int, rng: np.random.RandomState) -> list[NDArray[np.int64]]:
    """Row indices of resamples in which every class occurs, as it does in the whole sample."""
    n_samples = len(Y_true)
    required = _required_rows(Y_true)
    accepted: list[NDArray[np.int64]] = []
    for draw in count():
        if len(accepted) == n_resamples:
            break
        if draw >= DRAWS_PER_RESAMPLE * (len(accepted) + 1):
            raise ValueError(
                f"Fewer than 1 in {DRAWS_PER_RESAMPLE} resamples of Y_true hold every class: the rarest has "
                f"{int(required.sum(axis=0).min())} of {n_samples} rows. Drop or merge rare classes."
            )
        rows = rng.randint(n_samples, size=n_samples)
        if (np.bincount(rows, minlength=n_samples) @ required > 0).all():
            accepted.append(rows)
    return accepted


def bootstrap_interval(
    metric: Callable[[Any, Any], float],
    Y_true: ArrayLike,
    Y_pred: ArrayLike,
    *,
    n_resamples: int = 100,
    confidence_level: float = 0.9,
    random_state: int | np.random.RandomState | None = None,
) -> BootstrapInterval:
    """Percentile bootstrap interval of a score over the rows, as in Strodthoff et al. (2021).

    Parameters
    ----------
    metric : callable
        ``(Y_true, Y_pred) -> float``; bind further arguments with `functools.partial`.
    Y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        True labels or indicator. A resample that lacks a class, or all rows outside it, is drawn again.
    Y_pred : array-like of shape (n_samples, ...)
    n_resamples : int, default=100
        As in the benchmark; 1000 give steadier ends.
    confidence_level : float in (0, 1), default=0.9
        From the 5th to the 95th percentile.
    random_state : int, RandomState or None

    Returns
    -------
    BootstrapInterval
        ``(point, lower, upper)``, printed as ``0.953(05)``: half width in units of the last decimal.
    """
    if not callable(metric):
        raise TypeError(f"metric must be a callable (Y_true, Y_pred) -> float, got {metric!r}.")
    check_count(n_resamples, "n_resamples", minimum=2)
    tail = 0.5 * (1.0 - check_fraction(confidence_level, "confidence_level"))
    truth, predicted = _rows(Y_true, "Y_true"), _rows(Y_pred, "Y_pred")
    check_consistent_length(truth, predicted)
    rows = [np.arange(len(truth)), *_resamples(truth, n_resamples, check_random_state(random_state))]
    point, *scores = (_score(metric(truth[some], predicted[some])) for some in rows)
    return _interval(point, scores, tail)


def _rows(values: ArrayLike, name: str) -> NDArray[Any]:
    """Values of at least one row."""
    refuse_hidden(values, name)
    rows = np.asarray(values)
    if rows.ndim == 0 or len(rows) == 0:
        raise ValueError(f"{name} has no rows: there is nothing to draw from.")
    return rows


def _interval(point: float, scores: list[float], tail: float) -> BootstrapInterval:
    """The interval that leaves so much of the scores at either end."""
    with np.errstate(over="ignore", invalid="ignore"):
        interval = BootstrapInterval(point, *np.quantile(scores, [tail, 1.0 - tail]).tolist())
    if not np.isfinite([*interval, interval.half_width]).all():
        raise ValueError("The scores are too large for an interval. Give a metric in another unit.")
    return interval


def _score(value: Any) -> float:
    """What a metric returned, if it is one finite number."""
    if np.ndim(value) == 0 and isinstance(value, np.ndarray):
        value = value.item()
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        raise ValueError("metric must be finite on every resample, but it returned NaN or infinity.")
    if not is_number(value):
        raise TypeError(f"metric must return one number for (Y_true, Y_pred), but it returned {value!r}.")
    return float(value)
