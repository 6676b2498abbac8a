"""Log densities under the flow against those of Gaussian mixtures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sktgdp.likelihood import log_density
from sktgdp.oracles import GaussianMixture, paper_mixture_shift
from sktgdp.process import VPProcess

PROCESS = VPProcess()


def standardized(mixture: GaussianMixture) -> GaussianMixture:
    return mixture.standardized(mixture.mean, mixture.std)


LINE = standardized(GaussianMixture([0.35, 0.65], [[-1.1], [0.6]], [0.2, 0.3]))
MIXTURES = {
    "line": LINE,
    "paper": standardized(paper_mixture_shift().target),
    "five": standardized(GaussianMixture([0.3, 0.7], [[1.0] * 5, [-0.5, 0.5, 0.0, -1.0, 0.2]], [0.2, 0.5])),
    "sharp": GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]], [0.01, 0.01]),
}
WIDE = GaussianMixture([1.0], [[0.0] * 40], [[0.5 + k / 40 for k in range(40)]])


def smoothed_log_prob(mixture: GaussianMixture, x0: Tensor) -> Tensor:
    """The law of the data plus noise of standard deviation sigma / alpha at t_min."""
    log_alpha = PROCESS.log_alpha(torch.tensor(PROCESS.t_min, dtype=torch.float64))
    x = x0 * log_alpha.exp()
    return mixture.log_prob_at(x, PROCESS.t_min) + x0.shape[1] * log_alpha


def rotated(mixture: GaussianMixture) -> tuple[object, Tensor]:
    """Noise prediction of the mixture turned at random, so that the Jacobian is full, and the rotation."""
    matrix = torch.randn(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    rotation = torch.linalg.qr(matrix).Q
    return lambda x, t: mixture.noise(x @ rotation.T, t) @ rotation, rotation


@pytest.mark.parametrize("name", MIXTURES)
def test_agrees_with_the_mixture(name: str, torch_rng: torch.Generator) -> None:
    x, _ = MIXTURES[name].sample(200, torch_rng)
    error = (
        log_density(MIXTURES[name].noise, x, process=PROCESS) - smoothed_log_prob(MIXTURES[name], x)
    ).abs()
    assert error.mean() < 3e-4
    assert error.max() < (0.03 if name == "sharp" else 2e-3)


def test_bias_of_the_smoothing(torch_rng: torch.Generator) -> None:
    """Against the data's own density: s^2 / 2 (Laplacian of log p + |score|^2), s = 0.0105."""
    x, _ = LINE.sample(200, torch_rng)
    x.requires_grad_()
    score = LINE.score(x, 0.0)
    (laplacian,) = torch.autograd.grad(score.sum(), x)
    bias = 0.5 * 0.0105**2 * (laplacian + score**2)[:, 0]
    found = log_density(LINE.noise, x.detach(), process=PROCESS, n_steps=64) - LINE.log_prob(x).detach()
    torch.testing.assert_close(found, bias.detach(), rtol=0.05, atol=1e-4)


def test_integrates_to_one() -> None:
    x, step = torch.linspace(-6.0, 6.0, 1201, dtype=torch.float64), 0.01
    density = log_density(LINE.noise, x[:, None], process=PROCESS).exp()
    assert density.sum().item() * step == pytest.approx(1.0, abs=1e-4)


def test_converges_at_order_four(torch_rng: torch.Generator) -> None:
    x, _ = LINE.sample(50, torch_rng)
    exact = log_density(LINE.noise, x, process=PROCESS, n_steps=320)
    coarse, fine = (
        (log_density(LINE.noise, x, process=PROCESS, n_steps=n) - exact).abs().max().item() for n in (40, 80)
    )
    assert math.log2(coarse / fine) == pytest.approx(4.0, abs=0.3)


def test_true_guidance_gives_the_targets_density() -> None:
    """Second derivatives of the guidance enter the divergence."""
    shift = paper_mixture_shift()
    shift = shift.standardized(shift.target.mean, shift.target.std)
    x, _ = shift.target.sample(20, torch.Generator().manual_seed(0))

    def guided(x: Tensor, t: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(shift.log_guidance(x, t).sum(), x, create_graph=True)
        return shift.source.noise(x, t) - PROCESS.sigma(t) * gradient

    found, expected = (log_density(f, x, process=PROCESS) for f in (guided, shift.target.noise))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-9)


def test_rows_may_have_any_shape(torch_rng: torch.Generator) -> None:
    x = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch_rng)

    def model(x: Tensor, t: Tensor) -> Tensor:
        assert t.shape == ()
        return torch.tanh(x.cumsum(2).cumsum(1))

    series = log_density(model, x, process=PROCESS)
    flat = log_density(lambda x, t: model(x.view(-1, 3, 2), t).flatten(1), x.flatten(1), process=PROCESS)
    torch.testing.assert_close(series, flat)
    assert log_density(model, x.float(), process=PROCESS).dtype == torch.float32
    one_by_one = torch.cat([log_density(model, row[None], process=PROCESS) for row in x])
    torch.testing.assert_close(series, one_by_one)


def test_standard_normal_is_exact() -> None:
    """Data for which nothing moves, at any number of steps."""
    x = torch.linspace(-3.0, 3.0, 12, dtype=torch.float64).reshape(4, 3)
    found = log_density(lambda x, t: PROCESS.sigma(t) * x, x, process=PROCESS, n_steps=1)
    # y = x / alpha has the variance 1 / alpha^2 at t_min
    alpha = PROCESS.alpha(torch.tensor(PROCESS.t_min, dtype=torch.float64))
    normal = torch.distributions.Normal(torch.zeros(3, dtype=torch.float64), 1.0 / alpha)
    torch.testing.assert_close(found, normal.log_prob(x).sum(1), rtol=1e-12, atol=1e-12)


# Hutchinson's estimate ------------------------------------------------------------------------------
def test_hutchinson_is_exact_for_a_diagonal_jacobian(torch_rng: torch.Generator) -> None:
    x, _ = WIDE.sample(5, torch_rng)
    estimate = log_density(WIDE.noise, x, process=PROCESS, n_probes=1)
    exact = log_density(WIDE.noise, x, process=PROCESS, exact_max_dim=40)
    torch.testing.assert_close(estimate, exact, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(exact, smoothed_log_prob(WIDE, x), rtol=0.0, atol=2e-3)


def test_hutchinson_is_unbiased(torch_rng: torch.Generator) -> None:
    model, rotation = rotated(WIDE)
    x, _ = WIDE.sample(1, torch_rng)
    x = x @ rotation
    exact = log_density(model, x, process=PROCESS, n_steps=8, exact_max_dim=40)
    rows = x.expand(400, -1).contiguous()
    one, four = (
        log_density(model, rows, process=PROCESS, n_steps=8, generator=torch_rng, n_probes=n) for n in (1, 4)
    )
    assert one.std() > 0.1
    assert (one.mean() - exact).abs().item() < 4.0 * one.std().item() / 20.0
    assert (four.std() / one.std()).item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.usefixtures("global_rng_untouched")
def test_hutchinson_follows_the_seed() -> None:
    model, _ = rotated(WIDE)
    x, _ = WIDE.sample(3, torch.Generator().manual_seed(0))

    def draw(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return log_density(model, x, process=PROCESS, n_steps=2, generator=generator)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


# The contract ---------------------------------------------------------------------------------------
def test_network_is_left_as_it_was() -> None:
    network = torch.nn.Linear(2, 2).double()
    found = log_density(lambda x, t: network(x), torch.zeros(3, 2, dtype=torch.float64), process=PROCESS)
    assert not found.requires_grad
    assert network.weight.grad is None
    with torch.no_grad():
        again = log_density(lambda x, t: network(x), torch.zeros(3, 2, dtype=torch.float64), process=PROCESS)
    assert torch.equal(found, again)


def test_no_rows() -> None:
    assert log_density(LINE.noise, torch.zeros(0, 1, dtype=torch.float64), process=PROCESS).shape == (0,)


def test_errors() -> None:
    x = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="differentiable in x_t"):
        log_density(lambda x, t: x.detach(), x, process=PROCESS)
    with pytest.raises(ValueError, match="at least 1; got n_steps=0"):
        log_density(LINE.noise, x, process=PROCESS, n_steps=0)
