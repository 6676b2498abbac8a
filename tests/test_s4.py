"""State-space layers: kernels against recurrences and dense systems, convolutions against sums."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.signal import cont2discrete
from torch import Tensor

from sktgdp.nets.s4 import DiagonalSSM, S4Layer, convolve, geometric_sums

N_CHANNELS = 3
SYSTEMS = {
    f"{initialization}, {discretization}": {
        "initialization": initialization,
        "discretization": discretization,
    }
    for initialization, discretization in product(("lin", "inv"), ("zoh", "bilinear"))
}


@pytest.fixture(params=SYSTEMS)
def ssm(request: pytest.FixtureRequest, torch_rng: torch.Generator) -> DiagonalSSM:
    """Two kernels in float64, every parameter away from where it starts."""
    system = DiagonalSSM(N_CHANNELS, 8, 2, **SYSTEMS[request.param]).double()
    with torch.no_grad():
        for parameter in system.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=torch_rng, dtype=torch.float64)
    return system.requires_grad_(False)


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_recurrence(ssm: DiagonalSSM, u: Tensor) -> Tensor:
    """Run the steps over a series (batch, n_channels, length): (n_kernels, batch, n_channels, length)."""
    state, outputs = ssm.initial_state(len(u)), []
    for now in u.unbind(-1):
        y, state = ssm.step(now, state)
        outputs.append(y)
    return torch.stack(outputs, dim=-1)


@pytest.mark.parametrize("length", [1, 2, 7, 64, 101])
def test_kernel_is_the_recurrence_of_an_impulse(ssm: DiagonalSSM, length: int) -> None:
    impulse = torch.zeros(1, N_CHANNELS, length, dtype=torch.float64)
    impulse[..., 0] = 1.0
    expected = by_recurrence(ssm, impulse)[:, 0]
    torch.testing.assert_close(ssm(length), expected, rtol=1e-10, atol=1e-12)


def test_convolution_is_the_recurrence(ssm: DiagonalSSM) -> None:
    u = normal(2, N_CHANNELS, 101)
    forwards, backwards = by_recurrence(ssm, u)[0], by_recurrence(ssm, u.flip(-1))[1].flip(-1)
    kernels = ssm(101)
    torch.testing.assert_close(convolve(u, kernels[:1]), forwards, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(convolve(u, kernels), forwards + backwards, rtol=1e-10, atol=1e-10)


def test_kernel_against_dense_discretisation(ssm: DiagonalSSM) -> None:
    """A complex state is two real ones; scipy discretises the real system."""
    length = 40
    step = ssm.log_step.exp().numpy()
    decay, frequency = ssm.log_decay.exp().numpy(), ssm.frequency.numpy()
    c, kernels = ssm.output.numpy(), ssm(length).numpy()
    blocks = np.array([[[-1, 0], [0, -1]], [[0, -1], [1, 0]]])
    for h in range(N_CHANNELS):
        n = len(decay[h])
        A = np.kron(np.diag(decay[h]), blocks[0]) + np.kron(np.diag(frequency[h]), blocks[1])
        B = np.tile([[1.0], [0.0]], (n, 1))
        C = (2.0 * c[:, h] * [1.0, -1.0]).reshape(2, -1)
        A_step, B_step = cont2discrete((A, B, C, np.zeros((2, 1))), step[h], ssm.discretization)[:2]
        powers = [C @ np.linalg.matrix_power(A_step, k) @ B_step for k in range(length)]
        np.testing.assert_allclose(kernels[:, h].T, np.stack(powers)[..., 0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("length", [1, 5, 8])
def test_convolution_is_its_sum(length: int) -> None:
    u, kernels, now = normal(2, 3, length), normal(2, 3, length, seed=2), normal(3, seed=3)
    expected = now[:, None] * u
    for i, j in product(range(length), repeat=2):
        expected[..., i] += kernels[0, :, i - j] * u[..., j] if j <= i else 0.0
        expected[..., i] += kernels[1, :, j - i] * u[..., j] if j >= i else 0.0
    torch.testing.assert_close(convolve(u, kernels, now), expected, rtol=1e-12, atol=1e-12)


def test_convolution_is_linear() -> None:
    u, v, kernels = normal(2, 3, 9), normal(2, 3, 9, seed=2), normal(2, 3, 9, seed=3)
    whole = convolve(2.0 * u - 3.0 * v, kernels)
    torch.testing.assert_close(whole, 2.0 * convolve(u, kernels) - 3.0 * convolve(v, kernels))


def test_one_kernel_is_causal() -> None:
    u = normal(1, 3, 20)
    changed = u.clone()
    changed[..., 12:] += 1.0
    kernels = normal(2, 3, 20, seed=2)
    before, after = (convolve(x, kernels[:1]) for x in (u, changed))
    torch.testing.assert_close(before[..., :12], after[..., :12])
    assert (before - after)[..., 12].abs().min() > 1e-3
    assert (convolve(u, kernels) - convolve(changed, kernels))[..., :12].abs().amin(-1).min() > 1e-6


def test_reversed_time_swaps_the_kernels() -> None:
    u, kernels, now = normal(2, 3, 20), normal(2, 3, 20, seed=2), normal(3, seed=3)
    reversed_ = convolve(u.flip(-1), kernels.flip(0), now)
    torch.testing.assert_close(reversed_.flip(-1), convolve(u, kernels, now))


def test_shifts_of_a_padded_series_shift_the_output() -> None:
    u = torch.zeros(1, 3, 30, dtype=torch.float64)
    u[..., 5:10] = normal(1, 3, 5)
    kernels = normal(2, 3, 30, seed=2)
    moved = convolve(u.roll(7, -1), kernels)
    torch.testing.assert_close(moved[..., 7:], convolve(u, kernels)[..., :-7])


@pytest.mark.parametrize("discretization", ["zoh", "bilinear"])
def test_gradient(discretization: str) -> None:
    ssm = DiagonalSSM(2, 4, 2, discretization=discretization).double()
    names, values = zip(*ssm.named_parameters(), strict=True)

    def layer(u: Tensor, now: Tensor, *parameters: Tensor) -> Tensor:
        kernels = torch.func.functional_call(ssm, dict(zip(names, parameters, strict=True)), (u.shape[-1],))
        return convolve(u, kernels, now)

    inputs = (normal(2, 2, 6).requires_grad_(), normal(2).requires_grad_(), *values)
    assert torch.autograd.gradcheck(layer, inputs)


def test_float32_at_the_published_length() -> None:
    """The powers' angles reach thousands; what is lost must stay small beside the kernel."""
    torch.manual_seed(0)
    ssm = DiagonalSSM(64, 64, 2)
    single = ssm(1000)
    double = ssm.double()(1000)
    error = (single - double).square().mean(-1).sqrt() / double.square().mean(-1).sqrt()
    assert error.max() < 1e-4


def test_long_kernel_decays() -> None:
    ssm = DiagonalSSM(4, 8, discretization="bilinear", step_range=(0.1, 0.1)).double()
    kernel = ssm(2000)
    assert kernel[..., -100:].abs().max() < 1e-12 * kernel.abs().max()


def test_geometric_sums_need_no_square_length() -> None:
    weights, log_base = normal(1, 2, 3, 2), normal(2, 3, 2, seed=2) * 0.1
    weights, log_base = torch.view_as_complex(weights), torch.view_as_complex(log_base)
    for length in range(1, 20):
        expected = 2.0 * (weights.unsqueeze(-1) * torch.exp(log_base.unsqueeze(-1) * torch.arange(length)))
        torch.testing.assert_close(geometric_sums(weights, log_base, length), expected.sum(-2).real)


@pytest.mark.parametrize("gated", [False, True])
def test_layer_without_mixing_is_the_norm_of_its_input(gated: bool) -> None:
    layer = S4Layer(DiagonalSSM(4, 8, 2), 4, gated=gated)
    torch.nn.init.zeros_(layer.mix.weight)
    torch.nn.init.zeros_(layer.mix.bias)
    y = layer(torch.randn(3, 4, 17))
    torch.testing.assert_close(y.mean(1), torch.zeros(3, 17), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(3, 17), atol=1e-2, rtol=0)


def test_dropout_drops_in_training_alone() -> None:
    layer = S4Layer(DiagonalSSM(4, 8, 2), 4, dropout=1.0, layer_norm=False)
    x = torch.randn(3, 4, 17)
    torch.testing.assert_close(layer.train()(x), x)
    assert (layer.eval()(x) - x).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"state_size": 7}, "even and positive"),
        ({"initialization": "legs"}, "'lin' or 'inv'"),
        ({"discretization": "euler"}, "'zoh' or 'bilinear'"),
    ],
)
def test_wrong_arguments(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DiagonalSSM(4, **wrong)  # type: ignore[arg-type]
