"""Scorers of generators for the searches of scikit-learn: ``(estimator, X, y=None)``, greater is better.

===========================  =================================================================================
Name                         Score
===========================  =================================================================================
``neg_energy_distance``      minus `energy_distance`; the one to begin with: it works with few rows, and sees
                             shift, spread and missing modes
``neg_sliced_wasserstein``   minus `sliced_wasserstein_distance`
``neg_fid``                  minus `frechet_distance` of the rows themselves: their means and covariances
``neg_two_sample_auc``       minus the distance of `two_sample_auc` from 1/2; 5 rows at least
``coverage``, ``density``    `coverage_score`, `density_score`; 6 rows at least. Density alone rewards rows
                             that crowd the modes
``log_likelihood``           ``estimator.score(X, y)``, in the units of the user's features
``tstr_roc_auc``             train on synthetic, test on real: macro ROC AUC of a logistic regression
===========================  =================================================================================

All but the likelihood draw rows, with the same seed for every candidate, and compare them in the units in
which the model lives (``estimator.transformer_``), so that no feature counts more for its unit. Such scores
are comparable only among candidates with the same transformer. Series (n, channels, length) are flattened.

In a search over two domains X holds held-out target rows only: see `sktgdp.model_selection`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, column_or_1d

from sktgdp.metrics._checks import Floats, check_count, check_pair
from sktgdp.metrics._classification import macro_roc_auc_score
from sktgdp.metrics._frechet import frechet_distance
from sktgdp.metrics._neighbours import coverage_score, density_score
from sktgdp.metrics._two_sample import energy_distance, sliced_wasserstein_distance, two_sample_auc

__all__ = ["SampleScorer", "get_scorer", "get_scorer_names", "make_sample_scorer"]

Units = Literal["fitted", "raw"]

MIN_SAMPLES = 500  # rows drawn at least: with less, the noise of small folds would choose among candidates


# What scorers ask of an estimator -------------------------------------------------------------------
def _generator(estimator: Any) -> Any:
    """Generator that is, or is inside, an estimator: a search's best one, an augmented classifier's."""
    inner = estimator
    while not hasattr(inner, "sample"):
        names = [name for name in ("best_estimator_", "generator_") if hasattr(inner, name)]
        if not names:
            raise TypeError(
                "This scorer needs a fitted generator with a method `sample`, such as TGDPGenerator, a "
                "FrozenEstimator of one, or a search over them that was fitted with refit=True; got "
                f"{type(estimator).__name__}."
            )
        inner = getattr(inner, names[0])
    if hasattr(inner, "source_model_") and getattr(inner, "n_parameters_", None) == 0:
        raise ValueError(
            f"{type(inner).__name__} was fitted without target rows, so that it draws those of its source; "
            "its score says nothing of a transfer. In a search pass the domains to fit, "
            "search.fit(X, y, sample_domain=domain); to score the source, give its `source_model_`."
        )
    return inner


def _draw(generator: Any, X: Any, n_samples: int | None, random_state: int) -> tuple[Any, Any]:
    """Rows and labels of a generator: as many as ``X`` has, but no less than ``MIN_SAMPLES``."""
    n_rows = max(len(X), MIN_SAMPLES) if n_samples is None else n_samples
    X_syn, y_syn = generator.sample(n_rows, random_state=random_state)
    return X_syn, y_syn


def _comparable(generator: Any, X: Any, X_syn: Any, units: Units = "fitted") -> tuple[Floats, Floats]:
    """Real and synthetic rows as (n, d) floats in common units."""
    columns = [list(getattr(rows, "columns", [])) for rows in (X, X_syn)]
    if all(columns) and columns[0] != columns[1]:
        raise ValueError(
            f"X must have the columns that the generator was fitted on, in the same order: expected "
            f"{columns[1]}, got {columns[0]}."
        )
    if units == "fitted":
        X, X_syn = (_transform(generator, rows) for rows in (X, X_syn))
    return check_pair(X, X_syn, names=("X", "The sample"))


def _transform(generator: Any, rows: Any) -> NDArray[Any]:
    """Rows in the units of the generator's transformer."""
    transformer = getattr(generator, "transformer_", None)
    if transformer is None:
        raise TypeError(
            f"{type(generator).__name__} has no `transformer_`, whose units this scorer compares in. Make a "
            'scorer with make_sample_scorer(metric, units="raw").'
        )
    with warnings.catch_warnings():  # a transformer of arrays takes frames, too; their columns were compared
        warnings.filterwarnings("ignore", message="X has feature names", category=UserWarning)
        return np.asarray(transformer.transform(rows.copy()))  # it may write there


def _finite(score: Any, name: str) -> float:
    """The score as a float; NaN and infinity are errors, so that none is averaged in silence."""
    value = float(score)
    if not np.isfinite(value):
        raise ValueError(
            f"The scorer {name} gave {value}. Look at rows of estimator.sample and at history_: the fit may "
            "have diverged (lower lr), or X may lie where the model has no density."
        )
    return value


# Scorers --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SampleScorer:
    """Score of a generator's rows against held-out rows; see `make_sample_scorer`, which makes them.

    Equal settings make equal scorers with equal hashes, and a scorer can be pickled where its metric can.

    Parameters
    ----------
    name : str
        For messages.
    metric : callable (X_real, X_syn) -> float
    sign : {1, -1}
        -1 for a metric that is better where it is lower.
    n_samples : int or None
        Rows to draw; None for as many as there are held-out rows, but at least 500.
    random_state : int
        Seed of the draw, the same for every candidate.
    units : {"fitted", "raw"}
        Compare in the units of the generator's transformer, or as the rows are.
    """

    name: str
    metric: Callable[..., float]
    sign: int = 1
    n_samples: int | None = None
    random_state: int = 0
    units: Units = "fitted"

    def __post_init__(self) -> None:
        if not callable(self.metric):
            raise TypeError(f"metric must be a callable (X_real, X_syn) -> float, got {self.metric!r}.")
        if self.sign not in (1, -1):
            raise ValueError(f"sign must be 1 or -1, got {self.sign!r}.")
        if self.units not in ("fitted", "raw"):
            raise ValueError(f"units must be 'fitted' or 'raw', got {self.units!r}.")
        check_count(self.random_state, "random_state", minimum=0)
        if self.n_samples is not None:
            check_count(self.n_samples, "n_samples")

    def __repr__(self) -> str:
        metric = getattr(self.metric, "__name__", repr(self.metric))
        return (
            f"SampleScorer({self.name!r}, {metric}, sign={self.sign}, n_samples={self.n_samples}, "
            f"random_state={self.random_state}, units={self.units!r})"
        )

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        """Score a fitted generator.

        Parameters
        ----------
        estimator : generator, frozen generator, or fitted search over generators
        X : array-like of shape (n, d) or (n, channels, length)
            Held-out rows of the target.
        y : ignored

        Returns
        -------
        float
            Greater is better.

        Raises
        ------
        TypeError
            Where there is no generator inside ``estimator``.
        ValueError
            Where the score is not finite, or the metric needs more rows.
        """
        generator = _generator(estimator)
        X_syn, _ = _draw(generator, X, self.n_samples, self.random_state)
        rows = _comparable(generator, X, X_syn, self.units)
        seeded = "random_state" in signature(self.metric).parameters
        score = self.metric(*rows, random_state=self.random_state) if seeded else self.metric(*rows)
        return self.sign * _finite(score, self.name)


@dataclass(frozen=True)
class _LikelihoodScorer:
    """Mean log density of held-out rows; of rows given their labels for a conditional model."""

    name: str = "log_likelihood"

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        return _finite(_generator(estimator).score(X, y), self.name)


@dataclass(frozen=True)
class _SyntheticTrainingScorer:
    """Macro ROC AUC on held-out rows of a logistic regression that was trained on synthetic rows."""

    name: str = "tstr_roc_auc"
    n_samples: int | None = None
    random_state: int = 0

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        if y is None:
            raise ValueError(f"{self.name} needs y: the labels of the held-out rows.")
        check_consistent_length(X, y)
        generator = _generator(estimator)
        X_syn, y_syn = _draw(generator, X, self.n_samples, self.random_state)
        if y_syn is None:
            raise ValueError(
                f"{self.name} needs labelled samples, but {type(generator).__name__} was fitted without "
                "labels. Fit it with labels, or choose another scorer."
            )
        labels = np.asarray(y) if np.ndim(y) == 2 and np.shape(y)[1] > 1 else column_or_1d(y)
        if labels.shape[1:] != y_syn.shape[1:]:
            raise ValueError(
                f"y must have the form that the generator was fitted with, labels of shape "
                f"{y_syn.shape[1:]} per row; got {labels.shape[1:]}."
            )
        rows = _comparable(generator, X, X_syn)
        truth, scores = _one_versus_rest(*rows, labels, y_syn)
        return _finite(macro_roc_auc_score(truth, scores, single_class="skip"), self.name)


def _one_versus_rest(
    real: Floats, syn: Floats, y_real: NDArray[Any], y_syn: NDArray[Any]
) -> tuple[NDArray[np.bool_], Floats]:
    """Indicator of the real labels, and their probabilities by a classifier of synthetic rows."""
    if y_real.ndim == 1:
        classes = np.union1d(y_real, y_syn)
        return y_real[:, None] == classes, _probabilities(real, syn, y_syn, classes)
    flags = np.array([False, True])
    columns = [_probabilities(real, syn, column == 1, flags)[:, 1] for column in y_syn.T]
    return y_real == 1, np.column_stack(columns)


def _probabilities(real: Floats, syn: Floats, y_syn: NDArray[Any], classes: NDArray[Any]) -> Floats:
    """Probabilities of the classes at real rows; all 0, hence an AUC of 1/2, for a class never generated."""
    scores = np.zeros((len(real), len(classes)))
    generated = np.unique(y_syn)
    if len(generated) > 1:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(syn, y_syn)
        scores[:, np.searchsorted(classes, generated)] = model.predict_proba(real)
    return scores


# Metrics of (X_real, X_syn) -------------------------------------------------------------------------
def _mean_coverage(X_real: Floats, X_syn: Floats) -> float:
    """Coverage by as many synthetic as real rows, averaged over disjoint parts of the sample.

    All of a large sample at once would cover nearly every real row, of a poor generator too.
    """
    n_parts = max(1, len(X_syn) // len(X_real))
    parts = X_syn[: n_parts * len(X_real)].reshape(n_parts, -1, X_syn.shape[1])
    return float(np.mean([coverage_score(X_real, part) for part in parts]))


def _auc_gap(X_real: ArrayLike, X_syn: ArrayLike, *, random_state: int) -> float:
    """Distance of the two-sample AUC from 1/2; below 1/2 the rows are near copies, which is no merit."""
    return abs(two_sample_auc(X_real, X_syn, random_state=random_state) - 0.5)


Scorer = SampleScorer | _LikelihoodScorer | _SyntheticTrainingScorer

_SCORERS: dict[str, Scorer] = {
    scorer.name: scorer
    for scorer in (
        SampleScorer("neg_fid", frechet_distance, sign=-1),
        SampleScorer("neg_energy_distance", energy_distance, sign=-1),
        SampleScorer("neg_sliced_wasserstein", sliced_wasserstein_distance, sign=-1),
        SampleScorer("neg_two_sample_auc", _auc_gap, sign=-1),
        SampleScorer("coverage", _mean_coverage),
        SampleScorer("density", density_score),
        _LikelihoodScorer(),
        _SyntheticTrainingScorer(),
    )
}


def get_scorer_names() -> list[str]:
    """Give the names that `get_scorer` knows, sorted.

    Returns
    -------
    list of str
    """
    return sorted(_SCORERS)


def get_scorer(name: str) -> Callable[..., float]:
    """Give a scorer ``(estimator, X, y=None)`` of generators for ``scoring=`` in scikit-learn's searches.

    Parameters
    ----------
    name : str
        One of `get_scorer_names`: "coverage", "density", "log_likelihood", "neg_energy_distance", "neg_fid",
        "neg_sliced_wasserstein", "neg_two_sample_auc", "tstr_roc_auc".

    Returns
    -------
    callable
        Greater is better. Samples number as many as the held-out rows, but at least 500; for another number
        or seed use ``dataclasses.replace(scorer, n_samples=2000, random_state=1)``.

    Raises
    ------
    ValueError
        Where there is no scorer of this name.

    See Also
    --------
    make_sample_scorer : A scorer of your own metric.

    Notes
    -----
    Scores in a model's units, which are all but "log_likelihood" and "tstr_roc_auc", are comparable only
    among candidates with the same transformer. For a model that was fitted with labels, "log_likelihood" is
    that of rows given their labels: do not compare it with that of a model without.

    Examples
    --------
    >>> from sktgdp.metrics import get_scorer
    >>> get_scorer("neg_fid")
    SampleScorer('neg_fid', frechet_distance, sign=-1, n_samples=None, random_state=0, units='fitted')
    """
    if name not in _SCORERS:
        raise ValueError(f"There is no scorer {name!r}. Known: {', '.join(get_scorer_names())}.")
    return _SCORERS[name]


def make_sample_scorer(
    metric: Callable[..., float],
    *,
    greater_is_better: bool = True,
    n_samples: int | None = None,
    random_state: int = 0,
    units: Units = "fitted",
    name: str | None = None,
) -> SampleScorer:
    """Make a scorer of generators from a metric of real and synthetic rows.

    Parameters
    ----------
    metric : callable ``(X_real, X_syn) -> float``
        It receives float64 arrays of shape (n_real, d) and (n_syn, d), series flattened; a parameter
        ``random_state`` of it is filled with that of the scorer.
    greater_is_better : bool, default=True
        False turns the sign, as for distances.
    n_samples : int or None, default=None
        Rows to draw; None draws as many as are held out, but at least 500.
    random_state : int, default=0
        Seed of the sample: the same for every candidate, which takes noise out of their comparison.
    units : {"fitted", "raw"}, default="fitted"
        Those of the generator's ``transformer_``, or of the user's features, which must then be numbers.
    name : str or None, default=None
        For messages; None takes that of the metric.

    Returns
    -------
    SampleScorer
        A callable ``(estimator, X, y=None) -> float``; pass it as ``scoring=``.

    Examples
    --------
    >>> from sktgdp.metrics import make_sample_scorer, recall_score_knn
    >>> make_sample_scorer(recall_score_knn, n_samples=1000)
    SampleScorer('recall_score_knn', recall_score_knn, sign=1, n_samples=1000, random_state=0, units='fitted')
    """
    called = str(name or getattr(metric, "__name__", type(metric).__name__))
    return SampleScorer(called, metric, 1 if greater_is_better else -1, n_samples, random_state, units)
