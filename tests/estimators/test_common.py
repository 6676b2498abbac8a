"""scikit-learn's contract, over every public estimator.

Estimators of two domains are checked as they are for parameters, cloning and printing, and for all the rest
through their stacked form: every fourth row is a target row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples
from small_models import TINY, TINY_NETWORK, TINY_RATIO, TINY_SERIES, tiny_tgdp

import sktgdp
from sktgdp import (
    AugmentedClassifier,
    DiffusionGenerator,
    DomainClassifier,
    FineTunedDiffusionGenerator,
    FineTunedSeriesClassifier,
    GenerativeSampler,
    SeriesClassifier,
    TGDPGenerator,
)
from sktgdp.likelihood import log_density
from sktgdp.preprocessing import RowStandardizer, SpectralTransformer

ESTIMATORS: list[Any] = [
    DiffusionGenerator(**TINY_NETWORK),
    FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY),
    DomainClassifier(**TINY_RATIO, random_state=0),
    tiny_tgdp(),
    RowStandardizer(),
    RowStandardizer(common_scale=True),
    SpectralTransformer(),
    SeriesClassifier(**TINY_SERIES),
    FineTunedSeriesClassifier(
        SeriesClassifier(**{**TINY_SERIES, "max_steps": 1}),
        **{k: v for k, v in TINY_SERIES.items() if k != "module"},
        head_steps=1,
        full_lr_ratio=1.0,
        layer_decay=1.0,
    ),
]
# tested, with their own small generators, in test_augmentation.py
CHECKED_ELSEWHERE = {AugmentedClassifier, GenerativeSampler}
TWO_DOMAINS = (FineTunedDiffusionGenerator, FineTunedSeriesClassifier, DomainClassifier, TGDPGenerator)
WITHOUT_TARGET = (FineTunedDiffusionGenerator, TGDPGenerator)  # they fit on source rows alone
# check: why no estimator of ours can pass it
NAMES = {"check_fit_score_takes_y": "two-domain fit: the second argument is y_src, the source's labels"}
WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": "batches: repeated rows come at other times than "
    "rows that weigh more"
}
EXPECTED: dict[type, dict[str, str]] = {
    FineTunedDiffusionGenerator: NAMES,
    TGDPGenerator: NAMES,
    SeriesClassifier: WEIGHTS,
}


def stacked(X: Any) -> np.ndarray:
    return np.where(np.arange(_num_samples(X)) % 4 == 1, -1, 1)


class StackedFineTuned(FineTunedDiffusionGenerator):
    """Take rows of both domains as one array."""

    def fit(self, X: Any, y: Any = None) -> StackedFineTuned:
        return super().fit(X, y, sample_domain=stacked(X))


class StackedTGDP(TGDPGenerator):
    """Take rows of both domains as one array."""

    def fit(self, X: Any, y: Any = None) -> StackedTGDP:
        return super().fit(X, y, sample_domain=stacked(X))


class StackedRatio(DomainClassifier):
    """Take rows of both domains as one array, without labels: ``predict_proba`` would ask for them."""

    def fit(self, X: Any, y: Any = None) -> StackedRatio:
        return super().fit(X, sample_domain=stacked(X))


class StackedFineTunedClassifier(FineTunedSeriesClassifier):
    """Take the same rows as source and as target: both then have every class."""

    def fit(self, X: Any, y: Any = None) -> StackedFineTunedClassifier:
        return super().fit(X, y, X, y)


STACKED = {
    FineTunedDiffusionGenerator: StackedFineTuned,
    FineTunedSeriesClassifier: StackedFineTunedClassifier,
    TGDPGenerator: StackedTGDP,
    DomainClassifier: StackedRatio,
}


def in_stacked_form(estimator: Any) -> Any:
    kind = STACKED.get(type(estimator))
    return estimator if kind is None else kind(**estimator.get_params(deep=False))


@pytest.fixture(autouse=True)
def _coarse_densities(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks ask for scores over and over, and never look how good they are."""
    monkeypatch.setattr("sktgdp.estimators._base.log_density", partial(log_density, n_steps=2))


@parametrize_with_checks(
    # as they are, fitted without target rows; and on rows of both domains
    [e for e in ESTIMATORS if type(e) in WITHOUT_TARGET]
    + [in_stacked_form(estimator) for estimator in ESTIMATORS],
    expected_failed_checks=lambda estimator: EXPECTED.get(type(estimator), {}),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*got no target rows:UserWarning")
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


# What needs no fit: the classes themselves, with the four-array signature
PARAMETER_CHECKS = [
    "check_parameters_default_constructible",
    "check_no_attributes_set_in_init",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_mixin_order",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("check", PARAMETER_CHECKS)
@pytest.mark.parametrize("kind", TWO_DOMAINS, ids=lambda kind: kind.__name__)
def test_parameters(kind: type, check: str) -> None:
    estimator = next(clone(each) for each in ESTIMATORS if type(each) is kind)
    getattr(estimator_checks, check)(kind.__name__, estimator)


def test_every_public_estimator_is_checked() -> None:
    public = {getattr(sktgdp, name) for name in sktgdp.__all__}
    estimators = {each for each in public if isinstance(each, type) and issubclass(each, BaseEstimator)}
    assert estimators <= {type(each) for each in ESTIMATORS} | CHECKED_ELSEWHERE


@pytest.mark.parametrize(
    "kind", [DiffusionGenerator, SeriesClassifier, *TWO_DOMAINS], ids=lambda kind: kind.__name__
)
def test_every_parameter_is_constrained(kind: Any) -> None:
    """``fit`` checks each parameter; ``memory`` and the like must not be forgotten in the table."""
    assert set(kind._parameter_constraints) == set(kind().get_params(deep=False))
