r"""Log density of rows under the probability-flow equation.

In the notation of :mod:`sktgdp.process`, with :math:`\lambda` for time, the flow of a noise prediction is

.. math:: \frac{dx}{d\lambda} = \sigma^2 x - \sigma\, \hat\varepsilon(x, t(\lambda)),

which is :math:`dy/ds = \hat\varepsilon` for :math:`y = x_t / \alpha_t` and :math:`s = \sigma_t / \alpha_t`,
written so that nothing moves where the data are N(0, I). A model's law is what the flow makes of N(0, I) at
t = 1. Hence, with the path that ends in x at ``t_min``,

.. math:: \log p_{t_{\min}}(x) = \log N(x_1; 0, I)
          - \int_{\lambda_1}^{\lambda_{\min}}
            \bigl(\sigma^2 d - \sigma\, \nabla\!\cdot \hat\varepsilon\bigr)\, d\lambda .

The density reported is that of :math:`y = x_{t_{\min}} / \alpha_{t_{\min}}`, i.e.
:math:`\log p_{t_{\min}}(\alpha x_0) + d \log \alpha`: the law of the data plus noise of standard deviation
:math:`s = \sigma / \alpha` at ``t_min``, 0.0105 by default. It is a proper density. Its logarithm differs
from that of the unsmoothed one by :math:`\tfrac12 s^2 (\Delta \log p + \|\nabla \log p\|^2)` to first
order, which averages to nil over the data and, in a direction of variance v, is :math:`s^2 / 2v` times the
squared standard score less one: small unless v is comparable with :math:`s^2`. The second bias, N(0, I) in
place of the law at t = 1, is of the order of :math:`\alpha_1 = 0.007` times the mean of the data, and of
:math:`\alpha_1^2` for standardised data.

Method: the classical Runge-Kutta scheme of order 4, uniform in u with :math:`\lambda = c + w \sinh u`, which
puts the steps where mixtures resolve into their components. With 32 steps the mean error on Gaussian
mixtures is below 3e-4 nats, sharp ones included, several times less than on a grid uniform in
:math:`\lambda`; single rows between sharp components may be off by 0.02, with 48 steps by 0.002.
The divergence is exact (one row of the Jacobian per coordinate) in few dimensions, and else Hutchinson's
estimate :math:`v^\top J v` with random signs v, drawn for each row and kept along its path: unbiased for the
log density.

References
----------
Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", 2021, App. D.2.
Grathwohl et al., "FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sktgdp.process import VPProcess

__all__ = ["log_density"]

NoiseModel = Callable[[Tensor, Tensor], Tensor]

# Centre and half-width, in half log-SNR, of the region where the grid is fine.
GRID_CENTRE, GRID_WIDTH = 0.5, 1.5


def log_density(
    eps_model: NoiseModel,
    x0: Tensor,
    *,
    process: VPProcess,
    n_steps: int = 32,
    generator: torch.Generator | None = None,
    exact_max_dim: int = 32,
    n_probes: int = 8,
) -> Tensor:
    """Natural log of the density of each row, in the units of ``x0``.

    Parameters
    ----------
    eps_model : callable (x_t, t) -> eps
        Row by row and differentiable in x_t; t of shape (), which it must broadcast. Called 4 n_steps times.
    x0 : Tensor of shape (batch, ...)
        float64 is recommended.
    n_steps : int
        Steps of the Runge-Kutta scheme.
    generator : torch.Generator, optional
        For the random signs of Hutchinson's estimate; None is torch's global generator.
    exact_max_dim : int
        Largest number of coordinates of a row for which the divergence is exact.
    n_probes : int
        Random sign vectors per row above that.

    Returns
    -------
    Tensor of shape (batch,)
    """
    if n_steps < 1 or n_probes < 1:
        raise ValueError(f"n_steps and n_probes must be at least 1; got {n_steps=}, {n_probes=}")
    probes = _probes(x0, generator, None if math.prod(x0.shape[1:]) <= exact_max_dim else n_probes)
    return _integrate(eps_model, x0, probes, process, n_steps)


@torch.no_grad()
def _integrate(eps_model: NoiseModel, x0: Tensor, probes: Tensor, process: VPProcess, n_steps: int) -> Tensor:
    """Runge-Kutta from t_min to t = 1 for x and the logarithm of the volume's growth, side by side."""
    dim = math.prod(x0.shape[1:])
    ends = torch.tensor([process.t_min, 1.0], dtype=torch.float64)
    log_alpha_min = process.log_alpha(ends[0]).item()
    u, u_end = torch.asinh((process.log_snr_half(ends) - GRID_CENTRE) / GRID_WIDTH).tolist()
    h = (u_end - u) / n_steps

    def slope(u: float, x: Tensor) -> tuple[Tensor, Tensor]:
        lam = torch.tensor(GRID_CENTRE + GRID_WIDTH * math.sinh(u), dtype=torch.float64)
        t = process.inverse_log_snr_half(lam)
        sigma, d_lam = process.sigma(t).item(), GRID_WIDTH * math.cosh(u)
        eps, divergence = _eps_and_divergence(eps_model, x, t.to(x), probes)
        return d_lam * (sigma**2 * x - sigma * eps), d_lam * (sigma**2 * dim - sigma * divergence)

    x, growth = x0 * math.exp(log_alpha_min), x0.new_zeros(len(x0))
    for at in (u + i * h for i in range(n_steps)):
        dx1, dg1 = slope(at, x)
        dx2, dg2 = slope(at + 0.5 * h, x + 0.5 * h * dx1)
        dx3, dg3 = slope(at + 0.5 * h, x + 0.5 * h * dx2)
        dx4, dg4 = slope(at + h, x + h * dx3)
        x = x + h / 6.0 * (dx1 + 2.0 * dx2 + 2.0 * dx3 + dx4)
        growth = growth + h / 6.0 * (dg1 + 2.0 * dg2 + 2.0 * dg3 + dg4)
    log_normal = -0.5 * (x.flatten(1).square().sum(1) + dim * math.log(2.0 * math.pi))
    return log_normal + growth + dim * log_alpha_min


def _probes(x0: Tensor, generator: torch.Generator | None, n_probes: int | None) -> Tensor:
    """Vectors v of shape (n, batch or 1, *event); the sum of v v^T is (in expectation) the identity."""
    if n_probes is None:
        dim = math.prod(x0.shape[1:])
        return torch.eye(dim, dtype=x0.dtype, device=x0.device).reshape(dim, 1, *x0.shape[1:])
    device = x0.device if generator is None else generator.device
    if x0.ndim == 3:  # row by row: many series are drawn in parts, and the parts must not show
        shape = (len(x0), n_probes, *x0.shape[1:])
        signs = torch.randint(0, 2, shape, generator=generator, device=device).transpose(0, 1)
    else:
        signs = torch.randint(0, 2, (n_probes, *x0.shape), generator=generator, device=device)
    return (2.0 * signs - 1.0).to(x0) / math.sqrt(n_probes)


def _eps_and_divergence(eps_model: NoiseModel, x: Tensor, t: Tensor, probes: Tensor) -> tuple[Tensor, Tensor]:
    """The noise prediction and the sum of v^T J v over the probes."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        eps = eps_model(x, t)
    if not eps.requires_grad:
        raise ValueError("eps_model must be differentiable in x_t; its output carries no gradient")
    divergence = x.new_zeros(len(x))
    for v in probes:
        (row,) = torch.autograd.grad(eps, x, v.expand_as(x), retain_graph=True)
        divergence = divergence + (row * v).flatten(1).sum(1)
    return eps.detach(), divergence
