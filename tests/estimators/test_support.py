"""Samples beside the training rows: outside of their ranges, or copies of them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import TINY_NETWORK, Shift, tiny_tgdp
from torch import Tensor

import sktgdp
from sktgdp import DiffusionGenerator, TGDPGenerator
from sktgdp.estimators._sampling import support as _support
from sktgdp.estimators._sampling.support import FAR, NEAR, KnownRows, Support, outside_in_turn
from sktgdp.preprocessing import RowStandardizer

FAST: dict[str, Any] = {"random_state": 3, "n_steps": 3}


def test_support_has_a_margin() -> None:
    support = Support.of(np.array([[0.0, 5.0], [10.0, 5.0]]))
    z = np.array([[-0.9, 5.0], [-1.1, 5.0], [10.9, 5.05], [5.0, 5.2], [11.1, 4.0]])
    assert support.outside(z).tolist() == [False, True, False, True, True]


def test_supports_are_joined() -> None:
    both = Support.of(np.array([[0.0], [1.0]])).joined(Support.of(np.array([[-3.0], [0.5]])))
    assert (both.low, both.high) == (-3.0, 1.0)


@pytest.mark.parametrize("further", [None, Support(np.full(2, -2.0), np.full(2, 1.5))])
@pytest.mark.parametrize("n_rows", [2, 9])
def test_rows_held_out_in_turn(
    further: Support | None, n_rows: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the ranges were taken again without each row; equal rows, and blocks of a few columns."""
    monkeypatch.setattr(_support, "BLOCK", n_rows)
    z = rng.normal(size=(n_rows, 2)) ** 3
    z[-2:, 0] = z[:, 0].max() + 1.0
    for tolerance in (NEAR, FAR):
        expected = [
            Support.of(np.delete(z, k, axis=0)).joined(further).outside(z[[k]], tolerance)[0]
            for k in range(n_rows)
        ]
        assert outside_in_turn(z, further, tolerance).tolist() == expected


def test_series_are_far_outside_by_their_channels(rng: np.random.Generator) -> None:
    """A wave at another time is outside the ranges of single positions, but not of the channel."""
    z = 0.01 * rng.normal(size=(6, 2, 9))
    z[np.arange(6), 0, np.arange(6)] = 8.0
    other = np.roll(z[:3], 2, axis=2)
    other[2, 1, 4] = 1.0
    support = Support.of(z[:4])
    assert support.outside(other).tolist() == [False, False, True]
    support = Support.of(z[:2])
    assert support.outside(other).tolist() == [True, True, True]
    assert support.outside(other, FAR).tolist() == [False, False, True]
    assert not outside_in_turn(z, None, FAR).any()
    assert outside_in_turn(z, None).all()
    wild = np.concatenate([z, 3 * z[:1]])
    assert outside_in_turn(wild, None, FAR).tolist() == [False] * 6 + [True]
    assert not outside_in_turn(wild, Support.of(3 * z[1:2]), FAR).any()


def test_diagnostics_of_samples(few: tuple[Any, ...]) -> None:
    model = tiny_tgdp(eta_cycle=0.0).fit(*few)
    options = {"random_state": 3, "n_steps": 6, "solver": "euler-maruyama"}  # too coarse: it goes astray
    X, y = model.sample(300, **options)
    again, labels, noticed = model.sample(300, return_diagnostics=True, **options)
    np.testing.assert_array_equal(again, X)
    np.testing.assert_array_equal(labels, y)
    rows = model.transformer_.transform(np.concatenate([few[0], few[2]]))
    low, high = rows.min(axis=0), rows.max(axis=0)
    reach = 0.1 * np.maximum(high - low, 1.0)
    z = model.transformer_.transform(X)
    beyond = ((z < low - reach) | (z > high + reach)).any(axis=1)
    assert (noticed.outside == beyond).mean() > 0.99  # a row on the very edge may round to either side
    assert 0 < noticed.n_outside < 300
    assert noticed.memorized is None


# Copies ---------------------------------------------------------------------------------------------
def parrot(model: DiffusionGenerator, X: Any) -> DiffusionGenerator:
    """Let a model know rows by heart: its law is half these rows, half a standard normal."""
    known = torch.from_numpy(np.asarray(model.transformer_.transform(X), dtype=np.float32))

    def eps(x_t: Tensor, t: Tensor) -> Tensor:
        alpha, sigma = model.process_.alpha(t), model.process_.sigma(t)
        near = -torch.cdist(x_t, alpha * known).square() / (2 * sigma**2)
        near = near - 2 * sigma.log() - np.log(len(known))
        weights = torch.cat([near, -x_t.square().sum(1, keepdim=True) / 2], dim=1).softmax(dim=1)
        x_0 = weights[:, :-1] @ known + weights[:, -1:] * alpha * x_t
        return (x_t - alpha * x_0) / sigma

    model.noise_model = lambda y=None: eps  # type: ignore[method-assign]
    return model


def test_copies_are_drawn_again(shift: Shift) -> None:
    model = DiffusionGenerator(max_memorization=0.9, **TINY_NETWORK).fit(shift.X_src[:50])
    parrot(model, shift.X_src[:2])
    X, _, noticed = model.sample(200, random_state=3, return_diagnostics=True)
    assert 0.3 < noticed.memorized < 0.7
    assert noticed.n_redrawn >= noticed.memorized * 200
    gap = np.abs(X[:, None] - shift.X_src[None, :2]).max(axis=-1)
    assert gap.min(axis=1).min() > 1e-4
    model.set_params(max_memorization=None)
    loose, _ = model.sample(200, random_state=3)
    copied = np.abs(loose[:, None] - shift.X_src[None, :2]).max(axis=-1).min(axis=1) < 1e-3
    assert copied.mean() == pytest.approx(noticed.memorized)
    np.testing.assert_array_equal(X[~copied], loose[~copied])


def test_too_many_copies_are_an_error(shift: Shift) -> None:
    model = DiffusionGenerator(max_memorization=0.001, **TINY_NETWORK).fit(shift.X_src[:50])
    parrot(model, shift.X_src[:5])
    with pytest.raises(ValueError, match=r"\d% of 200 samples are copies .* over max_memorization=0.001"):
        model.sample(200)


def test_rows_with_a_twin_are_nobodys_own(rng: np.random.Generator) -> None:
    z = rng.normal(size=(6, 3))
    known = KnownRows(np.concatenate([z, z[:2] + 1e-4]))
    assert len(known.rows) == 4
    assert known.copies(z + 1e-3).tolist() == [False, False, True, True, True, True]
    assert not known.copies(z + 0.1).any()
    assert not KnownRows(np.zeros((5, 2))).copies(np.zeros((2, 2))).any()


def test_integers_are_compared_as_they_come_out(rng: np.random.Generator) -> None:
    """A sample that rounds to a training row is a copy, wherever it was before."""
    X = rng.integers(0, 1000, (40, 1))
    model = DiffusionGenerator(
        max_memorization=1.0, transformer=RowStandardizer(), **TINY_NETWORK
    ).fit(X)  # fmt: skip
    known = model._known_rows
    z = model.transformer_.transform(X[:1].astype(float) + 0.4)
    as_given = model.form_.restore(model.transformer_.inverse_transform(z))
    assert as_given[0] == X[0]
    assert known.copies(model._to_units(as_given)).all() == (np.sum(np.abs(X - X[0]) <= 3) == 1)


def test_training_rows_are_kept_only_if_asked(few: tuple[Any, ...], tmp_path: Path) -> None:
    plain = tiny_tgdp(eta_cycle=0.0).fit(*few)
    assert not hasattr(plain, "_known_rows")
    strict = tiny_tgdp(eta_cycle=0.0, max_memorization=1.0).fit(*few)
    assert len(strict._known_rows.rows) == len(few[2])
    assert hasattr(pickle.loads(pickle.dumps(strict)), "_known_rows")
    strict.save(tmp_path / "model")
    loaded = sktgdp.load(tmp_path / "model", trusted=[])
    assert not hasattr(loaded, "_known_rows")
    with pytest.raises(ValueError, match="needs the training rows, and this model has none"):
        loaded.sample(3, **FAST)
    loaded.set_params(max_memorization=None)
    found = [each.sample(30, return_diagnostics=True, **FAST)[2].outside for each in (loaded, plain)]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("value", [-0.1, 1.5, "none"])
def test_share_is_checked(value: Any, few: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="max_memorization"):
        TGDPGenerator(max_memorization=value).fit(*few)
