r"""What the overlap of the domains decides: the weights of the regularisers, and early stopping.

Write :math:`N_r` for the effective sample size of the density ratio on the source rows
(`effective_sample_size`), n for the number of target rows and d for the number of coordinates.

The gradient of a function of d coordinates cannot be learned from fewer rows than coordinates, so

.. math:: \rho = \min\Bigl(1, \frac{N_r - 1}{2d}\Bigr)

says how far the ratio is *resolved*. And the guidance and the cycle term rest on :math:`N_r` rows of the
source, the consistency term on n rows of the target, each of which is seen through noise only. How many
target rows a source row is worth is a choice, ten, and not a measurement. So the
*overlap*, the share of the evidence that comes through the ratio, is taken as

.. math:: o = \rho\, \frac{N_r}{N_r + n / 10}.

Where it is near 1 the guidance term (weight 1) and the cycle term stand beside a moderate consistency term;
where it is near 0 they carry noise, and the consistency term must carry the fit. In between the weights go
over smoothly,

.. math:: \eta_{cycle} = 0.2\, o, \qquad \eta_{consistency} = 5 \cdot 20^{1 - o},

and below o = 0.5 the cycle term is left out: it changes little there, and its classifier costs a third of
the target side's fit. Only the ratios of the weights
matter under Adam. The rule sees training rows alone.
"""

from __future__ import annotations

import warnings

from sktgdp.estimators._caller import level_of_user
from sktgdp.exceptions import OverlapWarning

__all__ = ["domain_overlap", "overlap_weights", "resolution", "warn_if_apart"]


# Target rows that one effective source row counts for.
ROW_WORTH = 10.0
# Below this many effective source rows, or a tenth of few rows, the domains count as apart.
HARDLY_ANY = 2.0


def resolution(effective_sample_size: float, n_features: int) -> float:
    """How far the ratio is resolved, between 0 (a single row) and 1.

    Parameters
    ----------
    effective_sample_size : float
        Of the ratio on the source rows, at least 1.
    n_features : int
        Coordinates of a row.
    """
    return min(1.0, max(0.0, (effective_sample_size - 1.0) / (2.0 * n_features)))


def domain_overlap(effective_sample_size: float, n_target: int, n_features: int) -> float:
    """Share of the evidence on the target that comes through the density ratio, between 0 and 1.

    Parameters
    ----------
    effective_sample_size, n_features
        As for `resolution`.
    n_target : int
        Number of target rows.
    """
    share = effective_sample_size / (effective_sample_size + n_target / ROW_WORTH)
    return share * resolution(effective_sample_size, n_features)


def overlap_weights(overlap: float) -> tuple[float, float]:
    """Weights (eta_cycle, eta_consistency) that "auto" stands for; see the module for the rule.

    Parameters
    ----------
    overlap : float
        Of `domain_overlap`.
    """
    return 0.2 * overlap if overlap >= 0.5 else 0.0, 5.0 * 20.0 ** (1.0 - overlap)


def warn_if_apart(effective_sample_size: float, n_source: int, eta_consistency: float | None = None) -> None:
    """Warn where the ratio rests on next to no source row.

    Parameters
    ----------
    effective_sample_size : float
        Of the ratio on the source rows.
    n_source : int
    eta_consistency : float, optional
        Weight of the term that can carry a `TGDPGenerator` nevertheless.
    """
    if effective_sample_size >= min(HARDLY_ANY, n_source / 10):
        return
    number = f"{effective_sample_size:.1f} of {n_source} source rows"
    if eta_consistency is None:
        carried = "Differences of log ratios mean little."
    elif eta_consistency > 0:
        carried = "The samples rest on the target rows, through the consistency term."
    else:
        carried = 'Nothing carries the fit, since eta_consistency=0: set eta_consistency="auto".'
    warnings.warn(
        f"The domains hardly overlap: the effective sample size of the density ratio is {number}. {carried} "
        "More target rows help, a source that is nearer, or units in which the domains differ less; look for "
        "a column that tells them apart by itself.",
        OverlapWarning,
        stacklevel=level_of_user(),
    )
