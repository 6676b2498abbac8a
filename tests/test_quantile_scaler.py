"""Numbers by their quantiles: where the ends and equal values go, and which tables have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from sktgdp.preprocessing import MixedTypeEncoder
from sktgdp.preprocessing._numbers import QuantileScaler


@pytest.mark.parametrize("n", [1, 2, 30, 5000])
def test_ends_lie_as_far_out_as_those_of_a_normal_sample(n: int, rng: np.random.Generator) -> None:
    x = np.sort(rng.lognormal(sigma=3.0, size=(n, 1)), axis=0)
    z = QuantileScaler().fit(x).transform(x)[:, 0]
    expected = ndtri((np.arange(n) + 0.5) / n)
    expected = expected / (expected.std() or 1.0)
    assert np.abs(z - expected).mean() < 0.03  # a thousand quantiles are kept
    np.testing.assert_allclose(z[[0, -1]], expected[[0, -1]], atol=0.05)


def test_equal_values_stand_for_the_middle_of_their_quantiles() -> None:
    x = np.r_[np.zeros(600), np.arange(1.0, 401.0)][:, None]
    scaler = QuantileScaler().fit(x)
    ratio = scaler.unit.inverse_transform(scaler.transform(x))[:, 0]
    assert ratio[0] == pytest.approx(ndtri(0.3), abs=0.01)
    spread = np.linspace(scaler.z_ends[0] - 3.0, scaler.unit.transform([[ndtri(0.599)]])[0, 0], 50)
    np.testing.assert_array_equal(scaler.inverse_transform(spread[spread > scaler.z_ends[0], None]), 0.0)


@pytest.mark.parametrize(("n_shared", "n"), [(20, 200), (19, 150), (20, 201)])
def test_what_counts_as_shared(n_shared: int, n: int) -> None:
    column = np.r_[np.zeros(n_shared), np.arange(1.0, n - n_shared + 1)]
    shared = n_shared == 20 and n == 200
    encoder = MixedTypeEncoder(numeric="auto").fit(pd.DataFrame({"gain": column}))
    assert (encoder._columns[0].numeric == "levels") == shared
    two = pd.DataFrame({"sex": (column > 0).astype(int)})
    assert MixedTypeEncoder(numeric="auto").fit(two).log_abs_det_jacobian((1,)) > 0
