r"""Residual networks for series, with the bag of tricks: classifiers and feature extractors.

A stem of three convolutions and a max pool, stages of residual blocks, and a head. With
:math:`*` a convolution followed by a batch norm, one block is

.. math:: x \mapsto \rho\bigl(S(x) + w_3 * \rho(w_2 * \rho(w_1 * x))\bigr), \qquad \rho = \max(0, \cdot),

where w_1 and w_3 have kernel size 1, and w_2 carries the stride (with ``expansion=1`` there are two
convolutions of the full kernel size instead). Three choices make it an "xresnet": the stem of small kernels;
the shortcut S halves the length by averaging before its convolution, so that no sample is skipped; and the
last batch norm of a block starts at zero, so that every block starts as its shortcut. The head pools the
mean and the maximum over time, whence the length of the series is free.

References
----------
He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", 2019 (arXiv
1812.01187).
Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", 2020 (arXiv
2004.13701): kernel size 5, every stage 64 wide before the expansion, 128 features before the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sktgdp.nets._architecture import Portable

__all__ = ["XResNet1d", "xresnet1d50", "xresnet1d_small"]


def _conv(n_in: int, n_out: int, kernel_size: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Convolution that keeps the length (over the stride), batch norm and, if wanted, ReLU."""
    padding = kernel_size // 2
    layers: list[nn.Module] = [
        nn.Conv1d(n_in, n_out, kernel_size, stride, padding, bias=False),
        nn.BatchNorm1d(n_out),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


class _Block(nn.Module):
    """Residual block from ``n_in`` to ``width * expansion`` channels."""

    def __init__(self, n_in: int, width: int, expansion: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        n_out = width * expansion
        if expansion == 1:
            inner = [_conv(n_in, width, kernel_size, stride)]
            last = _conv(width, n_out, kernel_size, relu=False)
        else:
            inner = [_conv(n_in, width, 1), _conv(width, width, kernel_size, stride)]
            last = _conv(width, n_out, 1, relu=False)
        nn.init.zeros_(last[1].get_parameter("weight"))
        self.residual = nn.Sequential(*inner, last)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool1d(stride, ceil_mode=True))
        if n_in != n_out:
            self.shortcut.append(_conv(n_in, n_out, 1, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.residual(x))


class _MeanMaxPool(nn.Module):
    """Mean and maximum over time: (batch, channels, length) -> (batch, 2 * channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(2), x.amax(2)], dim=1)


class XResNet1d(Portable):
    """Residual network of series: (batch, n_channels, length) -> (batch, n_outputs) logits.

    Parameters
    ----------
    n_channels, n_outputs : int
        Channels of the series; logits.
    layers : sequence of int
        Number of blocks of each stage; every stage but the first halves the length.
    expansion : int
        Channels out of a block over those inside it; 1 gives blocks of two convolutions and no bottleneck.
    widths : sequence of int
        Channels inside the blocks of each stage.
    stem_widths : sequence of int
        Channels of the stem's convolutions; the stem shortens the series to a quarter.
    kernel_size : int
        Odd.
    head_widths : sequence of int
        Hidden layers between the pooled features and the logits; the last is the width of the embedding.
    dropout : float
        Before the last layer; half of it before the hidden ones.

    Attributes
    ----------
    stem, stages, head : nn.Sequential
        In this order from input to output. Names to train at rates of their own.
    n_features : int
        Width of the embedding.

    Raises
    ------
    ValueError
        Where ``layers`` and ``widths`` differ in length, or ``kernel_size`` is even.
    """

    def __init__(
        self,
        n_channels: int,
        n_outputs: int,
        *,
        layers: Sequence[int] = (3, 4, 6, 3),
        expansion: int = 4,
        widths: Sequence[int] = (64, 64, 64, 64),
        stem_widths: Sequence[int] = (32, 32, 64),
        kernel_size: int = 5,
        head_widths: Sequence[int] = (128,),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(layers) != len(widths):
            raise ValueError(
                f"layers and widths must have one entry per stage, got {len(layers)} and {len(widths)}."
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that blocks keep the length; got {kernel_size}.")
        stem = [
            _conv(a, b, kernel_size, stride=1 if i else 2)
            for i, (a, b) in enumerate(pairwise([n_channels, *stem_widths]))
        ]
        self.stem = nn.Sequential(*stem, nn.MaxPool1d(3, stride=2, padding=1))
        self.stages, width_in = nn.Sequential(), stem_widths[-1]
        for i, (n_blocks, width) in enumerate(zip(layers, widths, strict=True)):
            for j in range(n_blocks):
                stride = 2 if i and j == 0 else 1
                self.stages.append(_Block(width_in, width, expansion, kernel_size, stride))
                width_in = width * expansion
        self.head = nn.Sequential(_MeanMaxPool())
        for a, b in pairwise([2 * width_in, *head_widths]):
            self.head.extend([nn.BatchNorm1d(a), nn.Dropout(dropout / 2), nn.Linear(a, b), nn.ReLU()])
        self.n_features = head_widths[-1] if head_widths else 2 * width_in
        self.head.extend([nn.BatchNorm1d(self.n_features), nn.Dropout(dropout)])
        self.head.append(nn.Linear(self.n_features, n_outputs))
        self.apply(_initialise)

    def embed(self, x: Tensor) -> Tensor:
        """Features before the last linear layer, shape (batch, n_features)."""
        return self.head[:-1](self.stages(self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (batch, n_outputs)."""
        return self.head[-1](self.embed(x))

    def replace_head(self, n_outputs: int) -> None:
        """Put a fresh last linear layer, with ``n_outputs`` logits, where the old one was."""
        old = self.head[-1].weight
        self.head[-1] = nn.Linear(self.n_features, n_outputs, device=old.device, dtype=old.dtype)
        _initialise(self.head[-1])


def _initialise(layer: nn.Module) -> None:
    """Weights after He et al. (2015), biases zero; batch norms keep what the blocks gave them."""
    if isinstance(layer, nn.Conv1d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def xresnet1d50(n_channels: int, n_outputs: int) -> XResNet1d:
    """The network of the PTB-XL benchmark: 16 bottleneck blocks, embedding of 128 features.

    Parameters
    ----------
    n_channels, n_outputs : int
        As for `XResNet1d`.
    """
    return XResNet1d(n_channels, n_outputs)


def xresnet1d_small(n_channels: int, n_outputs: int, *, width: int = 16) -> XResNet1d:
    """Two stages of one block each, embedding of 64 features: for short series, few rows and CPUs.

    Parameters
    ----------
    n_channels, n_outputs : int
        As for `XResNet1d`.
    width : int
        Channels of the first stage; the stem ends with as many, the second stage has twice as many.
    """
    return XResNet1d(
        n_channels,
        n_outputs,
        layers=(1, 1),
        expansion=1,
        widths=(width, 2 * width),
        stem_widths=(max(1, width // 2), max(1, width // 2), width),
        head_widths=(64,),
    )
