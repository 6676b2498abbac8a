r"""Distances between two samples in blocks of bounded memory.

Euclidean distances come from :math:`\|a - b\|^2 = \|a\|^2 + \|b\|^2 - 2 a^\top b`, one matrix product per
block. Its rounding error is about :math:`d\,\epsilon\,(\|a\|^2 + \|b\|^2)`; rows are centred to keep the
norms small, and a distance within that error of a bound counts as equal to it, so duplicated rows and the
ties of discrete data are seen as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from sktgdp.metrics._checks import Floats

__all__ = ["Metric", "closed_radii", "distance_blocks", "inside_blocks", "nearest_distances"]

Metric = str | Callable[..., float]

BLOCK_BYTES = 2**25
TREE_MAX_FEATURES = 6  # measured at 20,000 rows: a k-d tree loses to the matrix product above this
ROUNDED_AT_ONE = ("cosine", "correlation")  # one minus a product: the error is absolute, not relative


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of rows such that a block of (rows, n_columns) floats stays within ``BLOCK_BYTES``."""
    return gen_batches(n_rows, max(1, BLOCK_BYTES // (8 * n_columns)))


def _centred(X: Floats, Y: Floats) -> tuple[Floats, Floats, Floats, Floats, float]:
    """Both samples minus the mean of the second, their squared norms, the relative rounding error."""
    mean = Y.mean(axis=0)
    X, Y = X - mean, Y - mean
    rounding = (X.shape[1] + 8) * np.finfo(np.float64).eps
    return X, Y, np.einsum("ij,ij->i", X, X), np.einsum("ij,ij->i", Y, Y), rounding


def _row_distances(X: Floats, Y: Floats) -> Floats:
    """Euclidean distance of each row of ``X`` to the same row of ``Y``, from the differences."""
    difference = X - Y
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


def nearest_distances(
    X: Floats, reference: Floats, k: int, metric: Metric, *, exclude_self: bool = False
) -> Floats:
    """Distances of each row to its ``k`` nearest reference rows, ascending, exact for identical rows.

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
    euclidean = metric == "euclidean"
    shift = reference.mean(axis=0) if euclidean else np.zeros(reference.shape[1])
    tree = euclidean and reference.shape[1] <= TREE_MAX_FEATURES
    algorithm = "kd_tree" if tree else ("brute" if euclidean else "auto")
    index = NearestNeighbors(n_neighbors=k, metric=metric, algorithm=algorithm).fit(reference - shift)
    distances, neighbours = index.kneighbors(None if exclude_self else X - shift)
    if not euclidean:
        return distances
    # The search may round; the distances to the rows it found are computed again from the differences.
    exact = [_row_distances(X, reference[neighbours[:, j]]) for j in range(k)]
    return np.sort(np.stack(exact, axis=1), axis=1)


def closed_radii(X: Floats, k: int, metric: Metric) -> Floats:
    """Distance of each row to its k-th nearest other row, widened by the metric's rounding error."""
    radii = nearest_distances(X, X, k, metric, exclude_self=True)[:, -1]
    if metric == "euclidean":
        return radii
    return radii * (1.0 + 1e-12) + (1e-14 if metric in ROUNDED_AT_ONE else 0.0)


def inside_blocks(
    X: Floats, centres: Floats, radii: Floats, metric: Metric
) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """For blocks of rows of ``X``: whether each row lies in each closed ball (boundary included).

    Yields
    ------
    rows : slice
    inside : ndarray of bool of shape (n_rows, n_centres)
    """
    if metric != "euclidean":
        for rows in row_blocks(len(X), len(centres)):
            yield rows, pairwise_distances(X[rows], centres, metric=metric) <= radii
        return
    X, centres, norms_X, norms_centres, rounding = _centred(X, centres)
    # |a - b|^2 <= r^2, written so that one product and two passes over the block suffice.
    bound = (1.0 - rounding) * norms_centres - radii**2
    for rows in row_blocks(len(X), len(centres)):
        product = (2.0 * X[rows]) @ centres.T
        product -= (1.0 - rounding) * norms_X[rows, None]
        yield rows, product >= bound


def distance_blocks(X: Floats, Y: Floats) -> Iterator[tuple[slice, Floats]]:
    """Euclidean distances of blocks of rows of ``X`` to all rows of ``Y``; equal rows give zero.

    Yields
    ------
    rows : slice
    distances : ndarray of shape (n_rows, n_samples_Y)
    """
    X, Y, norms_X, norms_Y, rounding = _centred(X, Y)
    for rows in row_blocks(len(X), len(Y)):
        squared: Any = (-2.0 * X[rows]) @ Y.T
        squared += (1.0 - rounding) * norms_X[rows, None]
        squared += (1.0 - rounding) * norms_Y
        np.maximum(squared, 0.0, out=squared)
        yield rows, np.sqrt(squared, out=squared)
