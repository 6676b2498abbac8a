"""SSSD-ECG: what it depends on, what it does not, its size, its gradient, and a fit with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.__main__ import main
from benchmarks._dplr import DPLRKernel, dense_legs, legs
from sktgdp import DiffusionGenerator
from sktgdp.nets import SSSDECG, AnyPrecision, DiagonalSSM
from sktgdp.process import VPProcess

PROCESS = VPProcess()
SHAPE, N_LABELS, N_ROWS = (2, 23), 3, 4
HALF = torch.tensor(0.5, dtype=torch.float64)
TINY = {"n_blocks": 2, "n_channels": 6, "state_size": 4, "label_size": 5}


def tiny(n_labels: int = N_LABELS, **options: Any) -> SSSDECG:
    """A small network in float64 whose last layer is not zero."""
    torch.manual_seed(0)
    network = SSSDECG(SHAPE, n_labels, PROCESS, **{**TINY, **options})
    torch.nn.init.normal_(network.leave.weight)
    return network.double()


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N_ROWS, *SHAPE, generator=generator, dtype=torch.float64)
    y = torch.randint(0, 2, (N_ROWS, N_LABELS), generator=generator).double()
    return x, torch.linspace(0.1, 0.9, N_ROWS, dtype=torch.float64), y


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": False}, {"gated": True}, {"layer_norm": False}], ids=str
)
def test_depends_on_series_time_and_labels(
    options: dict[str, bool], inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, t, y = inputs
    network = tiny(**options)
    base = network(x, t, y)
    assert base.shape == x.shape
    assert (network(x, t, 1.0 - y) - base).abs().amax((1, 2)).min() > 1e-4
    later = network.velocity(x, network.time(0.9 * t), y) - network.velocity(x, network.time(t), y)
    assert later.abs().amax((1, 2)).min() > 1e-4
    assert (network(x + 0.1, t, y) - base).abs().amax((1, 2)).min() > 1e-4


def test_labels_enter_by_a_sum_of_rows(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    """The embedding of several labels is the sum of theirs: an embedding's row moved is a label moved."""
    x, t, y = inputs
    network = tiny()
    assert network.label is not None
    base = network(x, t, y)
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        network.label.weight.copy_(network.label.weight[:, order])
    torch.testing.assert_close(network(x, t, y[:, order]), base)


def test_rows_do_not_mix(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    network = tiny()
    alone = torch.cat([network(*(each[i : i + 1] for each in inputs)) for i in range(N_ROWS)])
    torch.testing.assert_close(network(*inputs), alone)


def test_one_time_for_all_rows(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    x, _, y = inputs
    network, t = tiny(), torch.tensor(0.3, dtype=torch.float64)
    torch.testing.assert_close(network(x, t, y), network(x, t.expand(N_ROWS), y))


def test_starts_from_standard_normal_rows(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    x, t, y = inputs
    network = SSSDECG(SHAPE, N_LABELS, PROCESS, **TINY).double()
    torch.testing.assert_close(network(x, t, y), PROCESS.sigma(t).reshape(-1, 1, 1) * x)


@pytest.mark.parametrize("length", [1, 8, 57])
def test_any_length(length: int) -> None:
    x = torch.randn(2, SHAPE[0], length, dtype=torch.float64)
    assert tiny(0)(x, HALF).shape == x.shape


def test_looks_ahead_only_where_told(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    """One direction: nothing but the 3-tap convolutions looks ahead, a step in every block."""
    x, t, y = inputs
    changed = x.clone()
    changed[..., 15:] += 1.0
    reach = TINY["n_blocks"]
    for bidirectional in (False, True):
        network = tiny(bidirectional=bidirectional)
        difference = (network(x, t, y) - network(changed, t, y)).abs()
        before = difference[..., : 15 - reach].max()
        assert before > 1e-6 if bidirectional else before < 1e-12
        assert difference[..., 15 - reach].max() > 1e-6


def test_recomputed_blocks_give_the_same_gradient(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    gradients = []
    for checkpoint in (False, True):
        network = tiny(checkpoint=checkpoint)
        x = inputs[0].clone().requires_grad_()
        loss = network(x, *inputs[1:]).square().sum()
        gradients.append(torch.autograd.grad(loss, [x, *network.parameters()], allow_unused=True))
    for plain, recomputed in zip(*gradients, strict=True):
        assert (plain is None) == (recomputed is None)
        if plain is None:  # the last block's residual
            continue
        torch.testing.assert_close(recomputed, plain, rtol=1e-12, atol=1e-12)


def test_every_parameter_learns(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    network = tiny()
    network(*inputs).square().sum().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    # The last block's series goes nowhere; only its skip does.
    last = f"blocks.{TINY['n_blocks'] - 1}.residual."
    assert {name for name in idle if not name.startswith(last)} == set()


def test_precision_changes_by_itself(inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    network = tiny().float()
    single = network(*(each.float() for each in inputs))
    torch.testing.assert_close(AnyPrecision(network)(*inputs).float(), single, rtol=1e-3, atol=1e-4)


def test_published_size() -> None:
    """Of two sizes, without building the whole: 36 equal blocks and what stands around them."""
    one, two = (
        sum(p.numel() for p in SSSDECG((8, 1000), 71, PROCESS, n_blocks=n).parameters()) for n in (1, 2)
    )
    width, pairs = 512, 32
    layer = width * (2 + 2 * pairs + 4 * pairs) + width * width + width + 2 * width
    block = (width + 1) * 256 + (3 * 256 + 1) * width + 2 * (256 + 1) * 256 + 129 * width + 2 * layer
    assert two - one == block
    assert 52.4e6 < one + 35 * (two - one) < 52.6e6


def test_wrong_shape() -> None:
    with pytest.raises(ValueError, match="Use ScoreMLP for tables"):
        SSSDECG((10,), 0, PROCESS)


def test_other_discretisation_fits_in() -> None:
    network = tiny(ssm=partial(DiagonalSSM, discretization="bilinear", initialization="inv"))
    x = torch.randn(1, *SHAPE, dtype=torch.float64)
    held = tiny(ssm=partial(DiagonalSSM, initialization="inv"))
    assert 1e-6 < (network(x, HALF) - held(x, HALF)).abs().max() < 10.0


def test_in_a_generator() -> None:
    """Sines whose frequency and amplitude are the two labels; tiny fit, several labels at once."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (40, 2))
    phase = rng.uniform(0, 2 * np.pi, (40, 1, 1))
    grid = np.arange(16)[None, None, :]
    X = (1 + y[:, :1, None]) * np.sin((1 + y[:, 1:, None]) * grid * np.pi / 8 + phase)
    generator = DiffusionGenerator(
        module=partial(SSSDECG, n_blocks=2, n_channels=8, state_size=8, label_size=4),
        max_steps=15, batch_size=16, random_state=0,
    ).fit(X, y)  # fmt: skip
    samples, labels = generator.sample(5, y=y[:5], n_steps=4)
    assert samples.shape == (5, 1, 16)
    assert np.isfinite(samples).all()
    np.testing.assert_array_equal(labels, y[:5])
    losses = [row["train_score"] for row in generator.history_]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("shared", [False, True])
def test_reference_kernel_of_the_benchmark(shared: bool) -> None:
    """S4's kernel against its dense bilinear recurrence."""
    size, length = 8, 20
    torch.manual_seed(0)
    kernel = DPLRKernel(2, size, 2, shared=shared).double()
    p, b, c = (torch.view_as_complex(each) for each in (kernel.p, kernel.b, kernel.c))
    a = torch.complex(-kernel.log_decay.exp(), kernel.frequency)
    identity = torch.eye(size, dtype=a.dtype)
    for h, step in enumerate(kernel.log_step.exp()):
        low = torch.cat([p[h], p[h].conj()])
        A = torch.diag(torch.cat([a[h], a[h].conj()])) - torch.outer(low, low.conj())
        A_step = torch.linalg.solve(identity - step / 2 * A, identity + step / 2 * A)
        B_step = torch.linalg.solve(identity - step / 2 * A, step * torch.cat([b[h], b[h].conj()]))
        whole = identity - torch.linalg.matrix_power(A_step, length)
        C = torch.linalg.solve(whole, torch.cat([c[:, h], c[:, h].conj()], dim=-1), left=False)
        powers = [(C @ torch.linalg.matrix_power(A_step, k) @ B_step).real for k in range(length)]
        torch.testing.assert_close(kernel(length)[:, h], torch.stack(powers, -1), rtol=1e-9, atol=1e-12)


def test_reference_starts_from_legs() -> None:
    eigenvalues, p, _ = legs(8)
    low = torch.cat([p, p.conj()])
    A = torch.diag(torch.cat([eigenvalues, eigenvalues.conj()])) - torch.outer(low, low.conj())
    for k in range(1, 5):  # traces of powers fix the spectrum
        expected = torch.linalg.matrix_power(dense_legs(8), k).trace()
        torch.testing.assert_close(torch.linalg.matrix_power(A, k).trace().real, expected)


def test_benchmark_runs(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    arguments = ["s4", "--quick", "--threads", str(threads), "--part", "step", "--part", "kernel"]
    assert main([*arguments, "--out", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 0
    page = (tmp_path / "benchmarks" / "s4.md").read_text(encoding="utf-8")
    for words in ("One step of 2 blocks", "| S4D | 1 | yes |", "| S4, plain |", "S4D over this"):
        assert words in page
