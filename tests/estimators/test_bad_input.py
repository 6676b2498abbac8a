"""Bad input is refused before anything is trained, in words that name the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from small_models import TINY, TINY_NETWORK, TINY_RATIO, Shift, tiny_tgdp

from sktgdp import (
    AugmentedClassifier,
    DiffusionGenerator,
    DomainClassifier,
    FineTunedDiffusionGenerator,
    GenerativeSampler,
    SeriesClassifier,
    TGDPGenerator,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), np.arange(20) % 2
INDICATOR = RNG.integers(0, 2, (20, 3))
TWO_DOMAINS: dict[str, Callable[..., Any]] = {
    "TGDP": tiny_tgdp,
    "fine-tuned": lambda **params: FineTunedDiffusionGenerator(
        **{**TINY, "source_model": DiffusionGenerator(**TINY_NETWORK), **params}
    ),
    "ratio": lambda **params: DomainClassifier(**{**TINY_RATIO, **params}),
}


def with_value(value: float) -> Any:
    broken = X.copy()
    broken[3, 1] = value
    return broken


@pytest.fixture(scope="module")
def fitted(shift: Shift) -> dict[str, Any]:
    """Fitted models by kind of labels; made before training is forbidden."""
    labels = {"none": None, "class": np.where(Y > 0, "sick", "well"), "multilabel": INDICATOR}
    models = {name: DiffusionGenerator(**TINY_NETWORK).fit(X, y) for name, y in labels.items()}
    return {**models, "TGDP": tiny_tgdp().fit(X, Y, X[:5], Y[:5])}


@pytest.fixture(autouse=True)
def _no_training(fitted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a network is trained in spite of everything."""

    def train_network(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a network was trained on bad input")

    for module in ("diffusion", "density_ratio", "_guidance_fit"):
        monkeypatch.setattr(f"sktgdp.estimators.{module}.train_network", train_network)


# One domain -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[:1],), r"Found array with 1 sample.* minimum of 2 is required by X"),
        ((X[:0],), r"0 sample\(s\).*required by X"),
        ((X[:, :0],), r"0 feature\(s\).*required by X"),
        ((X[:, 0],), "Expected 2D array, got 1D array instead"),
        ((X.reshape(5, 2, 2, 2),), r"X has shape \(5, 2, 2, 2\); expected \(n, d\)"),
        ((with_value(np.nan),), "Input X contains NaN"),
        ((with_value(np.inf),), "Input X contains infinity"),
        ((pd.DataFrame({"a": [[1], [2]]}),), r"X: Column 'a' of dtype object holds list"),
        ((pd.DataFrame({"a": [1.0, np.inf]}),), "X: Column 'a' contains infinity"),
        ((pd.DataFrame({"a": [np.nan, np.nan]}),), "X: Column 'a' has only missing values"),
        ((X, Y[:5]), "y must hold one label per row: found 5 labels for 20 rows"),
        ((X, np.linspace(0, 1, 20)), "y holds continuous values"),
        ((X, np.where(Y, np.nan, 1.0)), "y contains NaN"),
        ((X, 3 * INDICATOR), "y has shape.*zeros and ones"),
    ],
)
def test_one_domain(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        DiffusionGenerator(**TINY_NETWORK).fit(*arguments)


# Two domains ----------------------------------------------------------------------------------------
BAD_DOMAINS = [
    ((X, None, X[:, :1]), r"X_src and X_tgt must have the same features.*\(2,\) in X_src, \(1,\) in X_tgt"),
    ((X, None, X.reshape(10, 2, 2)), "X_src and X_tgt must have the same features"),
    ((X, None, None, Y), "X_tgt is None"),
    ((None, None, None), "X_tgt is None"),
    ((X[:0], None, X), r"0 sample\(s\).*minimum of 2 is required by X_src"),
    ((X, None, X[:0]), r"0 sample\(s\).*minimum of 2 is required by X_tgt"),
    ((X, None, X[:1]), r"1 sample\(s\).*minimum of 2 is required by X_tgt"),
    ((with_value(np.nan), None, X), "Input X_src contains NaN"),
    ((X, None, with_value(np.nan)), "Input X_tgt contains NaN"),
    ((with_value(-np.inf), None, X), "Input X_src contains infinity"),
    ((X, None, with_value(np.inf)), "Input X_tgt contains infinity"),
    ((X, Y, X), "y_src was given and y_tgt was not"),
    ((X, None, X, Y), "y_tgt was given and y_src was not"),
    ((X, Y[:7], X, Y), "y_src must hold one label per row: found 7 labels for 20 rows"),
    ((X, Y, X, Y[:7]), "y_tgt must hold one label per row: found 7 labels for 20 rows"),
    ((X, Y, X, Y + 1), r"y_tgt holds labels that the model has not seen: \[2\]. Known: \[0, 1\]"),
    ((X, Y, X, Y.astype(str)), r"y_tgt holds labels that the model has not seen: \['0', '1'\]"),
    ((X, INDICATOR, X, INDICATOR[:, :2]), r"y_tgt has shape \(20, 2\).*indicator of 3 columns"),
    ((X, Y, X, INDICATOR), r"y_tgt has shape \(20, 3\).*vector of classes"),
    ((X, Y, X, np.linspace(0, 1, 20)), "y_tgt holds continuous values"),
    ((X, np.where(Y, np.nan, 1.0), X, Y), "y_src contains NaN"),
]


@pytest.mark.parametrize("name", TWO_DOMAINS)
@pytest.mark.parametrize(("arguments", "message"), BAD_DOMAINS)
def test_two_domains(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TWO_DOMAINS[name]().fit(*arguments)


@pytest.mark.parametrize("name", TWO_DOMAINS)
@pytest.mark.parametrize(
    ("arguments", "domain", "message"),
    [
        ((X, Y, X, Y), Y, "both sample_domain and X_tgt"),
        ((X, Y), Y - 5, r"0 sample\(s\).*required by X_src"),
        ((X, Y), Y, r"0 sample\(s\).*required by X_tgt.*sample_domain is to mark"),
        ((X, Y), np.r_[-1, np.ones(19)], r"1 sample\(s\).*required by X_tgt"),
        ((X, Y), Y[:4], "sample_domain must hold one number per row: found 4 for 20 in X_src"),
        ((X, Y), Y.astype(str), "sample_domain must hold numbers"),
        ((X, 2 * Y), 1 - 2 * Y, r"y_tgt holds labels that the model has not seen: \[2\]"),
    ],
)
def test_stacked_domains(name: str, arguments: tuple[Any, ...], domain: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TWO_DOMAINS[name]().fit(*arguments, sample_domain=domain)


@pytest.mark.parametrize("name", ["TGDP", "fine-tuned"])
def test_source_models(name: str, fitted: dict[str, Any]) -> None:
    def fit(source_model: Any, *arguments: Any) -> None:
        TWO_DOMAINS[name](source_model=source_model).fit(*arguments)

    plain, labelled = (FrozenEstimator(fitted[kind]) for kind in ("none", "class"))
    with pytest.raises(TypeError, match=r"source_model must be None, a DiffusionGenerator, or .*got Ridge"):
        fit(Ridge(), X, Y, X, Y)
    with pytest.raises(TypeError, match=r"source_model must be.*got Ridge"):
        fit(FrozenEstimator(Ridge()), X, Y, X, Y)
    with pytest.raises(NotFittedError):
        fit(FrozenEstimator(DiffusionGenerator()), X, Y, X, Y)
    with pytest.raises(ValueError, match=r"X_src is None\. Give source rows, or a trained source model"):
        fit(DiffusionGenerator(), None, None, X, Y)
    with pytest.raises(ValueError, match=r"X_tgt has rows of shape \(3,\), but source_model was fitted on"):
        fit(plain, np.ones((9, 3)), None, np.ones((5, 3)))
    with pytest.raises(ValueError, match="source_model was fitted with labels; give y_src and y_tgt too"):
        fit(labelled, X, None, X)
    with pytest.raises(ValueError, match="y_tgt was given, but the model was fitted without labels"):
        fit(plain, X, Y, X, Y)
    deaths = np.where(Y, "dead", "sick")
    with pytest.raises(ValueError, match=r"y_tgt holds labels that the model has not seen: \['dead'\]"):
        fit(labelled, X, deaths, X, deaths)
    if name == "TGDP":
        with pytest.raises(ValueError, match=r"y_src holds labels that the model has not seen: \['dead'\]"):
            fit(labelled, X, deaths, X, ["sick"] * 20)


def test_frozen_source_of_other_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    frame = pd.DataFrame(X, columns=["a", "b"])
    source = DiffusionGenerator(**TINY_NETWORK).fit(frame)
    with pytest.raises(ValueError, match=r"X_tgt must have the columns that source_model was fitted on"):
        tiny_tgdp(source_model=FrozenEstimator(source)).fit(frame[["b", "a"]], None, frame[["b", "a"]])


def test_conditional_without_labels() -> None:
    with pytest.raises(ValueError, match="conditional=True needs labels: give y_src and y_tgt"):
        tiny_tgdp(conditional=True).fit(X, None, X)


# Parameters -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["eta_cycle", "eta_consistency"])
@pytest.mark.parametrize("value", [-1, -0.5, "none", np.nan, None])
def test_weights(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"'{name}' parameter of TGDPGenerator must be"):
        tiny_tgdp(**{name: value}).fit(X, Y, X, Y)


COMMON = [("max_steps", 0), ("batch_size", 0), ("lr", 0.0), ("lr", -1e-3), ("weight_decay", -1.0)]
COMMON += [("random_state", "seed"), ("device", 0), ("lr", np.inf), ("lr", np.nan), ("weight_decay", np.inf)]
COMMON += [(name, True) for name in ("max_steps", "batch_size", "lr", "random_state")]
GENERATORS = [*COMMON, ("solver", "heun"), ("n_steps", 0), ("ema_decay", 1.0), ("verbose", -1)]
GENERATORS += [("early_stopping", "never"), ("n_steps", np.True_), ("max_memorization", True)]
GENERATORS += [("callbacks", value) for value in (print, [3], [print], [["name", 3]])]
SIZES = [[0], [-1], [2.5], [True], ["a"], [[8]], (8, np.nan)]
SERIES = [*COMMON, ("batch_size", 1), ("n_channels", True), ("window", True), ("callbacks", [3])]


TWO_SETS = (TGDPGenerator, FineTunedDiffusionGenerator, DomainClassifier)
SIZED = (DiffusionGenerator, TGDPGenerator, DomainClassifier)


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        *((TGDPGenerator, *case) for case in GENERATORS),
        *((FineTunedDiffusionGenerator, *case) for case in GENERATORS),
        *((DiffusionGenerator, *case) for case in GENERATORS),
        *((DomainClassifier, *case) for case in COMMON),
        *((SeriesClassifier, *case) for case in SERIES),
        *((make, "hidden_sizes", sizes) for sizes in SIZES for make in SIZED),
        (TGDPGenerator, "eta_cycle", True),
        (TGDPGenerator, "n_networks", True),
        (GenerativeSampler, "sampling_strategy", True),
        (AugmentedClassifier, "n_synthetic", True),
        (AugmentedClassifier, "n_synthetic", np.nan),
        (AugmentedClassifier, "sample_weight_synthetic", np.inf),
        (AugmentedClassifier, "random_state", True),
        (TGDPGenerator, "guidance_loss", "huber"),
        (TGDPGenerator, "conditional", "always"),
        (TGDPGenerator, "n_networks", 0),
        (TGDPGenerator, "domain_classifier", Ridge()),
        (TGDPGenerator, "guidance_module", "mlp"),
        (FineTunedDiffusionGenerator, "trainable", "lora"),
        (FineTunedDiffusionGenerator, "validation_fraction", 1.0),
        (DiffusionGenerator, "validation_fraction", 0.0),
        (DiffusionGenerator, "transformer", LogisticRegression()),
        (DiffusionGenerator, "module", "mlp"),
        (DomainClassifier, "classifier", Ridge()),
        (DomainClassifier, "n_folds", 1),
    ],
)
def test_parameters(make: Any, name: str, value: Any) -> None:
    arguments = (X, Y, X, Y) if make in TWO_SETS else (X, Y)
    with pytest.raises(ValueError, match=f"'{name}' parameter of {make.__name__} must be"):
        make(**{name: value}).fit(*arguments)


@pytest.mark.parametrize("device", ["cuda:99", "nope", "", "meta", "cpu:3"])
@pytest.mark.parametrize("make", [*TWO_SETS, DiffusionGenerator, SeriesClassifier])
def test_devices(make: Any, device: str) -> None:
    with pytest.raises(ValueError, match=f"device='{device}' is not there; this machine has"):
        make(device=device).fit(X, Y, *((X, Y) if make in TWO_SETS else ()))


@pytest.mark.parametrize(
    "whole",
    [
        TGDPGenerator(DiffusionGenerator(max_steps=0)),
        TGDPGenerator(domain_classifier=DomainClassifier(max_steps=0)),
        AugmentedClassifier(generator=DiffusionGenerator(max_steps=0)),
        AugmentedClassifier(generator=TGDPGenerator(DiffusionGenerator(max_steps=0))),
    ],
    ids=str,
)
def test_parameters_of_parts(whole: Any) -> None:
    with pytest.raises(ValueError, match=r"'max_steps' parameter of .* must be an int"):
        whole.fit(X, Y, sample_domain=np.r_[np.ones(10), -np.ones(10)])


# Sampling and densities -----------------------------------------------------------------------------
@pytest.mark.parametrize("n_samples", [0, -1, 2.0, "3", None, True])
@pytest.mark.parametrize("name", ["class", "TGDP"])
def test_number_of_samples(name: str, n_samples: Any, fitted: dict[str, Any]) -> None:
    message = "n_samples must be an integer of at least 1; got"
    with pytest.raises(ValueError, match=message):
        fitted[name].sample(n_samples)
    with pytest.raises(ValueError, match=message):
        next(fitted[name].sample_batches(n_samples))


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("none", "sick", "y was given, but the model was fitted without labels"),
        ("class", "dead", r"y holds labels that the model has not seen: \['dead'\]. Known: \['sick', 'well"),
        ("class", ["sick", "well"], "y holds 2 labels for n_samples = 3"),
        ("class", ["sick", "well", "dead"], "not seen"),
        ("class", ["sick", None, "well"], "y has missing labels"),
        ("class", np.array(["sick", 1, "well"], object), "y mixes strings with other labels"),
        ("class", ["sick"] * 4, "y holds 4 labels for n_samples = 3"),
        ("multilabel", [1, 0], r"y has shape \(3, 2\)"),
        ("multilabel", [[1, 0, 1]] * 4, "y holds 4 labels for n_samples = 3"),
        ("multilabel", [1, 0, 7], "zeros and ones"),
        ("multilabel", 1, "indicator row of 3"),
        ("TGDP", [0, 1], "y holds 2 labels for n_samples = 3"),
        ("TGDP", 5, r"not seen: \[5\]"),
    ],
)
def test_labels_of_samples(name: str, y: Any, message: str, fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        fitted[name].sample(3, y)
    with pytest.raises(ValueError, match=message):
        next(fitted[name].sample_batches(3, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "heun"}, "unknown solver 'heun'"),
        *(({"n_steps": n}, "n_steps must be an integer of at least 1; got") for n in (0, -1, 2.5, True, "3")),
        ({"solver": ["ddim"]}, r"unknown solver \['ddim'\]"),
        ({"random_state": True}, "random_state must be"),
        ({"random_state": -1}, "random_state must be"),
        ({"random_state": "seed"}, "random_state must be"),
    ],
)
def test_options_of_samples(options: dict[str, Any], message: str, fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        fitted["none"].sample(3, **options)


def test_batches_of_no_rows(fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1; got 0"):
        next(fitted["none"].sample_batches(3, batch_size=0))


@pytest.mark.parametrize("name", ["class", "TGDP"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((4, 3)),), "X has 3 features, but .* is expecting 2 features"),
        ((np.ones((4, 2, 3)),), r"X has rows of shape \(2, 3\), but the model was fitted on \(2,\)"),
        ((with_value(np.nan),), "Input X contains NaN"),
        ((X, ["sick"]), "y must hold one label per row: found 1 labels for 20 rows"),
        ((X, [9] * 20), r"y holds labels that the model has not seen: \[9\]"),
    ],
)
def test_densities(name: str, arguments: tuple[Any, ...], message: str, fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        fitted[name].score_samples(*arguments)


def test_ratio_and_guidance(fitted: dict[str, Any]) -> None:
    model = fitted["TGDP"]
    with pytest.raises(ValueError, match="fitted with labels; give y"):
        model.log_density_ratio(X)
    with pytest.raises(ValueError, match="X has 3 features"):
        model.log_density_ratio(np.ones((4, 3)), [0] * 4)
    with pytest.raises(ValueError, match="fitted with labels; give one label per row"):
        model.guidance(X, 0.5)
    with pytest.raises(ValueError, match="y must hold one label per row"):
        model.guidance(X, 0.5, [0])


@pytest.mark.parametrize(
    ("x_t", "message"),
    [
        (np.zeros((20, 3)), r"x_t has rows of shape \(3,\); expected \(2,\), in the units of `transformer_`"),
        (np.zeros((20, 1, 2)), r"x_t has rows of shape \(1, 2\); expected \(2,\)"),
        (np.zeros(2), "Expected 2D array, got 1D array instead"),
        (np.zeros((0, 2)), "minimum of 1 is required by x_t"),
        (with_value(np.nan), "Input x_t contains NaN"),
    ],
)
def test_rows_of_guidance(x_t: Any, message: str, fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        fitted["TGDP"].guidance(x_t, 0.5, Y)


@pytest.mark.parametrize(
    "t",
    [0, -1, 1.5, np.nan, np.inf, None, "x", [0.5, 0.5], np.full((20, 1), 0.5), [0.5] * 19 + [0.0]],
    ids=str,
)
def test_times_of_guidance(t: Any, fitted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"t must be a number in \(0, 1\], or a vector of 20 of them"):
        fitted["TGDP"].guidance(X, t, Y)


# Before a fit ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [DiffusionGenerator, FineTunedDiffusionGenerator, TGDPGenerator])
@pytest.mark.parametrize("refused", [False, True], ids=["never fitted", "fit refused"])
def test_generators_before_a_fit(make: Any, refused: bool) -> None:
    model = make()
    if refused:
        with pytest.raises(ValueError, match="NaN"):
            model.fit(with_value(np.nan), None, *(() if make is DiffusionGenerator else (X,)))
    calls: list[Callable[[], Any]] = [
        model.sample,
        lambda: next(model.sample_batches(2, [0, 1])),
        lambda: model.score_samples(X),
        lambda: model.score(X),
    ]
    if make is TGDPGenerator:
        calls += [lambda: model.log_density_ratio(X), lambda: model.guidance(X, 0.5)]
    for call in calls:
        with pytest.raises(NotFittedError, match=f"This {make.__name__} instance is not fitted yet"):
            call()


def test_domain_classifier_before_a_fit() -> None:
    for method in (DomainClassifier().log_density_ratio, DomainClassifier().predict_proba):
        with pytest.raises(NotFittedError):
            method(X)
