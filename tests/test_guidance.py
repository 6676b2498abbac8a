"""Guidance: with the true source and the true ratio it is the true target."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sktgdp.guidance import guidance_correction, guided_noise_prediction
from sktgdp.oracles import MixtureShift, paper_mixture_shift
from sktgdp.process import VPProcess
from sktgdp.solvers import sample

PROCESS = VPProcess()
SHIFT = paper_mixture_shift()
TIMES = [torch.tensor(0.001), torch.tensor(0.3), torch.tensor(1.0), torch.linspace(0.001, 1.0, 64)]


@pytest.fixture
def x_t(torch_rng: torch.Generator) -> Tensor:
    return torch.randn(64, 2, dtype=torch.float64, generator=torch_rng)


def guided(shift: MixtureShift, y: Tensor | None = None) -> object:
    return guided_noise_prediction(
        lambda x, t: shift.source.noise(x, t, y), lambda x, t: shift.log_guidance(x, t, y), PROCESS
    )


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("t", TIMES, ids=["t_min", "0.3", "1", "batch"])
def test_oracles_give_the_oracle(t: Tensor, conditional: bool, x_t: Tensor) -> None:
    y = torch.arange(64) % 2 if conditional else None
    t = t.double()
    difference = guided(SHIFT, y)(x_t, t) - SHIFT.target.noise(x_t, t, y)
    assert difference.abs().max() < 1e-11


def test_oracles_give_the_oracle_after_sampling(x_t: Tensor) -> None:
    kwargs = {"process": PROCESS, "solver": "dpm++2m", "n_steps": 10}
    difference = sample(guided(SHIFT), x_t, **kwargs) - sample(SHIFT.target.noise, x_t, **kwargs)
    assert difference.abs().max() < 1e-9


@pytest.mark.parametrize("event_shape", [(3,), (2, 4)])
def test_correction_is_sigma_times_the_gradient(event_shape: tuple[int, ...]) -> None:
    x = torch.randn(5, *event_shape).double()
    t = torch.linspace(0.1, 0.9, 5).double()
    correction, value = guidance_correction(lambda x, t: t * x.flatten(1).square().sum(1), x, t, PROCESS)
    sigma = PROCESS.sigma(t).reshape(-1, *[1] * len(event_shape))
    torch.testing.assert_close(correction, sigma * 2 * t.reshape(sigma.shape) * x)
    torch.testing.assert_close(value.detach(), t * x.flatten(1).square().sum(1))


def test_works_without_gradients_and_leaves_the_input_alone(x_t: Tensor) -> None:
    with torch.no_grad():
        eps = guided(SHIFT)(x_t, torch.tensor(0.5).double())
        assert not torch.is_grad_enabled()
    assert not eps.requires_grad
    assert not x_t.requires_grad
    assert x_t.grad is None


def test_constant_guidance_changes_nothing(x_t: Tensor) -> None:
    source = SHIFT.source.noise
    guided_source = guided_noise_prediction(source, lambda x, t: 0.0 * x.sum(1) + 3.0, PROCESS)
    assert torch.equal(guided_source(x_t, torch.tensor(0.5)), source(x_t, torch.tensor(0.5)))


def test_prediction_is_differentiable(x_t: Tensor) -> None:
    """A likelihood needs the Jacobian of the guided prediction, second derivatives of log h included."""
    t = torch.tensor(0.4).double()

    def jacobian(model: object) -> Tensor:
        return torch.autograd.functional.jacobian(lambda x: model(x, t).sum(0), x_t[:8])

    torch.testing.assert_close(jacobian(guided(SHIFT)), jacobian(SHIFT.target.noise))


def test_create_graph_reaches_the_parameters(x_t: Tensor) -> None:
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    t = torch.tensor(0.4).double()

    def log_h(x: Tensor, t: Tensor) -> Tensor:
        return network(x).squeeze(1)

    kept, value = guidance_correction(log_h, x_t, t, PROCESS, create_graph=True)
    (kept.square().mean() + value.mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    dropped, _ = guidance_correction(log_h, x_t, t, PROCESS)
    assert not dropped.requires_grad
    torch.testing.assert_close(dropped, kept.detach())
