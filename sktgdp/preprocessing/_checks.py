"""Checks of signals, and what their transformers share.

Signals are arrays of shape (n, channels, length), records a list of arrays (channels, length_i) whose
lengths differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import FLOAT_DTYPES, check_array, check_is_fitted, validate_data

from sktgdp._arrays import refuse_hidden, refuse_times, rows_not_finite

__all__ = [
    "SignalTransformer",
    "as_signals",
    "by_chunks",
    "check_records",
    "check_rows",
    "finite_rows",
    "same_channels",
]

CHUNK = 1_024  # records that are in float64, and in several copies, at one time

Signals = NDArray[Any]


def check_rows(X: ArrayLike, estimator: Any = None, *, reset: bool = False, **options: Any) -> Signals:
    """Finite real rows of any rank; with an estimator the features are those of its fit, or learnt."""
    refuse_times(X, "X")
    options = {"dtype": FLOAT_DTYPES, "allow_nd": True} | options
    if estimator is None:
        rows: Signals = check_array(X, **options)
        return rows
    checked: Signals = validate_data(estimator, X, reset=reset, **options)
    return checked


def finite_rows(rows: Signals, caller: Any, hint: str) -> Signals:
    """Refuse results that are not finite, though what came in was."""
    bad = rows_not_finite(rows)
    if len(bad):
        raise ValueError(
            f"{type(caller).__name__} gives no finite numbers for {len(bad)} of {len(rows)} rows, the first "
            f"of them row {bad[0]}. {hint}"
        )
    return rows


def as_signals(values: Signals) -> Signals:
    """Refuse arrays that are not of shape (n, channels, length), each at least 1."""
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(
            f"X has shape {values.shape}; expected signals of shape (n, channels, length), each at least 1. "
            "Give X[:, None, :] for rows of one channel."
        )
    return values


def check_records(X: Any) -> list[Signals]:
    """Records as arrays (channels, length_i) of one floating dtype and equal numbers of channels.

    Raises
    ------
    ValueError
        Naming the number of the first record that is empty, not finite, not of rank 2, or has another number
        of channels than record 0.
    """
    if not hasattr(X, "__len__"):
        raise TypeError(
            "X must be an array of shape (n, channels, length) or a list of arrays (channels, length_i), "
            f"got {type(X).__name__}."
        )
    refuse_hidden(X, "X")
    if len(X) == 0:
        raise ValueError("X holds no records; at least 1 is required.")
    records = [np.asarray(record) for record in X]
    dtype = np.result_type(*{record.dtype for record in records})
    if dtype.kind not in "iufb":
        raise ValueError(f"X holds records of dtype {dtype}; expected real numbers.")
    for number, record in enumerate(records):
        if record.ndim != 2 or 0 in record.shape:
            raise ValueError(
                f"Record {number} has shape {record.shape}; expected (channels, length), each at least 1."
            )
        if len(record) != len(records[0]):
            raise ValueError(f"Record {number} has {len(record)} channels; record 0 has {len(records[0])}.")
        if not np.isfinite(record).all():
            channels = np.flatnonzero(~np.isfinite(record).all(axis=1)).tolist()
            raise ValueError(
                f"Record {number} contains NaN or infinity in channels {channels}. Fill in what is missing, "
                "or leave the record out."
            )
    kind = dtype if dtype.kind == "f" else np.dtype(np.float64)
    return [record.astype(kind, copy=False) for record in records]


def same_channels(records: Sequence[Signals], n_channels: int) -> None:
    """Refuse records with another number of channels than in ``fit``."""
    if len(records[0]) != n_channels:
        raise ValueError(f"X has {len(records[0])} channels, but {n_channels} in fit.")


def by_chunks(function: Callable[[Signals], Signals], signals: Signals) -> Signals:
    """Apply a function of records, each for itself, to a chunk of them at a time; results in their dtype."""
    starts = range(0, len(signals), CHUNK)
    parts = [function(signals[at : at + CHUNK]).astype(signals.dtype, copy=False) for at in starts]
    return np.concatenate(parts)


class SignalTransformer(TransformerMixin, BaseEstimator):
    """Transformer of signals whose results have the dtype of its input, if that is floating.

    A subclass gives ``_forward`` and ``_backward``, ``_learn`` if it checks or learns anything, and says in
    ``_no_density`` why it has no Jacobian, or gives one.
    """

    n_features_in_: int
    event_shape_: tuple[int, int]
    _no_density: str
    _if_infinite = "Give signals in a larger unit."

    def fit(self, X: ArrayLike, y: Any = None) -> Any:
        """Check the parameters against signals.

        Parameters
        ----------
        X : array-like of shape (n, channels, length)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``X`` is not of rank 3, not finite, or does not go with the parameters.
        """
        self._validate_params()
        signals = as_signals(check_rows(X, self, reset=True))
        self._learn(signals)
        self.event_shape_ = (signals.shape[1], signals.shape[2])
        return self

    def transform(self, X: ArrayLike) -> Signals:
        """Transform signals.

        Parameters
        ----------
        X : array-like of shape (n, channels, length)

        Returns
        -------
        ndarray of shape (n, ...)
            In the dtype of ``X`` if that is floating, else float64.
        """
        check_is_fitted(self)
        signals = as_signals(check_rows(X, self))
        return self._checked(self._forward(signals), signals)

    def inverse_transform(self, X: ArrayLike) -> Signals:
        """Bring transformed signals back, as far as the class's notes say.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            As `transform` gives them.

        Returns
        -------
        ndarray of shape (n, channels, length)
        """
        check_is_fitted(self)
        signals = as_signals(check_rows(X))
        return self._checked(self._backward(signals), signals)

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of the absolute determinant of the transform; raises a TypeError where there is none."""
        raise TypeError(f"{type(self).__name__} gives no density: {self._no_density}.")

    def _checked(self, found: Signals, signals: Signals) -> Signals:
        """Results in the dtype of the signals that they come of."""
        with np.errstate(over="ignore"):
            rows = found.astype(signals.dtype, copy=False)
        return finite_rows(rows, self, self._if_infinite)

    def _learn(self, signals: Signals) -> None:
        """Look at checked signals in ``fit``."""

    def _forward(self, signals: Signals) -> Signals:
        raise NotImplementedError

    def _backward(self, signals: Signals) -> Signals:
        raise NotImplementedError

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "event_shape_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
