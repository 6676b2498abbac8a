r"""SSSD-ECG: a score network of state-space layers for series, conditional on several labels.

A residual block takes the series :math:`x` of C channels to

.. math:: h &= S_2\bigl(S_1(\mathrm{conv}_3(x + W_t e_t)) + W_y e_y\bigr), \qquad
          g = \tanh(h_{1 \ldots C}) \cdot \mathrm{sigmoid}(h_{C+1 \ldots 2C}), \\
          x' &= (x + W_r g) / \sqrt 2, \qquad \text{skip} = W_s g,

with state-space layers :math:`S_1, S_2` of 2C channels (`sktgdp.nets.s4`) and embeddings :math:`e_t, e_y` of
time and labels. The skips of n blocks, summed over :math:`\sqrt n`, give the output.

What differs from the published network: the layers are diagonal (S4D), not diagonal plus low rank (S4);
the convolutions carry no weight normalisation; and time is continuous. The 200 steps of the publication,
with noise rates from 1e-4 to 0.02, end at :math:`\alpha^2 = 0.13`, a half log-SNR of -0.94, while the process
here runs to pure noise. Its times stand for levels of noise, and the sinusoids of the half log-SNR
(`TimeEmbedding`) replace those of the step's number: step k of the publication is the time at which
:math:`\alpha_t^2 = \prod_{j \le k} (1 - \beta_j)`, which ``VPProcess.inverse_log_snr_half`` finds.

At the published size, with 8 leads and 71 labels, there are 52.5 million parameters: 1.45 million in each of
36 blocks, half of them in the two state-space layers.

References
----------
Alcaraz & Strodthoff, "Diffusion-based Conditional ECG Generation with Structured State Space Models", 2023
(arXiv 2301.08227).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, silu
from torch.utils.checkpoint import checkpoint as recompute

from sktgdp.nets._architecture import Portable
from sktgdp.nets.mlp import TimeEmbedding
from sktgdp.nets.s4 import DiagonalSSM, S4Layer
from sktgdp.process import VPProcess, expand_as

__all__ = ["SSSDECG"]

# Makes the kernels of one layer from its number of channels, the state's size and the number of kernels.
MakeSSM = Callable[[int, int, int], nn.Module]


def convolution(n_inputs: int, n_outputs: int, width: int = 1) -> nn.Conv1d:
    """A convolution that keeps the length, with weights for a rectifier."""
    layer = nn.Conv1d(n_inputs, n_outputs, width, padding=width // 2)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def time_network(process: VPProcess, size: int) -> nn.Sequential:
    """Times to their embedding, less a last activation."""
    sinusoids = TimeEmbedding(process)
    return nn.Sequential(sinusoids, nn.Linear(sinusoids.size, size), nn.SiLU(), nn.Linear(size, size))


class ResidualBlock(nn.Module):
    """One block of `SSSDECG`; see the module for the equations.

    Parameters
    ----------
    n_channels, time_size, label_size : int
        Widths of the series and of the embeddings; ``label_size`` 0 for none.
    make_layer : callable
        Gives a state-space layer of ``2 * n_channels`` channels.
    """

    def __init__(
        self, n_channels: int, time_size: int, label_size: int, make_layer: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.time = nn.Linear(time_size, n_channels)
        self.widen = convolution(n_channels, 2 * n_channels, 3)
        self.before = make_layer()
        self.label = nn.Linear(label_size, 2 * n_channels) if label_size else None
        self.after = make_layer()
        self.residual = convolution(n_channels, n_channels)
        self.skip = convolution(n_channels, n_channels)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """The next block's input and the skip, both of the shape of ``x``."""
        hidden = self.before(self.widen(x + self.time(time).unsqueeze(-1)))
        if self.label is not None and label is not None:
            hidden = hidden + self.label(label).unsqueeze(-1)
        value, gate = self.after(hidden).chunk(2, dim=1)
        gated = torch.tanh(value) * torch.sigmoid(gate)
        return (x + self.residual(gated)) * math.sqrt(0.5), self.skip(gated)


class SSSDECG(Portable):
    r"""Noise prediction of series by state-space layers: :math:`\alpha_t F(x_t, t, y) + \sigma_t x_t`.

    The defaults are the published size. ``n_blocks=4, n_channels=32`` trains on a CPU.

    Parameters
    ----------
    event_shape : tuple of int
        (channels, length) of one series. The length is not built in: any other may follow.
    n_labels : int
        Width of the label vector, an indicator of several labels or of one class; 0 for none.
    process : VPProcess
        The process that the network is trained on.
    n_blocks, n_channels : int
        Number of residual blocks and width of the series inside.
    state_size : int
        Real size of the state of each state-space channel, even.
    bidirectional : bool
        Let every layer look ahead too. Without it they are causal; the 3-tap convolutions look one step
        ahead in either case.
    label_size : int
        Width of the labels' embedding, the label vector times a matrix.
    time_size : int or None
        Width of the time's embedding; None for ``2 * n_channels``.
    gated, dropout, layer_norm
        See `S4Layer`.
    checkpoint : bool
        Keep only the blocks' inputs for the gradient and compute the rest again: about a third more time,
        a fraction of the memory.
    ssm : callable
        ``(n_channels, state_size, n_kernels) -> module`` that makes the kernels of a layer;
        ``partial(DiagonalSSM, discretization="bilinear")``, say.

    Raises
    ------
    ValueError
        ``event_shape`` is not (channels, length).
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        process: VPProcess,
        n_blocks: int = 36,
        n_channels: int = 256,
        state_size: int = 64,
        bidirectional: bool = True,
        label_size: int = 128,
        time_size: int | None = None,
        *,
        gated: bool = False,
        dropout: float = 0.0,
        layer_norm: bool = True,
        checkpoint: bool = False,
        ssm: MakeSSM = DiagonalSSM,
    ) -> None:
        super().__init__()
        if len(event_shape) != 2:
            given = f"SSSDECG models series of shape (channels, length); got event_shape={tuple(event_shape)}"
            raise ValueError(f"{given}. Use ScoreMLP for tables, or reshape the rows.")
        self.process, self.checkpoint = process, checkpoint
        width = 2 * n_channels

        def make_layer() -> S4Layer:
            kernels = ssm(width, state_size, 2 if bidirectional else 1)
            return S4Layer(kernels, width, gated=gated, dropout=dropout, layer_norm=layer_norm)

        time_size, label_size = time_size or width, label_size if n_labels else 0
        self.time = time_network(process, time_size)
        self.label = nn.Linear(n_labels, label_size, bias=False) if n_labels else None
        self.enter = convolution(event_shape[0], n_channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(n_channels, time_size, label_size, make_layer) for _ in range(n_blocks)
        )
        self.mix = convolution(n_channels, n_channels)
        self.leave = convolution(n_channels, event_shape[0])
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Predict the noise, shape of ``x_t``.

        Parameters
        ----------
        x_t : Tensor of shape (batch, channels, length)
        t : Tensor of shape () or (batch,)
        y : Tensor of shape (batch, n_labels), optional
        """
        velocity = self.velocity(x_t, silu(self.time(t)), y)
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        return expand_as(alpha, x_t) * velocity + expand_as(sigma, x_t) * x_t

    def velocity(self, x_t: Tensor, time: Tensor, y: Tensor | None) -> Tensor:
        """The network F itself; ``time`` is embedded, of shape (1 or batch, time_size)."""
        label = self.label(y) if self.label is not None and y is not None else None
        hidden = relu(self.enter(x_t))
        total = torch.zeros_like(hidden)
        for block in self.blocks:
            if self.checkpoint and torch.is_grad_enabled():
                hidden, skip = recompute(block, hidden, time, label, use_reentrant=False)
            else:
                hidden, skip = block(hidden, time, label)
            total = total + skip
        return self.leave(relu(self.mix(total / math.sqrt(len(self.blocks)))))
