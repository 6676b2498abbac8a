"""The classifier of series that is trained on the source and fine-tuned on the target."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sktgdp.estimators._rows.domains import CHECKPOINT, FOUR_ARRAYS, split_domains
from sktgdp.estimators._rows.labels import LabelCode
from sktgdp.estimators._series_model import SeriesModel, check_classes
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators._training.devices import resolve_device, seeded
from sktgdp.estimators._training.interruption import TrainingInterrupted
from sktgdp.estimators.series_classifier import SHARED_CONSTRAINTS, SeriesClassifier
from sktgdp.nets._architecture import architecture_of, remember_architecture

__all__ = ["FineTunedSeriesClassifier"]

NEEDED_TO_FINE_TUNE = ("stem", "stages", "head", "replace_head")


def _all(network: nn.Module) -> Iterable[nn.Parameter]:
    return network.parameters()


def _of_the_head(network: Any) -> Iterable[nn.Parameter]:
    return list(network.head.parameters())


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

    __metadata_request__fit: ClassVar[dict[str, str]] = {**FOUR_ARRAYS, **CHECKPOINT}
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
        checkpoint: Checkpoint = None,
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
        checkpoint : path, optional
            Folder from which a fit that was killed goes on; see `DiffusionGenerator.fit`.

        Returns
        -------
        FineTunedSeriesClassifier
            This classifier; after Ctrl-C on the target rows with the best weights until then, and a warning.
        """
        self._validate_params()
        X_src, y_src, X_tgt, y_tgt = split_domains(X_src, y_src, X_tgt, y_tgt, sample_domain)
        if X_tgt is None:
            raise ValueError("X_tgt is None. Give target rows, or stacked rows and their sample_domain.")
        labels = check_classes(y_tgt, X_tgt, "y_tgt")
        with open_checkpoint(checkpoint, self) as kept:
            seed = kept.seed(self.random_state, FitMemory(None))
            source = self._fitted_source(X_src, y_src, seed, kept.part("source"))
            self._fine_tune(source, X_tgt, labels, seed, kept)
        return self

    def _fine_tune(
        self, source: SeriesClassifier, X: Any, labels: Any, seed: int, checkpoint: FitCheckpoint
    ) -> None:
        """Train a new head on the target, then all layers."""
        self._series(X, source.n_channels_, reset=True, name="X_tgt")
        network = self._adopt(source, LabelCode(labels), seed)
        x = self._series_as_fitted(X, "X_tgt")
        data = self._labelled(network, x, self.labels_.encode(labels), np.ones(len(x)))
        head = self._settings(self.head_steps, self.lr)
        slower = {"stem": self.layer_decay**2, "stages": self.layer_decay}
        full = self._settings(self.max_steps, self.lr * self.full_lr_ratio, **slower)
        self.history_ = []
        try:
            self.history_ += self._train(network, data, head, seed, "new head", checkpoint, _of_the_head)
            self.history_ += self._train(network, data, full, seed + 1, "fine-tuning", checkpoint, _all)
        except TrainingInterrupted as stop:
            self.history_ += stop.keep(checkpoint, enough=bool(self.history_)).history
        self.network_ = network

    def _fitted_source(
        self, X_src: Any, y_src: Any, seed: int, checkpoint: FitCheckpoint
    ) -> SeriesClassifier:
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
        return source.fit(X_src, y_src, checkpoint=checkpoint)

    def _adopt(self, source: SeriesClassifier, labels: LabelCode, seed: int) -> Any:
        """Take over the source's units; a copy of its network, with a new head."""
        lacks = [name for name in NEEDED_TO_FINE_TUNE if not hasattr(source.network_, name)]
        if lacks:
            raise TypeError(
                f"The source's network, {type(source.network_).__name__}, cannot be fine-tuned: it lacks "
                f"{lacks}. Give its class these attributes of sktgdp.nets.XResNet1d."
            )
        self.source_classifier_ = source
        self.units_, self.n_channels_ = source.units_, source.n_channels_
        self.window_, self.aggregate_ = source.window_, source.aggregate_
        self.labels_, self.classes_ = labels, labels.classes
        self.device_ = resolve_device(self.device)
        network: Any = copy.deepcopy(source.network_).to(self.device_)
        with seeded(seed, self.device_):
            network.replace_head(labels.n_labels)
        made_by = architecture_of(network)
        if made_by is not None:
            sizes = made_by.args[0], labels.n_labels
            remember_architecture(network, made_by.make, *sizes, **made_by.keywords)
        return network
