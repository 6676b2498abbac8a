"""Generators of series (n, channels, length): every estimator, with every kind of label."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from small_models import TINY, tiny_tgdp

from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.estimators import _base
from sktgdp.estimators._defaults import parts_of
from sktgdp.likelihood import log_density
from sktgdp.nets import DomainConv, GuidanceConv, ScoreConv

SHAPE = (2, 21)
SOURCE = DiffusionGenerator(hidden_sizes=(4, 6), **TINY)
RATIO = {"max_steps": 2, "n_folds": 2, "batch_size": 8}
KINDS = ("none", "class", "multilabel")
GENERATORS = {
    "diffusion": SOURCE,
    "fine-tuned": FineTunedDiffusionGenerator(SOURCE, **TINY),
    "tgdp": tiny_tgdp(
        source_model=SOURCE, domain_classifier=DomainClassifier(**RATIO), eta_cycle=0.1, n_networks=1
    ),
}
Data = tuple[Any, Any, Any, Any]


def labels_of(kind: str, n_rows: int) -> NDArray[Any] | None:
    if kind == "none":
        return None
    classes = np.arange(n_rows) % 2
    return (
        np.array(["a", "b"])[classes] if kind == "class" else np.column_stack([classes, 1 - classes, classes])
    )


def two_domains(kind: str, dtype: Any = np.float32, shape: tuple[int, int] = SHAPE) -> Data:
    rng = np.random.default_rng(0)
    source = rng.normal(size=(30, *shape)).cumsum(axis=2)
    target = 3.0 + rng.normal(size=(9, *shape)).cumsum(axis=2)
    return source.astype(dtype), labels_of(kind, 30), target.astype(dtype), labels_of(kind, 9)


def fitted(name: str, data: Data) -> Any:
    model = GENERATORS[name]
    return model.__sklearn_clone__().fit(*(data[:2] if name == "diffusion" else data))


@pytest.fixture(autouse=True)
def _coarse_densities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Densities that only have to run: two steps, two probes."""
    monkeypatch.setattr(_base, "log_density", partial(log_density, n_steps=2, n_probes=2))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def source_model() -> DiffusionGenerator:
    X, y, _, _ = two_domains("class")
    return DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(X, y)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator(name: str, kind: str) -> None:
    """Series come back as they went in: shape, dtype, labels, finite densities."""
    data = two_domains(kind)
    model = fitted(name, data)
    X, y = model.sample(5, random_state=0)
    assert X.shape == (5, *SHAPE)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    assert (y is None) == (kind == "none")
    if y is not None:
        assert y.shape == (5, *data[1].shape[1:])
        assert np.isin(y, data[1]).all()
    rows, labels = data[2][:3], None if data[3] is None else data[3][:3]
    densities = model.score_samples(rows, labels)
    assert densities.shape == (3,)
    assert np.isfinite(densities).all()


def test_log_density_ratio(kind: str) -> None:
    data = two_domains(kind)
    model = fitted("tgdp", data)
    ratio = model.log_density_ratio(data[2], data[3])
    assert ratio.shape == (9,)
    assert np.isfinite(ratio).all()
    noised = np.random.default_rng(1).normal(size=(9, *SHAPE))
    assert model.guidance(noised, 0.5, data[3]).shape == (9,)


def test_networks_go_by_the_rank_of_the_rows() -> None:
    data = two_domains("class")
    model = fitted("tgdp", data)
    assert isinstance(model.source_model_.network_, ScoreConv)
    assert isinstance(model.guidance_, GuidanceConv)
    assert isinstance(model.time_classifier_, GuidanceConv)
    assert all(isinstance(network, DomainConv) for network in model.domain_classifier_.classifiers_)


def test_defaults_of_series() -> None:
    """The numbers that the docstrings promise, for series and for tables."""
    for shape, sizes, steps, rows in ((SHAPE, (24, 48, 96, 192), 1500, 32), ((5,), (128,) * 3, 3000, 512)):
        model = DiffusionGenerator()
        found = [model._resolved(name, shape) for name in ("hidden_sizes", "max_steps", "batch_size")]
        assert found == [sizes, steps, rows]
        assert FineTunedDiffusionGenerator()._resolved("batch_size", shape) == (
            32 if shape == SHAPE else 1024
        )
        assert TGDPGenerator()._resolved("batch_size", shape) == (16 if shape == SHAPE else 256)


def test_target_side_is_small() -> None:
    """At its defaults TGDP trains a tenth of the fine-tuned generator's parameters."""
    data = two_domains("class", shape=(3, 200))
    source = DiffusionGenerator(max_steps=1, random_state=0).fit(*data[:2])
    given = {"max_steps": 1, "random_state": 0}
    tgdp = TGDPGenerator(FrozenEstimator(source), eta_cycle=0.1, **given)
    tgdp.set_params(domain_classifier=DomainClassifier(max_steps=1)).fit(*data)
    tuned = FineTunedDiffusionGenerator(FrozenEstimator(source), **given).fit(*data)
    assert tgdp.n_parameters_ <= tuned.n_parameters_ / 10


def test_whole_numbers_come_back_as_such() -> None:
    data = two_domains("none", np.int16)
    X, _ = fitted("diffusion", data).sample(4)
    assert X.dtype == np.int16


def test_conditional_classifier_sees_the_label(rng: np.random.Generator) -> None:
    """The domains differ in their labels alone: the log ratio is log 0.9/0.5 or log 0.1/0.5."""
    X, y = rng.normal(size=(300, 1, 16)), np.arange(300) % 2
    X_tgt, y_tgt = rng.normal(size=(200, 1, 16)), (np.arange(200) % 10 == 0).astype(int)
    model = DomainClassifier(max_steps=60, lr=0.01, n_folds=2, random_state=0).fit(X, y, X_tgt, y_tgt)
    ratio = [model.log_density_ratio(X, np.full(300, label)).mean() for label in (0, 1)]
    assert ratio[0] > 0.2
    assert ratio[1] < -0.6


def test_conv_classifier_finds_a_shift_of_the_spectrum(rng: np.random.Generator) -> None:
    """A smoother target: no sample tells the domains apart by itself, all of them together do."""
    noise = rng.normal(size=(400, 1, 62))
    rough, smooth = noise[:, :, :60], (noise[:, :, :-2] + noise[:, :, 2:]) / np.sqrt(2.0)
    model = DomainClassifier(max_steps=60, lr=0.01, n_folds=2, random_state=0).fit(
        rough[:200], None, smooth[200:300]
    )
    held_out = [model.predict_proba(X)[:, 1] for X in (rough[300:350], smooth[350:])]
    assert held_out[0].mean() < 0.35
    assert held_out[1].mean() > 0.65


def test_scikit_learn_classifier_sees_flat_rows(kind: str) -> None:
    data = two_domains(kind)
    model = DomainClassifier(LogisticRegression(), n_folds=2, random_state=0).fit(*data)
    n_labels = {"none": 0, "class": 2, "multilabel": 3}[kind]
    assert model.classifiers_[0].n_features_in_ == 42 + n_labels
    assert model.predict_proba(data[2], data[3]).shape == (9, 2)


def test_densities_do_not_depend_on_the_parts(
    source_model: DiffusionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = source_model.sample(11, random_state=0)
    whole = source_model.score_samples(X, y)
    monkeypatch.setitem(_base.DENSITY_CHUNK, "coordinates", 3 * 42)
    np.testing.assert_allclose(source_model.score_samples(X, y), whole, rtol=1e-9)


def test_parts_of_rows() -> None:
    """Tables go by rows, series by numbers; a series that is too long goes alone."""
    limits = {"rows": 4, "coordinates": 100}
    assert [part.stop - part.start for part in parts_of(8, (1000,), **limits)] == [4, 4]
    assert list(parts_of(5, (2, 20), **limits)) == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert list(parts_of(2, (12, 1000), **limits)) == [slice(0, 1), slice(1, 2)]


def test_density_in_the_users_units(source_model: DiffusionGenerator) -> None:
    """Series of ten times the scale have a density 10 ** -42 as large."""
    X, y, _, _ = two_domains("class", np.float64)
    scaled = DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(10.0 * X, y)
    same = DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(X, y)
    gap = same.score_samples(X[:3], y[:3]) - scaled.score_samples(10.0 * X[:3], y[:3])
    np.testing.assert_allclose(gap, 42 * np.log(10.0), rtol=1e-3)


def test_a_module_of_ones_own() -> None:
    """Every network with the common constructor will do, a perceptron on flat series too."""

    class Flat(torch.nn.Module):
        def __init__(self, event_shape: tuple[int, ...], n_labels: int, process: Any) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.zeros(event_shape))

        def forward(self, x_t: torch.Tensor, t: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
            return self.scale * x_t

    model = DiffusionGenerator(Flat, **TINY).fit(two_domains("none")[0])
    assert model.network_.scale.shape == SHAPE
    assert model.sample(3)[0].shape == (3, *SHAPE)


@pytest.mark.parametrize("shape", [(3, 21), (2, 20), (42,)], ids=str)
def test_target_of_another_shape(shape: tuple[int, ...], source_model: DiffusionGenerator) -> None:
    X, y, _, y_tgt = two_domains("class")
    other = np.zeros((9, *shape))
    for model in (tiny_tgdp(), FineTunedDiffusionGenerator(SOURCE, **TINY), DomainClassifier(**RATIO)):
        with pytest.raises(ValueError, match="X_src and X_tgt must have the same features"):
            model.fit(X, y, other, y_tgt)
    with pytest.raises(ValueError, match=r"the model was fitted on|features"):
        source_model.score_samples(other, y_tgt)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_missing(value: float) -> None:
    data = two_domains("none")
    data[2][4, 1, 7] = value
    with pytest.raises(ValueError, match=r"X_tgt contains (NaN|infinity)"):
        tiny_tgdp().fit(*data)
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        DiffusionGenerator(**TINY).fit(data[2])


@pytest.mark.parametrize("shape", [(0, 21), (2, 0)], ids=str)
def test_series_without_samples(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="its rows hold no numbers"):
        DiffusionGenerator(**TINY).fit(np.zeros((30, *shape)))


def test_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(n, d\) for a table or \(n, channels, length\)"):
        DiffusionGenerator(**TINY).fit(np.zeros((5, 2, 3, 4)))
