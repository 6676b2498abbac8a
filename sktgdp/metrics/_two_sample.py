r"""Distances between the laws of two samples that no collapse onto the modes can win.

For samples X (real) and Z (synthetic), with independent copies X', Z' and quantile functions Q,

.. math::
    \text{energy} &= \sqrt{2 E\|X - Z\| - E\|X - X'\| - E\|Z - Z'\|}, \\
    \text{sliced } W_p &= \Big(E_\theta \int_0^1
        |Q_{\theta^\top X}(u) - Q_{\theta^\top Z}(u)|^p\,du\Big)^{1/p},

with directions :math:`\theta` uniform on the sphere.

References
----------
Székely & Rizzo, "Energy statistics: a class of statistics based on distances", 2013.
Bonneel et al., "Sliced and Radon Wasserstein barycenters of measures", 2015.
Rowland et al., "Orthogonal estimation of Wasserstein distances", 2019.
Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.utils import check_random_state

from sktgdp.metrics._checks import Floats, check_count, check_pair, check_rows, is_number, to_floats
from sktgdp.metrics._distances import sum_of_distances
from sktgdp.metrics._scale import about_centre, for_trees, in_units
from sktgdp.metrics._workers import map_blocks

__all__ = ["average_likelihood", "energy_distance", "sliced_wasserstein_distance", "two_sample_auc"]

PROJECTIONS_AT_ONCE = 32  # bounds the memory of the sorted projections


def _mean_distance(X: Floats, Y: Floats) -> float:
    """Mean Euclidean distance over all pairs of rows."""
    return sum_of_distances(X, Y) / (len(X) * len(Y))


def energy_distance(X_real: ArrayLike, X_syn: ArrayLike) -> float:
    """Energy distance between two samples, as `scipy.stats.energy_distance` but in any dimension.

    It is ``sqrt(2 E|X - Z| - E|X - X'| - E|Z - Z'|)``, with means over all pairs, a row with itself included.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.

    Returns
    -------
    float
        At least 0, in the root of the features' units; smaller is better, 0 only for equal samples. For two
        samples of one law it falls like the root of 1/n_real + 1/n_syn. Time grows with n_real * n_syn;
        memory does not.

    References
    ----------
    Székely & Rizzo, "Energy statistics: a class of statistics based on distances", 2013.
    """
    real, syn, exponent = about_centre(*check_pair(X_real, X_syn))
    squared = 2.0 * _mean_distance(syn, real) - _mean_distance(real, real) - _mean_distance(syn, syn)
    halves, odd = divmod(exponent, 2)
    return float(in_units(np.sqrt(max(squared, 0.0) * 2.0**odd), halves, "energy distance"))


def _orthonormal_directions(n_features: int, n_projections: int, random_state: Any) -> Floats:
    """Random unit columns, orthogonal within groups of ``n_features``: (n_features, n_projections)."""
    if n_features == 1:
        return np.ones((1, 1))
    groups, rng = [], check_random_state(random_state)
    for start in range(0, n_projections, n_features):
        width = min(n_features, n_projections - start)
        groups.append(np.linalg.qr(rng.standard_normal((n_features, width)))[0])
    return np.concatenate(groups, axis=1)


def _quantile_steps(n_real: int, n_syn: int) -> tuple[Any, Any, Floats]:
    """Where both empirical quantile functions are constant: sorted positions in each sample, and lengths.

    The levels are kept as integers over n_real * n_syn, so that common levels coincide exactly.
    """
    real_levels = n_syn * np.arange(1, n_real + 1)
    syn_levels = n_real * np.arange(1, n_syn + 1)
    levels = np.union1d(real_levels, syn_levels)
    lengths = np.diff(levels, prepend=0) / (n_real * n_syn)
    return (levels - 1) // n_syn, (levels - 1) // n_real, lengths


def sliced_wasserstein_distance(
    X_real: ArrayLike,
    X_syn: ArrayLike,
    *,
    order: float = 2,
    n_projections: int = 200,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Sliced Wasserstein distance: the power mean over directions of the distance in one dimension.

    It is ``mean(W_p**p) ** (1 / p)``; each W_p is exact, also for samples of unequal sizes.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    order : float, default=2
        Order p, at least 1.
    n_projections : int, default=200
        Random directions, orthogonal in groups of ``n_features`` for a smaller error.
    random_state : int, RandomState or None

    Returns
    -------
    float
        In the features' units; smaller is better. At order 2 a shift m gives ``norm(m) / sqrt(n_features)``.

    References
    ----------
    Bonneel et al. (2015); Rowland et al. (2019) for the orthogonal directions.
    """
    if not (is_number(order) and order >= 1):
        raise ValueError(f"order must be a finite number of at least 1, got {order!r}.")
    n_projections = check_count(n_projections, "n_projections")
    real, syn, exponent = about_centre(*check_pair(X_real, X_syn))
    directions = _orthonormal_directions(real.shape[1], n_projections, random_state)
    mean = _mean_over_directions(real, syn, directions, order)
    return float(in_units(mean, exponent, "sliced Wasserstein distance"))


def _mean_over_directions(real: Floats, syn: Floats, directions: Floats, order: float) -> float:
    """Power mean over the columns of ``directions`` of the one-dimensional distance of this order."""
    n_projections = directions.shape[1]
    starts = range(0, n_projections, PROJECTIONS_AT_ONCE)
    blocks = [slice(start, start + PROJECTIONS_AT_ONCE) for start in starts]
    parts = map_blocks(_sum_over_directions, directions.T, blocks, real, syn, order)
    widest = max(gap for gap, _ in parts)
    if widest == 0.0:
        return 0.0
    with np.errstate(under="ignore"):
        total = sum((gap / widest) ** order * share for gap, share in parts)
        return float(widest * (total / n_projections) ** (1.0 / order))


def _sum_over_directions(directions: Floats, real: Floats, syn: Floats, order: float) -> tuple[float, float]:
    """The widest gap of quantiles over the rows of ``directions``, and the sum of powers of its shares."""
    at_real, at_syn, lengths = _quantile_steps(len(real), len(syn))
    gap = np.sort(real @ directions.T, axis=0)[at_real] - np.sort(syn @ directions.T, axis=0)[at_syn]
    gap = np.abs(gap, out=gap)
    widest = float(gap.max())  # high powers of it would run over
    if widest == 0.0:
        return 0.0, 0.0
    with np.errstate(under="ignore"):
        return widest, float(np.sum(lengths @ (gap / widest) ** order))


def two_sample_auc(
    X_real: ArrayLike,
    X_syn: ArrayLike,
    *,
    classifier: ClassifierMixin | None = None,
    cv: Any = 5,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """Classifier two-sample test: how well a classifier tells synthetic rows from real ones.

    Parameters
    ----------
    X_real, X_syn : array-like of shape (n_samples, n_features) or (n_samples, channels, length)
        Held-out real rows and synthetic rows. Series are flattened.
    classifier : scikit-learn classifier or None, default=None
        Cloned for every fold. None takes extremely randomised trees: quick, without need of scaling, and good
        with few rows. A classifier that cannot see a difference reports none.
    cv : int or splitter, default=5
    random_state : int, RandomState or None

    Returns
    -------
    float
        Mean area under the ROC curve over the held-out folds. 0.5 means indistinguishable, 1 told apart
        without error; clearly below 0.5, that synthetic rows are near copies of the real rows given: each
        fold then meets twins with the opposite label.

    References
    ----------
    Lopez-Paz & Oquab, "Revisiting classifier two-sample tests", 2017.
    """
    seeds = check_random_state(random_state).randint(2**31 - 1, size=2)
    n_folds = 1 if hasattr(cv, "split") else check_count(cv, "cv", minimum=2)
    real, syn = check_pair(X_real, X_syn, min_rows=(n_folds, n_folds), reason=f"cv={cv}")
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seeds[0]) if n_folds > 1 else cv
    X, is_synthetic = np.concatenate([real, syn]), np.repeat([0, 1], [len(real), len(syn)])
    if classifier is None:
        X, classifier = for_trees(X), ExtraTreesClassifier(min_samples_leaf=5, random_state=seeds[1])
    return _mean_auc(classifier, X, is_synthetic, folds)


def _mean_auc(classifier: Any, X: Floats, y: NDArray[np.int64], cv: Any) -> float:
    """Mean area under the ROC curve over the folds."""
    scores = cross_val_score(classifier, X, y, scoring="roc_auc", cv=cv, error_score="raise")
    if np.isnan(scores).any():
        raise ValueError("A fold of cv holds rows of one sample only. Use a stratified splitter.")
    return float(np.mean(scores))


def average_likelihood(X_syn: ArrayLike, log_density: Callable[[Floats], ArrayLike]) -> float:
    """Mean density of synthetic rows under the true law: the score of the paper's simulation.

    It is *not* maximised by the true law: a generator that collapses onto the modes scores more than exact
    samples do. Report it beside a distance such as `energy_distance`.

    Parameters
    ----------
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    log_density : callable
        Natural logarithm of the true density, (n, ...) -> (n,). It receives float64 rows in the shape of
        ``X_syn``; minus infinity means density zero.

    Returns
    -------
    float
        Mean density, in one over the product of the features' units; greater is not always better.

    References
    ----------
    Ouyang et al., "Transfer learning for diffusion models", 2024 (Section 4.1).
    """
    rows = check_rows(X_syn, "X_syn")
    values = to_floats(log_density(rows), "log_density(X_syn)")
    if values.shape != (len(rows),):
        raise ValueError(
            f"log_density must return one value per row, shape ({len(rows)},), got {values.shape}."
        )
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError("log_density must be finite or -inf, but it returned NaN or plus infinity.")
    log_mean = float(logsumexp(values)) - np.log(len(rows))
    if log_mean > np.log(np.finfo(np.float64).max):
        raise OverflowError(
            f"The mean density is exp({log_mean:.4g}), beyond floating point. Average the log density "
            f"instead, or rescale the features."
        )
    return float(np.exp(log_mean))
