"""Density ratios by classification against those of Gaussians, with networks and with any classifier."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from small_models import TINY_RATIO, Shift

from sktgdp import DomainClassifier
from sktgdp.estimators import effective_sample_size
from sktgdp.estimators._rows.domains import Domains
from sktgdp.estimators.density_ratio import folds

P, Q = multivariate_normal([0.0, 0.0]), multivariate_normal([1.0, 0.5])
WIDE = multivariate_normal([0.0, 0.0], 2.0)
Floats = NDArray[np.float64]


def true_log_ratio(X: Floats, q: Any = Q) -> Floats:
    return q.logpdf(X) - P.logpdf(X)


def domains(n_source: int, n_target: int, q: Any = Q) -> dict[str, Floats]:
    return {"X_src": P.rvs(n_source, random_state=0), "X_tgt": q.rvs(n_target, random_state=1)}


def errors(model: DomainClassifier, q: Any = Q) -> tuple[float, float]:
    """Correlation with the true log ratio, and root mean square error, over rows of both domains."""
    X = np.vstack([P.rvs(500, random_state=2), q.rvs(500, random_state=3)])
    estimate, truth = model.log_density_ratio(X), true_log_ratio(X, q)
    return np.corrcoef(estimate, truth)[0, 1], np.sqrt(np.square(estimate - truth).mean())


@pytest.fixture(scope="module")
def network_ratio() -> DomainClassifier:
    return DomainClassifier(n_folds=3, max_steps=200, random_state=0).fit(**domains(1500, 400))


# Against closed forms -------------------------------------------------------------------------------
def test_network(network_ratio: DomainClassifier) -> None:
    correlation, rmse = errors(network_ratio)
    assert correlation > 0.97
    assert rmse < 0.35


def test_logistic_regression_is_nearly_exact() -> None:
    """The log ratio of Gaussians with one covariance is linear."""
    model = DomainClassifier(LogisticRegression(C=1e3), random_state=0).fit(**domains(4000, 2000))
    correlation, rmse = errors(model)
    assert correlation > 0.999
    assert rmse < 0.12


def test_quadratic_log_ratio() -> None:
    """Different covariances, features made by a pipeline."""
    classifier = make_pipeline(PolynomialFeatures(2), LogisticRegression(C=1e3))
    model = DomainClassifier(classifier, random_state=0).fit(**domains(4000, 2000, WIDE))
    correlation, rmse = errors(model, WIDE)
    assert correlation > 0.99
    assert rmse < 0.15


@pytest.mark.parametrize(
    ("classifier", "floor", "ceiling"),
    [
        (HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8), 0.9, 0.6),
        (CalibratedClassifierCV(GaussianNB(), cv=3), 0.93, 0.5),
        (RandomForestClassifier(20, min_samples_leaf=20), 0.9, 0.6),
    ],
    ids=["boosting", "calibrated", "forest"],
)
@pytest.mark.usefixtures("global_rng_untouched")
def test_any_classifier(classifier: Any, floor: float, ceiling: float) -> None:
    given = clone(classifier)
    model = DomainClassifier(classifier, n_folds=3, random_state=0).fit(**domains(1500, 500))
    correlation, rmse = errors(model)
    assert correlation > floor
    assert rmse < ceiling
    assert model.n_parameters_ == 0
    assert vars(classifier).keys() == vars(given).keys(), "the classifier that was given is not fitted"


def test_class_weights_make_no_difference() -> None:
    """A tenth as many target rows: the shares of the domains are taken out either way."""
    plain, balanced = (
        DomainClassifier(LogisticRegression(C=1e3, class_weight=w), random_state=0).fit(**domains(4000, 400))
        for w in (None, "balanced")
    )
    X = P.rvs(500, random_state=2)
    np.testing.assert_allclose(plain.log_density_ratio(X), balanced.log_density_ratio(X), atol=0.25)
    assert abs(np.mean(plain.log_density_ratio(X) - balanced.log_density_ratio(X))) < 0.1
    assert abs(np.mean(plain.log_density_ratio(X) - true_log_ratio(X))) < 0.15


def test_shares_of_the_domains_make_no_difference() -> None:
    """The network sees both domains equally often: ten times the source rows, the same ratio."""
    few, many = (
        DomainClassifier(n_folds=2, max_steps=150, random_state=0).fit(**domains(n, 300)) for n in (300, 3000)
    )
    X = P.rvs(500, random_state=2)
    assert abs(np.mean(few.log_density_ratio(X) - many.log_density_ratio(X))) < 0.4


# Labels ---------------------------------------------------------------------------------------------
def test_ratio_of_the_labels(rng: np.random.Generator) -> None:
    """Rows alike, classes 1:1 in the source and 1:4 in the target: the ratio is that of the labels."""
    X = rng.normal(size=(3000, 2))
    y_src, y_tgt = np.arange(2000) % 2, (np.arange(1000) % 5 > 0).astype(int)
    model = DomainClassifier(LogisticRegression(), random_state=0).fit(X[:2000], y_src, X[2000:], y_tgt)
    for label, expected in ((0, np.log(0.2 / 0.5)), (1, np.log(0.8 / 0.5))):
        estimate = model.log_density_ratio(X[:100], np.full(100, label))
        np.testing.assert_allclose(estimate, expected, atol=0.25)


def test_joint_ratio_follows_the_label(shift: Shift) -> None:
    """The paper's mixture: given y, log q/p is linear in x with opposite slopes for the two classes."""
    model = DomainClassifier(n_folds=2, max_steps=200, random_state=0).fit(*shift.domains)
    x = np.array([[0.0, 0.5]])
    assert model.log_density_ratio(x, [1])[0] < -2.0
    assert model.log_density_ratio(x, [-1])[0] > 2.0


def test_string_and_multilabel_labels(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 2))
    for y in (np.repeat(["a", "b"], 20), rng.integers(0, 2, (40, 3))):
        model = DomainClassifier(**TINY_RATIO, random_state=0).fit(X, y, X[::4], y[::4])
        assert model.log_density_ratio(X, y).shape == (40,)
    with pytest.raises(ValueError, match="fitted with labels; give y"):
        model.log_density_ratio(X)
    model = DomainClassifier(**TINY_RATIO, random_state=0).fit(X, None, X)
    with pytest.raises(ValueError, match="y was given"):
        model.log_density_ratio(X, np.zeros(40))


# Effective sample size ------------------------------------------------------------------------------
@pytest.mark.parametrize("constant", [0.0, 5.0, 800.0])
def test_effective_sample_size(constant: float) -> None:
    """n rows of weight 1 and m of weight w: (n + m w)^2 / (n + m w^2), whatever the constant above 0."""
    assert effective_sample_size(np.full(7, constant)) == pytest.approx(7.0)
    assert effective_sample_size([constant + np.log(2.0), constant - 500.0]) == pytest.approx(1.0)
    weights = constant + np.log(np.repeat([1.0, 3.0], [10, 5]))
    assert effective_sample_size(weights) == pytest.approx((10 + 15) ** 2 / (10 + 45))


def test_missing_mass_counts_as_one_row() -> None:
    """A ratio of 1/2 on 100 rows lacks 70 - 50 less two standard errors of 5: (50 + 10)^2 / (25 + 10^2)."""
    assert effective_sample_size(np.full(100, np.log(0.5))) == pytest.approx(60**2 / (25 + 10**2))
    assert effective_sample_size(np.full(10, -800.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("n", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("mean", [0.8, 0.97, 1.0, 1.2])
def test_a_classifiers_error_is_no_missing_mass(n: int, mean: float) -> None:
    """However many rows make chance small: all rows count alike."""
    assert effective_sample_size(np.full(n, np.log(mean))) == pytest.approx(n)


def test_copies_are_one_row_that_weighs_more(rng: np.random.Generator) -> None:
    log_ratio, counts = rng.normal(size=60) - 0.5, rng.integers(1, 6, 60)
    once, often = np.exp(log_ratio), counts * np.exp(log_ratio)
    found = effective_sample_size(log_ratio, counts)
    assert found == pytest.approx(often.sum() ** 2 / np.square(often).sum())
    assert found != pytest.approx(once.sum() ** 2 / np.square(once).sum())
    assert found < effective_sample_size(np.repeat(log_ratio, counts))


@pytest.mark.parametrize("classifier", [None, GaussianNB()])
def test_copies_stay_in_one_fold(
    classifier: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that a fold was trained on would else be among those that stop and calibrate it."""
    X, target = rng.normal(size=(23, 2)), rng.normal(size=(9, 2))
    original = rng.permutation(np.repeat(np.arange(23), rng.integers(1, 6, 23)))
    seen: list[set[int]] = []
    name = "_fit_network" if classifier is None else "_fit_classifier"
    fit = getattr(DomainClassifier, name)

    def noted(self: DomainClassifier, rows: Any, train: Any, *args: Any) -> Any:
        left = np.delete(np.arange(len(original)), train[0])
        assert not set(original[train[0]]) & set(original[left])
        seen.append(set(original[left]))
        return fit(self, rows, train, *args)

    monkeypatch.setattr(DomainClassifier, name, noted)
    params = TINY_RATIO | {"n_folds": 4, "random_state": 0, "classifier": classifier}
    model = DomainClassifier(**params)._fit_repeated(Domains(X[original], None, target, None), None, original)
    assert sorted(each for part in seen for each in part) == list(range(23))
    assert model.effective_sample_size_ <= 23.0


def test_effective_sample_size_of_gaussians() -> None:
    """E[r]^2 / E[r^2] = exp(-|shift|^2) for a shift by standard deviations."""
    X = multivariate_normal([0.0, 0.0]).rvs(200_000, random_state=0)
    shifted = multivariate_normal([0.5, 0.0])
    share = effective_sample_size(shifted.logpdf(X) - P.logpdf(X)) / len(X)
    assert share == pytest.approx(np.exp(-0.25), rel=0.02)


def test_effective_sample_size_of_a_fit(network_ratio: DomainClassifier) -> None:
    source = domains(1500, 400)["X_src"]
    expected = effective_sample_size(network_ratio.log_density_ratio(source))
    assert network_ratio.effective_sample_size_ == pytest.approx(expected)
    assert network_ratio.effective_sample_size_ / 1500 == pytest.approx(np.exp(-1.25), rel=0.4)


@pytest.mark.parametrize("classifier", [None, LogisticRegression()], ids=["network", "logistic"])
def test_identical_domains(classifier: Any) -> None:
    model = DomainClassifier(classifier, n_folds=3, max_steps=100, random_state=0)
    model.fit(P.rvs(600, random_state=0), None, P.rvs(300, random_state=1))
    assert np.abs(model.log_density_ratio(P.rvs(300, random_state=2))).mean() < 0.15
    assert model.effective_sample_size_ > 0.9 * 600


def test_separated_domains_stay_finite(rng: np.random.Generator) -> None:
    X = rng.normal(size=(200, 3))
    model = DomainClassifier(n_folds=2, max_steps=100, random_state=0).fit(X, None, X[:40] + 50.0)
    assert np.isfinite(model.log_density_ratio(np.vstack([X, X + 50.0]))).all()
    assert (model.log_density_ratio(X) < -2.0).mean() > 0.95
    assert (model.log_density_ratio(X + 50.0) > 2.0).mean() > 0.95


@pytest.mark.parametrize("gap", [8.0, 50.0])
def test_separated_domains_have_no_effective_rows(gap: float, rng: np.random.Generator) -> None:
    """All source rows are alike to the classifier, yet none of them is worth a target row."""
    X = rng.normal(size=(500, 2))
    model = DomainClassifier(LogisticRegression(), n_folds=2, random_state=0).fit(X, None, X[:50] + gap)
    assert model.effective_sample_size_ < 2.0


# Behaviour ------------------------------------------------------------------------------------------
def test_probabilities(network_ratio: DomainClassifier) -> None:
    X = P.rvs(50, random_state=2)
    probabilities = network_ratio.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    log_odds = np.log(probabilities[:, 1] / probabilities[:, 0])
    np.testing.assert_allclose(log_odds, network_ratio.log_density_ratio(X))


@pytest.mark.usefixtures("global_rng_untouched")
def test_seeds_and_stacked_form() -> None:
    parts = domains(60, 20)
    fits = [DomainClassifier(**TINY_RATIO, random_state=seed).fit(**parts) for seed in (0, 0, 1)]
    domain = np.repeat([0, -1], [60, 20])
    stacked = DomainClassifier(**TINY_RATIO, random_state=0)
    fits.append(stacked.fit(np.vstack([*parts.values()]), sample_domain=domain))
    ratios = [model.log_density_ratio(parts["X_src"]) for model in fits]
    np.testing.assert_array_equal(ratios[0], ratios[1])
    np.testing.assert_array_equal(ratios[0], ratios[3])
    assert not np.array_equal(ratios[0], ratios[2])


def test_units_make_no_difference() -> None:
    parts = domains(60, 20)
    plain = DomainClassifier(**TINY_RATIO, random_state=0).fit(**parts)
    scaled = DomainClassifier(**TINY_RATIO, random_state=0)
    scaled.fit(**{name: 1024.0 * X - 4096.0 for name, X in parts.items()})
    X = parts["X_tgt"]
    np.testing.assert_allclose(
        scaled.log_density_ratio(1024.0 * X - 4096.0), plain.log_density_ratio(X), atol=1e-5
    )


@pytest.mark.parametrize("classifier", [None, LogisticRegression()], ids=["network", "logistic"])
def test_two_rows_a_domain(classifier: Any) -> None:
    model = DomainClassifier(classifier, **{**TINY_RATIO, "n_folds": 5}, random_state=0)
    model.fit([[0.0], [0.5]], None, [[1.0], [1.5]])
    assert len(model.classifiers_) == 2
    assert np.isfinite(model.log_density_ratio([[0.7]])).all()


def test_series(rng: np.random.Generator) -> None:
    X = rng.normal(size=(30, 2, 6))
    model = DomainClassifier(**TINY_RATIO, random_state=0).fit(X, None, X[:10] + 1.0)
    assert model.log_density_ratio(X).shape == (30,)


@pytest.mark.parametrize(("n_rows", "n_folds"), [(10, 3), (2, 2), (7, 7)])
def test_folds_are_a_partition(n_rows: int, n_folds: int) -> None:
    parts = folds(n_rows, n_folds, 0)
    assert sorted(np.concatenate(parts)) == list(range(n_rows))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_pickle(network_ratio: DomainClassifier) -> None:
    X = P.rvs(20, random_state=2)
    again = pickle.loads(pickle.dumps(network_ratio))
    np.testing.assert_array_equal(again.log_density_ratio(X), network_ratio.log_density_ratio(X))
    assert network_ratio.n_parameters_ == 3 * sum(
        p.numel() for p in network_ratio.classifiers_[0].parameters()
    )
