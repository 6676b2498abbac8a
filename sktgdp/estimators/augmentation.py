"""Synthetic target rows for training classifiers: a sampler of imbalanced-learn's kind, a classifier."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, OneToOneFeatureMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, get_tags
from sklearn.utils._metadata_requests import RequestMethod
from sklearn.utils._param_validation import HasMethods, Interval, RealNotInt, StrOptions
from sklearn.utils.metadata_routing import UNCHANGED
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sktgdp._extras import require
from sktgdp.estimators._parameters import CheckedParameters
from sktgdp.estimators._rows.domains import Domains
from sktgdp.estimators._state.memory import draw_seed
from sktgdp.estimators._state.persistence import Persistent
from sktgdp.estimators._synthesis import (
    append_rows,
    check_data,
    prepare_generator,
    sampler_tags,
    seeded_clone,
    synthesize,
    weight_keyword,
)

__all__ = ["AugmentedClassifier", "GenerativeSampler"]

STRATEGIES = {"auto", "minority", "not minority", "not majority", "all"}


class GenerativeSampler(Persistent, OneToOneFeatureMixin, CheckedParameters):
    """Over-sampler that adds rows drawn from a generator of the target domain.

    It follows imbalanced-learn's interface and goes into ``imblearn.pipeline.Pipeline`` before a classifier.
    The generator must know its source, in one of three ways: from stacked rows of both domains with
    ``sample_domain``; as ``FrozenEstimator(fitted_generator)``, which is only sampled; or from a
    ``source_model`` of its own that is frozen, from which it learns the target without source rows. A
    `DiffusionGenerator` needs none of them and learns from the target rows alone.

    Parameters
    ----------
    generator : TGDPGenerator, FineTunedDiffusionGenerator, DiffusionGenerator, \
FrozenEstimator of a fitted one, or None, default=None
        None is a default `TGDPGenerator`. A frozen one gives rows in the units that it was fitted on.
    sampling_strategy : float, str, dict or callable, default="auto"
        As for imbalanced-learn's over-samplers, counted on target rows: a float is the wanted ratio of the
        minority to the majority; a str names the classes to raise to the majority's size ("minority", "not
        minority", "not majority", "all", "auto" for "not majority"); a dict gives the wanted size of each
        class; a callable makes such a dict from the labels.
    keep_source : bool, default=False
        Return the source rows, too.
    random_state : int, RandomState, Generator or None, default=None
        Seeds the draws and every part of the generator that has no seed of its own. None leaves those as they
        are and draws new rows at each call.

    Attributes
    ----------
    generator_ : generator
        The fitted generator; None where no row was asked for.
    sampling_strategy_ : dict
        Number of synthetic rows by class.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, for frames

    Notes
    -----
    imbalanced-learn's Pipeline hands ``sample_domain`` on only with scikit-learn's metadata routing switched
    on and ``set_fit_resample_request(sample_domain=True)``; elsewhere use one of the two frozen forms.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sktgdp import GenerativeSampler
    >>> sampler = GenerativeSampler(FrozenEstimator(gen), random_state=0)  # doctest: +SKIP
    >>> X_new, y_new = sampler.fit_resample(X_tgt, y_tgt)  # doctest: +SKIP
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "generator": [HasMethods(["fit", "sample"]), None],
        "sampling_strategy": [Interval(Real, 0, 1, closed="right"), StrOptions(STRATEGIES), dict, callable],
        "keep_source": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        generator: Any = None,
        *,
        sampling_strategy: float | str | dict[Any, int] | Callable[..., dict[Any, int]] = "auto",
        keep_source: bool = False,
        random_state: Any = None,
    ) -> None:
        self.generator = generator
        self.sampling_strategy = sampling_strategy
        self.keep_source = keep_source
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any) -> GenerativeSampler:
        """Check target rows and their labels, and count the rows to add; nothing is trained.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
        y : array-like of shape (n,)

        Returns
        -------
        self
        """
        self._count(X, y, None)
        return self

    def fit_resample(self, X: ArrayLike, y: Any, sample_domain: ArrayLike | None = None) -> tuple[Any, Any]:
        """Fit the generator unless it is frozen, and add the rows that ``sampling_strategy`` asks for.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
            Target rows, or stacked rows of both domains with ``sample_domain``.
        y : array-like of shape (n,)
            Their classes.
        sample_domain : array-like of shape (n,), optional
            >= 0 marks a source row, < 0 a target row.

        Returns
        -------
        X, y
            With ``keep_source`` the source rows; the target rows; the synthetic rows, by class. In the form
            of what was given: array, list or frame, with its dtypes.

        Raises
        ------
        ValueError
            If the generator knows no source, or ``y`` is a multi-label indicator.
        ImportError
            Without imbalanced-learn.
        """
        domains, labels = self._count(X, y, sample_domain)
        if self.keep_source and domains.X_src is None:
            raise ValueError("keep_source=True, but there are no source rows; mark them in sample_domain.")
        classes = np.unique(labels)
        new = np.repeat(classes, [self.sampling_strategy_.get(label, 0) for label in classes])
        generator = prepare_generator(self, domains, self.random_state)
        self.generator_, X_new = synthesize(generator, domains, new, draw_seed(self.random_state))
        X_old, y_old = domains.X_tgt, domains.y_tgt
        if self.keep_source:
            X_old, y_old = append_rows(domains.X_src, X_old), append_rows(domains.y_src, y_old)
        if isinstance(y_old, np.ndarray):
            y_old = y_old.ravel()  # imbalanced-learn, too, makes a vector of a column
        return append_rows(X_old, X_new), append_rows(y_old, None if X_new is None else new)

    def _count(self, X: Any, y: Any, sample_domain: Any) -> tuple[Domains, NDArray[Any]]:
        """Check everything but the generator; the domains, the target's labels and ``sampling_strategy_``."""
        self._validate_params()
        domains, labels = check_data(self, X, y, sample_domain)
        if labels.ndim == 2:
            raise ValueError(
                "Multilabel and multioutput targets are not supported, since sampling strategies count "
                "classes. Use AugmentedClassifier with a number in n_synthetic."
            )
        check = require("imblearn.utils", "GenerativeSampler").check_sampling_strategy
        counts = check(self.sampling_strategy, labels, "over-sampling")
        self.sampling_strategy_ = {label: int(count) for label, count in counts.items()}
        return domains, labels

    def set_fit_resample_request(self, *, sample_domain: bool | str | None = UNCHANGED) -> GenerativeSampler:
        """Ask meta-estimators to hand ``sample_domain`` to `fit_resample`; needs metadata routing.

        Parameters
        ----------
        sample_domain : bool, str or None
            True hands it on, False does not, None raises where it is given; a str is its other name there.

        Returns
        -------
        self
        """
        # it tells scikit-learn that methods may be called fit_resample
        require("imblearn.base", "GenerativeSampler")
        request = RequestMethod("fit_resample", ["sample_domain"]).__get__(self, type(self))
        sampler: GenerativeSampler = request(sample_domain=sample_domain)
        return sampler

    def __sklearn_tags__(self) -> Tags:
        return sampler_tags(super().__sklearn_tags__())


def _classifier_has(method: str) -> Callable[[AugmentedClassifier], bool]:
    """Tell whether the classifier, fitted or not, has a method."""

    def check(estimator: AugmentedClassifier) -> bool:
        getattr(getattr(estimator, "classifier_", estimator._unfitted_classifier()), method)
        return True

    return check


class AugmentedClassifier(Persistent, ClassifierMixin, MetaEstimatorMixin, CheckedParameters):
    """Classifier trained on target rows and on rows drawn from a generator of the target domain.

    Synthetic rows take part in training only. The generator must know its source in one of the ways that
    `GenerativeSampler` lists.

    Parameters
    ----------
    classifier : classifier or None, default=None
        None is a logistic regression on standardised features.
    generator : TGDPGenerator, FineTunedDiffusionGenerator, DiffusionGenerator, \
FrozenEstimator of a fitted one, or None, default=None
        None is a default `TGDPGenerator`. A frozen one gives rows in the units that it was fitted on.
    n_synthetic : "balance", int or float, default="balance"
        "balance" raises every class of the target to the size of its largest. An int is a number of rows, a
        float a multiple of the target rows; their labels are drawn as frequent as the target's. 0 adds none.
        Multi-label targets need a number.
    sample_weight_synthetic : float, default=1.0
        Weight of a synthetic row, where a target row's is 1. Other weights than 1 need a classifier, or a
        pipeline's last step, that takes ``sample_weight``.
    random_state : int, RandomState, Generator or None, default=None
        Seeds the draws, and every part of the generator and of the classifier that has no seed of its own.
        None leaves those as they are and draws new rows at each fit.

    Attributes
    ----------
    classifier_ : classifier
    generator_ : generator
        The fitted generator; None where no row was asked for.
    n_synthetic_ : dict or int
        Number of synthetic rows by class; in all for multi-label targets.
    classes_ : ndarray of shape (n_classes,)
        Those of ``classifier_``.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, for frames

    Examples
    --------
    >>> from sktgdp import AugmentedClassifier, TGDPGenerator
    >>> clf = AugmentedClassifier(generator=TGDPGenerator(), random_state=0)
    >>> clf.fit(X, y, sample_domain=domain).predict(X_test)  # doctest: +SKIP
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "classifier": [HasMethods(["fit", "predict"]), None],
        "generator": [HasMethods(["fit", "sample"]), None],
        "n_synthetic": [
            StrOptions({"balance"}),
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0, None, closed="left"),
        ],
        "sample_weight_synthetic": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        classifier: Any = None,
        generator: Any = None,
        *,
        n_synthetic: str | float = "balance",
        sample_weight_synthetic: float = 1.0,
        random_state: Any = None,
    ) -> None:
        self.classifier = classifier
        self.generator = generator
        self.n_synthetic = n_synthetic
        self.sample_weight_synthetic = sample_weight_synthetic
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any, sample_domain: ArrayLike | None = None) -> AugmentedClassifier:
        """Fit the generator unless it is frozen, then the classifier on target and synthetic rows.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
            Target rows, or stacked rows of both domains with ``sample_domain``. Source rows train the
            generator only.
        y : array-like of shape (n,) or (n, k)
            Classes, or a multi-label indicator.
        sample_domain : array-like of shape (n,), optional
            >= 0 marks a source row, < 0 a target row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the generator knows no source, or multi-label targets meet ``n_synthetic="balance"``.
        TypeError
            If synthetic rows are weighted and the classifier takes no weights.
        """
        self._validate_params()
        domains, labels = check_data(self, X, y, sample_domain)
        keyword = None if self.sample_weight_synthetic == 1 else weight_keyword(self._unfitted_classifier())
        new = self._new_labels(labels)
        generator = prepare_generator(self, domains, self.random_state)
        self.generator_, X_new = synthesize(generator, domains, new, draw_seed(self.random_state))
        self.classifier_ = seeded_clone(self._unfitted_classifier(), self.random_state)
        rows, targets = append_rows(domains.X_tgt, X_new), np.concatenate([labels, new])
        if keyword is None:
            self.classifier_.fit(rows, targets)
        else:
            weights = np.repeat([1.0, self.sample_weight_synthetic], [len(labels), len(new)])
            with config_context(enable_metadata_routing=False):  # else pipelines know no step__sample_weight
                self.classifier_.fit(rows, targets, **{keyword: weights})
        self.classes_ = self.classifier_.classes_
        return self

    def _unfitted_classifier(self) -> Any:
        if self.classifier is None:
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return self.classifier

    def _new_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Labels of the synthetic rows, and ``n_synthetic_``."""
        if self.n_synthetic == "balance":
            if labels.ndim == 2:
                raise ValueError(
                    "n_synthetic='balance' levels the sizes of classes, but y is a multi-label indicator. "
                    "Give a number of rows (int) or a multiple of the target rows (float)."
                )
            classes, counts = np.unique(labels, return_counts=True)
            new = np.repeat(classes, counts.max() - counts)
        else:
            whole = isinstance(self.n_synthetic, Integral)
            n_rows = int(self.n_synthetic) if whole else round(float(self.n_synthetic) * len(labels))
            rng = np.random.default_rng(draw_seed(self.random_state))
            new = labels[rng.integers(len(labels), size=n_rows)]
        self.n_synthetic_: dict[Any, int] | int = len(new)
        if labels.ndim == 1:
            self.n_synthetic_ = {label: int((new == label).sum()) for label in np.unique(labels).tolist()}
        return new

    def _ask(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        return getattr(self.classifier_, method)(X)  # which checks X itself

    def predict(self, X: ArrayLike) -> Any:
        """Predict labels, of shape (n,) or (n, k), for target rows ``X`` of shape (n, ...)."""
        return self._ask("predict", X)

    @available_if(_classifier_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> Any:
        """Probabilities of the classes, in the classifier's own form: (n, n_classes) for classes."""
        return self._ask("predict_proba", X)

    @available_if(_classifier_has("predict_log_proba"))
    def predict_log_proba(self, X: ArrayLike) -> Any:
        """Natural logarithms of `predict_proba`."""
        return self._ask("predict_log_proba", X)

    @available_if(_classifier_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> Any:
        """Scores in the classifier's own form: (n,) for two classes, else (n, n_classes)."""
        return self._ask("decision_function", X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._unfitted_classifier()).classifier_tags
        if inner is not None:
            tags.classifier_tags.multi_class = inner.multi_class
            tags.classifier_tags.multi_label = inner.multi_label and self.n_synthetic != "balance"
        return tags
