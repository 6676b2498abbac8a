"""Classifiers of series: what they learn, records of other lengths, labels of all kinds, bad input."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback
from small_models import Floats, TinyXResNet
from torch import Tensor, nn

from sktgdp import DomainClassifier, FineTunedSeriesClassifier, SeriesClassifier
from sktgdp.estimators._series_training import Crops, LabelledSeries, hold_out, window_starts, windows_of
from sktgdp.metrics import fid_score
from sktgdp.nets import XResNet1d, xresnet1d_small

LENGTH = 64
NETWORK = partial(xresnet1d_small, width=8)
SHORT = {"module": TinyXResNet, "max_steps": 3, "random_state": 0}
Labels = np.ndarray


def waves(n: int, seed: int, frequencies: tuple[float, float] = (0.3, 0.5), noise: float = 0.7) -> Any:
    """Sinusoids of one of two frequencies and any phase, in noise: (n, 1, length) and the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    phase = rng.uniform(0.0, 2 * np.pi, (n, 1))
    x = np.sin(np.where(y, frequencies[1], frequencies[0])[:, None] * np.arange(LENGTH) + phase)
    return (x + noise * rng.standard_normal((n, LENGTH)))[:, None, :], y


def bumps(n: int, seed: int) -> tuple[Floats, Labels]:
    """Two channels, each with or without a bump somewhere; a third label that nothing has."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=(n, 3)) * [1, 1, 0]
    centre = rng.uniform(15, LENGTH - 15, (n, 2, 1))
    bump = 3.0 * np.exp(-(((np.arange(LENGTH) - centre) / 4.0) ** 2))
    return y[:, :2, None] * bump + 0.4 * rng.standard_normal(bump.shape), y


@pytest.fixture(scope="module")
def fitted() -> SeriesClassifier:
    """Classifier of the two frequencies."""
    return SeriesClassifier(NETWORK, max_steps=80, batch_size=32, random_state=0).fit(*waves(200, 0))


@pytest.fixture(scope="module")
def short() -> SeriesClassifier:
    """A fit that only has to run."""
    return SeriesClassifier(**SHORT).fit(*waves(24, 0))


# What is learned ------------------------------------------------------------------------------------
def test_learns_two_frequencies(fitted: SeriesClassifier) -> None:
    X, y = waves(200, 1)
    p = fitted.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert roc_auc_score(y, p[:, 1]) > 0.95
    assert fitted.score(X, y) > 0.9
    assert np.array_equal(fitted.predict(X), p.argmax(axis=1))


def test_held_out_loss_falls(fitted: SeriesClassifier) -> None:
    losses = [row["valid_loss"] for row in fitted.history_]
    assert min(losses) < 0.3 < losses[0]


def test_learns_several_labels() -> None:
    model = SeriesClassifier(NETWORK, max_steps=80, batch_size=32, random_state=0).fit(*bumps(200, 0))
    X, y = bumps(200, 1)
    p = model.predict_proba(X)
    assert p.shape == (200, 3)
    assert roc_auc_score(y[:, :2], p[:, :2], average="macro") > 0.95
    assert p[:, 2].max() < 0.1  # the label that no row has
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert np.array_equal(predicted, p >= 0.5)


def test_fine_tuning_beats_ten_rows_alone(fitted: SeriesClassifier) -> None:
    """The target's frequencies are other ones, and so are its labels."""
    names = np.array(["slow", "fast"])
    X, y = waves(10, 2, (0.35, 0.55), noise=0.9)
    X_test, y_test = waves(200, 3, (0.35, 0.55), noise=0.9)
    tuned = FineTunedSeriesClassifier(FrozenEstimator(fitted), head_steps=30, max_steps=30, random_state=0)
    tuned.fit(None, None, X, names[y])
    alone = SeriesClassifier(NETWORK, max_steps=60, random_state=0).fit(X, names[y])
    assert tuned.classes_.tolist() == ["fast", "slow"]
    areas = [roc_auc_score(y_test, -model.predict_proba(X_test)[:, 1]) for model in (tuned, alone)]
    assert areas[0] > max(0.95, areas[1] + 0.02)


def test_features_tell_samples_apart(fitted: SeriesClassifier) -> None:
    X, others = waves(120, 4)[0], waves(120, 5)[0]
    other_frequencies = waves(120, 5, (0.8, 1.1))[0]
    assert fitted.embed(X).shape == (120, 64)
    assert np.array_equal(fitted.transform(X), fitted.embed(X))
    same = fid_score(X, others, feature_extractor=fitted)
    assert same < 0.3 * fid_score(X, other_frequencies, feature_extractor=fitted)
    assert fid_score(X, X, feature_extractor=fitted) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("flat", [False, True], ids=["series", "rows"])
def test_serves_as_domain_classifier(flat: bool) -> None:
    """Two channels, of which the second differs between the domains in frequency."""
    source, target = (
        np.concatenate([waves(60, seed)[0], waves(60, seed + 1, frequencies)[0]], axis=1)
        for seed, frequencies in ((0, (0.3, 0.3)), (10, (0.8, 0.8)))
    )
    if flat:
        source, target = source.reshape(60, -1), target.reshape(60, -1)
    network = SeriesClassifier(NETWORK, n_channels=2, max_steps=25, batch_size=32)
    ratio = DomainClassifier(network, n_folds=2, random_state=0).fit(source, None, target)
    log_ratio = [ratio.log_density_ratio(rows).mean() for rows in (source, target)]
    assert log_ratio[0] < -0.5 < 0.5 < log_ratio[1]
    assert ratio.classifiers_[0].units_.event_shape == (2, LENGTH)


# Fine-tuning ----------------------------------------------------------------------------------------
def test_frozen_source_stays_as_it_was(short: SeriesClassifier) -> None:
    before = {name: value.clone() for name, value in short.network_.state_dict().items()}
    tuned = FineTunedSeriesClassifier(FrozenEstimator(short), head_steps=2, max_steps=2, random_state=0)
    tuned.fit(None, None, *waves(12, 1))
    assert all(torch.equal(value, before[name]) for name, value in short.network_.state_dict().items())
    assert tuned.source_classifier_ is short
    assert [row["phase"] for row in tuned.history_] == ["new head"] * 2 + ["fine-tuning"] * 2


def test_rates_by_layer(short: SeriesClassifier) -> None:
    """Where only the head may learn, stem and stages keep their weights; by default they move."""

    def moved(layer_decay: float) -> dict[str, bool]:
        tuned = FineTunedSeriesClassifier(
            FrozenEstimator(short), layer_decay=layer_decay, head_steps=2, max_steps=2, random_state=0
        ).fit(None, None, *waves(12, 1))
        weights = dict(short.network_.named_parameters())
        return {
            part: not all(
                torch.equal(value, weights[name])
                for name, value in tuned.network_.named_parameters()
                if name.startswith(part)
            )
            for part in ("stem", "stages", "head")
        }

    assert moved(1e-30) == {"stem": False, "stages": False, "head": True}
    assert moved(0.1) == {"stem": True, "stages": True, "head": True}


class Rates(Callback):
    """Write down the rate and the momentum of every group at every step."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.seen: list[list[float]] = []

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.seen.append([x for g in net.optimizer_.param_groups for x in (g["lr"], g["betas"][0])])


def test_rates_are_those_of_one_cycle(short: SeriesClassifier) -> None:
    """Step by step as torch's own schedule of three groups of weights."""
    rates = Rates()
    FineTunedSeriesClassifier(
        FrozenEstimator(short), head_steps=2, max_steps=40, random_state=0, callbacks=[rates]
    ).fit(None, None, *waves(12, 1))
    peaks = [1e-5, 1e-4, 1e-3]
    optimizer = torch.optim.AdamW([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in peaks])
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=40)
    for seen in rates.seen:
        expected = [x for g in optimizer.param_groups for x in (g["lr"], g["betas"][0])]
        np.testing.assert_allclose(seen, expected, rtol=1e-9)
        optimizer.step()
        cycle.step()
    assert len(rates.seen) == 40


def test_target_labels_of_another_kind() -> None:
    tuned = FineTunedSeriesClassifier(
        SeriesClassifier(**SHORT), head_steps=2, max_steps=2, random_state=0, batch_size=8
    )
    X, y = bumps(20, 0)
    tuned.fit(X, y[:, 0], X[:8], y[:8])
    assert tuned.predict_proba(X).shape == (20, 3)
    assert tuned.source_classifier_.classes_.tolist() == [0, 1]
    stacked = np.repeat([1, -1], 10)
    again = clone(tuned).fit(X, y[:, 0], sample_domain=stacked)
    separate = clone(tuned).fit(X[:10], y[:10, 0], X[10:], y[10:, 0])
    assert np.array_equal(again.predict_proba(X), separate.predict_proba(X))


# Labels, weights, seeds -----------------------------------------------------------------------------
def test_string_labels() -> None:
    X, y = waves(24, 0)
    names = np.array(["AFIB", "NORM"])[y]
    model = SeriesClassifier(**SHORT).fit(X, names)
    assert model.classes_.tolist() == ["AFIB", "NORM"]
    assert set(model.predict(X)) <= {"AFIB", "NORM"}


def test_row_of_no_weight_counts_as_absent() -> None:
    X, y = waves(24, 0)
    weight = np.repeat([1.0, 0.0], [16, 8])
    y_other = np.where(weight > 0, y, 7)
    with_weights = SeriesClassifier(**SHORT).fit(X, y_other, sample_weight=weight)
    without = SeriesClassifier(**SHORT).fit(X[:16], y[:16])
    assert with_weights.classes_.tolist() == [0, 1]
    assert np.array_equal(with_weights.predict_proba(X), without.predict_proba(X))


def test_weights_move_the_odds() -> None:
    """Noise that tells nothing: the probability of a class is its share of the weight."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 1, 8)), np.arange(200) % 2
    model = SeriesClassifier(TinyXResNet, max_steps=60, early_stopping=True, random_state=0)
    model.fit(X, y, sample_weight=np.where(y, 4.0, 1.0))
    assert model.predict_proba(rng.standard_normal((200, 1, 8)))[:, 1].mean() == pytest.approx(0.8, abs=0.1)


@pytest.mark.usefixtures("global_rng_untouched")
def test_seed_holds() -> None:
    X, y = waves(24, 0)
    model = SeriesClassifier(NETWORK, window=40, max_steps=3, random_state=3)
    first, second = (clone(model).fit(X, y).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, model.set_params(random_state=4).fit(X, y).predict_proba(X))


def test_pickles(short: SeriesClassifier) -> None:
    X = waves(5, 1)[0]
    assert np.array_equal(pickle.loads(pickle.dumps(short)).predict_proba(X), short.predict_proba(X))


def test_units_do_not_matter(short: SeriesClassifier) -> None:
    X, y = waves(24, 0)
    other = SeriesClassifier(**SHORT).fit(1e-3 * X + 5.0, y)
    np.testing.assert_allclose(other.predict_proba(1e-3 * X + 5.0), short.predict_proba(X), atol=1e-4)


def test_published_network_fits() -> None:
    X, y = waves(4, 0)
    model = SeriesClassifier("xresnet1d50", max_steps=1, random_state=0).fit(X[..., :40], y)
    assert isinstance(model.network_, XResNet1d)
    assert model.n_parameters_ == 951_842  # one channel and two classes instead of 12 and 71
    assert model.embed(X[..., :40]).shape == (4, 128)


# Windows --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("length", "window", "starts"),
    [(10, 10, [0]), (11, 10, [0, 1]), (20, 10, [0, 5, 10]), (23, 10, [0, 5, 10, 13]), (3, 1, [0, 1, 2])],
)
def test_windows_cover_a_record(length: int, window: int, starts: list[int]) -> None:
    assert window_starts(length, window) == starts
    x = torch.arange(float(length)).reshape(1, 1, length)
    windows = windows_of(x, window)
    assert windows.shape == (1, len(starts), 1, window)
    assert set(windows.flatten().tolist()) == set(range(length))


def test_crops_are_pieces_of_their_rows() -> None:
    x = torch.arange(120.0).reshape(4, 2, 15)
    rows = LabelledSeries(x, torch.eye(4), torch.ones(4))
    starts: set[float] = set()
    for batch, _ in Crops(rows, 3, 5, 40, torch.Generator().manual_seed(0)):
        crop = batch.x
        assert crop.shape == (3, 2, 5)
        first = crop[:, :1, :1]
        expected = first + torch.arange(5.0) + torch.tensor([0.0, 15.0])[:, None]
        assert torch.equal(crop, expected)
        assert torch.equal(batch.codes.argmax(1), (first.flatten() // 30).long())
        starts |= set((first.flatten() % 30).tolist())
    assert starts == set(range(11))


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_long_records_aggregate_their_windows(aggregate: str) -> None:
    X, y = bumps(24, 0)
    model = SeriesClassifier(**SHORT, window=32, aggregate=aggregate).fit(X, y)
    by_window = np.stack([model.predict_proba(X[..., start : start + 32]) for start in (0, 16, 32)])
    np.testing.assert_allclose(model.predict_proba(X), getattr(by_window, aggregate)(axis=0), atol=1e-12)
    features = np.mean([model.embed(X[..., start : start + 32]) for start in (0, 16, 32)], axis=0)
    np.testing.assert_allclose(model.embed(X), features, atol=1e-12)
    assert model.predict(np.concatenate([X, X], axis=2)).shape == (24, 3)


def test_flat_rows_are_channels_one_after_another() -> None:
    X, y = bumps(24, 0)
    model = SeriesClassifier(**SHORT, n_channels=2)
    flat, series = model.fit(X.reshape(24, -1), y), clone(model).fit(X, y)
    assert np.array_equal(flat.predict_proba(X.reshape(24, -1)), series.predict_proba(X))


# Held-out rows --------------------------------------------------------------------------------------
def test_held_out_rows_spread_over_the_labels() -> None:
    codes = np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], [60, 39, 1])]
    held = hold_out(codes, 0.2, 0)
    assert len(held) == len(set(held)) == 20
    assert codes[held].sum(axis=0).tolist() == pytest.approx([12, 8, 0], abs=1)
    assert not np.array_equal(held, hold_out(codes, 0.2, 1))


@pytest.mark.parametrize(("n_rows", "stops"), [(99, False), (100, True)])
def test_auto_holds_out_from_a_hundred_rows(n_rows: int, stops: bool) -> None:
    model = SeriesClassifier(**SHORT).fit(*waves(n_rows, 0))
    assert all(("valid_loss" in row) == stops for row in model.history_)


# Bad input ------------------------------------------------------------------------------------------
X, Y = waves(12, 0)
BAD_FITS: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("one class only", {}, X, np.zeros(12)),
    ("requires y", {}, X, None),
    ("NaN", {}, np.where(np.arange(LENGTH) == 3, np.nan, X), Y),
    ("one label per row", {}, X, Y[:5]),
    ("zeros and ones", {}, X, np.column_stack([Y, Y + 1])),
    ("continuous", {}, X, np.linspace(0, 1, 12)),
    ("none of them 0", {}, X[:, :, :0], Y),
    ("shorter than window", {"window": LENGTH + 1}, X, Y),
    ("do not make 5 channels", {"n_channels": 5}, X[:, 0], Y),
    ("expected .n, 5 channels", {"n_channels": 5}, X, Y),
    ("expected .n, channels", {}, X[..., None], Y),
    ("'max_steps' parameter", {"max_steps": 0}, X, Y),
    ("'module' parameter", {"module": "resnet"}, X, Y),
]


@pytest.mark.parametrize(("match", "params", "X", "y"), BAD_FITS, ids=[case[0] for case in BAD_FITS])
def test_bad_fit(match: str, params: dict[str, Any], X: Any, y: Any) -> None:
    with pytest.raises(ValueError, match=match):
        SeriesClassifier(**{**SHORT, **params}).fit(X, y)


@pytest.mark.parametrize(
    ("X", "match"),
    [(X[..., :-1], "length 63; the model was fitted on length 64"), (X.repeat(2, axis=1), "2 features")],
)
def test_bad_rows_to_predict(short: SeriesClassifier, X: Floats, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        short.predict(X)


def test_negative_weights() -> None:
    with pytest.raises(ValueError, match="Negative values"):
        SeriesClassifier(**SHORT).fit(X, Y, sample_weight=-np.ones(12))


def test_bad_sources(short: SeriesClassifier) -> None:
    with pytest.raises(ValueError, match="X_src is None"):
        FineTunedSeriesClassifier().fit(None, None, X, Y)
    with pytest.raises(ValueError, match="X_tgt is None"):
        FineTunedSeriesClassifier().fit(X, Y)
    with pytest.raises(TypeError, match="must hold a SeriesClassifier"):
        FineTunedSeriesClassifier(FrozenEstimator(DomainClassifier())).fit(None, None, X, Y)
    with pytest.raises(ValueError, match="2 channels; the model was fitted on 1"):
        FineTunedSeriesClassifier(FrozenEstimator(short)).fit(None, None, X.repeat(2, axis=1), Y)


def linear_network(n_channels: int, n_outputs: int) -> nn.Module:
    """A network without an embedding."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * LENGTH, n_outputs))


def test_a_network_that_cannot_be_fine_tuned_still_classifies() -> None:
    source = SeriesClassifier(linear_network, max_steps=2, random_state=0).fit(X, Y)
    assert source.predict(X).shape == (12,)
    with pytest.raises(TypeError, match="'replace_head'"):
        FineTunedSeriesClassifier(FrozenEstimator(source)).fit(None, None, X, Y)


class _Diverging(XResNet1d):
    """Gives no numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


def test_divergence_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match=r"diverged in the phase 'classifier'.*Lower `lr`"):
        SeriesClassifier(partial(_Diverging, layers=(1,), widths=(4,)), max_steps=2).fit(X, Y)
