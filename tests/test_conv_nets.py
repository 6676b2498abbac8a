"""Convolutional networks: what each knows of the process, of shifts and of its own gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from sktgdp.nets import AnyPrecision, DomainConv, GuidanceConv, ScoreConv
from sktgdp.process import VPProcess

PROCESS = VPProcess()
LATE = VPProcess(beta_max=400.0)  # nothing of x_0 is left at t = 1
N_ROWS = 5
Make = Callable[..., nn.Module]
Inputs = tuple[Tensor, Tensor, Tensor | None]  # x_t, t, y
NETWORKS: dict[str, tuple[Make, bool]] = {  # and whether it gives one value per row
    "score": (partial(ScoreConv, process=PROCESS, hidden_sizes=(6, 8, 10), kernel_size=3, stride=2), False),
    "score, one level": (partial(ScoreConv, process=PROCESS, hidden_sizes=(6,)), False),
    "guidance": (partial(GuidanceConv, process=PROCESS, hidden_sizes=(8, 8), channels=(4, 6)), True),
}


def randomised(network: nn.Module) -> nn.Module:
    """Give every weight a value of the size that keeps signals at their scale."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            fan_in = math.prod(parameter.shape[1:]) or 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(fan_in))
    return network


def sizes(inputs: Inputs) -> tuple[tuple[int, ...], int]:
    x, _, y = inputs
    return tuple(x.shape[1:]), 0 if y is None else y.shape[1]


@pytest.fixture(params=[(1, 1), (2, 37)], ids=str)
def event_shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return request.param


@pytest.fixture(params=[0, 3], ids=["no labels", "labels"])
def inputs(
    request: pytest.FixtureRequest, event_shape: tuple[int, ...], torch_rng: torch.Generator
) -> Inputs:
    y = torch.randint(0, 2, (N_ROWS, request.param), generator=torch_rng).float() if request.param else None
    return torch.randn(N_ROWS, *event_shape, generator=torch_rng), torch.linspace(0.05, 0.9, N_ROWS), y


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, inputs: Inputs) -> nn.Module:
    return randomised(NETWORKS[request.param][0](*sizes(inputs)))


@pytest.mark.parametrize("name", NETWORKS)
def test_output_shape(name: str, inputs: Inputs) -> None:
    make, one_value = NETWORKS[name]
    assert make(*sizes(inputs))(*inputs).shape == ((N_ROWS,) if one_value else inputs[0].shape)


def test_rows_do_not_mix(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    order = torch.randperm(N_ROWS, generator=torch.Generator().manual_seed(2))
    shuffled = network(x[order], t[order], None if y is None else y[order])
    torch.testing.assert_close(shuffled, network(x, t, y)[order], rtol=1e-4, atol=1e-5)


def test_one_time_for_all_rows(network: nn.Module, inputs: Inputs) -> None:
    x, _, y = inputs
    t = torch.tensor(0.3)
    torch.testing.assert_close(network(x, t, y), network(x, t.expand(N_ROWS), y), rtol=1e-4, atol=1e-5)


def test_depends_on_everything(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    base = network(x, t, y).reshape(N_ROWS, -1)
    changed = [network(x + 0.1, t, y), network(x, 0.9 * t, y)]
    changed += [] if y is None else [network(x, t, 1.0 - y)]
    for value in changed:
        assert ((value.reshape(N_ROWS, -1) - base).abs().amax(1) > 1e-5).all()


def test_every_sample_reaches_the_guidance(inputs: Inputs) -> None:
    x, t, y = inputs
    network = randomised(GuidanceConv(*sizes(inputs), PROCESS, (8,), (4, 6)))
    x = x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(x, t, y).sum(), x)
    assert (gradient != 0).all()


def test_any_precision_agrees(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    double = AnyPrecision(network)(x.double(), t, y)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), network(x, t, y), rtol=1e-3, atol=1e-4)


def test_what_is_known_before_training(inputs: Inputs) -> None:
    """Noise prediction exact for standard normal rows, guidance and ratio one."""
    x, t, y = inputs
    sigma = PROCESS.sigma(t).reshape(-1, 1, 1)
    torch.testing.assert_close(ScoreConv(*sizes(inputs), PROCESS)(x, t, y), sigma * x)
    assert GuidanceConv(*sizes(inputs), PROCESS)(x, t, y).abs().max() == 0.0
    assert DomainConv(*sizes(inputs))(x, y).abs().max() == 0.0


def test_what_is_known_of_pure_noise(inputs: Inputs) -> None:
    """The noise is x_t itself, and the guidance a function of the label only."""
    x, _, y = inputs
    end = torch.tensor(1.0)
    torch.testing.assert_close(randomised(ScoreConv(*sizes(inputs), LATE, (4, 6)))(x, end, y), x)
    guidance = randomised(GuidanceConv(*sizes(inputs), LATE))
    expected = torch.zeros(N_ROWS) if y is None else guidance.offset(y).squeeze(1)
    torch.testing.assert_close(guidance(x, end, y), expected, rtol=0, atol=1e-6)


def test_noise_prediction_moves_with_the_series(torch_rng: torch.Generator) -> None:
    """Far from the ends, a shift by ``stride ** (levels - 1)`` samples shifts the output, no other does."""
    network = randomised(ScoreConv((2, 208), 0, PROCESS, (4, 6), kernel_size=3, stride=3)).double()
    x = torch.randn(4, 2, 208, generator=torch_rng, dtype=torch.float64)
    t = torch.tensor(0.2, dtype=torch.float64)
    inside = slice(60, 140)
    base = network(x, t)
    for shift in (1, 2, 3):
        moved = network(x.roll(shift, dims=2), t).roll(-shift, dims=2)
        gap = (moved - base)[..., inside].abs().max()
        assert (gap < 1e-12) == (shift == 3)


def test_length_is_free_for_the_noise_prediction(torch_rng: torch.Generator) -> None:
    """One network serves series of all lengths, and far from the cut a longer one tells nothing new."""
    network = randomised(ScoreConv((1, 100), 0, PROCESS, (4, 6), kernel_size=3, stride=2)).double()
    x = torch.randn(2, 1, 133, generator=torch_rng, dtype=torch.float64)
    t = torch.tensor(0.4, dtype=torch.float64)
    for length in (100, 101, 133):
        assert network(x[..., :length], t).shape == (2, 1, length)
    torch.testing.assert_close(network(x[..., :101], t)[..., :60], network(x, t)[..., :60])


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
@pytest.mark.parametrize("make", [ScoreConv, GuidanceConv])
def test_gradients(make: Make, check: Callable[..., bool], torch_rng: torch.Generator) -> None:
    """The guidance is trained through its gradient in x, so the second derivative counts, too."""
    network = randomised(make((2, 7), 2, PROCESS, hidden_sizes=(3, 3))).double()
    x = torch.randn(2, 2, 7, generator=torch_rng, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    y = torch.eye(2, dtype=torch.float64)
    assert check(lambda x_t: network(x_t, t, y), (x,))


def test_domain_network(inputs: Inputs) -> None:
    x, _, y = inputs
    network = randomised(DomainConv(*sizes(inputs), (8, 8), (4,)))
    logit = network(x, y)
    assert logit.shape == (N_ROWS,)
    assert ((network(x + 0.5, y) - logit).abs() > 1e-5).all()
    if y is not None:
        assert ((network(x, 1.0 - y) - logit).abs() > 1e-5).all()


def test_guidance_is_small_beside_the_noise_prediction() -> None:
    """Guidance, time-dependent classifier and five domain classifiers: a tenth of the noise prediction."""
    for shape, n_labels in (((1, 500), 2), ((12, 1000), 9), ((8, 1000), 9)):
        count = [
            sum(p.numel() for p in network.parameters())
            for network in (
                ScoreConv(shape, n_labels, PROCESS),
                GuidanceConv(shape, n_labels, PROCESS),
                DomainConv(shape, n_labels),
            )
        ]
        assert 2 * count[1] + 5 * count[2] < count[0] / 10


@pytest.mark.parametrize("shape", [(5,), (2, 0), (0, 5), (1, 2, 3)])
def test_shapes_that_are_no_series(shape: tuple[int, ...]) -> None:
    for make in (ScoreConv, GuidanceConv):
        with pytest.raises(ValueError, match=r"must be \(channels, length\)"):
            make(shape, 0, PROCESS)
    with pytest.raises(ValueError, match=r"must be \(channels, length\)"):
        DomainConv(shape, 0)


def test_levels_must_be_there() -> None:
    with pytest.raises(ValueError, match="hidden_sizes is empty; a U-Net needs one level"):
        ScoreConv((2, 8), 0, PROCESS, hidden_sizes=())


def test_stem_must_shorten() -> None:
    with pytest.raises(ValueError, match="stride must be at least 2"):
        GuidanceConv((1, 50), 0, PROCESS, stride=1)
