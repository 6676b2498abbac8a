"""Objectives on noised batches: which terms there are, and what the oracles make of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sktgdp.estimators._training.batches import Batch, Pool, PoolBatches
from sktgdp.estimators._training.objectives import CleanDomain, Denoising, Guidance, NoisedDomain
from sktgdp.oracles import GaussianMixture, MixtureShift, paper_mixture_shift
from sktgdp.process import VPProcess

PROCESS = VPProcess()
SHIFT = paper_mixture_shift()
N_ROWS = 4000


def unconditional(function: object) -> object:
    return lambda x_t, t, y=None: function(x_t, t)


class Oracle(nn.Module):
    """The exact log guidance, with one parameter that scales it."""

    def __init__(self, shift: MixtureShift = SHIFT) -> None:
        super().__init__()
        self.shift, self.scale = shift, nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor | None = None, y: Tensor | None = None) -> Tensor:
        return self.scale * self.shift.log_guidance(x, 0.0 if t is None else t)


def draw(shift: MixtureShift, *domains: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    pools = {}
    for name in domains:
        x0 = getattr(shift, name).sample(N_ROWS, generator)[0]
        pools[name] = Pool(x0, None, N_ROWS, log_ratio=shift.log_density_ratio(x0))
    ((batch, _),) = PoolBatches(pools, PROCESS, 1, generator)
    return batch


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw(SHIFT, "source", "target")


def gaussian(mean: float) -> GaussianMixture:
    return GaussianMixture([1.0], [[mean, 0.0]], [1.0])


@pytest.fixture(scope="module")
def near() -> tuple[MixtureShift, Batch]:
    """Domains so near that means over the ratio have little variance."""
    shift = MixtureShift(gaussian(0.0), gaussian(0.4))
    return shift, draw(shift, "source", "target")


def slope(term: Tensor, module: Oracle) -> float:
    return torch.autograd.grad(term, module.scale, retain_graph=True)[0].item()


def test_terms_of_the_guidance(batch: Batch) -> None:
    """What is switched off is not computed; target rows alone are for validation."""
    noise, log_ratio = unconditional(SHIFT.source.noise), unconditional(SHIFT.log_guidance)

    def terms(*args: object, rows: Batch = batch) -> set[str]:
        return set(Guidance(noise, PROCESS, "kl", *args)(Oracle(), rows))

    assert terms(log_ratio, True) == {"guidance", "cycle", "consistency"}
    assert terms(None, True) == {"guidance", "consistency"}
    assert terms(log_ratio, False) == {"guidance", "cycle"}
    assert terms(None, False) == {"guidance"}
    assert terms(log_ratio, True, rows=Batch({"target": batch["target"]})) == {"denoising"}
    assert terms(log_ratio, True, rows=Batch({"source": batch["source"]})) == {"guidance"}


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_exact_guidance_is_a_minimum_of_every_term(loss: str, near: tuple[MixtureShift, Batch]) -> None:
    """Slopes at the truth are small against those at a guidance of half the strength."""
    shift, batch = near
    objective = Guidance(
        unconditional(shift.source.noise), PROCESS, loss, unconditional(shift.log_guidance), True
    )
    module = Oracle(shift)
    at_truth = {name: slope(term, module) for name, term in objective(module, batch).items()}
    module.scale.data.fill_(0.5)
    halfway = {name: slope(term, module) for name, term in objective(module, batch).items()}
    assert at_truth["cycle"] == 0.0
    for name, value in at_truth.items():
        assert abs(value) < 0.25 * abs(halfway[name]), name
        assert halfway[name] < 0, name


def test_domain_objectives_have_the_log_ratio_as_minimum(near: tuple[MixtureShift, Batch]) -> None:
    shift, batch = near
    for objective in (NoisedDomain(), CleanDomain()):
        module = Oracle(shift)
        clean = isinstance(objective, CleanDomain)
        # clean rows have no time: the oracle takes t = 0 there
        (at_truth,) = objective(module, batch).values()
        module.scale.data.fill_(0.5)
        (halfway,) = objective(module, batch).values()
        assert halfway > at_truth, clean
        assert slope(halfway, module) < 0, clean


def test_nothing_reaches_what_is_frozen(batch: Batch) -> None:
    source, ratio = nn.Linear(2, 2).double(), nn.Linear(2, 1).double()
    objective = Guidance(lambda x, t, y: source(x), PROCESS, "kl", lambda x, t, y: ratio(x).squeeze(1), True)
    module = Oracle()
    sum(objective(module, batch).values()).backward()
    assert module.scale.grad is not None
    assert all(p.grad is None for p in [*source.parameters(), *ratio.parameters()])


def test_validation_is_the_consistency_term(batch: Batch) -> None:
    objective = Guidance(unconditional(SHIFT.source.noise), PROCESS)
    with torch.no_grad():
        (valid,) = objective(Oracle(), Batch({"target": batch["target"]})).values()
    assert valid.item() == pytest.approx(objective(Oracle(), batch)["consistency"].item())
    assert not valid.requires_grad


def test_denoising_is_best_with_the_exact_noise(batch: Batch) -> None:
    rows = Batch({"rows": batch["target"]})
    exact, other = (
        Denoising()(unconditional(mixture.noise), rows)["score"] for mixture in (SHIFT.target, SHIFT.source)
    )
    assert exact < other
