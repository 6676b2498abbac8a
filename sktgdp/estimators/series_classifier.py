"""The classifier of series, trained on one domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight
from torch import nn

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._rows.domains import CHECKPOINT
from sktgdp.estimators._rows.labels import LabelCode
from sktgdp.estimators._series_model import SeriesModel, SeriesUnits, check_classes
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators._training.devices import resolve_device, seeded
from sktgdp.estimators._training.interruption import TrainingInterrupted
from sktgdp.estimators._training.own_network import check_output, make_network
from sktgdp.nets import xresnet1d50, xresnet1d_small
from sktgdp.nets._architecture import remember_architecture

__all__ = ["SHARED_CONSTRAINTS", "SeriesClassifier"]

NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "small": xresnet1d_small,
    "xresnet1d50": xresnet1d50,
}
SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    **{k: BaseGenerator._training_constraints[k] for k in ("weight_decay", "device", "random_state")},
    **{k: BaseGenerator._training_constraints[k] for k in ("verbose", "callbacks")},
    **BaseGenerator._stopping_constraints,
    "max_steps": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 2, None, closed="left")],  # a batch norm needs a spread
    "lr": [Interval(Real, 0, None, closed="neither")],
}


class SeriesClassifier(SeriesModel):
    """Classifier of series by a residual network: classes, or several labels at once.

    Channels are standardised by the training rows; the rate follows a one-cycle schedule under AdamW.

    Parameters
    ----------
    module : {"small", "xresnet1d50"} or callable, default="small"
        Network: `sktgdp.nets.xresnet1d_small`, for CPUs and short series, or the PTB-XL benchmark's
        `sktgdp.nets.xresnet1d50`. Or a class or function ``(n_channels, n_outputs) -> nn.Module`` with the
        attributes of `sktgdp.nets.XResNet1d` that are asked for: ``embed`` and ``n_features`` for features;
        ``stem``, ``stages``, ``head`` and ``replace_head`` for fine-tuning.
    n_channels : int, default=None
        Rows of ``n_channels * length`` numbers are series, one channel after another; None takes them as one
        channel. Arrays (n, channels, length) need no such hint. It lets `DomainClassifier`, which flattens
        rows, use this classifier where the domains have no labels: appended labels would fit no channel.
    window : int, default=None
        Train on random crops of this length; a record's prediction aggregates windows that overlap by half.
        Records to predict may then have any length from ``window`` on. None takes records whole.
    aggregate : {"mean", "max"}, default="mean"
        Of the windows' probabilities; "max" is the PTB-XL benchmark's. Features are always averaged.
    max_steps : int, default=1000
        Gradient steps.
    batch_size : int, default=64
        Rows per step, at most as many as there are; at least 2.
    lr, weight_decay : float, default=0.01, 0.01
        Highest rate of the schedule, and decay; the PTB-XL benchmark's.
    early_stopping : bool or "auto", default="auto"
        Hold rows out, spread over the labels, keep the weights of their least loss and stop where it has not
        fallen for half of the steps; "auto" does so from 100 rows on.
    validation_fraction : float, default=0.2
        Share of the rows held out.
    device : str, default="auto"
        A torch device; "auto" is CUDA, then MPS, then the CPU.
    random_state : int, RandomState, Generator or None, default=None
        Decides initial weights, batches, crops and dropout; torch's global state is left alone.
    verbose : int, default=0
        Above 0 shows a progress bar.
    callbacks : sequence of skorch callbacks, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted classes, or the column numbers of a multi-label indicator.
    network_ : nn.Module
    history_ : list of dict
        Losses by epoch, and how many steps were skipped.
    n_parameters_ : int
    n_features_in_ : int
        Channels, or the numbers of a flat row.

    Notes
    -----
    A label of a multi-label target that no training row has, or every one, is learned as such: its
    probability is near 0 or 1, and its area under the ROC curve on other rows says nothing. `score` is the
    share of rows with every label right; see `sktgdp.metrics` for areas and the PhysioNet challenges' scores.

    References
    ----------
    Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", 2020.
    Smith & Topin, "Super-Convergence", 2018 (the one-cycle schedule).

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp import SeriesClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=60)
    >>> waves = np.sin(np.arange(32) * (0.4 + 0.6 * y[:, None])) + 0.1 * rng.standard_normal((60, 32))
    >>> model = SeriesClassifier(max_steps=40, random_state=0).fit(waves[:, None, :], y)
    >>> bool(model.score(waves[:, None, :], y) > 0.9)
    True
    >>> model.embed(waves[:, None, :]).shape
    (60, 64)
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = CHECKPOINT
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SHARED_CONSTRAINTS,
        "module": [StrOptions(set(NETWORKS)), callable],
        "n_channels": [Interval(Integral, 1, None, closed="left"), None],
        "window": [Interval(Integral, 1, None, closed="left"), None],
        "aggregate": [StrOptions({"mean", "max"})],
    }

    def __init__(
        self,
        module: str | Callable[..., nn.Module] = "small",
        *,
        n_channels: int | None = None,
        window: int | None = None,
        aggregate: str = "mean",
        max_steps: int = 1000,
        batch_size: int = 64,
        lr: float = 1e-2,
        weight_decay: float = 1e-2,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        self.module = module
        self.n_channels = n_channels
        self.window = window
        self.aggregate = aggregate
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        checkpoint: Checkpoint = None,
    ) -> SeriesClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, channels, length) or (n, d)
            Series; flat rows as ``n_channels`` says. Finite numbers.
        y : array-like of shape (n,) or (n, n_labels)
            Classes, two at least, or a multi-label indicator of zeros and ones.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the loss, at least 0. A row of weight 0 counts as absent.
        checkpoint : path, optional
            Folder from which a fit that was killed goes on; see `DiffusionGenerator.fit`.

        Returns
        -------
        SeriesClassifier
            This classifier; after Ctrl-C with the best weights until then, and a warning.
        """
        self._validate_params()
        rows = self._series(X, self.n_channels, reset=True)
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        kept = weight > 0
        labels = check_classes(y, X, "y", kept)
        self.window_, self.aggregate_, self.n_channels_ = self.window, self.aggregate, self.n_channels
        self._check_length(rows.shape[2], "X")
        with open_checkpoint(checkpoint, self) as states:
            self._fit_network(rows if kept.all() else rows[kept], labels, weight[kept], states)
        return self

    def _fit_network(
        self,
        rows: NDArray[Any],
        labels: NDArray[Any],
        weight: NDArray[np.float64],
        checkpoint: FitCheckpoint,
    ) -> None:
        """Make the network and train it on checked rows."""
        self.units_, self.labels_ = SeriesUnits(rows), LabelCode(labels)
        self.classes_, self.device_ = self.labels_.classes, resolve_device(self.device)
        make = NETWORKS[self.module] if isinstance(self.module, str) else self.module
        seed = checkpoint.seed(self.random_state, FitMemory(None))
        with seeded(seed, self.device_):
            network = make_network("module", make, rows.shape[1], self.labels_.n_labels).to(self.device_)
            if not isinstance(self.module, str):
                self._try(network, rows[:2, :, : self.window_])
        remember_architecture(network, make, rows.shape[1], self.labels_.n_labels)
        data = self._labelled(network, self.units_(rows), self.labels_.encode(labels), weight)
        settings = self._settings(self.max_steps, self.lr)
        try:
            self.history_ = self._train(network, data, settings, seed, "classifier", checkpoint)
        except TrainingInterrupted as stop:
            self.history_ = stop.keep(checkpoint).history
        self.network_ = network

    def _try(self, network: nn.Module, rows: NDArray[Any]) -> None:
        """Call a network of the user's own on two rows; a batch norm takes no notice of them."""
        x = self.units_(rows).to(next(network.parameters()))
        check_output("module", network.eval(), {"x": x}, (len(x), self.labels_.n_labels))
