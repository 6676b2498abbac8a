"""Torch networks; they know the process and nothing of estimators."""

from sktgdp.nets.ensemble import AnyPrecision, MeanOf
from sktgdp.nets.mlp import DomainMLP, GuidanceMLP, ResidualTrunk, ScoreMLP, TimeEmbedding

__all__ = [
    "AnyPrecision",
    "DomainMLP",
    "GuidanceMLP",
    "MeanOf",
    "ResidualTrunk",
    "ScoreMLP",
    "TimeEmbedding",
]
