"""Synthetic rows in training: whose, how many, in which form and weight; and the checks of two libraries."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_imblearn_checks
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_models import TINY, TINY_NETWORK, Shift, tiny_tgdp

from sktgdp import DiffusionGenerator, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.estimators.augmentation import AugmentedClassifier, GenerativeSampler

QUICK = {**TINY_NETWORK, "n_steps": 2}
TINY_SOURCE = DiffusionGenerator(**TINY_NETWORK)
MARK = 1000.0  # no row of a domain is near it
Target, Stacked = tuple[Any, Any], tuple[Any, Any, Any]


class Stamp(BaseEstimator):
    """A generator whose rows are MARK plus their label, and that remembers what it was fitted on."""

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, X_src: Any, y_src: Any = None, X_tgt: Any = None, y_tgt: Any = None) -> Stamp:
        self.n_rows_ = [0 if X is None else len(X) for X in (X_src, X_tgt)]
        self.shape_ = np.shape(X_tgt)[1:]
        return self

    def sample(self, n_samples: int, y: Any = None, *, random_state: Any = None) -> tuple[Any, Any]:
        return MARK + np.broadcast_to(np.reshape(y, (-1, 1)), (n_samples, *self.shape_)), y


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that remembers what it got."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Recorder:
        self.X_, self.y_, self.weights_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        self.asked_ = X
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def stacked(rng: np.random.Generator) -> Stacked:
    """30 source rows and 12 target rows in turns; classes 0, 1, 2 with 7, 4, 1 target rows."""
    domain = np.full(42, 1)
    domain[np.arange(0, 36, 3)] = -1
    y = np.tile([0, 1, 2], 14)
    y[domain < 0] = [0, 1, 0, 1, 0, 0, 2, 0, 1, 0, 1, 0]
    return rng.normal(size=(42, 2)), y, domain


@pytest.fixture
def target(stacked: Stacked) -> Target:
    X, y, domain = stacked
    return X[domain < 0], y[domain < 0]


# The sampler ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("strategy", "counts"),
    [
        ("auto", {1: 3, 2: 6}),
        ("minority", {2: 6}),
        ("not minority", {1: 3}),
        ({0: 9, 2: 2}, {0: 2, 2: 1}),
        (lambda y: {1: 2 * int((y == 1).sum())}, {1: 4}),
    ],
)
def test_strategies_count_target_rows(
    stacked: Stacked, target: Target, strategy: Any, counts: dict[int, int]
) -> None:
    sampler = GenerativeSampler(Stamp(), sampling_strategy=strategy)
    X_new, y_new = sampler.fit_resample(*stacked)
    assert sampler.generator_.n_rows_ == [30, 12]
    assert sampler.sampling_strategy_.items() >= counts.items()
    np.testing.assert_array_equal(X_new[:12], target[0])
    np.testing.assert_array_equal(y_new[:12], target[1])
    assert Counter(y_new[12:].tolist()) == counts
    np.testing.assert_array_equal(X_new[12:, 0], MARK + y_new[12:])


def test_float_strategy_is_the_ratio_of_two_classes(stacked: Stacked) -> None:
    y = np.minimum(stacked[1], 1)  # 7 and 5 target rows
    y_new = GenerativeSampler(Stamp(), sampling_strategy=1.0).fit_resample(stacked[0], y, stacked[2])[1]
    assert Counter(y_new.tolist()) == {0: 7, 1: 7}


def test_source_rows_come_first_where_they_are_kept(stacked: Stacked, target: Target) -> None:
    X, y, domain = stacked
    order = np.argsort(domain < 0, kind="stable")
    sampler = GenerativeSampler(Stamp(), keep_source=True)
    X_new, y_new = sampler.fit_resample(X, y, domain)
    np.testing.assert_array_equal(X_new[:42], X[order])
    np.testing.assert_array_equal(y_new[:42], y[order])
    np.testing.assert_array_equal(X_new[42:, 0], MARK + np.repeat([1, 2], [3, 6]))
    with pytest.raises(ValueError, match="no source rows"):
        sampler.set_params(generator=DiffusionGenerator(**QUICK)).fit_resample(*target)


def test_a_frozen_generator_is_only_sampled(shift: Shift, few: tuple[Any, ...]) -> None:
    generator = tiny_tgdp(n_steps=2).fit(*few)
    sampler = GenerativeSampler(FrozenEstimator(generator), sampling_strategy="all", random_state=0)
    y = np.repeat([-1, 1], [29, 1])  # a single row of the minority will do
    X_new, y_new = sampler.fit_resample(shift.X_tgt[:30], y)
    assert sampler.generator_ is generator
    assert Counter(y_new.tolist()) == {-1: 29, 1: 29}
    np.testing.assert_array_equal(X_new[30:], generator.sample(28, y=1, random_state=0)[0])


@pytest.mark.parametrize("kind", [TGDPGenerator, FineTunedDiffusionGenerator])
def test_a_frozen_source_model_needs_no_source_rows(few: tuple[Any, ...], kind: Any) -> None:
    source = DiffusionGenerator(**QUICK).fit(*few[:2])
    generator = tiny_tgdp() if kind is TGDPGenerator else kind(**TINY)
    generator.set_params(source_model=FrozenEstimator(source), n_steps=2)
    sampler = GenerativeSampler(generator, random_state=0)
    y_new = sampler.fit_resample(few[2], np.repeat([-1, 1], [8, 4]))[1]
    assert Counter(y_new.tolist()) == {-1: 8, 1: 8}
    assert sampler.generator_.source_model_ is source


def test_the_model_of_one_domain_learns_from_target_rows(stacked: Stacked, target: Target) -> None:
    sampler = GenerativeSampler(DiffusionGenerator(**QUICK), random_state=0)
    for a, b in zip(sampler.fit_resample(*target), sampler.fit_resample(*stacked), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("generator", [None, tiny_tgdp(), FineTunedDiffusionGenerator(TINY_SOURCE, **TINY)])
@pytest.mark.parametrize("y", [np.repeat([0, 1], [8, 4]), np.tile([0, 1], 6)])  # the second asks for no row
def test_a_generator_without_source_is_refused(few: tuple[Any, ...], generator: Any, y: Any) -> None:
    if generator is not None:
        generator = clone(generator).fit(*few)  # would be fitted anew: it is not frozen
    with pytest.raises(ValueError, match="GenerativeSampler knows no source") as error:
        GenerativeSampler(generator).fit_resample(few[2], y)
    for way in ("sample_domain", "FrozenEstimator(fitted_generator)", "source_model=FrozenEstimator"):
        assert way in str(error.value)
    with pytest.raises(ValueError, match="AugmentedClassifier knows no source"):
        AugmentedClassifier(generator=generator).fit(few[2], y)


def test_both_domains_must_be_marked(stacked: Stacked) -> None:
    for mark, message in ((-1, "knows no source"), (1, "marks no target row")):
        with pytest.raises(ValueError, match=message):
            GenerativeSampler(Stamp()).fit_resample(*stacked[:2], sample_domain=np.full(42, mark))


def test_frames_keep_their_columns_and_dtypes(stacked: Stacked) -> None:
    pd = pytest.importorskip("pandas")
    X, y, domain = stacked
    columns = {"a": X[:, 0].astype(np.float32), "n": np.arange(42, dtype=np.int16) % 5, "b": X[:, 1] > 0}
    frame = pd.DataFrame(columns, index=np.arange(7, 49))
    labels = pd.Series(pd.Categorical(np.array(["x", "y", "z"])[y]), name="kind", index=frame.index)
    sampler = GenerativeSampler(tiny_tgdp(n_steps=2), random_state=0)
    X_new, y_new = sampler.fit_resample(frame, labels, sample_domain=domain)
    pd.testing.assert_frame_equal(X_new[:12], frame[domain < 0].reset_index(drop=True))
    pd.testing.assert_series_equal(y_new[:12], labels[domain < 0].reset_index(drop=True))
    assert list(X_new.dtypes) == list(frame.dtypes)
    assert list(y_new[12:]) == ["y"] * 3 + ["z"] * 6
    assert list(sampler.feature_names_in_) == ["a", "n", "b"]
    # a classifier gets frames, too, and is asked with them
    classifier = AugmentedClassifier(Recorder(), FrozenEstimator(sampler.generator_)).fit(frame, labels)
    classifier.predict(frame)
    assert list(classifier.classifier_.X_.dtypes) == list(frame.dtypes)
    assert classifier.classifier_.asked_ is frame


@pytest.mark.filterwarnings("ignore:X has feature names", "ignore:X does not have valid feature names")
def test_the_form_of_the_rows_wins_over_that_of_a_frozen_generator(target: Target) -> None:
    pd = pytest.importorskip("pandas")
    X, y = target
    frame = pd.DataFrame({"n": 10 * X[:, 0], "x": X[:, 1]}).astype({"n": int})
    of_arrays = DiffusionGenerator(**QUICK).fit(10 * X, y)
    X_new, _ = GenerativeSampler(FrozenEstimator(of_arrays), random_state=0).fit_resample(frame, y)
    pd.testing.assert_series_equal(X_new.dtypes, frame.dtypes)
    raw, _ = of_arrays.sample(9, y=np.repeat([1, 2], [3, 6]), random_state=0)
    np.testing.assert_array_equal(X_new["n"][12:], np.rint(raw[:, 0]))
    of_frames = FrozenEstimator(DiffusionGenerator(**QUICK).fit(frame, y))
    X_new, _ = GenerativeSampler(of_frames).fit_resample(frame.to_numpy(np.float32), y)
    assert X_new.dtype == np.float32


@pytest.mark.parametrize(("shape", "dtype"), [((2,), np.float32), ((2,), np.int8), ((2, 5), np.float64)])
def test_arrays_keep_their_form(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> None:
    X = rng.normal(scale=10, size=(12, *shape)).astype(dtype)
    y = np.repeat(["a", "ccc"], [8, 4])
    X_new, y_new = GenerativeSampler(DiffusionGenerator(**QUICK)).fit_resample(X, y)
    assert (X_new.shape, X_new.dtype, y_new.dtype) == ((16, *shape), dtype, y.dtype)


def test_multilabel_targets_are_sent_to_the_classifier(stacked: Stacked) -> None:
    with pytest.raises(ValueError, match="Use AugmentedClassifier"):
        GenerativeSampler(Stamp()).fit_resample(stacked[0], np.eye(3)[stacked[1]], sample_domain=stacked[2])


def test_frozen_generators_of_something_else(target: Target) -> None:
    X, y = target
    model = DiffusionGenerator(**QUICK)
    for fitted, message in (
        (clone(model), "not fitted yet"),
        (clone(model).fit(X[:, :1], y), "X has 2 features"),
        (clone(model).fit(X, np.minimum(y, 1)), r"not seen: \[2\]"),
        (clone(model).fit(X), "fitted without labels and cannot draw"),
    ):
        with pytest.raises(ValueError, match=message):  # NotFittedError is one
            GenerativeSampler(FrozenEstimator(fitted)).fit_resample(X, y)


def test_without_imbalanced_learn(stacked: Stacked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imblearn", None)
    with pytest.raises(ImportError, match=r"pip install .sktgdp\[imblearn\]"):
        GenerativeSampler(Stamp()).fit_resample(*stacked)
    assert AugmentedClassifier(generator=Stamp()).fit(*stacked).predict(stacked[0]).shape == (42,)


# Seeds ----------------------------------------------------------------------------------------------
def unseeded() -> TGDPGenerator:
    source_model = clone(TINY_SOURCE).set_params(random_state=None)
    return tiny_tgdp(source_model=source_model, random_state=None, n_steps=2)


@pytest.mark.usefixtures("global_rng_untouched")
def test_one_seed_seeds_every_part(stacked: Stacked) -> None:
    seeds = (0, 0, 1, None, None)
    rows = [GenerativeSampler(unseeded(), random_state=s).fit_resample(*stacked)[0][12:] for s in seeds]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert len({each.tobytes() for each in rows}) == 4
    forest = RandomForestClassifier(5)
    models = [AugmentedClassifier(forest, unseeded(), n_synthetic=2.0, random_state=s) for s in seeds[:3]]
    a, b, c = (model.fit(*stacked).predict_proba(stacked[0]) for model in models)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_given_seeds_stay_and_parameters_are_not_touched(stacked: Stacked) -> None:
    generator = unseeded().set_params(source_model__random_state=7)
    sampler = GenerativeSampler(generator, random_state=0)
    sampler.fit_resample(*stacked)
    assert generator.random_state is None
    assert sampler.generator_.random_state is not None
    assert sampler.generator_.source_model.random_state == 7
    sampler.set_params(random_state=None).fit_resample(*stacked)
    assert sampler.generator_.random_state is None


# Pipelines and searches -----------------------------------------------------------------------------
def test_imbalanced_pipeline_without_and_with_routing(stacked: Stacked, target: Target) -> None:
    X, y, domain = stacked
    frozen = FrozenEstimator(Stamp().fit(None, None, X))
    pipeline = ImbalancedPipeline([("sampler", GenerativeSampler(frozen)), ("model", Recorder())])
    pipeline.fit(*target)
    assert Counter(pipeline["model"].y_.tolist()) == {0: 7, 1: 7, 2: 7}
    pipeline.set_params(sampler=GenerativeSampler(Stamp()))
    with pytest.raises(ValueError, match="imbalanced-learn's Pipeline drops"):
        pipeline.fit(X, y, sampler__sample_domain=domain)
    with config_context(enable_metadata_routing=True):
        pipeline.set_params(sampler=GenerativeSampler(Stamp()).set_fit_resample_request(sample_domain=True))
        pipeline = clone(pipeline).fit(X, y, sample_domain=domain)
    assert pipeline["sampler"].generator_.n_rows_ == [30, 12]
    assert Counter(pipeline["model"].y_.tolist()) == {0: 7, 1: 7, 2: 7}


def test_classifier_in_a_pipeline_and_in_searches(stacked: Stacked) -> None:
    X, y, domain = stacked
    pipeline = make_pipeline(StandardScaler(), AugmentedClassifier(generator=Stamp()))
    pipeline.fit(X, y, augmentedclassifier__sample_domain=domain)
    assert pipeline[-1].generator_.n_rows_ == [30, 12]
    model = AugmentedClassifier(GaussianNB(), Stamp(), n_synthetic=2, random_state=0)
    grid = {"generator__random_state": [0, 1], "classifier__var_smoothing": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y, sample_domain=domain)
    assert search.best_estimator_.generator_.n_rows_ == [30, 12]
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_domain=True)
        found = cross_validate(model, X, y, params={"sample_domain": domain}, cv=2, return_estimator=True)
    assert [sum(each.generator_.n_rows_) for each in found["estimator"]] == [21, 21]


# The classifier -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("n_synthetic", "n_new"), [("balance", 9), (0, 0), (0.0, 0), (1, 1), (1.0, 12), (1.5, 18)]
)
def test_number_of_synthetic_rows(stacked: Stacked, target: Target, n_synthetic: Any, n_new: int) -> None:
    model = AugmentedClassifier(Recorder(), Stamp(), n_synthetic=n_synthetic, random_state=0)
    found = model.fit(*stacked).classifier_
    np.testing.assert_array_equal(found.X_[:12], target[0])
    np.testing.assert_array_equal(found.y_[:12], target[1])
    np.testing.assert_array_equal(found.X_[12:, 0], MARK + found.y_[12:])
    counts = Counter(found.y_[12:].tolist())
    assert model.n_synthetic_ == {label: counts[label] for label in range(3)}
    assert counts == {1: 3, 2: 6} if n_synthetic == "balance" else counts.total() == n_new
    assert found.weights_ is None
    assert (model.generator_ is None) == (n_new == 0)


def test_labels_are_drawn_as_frequent_as_the_targets(stacked: Stacked) -> None:
    model = AugmentedClassifier(Recorder(), Stamp(), n_synthetic=1000.0, random_state=0).fit(*stacked)
    np.testing.assert_allclose(list(model.n_synthetic_.values()), [7000, 4000, 1000], atol=200)


def test_prediction_never_sees_synthetic_rows(stacked: Stacked) -> None:
    model = AugmentedClassifier(Recorder(), Stamp()).fit(*stacked)
    model.predict(stacked[0])
    assert model.classifier_.asked_ is stacked[0]
    assert np.isclose(model.score(*stacked[:2]), np.mean(stacked[1] == 0))


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("classifier", [Recorder(), make_pipeline(StandardScaler(), Recorder())])
def test_weights_of_synthetic_rows(stacked: Stacked, classifier: Any, routing: bool) -> None:
    with config_context(enable_metadata_routing=routing):
        model = AugmentedClassifier(classifier, Stamp(), sample_weight_synthetic=0.25).fit(*stacked)
    last = model.classifier_ if isinstance(classifier, Recorder) else model.classifier_[-1]
    np.testing.assert_array_equal(last.weights_, [1.0] * 12 + [0.25] * 9)


def test_weights_need_a_classifier_that_takes_them(stacked: Stacked) -> None:
    model = AugmentedClassifier(None, Stamp(), sample_weight_synthetic=0.5)
    assert model.fit(*stacked).predict_proba(stacked[0]).shape == (42, 3)
    for classifier in (KNeighborsClassifier(), make_pipeline(StandardScaler(), KNeighborsClassifier())):
        with pytest.raises(TypeError, match="KNeighborsClassifier takes no sample_weight"):
            model.set_params(classifier=classifier).fit(*stacked)


def test_multilabel_targets(stacked: Stacked) -> None:
    X, y, domain = stacked
    Y = np.eye(3, dtype=int)[y] | np.eye(3, dtype=int)[(y + domain) % 3]
    model = AugmentedClassifier(RandomForestClassifier(3), tiny_tgdp(n_steps=2), n_synthetic=2.0)
    assert model.fit(X, Y, sample_domain=domain).n_synthetic_ == 24
    assert model.predict(X).shape == (42, 3)
    with pytest.raises(ValueError, match="Give a number of rows"):
        model.set_params(n_synthetic="balance").fit(X, Y, sample_domain=domain)


def test_methods_and_tags_are_those_of_the_classifier() -> None:
    names = ("predict_proba", "predict_log_proba", "decision_function")
    for classifier, expected in ((None, [1, 1, 1]), (LinearSVC(), [0, 0, 1]), (GaussianNB(), [1, 1, 0])):
        assert [hasattr(AugmentedClassifier(classifier), name) for name in names] == expected
    forest = RandomForestClassifier()
    assert get_tags(AugmentedClassifier(forest, n_synthetic=10)).classifier_tags.multi_label
    assert not get_tags(AugmentedClassifier(forest)).classifier_tags.multi_label  # "balance" needs classes
    assert not get_tags(AugmentedClassifier(LinearSVC(), n_synthetic=10)).classifier_tags.multi_label
    assert not get_tags(AugmentedClassifier(LinearSVC())).input_tags.sparse


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_synthetic", -1), ("n_synthetic", -0.5), ("n_synthetic", "all"), ("sample_weight_synthetic", -1.0),
     ("generator", LogisticRegression()), ("classifier", StandardScaler())],
)  # fmt: skip
def test_parameters_are_checked(target: Target, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        AugmentedClassifier(**{name: value}).fit(*target)
    for kind in (AugmentedClassifier, GenerativeSampler):
        assert set(kind._parameter_constraints) == set(kind().get_params(deep=False))


# The checks of the two libraries --------------------------------------------------------------------
CHECKED = [
    AugmentedClassifier(generator=DiffusionGenerator(**QUICK), random_state=0),
    GenerativeSampler(DiffusionGenerator(**QUICK), random_state=0),
]
# check: why it must fail; none of scikit-learn's does
EXPECTED = {
    "check_samplers_pandas_sparse": "sparse columns are refused like any sparse X: what is drawn is dense",
    "check_samplers_multiclass_ova": "an indicator is multi-label to every estimator here, not coded classes",
}


@parametrize_with_checks(CHECKED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@parametrize_with_imblearn_checks(CHECKED[1:], expected_failed_checks=lambda _: EXPECTED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
def test_imbalanced_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
