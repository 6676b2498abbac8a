"""Classifiers of series: trained on one domain, or trained on the source and fine-tuned on the target."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import nn

from sktgdp.estimators._architecture import architecture_of, remember_architecture
from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._devices import resolve_device
from sktgdp.estimators._domains import FOUR_ARRAYS, split_domains
from sktgdp.estimators._labels import LabelCode
from sktgdp.estimators._memory import draw_seed
from sktgdp.estimators._series_model import SeriesModel, SeriesUnits, check_classes
from sktgdp.estimators._series_training import LabelledSeries, seeded
from sktgdp.estimators._settings import TrainingSettings
from sktgdp.nets import xresnet1d50, xresnet1d_small

__all__ = ["FineTunedSeriesClassifier", "SeriesClassifier"]

NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "small": xresnet1d_small,
    "xresnet1d50": xresnet1d50,
}
NEEDED_TO_FINE_TUNE = ("stem", "stages", "head", "replace_head")
SHARED_CONSTRAINTS: dict[str, list[Any]] = {
    **{k: BaseGenerator._training_constraints[k] for k in ("weight_decay", "device", "random_state")},
    **{k: BaseGenerator._training_constraints[k] for k in ("verbose", "callbacks")},
    **BaseGenerator._stopping_constraints,
    "max_steps": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
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
        Rows per step, at most as many as there are.
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
        Losses by epoch.
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

    def fit(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> SeriesClassifier:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, channels, length) or (n, d)
            Series; flat rows as ``n_channels`` says. Finite numbers.
        y : array-like of shape (n,) or (n, n_labels)
            Classes, two at least, or a multi-label indicator of zeros and ones.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the loss, at least 0. A row of weight 0 counts as absent.

        Returns
        -------
        SeriesClassifier
            This classifier.
        """
        self._validate_params()
        rows = self._series(X, self.n_channels, reset=True)
        weight = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        kept = weight > 0
        labels = check_classes(y, X, "y", kept)
        self.window_, self.aggregate_, self.n_channels_ = self.window, self.aggregate, self.n_channels
        self._check_length(rows.shape[2], "X")
        self._fit_network(rows if kept.all() else rows[kept], labels, weight[kept])
        return self

    def _fit_network(self, rows: NDArray[Any], labels: NDArray[Any], weight: NDArray[np.float64]) -> None:
        """Make the network and train it on checked rows."""
        self.units_, self.labels_, self.history_ = SeriesUnits(rows), LabelCode(labels), []
        self.classes_, self.device_ = self.labels_.classes, resolve_device(self.device)
        make = NETWORKS[self.module] if isinstance(self.module, str) else self.module
        seed = draw_seed(self.random_state)
        with seeded(seed, self.device_):
            self.network_ = make(rows.shape[1], self.labels_.n_labels).to(self.device_)
        remember_architecture(self.network_, make, rows.shape[1], self.labels_.n_labels)
        data = self._labelled(self.units_(rows), self.labels_.encode(labels), weight)
        self._train(data, TrainingSettings(self.max_steps, self.lr, self.weight_decay), seed, "classifier")
        self.network_.eval().requires_grad_(False)


class FineTunedSeriesClassifier(SeriesModel):
    """Classifier of series that is trained on the source and goes on, with a new head, on the target.

    The last linear layer is replaced, so that the target may have other labels. The head (all that follows
    the pooling over time) is trained first, then everything, at the lower rates the nearer to the input.

    Parameters
    ----------
    source_classifier : SeriesClassifier, FrozenEstimator of a fitted one, or None
        Unfitted, it is cloned and fitted on the source rows, with this ``random_state`` where it has none;
        None is the default one. Frozen, it is used as it is, source rows are not needed, and it is never
        changed.
    head_steps, max_steps : int, default=200, 500
        Gradient steps of the head alone, and then of all layers.
    lr : float, default=0.01
        Highest rate of the head alone.
    full_lr_ratio : float, default=0.1
        Rate of the head, over ``lr``, once all layers are trained.
    layer_decay : float, default=0.1
        Rate of the stages over that of the head, and of the stem over that of the stages. The defaults of
        all three are the PTB-XL benchmark's.
    batch_size, weight_decay, early_stopping, validation_fraction, device, random_state, verbose, callbacks
        As for `SeriesClassifier`, of the training on target rows.

    Attributes
    ----------
    source_classifier_ : SeriesClassifier
    classes_, network_, history_, n_parameters_, n_features_in_
        As for `SeriesClassifier`; the classes are those of the target.

    Notes
    -----
    Batch norms take the target's statistics. Window and aggregation are the source classifier's.

    References
    ----------
    Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", 2020.
    Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018 (rates by layer).
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = FOUR_ARRAYS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **SHARED_CONSTRAINTS,
        "source_classifier": [SeriesClassifier, FrozenEstimator, None],
        "head_steps": [Interval(Integral, 1, None, closed="left")],
        "full_lr_ratio": [Interval(Real, 0, None, closed="neither")],
        "layer_decay": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        source_classifier: Any = None,
        *,
        head_steps: int = 200,
        max_steps: int = 500,
        batch_size: int = 64,
        lr: float = 1e-2,
        full_lr_ratio: float = 0.1,
        layer_decay: float = 0.1,
        weight_decay: float = 1e-2,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.2,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        self.source_classifier = source_classifier
        self.head_steps = head_steps
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.full_lr_ratio = full_lr_ratio
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def fit(
        self,
        X_src: ArrayLike | None,
        y_src: Any = None,
        X_tgt: ArrayLike | None = None,
        y_tgt: Any = None,
        *,
        sample_domain: ArrayLike | None = None,
    ) -> FineTunedSeriesClassifier:
        """Train on the source, unless the source classifier is frozen, and go on with the target.

        Parameters
        ----------
        X_src, X_tgt : array-like of shape (n, channels, length) or (n, d)
            ``X_src`` may be None with a frozen source classifier.
        y_src, y_tgt : array-like of shape (n,) or (n, n_labels)
            Classes or multi-label indicators; the target's may be other ones.
        sample_domain : array-like of shape (n,), default=None
            With ``X_src`` and ``y_src`` alone, both domains stacked: 0 or more source, less than 0 target.

        Returns
        -------
        FineTunedSeriesClassifier
            This classifier.
        """
        self._validate_params()
        X_src, y_src, X_tgt, y_tgt = split_domains(X_src, y_src, X_tgt, y_tgt, sample_domain)
        if X_tgt is None:
            raise ValueError("X_tgt is None. Give target rows, or stacked rows and their sample_domain.")
        labels, seed = check_classes(y_tgt, X_tgt, "y_tgt"), draw_seed(self.random_state)
        source = self._fitted_source(X_src, y_src, seed)
        self._series(X_tgt, source.n_channels_, reset=True, name="X_tgt")
        self._adopt(source, LabelCode(labels))
        x = self._series_as_fitted(X_tgt, "X_tgt")
        self._fine_tune(self._labelled(x, self.labels_.encode(labels), np.ones(len(x))), seed)
        return self

    def _fine_tune(self, data: LabelledSeries, seed: int) -> None:
        """Replace the last layer, train the head, then all."""
        network: Any = self.network_
        with seeded(seed, self.device_):
            network.replace_head(self.labels_.n_labels)
        made_by = architecture_of(network)
        if made_by is not None:
            sizes = made_by.args[0], self.labels_.n_labels
            remember_architecture(network, made_by.make, *sizes, **made_by.keywords)
        network.head.requires_grad_(True)
        self._train(data, TrainingSettings(self.head_steps, self.lr, self.weight_decay), seed, "new head")
        network.requires_grad_(True)
        settings = TrainingSettings(self.max_steps, self.lr * self.full_lr_ratio, self.weight_decay)
        rates = {"stem": self.layer_decay**2, "stages": self.layer_decay}
        self._train(data, settings, seed + 1, "fine-tuning", rates)
        network.eval().requires_grad_(False)

    def _fitted_source(self, X_src: Any, y_src: Any, seed: int) -> SeriesClassifier:
        """The source classifier, fitted here or before."""
        if isinstance(self.source_classifier, FrozenEstimator):
            frozen = self.source_classifier.estimator
            if not isinstance(frozen, SeriesClassifier):
                raise TypeError(
                    f"source_classifier must hold a SeriesClassifier, got {type(frozen).__name__}."
                )
            check_is_fitted(frozen)
            return frozen
        if X_src is None:
            raise ValueError(
                "X_src is None. Give source rows, or source_classifier=FrozenEstimator(fitted_classifier)."
            )
        default = SeriesClassifier(device=self.device, verbose=self.verbose)
        source = clone(default if self.source_classifier is None else self.source_classifier)
        if source.random_state is None:
            source.set_params(random_state=seed)
        return source.fit(X_src, y_src)

    def _adopt(self, source: SeriesClassifier, labels: LabelCode) -> None:
        """Start from a copy of the source's network, in its units."""
        lacks = [name for name in NEEDED_TO_FINE_TUNE if not hasattr(source.network_, name)]
        if lacks:
            raise TypeError(
                f"The source's network, {type(source.network_).__name__}, cannot be fine-tuned: it lacks "
                f"{lacks}. Give its class these attributes of sktgdp.nets.XResNet1d."
            )
        self.source_classifier_, self.history_ = source, []
        self.units_, self.n_channels_ = source.units_, source.n_channels_
        self.window_, self.aggregate_ = source.window_, source.aggregate_
        self.labels_, self.classes_ = labels, labels.classes
        self.device_ = resolve_device(self.device)
        self.network_ = copy.deepcopy(source.network_).to(self.device_)
