r"""Training losses as pure functions of tensors.

Notation: :math:`f = \log h_\psi(x_t, t, y)` is the guidance network, :math:`r = q/p` the density
ratio of target to source, :math:`\varepsilon` the noise in :math:`x_t = \alpha_t x_0 + \sigma_t\varepsilon`.
Every function returns a scalar: the mean over rows and, where rows have coordinates, over
coordinates too. The weights that multiply these terms therefore mean the same in every dimension;
the paper's weights multiply sums over coordinates.

References
----------
Ouyang, Xie, Zha, Cheng, "Transfer Learning for Diffusion Models", NeurIPS 2024
(equation numbers below are theirs).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu, softplus

__all__ = [
    "consistency_loss",
    "cycle_loss",
    "domain_log_loss",
    "guidance_kl_loss",
    "guidance_mse_loss",
    "score_matching_loss",
]

# A ratio whose mean over the rows is 1 is at most their number, so its logarithm stays below this.
LARGEST = 30.0


def _exp(f: Tensor) -> Tensor:
    """The exponential, and from `LARGEST` on its tangent, so that a wild start of a network stays finite."""
    return f.clamp(max=LARGEST).exp() * (1.0 + relu(f - LARGEST))


def score_matching_loss(eps_hat: Tensor, eps: Tensor) -> Tensor:
    """Denoising score matching in noise form, the mean of (eps_hat - eps)^2.

    Parameters
    ----------
    eps_hat, eps : Tensor of shape (batch, ...)
        Predicted and true noise, without unit.
    """
    return (eps_hat - eps).square().mean()


def domain_log_loss(logit_source: Tensor, logit_target: Tensor) -> Tensor:
    """Class-balanced logistic loss; its minimiser is log q/p itself (Eq. 7).

    Parameters
    ----------
    logit_source, logit_target : Tensor of shape (batch,)
        Logits on rows of either domain; the two batches may differ in length.
    """
    return 0.5 * (softplus(logit_source).mean() + softplus(-logit_target).mean())


def guidance_kl_loss(f: Tensor, ratio: Tensor) -> Tensor:
    r"""Generalised Kullback-Leibler form of Lemma 3.2, :math:`E[e^f - r f]` on source rows.

    A Bregman divergence, so it has the same minimiser :math:`e^f = E[r | x_t]` as the squared
    error, but grows linearly in r and so stands a heavy-tailed ratio.

    Parameters
    ----------
    f : Tensor of shape (batch,)
        Log of the guidance network.
    ratio : Tensor of shape (batch,)
        Density ratio at the clean rows.
    """
    return (_exp(f) - ratio * f).mean()


def guidance_mse_loss(f: Tensor, ratio: Tensor) -> Tensor:
    r"""Squared error of the paper (Eq. 8), :math:`E (e^f - r)^2` on source rows; shapes (batch,)."""
    return (_exp(f) - ratio).square().mean()


def cycle_loss(f: Tensor, log_ratio_t: Tensor, *, log_space: bool = True) -> Tensor:
    """Cycle regulariser on target rows: h should equal q_t/p_t (Eq. 13).

    The noised ratio is a function of (x_t, t, y), not a conditional mean, so it may be matched in
    log space, with the same minimiser and without the heavy tail.

    Parameters
    ----------
    f, log_ratio_t : Tensor of shape (batch,)
        Log of the guidance network, and log q_t/p_t of the time-dependent classifier.
    log_space : bool
        Match logarithms (True) or, as the paper has it, the ratios themselves (False).
    """
    if log_space:
        return (f - log_ratio_t).square().mean()
    return (f.exp() - log_ratio_t.exp()).square().mean()


def consistency_loss(
    eps_source: Tensor, correction: Tensor, eps: Tensor, scale: Tensor | float = 1.0
) -> Tensor:
    """Consistency regulariser on target rows: the guided noise prediction must denoise (Eq. 14).

    Parameters
    ----------
    eps_source : Tensor of shape (batch, ...)
        Noise prediction of the frozen source model.
    correction : Tensor of shape (batch, ...)
        sigma_t times the gradient of log h, with its graph.
    eps : Tensor of shape (batch, ...)
        True noise.
    scale : float or Tensor that broadcasts against ``eps``
        Unit of the error; 1 is the paper's. In units of alpha_t the error is that of the velocity, which
        weighs early and late times alike (Salimans & Ho, "Progressive Distillation", 2022).
    """
    return score_matching_loss((eps_source - correction) / scale, eps / scale)
