"""Trainings that go wrong are mended, or say so; domains that are apart, or the same."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from small_models import TINY_RATIO, TINY_SERIES, Shift, TinyXResNet, tiny_tgdp
from torch import Tensor, nn

from sktgdp import DiffusionGenerator, DomainClassifier, SeriesClassifier, TGDPGenerator
from sktgdp.estimators._training.batches import Batch, Pool
from sktgdp.estimators._training.divergence import MAX_BAD_STEPS, MAX_RESTORES, faulty_terms
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainedNetwork, TrainingProblem, train_network
from sktgdp.exceptions import OverlapWarning
from sktgdp.metrics import two_sample_auc
from sktgdp.process import VPProcess

SETTINGS = TrainingSettings(max_steps=400, lr=0.05, weight_decay=0.0, ema_decay=0.0)


class Weight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.0))


class BadFrom:
    """Pushes the weight upwards; from one call to another a term is not finite."""

    def __init__(self, first: int, last: float, faulty: Any = lambda w: w * math.nan) -> None:
        self.calls, self.first, self.last, self.faulty = itertools.count(), first, last, faulty

    def __call__(self, module: Any, batch: Batch) -> dict[str, Tensor]:
        bad = self.first <= next(self.calls) < self.last
        return {"guidance": -module.w, "cycle": self.faulty(module.w) if bad else 0.0 * module.w}


def train(objective: Any) -> TrainedNetwork:
    problem = TrainingProblem(objective, {"rows": Pool(torch.zeros(4, 1), None, 4)}, VPProcess(), "guidance")
    return train_network(Weight, {}, problem, SETTINGS, seed=0, device=torch.device("cpu"))


FAULTS: dict[str, Any] = {
    "value": lambda w: w * math.nan,
    "infinite value": lambda w: w + math.inf,
    "gradient alone": lambda w: w.abs().sqrt(),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_faulty_term_is_found(fault: Any) -> None:
    module = Weight()
    terms = {"guidance": -module.w, "cycle": fault(module.w), "off": module.w * math.nan}
    assert faulty_terms(terms, {"off": 0.0}, module) == ["cycle"]


def test_skipped_steps_are_counted() -> None:
    """Five bad steps of 400: the weights do not move in them, and nothing else happens."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained = train(BadFrom(110, 115))
    assert sum(row["skipped_steps"] for row in trained.history) == 5
    assert trained.history[-1]["restores"] == 0
    assert all(math.isfinite(row["train_loss"]) for row in trained.history)
    plain = train(BadFrom(0, 0))
    assert trained.module.w.item() < plain.module.w.item()


def test_goes_back_and_halves_the_rate() -> None:
    """Twenty bad steps in a row: the weights of the last whole epoch, half the rate, and a warning."""
    with pytest.warns(
        ConvergenceWarning, match=r"'guidance': 20 steps in a row.*by cycle .*1 times.*went well"
    ):
        trained = train(BadFrom(110, 110 + MAX_BAD_STEPS + 1))
    assert trained.history[-1]["restores"] == 1
    plain = train(BadFrom(0, 0))
    rows, as_planned = trained.history[-1], plain.history[-1]
    assert rows["train_guidance"] > as_planned["train_guidance"], "slower, so less far down"


def test_gives_up_with_the_last_good_weights() -> None:
    with pytest.warns(ConvergenceWarning, match=r"by cycle.*5 times.*stopped, with the last good weights"):
        trained = train(BadFrom(110, math.inf))
    assert sum(row["skipped_steps"] for row in trained.history) <= (MAX_RESTORES + 1) * MAX_BAD_STEPS
    # the fifth epoch of 20 steps was the last whole one; on a constant gradient Adam goes by the rate
    rates = sum(SETTINGS.lr * SETTINGS.rate(step) for step in range(100))
    assert trained.module.w.item() == pytest.approx(rates, rel=1e-5)


def test_never_finite_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"diverged in the phase 'guidance'.*by cycle .*Lower `lr`"):
        train(BadFrom(0, math.inf))


# Classifiers of series ---------------------------------------------------------------------------------
SERIES, CLASSES = np.random.default_rng(0).normal(size=(24, 1, 16)), np.arange(24) % 2
N_STEPS = 400


class FaultyXResNet(TinyXResNet):
    """From one training step to another its input, and so every batch norm, is not finite."""

    faulty = range(0)

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        super().__init__(n_channels, n_outputs)
        self.calls = itertools.count()

    def forward(self, x: Tensor) -> Tensor:
        bad = self.training and next(self.calls) in self.faulty
        return super().forward(x * math.nan if bad else x)


def classifier(faulty: range, monkeypatch: pytest.MonkeyPatch) -> SeriesClassifier:
    monkeypatch.setattr(FaultyXResNet, "faulty", faulty)
    params = {**TINY_SERIES, "module": FaultyXResNet, "max_steps": N_STEPS, "batch_size": 4}
    return SeriesClassifier(**params).fit(SERIES, CLASSES)


def test_classifier_skips_bad_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = classifier(range(110, 115), monkeypatch)
    assert sum(row["skipped_steps"] for row in model.history_) == 5
    assert all(bool(value.isfinite().all()) for value in model.network_.state_dict().values())
    assert np.isfinite(model.predict_proba(SERIES)).all()


@pytest.mark.parametrize(("last", "end"), [(135, "went well"), (N_STEPS, "stopped")])
def test_classifier_goes_back_and_names_the_loss(
    last: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(ConvergenceWarning, match=rf"'classifier': 20 steps in a row.*by labels .*{end}"):
        model = classifier(range(110, last), monkeypatch)
    assert model.history_[-1]["restores"] == (1 if end == "went well" else MAX_RESTORES)
    assert np.isfinite(model.predict_proba(SERIES)).all()


# Networks that learn nothing ---------------------------------------------------------------------------
def waves(tails: bool) -> Any:
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(32) / 4 + rng.uniform(0, 6, (100, 1)))[:, None]
    return X * rng.standard_t(0.7, (100, 1, 1)) if tails else X


def test_dead_network_is_announced() -> None:
    """Outlying batches at a hundred times the default rate: the loss stays at its start."""
    params = {"hidden_sizes": (8, 16), "max_steps": 100, "early_stopping": False, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match=r"learned nothing in the phase 'diffusion'.*Lower `lr`"):
        DiffusionGenerator(**params, lr=0.1).fit(waves(tails=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        DiffusionGenerator(**params).fit(waves(tails=False))


def test_noise_is_no_dead_network() -> None:
    """Of standard normal rows there is nothing to learn but that."""
    X = np.random.default_rng(0).normal(size=(300, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        DiffusionGenerator(hidden_sizes=(16, 16), max_steps=100, batch_size=64, random_state=0).fit(X)


# Domains that are apart, and domains that are the same --------------------------------------------------
def apart(distance: float) -> tuple[Any, None, Any]:
    X = np.random.default_rng(0).normal(size=(150, 2))
    return X[:100], None, X[100:] + distance


RATIO = DomainClassifier(**{**TINY_RATIO, "max_steps": 100}, lr=0.02, random_state=0)


@pytest.mark.parametrize(
    ("eta", "advice"), [("auto", "rest on the target rows"), (0, 'eta_consistency="auto"')]
)
def test_domains_apart(eta: Any, advice: str) -> None:
    model = tiny_tgdp(domain_classifier=RATIO, eta_consistency=eta)
    with pytest.warns(
        OverlapWarning, match=rf"sample size of the density ratio is 1\.\d of 100.*{advice}"
    ) as found:
        model.fit(*apart(12.0))
    assert len(found) == 1
    assert found[0].filename == __file__
    assert model.effective_sample_size_ < 2
    assert np.isfinite(model.sample(20)[0]).all()
    with pytest.warns(OverlapWarning, match="Differences of log ratios mean little") as found:
        DomainClassifier(**RATIO.get_params()).fit(*apart(12.0))
    assert found[0].filename == __file__


def test_near_domains_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", OverlapWarning)
        tiny_tgdp(domain_classifier=RATIO).fit(*apart(0.5))


def test_same_domain(shift: Shift, source_model: DiffusionGenerator) -> None:
    """Target rows from the source: nearly no guidance, and samples that are equal in law to the source."""
    X, y = shift.X_src[:1000], shift.y_src[:1000]
    model = TGDPGenerator(
        FrozenEstimator(source_model),
        domain_classifier=DomainClassifier(n_folds=2, max_steps=200),
        hidden_sizes=(32, 32), n_networks=1, max_steps=200, random_state=0,
    ).fit(X, y, shift.X_src[1000:1500], shift.y_src[1000:1500])  # fmt: skip
    assert model.effective_sample_size_ > 500
    assert np.abs(model.log_density_ratio(X, y)).mean() < 0.3
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn(500, 2, generator=generator)
    t = torch.rand(500, generator=generator) * 0.9 + 0.1
    codes = torch.eye(2)[torch.arange(500) % 2]
    with torch.no_grad():
        plain = model.source_model_.noise_model(codes)(x_t, t)
        guided = model.noise_model(codes)(x_t, t)
    assert (guided - plain).square().mean() < 0.02 * plain.square().mean()
    samples, _ = model.sample(500, random_state=1)
    assert abs(two_sample_auc(shift.X_src[1500:2000], samples) - 0.5) < 0.08
