"""Weights of the regularisers from the overlap of the domains."""

from __future__ import annotations

__all__ = ["overlap_weights"]


def overlap_weights(effective_sample_size: float, n_features: int) -> tuple[float, float]:
    return 0.2, 5.0
