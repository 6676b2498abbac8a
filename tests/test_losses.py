"""Losses against their closed forms and known minimisers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sktgdp.guidance import guidance_correction
from sktgdp.losses import (
    consistency_loss,
    cycle_loss,
    domain_log_loss,
    guidance_kl_loss,
    guidance_mse_loss,
    score_matching_loss,
)
from sktgdp.process import VPProcess

PROCESS = VPProcess()
GUIDANCE_LOSSES = {"kl": guidance_kl_loss, "mse": guidance_mse_loss}
Loss = Callable[[Tensor, Tensor], Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=GUIDANCE_LOSSES)
def guidance_loss(request: pytest.FixtureRequest) -> Loss:
    return GUIDANCE_LOSSES[request.param]


def test_guidance_over_a_constant_gives_the_mean_ratio(guidance_loss: Loss) -> None:
    """Lemma 3.2: exp(f) = E[r], here found by Newton's method in f."""
    ratio = normal(500).exp()
    f = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(30):
        loss = guidance_loss(f.expand(500), ratio)
        (slope,) = torch.autograd.grad(loss, f, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, f)
        f = (f - slope / curvature.abs()).detach().requires_grad_()
    assert f.exp().item() == pytest.approx(ratio.mean().item(), rel=1e-10)


def test_guidance_over_groups_gives_each_group_its_mean(guidance_loss: Loss) -> None:
    """The minimiser is E[r | x_t]: no group's value moves another's."""
    ratio, group = normal(600).exp(), torch.arange(600) % 3
    means = torch.stack([ratio[group == k].mean() for k in range(3)])
    f = means.log().requires_grad_()
    (slope,) = torch.autograd.grad(guidance_loss(f[group], ratio), f)
    assert slope.abs().max() < 1e-12
    nearby = means.log() + 0.1 * normal(3, seed=1)
    assert guidance_loss(nearby[group], ratio) > guidance_loss(f[group], ratio)


def test_guidance_values() -> None:
    f, ratio = torch.tensor([0.0, 1.0]).double(), torch.tensor([2.0, 0.5]).double()
    e = torch.e
    assert guidance_kl_loss(f, ratio).item() == pytest.approx((1.0 + e - 0.5) / 2)
    assert guidance_mse_loss(f, ratio).item() == pytest.approx((1.0 + (e - 0.5) ** 2) / 2)


def test_guidance_of_a_wild_network_is_finite(guidance_loss: Loss) -> None:
    """Where single precision has no exponential any more, the loss still falls towards smaller values."""
    f = torch.tensor([29.0, 31.0, 90.0, 1000.0], requires_grad=True)
    for ratio in (0.0, 1e4):
        losses = torch.stack([guidance_loss(part, torch.tensor(ratio)) for part in f])
        assert losses.isfinite().all()
        assert (losses.diff() > 0).all()
        (slope,) = torch.autograd.grad(losses.sum(), f)
        assert slope.isfinite().all()
        assert (slope > 0).all()


def test_kl_gradient_is_linear_in_the_ratio() -> None:
    """A row of a thousandfold ratio pulls a thousand times as hard, not a million times."""
    f = torch.zeros(1, dtype=torch.float64, requires_grad=True)

    def slope(loss: Loss, ratio: float) -> float:
        return torch.autograd.grad(loss(f, torch.tensor([ratio]).double()), f)[0].item()

    assert slope(guidance_kl_loss, 1000.0) == pytest.approx(1.0 - 1000.0)
    assert slope(guidance_mse_loss, 1000.0) == pytest.approx(2.0 * (1.0 - 1000.0))


def test_domain_log_loss_has_the_log_ratio_as_minimiser() -> None:
    """Cells with counts 60:30:10 and 2:2:4; the batches differ in length, the shares count."""
    source = torch.repeat_interleave(torch.arange(3), torch.tensor([60, 30, 10]))
    target = torch.repeat_interleave(torch.arange(3), torch.tensor([2, 2, 4]))
    p, q = torch.tensor([6, 3, 1]).double() / 10, torch.tensor([1, 1, 2]).double() / 4
    logit = (q / p).log().requires_grad_()
    (slope,) = torch.autograd.grad(domain_log_loss(logit[source], logit[target]), logit)
    assert slope.abs().max() < 1e-12


def test_domain_log_loss_bounds() -> None:
    """log 2 for a classifier that knows nothing; finite and linear far out."""
    zero = torch.zeros(4)
    assert domain_log_loss(zero, zero[:2]).item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert domain_log_loss(zero + 1e4, zero - 1e4).item() == pytest.approx(1e4)
    assert domain_log_loss(zero - 1e4, zero + 1e4).item() == 0.0


@pytest.mark.parametrize("log_space", [True, False])
def test_cycle(log_space: bool) -> None:
    f, log_ratio = normal(50), normal(50, seed=1)
    assert cycle_loss(f, f, log_space=log_space).item() == 0.0
    gap = f - log_ratio if log_space else f.exp() - log_ratio.exp()
    expected = gap.square().mean().item()
    assert cycle_loss(f, log_ratio, log_space=log_space).item() == pytest.approx(expected)


@pytest.mark.parametrize("event_shape", [(3,), (2, 5)])
def test_means_over_coordinates(event_shape: tuple[int, ...]) -> None:
    """The loss of the zero prediction is 1 in every dimension: weights mean the same everywhere."""
    eps = normal(20_000, *event_shape)
    assert score_matching_loss(torch.zeros_like(eps), eps).item() == pytest.approx(1.0, abs=0.02)


def test_consistency_vanishes_for_the_exact_correction() -> None:
    eps_source, eps = normal(30, 4), normal(30, 4, seed=1)
    assert consistency_loss(eps_source, eps_source - eps, eps).item() < 1e-30
    assert consistency_loss(eps_source, torch.zeros_like(eps), eps) == score_matching_loss(eps_source, eps)


def test_consistency_in_other_units() -> None:
    """A scale per row, as alpha_t is, divides the error of the row."""
    eps_source, eps, zero = normal(30, 4), normal(30, 4, seed=1), torch.zeros(30, 4)
    scale = torch.linspace(0.1, 2.0, 30).double()[:, None]
    expected = ((eps_source - eps) / scale).square().mean()
    torch.testing.assert_close(consistency_loss(eps_source, zero, eps, scale), expected)
    assert consistency_loss(eps_source, eps_source - eps, eps, scale).item() < 1e-25


def test_consistency_gradient_through_the_gradient_of_log_h() -> None:
    """Second derivatives of the guidance network, against finite differences."""
    x_t, eps_source, eps = normal(6, 3), normal(6, 3, seed=1), normal(6, 3, seed=2)
    t = torch.linspace(0.1, 1.0, 6).double()

    def loss(weight: Tensor, offset: Tensor) -> Tensor:
        correction, _ = guidance_correction(
            lambda x, t: torch.tanh(x @ weight + offset).sum(1), x_t, t, PROCESS, create_graph=True
        )
        return consistency_loss(eps_source, correction, eps)

    inputs = (normal(3, 4, seed=3).requires_grad_(), normal(4, seed=4).requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)
