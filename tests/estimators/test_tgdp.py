"""TGDP from end to end: the target is met, the source is left alone, and every plug fits."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback
from small_models import TINY_NETWORK, Shift, phases, tiny_tgdp
from torch import Tensor
from torch.nn.functional import one_hot

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.metrics import sliced_wasserstein_distance
from sktgdp.oracles import MixtureShift, paper_mixture_shift

ATTRIBUTES = ["source_model_", "domain_classifier_", "time_classifier_", "guidance_", "transformer_"]
ATTRIBUTES += ["classes_", "target_prior_", "history_", "effective_sample_size_", "n_parameters_"]
ATTRIBUTES += ["fit_time_", "n_features_in_", "eta_cycle_", "eta_consistency_"]


@pytest.fixture(scope="module")
def oracle(tgdp: TGDPGenerator) -> MixtureShift:
    """The mixture in the units of the networks."""
    scaler = tgdp.transformer_
    return paper_mixture_shift().standardized(torch.from_numpy(scaler.mean_), torch.from_numpy(scaler.scale_))


# The target -----------------------------------------------------------------------------------------
def test_samples_are_near_the_target(
    tgdp: TGDPGenerator, source_model: DiffusionGenerator, shift: Shift
) -> None:
    guided, source = (
        sliced_wasserstein_distance(shift.X_test, model.sample(1000)[0], random_state=0)
        for model in (tgdp, source_model)
    )
    assert guided < 0.35 * source


def test_samples_follow_their_class(tgdp: TGDPGenerator) -> None:
    """x | y ~ N(y (0.5, -0.5), 0.1 I)."""
    wanted = np.repeat([-1, 1], 500)
    X, y = tgdp.sample(1000, wanted)
    np.testing.assert_array_equal(y, wanted)
    for label in (-1, 1):
        np.testing.assert_allclose(X[y == label].mean(axis=0), [0.5 * label, -0.5 * label], atol=0.12)
        np.testing.assert_allclose(X[y == label].std(axis=0), np.sqrt(0.1), atol=0.1)


def test_noise_prediction_is_near_the_target(
    tgdp: TGDPGenerator, source_model: DiffusionGenerator, oracle: MixtureShift
) -> None:
    def error(model: Any) -> float:
        def noise(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            return model.noise_model(one_hot(y, 2).to(x))(x, t)

        generator = torch.Generator().manual_seed(0)
        return oracle.noise_error(noise, 2000, generator, conditional=True)

    assert error(tgdp) < 0.1 * error(source_model)


def test_density_is_near_the_target(tgdp: TGDPGenerator, shift: Shift) -> None:
    X, y = shift.X_test[:200], shift.y_test[:200]
    component = torch.from_numpy((y + 1) // 2)
    exact = paper_mixture_shift().target.log_prob(torch.from_numpy(X), component).numpy()
    assert tgdp.score(X, y) == pytest.approx(exact.mean(), abs=0.15)


def test_log_density_ratio(tgdp: TGDPGenerator, shift: Shift) -> None:
    truth = paper_mixture_shift().log_density_ratio(
        torch.from_numpy(shift.X_test), torch.from_numpy((shift.y_test + 1) // 2)
    )
    estimate = tgdp.log_density_ratio(shift.X_test, shift.y_test)
    assert np.corrcoef(estimate, truth)[0, 1] > 0.8


def test_guidance_of_noised_rows(tgdp: TGDPGenerator, oracle: MixtureShift) -> None:
    """log h against the oracle's on noised target rows, up to the constant that no gradient sees."""
    generator = torch.Generator().manual_seed(0)
    x0, component = oracle.target.sample(500, generator)
    t = torch.full((500,), 0.5, dtype=torch.float64)
    x_t = oracle.process.perturb(x0, t, torch.randn(500, 2, dtype=torch.float64, generator=generator))
    y = 2 * component.numpy() - 1
    estimate = tgdp.guidance(x_t.numpy(), 0.5, y)
    np.testing.assert_allclose(estimate, tgdp.guidance(x_t.numpy(), t.numpy(), y), atol=1e-5)
    assert np.corrcoef(estimate, oracle.log_guidance(x_t, t, component))[0, 1] > 0.9


def test_identical_domains_need_no_guidance(shift: Shift, source_model: DiffusionGenerator) -> None:
    model = TGDPGenerator(
        FrozenEstimator(source_model),
        domain_classifier=DomainClassifier(n_folds=2, max_steps=100),
        hidden_sizes=(32, 32),
        n_networks=1,
        max_steps=150,
        random_state=0,
    ).fit(shift.X_src[:1000], shift.y_src[:1000], shift.X_src[1000:], shift.y_src[1000:])
    assert model.effective_sample_size_ > 900
    z = model.transformer_.transform(shift.X_src[:300])
    values = model.guidance(z, 0.1, shift.y_src[:300])
    assert np.abs(values).mean() < 0.25
    before, after = (
        sliced_wasserstein_distance(shift.X_src, each.sample(1000)[0], random_state=0)
        for each in (source_model, model)
    )
    assert after < before + 0.05


# The source -----------------------------------------------------------------------------------------
def test_frozen_source_is_never_trained(source_model: DiffusionGenerator, few: tuple[Any, ...]) -> None:
    before = pickle.dumps(source_model)
    model = tiny_tgdp(source_model=FrozenEstimator(source_model)).fit(*few)
    model.sample(3)
    assert model.source_model_ is source_model
    assert pickle.dumps(source_model) == before
    assert phases(model) == ["time classifier", "guidance"]


@pytest.mark.parametrize("given", [None, DiffusionGenerator(**TINY_NETWORK)], ids=["default", "unfitted"])
def test_source_is_trained_where_it_is_not_frozen(
    given: Any, few: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiffusionGenerator.__init__, "__kwdefaults__", {
        **DiffusionGenerator.__init__.__kwdefaults__, "max_steps": 2, "hidden_sizes": (8,)
    })  # fmt: skip
    model = tiny_tgdp(source_model=given).fit(*few)
    assert phases(model) == ["diffusion", "time classifier", "guidance"]
    assert model.source_model_ is not given
    assert not hasattr(given, "network_")
    trained = {"source", "domain classifier", "time classifier", "guidance"}
    assert model.fit_time_.keys() == trained | {"diagnostics"}


@pytest.mark.parametrize("labelled", [False, True])
def test_without_source_rows(labelled: bool, source_model: DiffusionGenerator, few: tuple[Any, ...]) -> None:
    """Source-free: the rows are drawn from the frozen model."""
    X_src, _, X_tgt, y_tgt = few
    source = source_model if labelled else DiffusionGenerator(**TINY_NETWORK).fit(X_src)
    model = tiny_tgdp(source_model=FrozenEstimator(source))
    model.fit(None, None, X_tgt, y_tgt if labelled else None)
    assert model.sample(3)[0].shape == (3, 2)
    assert 1.0 <= model.effective_sample_size_ <= 10_001


def test_stacked_rows_give_the_same_fit(few: tuple[Any, ...]) -> None:
    X_src, y_src, X_tgt, y_tgt = few
    four = tiny_tgdp().fit(*few)
    # the two domains interleaved, each in its own order
    domain = np.random.default_rng(1).permutation(np.repeat([3, -2], [60, 12]))
    X, y = np.empty((72, 2)), np.empty(72, dtype=int)
    X[domain >= 0], X[domain < 0], y[domain >= 0], y[domain < 0] = X_src, X_tgt, y_src, y_tgt
    stacked = tiny_tgdp().fit(X, y, sample_domain=domain)
    for a, b in zip(four.sample(6), stacked.sample(6), strict=True):
        np.testing.assert_array_equal(a, b)
    assert four.history_ == stacked.history_


# Attributes -----------------------------------------------------------------------------------------
def test_attributes(tgdp: TGDPGenerator, shift: Shift) -> None:
    missing = [name for name in ATTRIBUTES if not hasattr(tgdp, name)]
    assert missing == []
    assert tgdp.classes_.tolist() == [-1, 1]
    np.testing.assert_allclose(tgdp.target_prior_, [np.mean(shift.y_tgt == -1), np.mean(shift.y_tgt == 1)])
    assert tgdp.n_features_in_ == 2
    assert (tgdp.eta_cycle_, tgdp.eta_consistency_) == (0.5, 5.0)
    assert 1.0 <= tgdp.effective_sample_size_ <= 2000
    networks = [tgdp.guidance_, tgdp.time_classifier_, *tgdp.domain_classifier_.classifiers_]
    assert tgdp.n_parameters_ == sum(p.numel() for network in networks for p in network.parameters())
    assert all(seconds > 0 for seconds in tgdp.fit_time_.values())


def test_classes_are_drawn_as_often_as_in_the_target(source_model: DiffusionGenerator, shift: Shift) -> None:
    rows = np.concatenate([np.flatnonzero(shift.y_tgt == 1)[:30], np.flatnonzero(shift.y_tgt == -1)[:10]])
    model = tiny_tgdp(source_model=FrozenEstimator(source_model))
    model.fit(shift.X_src, shift.y_src, shift.X_tgt[rows], shift.y_tgt[rows])
    assert np.mean(model.sample(1000, n_steps=1)[1] == 1) == pytest.approx(0.75, abs=0.06)


# Data -----------------------------------------------------------------------------------------------
def test_single_target_class(few: tuple[Any, ...]) -> None:
    X_src, y_src, X_tgt, _ = few
    model = tiny_tgdp().fit(X_src, y_src, X_tgt, np.ones(12, dtype=int))
    assert model.target_prior_.tolist() == [0.0, 1.0]
    assert (model.sample(20)[1] == 1).all()
    assert model.sample(2, -1)[1].tolist() == [-1, -1], "a class of the source may be asked for"


def test_multilabel(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 4))
    model = tiny_tgdp().fit(X, y, X[:9] + 0.5, y[:9])
    np.testing.assert_allclose(model.target_prior_, y[:9].mean(axis=0), atol=1e-6)
    X_new, y_new = model.sample(3, [1, 0, 0, 1])
    assert X_new.shape == (3, 3)
    assert y_new.tolist() == [[1, 0, 0, 1]] * 3
    assert model.log_density_ratio(X, y).shape == (50,)


def test_series(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(40, 2, 6)), np.arange(40) % 2
    model = tiny_tgdp().fit(X, y, X[:8] + 1.0, y[:8])
    drawn, labels = model.sample(3)
    assert drawn.shape == (3, 2, 6)
    assert model.score_samples(drawn, labels).shape == (3,)
    assert model.guidance(X[:5], 0.3, y[:5]).shape == (5,)


def test_frames_and_string_labels(few: tuple[Any, ...]) -> None:
    X_src, y_src, X_tgt, y_tgt = few
    source = pd.DataFrame(X_src, columns=["a", "b"])
    target = pd.DataFrame(X_tgt.astype(np.float32), columns=["a", "b"])
    names = np.array(["well", "?", "sick"])
    model = tiny_tgdp().fit(source, names[y_src + 1], target, pd.Series(names[y_tgt + 1]))
    X, y = model.sample(4, "sick")
    assert X.columns.tolist() == model.feature_names_in_.tolist() == ["a", "b"]
    assert set(X.dtypes) == {np.dtype(np.float32)}, "samples are target rows, in the target's types"
    assert y.tolist() == ["sick"] * 4


def test_two_target_rows(few: tuple[Any, ...]) -> None:
    X_src, y_src, X_tgt, y_tgt = few
    model = tiny_tgdp(early_stopping=True).fit(X_src, y_src, X_tgt[:2], y_tgt[:2])
    assert model.sample(3)[0].shape == (3, 2)


# Conventions ----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("global_rng_untouched")
def test_seeds(few: tuple[Any, ...]) -> None:
    drawn = [tiny_tgdp(random_state=seed).fit(*few).sample(4)[0] for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.usefixtures("global_rng_untouched")
def test_sampling_and_scoring_change_nothing(tgdp: TGDPGenerator, shift: Shift) -> None:
    before = pickle.dumps(tgdp)
    X, y = shift.X_test[:4], shift.y_test[:4]
    tgdp.sample(4)
    list(tgdp.sample_batches(3, batch_size=2))
    for method in (tgdp.score_samples, tgdp.log_density_ratio):
        method(X, y)
    tgdp.guidance(X, 0.5, y)
    assert pickle.dumps(tgdp) == before


def test_pickle_clone_and_nested_parameters(tgdp: TGDPGenerator) -> None:
    again = pickle.loads(pickle.dumps(tgdp))
    np.testing.assert_array_equal(again.sample(4)[0], tgdp.sample(4)[0])
    fresh = clone(tgdp)
    assert not hasattr(fresh, "guidance_")
    assert fresh.source_model.estimator is tgdp.source_model_, "a frozen model passes as it is"
    fresh = tiny_tgdp().set_params(source_model__max_steps=7, domain_classifier__n_folds=3)
    assert (fresh.source_model.max_steps, fresh.domain_classifier.n_folds) == (7, 3)


def test_arrays_stay_as_they_were(few: tuple[Any, ...]) -> None:
    before = pickle.dumps(few)
    tiny_tgdp().fit(*few)
    assert pickle.dumps(few) == before


def test_callbacks_and_progress(few: tuple[Any, ...], capsys: pytest.CaptureFixture[str]) -> None:
    class Count(Callback):
        n_trainings = 0

        def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
            self.n_trainings += 1

    count = Count()
    tiny_tgdp(callbacks=[count], eta_cycle=1.0, n_networks=2).fit(*few)
    assert count.n_trainings == 3, "one time classifier and two guidance networks"
    assert capsys.readouterr().err == ""
    tiny_tgdp(verbose=1).fit(*few)
    assert "guidance" in capsys.readouterr().err
