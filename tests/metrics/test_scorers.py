"""Scorers prefer the generator that matches, give one value for one model, and say what is wrong."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sktgdp.metrics import (
    SampleScorer,
    coverage_score,
    energy_distance,
    frechet_distance,
    get_scorer,
    get_scorer_names,
    make_sample_scorer,
    sliced_wasserstein_distance,
)

Floats = NDArray[np.float64]
NAMES = ["coverage", "density", "log_likelihood", "neg_energy_distance", "neg_fid"]
NAMES += ["neg_sliced_wasserstein", "neg_two_sample_auc", "tstr_roc_auc"]
QUICK = [name for name in NAMES if name != "neg_two_sample_auc"]


class Clusters(BaseEstimator):
    """A generator that knows the law, a normal cluster about (y, -y) per class, and may be shifted off it."""

    def __init__(self, shift: float = 0.0, scale: float = 1.0, labels: str = "class") -> None:
        self.shift, self.scale, self.labels = shift, scale, labels

    def fit(self, X: Any, y: Any = None) -> Clusters:
        self.transformer_ = StandardScaler().fit(X)
        return self

    def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
        rng = np.random.default_rng(random_state)
        sign = rng.choice([-1.0, 1.0], n_samples)
        X = rng.normal(size=(n_samples, 2)) * 0.5 + np.column_stack([sign, -sign]) + [self.shift, self.shift]
        labels = {
            "class": np.where(sign > 0, "b", "a"),
            "across": np.where(X.sum(axis=1) > 2 * self.shift, "b", "a"),
            "one": np.full(n_samples, "a"),
            "multilabel": np.column_stack([sign > 0, sign < 0]).astype(int),
            "none": None,
        }
        return X * self.scale, labels[self.labels]

    def score(self, X: Any, y: Any = None) -> float:
        return -float(np.square(np.asarray(X) / self.scale - self.shift).sum(axis=1).mean())


def real_rows(n: int = 40, **params: Any) -> tuple[Floats, NDArray[Any]]:
    return Clusters(**params).sample(n, random_state=7)


def fitted(**params: Any) -> Clusters:
    scale = params.get("scale", 1.0)
    return Clusters(**params).fit(real_rows(1000, scale=scale)[0])


# What they prefer -----------------------------------------------------------------------------------
def test_names() -> None:
    assert get_scorer_names() == NAMES
    assert all(get_scorer(name).name == name for name in NAMES)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_prefers_the_match(name: str) -> None:
    scorer, (X, y) = get_scorer(name), real_rows()
    match, miss = fitted(), fitted(shift=1.0) if name != "tstr_roc_auc" else fitted(labels="across")
    scores = [scorer(generator, X, y) for generator in (match, miss)]
    assert all(type(score) is float for score in scores)
    assert scores[0] > scores[1] + 0.05
    if name.startswith("neg_"):
        assert max(scores) <= 0.0


@pytest.mark.parametrize("name", ["coverage", "neg_energy_distance", "neg_fid"])
def test_sees_through_to_a_missing_mode(name: str) -> None:
    class OneMode(Clusters):
        def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
            X, labels = super().sample(4 * n_samples, random_state=random_state)
            return X[labels == "a"][:n_samples], None

    scorer, (X, _) = get_scorer(name), real_rows()
    assert scorer(fitted(), X) > scorer(OneMode().fit(real_rows(1000)[0]), X) + 0.1


@pytest.mark.parametrize("name", NAMES)
def test_same_again(name: str) -> None:
    """One value for one model, whoever asks, and no trace left on the model."""
    scorer, (X, y), generator = get_scorer(name), real_rows(), fitted()
    before = pickle.dumps(generator)
    assert pickle.loads(pickle.dumps(scorer))(generator, X, y) == scorer(generator, X, y)
    assert pickle.dumps(generator) == before


@pytest.mark.parametrize("name", [name for name in QUICK if name != "log_likelihood"])
def test_units_do_not_matter(name: str) -> None:
    """The same model in other units of one feature gets the same score."""
    scorer, (X, y) = get_scorer(name), real_rows()
    scale = np.array([1000.0, 1e-3])
    stretched = Clusters(scale=scale).fit(real_rows(1000)[0] * scale)  # type: ignore[arg-type]
    assert scorer(stretched, X * scale, y) == pytest.approx(scorer(fitted(), X, y), rel=1e-6)


def test_values_are_those_of_the_metrics() -> None:
    X, _ = real_rows(600)
    generator = fitted()
    real = generator.transformer_.transform(X)
    syn = generator.transformer_.transform(generator.sample(600, random_state=0)[0])
    assert get_scorer("neg_fid")(generator, X) == -frechet_distance(real, syn)
    assert get_scorer("coverage")(generator, X) == coverage_score(real, syn)
    expected = -sliced_wasserstein_distance(real, syn, random_state=0)
    assert get_scorer("neg_sliced_wasserstein")(generator, X) == expected


def test_coverage_compares_equal_sizes() -> None:
    """500 rows against 20 would cover all of them, whoever drew them."""
    X, _ = real_rows(20)
    generator = fitted(shift=0.5)
    real, syn = (generator.transformer_.transform(Z) for Z in (X, generator.sample(500, random_state=0)[0]))
    expected = np.mean([coverage_score(real, part) for part in np.split(syn, 25)])
    assert get_scorer("coverage")(generator, X) == pytest.approx(expected)
    assert coverage_score(real, syn) == 1.0
    assert replace(get_scorer("coverage"), n_samples=5)(generator, X) < 1.0  # type: ignore[type-var]


# Samples --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("n_real", "n_samples", "n_drawn"), [(20, None, 500), (700, None, 700), (20, 33, 33)]
)
def test_number_of_samples(n_real: int, n_samples: int | None, n_drawn: int) -> None:
    sizes: list[tuple[int, ...]] = []

    def metric(X_real: Floats, X_syn: Floats) -> float:
        sizes.extend([X_real.shape, X_syn.shape])
        return 0.0

    make_sample_scorer(metric, n_samples=n_samples)(fitted(), real_rows(n_real)[0])
    assert sizes == [(n_real, 2), (n_drawn, 2)]


def test_seed_reaches_sample_and_metric() -> None:
    seeds = []

    def metric(X_real: Floats, X_syn: Floats, random_state: int) -> float:
        seeds.append(random_state)
        return float(X_syn.mean())

    X, generator = real_rows()[0], fitted()
    scores = [make_sample_scorer(metric, random_state=seed)(generator, X) for seed in (0, 3, 3)]
    assert seeds == [0, 3, 3]
    assert scores[0] != scores[1] == scores[2]


def test_series_and_frames_and_categories() -> None:
    class Series(Clusters):
        def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
            return np.random.default_rng(random_state).normal(size=(n_samples, 2, 3)), None

    series = Series()
    series.transformer_ = FunctionTransformer()
    X, _ = series.sample(30, random_state=1)
    assert get_scorer("neg_energy_distance")(series, X) > get_scorer("neg_energy_distance")(series, X + 1)

    class Table(Clusters):
        def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
            words = np.random.default_rng(random_state).choice(["red", "blue"], n_samples)
            return pd.DataFrame({"colour": words}), None

    table = Table()
    frame, _ = table.sample(30, random_state=1)
    table.transformer_ = OneHotEncoder(sparse_output=False).fit(frame)
    assert get_scorer("neg_fid")(table, frame) > get_scorer("neg_fid")(table, frame[frame.colour == "red"])


def test_frames_on_a_transformer_of_arrays(recwarn: pytest.WarningsRecorder) -> None:
    X, _ = real_rows()
    score = get_scorer("neg_fid")(fitted(), pd.DataFrame(X, columns=["u", "v"]))
    assert score == get_scorer("neg_fid")(fitted(), X)
    assert not recwarn.list


# Where the generator is -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["neg_fid", "log_likelihood", "tstr_roc_auc"])
def test_finds_the_generator(name: str) -> None:
    scorer, (X, y), generator = get_scorer(name), real_rows(), fitted()
    expected = scorer(generator, X, y)

    class Wrapper:
        generator_ = generator

        def score(self, X: Any, y: Any) -> float:
            return 99.0

    search = GridSearchCV(Clusters(), {"shift": [0.0]}, scoring=get_scorer("neg_fid"), cv=2)
    search.fit(real_rows(1000)[0], real_rows(1000)[1])
    for outer in (FrozenEstimator(generator), Wrapper(), search, FrozenEstimator(search)):
        assert scorer(outer, X, y) == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_generator(name: str) -> None:
    unfitted = GridSearchCV(Clusters(), {"shift": [0.0]})
    for estimator in (StandardScaler(), unfitted):
        with pytest.raises(TypeError, match=rf"`sample`.*got {type(estimator).__name__}"):
            get_scorer(name)(estimator, *real_rows())


def test_in_searches() -> None:
    X, y = real_rows(200)
    search = GridSearchCV(Clusters(), {"shift": [1.0, 0.0, -1.0]}, scoring=get_scorer("neg_fid"), cv=3)
    assert search.fit(X, y).best_params_ == {"shift": 0.0}
    assert search.score(X, y) == get_scorer("neg_fid")(search, X, y)
    scoring = {name: get_scorer(name) for name in QUICK}
    scores = cross_validate(Clusters(), X, y, cv=2, scoring=scoring, error_score="raise")
    assert all(np.isfinite(scores[f"test_{name}"]).all() for name in QUICK)


# Train on synthetic, test on real -------------------------------------------------------------------
def test_tstr_multilabel_agrees_with_classes() -> None:
    """Two complementary columns hold what two classes hold."""
    X, y = real_rows()
    scorer = get_scorer("tstr_roc_auc")
    flags = np.column_stack([y == "b", y == "a"]).astype(int)
    score = scorer(fitted(labels="multilabel"), X, flags)
    assert score == pytest.approx(scorer(fitted(), X, y), abs=1e-3)
    assert score > 0.95


def test_tstr_many_classes_and_one_never_generated() -> None:
    """A class in between needs more than a line per class; one that is not generated counts a half."""

    class Line(Clusters):
        classes = (0, 1, 2)

        def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
            rng = np.random.default_rng(random_state)
            labels = rng.choice(self.classes, n_samples)
            return labels[:, None] * 10.0 + rng.normal(size=(n_samples, 2)), labels

    X, y = Line().sample(60, random_state=5)
    scorer = get_scorer("tstr_roc_auc")
    assert scorer(Line().fit(X), X, y) > 0.99
    without = Line()
    without.classes = (0, 1)
    assert scorer(without.fit(X), X, y) == pytest.approx((1 + 0.5 + 0.5) / 3, abs=0.25)
    with pytest.warns(UndefinedMetricWarning, match="2"):
        scorer(Line().fit(X), X[y < 2], y[y < 2])


def test_tstr_of_one_class_is_chance() -> None:
    assert get_scorer("tstr_roc_auc")(fitted(labels="one"), *real_rows()) == 0.5


def test_tstr_refuses() -> None:
    scorer, (X, y) = get_scorer("tstr_roc_auc"), real_rows()
    with pytest.raises(ValueError, match="needs y"):
        scorer(fitted(), X)
    with pytest.raises(ValueError, match="without labels"):
        scorer(fitted(labels="none"), X, y)
    with pytest.raises(ValueError, match="form that the generator was fitted with"):
        scorer(fitted(labels="multilabel"), X, y)
    with pytest.raises(ValueError, match="inconsistent"):
        scorer(fitted(), X, y[1:])
    with pytest.raises(ValueError, match="one class only"):
        scorer(fitted(labels="one"), X[y == "a"], y[y == "a"])


# Objects --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_equal_by_value(name: str) -> None:
    scorer = get_scorer(name)
    for copied in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer)):
        assert copied == scorer
        assert hash(copied) == hash(scorer)
    assert name in repr(scorer)
    assert " at 0x" not in repr(scorer)


def test_made_scorers() -> None:
    made = make_sample_scorer(energy_distance, greater_is_better=False, name="neg_energy_distance")
    assert made == get_scorer("neg_energy_distance")
    assert replace(made, random_state=1) != made
    assert make_sample_scorer(energy_distance).name == "energy_distance"
    X, _ = real_rows(scale=5.0)
    generator = fitted(scale=5.0)
    raw = make_sample_scorer(energy_distance, units="raw")(generator, X)
    assert raw == energy_distance(X, generator.sample(500, random_state=0)[0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: get_scorer("fid"), ValueError, "no scorer 'fid'. Known: coverage, density"),
        (lambda: make_sample_scorer(1.0), TypeError, "metric must be a callable"),
        (lambda: make_sample_scorer(energy_distance, n_samples=0), ValueError, "n_samples"),
        (lambda: make_sample_scorer(energy_distance, random_state=None), ValueError, "random_state"),
        (lambda: make_sample_scorer(energy_distance, units="user"), ValueError, "'fitted' or 'raw'"),
        (lambda: SampleScorer("a", energy_distance, sign=0), ValueError, "sign must be 1 or -1"),
    ],
)
def test_refuses(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_refuses_what_it_cannot_compare() -> None:
    X, _ = real_rows()
    scorer = get_scorer("neg_fid")
    with pytest.raises(ValueError, match=r"rows of the same shape|2 features"):
        scorer(fitted(), X[:, :1])
    with pytest.raises(TypeError, match=r"no `transformer_`.*units=\"raw\""):
        scorer(Clusters(), X)
    with pytest.raises(ValueError, match="at least 5"):
        get_scorer("neg_two_sample_auc")(fitted(), X[:4])

    class Frames(Clusters):
        def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
            X, y = super().sample(n_samples, random_state=random_state)
            return pd.DataFrame(X, columns=["u", "v"]), y

    with pytest.raises(ValueError, match=r"expected \['u', 'v'\], got \['v', 'u'\]"):
        scorer(Frames().fit(X), pd.DataFrame(X, columns=["v", "u"]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_never_nan(value: float) -> None:
    X, _ = real_rows()
    with pytest.raises(ValueError, match=r"gave -?(nan|inf).*history_"):
        make_sample_scorer(lambda X_real, X_syn: value)(fitted(), X)

    class Diverged(Clusters):
        def score(self, X: Any, y: Any = None) -> float:
            return value

    with pytest.raises(ValueError, match="log_likelihood gave"):
        get_scorer("log_likelihood")(Diverged(), X)
