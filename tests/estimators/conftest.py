"""Models that several tests look at; each is fitted once, small and short."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.frozen import FrozenEstimator
from small_models import Shift

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.datasets import make_gaussian_mixture_shift


@pytest.fixture(scope="session")
def shift() -> Shift:
    """2,000 source rows, 200 target rows, 1,000 more target rows."""
    X_test, y_test = make_gaussian_mixture_shift(1, 1000, random_state=1)[2:]
    return Shift(*make_gaussian_mixture_shift(2000, 200, random_state=0), X_test, y_test)


@pytest.fixture(scope="session")
def few(shift: Shift) -> tuple[Any, ...]:
    """Domains of a fit that only has to run."""
    return shift.X_src[:60], shift.y_src[:60], shift.X_tgt[:12], shift.y_tgt[:12]


@pytest.fixture(scope="session")
def source_model(shift: Shift) -> DiffusionGenerator:
    """A diffusion model of the labelled source."""
    model = DiffusionGenerator(hidden_sizes=(64, 64), max_steps=600, batch_size=512, random_state=0)
    return model.fit(shift.X_src, shift.y_src)


@pytest.fixture(scope="session")
def tgdp(shift: Shift, source_model: DiffusionGenerator) -> TGDPGenerator:
    """TGDP on a frozen source model."""
    model = TGDPGenerator(
        FrozenEstimator(source_model),
        domain_classifier=DomainClassifier(n_folds=2, max_steps=200),
        eta_cycle=0.5,
        eta_consistency=5.0,
        hidden_sizes=(48, 48),
        n_networks=2,
        max_steps=300,
        random_state=0,
    )
    return model.fit(*shift.domains)
