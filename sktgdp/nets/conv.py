r"""Convolutional networks for series: noise prediction, log guidance and domain logits.

The output of each is composed with the process as that of its perceptron in `sktgdp.nets.mlp`; what
differs is what is made of a row of shape (channels, length). Any length will do: a step between levels
rounds the length up, and the way back cuts what was added.

- Noise prediction: a U-Net (Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image
  Segmentation") of residual blocks. Time and label enter every block by a scale and a shift of its channels
  (Perez et al. 2018, "FiLM"). Levels are ``stride`` samples apart, so that twice the channels on a level
  cost no more time than on the level above, and most parameters lie where the series is short.
- Log guidance and domain logits: a short stem of strided convolutions, then a perceptron, as in the paper
  (Ouyang et al. 2024, Section 4.2). The perceptron sees the mean over time of every stage and the logarithm
  of its mean square, which tell spectra apart, and the last stage as it is, for series with a beginning and
  an end.
  SiLU is smooth: the guidance is used through its gradient in x, and trained through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from sktgdp.nets._architecture import Portable
from sktgdp.nets.mlp import NARROWEST, TIME_WIDTH, ResidualTrunk, TimeEmbedding
from sktgdp.process import VPProcess, expand_as

__all__ = ["DomainConv", "GuidanceConv", "ScoreConv"]

# Width of what time and label are turned into before they reach the blocks.
CONDITION_WIDTH = 64
# The stem goes on until a series is no longer than this.
FEW_SAMPLES = 4
# Added to the power of a channel, whose logarithm stays finite, and so do its derivatives.
LEAST_POWER = 1e-3


def _channels(event_shape: tuple[int, ...]) -> int:
    """Channels of a row of shape (channels, length)."""
    if len(event_shape) != 2 or min(event_shape) < 1:
        raise ValueError(
            f"event_shape must be (channels, length), both at least 1; got {tuple(event_shape)}. For tables "
            "use the perceptrons of sktgdp.nets.mlp."
        )
    return event_shape[0]


class _Condition(nn.Module):
    """Time and label as one vector: (1 or batch, width)."""

    def __init__(self, n_labels: int, process: VPProcess, width: int) -> None:
        super().__init__()
        self.embedding = TimeEmbedding(process)
        self.time = nn.Linear(self.embedding.size, width)
        self.labels = nn.Linear(n_labels, width, bias=False) if n_labels else None

    def forward(self, t: Tensor, y: Tensor | None) -> Tensor:
        hidden = self.time(self.embedding(t))
        return silu(hidden if self.labels is None else hidden + self.labels(y))


class _Block(nn.Module):
    """Residual block of two convolutions; the condition scales and shifts the channels between them."""

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(channels, channels, kernel_size, padding="same")
        self.film = nn.Linear(CONDITION_WIDTH, 2 * channels)
        self.second = nn.Conv1d(channels, channels, kernel_size, padding="same")
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition).unsqueeze(2).chunk(2, dim=1)
        return x + self.second(silu(torch.addcmul(shift, self.first(x), 1.0 + scale)))


class ScoreConv(Portable):
    """Noise prediction of series: a small U-Net.

    Far from both ends it commutes with shifts of the series by multiples of
    ``stride ** (len(hidden_sizes) - 1)`` samples.

    Parameters
    ----------
    event_shape : tuple of int
        (channels, length) of one row.
    n_labels : int
        Width of the label vector; 0 for an unconditional model.
    process : VPProcess
        The process that the network is trained on.
    hidden_sizes : sequence of int
        Channels on every level, from the full length down.
    kernel_size : int
        Samples that a convolution sees; odd.
    stride : int
        Samples of a level that make one of the next.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        process: VPProcess,
        hidden_sizes: Sequence[int] = (24, 48, 96, 192),
        kernel_size: int = 5,
        stride: int = 4,
    ) -> None:
        super().__init__()
        if len(hidden_sizes) == 0:
            raise ValueError("hidden_sizes is empty; a U-Net needs one level at least, such as (24,)")
        self.process, self.stride = process, stride
        n_channels, steps = _channels(event_shape), list(pairwise(hidden_sizes))
        self.condition = _Condition(n_labels, process, CONDITION_WIDTH)
        self.stem = nn.Conv1d(n_channels, hidden_sizes[0], kernel_size, padding="same")
        self.falling = nn.ModuleList(_Block(width, kernel_size) for width in hidden_sizes)
        self.down = nn.ModuleList(nn.Conv1d(a, b, stride, stride) for a, b in steps)
        self.up = nn.ModuleList(nn.ConvTranspose1d(b, a, stride, stride) for a, b in steps)
        self.rising = nn.ModuleList(_Block(width, kernel_size) for width in hidden_sizes)
        self.head = nn.Conv1d(hidden_sizes[0], n_channels, kernel_size, padding="same")
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Predict the noise, shape of ``x_t``."""
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        return expand_as(alpha, x_t) * self._velocity(x_t, t, y) + expand_as(sigma, x_t) * x_t

    def _velocity(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        condition = self.condition(t, y)
        hidden = self.falling[0](self.stem(x_t), condition)
        levels = [hidden]
        for down, block in zip(self.down, self.falling[1:], strict=True):
            hidden = block(down(pad(hidden, (0, -hidden.shape[2] % self.stride))), condition)
            levels.append(hidden)
        hidden = self.rising[-1](levels.pop(), condition)
        for up, block in zip(reversed(self.up), reversed(self.rising[:-1]), strict=True):
            above = levels.pop()
            hidden = block(above + up(hidden)[:, :, : above.shape[2]], condition)
        return self.head(silu(hidden))


class _Stem(nn.Module):
    """Strided convolutions: (batch, channels, length) -> (batch, n_features).

    Parameters
    ----------
    event_shape : tuple of int
    n_labels : int
    channels : sequence of int
        Of the stages; the last repeats until the series is short.
    stride : int
        Kernels are twice as long, less one, so that they overlap; the first, which sees the series itself,
        is longer, to tell frequencies apart.
    process : VPProcess or None
        Gives the time; None for a stem without time.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        channels: Sequence[int],
        stride: int,
        process: VPProcess | None,
    ) -> None:
        super().__init__()
        if stride < 2:
            raise ValueError(f"stride must be at least 2; got {stride}.")
        widths, length = [_channels(event_shape)], event_shape[1]
        while length > FEW_SAMPLES or len(widths) == 1:
            widths.append(channels[min(len(widths), len(channels)) - 1])
            length = -(-length // stride)
        self.size = 2 * sum(widths[1:]) + widths[-1] * length
        self.condition = None if process is None else _Condition(n_labels, process, TIME_WIDTH)
        half = [2 * stride - 1] + [stride - 1] * (len(widths) - 2)
        self.stages = nn.ModuleList(
            nn.Conv1d(a, b, 2 * reach + 1, stride, padding=reach)
            for (a, b), reach in zip(pairwise(widths), half, strict=True)
        )
        shifted = widths[1:] if process is not None else []
        self.shifts = nn.ModuleList(nn.Linear(TIME_WIDTH, b, bias=False) for b in shifted)

    def forward(self, x: Tensor, t: Tensor | None, y: Tensor | None) -> Tensor:
        """Mean and power of every stage, and the last one as it is."""
        condition = None if self.condition is None else self.condition(t, y)
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            x = silu(x if condition is None else x + self.shifts[i](condition).unsqueeze(2))
            features += [x.mean(2), torch.log(x.square().mean(2) + LEAST_POWER)]
        return torch.cat([*features, x.flatten(1)], dim=1)


class GuidanceConv(Portable):
    """Log of the guidance function on series, or logit of a time-dependent domain classifier.

    Parameters
    ----------
    event_shape, n_labels, process
        As for `ScoreConv`.
    hidden_sizes : sequence of int
        Hidden layers of the perceptron behind the stem.
    channels : sequence of int
        Of the stem's stages, which go on, with the last number, until no more than four samples are left.
    stride : int
        Samples that each stage makes one of.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        process: VPProcess,
        hidden_sizes: Sequence[int] = (48, 48),
        channels: Sequence[int] = (16, 16, 24),
        stride: int = 4,
    ) -> None:
        super().__init__()
        self.process = process
        self.stem = _Stem(event_shape, n_labels, channels, stride, process)
        self.trunk = ResidualTrunk(self.stem.size, n_labels, 2, hidden_sizes, process)
        self.offset = nn.Linear(n_labels, 1, bias=False) if n_labels else None
        if self.offset is not None:
            nn.init.zeros_(self.offset.weight)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Log guidance of noised rows, shape (batch,)."""
        flat, steep = self.trunk(self.stem(x_t, t, y), t, y).unbind(1)
        width = torch.sqrt(self.process.sigma(t).square() + NARROWEST**2)
        value = self.process.alpha(t) * (flat + steep / width)
        return value if self.offset is None else value + self.offset(y).squeeze(1)


class DomainConv(Portable):
    """Logit of the domain of clean series, log q/p under class-balanced batches.

    Parameters
    ----------
    event_shape, n_labels, hidden_sizes, channels, stride
        As for `GuidanceConv`; the labels enter the perceptron only.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        hidden_sizes: Sequence[int] = (16,),
        channels: Sequence[int] = (16,),
        stride: int = 4,
    ) -> None:
        super().__init__()
        self.stem = _Stem(event_shape, n_labels, channels, stride, None)
        self.trunk = ResidualTrunk(self.stem.size, n_labels, 1, hidden_sizes, None)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits of shape (batch,)."""
        return self.trunk(self.stem(x, None, y), None, y).squeeze(1)
