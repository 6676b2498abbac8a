r"""Distances between two samples in blocks of bounded memory, shared among the workers of joblib.

Euclidean distances come from :math:`\|a - b\|^2 = \|a\|^2 + \|b\|^2 - 2 a^\top b`, one matrix product per
block. Its rounding error is about :math:`d\,\epsilon\,(\|a\|^2 + \|b\|^2)`, which matters for near neighbours
far from the origin. Rows are therefore centred on the median, and whatever lies within that error of a
decision (duplicates, the ties of discrete data, tight clusters) is decided again from the differences.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from sktgdp.metrics._checks import Floats
from sktgdp.metrics._scale import Metric
from sktgdp.metrics._workers import map_blocks, n_workers

__all__ = ["closed_radii", "count_balls", "nearest_distances", "sum_of_distances"]

BLOCK_BYTES = 2**25
SEARCHED_AT_ONCE = 256  # rows that scikit-learn multiplies together; workers get whole multiples
SAFE_SHARE = 1e-6  # of a squared distance that rounding may reach before neighbours are searched again
ROUNDED_SHARE = 1e-4  # likewise, before a distance in a sum is computed again
TREE_MAX_FEATURES = 6  # measured at 20,000 rows: a k-d tree loses to the matrix product above this
ROUNDED_AT_ONE = ("cosine", "correlation")  # one minus a product: the error is absolute, not relative


def row_blocks(n_rows: int, n_columns: int) -> list[slice]:
    """Slices of rows such that a block of (rows, n_columns) floats stays within ``BLOCK_BYTES``."""
    step = max(1, BLOCK_BYTES // (8 * n_columns))
    return [slice(start, start + step) for start in range(0, n_rows, step)]


def _centred(X: Floats, Y: Floats) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Both samples minus the median of the second, their squared norms, the relative rounding error."""
    centre = np.median(Y, axis=0)  # the mean would follow a single outlier
    X, Y = X - centre, Y - centre
    rounding = (X.shape[1] + 8) * np.finfo(np.float64).eps
    return X, Y, np.einsum("ij,ij->i", X, X), np.einsum("ij,ij->i", Y, Y), rounding


def _row_distances(X: Floats, Y: Floats) -> Floats:
    """Euclidean distance of each row of ``X`` to the same row of ``Y``, from the differences."""
    difference = X - Y
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def _nearest_by_product(X: Floats, reference: Floats, k: int) -> Floats:
    """Euclidean distances through matrix products, repaired where they round too much."""
    centred, centred_reference, norms, reference_norms, rounding = _centred(X, reference)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(centred_reference)
    found = index.kneighbors(centred, return_distance=False)
    distances = np.stack([_row_distances(X, reference[found[:, j]]) for j in range(k)], axis=1)
    distances.sort(axis=1)
    error = rounding * (norms + reference_norms[found].max(axis=1))
    farthest = distances[:, -1] ** 2
    doubtful = np.flatnonzero((farthest > 0) & (error > SAFE_SHARE * farthest))
    if len(doubtful):
        distances[doubtful] = _nearest_by_tree(X[doubtful], reference, k)
    return distances


def _nearest_by_tree(X: Floats, reference: Floats, k: int) -> Floats:
    """Euclidean distances from differences."""
    index = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(reference)
    found = index.kneighbors(X, return_distance=False)
    distances = np.stack([_row_distances(X, reference[found[:, j]]) for j in range(k)], axis=1)
    distances.sort(axis=1)
    return distances


def nearest_distances(
    X: Floats, reference: Floats, k: int, metric: Metric, *, exclude_self: bool = False
) -> Floats:
    """Distances of each row to its ``k`` nearest reference rows, ascending; equal rows give zero.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    reference : ndarray of shape (n_reference, n_features)
    k : int
    metric : str or callable
        Any metric of scikit-learn's neighbours.
    exclude_self : bool
        The rows are the reference rows themselves, and no row is its own neighbour.

    Returns
    -------
    ndarray of shape (n_samples, k)
    """
    if metric == "euclidean":
        search = _nearest_by_tree if reference.shape[1] <= TREE_MAX_FEATURES else _nearest_by_product
        own = int(exclude_self)  # a row's own zero comes first and is dropped
        step = SEARCHED_AT_ONCE * math.ceil(len(X) / (SEARCHED_AT_ONCE * n_workers()))
        blocks = [slice(start, start + step) for start in range(0, len(X), step)]
        return np.concatenate(map_blocks(search, X, blocks, reference, k + own))[:, own:]
    index = NearestNeighbors(n_neighbors=k, metric=metric).fit(reference)
    return _finite(index.kneighbors(None if exclude_self else X)[0], metric)


def _finite(distances: Floats, metric: Metric) -> Floats:
    """The distances; NaN and infinity are errors, as no row is near or far by such a number."""
    if not np.isfinite(distances).all():
        raise ValueError(
            f"metric={metric!r} gave NaN or infinity between some rows. Drop rows for which it is not "
            "defined, give the samples in another unit, or choose another metric."
        )
    return distances


def closed_radii(X: Floats, k: int, metric: Metric) -> Floats:
    """Distance of each row to its k-th nearest other row, widened by the metric's rounding error."""
    radii = nearest_distances(X, X, k, metric, exclude_self=True)[:, -1]
    if metric == "euclidean":
        return radii
    return radii * (1.0 + 1e-12) + (1e-14 if metric in ROUNDED_AT_ONE else 0.0)


def count_balls(X: Floats, centres: Floats, radii: Floats, metric: Metric) -> NDArray[np.int64]:
    """Number of closed balls (boundary included) that each row of ``X`` lies in, shape (n_samples,)."""
    blocks = row_blocks(len(X), len(centres))
    count = _count_euclidean if metric == "euclidean" else partial(_count_any, metric=metric)
    return np.concatenate(map_blocks(count, X, blocks, centres, radii))


def _count_any(X: Floats, centres: Floats, radii: Floats, *, metric: Metric) -> NDArray[np.int64]:
    distances = _finite(pairwise_distances(X, centres, metric=metric), metric)
    return np.count_nonzero(distances <= radii, axis=1)


def _count_euclidean(X: Floats, centres: Floats, radii: Floats) -> NDArray[np.int64]:
    centred, centred_centres, norms_X, norms_centres, rounding = _centred(X, centres)
    # |a - b|^2 <= r^2 as 2 a.b - |a|^2 >= |b|^2 - r^2, once generously and once strictly.
    generous = (1.0 - rounding) * norms_centres - radii**2
    strict = (1.0 + rounding) * norms_centres - radii**2
    product = (2.0 * centred) @ centred_centres.T
    product -= (1.0 - rounding) * norms_X[:, None]
    inside = product >= generous
    product -= 2.0 * rounding * norms_X[:, None]
    _decide_again(inside, inside & (product < strict), X, centres, radii)
    return np.count_nonzero(inside, axis=1)


def _decide_again(
    inside: NDArray[np.bool_], doubtful: NDArray[np.bool_], X: Floats, centres: Floats, radii: Floats
) -> None:
    """Settle the doubtful pairs of a block, in place, from the differences of their rows."""
    pairs = np.flatnonzero(doubtful)
    for some in row_blocks(len(pairs), X.shape[1]):
        i, j = np.divmod(pairs[some], len(centres))
        inside[i, j] = _row_distances(X[i], centres[j]) <= radii[j]


def sum_of_distances(X: Floats, Y: Floats) -> float:
    """Sum of the Euclidean distances of all rows of ``X`` to all rows of ``Y``; equal rows give zero."""
    return sum(map_blocks(_sum_of_block, X, row_blocks(len(X), len(Y)), Y))


def _sum_of_block(X: Floats, Y: Floats) -> float:
    centred_X, centred_Y, norms_X, norms_Y, rounding = _centred(X, Y)
    squared = (-2.0 * centred_X) @ centred_Y.T
    squared += norms_X[:, None]
    squared += norms_Y
    error = rounding * (norms_X.max(initial=0.0) + norms_Y.max(initial=0.0))
    doubtful = np.flatnonzero(squared <= error / ROUNDED_SHARE)
    np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared)
    for some in row_blocks(len(doubtful), X.shape[1]):
        i, j = np.divmod(doubtful[some], len(Y))
        squared[i, j] = _row_distances(X[i], Y[j])
    return float(squared.sum())
