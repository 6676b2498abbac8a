r"""Guidance of a source model towards the target domain (Theorem 3.1 and 3.3).

.. math:: \nabla_x \log q_t(x_t | y) = \nabla_x \log p_t(x_t | y)
          + \nabla_x \log E_{p(x_0 | x_t, y)}\!\left[\tfrac{q(x_0, y)}{p(x_0, y)}\right]

With the score written as :math:`-\varepsilon / \sigma_t` the guided noise prediction is
:math:`\varepsilon_\theta(x_t, t, y) - \sigma_t \nabla_x \log h_\psi(x_t, t, y)`.
Guidance wraps the source's callable; samplers never know of it.

References
----------
Ouyang, Xie, Zha, Cheng, "Transfer Learning for Diffusion Models", NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sktgdp.process import VPProcess, expand_as

__all__ = ["guidance_correction", "guided_noise_prediction"]

TimeFunction = Callable[[Tensor, Tensor], Tensor]


def guidance_correction(
    log_h: TimeFunction,
    x_t: Tensor,
    t: Tensor,
    process: VPProcess,
    *,
    create_graph: bool = False,
) -> tuple[Tensor, Tensor]:
    """Compute sigma_t times the gradient of log h at the noised rows, and log h itself.

    Parameters
    ----------
    log_h : callable (x_t, t) -> Tensor of shape (batch,)
        Logarithm of the guidance function; row i may depend on row i alone.
    x_t : Tensor of shape (batch, ...)
        Noised rows.
    t : Tensor of shape () or (batch,)
        Times in (0, 1].
    process : VPProcess
        Gives sigma_t.
    create_graph : bool
        Keep the graph, for a loss on the correction or a derivative of it.

    Returns
    -------
    correction : Tensor of shape (batch, ...)
    value : Tensor of shape (batch,)
    """
    with torch.enable_grad():
        x = x_t if create_graph and x_t.requires_grad else x_t.detach().requires_grad_()
        value = log_h(x, t)
        (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=create_graph)
    correction = expand_as(process.sigma(t), gradient) * gradient
    return correction, value


def guided_noise_prediction(
    source: TimeFunction, log_h: TimeFunction, process: VPProcess, gradient: TimeFunction | None = None
) -> TimeFunction:
    """Wrap a source noise prediction into that of the target domain (Theorem 3.1).

    Parameters
    ----------
    source : callable (x_t, t) -> eps
        Noise prediction of the source model, shape of ``x_t``.
    log_h : callable (x_t, t) -> Tensor of shape (batch,)
        Logarithm of the guidance function.
    process : VPProcess
        The process that both were trained on.
    gradient : callable (x_t, t) -> Tensor of the shape of ``x_t``, optional
        Gradient of log h in closed form, taken where nothing is differentiated; None asks autograd.

    Returns
    -------
    callable (x_t, t) -> eps
    """

    def noise_prediction(x_t: Tensor, t: Tensor) -> Tensor:
        # a likelihood differentiates the prediction itself
        keep = torch.is_grad_enabled() and x_t.requires_grad
        if gradient is not None and not keep:
            correction = expand_as(process.sigma(t), x_t) * gradient(x_t, t)
        else:
            correction, _ = guidance_correction(log_h, x_t, t, process, create_graph=keep)
        return source(x_t, t) - correction

    return noise_prediction
