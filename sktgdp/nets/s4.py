r"""Diagonal state-space layers (S4D) for series, evaluated as convolutions.

A channel :math:`u(t)` drives N complex states and is read off them,

.. math:: \dot s_n = a_n s_n + u, \qquad y = 2\,\mathrm{Re} \sum_n c_n s_n + d\,u, \qquad
          \mathrm{Re}\, a_n < 0.

The states stand for N conjugate pairs, hence twice the real part. The input weights are one: only their
products with :math:`c_n` matter. With the step :math:`\Delta` the system becomes the recurrence
:math:`s_{n,l} = \bar a_n s_{n,l-1} + \bar b_n u_l`, where

- zero-order hold: :math:`\bar a = e^{\Delta a}` and :math:`\bar b = (\bar a - 1) / a`;
- bilinear: :math:`\bar a = (1 + \Delta a / 2) / (1 - \Delta a / 2)` and
  :math:`\bar b = \Delta / (1 - \Delta a / 2)`.

Unrolled, it is the convolution with :math:`k_l = 2\,\mathrm{Re} \sum_n c_n \bar b_n \bar a_n^l`, a product
of the weights :math:`c \bar b` with a Vandermonde matrix. That matrix has N × L entries for every channel,
but :math:`\bar a^{im + j} = \bar a^{im} \bar a^j` factors it: with m near :math:`\sqrt L` only 2N√L powers
are formed, and a product of two small real matrices gives all L values. Neither time nor memory of the
kernel matters then beside the convolution's.

References
----------
Gu, Goel, Gupta & Ré, "On the Parameterization and Initialization of Diagonal State Space Models", 2022
(arXiv 2206.11893).
Gu, Goel & Ré, "Efficiently Modeling Long Sequences with Structured State Spaces", 2022 (arXiv 2111.00396).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, glu

__all__ = ["DiagonalSSM", "S4Layer", "convolve"]


def geometric_sums(weights: Tensor, log_base: Tensor, length: int) -> Tensor:
    r""":math:`2\,\mathrm{Re} \sum_n w_n e^{l \lambda_n}` for l = 0 … length - 1, by the factored matrix.

    Parameters
    ----------
    weights : complex Tensor of shape (n_kernels, n_channels, n_states)
    log_base : complex Tensor of shape (n_channels, n_states)
        :math:`\lambda`.
    length : int

    Returns
    -------
    Tensor of shape (n_kernels, n_channels, length)
        Real.
    """
    n_fine = math.ceil(math.sqrt(length))
    n_coarse = math.ceil(length / n_fine)
    fine_re, fine_im = powers(log_base, n_fine)
    coarse_re, coarse_im = powers(n_fine * log_base, n_coarse)
    w_re, w_im = weights.real.unsqueeze(-1), weights.imag.unsqueeze(-1)
    # Re(pq) = Re p Re q - Im p Im q: one real product over 2 n_states.
    left = torch.cat([w_re * coarse_re - w_im * coarse_im, -w_re * coarse_im - w_im * coarse_re], dim=-2)
    right = torch.cat([fine_re, fine_im], dim=-2)
    sums = 2.0 * torch.bmm(left.permute(1, 0, 3, 2).flatten(1, 2), right)
    return sums.reshape(len(log_base), len(weights), -1)[..., :length].transpose(0, 1)


def powers(log_base: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of exp(l log_base), l = 0 … n - 1 along a new last axis.

    Torch's complex exponential and product take twice the time.
    """
    re, im = log_base.real.unsqueeze(-1), log_base.imag.unsqueeze(-1)
    exponents = torch.arange(n, device=re.device, dtype=re.dtype)
    size, angle = torch.exp(re * exponents), im * exponents
    return size * torch.cos(angle), size * torch.sin(angle)


def convolve(u: Tensor, kernels: Tensor, lag_zero: Tensor | None = None) -> Tensor:
    """Convolve every channel with its kernel, and its time reversal with a second one.

    Parameters
    ----------
    u : Tensor of shape (batch, n_channels, length)
    kernels : Tensor of shape (1 or 2, n_channels, length)
        ``kernels[0, :, j]`` weighs what lies j steps back, ``kernels[1, :, j]`` what lies j steps ahead.
    lag_zero : Tensor of shape (n_channels,), optional
        Added to the weight of the present.

    Returns
    -------
    Tensor of shape (batch, n_channels, length)
        Values outside the series count as zero.
    """
    length = u.shape[-1]
    padded = 2 * length  # nothing wraps around from 2 length - 1 on
    spectra = torch.fft.rfft(kernels, padded)
    spectrum = spectra[0]
    if len(kernels) == 2:  # conjugation of a real series' spectrum reverses time
        spectrum = spectrum + spectra[1].conj()
    if lag_zero is not None:
        spectrum = spectrum + lag_zero.unsqueeze(-1)
    return torch.fft.irfft(torch.fft.rfft(u, padded) * spectrum, padded)[..., :length]


class DiagonalSSM(nn.Module):
    r"""Kernels of diagonal state-space systems, one system a channel.

    Parameters
    ----------
    n_channels : int
    state_size : int
        Real size of a channel's state, even: half as many complex states are kept.
    n_kernels : int
        Read-outs of the same states: 2 for a bidirectional layer.
    initialization : {"lin", "inv"}
        Of the states: S4D-Lin, :math:`a_n = -\tfrac12 + i \pi n`, or S4D-Inv,
        :math:`a_n = -\tfrac12 + i \tfrac{N}{\pi} (\tfrac{N}{2n + 1} - 1)`, N the real size.
    discretization : {"zoh", "bilinear"}
    step_range : pair of float
        Steps are drawn from it, evenly in the logarithm. A kernel remembers about 1 / step samples.

    Raises
    ------
    ValueError
        Odd state size, or an initialization or discretization of another name.
    """

    def __init__(
        self,
        n_channels: int,
        state_size: int = 64,
        n_kernels: int = 1,
        *,
        initialization: str = "lin",
        discretization: str = "zoh",
        step_range: tuple[float, float] = (1e-3, 1e-1),
    ) -> None:
        super().__init__()
        if state_size < 2 or state_size % 2:
            raise ValueError(f"state_size must be even and positive, for conjugate pairs; got {state_size}")
        if discretization not in ("zoh", "bilinear"):
            raise ValueError(f"discretization must be 'zoh' or 'bilinear'; got {discretization!r}")
        self.discretization = discretization
        n_states = state_size // 2
        low, high = math.log(step_range[0]), math.log(step_range[1])
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(n_channels))
        self.log_decay = nn.Parameter(torch.full((n_channels, n_states), math.log(0.5)))
        frequency = initial_frequencies(n_states, initialization)
        self.frequency = nn.Parameter(frequency.repeat(n_channels, 1))
        # Pairs of numbers, not complex ones: a change of precision would drop their imaginary parts.
        self.output = nn.Parameter(torch.randn(n_kernels, n_channels, n_states, 2) * math.sqrt(0.5))

    def discrete(self) -> tuple[Tensor, Tensor, Tensor]:
        r"""Logarithm of :math:`\bar a`, :math:`\bar b` (both (n_channels, n_states)) and c of the kernels."""
        a = torch.complex(-self.log_decay.exp(), self.frequency)
        step = self.log_step.exp().unsqueeze(-1)
        scaled = step * a
        c = torch.view_as_complex(self.output)
        if self.discretization == "zoh":
            return scaled, torch.expm1(scaled) / a, c
        return torch.log((2.0 + scaled) / (2.0 - scaled)), 2.0 * step / (2.0 - scaled), c

    def forward(self, length: int) -> Tensor:
        """Kernels, shape (n_kernels, n_channels, length)."""
        log_base, b, c = self.discrete()
        return geometric_sums(c * b, log_base, length)

    def initial_state(self, batch_size: int) -> Tensor:
        """Complex zeros, shape (batch_size, n_channels, n_states)."""
        state = torch.zeros(batch_size, *self.frequency.shape, 2, dtype=self.frequency.dtype)
        return torch.view_as_complex(state.to(self.frequency.device))

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the recurrence.

        Parameters
        ----------
        u : Tensor of shape (batch, n_channels)
            The input now.
        state : complex Tensor of shape (batch, n_channels, n_states)
            After the step before; `initial_state` at first.

        Returns
        -------
        y : Tensor of shape (n_kernels, batch, n_channels)
        state : complex Tensor
            After this step.
        """
        log_base, b, c = self.discrete()
        state = torch.exp(log_base) * state + b * u.unsqueeze(-1)
        return 2.0 * (c.unsqueeze(1) * state).sum(-1).real, state


def initial_frequencies(n_states: int, initialization: str) -> Tensor:
    """Imaginary parts of the states, shape (n_states,)."""
    n = torch.arange(n_states, dtype=torch.get_default_dtype())
    if initialization == "lin":
        return math.pi * n
    if initialization == "inv":
        size = 2 * n_states
        return size / math.pi * (size / (2.0 * n + 1.0) - 1.0)
    raise ValueError(f"initialization must be 'lin' or 'inv'; got {initialization!r}")


class S4Layer(nn.Module):
    """Residual layer: state-space convolution, GELU, mixing of channels, sum with the input, norm.

    Parameters
    ----------
    ssm : nn.Module
        Called with a length, gives kernels (1 or 2, n_channels, length); two make the layer
        bidirectional. `DiagonalSSM`, or another parametrisation.
    n_channels : int
    gated : bool
        Mix the channels by a gated linear unit instead of a linear map; twice the weights.
    dropout : float
        Probability with which a whole channel of a series is dropped before the sum.
    layer_norm : bool
        Normalise over the channels at each time.
    """

    def __init__(
        self,
        ssm: nn.Module,
        n_channels: int,
        *,
        gated: bool = False,
        dropout: float = 0.0,
        layer_norm: bool = True,
    ) -> None:
        super().__init__()
        self.ssm = ssm
        self.present = nn.Parameter(torch.randn(n_channels))
        self.gated = gated
        self.mix = nn.Conv1d(n_channels, 2 * n_channels if gated else n_channels, 1)
        self.dropout = nn.Dropout1d(dropout)
        self.norm = nn.LayerNorm(n_channels) if layer_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, n_channels, length) to the same shape, any length."""
        update = self.mix(gelu(convolve(x, self.ssm(x.shape[-1]), self.present)))
        x = x + self.dropout(glu(update, dim=1) if self.gated else update)
        return x if self.norm is None else self.norm(x.transpose(1, 2)).transpose(1, 2)
