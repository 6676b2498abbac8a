"""XResNet1d: published size, shapes, what it is invariant to, and what reaches its weights."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from sktgdp.nets import XResNet1d, xresnet1d50, xresnet1d_small

BOTTLENECK = {"layers": (1, 2), "expansion": 2, "widths": (6, 10), "stem_widths": (4, 4, 8)}
NETWORKS = {
    "small": xresnet1d_small,
    "bottleneck": partial(XResNet1d, **BOTTLENECK, head_widths=(5,)),
    "no hidden head": partial(XResNet1d, **BOTTLENECK, head_widths=()),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> XResNet1d:
    torch.manual_seed(0)
    return NETWORKS[request.param](3, 4)


@pytest.fixture
def x(torch_rng: torch.Generator) -> Tensor:
    return torch.randn(6, 3, 40, generator=torch_rng)


def awake(network: XResNet1d) -> XResNet1d:
    """Let every block add to its shortcut: they start silent."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    return network


def trained_statistics(network: XResNet1d, x: Tensor) -> XResNet1d:
    """Wake the blocks, and give the batch norms the statistics of some batches."""
    awake(network)
    for _ in range(10):
        network(x)
    return network.eval()


def count_by_hand(n_channels: int, n_outputs: int) -> int:
    """Weights of the published network, written out: each convolution is followed by 2 numbers a channel."""
    stem = (5 * n_channels * 32 + 64) + (5 * 32 * 32 + 64) + (5 * 32 * 64 + 128)
    inside = (5 * 64 * 64 + 128) + (64 * 256 + 512)
    first = (64 * 64 + 128) + inside + (64 * 256 + 512)  # with a convolution in its shortcut
    other = (256 * 64 + 128) + inside
    head = (2 * 512 + 512 * 128 + 128) + (2 * 128 + 128 * n_outputs + n_outputs)
    return stem + first + 15 * other + head


@pytest.mark.parametrize(("n_channels", "n_outputs"), [(12, 71), (8, 9)])
def test_published_size(n_channels: int, n_outputs: int) -> None:
    network = xresnet1d50(n_channels, n_outputs)
    n_parameters = sum(p.numel() for p in network.parameters())
    assert n_parameters == count_by_hand(n_channels, n_outputs)
    assert 0.9e6 < n_parameters < 1.0e6
    assert (len(network.stages), network.n_features) == (16, 128)


def test_published_network_shortens_by_thirty_two() -> None:
    network = xresnet1d50(2, 3).eval()
    with torch.no_grad():
        features = network.stages(network.stem(torch.zeros(1, 2, 1000)))
    assert features.shape == (1, 256, 32)  # 1000 / 2 / 2 / 2 / 2 / 2, rounded up


@pytest.mark.parametrize("length", [1, 2, 5, 33, 40])
def test_any_length(network: XResNet1d, length: int) -> None:
    network.eval()
    x = torch.zeros(2, 3, length)
    assert network(x).shape == (2, 4)
    assert network.embed(x).shape == (2, network.n_features)


def test_logits_are_linear_in_the_embedding(network: XResNet1d, x: Tensor) -> None:
    trained_statistics(network, x)
    last = network.head[-1]
    torch.testing.assert_close(network(x), network.embed(x) @ last.weight.T + last.bias)


def test_rows_do_not_see_each_other_in_eval_mode(network: XResNet1d, x: Tensor) -> None:
    trained_statistics(network, x).double()
    x = x.double()
    torch.testing.assert_close(network(x), torch.cat([network(row[None]) for row in x]))


def test_batch_norms_take_statistics_in_training_only(network: XResNet1d, x: Tensor) -> None:
    trained_statistics(network, x)
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(x)
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_blocks_start_as_their_shortcuts(network: XResNet1d, torch_rng: torch.Generator) -> None:
    hidden = network.stem(torch.randn(4, 3, 40, generator=torch_rng))
    for block in network.stages:
        torch.testing.assert_close(block(hidden), torch.relu(block.shortcut(hidden)))
        hidden = block(hidden)


def test_shortcut_averages_what_it_shortens() -> None:
    block = XResNet1d(1, 2, **BOTTLENECK).stages[1]
    average, convolution = block.shortcut
    hidden = torch.arange(1.0, 6.0).reshape(1, 1, 5)
    assert average(hidden).flatten().tolist() == [1.5, 3.5, 5.0]  # the last sample stands alone
    assert convolution[0].kernel_size == (1,)


def test_pooled_features_do_not_see_a_shift_by_the_stride(network: XResNet1d) -> None:
    """A burst far from both ends may lie anywhere, in steps of the total stride."""
    generator = torch.Generator().manual_seed(0)
    trained_statistics(network, torch.randn(6, 3, 256, generator=generator))
    burst = 3.0 * torch.randn(3, 40, generator=generator)
    x = torch.zeros(3, 3, 256)
    x[0, :, 100:140], x[1, :, 108:148] = burst, burst
    here, there, flat = nn.Sequential(network.stem, network.stages, network.head[0])(x)
    torch.testing.assert_close(here, there, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(here, flat, rtol=1e-2, atol=1e-2)


def test_gradients_reach_every_weight(network: XResNet1d, x: Tensor) -> None:
    awake(network)(x).square().sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not without


def test_new_head(network: XResNet1d, x: Tensor) -> None:
    trained_statistics(network, x)
    before = network.embed(x)
    network.replace_head(7)
    assert network(x).shape == (6, 7)
    assert torch.equal(network.embed(x), before)


@pytest.mark.parametrize(
    ("params", "match"), [({"widths": (8,)}, "one entry per stage"), ({"kernel_size": 4}, "must be odd")]
)
def test_bad_parameters(params: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        XResNet1d(1, 2, **{**BOTTLENECK, **params})
