r"""Gaussian mixtures, for which everything the method estimates is known in closed form.

In the notation of :mod:`sktgdp.process`, data from :math:`\sum_k w_k N(m_k, \operatorname{diag} v_k)` have at
time t the law

.. math:: p_t(x) = \sum_k w_k N(x;\, \alpha_t m_k,\, \alpha_t^2 v_k + \sigma_t^2),

so that the score, the noise prediction :math:`-\sigma_t \nabla \log p_t`, the average likelihood and (for one
component, or in one dimension) the probability flow follow. The label y of a row is the index of its
component; given the label, the law is that component alone.

Two mixtures p (source) and q (target) make a shift. Its guidance is (Ouyang et al. 2024, Theorems 3.1, 3.3)

.. math:: h(x_t, t) = E_{p(x_0 | x_t)}\!\left[\frac{q(x_0)}{p(x_0)}\right] = \frac{q_t(x_t)}{p_t(x_t)}, \qquad
          h(x_t, t, y) = \frac{q(y)\, q_t(x_t | y)}{p(y)\, p_t(x_t | y)} .

References
----------
Ouyang, Xie, Zha, Cheng, "Transfer Learning for Diffusion Models", NeurIPS 2024 (Section 4.1 for the example).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sktgdp.process import VPProcess

__all__ = ["GaussianMixture", "MixtureShift", "paper_mixture_shift"]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of Gaussians with diagonal covariances; computes in float64, answers in the dtype of x.

    Rows x have shape (batch, d), times t shape () or (batch,), labels y (component indices) shape (batch,).

    Parameters
    ----------
    weights : Tensor of shape (k,)
        Positive, of sum one.
    means : Tensor of shape (k, d)
    variances : Tensor of shape (k,) or (k, d)
        Positive; stored as (k, d).
    process : VPProcess
    """

    weights: Tensor
    means: Tensor
    variances: Tensor
    process: VPProcess = field(default_factory=VPProcess)

    def __post_init__(self) -> None:
        weights, means, variances = (
            torch.as_tensor(value, dtype=torch.float64)
            for value in (self.weights, self.means, self.variances)
        )
        if not all(value.isfinite().all() for value in (weights, means, variances)):
            raise ValueError("the weights, the means and the variances must be finite numbers")
        if (
            means.ndim != 2
            or weights.shape != means.shape[:1]
            or variances.shape not in (means.shape, means.shape[:1])
        ):
            shapes = ", ".join(str(tuple(value.shape)) for value in (weights, means, variances))
            raise ValueError(f"expected weights (k,), means (k, d), variances (k,) or (k, d); got {shapes}")
        variances = variances[:, None].expand_as(means) if variances.ndim == 1 else variances
        if not (weights > 0).all() or abs(weights.sum().item() - 1.0) > 1e-6:
            raise ValueError(f"the weights must be positive and sum to one; got {weights.tolist()}")
        if not (variances > 0).all():
            raise ValueError(f"the variances must be positive; got {variances.tolist()}")
        for name, value in (("weights", weights), ("means", means), ("variances", variances)):
            object.__setattr__(self, name, value)

    @property
    def mean(self) -> Tensor:
        """Mean of the data, shape (d,)."""
        return self.weights @ self.means

    @property
    def std(self) -> Tensor:
        """Standard deviation of the data, per coordinate: shape (d,)."""
        return torch.sqrt(self.weights @ (self.variances + (self.means - self.mean) ** 2))

    def standardized(self, mean: Tensor, scale: Tensor) -> GaussianMixture:
        """The law of (x - mean) / scale, with mean and scale of shape () or (d,)."""
        return replace(self, means=(self.means - mean) / scale, variances=self.variances / scale**2)

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n rows (n, d), float64, and their labels (n,)."""
        if type(n) is not int or n < 1:
            raise ValueError(f"n must be an integer of at least 1; got {n!r}")
        y = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        z = torch.randn(n, self.means.shape[1], dtype=torch.float64, generator=generator)
        return self.means[y] + self.variances[y].sqrt() * z, y

    def log_prob(self, x0: Tensor, y: Tensor | None = None) -> Tensor:
        """Natural log of the density of the data (given y), shape (batch,)."""
        return self.log_prob_at(x0, 0.0, y)

    def log_prob_at(self, x_t: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """Natural log of the density at time t (given y), shape (batch,)."""
        log_components = self._log_components(x_t, t)
        if y is not None:
            return log_components.gather(1, self._labels(y, x_t)[:, None]).squeeze(1).to(x_t.dtype)
        return torch.logsumexp(self.weights.log() + log_components, 1).to(x_t.dtype)

    def score(self, x_t: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """Gradient of :meth:`log_prob_at`, shape (batch, d)."""
        means, variances = self._marginal_of(x_t, t)
        if y is None:
            posterior = torch.softmax(self.weights.log() + self._log_components(x_t, t), 1)
        else:
            posterior = torch.nn.functional.one_hot(self._labels(y, x_t), len(self.weights)).double()
        pulls = (means - x_t[:, None].double()) / variances
        return (posterior[:, :, None] * pulls).sum(1).to(x_t.dtype)

    def noise(self, x_t: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """The exact noise prediction E[eps | x_t] = -sigma_t score, shape (batch, d)."""
        sigma = self.process.sigma(_time(t))[..., None]
        return (-sigma * self.score(x_t.double(), t, y)).to(x_t.dtype)

    def flow(self, x: Tensor, t_from: float, t_to: float, y: Tensor | None = None) -> Tensor:
        """Carry rows along the probability flow from one time to another, exactly.

        For a single Gaussian (or given y) an affine map; for a mixture in one dimension the increasing map
        that matches the distribution functions, by bisection to rounding error.
        """
        (m_from, v_from), (m_to, v_to) = self._marginal_of(x, t_from), self._marginal(t_to)
        mapped = m_to + torch.sqrt(v_to / v_from) * (x[:, None].double() - m_from)
        if y is not None or len(self.weights) == 1:
            return mapped[torch.arange(len(x)), 0 if y is None else self._labels(y, x)].to(x.dtype)
        if x.shape[1] > 1:
            raise ValueError("the flow is known for one component, given y, or in one dimension")
        # Each component's map keeps that component's distribution function: they bracket the answer.
        low, high = mapped.amin(1), mapped.amax(1)
        lower, upper = self._tails(x.double(), t_from)
        for _ in range(64):
            middle = 0.5 * (low + high)
            below, above = self._tails(middle, t_to)
            too_low = torch.where(lower < upper, below < lower, above > upper)
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return (0.5 * (low + high)).to(x.dtype)

    def average_likelihood(self, other: GaussianMixture | None = None) -> float:
        """Mean density, under this mixture, of exact samples of ``other`` (None: its own).

        The score of the paper's Table 1. Beware: it rises when samples collapse onto the modes.
        """
        other = self if other is None else other
        if other.means.shape[1] != self.means.shape[1]:
            raise ValueError(f"other has {other.means.shape[1]} coordinates, this has {self.means.shape[1]}")
        variances = self.variances[:, None] + other.variances
        distances = (self.means[:, None] - other.means) ** 2 / variances
        log_overlap = -0.5 * (distances + torch.log(2.0 * math.pi * variances)).sum(-1)
        return (self.weights @ log_overlap.exp() @ other.weights).item()

    def _marginal(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Means and variances of the components at time t, shape (k, d) or (batch, k, d)."""
        t = _time(t)[..., None, None]
        alpha, sigma = self.process.alpha(t), self.process.sigma(t)
        return alpha * self.means, alpha**2 * self.variances + sigma**2

    def _marginal_of(self, x_t: Tensor, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """The same, once rows and times are seen to go together."""
        if x_t.ndim != 2 or x_t.shape[1] != self.means.shape[1]:
            raise ValueError(f"expected rows of shape (batch, {self.means.shape[1]}); got {tuple(x_t.shape)}")
        if _time(t).shape not in ((), x_t.shape[:1]):
            raise ValueError(f"expected t of shape () or ({len(x_t)},); got {tuple(_time(t).shape)}")
        return self._marginal(t)

    def _labels(self, y: Tensor, x: Tensor) -> Tensor:
        """Labels that are indices of components, one per row."""
        k = len(self.weights)
        if y.shape != x.shape[:1] or y.is_floating_point() or not ((y >= 0) & (y < k)).all():
            raise ValueError(f"expected {len(x)} labels, whole numbers from 0 to {k - 1}; got {y}")
        return y

    def _log_components(self, x_t: Tensor, t: Tensor | float) -> Tensor:
        """Log density of each component at time t, shape (batch, k)."""
        means, variances = self._marginal_of(x_t, t)
        squares = (x_t[:, None].double() - means) ** 2 / variances
        return -0.5 * (squares + torch.log(2.0 * math.pi * variances)).sum(-1)

    def _tails(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """Probabilities below and above x in one dimension, precise in the tails; each (batch, 1)."""
        means, variances = self._marginal(t)
        z = (x - means.T) / torch.sqrt(2.0 * variances.T)
        # torch.special.ndtr loses its relative precision in the tails; erfc keeps it.
        below, above = 0.5 * torch.erfc(-z), 0.5 * torch.erfc(z)
        return (below @ self.weights)[:, None], (above @ self.weights)[:, None]


@dataclass(frozen=True, eq=False)
class MixtureShift:
    """A source and a target mixture with the same components as labels; see the module for the equations.

    Parameters
    ----------
    source, target : GaussianMixture
    process : VPProcess
        Replaces the mixtures' own.
    """

    source: GaussianMixture
    target: GaussianMixture
    process: VPProcess = field(default_factory=VPProcess)

    def __post_init__(self) -> None:
        shapes = [tuple(mixture.means.shape) for mixture in (self.source, self.target)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"source and target need means of one shape (k, d); got {shapes}")
        for name in ("source", "target"):
            object.__setattr__(self, name, replace(getattr(self, name), process=self.process))

    def standardized(self, mean: Tensor, scale: Tensor) -> MixtureShift:
        """The shift in the units (x - mean) / scale, in which a network lives."""
        source, target = (m.standardized(mean, scale) for m in (self.source, self.target))
        return replace(self, source=source, target=target)

    def log_density_ratio(self, x0: Tensor, y: Tensor | None = None) -> Tensor:
        """Log q(x_0) / p(x_0), or log q(x_0, y) / p(x_0, y); shape (batch,)."""
        return self.log_guidance(x0, 0.0, y)

    def log_guidance(self, x_t: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """Log E[q / p | x_t], joint with the label where y is given; shape (batch,)."""
        log_ratio = self.target.log_prob_at(x_t, t, y) - self.source.log_prob_at(x_t, t, y)
        if y is None:
            return log_ratio
        return log_ratio + torch.log(self.target.weights / self.source.weights)[y].to(x_t.dtype)

    def guidance_gradient(self, x_t: Tensor, t: Tensor | float, y: Tensor | None = None) -> Tensor:
        """Gradient of :meth:`log_guidance` in x_t, shape (batch, d)."""
        return self.target.score(x_t, t, y) - self.source.score(x_t, t, y)

    @torch.no_grad()
    def noise_error(
        self,
        eps_model: Callable[..., Tensor],
        n: int = 10_000,
        generator: torch.Generator | None = None,
        *,
        conditional: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> float:
        """The eps-error E ||eps_model - eps*||^2 over t ~ U(t_min, 1) and x_t from the target.

        Parameters
        ----------
        eps_model : callable (x_t, t) -> eps, or (x_t, t, y) -> eps if ``conditional``
            x_t and eps of shape (n, d); t and the component indices y of shape (n,).
        n : int
            Rows of the Monte Carlo average.
        conditional : bool
            Compare with E[eps | x_t, y] in place of E[eps | x_t].
        dtype : torch.dtype
            What the model is fed.
        """
        x0, y = self.target.sample(n, generator)
        t_min = self.process.t_min
        t = t_min + (1.0 - t_min) * torch.rand(n, dtype=torch.float64, generator=generator)
        eps = torch.randn(x0.shape, dtype=torch.float64, generator=generator)
        x_t = self.process.perturb(x0, t, eps)
        labels = (y,) if conditional else ()
        error = eps_model(x_t.to(dtype), t.to(dtype), *labels) - self.target.noise(x_t, t, *labels)
        return error.square().sum(1).mean().item()


def paper_mixture_shift(process: VPProcess | None = None) -> MixtureShift:
    """The simulation of the paper (Section 4.1): x | y ~ N(y mu, 0.1 I) in the plane, y = -1 or +1.

    mu is (0.5, 0.5) on the source and (0.5, -0.5) on the target. Component 0 is y = -1, component 1 y = +1.
    """
    signs = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    halves = torch.full((2,), 0.5, dtype=torch.float64)

    def mixture(mu: list[float]) -> GaussianMixture:
        return GaussianMixture(halves, signs * torch.tensor(mu, dtype=torch.float64), 0.2 * halves)

    return MixtureShift(mixture([0.5, 0.5]), mixture([0.5, -0.5]), process or VPProcess())


def _time(t: Tensor | float) -> Tensor:
    times = torch.as_tensor(t, dtype=torch.float64)
    if not ((times >= 0.0) & (times <= 1.0 + 1e-6)).all():  # times of a solver are rounded
        raise ValueError(f"expected times from 0 to 1; got {t}")
    return times
