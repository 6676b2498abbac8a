r"""The variance-preserving diffusion process, stated once for the whole package.

Notation
--------
A data row :math:`x_0` of shape ``(batch, *event)`` is noised at time :math:`t \in (0, 1]` to

.. math:: x_t = \alpha_t x_0 + \sigma_t \varepsilon, \qquad \varepsilon \sim N(0, I), \qquad
          \alpha_t^2 + \sigma_t^2 = 1,

with the linear schedule :math:`\beta(t) = \beta_{\min} + t (\beta_{\max} - \beta_{\min})` and

.. math:: \log \alpha_t = -\tfrac14 t^2 (\beta_{\max} - \beta_{\min}) - \tfrac12 t \beta_{\min}.

It is the marginal of :math:`dx = -\tfrac12 \beta(t) x\,dt + \sqrt{\beta(t)}\,dw`.
The half log signal-to-noise ratio is :math:`\lambda_t = \log(\alpha_t / \sigma_t)`; it falls
strictly in :math:`t`, and its inverse has a closed form.

References
----------
Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", 2021.
Lu et al., "DPM-Solver", 2022 (the half log-SNR as the natural time).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = ["VPProcess", "expand_as"]


def expand_as(values: Tensor, x: Tensor) -> Tensor:
    """Append axes to ``values`` of shape () or (batch,) until it broadcasts against ``x``."""
    return values if values.ndim == 0 else values.reshape(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class VPProcess:
    """Variance-preserving process with a linear schedule; see the module for the equations.

    Times may have shape () or (batch,); every method returns the shape it was given.

    Parameters
    ----------
    beta_min, beta_max : float
        Noise rates at t = 0 and t = 1, per unit of time.
    t_min : float
        Smallest time that is trained on and sampled to. Below it the noise is taken for zero.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        rates = 0.0 <= self.beta_min <= self.beta_max and 0.0 < self.beta_max < math.inf
        if not (rates and 0.0 < self.t_min < 1.0):
            raise ValueError(f"expected 0 <= beta_min <= beta_max and 0 < t_min < 1, finite; got {self}")

    def beta(self, t: Tensor) -> Tensor:
        """Noise rate beta(t)."""
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def log_alpha(self, t: Tensor) -> Tensor:
        """Logarithm of the signal's scale."""
        return -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def alpha(self, t: Tensor) -> Tensor:
        """Scale of the signal."""
        return torch.exp(self.log_alpha(t))

    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise, without cancellation at small times."""
        return torch.sqrt(-torch.expm1(2.0 * self.log_alpha(t)))

    def log_snr_half(self, t: Tensor) -> Tensor:
        """Half of the log signal-to-noise ratio, log(alpha_t / sigma_t)."""
        log_alpha = self.log_alpha(t)
        return log_alpha - 0.5 * torch.log(-torch.expm1(2.0 * log_alpha))

    def inverse_log_snr_half(self, log_snr_half: Tensor) -> Tensor:
        """Time at which the half log-SNR takes the given value (closed form)."""
        minus_log_alpha = 0.5 * softplus(-2.0 * log_snr_half)
        slope = self.beta_max - self.beta_min
        half = 0.5 * self.beta_min
        return 2.0 * minus_log_alpha / (half + torch.sqrt(half**2 + slope * minus_log_alpha))

    def perturb(self, x0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """Noised rows alpha_t x_0 + sigma_t eps, shape of ``x0``."""
        return expand_as(self.alpha(t), x0) * x0 + expand_as(self.sigma(t), x0) * eps
