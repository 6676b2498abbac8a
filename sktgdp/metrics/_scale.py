r"""Samples in a unit in which no square runs over, and results put back into the unit they came in.

Both samples are multiplied by one power of two, which changes no digit. So a result without a unit is the
same, bit for bit, in volts and in nanovolts, and one with a unit changes by the factor alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sktgdp._arrays import common_exponent
from sktgdp.metrics._checks import Floats

__all__ = ["Metric", "about_centre", "for_distances", "for_trees", "in_units"]

Metric = str | Callable[..., float]

# Power with which a metric's distances grow with the rows. Others get the rows as they are.
DEGREES = {
    **dict.fromkeys(
        ("euclidean", "l2", "nan_euclidean", "minkowski", "manhattan", "l1", "cityblock", "chebyshev"), 1
    ),
    **dict.fromkeys(("cosine", "correlation", "canberra", "braycurtis"), 0),
    "sqeuclidean": 2,
}
LARGEST = 400  # exponent of the largest value: squares and their sums stay finite, and small ones too
SMALLEST = -450  # of a value whose square keeps all digits, though it is a small difference
FAR_OFF = 2.0**12  # spreads between a column's centre and 0 that cost single precision its digits


def in_units(value: Any, exponent: int, name: str) -> Any:
    """``value * 2**exponent``; a ValueError where that is too large or too small for a float."""
    with np.errstate(over="ignore", under="ignore"):
        found = np.ldexp(value, exponent)
    for lost, size in ((~np.isfinite(found), "large"), ((found == 0) & (np.asarray(value) != 0), "small")):
        if np.any(lost):
            what = "overflows" if size == "large" else "is too small for a floating-point number"
            raise ValueError(f"The {name} {what} on such {size} values. Give both samples in another unit.")
    return found


def for_distances(real: Floats, syn: Floats, metric: Metric = "euclidean") -> tuple[Floats, Floats, int]:
    """Both samples in a safe unit, and the exponent by which distances are put back.

    Raises
    ------
    ValueError
        If rows differ only by amounts whose squares vanish beside the largest value.
    """
    if not isinstance(metric, str) or metric not in DEGREES:
        return real, syn, 0
    exponent = common_exponent(real, syn) - LARGEST
    with np.errstate(under="ignore"):
        real, syn = np.ldexp(real, -exponent), np.ldexp(syn, -exponent)
    rows = [part[np.any((part != 0) & (np.abs(part) < 2.0**SMALLEST), axis=1)] for part in (real, syn)]
    if any(map(len, rows)):
        _refuse_vanishing(np.concatenate([real, syn]))
    return real, syn, DEGREES[metric] * exponent


def _refuse_vanishing(rows: Floats) -> None:
    """Refuse rows of which some are equal once their smallest values are taken for 0."""
    coarse = np.where(np.abs(rows) < 2.0**SMALLEST, 0.0, rows)
    if len(np.unique(coarse, axis=0)) < len(np.unique(rows, axis=0)):
        raise ValueError(
            f"Some rows differ only by amounts below 2**{SMALLEST - LARGEST} of the largest value, and their "
            "distance cannot be told from 0. Put the features on a common scale first."
        )


def about_centre(real: Floats, syn: Floats) -> tuple[Floats, Floats, int]:
    """Both samples less the medians of the first, in units of ``2**exponent``.

    For distances that no shift changes and that add up over rows.
    """
    first = common_exponent(real, syn)
    with np.errstate(under="ignore"):
        real, syn = np.ldexp(real, -first), np.ldexp(syn, -first)
        centre = np.median(real, axis=0)  # of equal values exactly theirs
        real, syn = real - centre, syn - centre
        second = common_exponent(real, syn)
        return np.ldexp(real, -second), np.ldexp(syn, -second), first + second


def for_trees(X: Floats) -> Floats:
    """Columns in a unit of their own that trees can split.

    They take single precision, and differences below 1e-7 for none.
    """
    with np.errstate(over="ignore", under="ignore"):
        X = np.ldexp(X, -np.frexp(np.abs(X).max(axis=0))[1])
        centre = np.median(X, axis=0)
        distances = np.abs(X - centre)
        spread = np.quantile(distances, 0.75, axis=0)  # no outlier's
        spread = np.where(spread > 0, spread, distances.max(axis=0))
        X = X - np.where(np.abs(centre) > FAR_OFF * spread, centre, 0.0)
        X = np.ldexp(X, -np.frexp(spread)[1])
    limit = float(np.finfo(np.float32).max)
    return np.clip(X, -limit, limit)
