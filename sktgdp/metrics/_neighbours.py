r"""Fidelity and diversity from nearest neighbours: precision, recall, density and coverage.

For real rows :math:`x_i, i \le n` and synthetic rows :math:`z_j, j \le m`, let :math:`B_k(x_i)` be the closed
ball around :math:`x_i` whose radius is the distance to its k-th nearest other real row. Then

.. math::
    \text{precision} &= \tfrac1m \#\{j : z_j \in \cup_i B_k(x_i)\}, &
    \text{recall} &= \tfrac1n \#\{i : x_i \in \cup_j B_k(z_j)\}, \\
    \text{density} &= \tfrac1{km} \sum_{i, j} 1[z_j \in B_k(x_i)], &
    \text{coverage} &= \tfrac1n \#\{i : B_k(x_i) \text{ holds some } z_j\}.

The balls are closed: a synthetic row on the boundary counts. With continuous data this changes nothing; with
duplicated rows, whose balls have radius zero, it keeps a perfect copy of the data at a score of one.
No matrix of all distances is held in memory.

References
----------
Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", 2019.
Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sktgdp.metrics._checks import Floats, check_count, check_pair
from sktgdp.metrics._distances import closed_radii, count_balls, nearest_distances
from sktgdp.metrics._scale import Metric, for_distances

__all__ = ["coverage_score", "density_score", "precision_score_knn", "recall_score_knn"]


def _check(
    X_real: ArrayLike, X_syn: ArrayLike, n_neighbors: int, metric: Metric, *, balls: str = "X_real"
) -> tuple[Floats, Floats, int]:
    """Flattened samples, with enough rows in the one whose balls are taken, and the number of neighbours."""
    k = check_count(n_neighbors, "n_neighbors")
    min_rows = (k + 1, 1) if balls == "X_real" else (1, k + 1)
    reason = f"n_neighbors={k} (a row is not its own neighbour; lower n_neighbors or give more rows)"
    real, syn, _ = for_distances(*check_pair(X_real, X_syn, min_rows=min_rows, reason=reason), metric)
    return real, syn, k


def _share_in_any_ball(X: Floats, centres: Floats, k: int, metric: Metric) -> float:
    """Share of the rows of ``X`` that lie in the k-neighbour ball of some centre."""
    radii = closed_radii(centres, k, metric)
    return float(np.mean(count_balls(X, centres, radii, metric) > 0))


def coverage_score(
    X_real: ArrayLike, X_syn: ArrayLike, *, n_neighbors: int = 5, metric: Metric = "euclidean"
) -> float:
    """Share of real rows with a synthetic row among their nearest neighbours: diversity.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows, at least ``n_neighbors + 1``. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    n_neighbors : int, default=5
        Real neighbours that set the radius of a real row's ball.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float
        In [0, 1]; greater is better. Two samples of one law and one size score about 1 - 2**-n_neighbors
        (0.969 for 5).

    References
    ----------
    Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020.
    """
    real, syn, k = _check(X_real, X_syn, n_neighbors, metric)
    nearest = nearest_distances(real, syn, 1, metric)[:, 0]
    return float(np.mean(nearest <= closed_radii(real, k, metric)))


def density_score(
    X_real: ArrayLike, X_syn: ArrayLike, *, n_neighbors: int = 5, metric: Metric = "euclidean"
) -> float:
    """Mean number of real balls that hold a synthetic row, over the number of neighbours: fidelity.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows, at least ``n_neighbors + 1``. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    n_neighbors : int, default=5
        Real neighbours that set the radius of a real row's ball.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float
        At least 0, about 1 for two samples of one law; more than 1 where synthetic rows crowd the modes.

    References
    ----------
    Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020.
    """
    real, syn, k = _check(X_real, X_syn, n_neighbors, metric)
    radii = closed_radii(real, k, metric)
    return float(count_balls(syn, real, radii, metric).sum() / (k * len(syn)))


def precision_score_knn(
    X_real: ArrayLike, X_syn: ArrayLike, *, n_neighbors: int = 5, metric: Metric = "euclidean"
) -> float:
    """Share of synthetic rows inside the neighbour balls of the real rows: fidelity.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows, at least ``n_neighbors + 1``. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    n_neighbors : int, default=5
        Real neighbours that set the radius of a real row's ball.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float
        In [0, 1]; greater is better. One real outlier has a large ball: prefer `density_score`.

    References
    ----------
    Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", 2019.
    """
    real, syn, k = _check(X_real, X_syn, n_neighbors, metric)
    return _share_in_any_ball(syn, real, k, metric)


def recall_score_knn(
    X_real: ArrayLike, X_syn: ArrayLike, *, n_neighbors: int = 5, metric: Metric = "euclidean"
) -> float:
    """Share of real rows inside the neighbour balls of the synthetic rows: diversity.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Real rows. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows, at least ``n_neighbors + 1``.
    n_neighbors : int, default=5
        Synthetic neighbours that set the radius of a synthetic row's ball.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float
        In [0, 1]; greater is better. Widely spread synthetic rows have large balls: prefer `coverage_score`.

    References
    ----------
    Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", 2019.
    """
    real, syn, k = _check(X_real, X_syn, n_neighbors, metric, balls="X_syn")
    return _share_in_any_ball(real, syn, k, metric)
