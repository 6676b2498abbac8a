"""Torch networks; they know the process and nothing of estimators."""

from sktgdp.nets.mlp import DomainMLP, GuidanceMLP, ResidualTrunk, ScoreMLP, TimeEmbedding

__all__ = ["DomainMLP", "GuidanceMLP", "ResidualTrunk", "ScoreMLP", "TimeEmbedding"]
