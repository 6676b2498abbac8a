r"""Multilayer perceptrons for tables: noise prediction, log guidance and domain logits.

One residual trunk serves all three; time and label enter every layer by a shift.
What differs is how the output is composed with the process, so that the network has to learn
only what is not known beforehand:

- noise prediction :math:`\varepsilon = \alpha_t F(x_t, t, y) + \sigma_t x_t`: exact with F = 0 for
  standard normal rows, and F is the velocity of Salimans & Ho (2022, "Progressive Distillation");
- log guidance :math:`\log h = \alpha_t (F_1 + F_2 / w_t)(x_t, t, y) + b(y)` with
  :math:`w_t^2 = \sigma_t^2 + 0.05^2`: noise alone tells nothing
  of x_0, so h tends to q(y)/p(y), a function of the label only, as :math:`\alpha_t \to 0`. Domains that
  overlap leave log h bounded as :math:`\sigma_t \to 0` (:math:`F_1`); domains that lie apart make it as
  steep as the noise is narrow (:math:`F_2`). The logit of a time-dependent domain classifier has the
  same limits and the same form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from sktgdp.nets._architecture import Portable
from sktgdp.process import VPProcess, expand_as

# Smallest noise that the steep part of the guidance divides by; keeps the exponential in range.
NARROWEST = 0.05
# Hidden width of the time embedding: a smooth function of one number needs no more, and a wide one would
# cost more than the layers that it shifts.
TIME_WIDTH = 32

__all__ = ["DomainMLP", "GuidanceMLP", "ResidualTrunk", "ScoreMLP", "TimeEmbedding"]


class TimeEmbedding(nn.Module):
    """Sinusoids of the half log-SNR, in which the process changes evenly.

    Parameters
    ----------
    process : VPProcess
        Maps times to the half log-SNR.
    n_frequencies : int
        Number of octaves; the embedding has ``2 * n_frequencies + 1`` entries.
    """

    def __init__(self, process: VPProcess, n_frequencies: int = 4) -> None:
        super().__init__()
        self.process = process
        self.size = 2 * n_frequencies + 1
        frequencies = 2 * math.pi * 2.0 ** torch.arange(-4, n_frequencies - 4)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Embed times of shape () or (batch,) as (1 or batch, size)."""
        log_snr_half = self.process.log_snr_half(t.reshape(-1, 1))
        angles = log_snr_half * self.get_buffer("frequencies").to(log_snr_half)
        return torch.cat([log_snr_half / 5.0, angles.sin(), angles.cos()], dim=1)


class ResidualTrunk(nn.Module):
    """Residual perceptron on (x_t, t, y): (batch, n_features) -> (batch, n_outputs).

    Parameters
    ----------
    n_features, n_labels, n_outputs : int
        Widths of the row, of the label vector (0 for none) and of the output.
    hidden_sizes : sequence of int
        Width of every hidden layer; equal neighbours are joined by a skip connection.
    process : VPProcess or None
        Gives the time embedding; None for a network without time.
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        n_outputs: int,
        hidden_sizes: Sequence[int],
        process: VPProcess | None,
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding(process) if process is not None else None
        widths = [n_features, *hidden_sizes]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.shifts = nn.ModuleList()
        if self.time is not None:
            self.time_hidden = nn.Linear(self.time.size, TIME_WIDTH)
            self.shifts = nn.ModuleList(nn.Linear(TIME_WIDTH, b, bias=False) for b in hidden_sizes)
        self.labels = nn.ModuleList(nn.Linear(n_labels, b, bias=False) for b in hidden_sizes if n_labels)
        self.head = nn.Linear(widths[-1], n_outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        """Evaluate the trunk; ``t`` has shape () or (batch,), ``y`` (batch, n_labels)."""
        embedding, hidden = self._embed(t), x
        for i in range(len(self.layers)):
            update = self._before_activation(i, hidden, embedding, y)
            update = silu(update, inplace=not torch.is_grad_enabled())
            hidden = hidden + update if self._skips(i) else update
        return self.head(hidden)

    @torch.no_grad()
    def gradient(self, x: Tensor, t: Tensor | None, y: Tensor | None, outputs: Tensor) -> Tensor:
        """Gradient in x of the sum of the outputs times ``outputs``, (n_outputs,) or (batch, n_outputs).

        The chain rule written out: the same operations as autograd's without its graph.
        """
        embedding, hidden, before = self._embed(t), x, []
        for i in range(len(self.layers)):
            before.append(self._before_activation(i, hidden, embedding, y))
            update = silu(before[-1])
            hidden = hidden + update if self._skips(i) else update
        slope = (outputs @ self.head.weight).expand_as(hidden)
        for i in reversed(range(len(self.layers))):
            weight = self.layers[i].get_parameter("weight")
            inner = torch.ops.aten.silu_backward(slope, before[i])
            slope = torch.addmm(slope, inner, weight) if self._skips(i) else inner @ weight
        return slope

    def _skips(self, i: int) -> bool:
        """Whether layer i is added to what it read."""
        rows, columns = self.layers[i].get_parameter("weight").shape
        return i > 0 and rows == columns

    def _embed(self, t: Tensor | None) -> Tensor | None:
        return None if self.time is None or t is None else silu(self.time_hidden(self.time(t)))

    def _before_activation(
        self, i: int, hidden: Tensor, embedding: Tensor | None, y: Tensor | None
    ) -> Tensor:
        return _affine(hidden, self.layers[i].get_parameter("weight"), self._bias(i, embedding, y))

    def _bias(self, i: int, embedding: Tensor | None, y: Tensor | None) -> Tensor:
        """Shift of a layer: (width,) where all rows share a time and have no labels, else (batch, width)."""
        bias: Tensor = self.layers[i].get_parameter("bias")
        if embedding is not None:
            bias = linear(embedding, self.shifts[i].get_parameter("weight"), bias)
            bias = bias.squeeze(0) if len(embedding) == 1 else bias
        if y is not None and len(self.labels):
            weight = self.labels[i].get_parameter("weight")
            bias = linear(y, weight, bias) if bias.ndim == 1 else bias + linear(y, weight)
        return bias


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A linear layer whose bias may differ from row to row; such a bias is overwritten by the result."""
    if bias.ndim == 1:
        return linear(x, weight, bias)
    # autocast brings precisions together, but not in place
    return (bias.addmm_ if bias.dtype == x.dtype == weight.dtype else bias.addmm)(x, weight.t())


class ScoreMLP(Portable):
    """Noise prediction of a table's rows.

    Parameters
    ----------
    event_shape : tuple of int
        Shape of one row.
    n_labels : int
        Width of the label vector; 0 for an unconditional model.
    process : VPProcess
        The process that the network is trained on.
    hidden_sizes : sequence of int
        Widths of the hidden layers.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        process: VPProcess,
        hidden_sizes: Sequence[int] = (128, 128, 128),
    ) -> None:
        super().__init__()
        self.process = process
        size = math.prod(event_shape)
        self.trunk = ResidualTrunk(size, n_labels, size, hidden_sizes, process)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Predict the noise, shape of ``x_t``."""
        velocity = self.trunk(x_t.flatten(1), t, y).reshape(x_t.shape)
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        return expand_as(alpha, x_t) * velocity + expand_as(sigma, x_t) * x_t


class GuidanceMLP(Portable):
    """Log of the guidance function, or logit of a time-dependent domain classifier.

    Parameters
    ----------
    event_shape, n_labels, process, hidden_sizes
        As for `ScoreMLP`.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        n_labels: int,
        process: VPProcess,
        hidden_sizes: Sequence[int] = (128, 128, 128),
    ) -> None:
        super().__init__()
        self.process = process
        self.trunk = ResidualTrunk(math.prod(event_shape), n_labels, 2, hidden_sizes, process)
        self.offset = nn.Linear(n_labels, 1, bias=False) if n_labels else None
        if self.offset is not None:
            nn.init.zeros_(self.offset.weight)

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Log guidance of noised rows, shape (batch,)."""
        flat, steep = self.trunk(x_t.flatten(1), t, y).unbind(1)
        value = self.process.alpha(t) * (flat + steep / self._width(t))
        return value if self.offset is None else value + self.offset(y).squeeze(1)

    def gradient(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """Gradient of the log guidance in ``x_t``, of its shape; nothing can be differentiated through it."""
        alpha = self.process.alpha(t)
        outputs = torch.stack([alpha, alpha / self._width(t)], dim=-1)
        return self.trunk.gradient(x_t.flatten(1), t, y, outputs).reshape(x_t.shape)

    def _width(self, t: Tensor) -> Tensor:
        """Noise that the steep part is divided by."""
        return torch.sqrt(self.process.sigma(t).square() + NARROWEST**2)


class DomainMLP(Portable):
    """Logit of the domain of clean rows, log q/p under class-balanced batches.

    Parameters
    ----------
    event_shape, n_labels, hidden_sizes
        As for `ScoreMLP`.
    """

    def __init__(
        self, event_shape: tuple[int, ...], n_labels: int, hidden_sizes: Sequence[int] = (64, 64)
    ) -> None:
        super().__init__()
        self.trunk = ResidualTrunk(math.prod(event_shape), n_labels, 1, hidden_sizes, None)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits of shape (batch,)."""
        return self.trunk(x.flatten(1), None, y).squeeze(1)
