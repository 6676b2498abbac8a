r"""What the overlap of the domains decides: the weights of the regularisers, and early stopping.

Write :math:`N_r = (\sum r)^2 / \sum r^2` for the effective sample size of the density ratio on the source
rows and d for the number of coordinates. The gradient of a function of d coordinates cannot be learned from
fewer weighted rows than coordinates, so the overlap is taken as

.. math:: o = \min\bigl(1, (N_r - 1) / 2d\bigr).

Where o = 1 the ratio tells much about the target, and the guidance term (weight 1) and the cycle term stand
beside a moderate consistency term. Where o = 0 the ratio rests on one row: guidance and cycle terms carry
noise, and the consistency term must carry the fit. In between the weights go over smoothly,

.. math:: \eta_{cycle} = 0.2\, o, \qquad \eta_{consistency} = 5 \cdot 20^{1 - o}.

Only the ratios of the weights matter under Adam. The rule sees training rows alone.
"""

from __future__ import annotations

__all__ = ["domain_overlap", "overlap_weights"]


def domain_overlap(effective_sample_size: float, n_features: int) -> float:
    """Overlap of the domains between 0 (none) and 1, from the ratio's effective sample size.

    Parameters
    ----------
    effective_sample_size : float
        Of the ratio on the source rows, at least 1.
    n_features : int
        Coordinates of a row.
    """
    return min(1.0, max(0.0, (effective_sample_size - 1.0) / (2.0 * n_features)))


def overlap_weights(effective_sample_size: float, n_features: int) -> tuple[float, float]:
    """Weights (eta_cycle, eta_consistency) that "auto" stands for; see the module for the rule.

    Parameters
    ----------
    effective_sample_size, n_features
        As for `domain_overlap`.
    """
    overlap = domain_overlap(effective_sample_size, n_features)
    return 0.2 * overlap, 5.0 * 20.0 ** (1.0 - overlap)
