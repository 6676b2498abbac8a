"""What every fit says of itself: figures that agree with the metrics, a warning not raised by chance."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_models import TINY_NETWORK, Floats, tiny_tgdp
from torch import Tensor

from sktgdp import DiffusionGenerator, FineTunedDiffusionGenerator
from sktgdp.estimators import _fit_diagnostics
from sktgdp.estimators._fit_diagnostics import _Neighbours, warn_if_memorized
from sktgdp.exceptions import MemorizationWarning
from sktgdp.metrics import distance_to_closest_record, memorization_ratio
from sktgdp.nets import ScoreMLP

CLOSENESS = {
    f"{name}{end}"
    for name in ("memorization_ratio", "distance_to_closest_record", "distance_to_closest_record")
    for end in ("", "_holdout")
} | {"distance_to_closest_record_median", "distance_to_closest_record_holdout_median"}

RANGES = {f"{far}outside_support{end}" for far in ("", "far_") for end in ("", "_holdout")}


def codes(n: int, seed: int) -> Floats:
    """Rows of which many are the same, with both zeros."""
    rows = np.random.default_rng(seed).integers(0, 4, (n, 2)).astype(float)
    return np.where(rows == 0, [0.0, -0.0], rows)


def gaussian(n: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, 2))


def clusters(n: int, seed: int) -> Floats:
    """Few rows of many tight clusters: most that is new lies next to one row and far from the second."""
    rng = np.random.default_rng(seed)
    return 0.02 * rng.normal(size=(n, 3)) + rng.integers(0, 5, (n, 1))


# Figures --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("law", [codes, gaussian, clusters])
@pytest.mark.parametrize(("n_rows", "n_held"), [(40, 60), (120, 30)])
def test_figures_are_those_of_the_metrics(
    law: Any, n_rows: int, n_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row held out by leaving it out; blocks of a few rows change nothing."""
    monkeypatch.setattr(_fit_diagnostics, "BLOCK", 50)
    rows, drawn = law(n_rows, 0), law(25, 1)
    near = _Neighbours(rows, drawn, n_held, np.random.default_rng(2))
    held = np.random.default_rng(2).choice(n_rows, min(n_rows, n_held), replace=False)
    closest, shares = near.closest(near.trained), near.shares(near.trained)
    assert shares[0] == memorization_ratio(rows, drawn)
    others = [(np.delete(rows, k, axis=0), rows[[k]]) for k in held]
    assert shares[1] == np.mean([memorization_ratio(*pair) for pair in others])
    np.testing.assert_allclose(
        closest[:, 0],
        [
            *(distance_to_closest_record(*pair, quantile=None)[0] for pair in others),
            *distance_to_closest_record(rows, drawn, quantile=None),
        ],
        atol=1e-12,
    )


def test_exchange_is_a_fit_on_other_rows() -> None:
    """After drawn and held rows changed places the figures are those of the rows that are in now."""
    rows, drawn = codes(60, 0), codes(25, 1)
    near = _Neighbours(rows, drawn, 30, np.random.default_rng(2))
    held = np.random.default_rng(2).choice(60, 30, replace=False)
    now = np.random.default_rng(3).permutation(near.trained)
    pool = np.concatenate([rows[held], drawn])
    trained = np.concatenate([np.delete(rows, held, axis=0), pool[now]])
    assert near.shares(now)[0] == memorization_ratio(trained, pool[~now])


@pytest.mark.parametrize(
    ("X", "missing"),
    [
        (np.array([[0.0, 1.0], [2.0, 0.5]]), {"memorization_ratio_holdout"}),
        (np.ones((5, 2)), {"memorization_ratio", "memorization_ratio_holdout"}),
        (np.array([[0.0], [0.0], [1.0]]), {"memorization_ratio_holdout"}),
    ],
    ids=["two rows", "equal rows", "a pair and one"],
)
@pytest.mark.filterwarnings("error")
def test_few_distinct_rows(X: Floats, missing: set[str]) -> None:
    """What needs a row more is left out; all else is finite, and nobody is alarmed."""
    found = DiffusionGenerator(**TINY_NETWORK).fit(X).diagnostics_
    assert CLOSENESS - found.keys() == missing
    assert all(map(math.isfinite, found.values()))


@pytest.mark.usefixtures("global_rng_untouched")
def test_every_generator_has_them() -> None:
    """Labelled rows, frames with categories, series; the same at every fit."""
    X, y = gaussian(60, 0), np.arange(60) % 2
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 0, "yes", "no"))})
    series = np.random.default_rng(0).normal(size=(20, 1, 16))
    tuned = FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), max_steps=2, random_state=0)
    small = DiffusionGenerator(**{**TINY_NETWORK, "hidden_sizes": (4, 4)})
    overlap = {"effective_sample_size", "overlap"}
    for model, data, n_drawn, more in (
        (tiny_tgdp(), (X, y, X[:12], y[:12]), 50, overlap),
        (tuned, (X, y, X[:12], y[:12]), 50, set()),
        (DiffusionGenerator(**TINY_NETWORK), (frame,), 60, set()),
        (small, (series,), 16, set()),
    ):
        first, again = (dict(model.fit(*data).diagnostics_) for _ in range(2))
        assert first == again
        assert first.keys() == CLOSENESS | more | {"skipped_steps", "n_drawn"} | RANGES
        assert all(map(math.isfinite, first.values()))
        assert first["n_drawn"] == n_drawn
        assert model.fit_time_["diagnostics"] > 0
    assert tuned.source_model_.diagnostics_["n_drawn"] == 60


def test_many_rows_are_searched_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as some of the rows let them be: no nearer than all of them."""
    X = gaussian(400, 0)
    whole = DiffusionGenerator(**TINY_NETWORK).fit(X)
    monkeypatch.setattr(_fit_diagnostics, "SEARCHED", 50)
    part = DiffusionGenerator(**TINY_NETWORK).fit(X)
    np.testing.assert_array_equal(whole.sample(5, random_state=0)[0], part.sample(5, random_state=0)[0])
    for end in ("", "_holdout"):
        name = f"distance_to_closest_record{end}_median"
        assert part.diagnostics_[name] > 1.5 * whole.diagnostics_[name]
    assert part.diagnostics_["outside_support"] == whole.diagnostics_["outside_support"]


def test_target_rows_are_what_counts() -> None:
    """A source that learned nothing, and target rows far away: samples are far from them."""
    X = gaussian(40, 0)
    model = tiny_tgdp(eta_cycle=0, eta_consistency=0).fit(X, None, X[:10] + 30.0)
    assert model.diagnostics_["distance_to_closest_record"] > 10
    assert model.source_model_.diagnostics_["distance_to_closest_record"] < 10


def test_source_alone_has_those_of_the_source() -> None:
    with pytest.warns(UserWarning, match="got no target rows"):
        model = tiny_tgdp().fit(gaussian(40, 0))
    assert model.diagnostics_ == model.source_model_.diagnostics_
    assert model.diagnostics_["n_drawn"] == 50


class NoNumbers(ScoreMLP):
    """Gives numbers only while it is trained."""

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x_t, t, y) * (1.0 if self.training else math.nan)


def test_samples_without_numbers_are_announced_by_the_fit() -> None:
    model = DiffusionGenerator(NoNumbers, **{**TINY_NETWORK, "early_stopping": False})
    with pytest.warns(ConvergenceWarning, match="50 of 50 rows drawn after the fit are not finite") as found:
        model.fit(gaussian(20, 0))
    assert found[0].filename == __file__
    assert model.diagnostics_ == {"skipped_steps": 0, "n_drawn": 0}
    with pytest.raises(FloatingPointError):
        model.sample(2)


# The warnings ---------------------------------------------------------------------------------------
class Astray(ScoreMLP):
    """Finds no noise in rows, except while it is trained: what is drawn grows to alpha(0)/alpha(1)."""

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        return super().forward(x_t, t, y) * float(self.training)


def test_rows_far_from_the_training_rows_are_announced() -> None:
    X = gaussian(60, 0)
    with pytest.warns(ConvergenceWarning, match="has not learned its rows: .* far outside") as found:
        model = DiffusionGenerator(Astray, **TINY_NETWORK).fit(X)
    assert found[0].filename == __file__
    assert model.diagnostics_["far_outside_support"] > 0.9
    assert model.diagnostics_["far_outside_support_holdout"] < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        DiffusionGenerator(**TINY_NETWORK).fit(X)


def test_rows_learned_by_heart_are_announced() -> None:
    """Ten rows, trained on for long, come back; with some of them held out they do not."""
    X = np.random.default_rng(0).normal(size=(10, 4))
    settings = {"hidden_sizes": (64, 64), "max_steps": 1000, "batch_size": 128, "random_state": 0}
    model = DiffusionGenerator(**settings, early_stopping=False)
    with pytest.warns(MemorizationWarning, match=r"\d\d% of the rows drawn .* 0% of training rows") as found:
        model.fit(X)
    assert found[0].filename == __file__
    assert model.diagnostics_["memorization_ratio"] > 0.25
    closest = "distance_to_closest_record"
    assert model.diagnostics_[closest] < 0.4 * model.diagnostics_[f"{closest}_holdout"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", MemorizationWarning)
        other = DiffusionGenerator(**settings, early_stopping=True).fit(X)
    assert other.diagnostics_["memorization_ratio"] < 0.1


def n_alarms(law: Any, n_rows: int, n_fits: int, drawn: Any) -> int:
    alarms = 0
    for k in range(n_fits):
        rng = np.random.default_rng([k, n_rows])
        rows = law(n_rows, 2 * k)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            warn_if_memorized(_Neighbours(rows, drawn(rows, 2 * k + 1), 100, rng), rng)
        alarms += len(found)
    return alarms


@pytest.mark.parametrize("n_rows", [10, 40, 150])
@pytest.mark.parametrize("law", [codes, gaussian, clusters])
def test_chance_raises_no_alarm(law: Any, n_rows: int) -> None:
    """Rows from the law of the training rows: one alarm in 200 fits is what the rule allows."""
    assert n_alarms(law, n_rows, 30, lambda rows, seed: law(50, seed)) <= 2


@pytest.mark.parametrize("n_rows", [12, 40, 150])
def test_copies_raise_an_alarm(n_rows: int) -> None:
    def near_copies(rows: Floats, seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        return rows[rng.integers(len(rows), size=60)] + 0.01 * rng.normal(size=(60, 2))

    assert n_alarms(gaussian, n_rows, 10, near_copies) >= 9
