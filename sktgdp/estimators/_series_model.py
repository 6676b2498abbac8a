"""What classifiers of series do once they are fitted: probabilities, labels, features; and their checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sktgdp._arrays import refuse_times
from sktgdp.estimators._finite import finite_rows
from sktgdp.estimators._parameters import CheckedParameters
from sktgdp.estimators._rows.domains import check_columns
from sktgdp.estimators._rows.labels import LabelCode, check_labels
from sktgdp.estimators._series_training import (
    EVALUATION_CHUNK,
    LabelledSeries,
    LabelLoss,
    SeriesProblem,
    hold_out,
    windows_of,
)
from sktgdp.estimators._state.checkpoint import FitCheckpoint
from sktgdp.estimators._state.persistence import Persistent
from sktgdp.estimators._training.net import Trainable
from sktgdp.estimators._training.progress import progress_callbacks
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import train_network
from sktgdp.preprocessing._scaling import usable_scale

__all__ = ["SeriesModel", "SeriesUnits", "check_classes"]

Floats = NDArray[np.float64]
# From this many rows on, "auto" holds rows out: of fewer, those held out tell little and are missed.
ENOUGH_ROWS = 100
CHUNK = 1024
PATIENCE = 0.5  # the loss of a one-cycle schedule falls late


def check_classes(y: Any, X: Any, name: str, kept: NDArray[np.bool_] | None = None) -> NDArray[Any]:
    """Check labels; two classes at least, among the kept rows."""
    if y is None:
        raise ValueError(f"A classifier requires y to be passed, but the target y is None ({name}).")
    # check_labels wants a dimension, which not everything that becomes an array has
    labels = check_labels(np.asarray(y) if hasattr(y, "__array__") else y, X, name)
    labels = labels if kept is None else labels[kept]
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        raise ValueError(
            f"{name} holds one class only, {labels[:1].tolist()}; a classifier needs rows of two at least. "
            "Rows of weight 0 do not count."
        )
    return labels


class SeriesUnits:
    """Mean and scale of each channel, learned from training rows: the units that the network sees.

    Parameters
    ----------
    rows : ndarray of shape (n, channels, length)
    """

    def __init__(self, rows: NDArray[Any]) -> None:
        self.event_shape = rows.shape[1:]
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean = rows.mean(axis=(0, 2), keepdims=True, dtype=np.float64)[0]
            squares = sum(np.square(part - self.mean).sum(axis=(0, 2)) for part in self._parts(rows))
        scale = np.sqrt(squares / (len(rows) * rows.shape[2]))[:, None]
        self.scale = usable_scale(rows, self.mean, scale)

    @staticmethod
    def _parts(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Some rows at a time: large arrays are single precision, and stay so."""
        return (rows[part] for part in gen_batches(len(rows), CHUNK))

    def __call__(self, rows: NDArray[Any]) -> Tensor:
        """Standardise rows, to single precision."""
        with np.errstate(over="ignore"):  # what a network makes of infinity is refused where it comes out
            parts = [((part - self.mean) / self.scale).astype(np.float32) for part in self._parts(rows)]
        return torch.from_numpy(np.concatenate(parts))


class SeriesModel(
    Persistent, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, CheckedParameters
):
    """Predictions and features of a fitted network.

    A subclass's fit sets ``units_`` (`SeriesUnits`), ``labels_`` (`LabelCode`), ``device_``, ``window_``,
    ``aggregate_``, ``n_channels_`` (or None) and, last, ``network_``.
    """

    units_: SeriesUnits
    labels_: LabelCode
    device_: torch.device
    window_: int | None
    aggregate_: str
    n_channels_: int | None
    network_: Any  # an nn.Module with ``embed`` and ``n_features``
    history_: list[dict[str, Any]]
    batch_size: int
    early_stopping: bool | str
    validation_fraction: float
    weight_decay: float
    verbose: int
    callbacks: Any

    _fitted_attribute: ClassVar[str] = "network_"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, self._fitted_attribute)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = True
        return tags

    # Input ------------------------------------------------------------------------------------------
    def _series(
        self, X: Any, n_channels: int | None, *, reset: bool = False, name: str = "X"
    ) -> NDArray[Any]:
        """Check rows and give them as (n, channels, length)."""
        check_columns(X, name)
        refuse_times(X, name)
        rows = validate_data(
            self, X, reset=reset, dtype=[np.float64, np.float32], allow_nd=True, ensure_min_samples=1 + reset
        )
        if rows.ndim == 2:
            n = 1 if n_channels is None else n_channels
            if rows.shape[1] % n:
                raise ValueError(
                    f"{name} has rows of {rows.shape[1]} numbers, which do not make {n} channels of one "
                    "length. Set n_channels, or give an array (n, channels, length)."
                )
            rows = rows.reshape(len(rows), n, -1)
        if rows.ndim != 3 or 0 in rows.shape or n_channels not in (None, rows.shape[1]):
            channels = "channels" if n_channels is None else f"{n_channels} channels"
            raise ValueError(
                f"{name} has shape {rows.shape}; expected (n, {channels}, length), none of them 0."
            )
        return rows

    def _series_as_fitted(self, X: Any, name: str = "X") -> Tensor:
        """Rows in the network's units."""
        rows = self._series(X, self.n_channels_, name=name)
        (n_channels, length), (fitted_channels, fitted_length) = rows.shape[1:], self.units_.event_shape
        if n_channels != fitted_channels:
            raise ValueError(f"{name} has {n_channels} channels; the model was fitted on {fitted_channels}.")
        self._check_length(length, name)
        if self.window_ is None and length != fitted_length:
            raise ValueError(
                f"{name} has series of length {length}; the model was fitted on length {fitted_length}. Fit "
                "it with `window`, at most the shortest length, to predict series of any length from it on."
            )
        return self.units_(rows)

    def _check_length(self, length: int, name: str) -> None:
        if self.window_ is not None and length < self.window_:
            raise ValueError(
                f"{name} has series of length {length}, shorter than window = {self.window_}. Pad them, or "
                "choose a smaller window."
            )

    # Training ---------------------------------------------------------------------------------------
    @staticmethod
    def _labelled(
        network: nn.Module, x: Tensor, codes: NDArray[np.float32], weight: Floats
    ) -> LabelledSeries:
        """Rows on the network's device and in its precision, their weights of mean 1."""
        tensors = (x, torch.from_numpy(codes), torch.from_numpy(weight / weight.mean()))
        like = next(network.parameters())
        return LabelledSeries(*(tensor.to(like) for tensor in tensors))

    def _settings(self, max_steps: int, lr: float, **rates: float) -> TrainingSettings:
        """Settings of a training whose highest rate is ``lr``, or the share of it that its layers have."""
        return TrainingSettings(
            max_steps, lr, self.weight_decay,
            ema_decay=0.0, patience=PATIENCE, schedule="one-cycle", rates=rates,
        )  # fmt: skip

    def _train(
        self,
        network: nn.Module,
        rows: LabelledSeries,
        settings: TrainingSettings,
        seed: int,
        phase: str,
        checkpoint: FitCheckpoint,
        trainable: Trainable | None = None,
    ) -> list[dict[str, Any]]:
        """Train a network in place, with rows held out if wanted; its losses."""
        stop = len(rows) >= ENOUGH_ROWS if self.early_stopping == "auto" else self.early_stopping
        held = (
            hold_out(rows.codes.cpu().numpy(), self.validation_fraction, seed) if stop else np.empty(0, int)
        )
        problem = SeriesProblem(
            rows.part(np.setdiff1d(np.arange(len(rows)), held)),
            rows.part(held) if len(held) else None,
            self.batch_size, self.window_ or rows.x.shape[2],
            LabelLoss(self.labels_.kind == "multilabel"), phase,
        )  # fmt: skip
        callbacks = [*progress_callbacks(self.verbose, phase, settings), *(self.callbacks or ())]
        # a network that exists takes the place of one to be made
        return train_network(
            network, {}, problem, settings, seed=seed, device=self.device_, callbacks=callbacks,
            trainable=trainable, checkpoint=checkpoint,
        ).history  # fmt: skip

    @property
    def n_parameters_(self) -> int:
        """Number of weights of the network."""
        check_is_fitted(self)
        return sum(p.numel() for p in self.network_.parameters())

    # Predictions ------------------------------------------------------------------------------------
    def _by_window(self, X: Any, function: Callable[[Tensor], Tensor]) -> Floats:
        """Values of a function of (batch, channels, window), shape (n, n_windows, n_values)."""
        x = self._series_as_fitted(X)
        window, like = self.window_ or x.shape[2], next(self.network_.parameters())
        values = []
        with torch.no_grad():
            for part in gen_batches(len(x), EVALUATION_CHUNK):
                windows = windows_of(x[part].to(like), window)
                of_part = function(windows.flatten(0, 1)).double().cpu().numpy()
                values.append(of_part.reshape(*windows.shape[:2], -1))
        return finite_rows(np.concatenate(values), f"What {type(self.network_).__name__} gives")

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities of the classes, or of each label of a multi-label target.

        Parameters
        ----------
        X : array-like of shape (n, channels, length) or (n, d)

        Returns
        -------
        ndarray of shape (n, n_classes)
            Rows sum to 1 for classes; for a multi-label target the entries are independent of each other. The
            windows of a record are aggregated.
        """
        check_is_fitted(self)
        multilabel = self.labels_.kind == "multilabel"

        def probabilities(x: Tensor) -> Tensor:
            logits = self.network_(x).double()
            return logits.sigmoid() if multilabel else logits.softmax(1)

        by_window = self._by_window(X, probabilities)
        aggregated = by_window.max(axis=1) if self.aggregate_ == "max" else by_window.mean(axis=1)
        return aggregated if multilabel else aggregated / aggregated.sum(axis=1, keepdims=True)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Most probable classes (n,), or the indicator (n, k) of labels of probability 1/2 and more."""
        p = self.predict_proba(X)
        return self.labels_.decode(p >= 0.5 if self.labels_.kind == "multilabel" else p)

    def embed(self, X: ArrayLike) -> Floats:
        """Features before the last linear layer, the mean over a record's windows; shape (n, n_features)."""
        check_is_fitted(self)
        if not hasattr(self.network_, "embed"):
            raise TypeError(
                f"{type(self.network_).__name__} has no features: give it a method embed, from (n, channels, "
                "length) to (n, n_features), and the attribute n_features."
            )
        return self._by_window(X, self.network_.embed).mean(axis=1)

    def transform(self, X: ArrayLike) -> Floats:
        """Features of a row; see `embed`."""
        return self.embed(X)

    @property
    def _n_features_out(self) -> int:
        return int(self.network_.n_features)
