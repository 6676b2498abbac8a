"""Saved estimators come back as they were, in every form that they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from small_models import TINY, TINY_NETWORK, TINY_RATIO, TINY_SERIES, tiny_tgdp
from test_frames import SOURCE, TARGET, Y_SOURCE, Y_TARGET

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

ROWS = np.random.default_rng(0).normal(size=(40, 3))
SERIES = np.random.default_rng(1).normal(size=(40, 2, 16))
Y = np.arange(40) % 2
MULTI = np.random.default_rng(2).integers(2, size=(40, 3))
TABLE = (ROWS, Y, ROWS[:12] + 1, Y[:12])
SMALL_SERIES = {**TINY_SERIES, "module": "small", "max_steps": 2}


def alone() -> TGDPGenerator:
    with pytest.warns(UserWarning, match="no target rows"):
        return tiny_tgdp().fit(ROWS, Y)


MODELS: dict[str, Any] = {
    "diffusion": lambda: DiffusionGenerator(**TINY_NETWORK).fit(ROWS),
    "diffusion, labels": lambda: DiffusionGenerator(**TINY_NETWORK).fit(ROWS, Y.astype(str)),
    "diffusion, several labels": lambda: DiffusionGenerator(**TINY_NETWORK).fit(ROWS, MULTI),
    "fine-tuned": lambda: FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY).fit(*TABLE),
    "tgdp": lambda: tiny_tgdp(eta_cycle=1.0).fit(*TABLE),
    "tgdp, one network": lambda: tiny_tgdp(n_networks=1, eta_cycle=0.0).fit(*TABLE),
    "tgdp, frozen source": lambda: tiny_tgdp(
        source_model=FrozenEstimator(DiffusionGenerator(**TINY_NETWORK).fit(ROWS, Y))
    ).fit(None, None, *TABLE[2:]),
    "tgdp, frames": lambda: tiny_tgdp().fit(SOURCE, Y_SOURCE, TARGET, Y_TARGET),
    "tgdp, series": lambda: tiny_tgdp().fit(SERIES, MULTI, SERIES[:12], MULTI[:12]),
    "tgdp, source alone": alone,
}
CLASSIFIERS: dict[str, Any] = {
    "series": lambda: SeriesClassifier(**SMALL_SERIES).fit(SERIES, Y),
    "windows, several labels": lambda: SeriesClassifier(**SMALL_SERIES, window=8).fit(SERIES, MULTI),
    "fine-tuned series": lambda: FineTunedSeriesClassifier(
        SeriesClassifier(**SMALL_SERIES), head_steps=1, max_steps=1, random_state=0
    ).fit(SERIES, Y, SERIES, np.arange(40) % 3),
}
RATIOS: dict[str, Any] = {
    "table": (DomainClassifier(**TINY_RATIO), TABLE),
    "frames": (DomainClassifier(**TINY_RATIO), (SOURCE, Y_SOURCE, TARGET, Y_TARGET)),
    "series": (DomainClassifier(**TINY_RATIO), (SERIES, None, SERIES[:12], None)),
}


def saved(model: Any, path: Path) -> Any:
    """The model after a way through a folder, and through a zip file."""
    model.save(path / "folder")
    first = type(model).load(path / "folder", device="cpu")
    first.save(path / "model.zip")
    return sktgdp.load(path / "model.zip", device="cpu")


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
    elif a is not None:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("global_rng_untouched")
def test_generators(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    again = saved(model, tmp_path)
    assert type(again) is type(model)
    assert repr(again) == repr(model) == repr(clone(again))
    for one, other in zip(model.sample(7, random_state=3), again.sample(7, random_state=3), strict=True):
        assert_same(one, other)
    assert again.history_ == model.history_
    assert again.fit_time_ == model.fit_time_
    assert again.n_features_in_ == model.n_features_in_
    assert_same(model.classes_, again.classes_)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.usefixtures("global_rng_untouched")
def test_classifiers(name: str, tmp_path: Path) -> None:
    model = CLASSIFIERS[name]()
    again = saved(model, tmp_path)
    assert_same(model.predict_proba(SERIES), again.predict_proba(SERIES))
    assert_same(model.predict(SERIES), again.predict(SERIES))
    assert_same(model.embed(SERIES), again.embed(SERIES))
    assert_same(model.get_feature_names_out(), again.get_feature_names_out())


@pytest.mark.parametrize("name", RATIOS)
def test_ratios(name: str, tmp_path: Path) -> None:
    template, domains = RATIOS[name]
    model = clone(template).fit(*domains)
    again = saved(model, tmp_path)
    assert_same(model.log_density_ratio(*domains[:2]), again.log_density_ratio(*domains[:2]))
    assert again.effective_sample_size_ == model.effective_sample_size_


def test_tgdp_keeps_its_ratio_guidance_and_density(tmp_path: Path) -> None:
    model = tiny_tgdp(eta_cycle=1.0).fit(*TABLE)
    again = saved(model, tmp_path)
    X, y = TABLE[2:]
    assert_same(model.log_density_ratio(X, y), again.log_density_ratio(X, y))
    assert_same(model.guidance(X, 0.3, y), again.guidance(X, 0.3, y))
    assert_same(model.score_samples(X[:2], y[:2]), again.score_samples(X[:2], y[:2]))
    assert again.source_model_.labels_ is again.labels_, "what was shared is shared"
    assert again.time_classifier_ is not None


def test_augmenting_estimators(tmp_path: Path) -> None:
    model = AugmentedClassifier(generator=DiffusionGenerator(**TINY_NETWORK), n_synthetic=5, random_state=0)
    again = saved(model.fit(ROWS, Y), tmp_path)
    assert_same(model.predict_proba(ROWS), again.predict_proba(ROWS))
    sampler = GenerativeSampler(DiffusionGenerator(**TINY_NETWORK), sampling_strategy={0: 25, 1: 20})
    sampler.fit_resample(ROWS, Y)
    again = saved(sampler, tmp_path / "sampler")
    assert again.sampling_strategy_ == sampler.sampling_strategy_
    assert_same(*(each.generator_.sample(3, random_state=0)[0] for each in (sampler, again)))
