"""Parameters of TGDP: each does what it says, and every plug fits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from small_models import Shift, phases, tiny_tgdp
from torch import Tensor, nn

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.estimators import overlap_weights
from sktgdp.estimators._overlap import domain_overlap
from sktgdp.nets import GuidanceMLP
from sktgdp.process import VPProcess

ETAS = [{"eta_cycle": a, "eta_consistency": b} for a in (0, 0.5) for b in (0.0, 2)]


def terms(model: TGDPGenerator) -> set[str]:
    """Terms of the guidance loss that were trained."""
    rows = [row for row in model.history_ if row["phase"] == "guidance"]
    return {name[6:] for row in rows for name in row if name.startswith("train_")} - {"loss"}


def test_terms_of_a_fit(tgdp: TGDPGenerator) -> None:
    assert terms(tgdp) == {"guidance", "cycle", "consistency"}


@pytest.mark.parametrize("etas", ETAS, ids=str)
def test_zero_switches_a_term_off(etas: dict[str, float], few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(**etas).fit(*few)
    wanted = {name[4:] for name, eta in etas.items() if eta > 0}
    assert terms(model) == {"guidance"} | wanted
    assert (model.time_classifier_ is None) == (etas["eta_cycle"] == 0)
    assert ("time classifier" in phases(model)) == (etas["eta_cycle"] > 0)
    assert ("time classifier" in model.fit_time_) == (etas["eta_cycle"] > 0)
    assert (model.eta_cycle_, model.eta_consistency_) == (etas["eta_cycle"], etas["eta_consistency"])


def test_auto_weights_are_those_of_the_overlap(few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(eta_cycle="auto", eta_consistency="auto").fit(*few)
    assert model.overlap_ == domain_overlap(model.effective_sample_size_, 12, 2)
    assert (model.eta_cycle_, model.eta_consistency_) == overlap_weights(model.overlap_)


@pytest.mark.parametrize("n_features", [1, 2, 64])
@pytest.mark.parametrize("n_target", [2, 100, 10_000])
def test_overlap(n_target: int, n_features: int) -> None:
    """Between 0 for a ratio of one row and 1; more with rows behind the ratio, less with target rows."""
    overlaps = [domain_overlap(size, n_target, n_features) for size in (1, 2, 5, 30, 1e3, 1e9)]
    assert overlaps == sorted(overlaps)
    assert overlaps[0] == 0.0
    assert overlaps[-1] == pytest.approx(1.0, abs=1e-4)
    assert domain_overlap(50, n_target, n_features) >= domain_overlap(50, 2 * n_target, n_features)
    assert domain_overlap(50, n_target, n_features) >= domain_overlap(50, n_target, 2 * n_features)


def test_less_overlap_means_more_consistency_and_less_cycle() -> None:
    cycle, consistency = zip(*map(overlap_weights, [0.0, 0.05, 0.2, 0.7, 1.0]), strict=True)
    assert list(cycle) == sorted(cycle)
    assert list(consistency) == sorted(consistency, reverse=True)
    assert cycle[0] == 0.0, "nothing is trained for a term that carries noise"
    assert 0 < consistency[-1] < consistency[0]


@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_guidance_losses(loss: str, few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(guidance_loss=loss, eta_cycle=1.0, max_steps=20).fit(*few)
    assert terms(model) == {"guidance", "cycle", "consistency"}
    assert np.isfinite(model.sample(5)[0]).all()


@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        DomainClassifier(LogisticRegression(), n_folds=3),
    ],
    ids=["logistic", "boosting", "calibrated", "DomainClassifier"],
)
@pytest.mark.usefixtures("global_rng_untouched")
def test_any_domain_classifier(classifier: Any, few: tuple[Any, ...]) -> None:
    before = pickle.dumps(classifier)
    model = tiny_tgdp(domain_classifier=classifier).fit(*few)
    assert pickle.dumps(classifier) == before
    assert isinstance(model.domain_classifier_, DomainClassifier)
    assert np.isfinite(model.log_density_ratio(few[2], few[3])).all()
    assert model.sample(2)[0].shape == (2, 2)


class Quadratic(nn.Module):
    """log h = a |x|^2, a guidance network of one's own."""

    def __init__(self, event_shape: tuple[int, ...], n_labels: int, process: VPProcess) -> None:
        super().__init__()
        self.shape, self.n_labels = event_shape, n_labels
        self.a = nn.Parameter(torch.zeros(()))

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return self.a * x_t.flatten(1).square().sum(1)


def test_own_guidance_module(few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(guidance_module=Quadratic, n_networks=1, max_steps=50).fit(*few)
    assert isinstance(model.guidance_, Quadratic)
    assert (model.guidance_.shape, model.guidance_.n_labels) == ((2,), 2)
    assert model.guidance_.a != 0
    z = np.ones((3, 2))
    np.testing.assert_allclose(model.guidance(z, 0.5, few[1][:3]), 2 * model.guidance_.a.item(), rtol=1e-6)


@pytest.mark.parametrize("conditional", [False, True, "auto"])
def test_conditional(conditional: Any, few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(conditional=conditional).fit(*few)
    X, y = model.sample(4)
    assert (y is None) == (conditional is False)
    assert (model.target_prior_ is None) == (conditional is False)
    assert model.log_density_ratio(X, y).shape == model.score_samples(X, y).shape == (4,)
    assert tiny_tgdp().fit(few[0], None, few[2]).sample(2)[1] is None


@pytest.mark.parametrize("balance", [False, True])
def test_balance_source(balance: bool, source_model: DiffusionGenerator, shift: Shift) -> None:
    """Rows alike, other shares of the classes: balancing takes the shift of the labels out of the ratio."""
    X, y = shift.X_src[:1000], shift.y_src[:1000]
    target = np.concatenate([np.flatnonzero(y == 1)[:200], np.flatnonzero(y == -1)[:40]])
    classifier = DomainClassifier(LogisticRegression(), n_folds=2)
    model = tiny_tgdp(
        source_model=FrozenEstimator(source_model), balance_source=balance, domain_classifier=classifier
    )
    model.fit(X, y, X[target], y[target])
    of_class = [model.log_density_ratio(X[:100], np.full(100, label)).mean() for label in (-1, 1)]
    gap = of_class[1] - of_class[0]
    assert abs(gap) < 0.5 if balance else gap == pytest.approx(np.log(5.0), abs=0.8)


@pytest.mark.parametrize(("early_stopping", "n_networks"), [(True, 3), (False, 1), (False, 2)])
def test_number_of_networks(early_stopping: bool, n_networks: int, few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(early_stopping=early_stopping, n_networks=n_networks).fit(*few)
    members = [module for module in model.guidance_.modules() if isinstance(module, GuidanceMLP)]
    assert len(members) == n_networks
    held = [row for row in model.history_ if row["phase"] == "guidance" and "valid_denoising" in row]
    assert bool(held) == early_stopping
