"""Networks: laws that hold for every architecture, and what each knows of the process."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from sktgdp.guidance import guidance_correction
from sktgdp.nets import (
    AnyPrecision,
    DomainMLP,
    GuidanceMLP,
    MeanOf,
    ResidualTrunk,
    ScoreMLP,
    TimeEmbedding,
    written_gradient,
)
from sktgdp.process import VPProcess, expand_as

PROCESS = VPProcess()
N_ROWS = 7
Make = Callable[..., nn.Module]
Inputs = tuple[Tensor, Tensor, Tensor | None]  # x_t, t, y
# name: (constructor of event_shape and n_labels, whether it gives one value per row)
TIMED: dict[str, tuple[Make, bool]] = {
    "score": (partial(ScoreMLP, process=PROCESS, hidden_sizes=(16, 16)), False),
    "score, uneven": (partial(ScoreMLP, process=PROCESS, hidden_sizes=(16, 8, 24)), False),
    "guidance": (partial(GuidanceMLP, process=PROCESS, hidden_sizes=(16, 16)), True),
}


def randomised(network: nn.Module) -> nn.Module:
    """Give every weight a value: heads start from zero, which would hide what they depend on."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            values = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(values / math.sqrt(parameter.shape[-1]))
    return network


def sizes(inputs: Inputs) -> tuple[tuple[int, ...], int]:
    """Shape of a row and width of its label, as networks are told them."""
    x, _, y = inputs
    return tuple(x.shape[1:]), 0 if y is None else y.shape[1]


@pytest.fixture(params=TIMED)
def architecture(request: pytest.FixtureRequest) -> tuple[Make, bool]:
    return TIMED[request.param]


@pytest.fixture(params=[(3,), (2, 5)], ids=["table", "series"])
def event_shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return request.param


@pytest.fixture(params=[0, 4], ids=["no labels", "labels"])
def inputs(request: pytest.FixtureRequest, event_shape: tuple[int, ...]) -> Inputs:
    n_labels, generator = request.param, torch.Generator().manual_seed(1)
    y = torch.randint(0, 2, (N_ROWS, n_labels), generator=generator).float() if n_labels else None
    x = torch.randn(N_ROWS, *event_shape, generator=generator)
    return x, torch.linspace(0.05, 0.9, N_ROWS), y


@pytest.fixture
def network(architecture: tuple[Make, bool], inputs: Inputs) -> nn.Module:
    return randomised(architecture[0](*sizes(inputs)))


def test_output_shape(network: nn.Module, architecture: tuple[Make, bool], inputs: Inputs) -> None:
    assert network(*inputs).shape == ((N_ROWS,) if architecture[1] else inputs[0].shape)


def test_one_time_for_all_rows(network: nn.Module, inputs: Inputs) -> None:
    x, _, y = inputs
    t = torch.tensor(0.3)
    torch.testing.assert_close(network(x, t, y), network(x, t.expand(N_ROWS), y))


def test_rows_do_not_mix(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    order = torch.randperm(N_ROWS, generator=torch.Generator().manual_seed(2))
    shuffled = network(x[order], t[order], None if y is None else y[order])
    torch.testing.assert_close(shuffled, network(x, t, y)[order])


def test_depends_on_everything(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    base = network(x, t, y).reshape(N_ROWS, -1)
    changed = [network(x + 0.1, t, y), network(x, 0.9 * t, y)]
    changed += [] if y is None else [network(x, t, 1.0 - y)]
    for value in changed:
        assert ((value.reshape(N_ROWS, -1) - base).abs().amax(1) > 1e-6).all()


def test_any_precision_agrees(network: nn.Module, inputs: Inputs) -> None:
    x, t, y = inputs
    model = AnyPrecision(network)
    assert torch.equal(model(x, t, y), network(x, t, y))
    double = model(x.double(), t, y)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), network(x, t, y), rtol=1e-4, atol=1e-5)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_any_precision_copies_once() -> None:
    """The copy is of the weights as they were: a frozen network is expected."""
    network = nn.Linear(2, 1)
    model, x = AnyPrecision(network), torch.ones(3, 2)
    first = model(x.double())
    with torch.no_grad():
        network.weight += 1.0
    assert torch.equal(model(x.double()), first)
    assert not torch.equal(model(x), first.float())


def test_noise_prediction_starts_at_sigma_x(inputs: Inputs) -> None:
    """Exact for standard normal rows."""
    x, t, y = inputs
    network = ScoreMLP(*sizes(inputs), PROCESS)
    sigma = PROCESS.sigma(t).reshape(-1, *[1] * (x.ndim - 1))
    torch.testing.assert_close(network(x, t, y), sigma * x)


def test_guidance_starts_at_one(inputs: Inputs) -> None:
    x, t, y = inputs
    assert GuidanceMLP(*sizes(inputs), PROCESS)(x, t, y).abs().max() == 0.0
    assert DomainMLP(*sizes(inputs))(x, y).abs().max() == 0.0


def test_guidance_tends_to_the_labels_offset(inputs: Inputs) -> None:
    """Noise alone tells nothing of x_0: log h becomes a function of the label only."""
    x, _, y = inputs
    network = GuidanceMLP(*sizes(inputs), VPProcess(beta_max=400.0))
    value = randomised(network)(x, torch.tensor(1.0), y)
    expected = torch.zeros(N_ROWS) if y is None else network.offset(y).squeeze(1)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-6)


def test_noise_prediction_tends_to_x(inputs: Inputs) -> None:
    x, _, y = inputs
    network = ScoreMLP(*sizes(inputs), VPProcess(beta_max=400.0))
    torch.testing.assert_close(randomised(network)(x, torch.tensor(1.0), y), x)


def test_domain_network(inputs: Inputs) -> None:
    x, _, y = inputs
    network = randomised(DomainMLP(*sizes(inputs), (8, 8)))
    logit = network(x, y)
    assert logit.shape == (N_ROWS,)
    assert ((network(x + 0.1, y) - logit).abs() > 1e-5).all()
    if y is not None:
        assert ((network(x, 1.0 - y) - logit).abs() > 1e-5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_time_embedding(dtype: torch.dtype) -> None:
    """Finite over all times, of order one, and never the same twice."""
    embedding = TimeEmbedding(PROCESS, n_frequencies=4)
    t = torch.linspace(PROCESS.t_min, 1.0, 200, dtype=dtype)
    values = embedding(t)
    assert values.shape == (200, embedding.size)
    assert values.dtype == dtype
    assert values.abs().max() < 2.0
    gaps = torch.pdist(values)
    assert gaps.min() > 1e-3
    assert torch.equal(embedding(t[3]), embedding(t[3:4]))


def test_time_embedding_is_not_saved() -> None:
    assert TimeEmbedding(PROCESS).state_dict() == {}


def test_trunk_without_time_or_labels() -> None:
    trunk = randomised(ResidualTrunk(3, 0, 2, (8, 8), None))
    assert trunk(torch.randn(5, 3)).shape == (5, 2)
    assert not any("time" in name or "label" in name for name, _ in trunk.named_parameters())


def test_mean_of_networks(inputs: Inputs) -> None:
    x, t, y = inputs
    members = [randomised(GuidanceMLP(*sizes(inputs), PROCESS, (8,))) for _ in range(3)]
    with torch.no_grad():
        for k, member in enumerate(members):
            member.trunk.head.bias += k
    mean = MeanOf(members)
    expected = sum(member(x, t, y) for member in members) / 3
    torch.testing.assert_close(mean(x, t, y), expected)
    assert len(list(mean.parameters())) == 3 * len(list(members[0].parameters()))
    torch.testing.assert_close(MeanOf(members[:1])(x, t, y), members[0](x, t, y))


# Gradients in closed form ---------------------------------------------------------------------------
@pytest.mark.parametrize("t", [torch.tensor(0.3), torch.linspace(0.01, 1.0, 6)], ids=["one time", "times"])
@pytest.mark.parametrize("n_labels", [0, 3])
@pytest.mark.parametrize("hidden_sizes", [(5,), (8, 8, 8), (8, 4, 4)])
def test_written_gradient_is_autograds(hidden_sizes: tuple[int, ...], n_labels: int, t: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    networks = [GuidanceMLP((2, 4), n_labels, PROCESS, hidden_sizes).double() for _ in range(3)]
    for parameter in (p for network in networks for p in network.parameters()):
        torch.nn.init.normal_(parameter, std=0.4, generator=generator)
    x = torch.randn((6, 2, 4), generator=generator, dtype=torch.float64)
    y = torch.rand((6, n_labels), generator=generator, dtype=torch.float64) if n_labels else None
    for network in (networks[0], MeanOf(networks)):
        written = written_gradient(network)
        assert written is not None
        expected, _ = guidance_correction(lambda x, t, net=network: net(x, t, y), x, t.double(), PROCESS)
        sigma = expand_as(PROCESS.sigma(t.double()), x)
        torch.testing.assert_close(sigma * written(x, t.double(), y), expected, rtol=1e-10, atol=1e-12)
        assert not written(x, t.double(), y).requires_grad


def test_written_gradient_is_not_that_of_another_network() -> None:
    class Doubled(GuidanceMLP):
        def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
            return 2.0 * super().forward(x_t, t, y)

    doubled = Doubled((2,), 0, PROCESS)
    assert written_gradient(doubled) is None
    assert written_gradient(MeanOf([GuidanceMLP((2,), 0, PROCESS), doubled])) is None
