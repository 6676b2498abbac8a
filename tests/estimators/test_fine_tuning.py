"""The fine-tuned baseline: it starts from the source model, and leaves it as it was."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from small_models import TINY, TINY_NETWORK, Shift

from sktgdp import DiffusionGenerator, FineTunedDiffusionGenerator
from sktgdp.metrics import sliced_wasserstein_distance


def fine_tuned(source: DiffusionGenerator, trainable: str, max_steps: int) -> FineTunedDiffusionGenerator:
    settings = {"max_steps": max_steps, "batch_size": 256, "random_state": 0}
    return FineTunedDiffusionGenerator(FrozenEstimator(source), trainable=trainable, **settings)


@pytest.mark.parametrize("trainable", ["all", "bias_norm"])
def test_source_model_stays_bitwise(trainable: str, source_model: DiffusionGenerator, shift: Shift) -> None:
    before = pickle.dumps(source_model)
    model = fine_tuned(source_model, trainable, 20).fit(*shift.domains)
    assert pickle.dumps(source_model) == before
    assert model.source_model_ is source_model
    pairs = zip(source_model.network_.parameters(), model.network_.parameters(), strict=True)
    for old, new in pairs:
        assert torch.equal(old, new) == (trainable == "bias_norm" and old.ndim > 1)


def test_bias_norm_trains_few_parameters(source_model: DiffusionGenerator, shift: Shift) -> None:
    few, every = (fine_tuned(source_model, name, 2).fit(*shift.domains) for name in ("bias_norm", "all"))
    biases = [p for p in source_model.network_.parameters() if p.ndim == 1]
    assert few.n_parameters_ == sum(p.numel() for p in biases)
    assert every.n_parameters_ == source_model.n_parameters_ > 10 * few.n_parameters_


@pytest.mark.parametrize(("trainable", "share"), [("all", 0.6), ("bias_norm", 0.95)])
def test_moves_to_the_target(
    trainable: str, share: float, source_model: DiffusionGenerator, shift: Shift
) -> None:
    model = fine_tuned(source_model, trainable, 200).fit(*shift.domains)
    X, y = model.sample(1000)
    before = sliced_wasserstein_distance(shift.X_test, source_model.sample(1000)[0], random_state=0)
    after = sliced_wasserstein_distance(shift.X_test, X, random_state=0)
    assert after < share * before
    assert (y == 1).mean() == pytest.approx((shift.y_tgt == 1).mean(), abs=0.08)
    assert model.score(shift.X_test[:100], shift.y_test[:100]) > source_model.score(
        shift.X_test[:100], shift.y_test[:100]
    )


def test_phases(shift: Shift) -> None:
    """An unfitted source model is cloned and trained first."""
    given = DiffusionGenerator(**TINY_NETWORK)
    model = FineTunedDiffusionGenerator(given, **TINY).fit(*shift.domains)
    assert not hasattr(given, "network_")
    assert model.source_model_ is not given
    assert {"source", "fine-tuning"} <= set(model.fit_time_)
    assert {row["phase"] for row in model.history_} == {"fine-tuning"}


def test_stacked_form(source_model: DiffusionGenerator, shift: Shift) -> None:
    X, y = np.vstack([shift.X_tgt, shift.X_src]), np.concatenate([shift.y_tgt, shift.y_src])
    domain = np.repeat([-1, 1], [len(shift.X_tgt), len(shift.X_src)])
    four = fine_tuned(source_model, "all", 3).fit(*shift.domains)
    stacked = fine_tuned(source_model, "all", 3).fit(X, y, sample_domain=domain)
    np.testing.assert_array_equal(four.sample(4)[0], stacked.sample(4)[0])


def test_without_source_rows(source_model: DiffusionGenerator, shift: Shift) -> None:
    model = fine_tuned(source_model, "all", 2).fit(None, None, shift.X_tgt, shift.y_tgt)
    assert model.sample(3)[0].shape == (3, 2)
