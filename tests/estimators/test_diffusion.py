"""Diffusion models of one domain: the law that they learn, their labels, and the form of their rows."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.base import clone
from small_models import TINY, TINY_NETWORK, Shift
from torch import Tensor, nn

from sktgdp import DiffusionGenerator
from sktgdp.estimators import _base
from sktgdp.oracles import GaussianMixture, paper_mixture_shift
from sktgdp.preprocessing import RowStandardizer
from sktgdp.process import VPProcess

LAW = multivariate_normal([3.0, -20.0], [[4.0, 1.5], [1.5, 1.0]])
N_FIT = 2000


def state(model: DiffusionGenerator) -> bytes:
    """All that a model holds, weights and parameters, as bytes."""
    return pickle.dumps(model)


@pytest.fixture(scope="module")
def gaussian() -> DiffusionGenerator:
    X = LAW.rvs(N_FIT, random_state=0)
    return DiffusionGenerator(hidden_sizes=(64, 64), max_steps=600, batch_size=512, random_state=0).fit(X)


# The law --------------------------------------------------------------------------------------------
def test_moments_of_a_gaussian(gaussian: DiffusionGenerator) -> None:
    X, y = gaussian.sample(5000, random_state=1)
    assert y is None
    sd = np.sqrt(np.diag(LAW.cov))
    np.testing.assert_allclose((X.mean(axis=0) - LAW.mean) / sd, 0.0, atol=0.08)
    np.testing.assert_allclose(np.cov(X.T) / np.outer(sd, sd), LAW.cov / np.outer(sd, sd), atol=0.2)


def test_density_of_a_gaussian(gaussian: DiffusionGenerator) -> None:
    """Natural logarithms, per unit of the features as they were given."""
    X = LAW.rvs(300, random_state=2)
    error = gaussian.score_samples(X) - LAW.logpdf(X)
    assert abs(error.mean()) < 0.03
    assert np.abs(error).mean() < 0.1
    assert gaussian.score(X) == pytest.approx(gaussian.score_samples(X).mean())
    assert gaussian.score(X) > gaussian.score(X + 5.0) + 1.0


def test_training_is_recorded(gaussian: DiffusionGenerator) -> None:
    losses = [row["train_score"] for row in gaussian.history_]
    assert losses[-1] < losses[0]
    assert {row["phase"] for row in gaussian.history_} == {"diffusion"}
    assert gaussian.n_parameters_ == sum(p.numel() for p in gaussian.network_.parameters())
    assert gaussian.fit_time_["diffusion"] > 0
    assert "valid_score" not in gaussian.history_[0]


class OracleNoise(nn.Module):
    """The exact noise prediction of a mixture, in place of a network."""

    def __init__(self, mixture: GaussianMixture, **kwargs: Any) -> None:
        super().__init__()
        self.mixture = mixture
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        component = None if y is None else y.argmax(dim=1)
        return self.mixture.noise(x_t, t, component) + 0.0 * self.unused


@pytest.fixture(scope="module")
def oracles(shift: Shift) -> dict[bool, DiffusionGenerator]:
    """Models with the exact noise, without and with labels."""
    scaler = RowStandardizer().fit(shift.X_src)
    mean, scale = (torch.from_numpy(a) for a in (scaler.mean_, scaler.scale_))
    module = partial(OracleNoise, mixture=paper_mixture_shift().source.standardized(mean, scale))
    model = DiffusionGenerator(module, max_steps=1, random_state=0)
    return {y is not None: clone(model).fit(shift.X_src, y) for y in (None, shift.y_src)}


@pytest.mark.parametrize("labelled", [False, True])
def test_density_is_exact_with_the_exact_noise(
    labelled: bool, oracles: dict[bool, DiffusionGenerator], shift: Shift
) -> None:
    X, y = shift.X_src[:300], shift.y_src[:300]
    component = torch.from_numpy((y + 1) // 2) if labelled else None
    exact = paper_mixture_shift().source.log_prob(torch.from_numpy(X), component).numpy()
    error = oracles[labelled].score_samples(X, y if labelled else None) - exact
    # what is left is of the order of alpha at t = 1, where the flow takes N(0, I) for the law
    assert np.abs(error).mean() < 1e-2
    assert np.abs(error).max() < 5e-2


def test_marginal_density_is_the_mixture_over_labels(
    oracles: dict[bool, DiffusionGenerator], shift: Shift
) -> None:
    model, X, share = oracles[True], shift.X_test[:50], np.mean(shift.y_src == 1)
    of_class = [model.score_samples(X, np.full(50, label)) for label in (-1, 1)]
    expected = np.logaddexp(of_class[0] + np.log(1 - share), of_class[1] + np.log(share))
    np.testing.assert_allclose(model.score_samples(X), expected)


@pytest.mark.parametrize("labelled", [False, True])
def test_samples_follow_the_law_with_the_exact_noise(
    labelled: bool, oracles: dict[bool, DiffusionGenerator]
) -> None:
    X, _ = oracles[labelled].sample(20_000, random_state=0)
    exact = paper_mixture_shift().source
    np.testing.assert_allclose(X.mean(axis=0), exact.mean, atol=0.02)
    np.testing.assert_allclose(X.std(axis=0), exact.std, rtol=0.02)


# Labels ---------------------------------------------------------------------------------------------
def test_samples_follow_their_class(source_model: DiffusionGenerator, shift: Shift) -> None:
    """x | y ~ N(y (0.5, 0.5), 0.1 I), for given labels and for drawn ones."""
    wanted = np.repeat([-1, 1], 1000)
    X, y = source_model.sample(2000, wanted, random_state=0)
    np.testing.assert_array_equal(y, wanted)
    for label in (-1, 1):
        np.testing.assert_allclose(X[y == label].mean(axis=0), 0.5 * label, atol=0.05)
        np.testing.assert_allclose(X[y == label].std(axis=0), np.sqrt(0.1), atol=0.05)
    X, y = source_model.sample(500, 1, random_state=0)
    assert (y == 1).all()
    assert X.mean() == pytest.approx(0.5, abs=0.05)
    y = source_model.sample(2000, random_state=0, n_steps=1)[1]
    assert (y == 1).mean() == pytest.approx((shift.y_src == 1).mean(), abs=0.05)


def test_density_follows_the_class(source_model: DiffusionGenerator, shift: Shift) -> None:
    X, y = shift.X_src[:100], shift.y_src[:100]
    assert source_model.score(X, y) > source_model.score(X, -y) + 3.0


def test_string_labels(shift: Shift) -> None:
    names = np.where(shift.y_src > 0, "sick", "well")[:40]
    model = DiffusionGenerator(**TINY_NETWORK).fit(shift.X_src[:40], names)
    assert model.classes_.tolist() == ["sick", "well"]
    y = model.sample(4, "well")[1]
    assert y.tolist() == ["well"] * 4
    assert model.sample(2, ["sick", "well"])[1].tolist() == ["sick", "well"]
    assert set(model.sample(50)[1]) == {"sick", "well"}


def test_multilabel_samples_follow_their_labels(rng: np.random.Generator) -> None:
    """Each label shifts a coordinate of its own by four standard deviations."""
    y = rng.integers(0, 2, (800, 3))
    X = 4.0 * y + rng.normal(size=(800, 3))
    model = DiffusionGenerator(hidden_sizes=(48, 48), max_steps=400, batch_size=256, random_state=0)
    model.fit(X, y)
    wanted = rng.integers(0, 2, (300, 3))
    X_new, y_new = model.sample(300, wanted)
    np.testing.assert_array_equal(y_new, wanted)
    assert ((X_new > 2.0) == wanted).mean() > 0.95
    X_new, y_new = model.sample(100, [1, 0, 1])
    assert (y_new == [1, 0, 1]).all()
    assert X_new.mean(axis=0) == pytest.approx([4.0, 0.0, 4.0], abs=0.5)
    assert model.score_samples(X[:5], y[:5]).shape == model.score_samples(X[:5]).shape == (5,)


# Form -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8])
def test_rows_keep_their_type(dtype: Any, rng: np.random.Generator) -> None:
    X = (10 * rng.normal(size=(30, 2))).astype(dtype)
    assert DiffusionGenerator(**TINY_NETWORK).fit(X).sample(5)[0].dtype == dtype


def test_frames_come_back_as_frames(rng: np.random.Generator) -> None:
    frame = pd.DataFrame({"age": rng.integers(20, 80, 30), "bmi": rng.normal(25, 3, 30).astype(np.float32)})
    model = DiffusionGenerator(**TINY_NETWORK).fit(frame)
    X, _ = model.sample(5)
    assert X.columns.tolist() == ["age", "bmi"]
    assert X.dtypes.tolist() == frame.dtypes.tolist()
    assert model.feature_names_in_.tolist() == ["age", "bmi"]
    assert model.score_samples(frame).shape == (30,)


def test_series(rng: np.random.Generator) -> None:
    """(n, channels, length): channels keep their own scale, and densities their Jacobian."""
    X = rng.normal(size=(60, 2, 5)) * np.array([1.0, 100.0])[:, None]
    model = DiffusionGenerator(**TINY_NETWORK).fit(X)
    drawn, _ = model.sample(200)
    assert drawn.shape == (200, 2, 5)
    assert drawn[:, 1].std() / drawn[:, 0].std() == pytest.approx(100.0, rel=0.3)
    again = DiffusionGenerator(**TINY_NETWORK).fit(10.0 * X)
    difference = model.score_samples(X[:4]) - again.score_samples(10.0 * X[:4])
    np.testing.assert_allclose(difference, 10 * np.log(10.0), atol=1e-3)


def test_constant_feature(rng: np.random.Generator) -> None:
    X = np.column_stack([rng.normal(size=100), np.full(100, 7.0)])
    model = DiffusionGenerator(hidden_sizes=(32,), max_steps=300, batch_size=128, random_state=0).fit(X)
    drawn, _ = model.sample(200)
    assert drawn[:, 1].mean() == pytest.approx(7.0, abs=0.05)
    assert drawn[:, 1].std() < 0.25
    assert np.isfinite(model.score_samples(X[:5])).all()


@pytest.mark.parametrize("n_rows", [2, 5])
def test_fewer_rows_than_a_batch(n_rows: int, rng: np.random.Generator) -> None:
    model = DiffusionGenerator(**{**TINY_NETWORK, "batch_size": 64}).fit(rng.normal(size=(n_rows, 3)))
    assert model.sample(4)[0].shape == (4, 3)


# Reproducibility ------------------------------------------------------------------------------------
@pytest.mark.usefixtures("global_rng_untouched")
def test_seeds(shift: Shift) -> None:
    X, y = shift.X_src[:100], shift.y_src[:100]
    fits = [DiffusionGenerator(**{**TINY_NETWORK, "random_state": seed}).fit(X, y) for seed in (0, 0, 1)]
    drawn = [model.sample(5, random_state=3)[0] for model in fits]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    np.testing.assert_array_equal(fits[0].sample(5)[0], fits[0].sample(5)[0])
    assert not np.array_equal(fits[0].sample(5)[0], fits[0].sample(5, random_state=1)[0])


@pytest.mark.parametrize("kind", [np.random.RandomState, np.random.default_rng], ids=["state", "generator"])
def test_random_state_objects(kind: Any, gaussian: DiffusionGenerator) -> None:
    """A generator that is passed on gives other rows at each call, and the same from the same start."""
    first, again = kind(5), kind(5)
    drawn = [gaussian.sample(3, random_state=first)[0] for _ in range(2)]
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(drawn[0], gaussian.sample(3, random_state=again)[0])


@pytest.mark.usefixtures("global_rng_untouched")
def test_sampling_and_scoring_change_nothing(source_model: DiffusionGenerator, shift: Shift) -> None:
    before = state(source_model)
    source_model.sample(3)
    list(source_model.sample_batches(3, 1, batch_size=2))
    source_model.score_samples(shift.X_src[:2], shift.y_src[:2])
    assert state(source_model) == before


@pytest.mark.parametrize("solver", ["ddim", "dpm++2s", "dpm++3m", "sde-dpm++2m", "euler-maruyama"])
def test_solvers_agree(solver: str, gaussian: DiffusionGenerator) -> None:
    steps = 200 if solver == "euler-maruyama" else 40
    X, _ = gaussian.sample(2000, solver=solver, n_steps=steps)
    sd = np.sqrt(np.diag(LAW.cov))
    np.testing.assert_allclose((X.mean(axis=0) - LAW.mean) / sd, 0.0, atol=0.12)
    np.testing.assert_allclose(X.std(axis=0) / sd, 1.0, atol=0.12)


def test_parts_do_not_show_in_density(gaussian: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = gaussian.sample(10, random_state=0)
    density = gaussian.score_samples(X)
    monkeypatch.setitem(_base.DENSITY_CHUNK, "rows", 4)
    np.testing.assert_allclose(gaussian.score_samples(X), density, rtol=1e-9)


def test_pickle_and_clone(gaussian: DiffusionGenerator) -> None:
    again = pickle.loads(state(gaussian))
    np.testing.assert_array_equal(again.sample(3)[0], gaussian.sample(3)[0])
    fresh = clone(gaussian)
    assert fresh.get_params() == gaussian.get_params()
    assert not hasattr(fresh, "network_")


# Networks and transformers of one's own -------------------------------------------------------------
class Linear(nn.Module):
    """The least that a module has to be."""

    def __init__(self, event_shape: tuple[int, ...], n_labels: int, process: VPProcess) -> None:
        super().__init__()
        self.layer = nn.Linear(event_shape[0] + n_labels, event_shape[0])

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        return self.layer(x_t if y is None else torch.cat([x_t, y], dim=1))


@pytest.mark.parametrize("labelled", [False, True])
def test_own_module(labelled: bool, shift: Shift) -> None:
    y = shift.y_src[:50] if labelled else None
    model = DiffusionGenerator(Linear, **TINY).fit(shift.X_src[:50], y)
    assert isinstance(model.network_, Linear)
    assert model.sample(3)[0].shape == (3, 2)
    assert np.isfinite(model.score_samples(shift.X_src[:3], None if y is None else y[:3])).all()


def test_own_transformer(shift: Shift) -> None:
    given = RowStandardizer(common_scale=True)
    model = DiffusionGenerator(transformer=given, **TINY_NETWORK).fit(shift.X_src[:50])
    assert model.transformer_.common_scale
    assert not hasattr(given, "scale_")


def test_held_out_rows_decide_below_a_thousand_rows(shift: Shift) -> None:
    """early_stopping="auto"; True and False override it."""
    few, many = shift.X_src[:100], shift.X_src[:1000]

    def stops(X: NDArray[np.float64], **params: Any) -> bool:
        return "valid_score" in DiffusionGenerator(**TINY_NETWORK, **params).fit(X).history_[0]

    assert stops(few)
    assert not stops(many)
    assert stops(many, early_stopping=True)
    assert not stops(few, early_stopping=False)
