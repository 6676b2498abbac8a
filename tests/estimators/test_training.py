"""Training of any network on any objective: batches, schedule, best weights, and what must not change."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sktgdp.estimators._training.batches import Batch, Pool, PoolBatches
from sktgdp.estimators._training.devices import resolve_device
from sktgdp.estimators._training.net import MovingAverage, _read
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainedNetwork, TrainingProblem, train_network
from sktgdp.process import VPProcess

PROCESS = VPProcess()
CPU = torch.device("cpu")
SHORT = TrainingSettings(max_steps=40, lr=0.05, weight_decay=0.0, ema_decay=0.0)


class Weight(nn.Module):
    """One number, to be pushed about by an objective."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.LayerNorm(8), nn.Linear(8, 2))


def denoise(module: nn.Module, batch: Batch) -> dict[str, Tensor]:
    rows = batch["rows"]
    return {"score": (module(rows.x_t) - rows.eps).square().mean()}


def pool(n_rows: int = 50, batch_size: int = 16) -> Pool:
    return Pool(torch.randn(n_rows, 2, generator=torch.Generator().manual_seed(5)), None, batch_size)


def train(
    objective: Any = denoise,
    module: Any = network,
    settings: TrainingSettings = SHORT,
    *,
    seed: int = 0,
    valid: bool = False,
    weights: dict[str, float] | None = None,
    **options: Any,
) -> TrainedNetwork:
    valid_pools = {"rows": pool(20)} if valid else None
    problem = TrainingProblem(objective, {"rows": pool()}, PROCESS, "test", valid_pools, weights or {})
    return train_network(module, {}, problem, settings, seed=seed, device=CPU, **options)


def flat(module: nn.Module) -> Tensor:
    return torch.cat([p.flatten() for p in module.parameters()])


# Batches --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("n_rows", "batch_size"), [(3, 8), (1, 4), (10, 4), (8, 8)])
def test_pool_repeats_rows_equally(n_rows: int, batch_size: int, torch_rng: torch.Generator) -> None:
    """At any moment no row has been drawn two times more often than another."""
    stream, seen = pool(n_rows, batch_size).indices(torch_rng), Counter[int]()
    for _ in range(7):
        index = next(stream)
        assert len(index) == batch_size
        seen.update(index.tolist())
        assert max(seen.values()) - min(seen[k] for k in range(n_rows)) <= 1


@pytest.mark.parametrize("n_rows", [1, 10, 1000])
def test_times_are_stratified(n_rows: int, torch_rng: torch.Generator) -> None:
    index = next(pool(n_rows, n_rows).indices(torch_rng))
    rows = pool(n_rows).noised(index, PROCESS, torch_rng)
    u = (rows.t - PROCESS.t_min) / (1.0 - PROCESS.t_min)
    strata = (u.double() * n_rows).sort().values
    assert (strata - (torch.arange(n_rows) + 0.5)).abs().max() <= 0.5 + 1e-3
    assert rows.t.min() >= PROCESS.t_min
    assert rows.t.max() <= 1.0
    if n_rows == 1000:
        order = torch.corrcoef(torch.stack([rows.t, index.float()]))[0, 1]
        assert order.abs() < 0.15


def test_noised_rows(torch_rng: torch.Generator) -> None:
    labelled = replace(pool(9), y=torch.eye(9), log_ratio=torch.arange(9.0))
    index = torch.tensor([4, 4, 0, 8])
    rows = labelled.noised(index, PROCESS, torch_rng)
    assert torch.equal(rows.x0, labelled.x0[index])
    assert torch.equal(rows.y, torch.eye(9)[index])
    assert torch.equal(rows.log_ratio, index.float())
    assert torch.equal(rows.x_t, PROCESS.perturb(rows.x0, rows.t, rows.eps))
    assert not torch.equal(rows.eps[0], rows.eps[1])


def test_clean_rows(torch_rng: torch.Generator) -> None:
    pools = {"source": replace(pool(9), log_ratio=torch.arange(9.0), batch_size=4)}
    for batch, _ in PoolBatches(pools, None, 3, torch_rng):
        rows = batch["source"]
        assert torch.equal(rows.x_t, rows.x0)
        assert torch.equal(rows.x0, pools["source"].x0[rows.log_ratio.long()])
        assert rows.t.tolist() == [0.0] * 4
        assert torch.equal(rows.eps, torch.zeros_like(rows.x0))


def test_validation_batches_are_fixed(torch_rng: torch.Generator) -> None:
    def draws(batches: PoolBatches) -> list[Tensor]:
        return [batch["rows"].x_t for _ in range(2) for batch, _ in batches]

    first, again = draws(PoolBatches({"rows": pool()}, PROCESS, 1, torch_rng, fixed=True))
    assert torch.equal(first, again)
    first, again = draws(PoolBatches({"rows": pool()}, PROCESS, 1, torch_rng))
    assert not torch.equal(first, again)


def test_batch_of_several_domains(torch_rng: torch.Generator) -> None:
    pools = {"source": pool(50, 16), "target": pool(5, 32)}
    ((batch, _),) = PoolBatches(pools, PROCESS, 1, torch_rng)
    assert len(batch) == 48
    assert len(batch["target"].x0) == 32
    assert batch.get("rows") is None


# Seeds ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.usefixtures("global_rng_untouched")
def test_seed_decides_everything(valid: bool) -> None:
    first, again = train(seed=3, valid=valid), train(seed=3, valid=valid)
    assert torch.equal(flat(first.module), flat(again.module))
    assert first.history == again.history
    assert not torch.equal(flat(first.module), flat(train(seed=4, valid=valid).module))


def test_global_random_state_does_not_matter() -> None:
    first = train(seed=3)
    torch.manual_seed(77)
    assert torch.equal(flat(first.module), flat(train(seed=3).module))


# Schedule and averages ------------------------------------------------------------------------------
@pytest.mark.parametrize("max_steps", [1, 2, 19, 30, 1000])
def test_learning_rate(max_steps: int) -> None:
    """Up to the full rate, then down to nothing, never negative."""
    rates = [TrainingSettings(max_steps=max_steps).rate(step) for step in range(max_steps + 1)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1.0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[0] > 0
    assert rates[-1] == pytest.approx(0.0, abs=1e-12) or max_steps == 1


@pytest.mark.parametrize("max_steps", [1, 7, 45, 130])
def test_number_of_steps(max_steps: int) -> None:
    """As many as asked for, rounded up to whole epochs."""
    steps = CountSteps()
    settings = replace(SHORT, max_steps=max_steps)
    history = train(settings=settings, callbacks=[steps]).history
    assert max_steps <= steps.count < max_steps + settings.steps_per_epoch
    assert history[-1]["step"] == steps.count
    assert len(history) == settings.n_epochs


def test_moving_average() -> None:
    """avg += (w - avg) (1 - min(decay, n / (n + 10))), from the first weight on."""
    module = Weight(1.0)
    average, expected = MovingAverage(module, 0.5), 1.0
    for n in range(30):
        with torch.no_grad():
            module.w.fill_(n**2)
        average.update()
        expected = 0.0 if n == 0 else expected + (n**2 - expected) * (1.0 - min(0.5, n / (n + 10)))
        assert average.module.w.item() == pytest.approx(expected, rel=1e-5)


def test_no_average_costs_nothing() -> None:
    """A decay of 0 copies no weights: the average is the network itself."""
    module = network()
    average, before = MovingAverage(module, 0.0), flat(module).clone()
    average.update()
    assert average.module is module
    assert torch.equal(flat(module), before)


def test_average_copies_buffers() -> None:
    """Running means are not averaged a second time."""
    module = nn.BatchNorm1d(2)
    average = MovingAverage(module, 0.9)
    module(torch.arange(6.0).reshape(3, 2))
    assert torch.equal(average.module.get_buffer("running_mean"), module.get_buffer("running_mean"))
    assert not average.module.training


def test_average_is_what_is_kept() -> None:
    def push(module: Weight, batch: Batch) -> dict[str, Tensor]:
        return {"push": -module.w}

    last = train(push, Weight).module.w.item()
    mean = train(push, Weight, replace(SHORT, ema_decay=0.9)).module.w.item()
    assert 0.0 < mean < last


# The loop -------------------------------------------------------------------------------------------
class CountSteps(Callback):
    """Count gradient steps."""

    count = 0

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        self.count += training


def test_learns() -> None:
    history = train(settings=replace(SHORT, max_steps=300, lr=0.01)).history
    assert history[-1]["train_score"] < 0.6 * history[0]["train_score"]
    assert {row["phase"] for row in history} == {"test"}
    assert all(math.isfinite(row["train_loss"]) for row in history)


def test_result_is_frozen_and_in_evaluation_mode() -> None:
    trained = train()
    assert not trained.module.training
    assert not any(p.requires_grad for p in trained.module.parameters())
    assert trained.n_parameters == len(flat(trained.module))


def test_best_weights_are_kept() -> None:
    """The weight runs away upwards; held-out rows say that 0.5 was best."""

    def push(module: Weight, batch: Batch) -> dict[str, Tensor]:
        if torch.is_grad_enabled():
            return {"push": -module.w}
        return {"gap": (module.w - 0.5).square()}

    trained = train(push, Weight, valid=True)
    gaps = [row["valid_gap"] for row in trained.history]
    assert (trained.module.w.item() - 0.5) ** 2 == pytest.approx(min(gaps))
    assert trained.best_loss == pytest.approx(min(gaps))
    assert gaps[-1] > 2 * min(gaps)


def test_stops_without_progress() -> None:
    """Validation is best after the first epoch: 40 % of the epochs later training ends."""

    def push(module: Weight, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -module.w if torch.is_grad_enabled() else module.w}

    trained = train(push, Weight, replace(SHORT, patience=0.4), valid=True)
    assert len(trained.history) == 1 + math.ceil(0.4 * SHORT.n_epochs)
    assert trained.module.w.item() == pytest.approx(trained.history[0]["valid_loss"])


@pytest.mark.parametrize("max_steps", [3, 40])
def test_divergence_names_the_term(max_steps: int) -> None:
    def explode(module: Weight, batch: Batch) -> dict[str, Tensor]:
        return {"calm": module.w.square(), "wild": (-module.w.square() - 1.0).sqrt()}

    with pytest.raises(FloatingPointError, match=r"diverged.*calm = .*wild = nan.*Lower `lr`"):
        train(explode, Weight, replace(SHORT, max_steps=max_steps))


def test_single_bad_steps_are_skipped() -> None:
    calls: Iterator[int] = iter(range(10_000))

    def hiccup(module: Weight, batch: Batch) -> dict[str, Tensor]:
        return {"push": -module.w * (math.inf if next(calls) % 10 == 5 else 1.0)}

    assert 0.0 < train(hiccup, Weight).module.w.item() < math.inf


@pytest.mark.parametrize(("up", "down", "sign"), [(1.0, 0.0, 1), (0.0, 1.0, -1), (2.0, 1.0, 1)])
def test_term_weights(up: float, down: float, sign: int) -> None:
    """Weights act on the gradient; the history has every term without its weight."""

    def tug(module: Weight, batch: Batch) -> dict[str, Tensor]:
        return {"up": -module.w, "down": module.w}

    trained = train(tug, Weight, weights={"up": up, "down": down})
    assert math.copysign(1, trained.module.w.item()) == sign
    row = trained.history[3]
    assert row["train_up"] == pytest.approx(-row["train_down"])
    assert row["train_loss"] == pytest.approx(up * row["train_up"] + down * row["train_down"])


def test_some_parameters_only() -> None:
    """Biases and norms are trained, all others stay bitwise."""
    start = network()
    trained = train(start=start, trainable=lambda module: (p for p in module.parameters() if p.ndim == 1))
    for before, after in zip(start.parameters(), trained.module.parameters(), strict=True):
        assert torch.equal(before, after) == (before.ndim > 1)
    assert trained.n_parameters == sum(p.numel() for p in start.parameters() if p.ndim == 1)


def test_starts_from_another_network() -> None:
    start = network()
    before = flat(start).clone()
    trained = train(start=start, settings=replace(SHORT, lr=1e-8))
    torch.testing.assert_close(flat(trained.module), before, rtol=0, atol=1e-5)
    assert torch.equal(flat(start), before)
    assert all(p.requires_grad for p in start.parameters())


def test_callbacks_see_the_training() -> None:
    class Watch(CountSteps):
        def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
            assert "train_score" in net.history[-1], "the terms are there before the user's callbacks run"

    first, second = Watch(), Watch()
    train(callbacks=[first, second])
    assert first.count == second.count == 40


def test_losses_on_a_device_are_read_together() -> None:
    batches: list[dict[str, Any]]
    batches = [{"train_a": torch.tensor(float(k)), "train_batch_size": k} for k in (1, 2)]
    _read(batches)
    assert batches == [{"train_a": float(k), "train_batch_size": k} for k in (1, 2)]
    assert not any(isinstance(value, Tensor) for batch in batches for value in batch.values())


def test_devices() -> None:
    assert resolve_device("cpu") == CPU
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
