"""How close synthetic rows come to the rows a generator was trained on.

Both measures compare with the *training* rows. A small distance is no proof of copying: compare it with the
distance of held-out real rows to the same training rows.

References
----------
Zhao et al., "CTAB-GAN: Effective table data synthesizing", 2021 (distance to the closest record).
Yoon et al., "Diffusion probabilistic models generalize when they fail to memorize", 2023 (the ratio 1/3).
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from sktgdp.metrics._checks import Floats, check_fraction, check_pair
from sktgdp.metrics._distances import nearest_distances
from sktgdp.metrics._scale import Metric, for_distances, in_units

__all__ = ["distance_to_closest_record", "memorization_ratio"]


@overload
def distance_to_closest_record(
    X_real: ArrayLike, X_syn: ArrayLike, *, quantile: float = ..., metric: Metric = ...
) -> float: ...


@overload
def distance_to_closest_record(
    X_real: ArrayLike, X_syn: ArrayLike, *, quantile: None, metric: Metric = ...
) -> Floats: ...


def distance_to_closest_record(
    X_real: ArrayLike, X_syn: ArrayLike, *, quantile: float | None = 0.05, metric: Metric = "euclidean"
) -> float | Floats:
    """Distance of synthetic rows to their closest training row, summarised by a quantile.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Rows that the generator was trained on. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    quantile : float in (0, 1) or None, default=0.05
        Quantile over the synthetic rows; privacy is decided in the lower tail. None returns all distances.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float or ndarray of shape (n_syn,)
        Distance in the units of the features; exactly 0 for a copy. Greater means more private.

    References
    ----------
    Zhao et al., "CTAB-GAN: Effective table data synthesizing", 2021.
    """
    level = None if quantile is None else check_fraction(quantile, "quantile")
    real, syn, exponent = for_distances(*check_pair(X_real, X_syn), metric)
    distances = nearest_distances(syn, real, 1, metric)[:, 0]
    if level is None:
        return np.asarray(in_units(distances, exponent, "distance to the closest record"))
    return float(in_units(np.quantile(distances, level), exponent, "distance to the closest record"))


def memorization_ratio(
    X_real: ArrayLike, X_syn: ArrayLike, *, threshold: float = 1.0 / 3.0, metric: Metric = "euclidean"
) -> float:
    """Share of synthetic rows that are memorised training rows.

    A row counts as memorised when its closest training row is no farther than ``threshold`` times the second
    closest. Training rows are made distinct first: a record that was entered twice can still be copied.

    Parameters
    ----------
    X_real : array-like of shape (n_real, n_features) or (n_real, channels, length)
        Rows that the generator was trained on, at least two of them distinct. Series are flattened.
    X_syn : array-like of shape (n_syn, n_features) or (n_syn, channels, length)
        Synthetic rows.
    threshold : float in (0, 1), default=1/3
        Largest ratio of the two distances.
    metric : str or callable, default="euclidean"
        Any metric of scikit-learn's neighbours. Put the features on a common scale first.

    Returns
    -------
    float
        In [0, 1]; smaller is better, and 1 for exact copies. Held-out real rows score about
        ``threshold ** d`` in d effective dimensions: in one or two dimensions the measure says little.

    References
    ----------
    Yoon et al., "Diffusion probabilistic models generalize when they fail to memorize", 2023.
    """
    threshold = check_fraction(threshold, "threshold")
    real, syn, _ = for_distances(*check_pair(X_real, X_syn), metric)
    distinct = np.unique(real, axis=0)
    if len(distinct) < 2:
        raise ValueError(
            f"memorization_ratio compares the two closest distinct training rows, but all {len(real)} rows "
            f"of X_real are equal. Give the rows that the generator was trained on."
        )
    closest = nearest_distances(syn, distinct, 2, metric)
    return float(np.mean(closest[:, 0] <= threshold * closest[:, 1]))
