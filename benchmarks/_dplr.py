r"""The S4 kernel, diagonal plus low rank: what `sktgdp.nets.s4.DiagonalSSM` is measured against.

HiPPO-LegS in its eigenbasis is :math:`A = \Lambda - p p^*`, in conjugate pairs. With the bilinear
discretisation, the kernel's discrete Fourier transform at :math:`z = e^{-i\theta}` is

.. math:: \hat k(z) = \tfrac{2}{1 + z} \tilde c\, (g - A)^{-1} b, \quad
          g = \tfrac{2}{\Delta} \tfrac{1 - z}{1 + z}, \quad \tilde c = c (1 - \bar A^L),

and Woodbury's identity leaves sums :math:`\sum_n v_n / (g - \lambda_n)`, Cauchy products. :math:`\tilde c` is
the parameter. Multiplied by :math:`\cos(\theta/2)`, nothing is singular at z = -1 (Gu et al., 2022,
arXiv 2111.00396).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def legs(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Lambda, p and b of HiPPO-LegS in its eigenbasis, one of each conjugate pair; complex128."""
    n = torch.arange(size, dtype=torch.float64)
    b, p = torch.sqrt(2 * n + 1), torch.sqrt(n + 0.5)
    normal = dense_legs(size) + torch.outer(p, p)  # -1/2 on the diagonal, skew elsewhere
    skew = normal + 0.5 * torch.eye(size, dtype=torch.float64)
    frequency, basis = torch.linalg.eigh(-1j * skew.to(torch.complex128))
    up = frequency > 0
    project = basis.mH[up]
    return -0.5 + 1j * frequency[up], project @ p.to(basis), project @ b.to(basis)


def dense_legs(size: int) -> Tensor:
    """The matrix of HiPPO-LegS, float64."""
    n = torch.arange(size, dtype=torch.float64)
    root = torch.sqrt(2 * n + 1)
    return -torch.tril(torch.outer(root, root), -1) - torch.diag(n + 1)


class DPLRKernel(nn.Module):
    """Called with a length like `DiagonalSSM`; every channel has its own Lambda, p, b and c, all trained.

    Parameters
    ----------
    n_channels, state_size, n_kernels : int
    shared : bool
        False divides for every Cauchy product anew, as plain torch does where no compiled extension is
        at hand. True divides once for all of them, pair by pair and in real arithmetic.
    """

    def __init__(self, n_channels: int, state_size: int, n_kernels: int, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.log_step = nn.Parameter(torch.empty(n_channels).uniform_(math.log(1e-3), math.log(1e-1)))

        def parameter(values: Tensor) -> nn.Parameter:
            return nn.Parameter(torch.view_as_real(values).float())

        eigenvalues, p, b = (each.repeat(n_channels, 1) for each in legs(state_size))
        self.log_decay = nn.Parameter(torch.log(-eigenvalues.real).float())
        self.frequency = nn.Parameter(eigenvalues.imag.float())
        self.p, self.b = parameter(p), parameter(b)
        c = torch.randn(n_kernels, n_channels, state_size // 2, dtype=torch.complex128)
        self.c = parameter(c)

    def forward(self, length: int) -> Tensor:
        """Kernels, shape (n_kernels, n_channels, length)."""
        eigenvalues = torch.complex(-self.log_decay.exp(), self.frequency)
        p, b, c = (torch.view_as_complex(each) for each in (self.p, self.b, self.c))
        half = math.pi / length * torch.arange(length // 2 + 1, dtype=self.log_step.dtype)
        step = self.log_step.exp().unsqueeze(-1)
        sine, cosine = 2.0 * torch.sin(half) / step, torch.cos(half)  # g = i sine / cosine
        v = torch.cat([c * b, c * p, (p.conj() * b)[None], (p.conj() * p)[None]])
        product = shared_cauchy if self.shared else cauchy
        sums = product(v, sine, cosine, eigenvalues)
        n = len(c)
        low_rank = sums[n : 2 * n] * sums[2 * n] * cosine / (1.0 + cosine * sums[2 * n + 1])
        spectrum = torch.polar(torch.ones_like(half), half) * (sums[:n] - low_rank)
        return torch.fft.irfft(spectrum, length)


def cauchy(v: Tensor, sine: Tensor, cosine: Tensor, eigenvalues: Tensor) -> Tensor:
    """Sum of v / (i sine - cosine lambda) over all states, conjugates included.

    Parameters
    ----------
    v : complex Tensor of shape (n_products, n_channels, n_pairs)
    sine : Tensor of shape (n_channels, n_frequencies)
    cosine : Tensor of shape (n_frequencies,)
    eigenvalues : complex Tensor of shape (n_channels, n_pairs)

    Returns
    -------
    complex Tensor of shape (n_products, n_channels, n_frequencies)
    """
    v = torch.cat([v, v.conj()], dim=-1).unsqueeze(-1)
    both = torch.cat([eigenvalues, eigenvalues.conj()], dim=-1).unsqueeze(-1)
    return (v / (1j * sine.unsqueeze(-2) - cosine * both)).sum(-2)


def shared_cauchy(v: Tensor, sine: Tensor, cosine: Tensor, eigenvalues: Tensor) -> Tensor:
    """The same sums; a pair's two terms have a common denominator and a numerator of real weights."""
    size, damping = eigenvalues.abs().square().unsqueeze(-1), -2.0 * eigenvalues.real.unsqueeze(-1)
    re = size * cosine.square() - sine.square().unsqueeze(-2)
    im = damping * (cosine * sine).unsqueeze(-2)
    scale = 1.0 / (re.square() + im.square())
    weights = 2.0 * torch.cat([v.real, (v * eigenvalues.conj()).real]).transpose(0, 1)
    a, b = torch.complex(weights @ (re * scale), -weights @ (im * scale)).transpose(0, 1).chunk(2)
    return 1j * sine * a - cosine * b
