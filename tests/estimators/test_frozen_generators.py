"""Generators that are fitted already, among rows that they do not go with."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from small_models import Shift, tiny_tgdp

from sktgdp import GenerativeSampler


def test_rows_in_other_units_than_a_frozen_generators(shift: Shift, few: tuple[Any, ...]) -> None:
    """A scaler before the augmentation: the generator's rows would stay as they were."""
    X_src, y_src, X_tgt, y_tgt = few
    generator = tiny_tgdp(n_steps=2).fit(20 * X_src + 500, y_src, 20 * X_tgt + 500, y_tgt)
    sampler = GenerativeSampler(FrozenEstimator(generator), sampling_strategy="all", random_state=0)
    y = np.repeat([-1, 1], [20, 10])
    with pytest.warns(UserWarning, match=r"100% of the rows lie far outside.*Put a scaler behind"):
        sampler.fit_resample(shift.X_tgt[:30], y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        sampler.fit_resample(20 * shift.X_tgt[:30] + 500, y)
