"""Torch networks; they know the process and nothing of estimators."""

from sktgdp.nets.conv import DomainConv, GuidanceConv, ScoreConv
from sktgdp.nets.ensemble import AnyPrecision, MeanOf, written_gradient
from sktgdp.nets.mlp import DomainMLP, GuidanceMLP, ResidualTrunk, ScoreMLP, TimeEmbedding
from sktgdp.nets.s4 import DiagonalSSM, S4Layer
from sktgdp.nets.sssd import SSSDECG
from sktgdp.nets.xresnet import XResNet1d, xresnet1d50, xresnet1d_small

__all__ = [
    "AnyPrecision",
    "DiagonalSSM",
    "DomainConv",
    "DomainMLP",
    "GuidanceConv",
    "GuidanceMLP",
    "MeanOf",
    "ResidualTrunk",
    "S4Layer",
    "SSSDECG",
    "ScoreConv",
    "ScoreMLP",
    "TimeEmbedding",
    "XResNet1d",
    "written_gradient",
    "xresnet1d50",
    "xresnet1d_small",
]
