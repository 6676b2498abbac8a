"""Parts of the user's own that do not fit are refused by name before anything is trained."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from small_models import TINY, TINY_NETWORK, TINY_SERIES, tiny_tgdp
from torch import Tensor, nn

from sktgdp import DiffusionGenerator, DomainClassifier, SeriesClassifier
from sktgdp.estimators._own_transformer import log_abs_det_jacobian
from sktgdp.nets import ScoreMLP

RNG = np.random.default_rng(0)
X, Y = RNG.normal(100.0, 10.0, (40, 2)), np.arange(40) % 2
DOMAINS = X, Y, X[:10] + 5.0, Y[:10]
SERIES = RNG.normal(size=(24, 1, 32))


@pytest.fixture
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def train_network(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a network was trained although a part does not fit")

    for module in ("diffusion", "density_ratio", "_guidance_fit", "_series_model"):
        monkeypatch.setattr(f"sktgdp.estimators.{module}.train_network", train_network)


# Transformers ---------------------------------------------------------------------------------------
FAULTS = {
    "sparse": lambda z: csr_matrix(z),
    "fewer rows": lambda z: z[1:],
    "a vector": lambda z: z[:, 0],
    "no columns": lambda z: z[:, :0],
    "one column": lambda z: z[:, :1],
    "texts": lambda z: z.astype(str) + "x",
    "None": lambda z: None,
    "NaN": lambda z: np.nan * z,
    "an error": lambda z: 1 / 0,
}


class Faulty(TransformerMixin, BaseEstimator):
    """Give the rows as they are, but for a fault on the way there or on the way back."""

    def __init__(self, there: str = "", back: str = "") -> None:
        self.there, self.back = there, back

    def fit(self, X: Any, y: Any = None) -> Faulty:
        return self

    def transform(self, X: Any) -> Any:
        return FAULTS.get(self.there, np.asarray)(X)

    def inverse_transform(self, X: Any) -> Any:
        return FAULTS.get(self.back, np.asarray)(X)


@pytest.mark.usefixtures("_no_training")
@pytest.mark.parametrize("two_domains", [False, True])
@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"there": "sparse"}, r"Faulty\.transform gives a sparse matrix.*sparse_output=False"),
        ({"there": "fewer rows"}, r"Faulty\.transform gives shape \((39|9), 2\) for (40|10) rows"),
        ({"there": "a vector"}, r"Faulty\.transform gives shape \((40|10),\) for (40|10) rows"),
        ({"there": "no columns"}, r"Faulty\.transform gives shape \((40|10), 0\)"),
        ({"there": "texts"}, r"Faulty\.transform must give an array of numbers"),
        ({"there": "None"}, r"Faulty\.transform gives shape \(\) for (40|10) rows"),
        ({"there": "NaN"}, r"not finite after Faulty\.transform"),
        ({"back": "one column"}, r"Faulty\.inverse_transform gives a ndarray of shape \(8, 1\) for 8 rows"),
        ({"back": "fewer rows"}, r"Faulty\.inverse_transform gives a ndarray of shape \(7, 2\) for 8 rows"),
        ({"back": "sparse"}, r"Faulty\.inverse_transform gives a sparse matrix"),
        ({"back": "None"}, r"Faulty\.inverse_transform gives a NoneType"),
        ({"back": "texts"}, r"Faulty\.inverse_transform gives ndarray that holds no plain numbers"),
        ({"back": "NaN"}, r"Faulty\.inverse_transform gives NaN or infinity"),
        ({"back": "an error"}, r"Faulty\.inverse_transform fails .* ZeroDivisionError: division by zero"),
    ],
    ids=str,
)
def test_transformers(faults: dict[str, str], message: str, two_domains: bool) -> None:
    source = DiffusionGenerator(**TINY_NETWORK, transformer=Faulty(**faults))
    with pytest.raises((TypeError, ValueError), match=message):
        tiny_tgdp(source_model=source).fit(*DOMAINS) if two_domains else source.fit(X)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        StandardScaler(with_std=False),
        MinMaxScaler(),
        RobustScaler(),
        MaxAbsScaler(),
        make_pipeline(StandardScaler(), "passthrough", MinMaxScaler()),
    ],
    ids=str,
)
def test_densities_behind_scalers(transformer: Any) -> None:
    fitted = transformer.fit(X)
    numeric = np.linalg.det(
        [fitted.transform(X[:1] + step)[0] - fitted.transform(X[:1])[0] for step in np.eye(2)]
    )
    assert log_abs_det_jacobian(fitted, (2,)) == pytest.approx(np.log(abs(numeric)), rel=1e-6)
    model = DiffusionGenerator(**TINY_NETWORK, transformer=transformer).fit(X)
    latent = DiffusionGenerator(**TINY_NETWORK, transformer=StandardScaler(with_mean=False, with_std=False))
    expected = latent.fit(fitted.transform(X)).score_samples(fitted.transform(X[:5]))
    np.testing.assert_allclose(model.score_samples(X[:5]), expected + np.log(abs(numeric)), rtol=1e-6)


@pytest.mark.parametrize("transformer", [PowerTransformer(), MinMaxScaler(clip=True), Faulty()], ids=str)
def test_densities_without_a_jacobian(transformer: Any) -> None:
    model = DiffusionGenerator(**TINY_NETWORK, transformer=transformer).fit(X)
    with pytest.raises(TypeError, match=rf"need the Jacobian.*{type(transformer).__name__} does not tell it"):
        model.score_samples(X)


# Networks -------------------------------------------------------------------------------------------
class Own(nn.Module):
    """A linear network of noised rows whose output is of one kind or another."""

    def __init__(self, event_shape: Any, n_labels: int, process: Any, kind: str = "rows") -> None:
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(2, 2)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Any:
        rows = self.linear(x)
        if self.kind == "times by row":
            return rows + t[:, None]
        outputs = {"one column": rows[:, :1], "numbers": rows[:, 0], "a tuple": (rows,), "None": None}
        return {**outputs, "rows": rows, "a constant": rows.detach()}[self.kind]


class Short(nn.Linear):
    """A network that takes neither the arguments of a maker nor times."""

    def __init__(self) -> None:
        super().__init__(2, 2)


NOISED = [
    (partial(Own, kind="one column"), r"called as Own\(x_t=\[2, 2\].* gives shape \[2, 1\]; expected"),
    (partial(Own, kind="a tuple"), "gives tuple; expected a tensor of shape"),
    (partial(Own, kind="None"), "gives NoneType; expected a tensor of shape"),
    (lambda **params: Short(), r"called as Short\(.*takes 2 positional arguments but 4 were given"),
    (Short, r"cannot be called with \(event_shape, n_labels, process\).*unexpected keyword argument"),
    (lambda **params: 3, r"makes a int; expected a torch\.nn\.Module with weights"),
    (lambda **params: nn.Identity(), r"makes a Identity; expected a torch\.nn\.Module with weights"),
]


@pytest.mark.usefixtures("_no_training", "global_rng_untouched")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        *NOISED,
        (partial(Own, kind="numbers"), r"gives shape \[2\]; expected a tensor of shape \[2, 2\]"),
        (partial(Own, kind="a constant"), "gives numbers without a gradient"),
        (partial(Own, kind="times by row"), r"Own\(x_t=\[2, 2\], t=\[\], y=None\), fails: IndexError"),
    ],
)
def test_networks_of_noised_rows(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?s)module.*{message}"):
        DiffusionGenerator(make, **TINY).fit(X)


@pytest.mark.usefixtures("_no_training", "global_rng_untouched")
@pytest.mark.parametrize(
    ("make", "message"),
    [*NOISED, (Own, r"y=\[2, 2\]\), gives shape \[2, 2\]; expected a tensor of shape \[2\]")],
)
def test_guidance_networks(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"(?s)guidance_module.*{message}"):
        tiny_tgdp(guidance_module=make).fit(*DOMAINS)


class OfSeries(nn.Module):
    """A classifier of series whose output is of one kind or another."""

    def __init__(self, n_channels: int, n_outputs: int, kind: str = "logits") -> None:
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(32, n_outputs)

    def forward(self, x: Tensor) -> Any:
        logits = self.linear(x[:, 0])
        return {"logits": logits, "one column": logits[:, :1], "a tuple": (logits,)}[self.kind]


@pytest.mark.usefixtures("_no_training", "global_rng_untouched")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(OfSeries, kind="one column"), r"OfSeries\(x=\[2, 1, 32\]\), gives shape \[2, 1\]; expected"),
        (partial(OfSeries, kind="a tuple"), "gives tuple; expected"),
        (lambda n_channels: 3, r"cannot be called with \(1, 2\)"),
        (lambda n_channels, n_outputs: 3, "makes a int"),
    ],
)
def test_networks_of_series(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        SeriesClassifier(**{**TINY_SERIES, "module": make}).fit(SERIES, Y[:24])


def test_features_of_a_network_without_any() -> None:
    model = SeriesClassifier(**{**TINY_SERIES, "module": OfSeries}).fit(SERIES, Y[:24])
    with pytest.raises(TypeError, match="OfSeries has no features: give it a method embed"):
        model.embed(SERIES)


def test_a_trial_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = DiffusionGenerator(Own, **TINY).fit(X)
    monkeypatch.setattr("sktgdp.estimators.diffusion.try_network", lambda *args: None)
    untried = DiffusionGenerator(Own, **TINY).fit(X)
    torch.testing.assert_close(tried.network_.state_dict(), untried.network_.state_dict(), rtol=0, atol=0)


# Domain classifiers ---------------------------------------------------------------------------------
class Answering(ClassifierMixin, BaseEstimator):
    """A classifier that gives the same row of probabilities for every row."""

    def __init__(self, answer: tuple[Any, ...] = (0.5, 0.5)) -> None:
        self.answer = answer

    def fit(self, X: Any, y: Any) -> Answering:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile(self.answer, (len(X), 1)) if self.answer else np.full(len(X), 0.5)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((np.nan, np.nan), r"gives no probabilities in \d+ of \d+ rows, but for instance \[nan, nan\]"),
        ((-1.5, 2.5), r".* for instance \[-1\.5, 2\.5\]; they must lie between 0 and 1"),
        ((0.8, 0.8), r".* for instance \[0\.8, 0\.8\].*sum to 1"),
        ((0.5,), r"gives shape \(\d+, 1\)"),
        ((0.2, 0.3, 0.5), r"gives shape \(\d+, 3\)"),
        ((), r"gives shape \(\d+,\)"),
        (("a", "b"), "gives shape .* and <U1"),
    ],
)
def test_domain_classifiers(answer: tuple[Any, ...], message: str) -> None:
    message = rf"Answering\.predict_proba {message}"
    with pytest.raises(ValueError, match=message):
        DomainClassifier(Answering(answer), n_folds=2).fit(*DOMAINS)
    with pytest.raises(ValueError, match=message):
        tiny_tgdp(domain_classifier=Answering(answer)).fit(*DOMAINS)


class LogScaler(StandardScaler):
    """A scaler in name, whose densities are others than a scaler's."""

    def transform(self, X: Any, copy: bool | None = None) -> Any:
        return super().transform(np.log(np.asarray(X)))

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return super().fit(np.log(np.asarray(X)))

    def inverse_transform(self, X: Any, copy: bool | None = None) -> Any:
        return np.exp(super().inverse_transform(X))


def test_densities_behind_what_only_calls_itself_a_scaler() -> None:
    model = DiffusionGenerator(**TINY, transformer=LogScaler()).fit(X)
    with pytest.raises(TypeError, match="need the Jacobian of the transformer, and LogScaler does not tell"):
        model.score_samples(X)


def test_a_way_back_that_is_none() -> None:
    with pytest.warns(UserWarning, match=r"FunctionTransformer\.inverse_transform is not the way back"):
        DiffusionGenerator(**TINY, transformer=FunctionTransformer(np.log)).fit(X)
    there_and_back = [
        FunctionTransformer(np.log, np.exp),
        make_pipeline(StandardScaler(), PCA(1)),
        KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
        QuantileTransformer(n_quantiles=20),
        LogScaler(),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*is not the way back")
        for transformer in there_and_back:
            DiffusionGenerator(**TINY, transformer=transformer).fit(X)


class Subclass(DomainClassifier):
    """Has a parameter that its base does not know."""

    def __init__(
        self, classifier: Any = None, extra: Any = True, max_steps: int = 2, n_folds: int = 2
    ) -> None:
        super().__init__(classifier, max_steps=max_steps, n_folds=2)
        self.extra = extra


def test_subclasses_have_parameters_of_their_own() -> None:
    assert Subclass().fit(X, None, X[:10]).effective_sample_size_ > 0


def test_networks_are_tried_with_gradients() -> None:
    with torch.no_grad():
        DiffusionGenerator(**{**TINY, "module": ScoreMLP}).fit(X)
