"""Eight leads and twelve: the laws, how violations are told, and gains that restore them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sktgdp.preprocessing import (
    INDEPENDENT_LEADS,
    STANDARD_LEADS,
    BandPass,
    LeadReducer,
    Resampler,
    RowStandardizer,
    limb_gains,
)

Floats = NDArray[np.float64]
ALPHABETIC = tuple(sorted(STANDARD_LEADS))  # I, II, III, V1, ..., aVF, aVL, aVR


def electrodes(n: int, length: int, rng: np.random.Generator) -> Floats:
    """Twelve leads as they are defined: from the potentials of right arm, left arm, left foot and chest."""
    right, left, foot, *chest = rng.normal(size=(9, n, length))
    terminal = (right + left + foot) / 3
    augmented = [right - (left + foot) / 2, left - (right + foot) / 2, foot - (right + left) / 2]
    leads = [left - right, foot - right, foot - left, *augmented, *(each - terminal for each in chest)]
    return np.stack(leads, axis=1)


def test_twelve_leads_of_electrodes_come_back(rng: np.random.Generator) -> None:
    """The formulas are the laws: what is derived equals what the electrodes gave."""
    X = electrodes(5, 40, rng)
    reducer = LeadReducer(tolerance=1e-12).fit(X)
    eight = reducer.transform(X)
    assert eight.shape == (5, 8, 40)
    for at, lead in enumerate(INDEPENDENT_LEADS):
        np.testing.assert_array_equal(eight[:, at], X[:, STANDARD_LEADS.index(lead)])
    np.testing.assert_allclose(reducer.inverse_transform(eight), X, atol=1e-14)
    assert list(reducer.residual_) == ["II", "III", "aVR", "aVL"]
    assert max(reducer.residual_.values()) < 1e-14
    assert reducer.log_abs_det_jacobian((12, 40)) == 0.0


@given(
    eight=st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, (2, 8, 3), elements=st.floats(-1000, 1000, width=32))
    )
)
@settings(max_examples=60, deadline=None)
def test_laws_hold_to_rounding(eight: Any) -> None:
    """Einthoven's law, Goldberger's definitions and their sum, whatever the eight leads are."""
    reducer = LeadReducer().fit(np.zeros((1, 12, 3)))
    twelve = reducer.inverse_transform(eight)
    assert twelve.dtype == eight.dtype
    one, two, three, right, left, foot = twelve[:, :6].transpose(1, 0, 2)
    tolerance = {"rtol": 0, "atol": 8 * np.finfo(eight.dtype).eps * max(1.0, float(np.abs(twelve).max()))}
    np.testing.assert_allclose(three, two - one, **tolerance)
    np.testing.assert_allclose(right, -(one + two) / 2, **tolerance)
    np.testing.assert_allclose(left, (one - three) / 2, **tolerance)
    np.testing.assert_allclose(foot, (two + three) / 2, **tolerance)
    np.testing.assert_allclose(right + left + foot, 0.0, **tolerance)
    np.testing.assert_array_equal(reducer.transform(twelve), eight)


@pytest.mark.parametrize("leads", [ALPHABETIC, [lead.upper() for lead in reversed(STANDARD_LEADS)]])
def test_any_order_that_is_named(leads: Any, rng: np.random.Generator) -> None:
    X = electrodes(3, 20, rng)
    order = [[lead.lower() for lead in STANDARD_LEADS].index(lead.lower()) for lead in leads]
    reducer = LeadReducer(leads).fit(X[:, order])
    eight = reducer.transform(X[:, order])
    np.testing.assert_array_equal(eight, LeadReducer().fit_transform(X))
    np.testing.assert_allclose(reducer.inverse_transform(eight), X[:, order], atol=1e-14)


def test_other_order_is_told(rng: np.random.Generator) -> None:
    X = electrodes(3, 200, rng)
    with pytest.raises(
        ValueError, match=r"said to be I, II, III, aVR, aVL, aVF, but obey .* as aVF, aVL, aVR"
    ):
        LeadReducer().fit(X[:, [5, 4, 3, 0, 1, 2, *range(6, 12)]])
    with pytest.raises(ValueError, match="as II, I, III, aVR, aVL, aVF"):
        LeadReducer().fit(X[:, [1, 0, *range(2, 12)]])
    order = [STANDARD_LEADS.index(lead) for lead in ALPHABETIC]
    X[:, [3, 4]] = X[:, [4, 3]]  # aVR and aVL swapped, and said to be alphabetic
    with pytest.raises(ValueError, match=r"said to be I, II, III, aVF, aVL, aVR, but .* III, aVF, aVR, aVL"):
        LeadReducer(ALPHABETIC).fit(X[:, order])


@pytest.mark.parametrize(
    ("leads", "n_channels", "message"),
    [
        (STANDARD_LEADS, 8, "X has 8 channels, but leads names 12: I, II, III, aVR"),
        (STANDARD_LEADS, 15, "X has 15 channels"),
        (STANDARD_LEADS[:-1], 11, r"lacks \['V6'\]"),
        ((*STANDARD_LEADS[:-1], "V5"), 12, r"lacks \['V6'\]"),
        ((*STANDARD_LEADS, "avr"), 13, r"has \['aVR', 'avr'\] more than once"),
        (("MLII", *STANDARD_LEADS[1:]), 12, r"lacks \['I'\]"),
    ],
)
def test_wrong_leads_are_named(leads: Any, n_channels: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LeadReducer(leads).fit(np.zeros((2, n_channels, 5)))


def test_inverse_takes_eight() -> None:
    reducer = LeadReducer().fit(np.zeros((1, 12, 5)))
    with pytest.raises(ValueError, match=r"X has 12 channels; expected the 8 leads I, V1, .*, aVF"):
        reducer.inverse_transform(np.zeros((1, 12, 5)))


def test_violation_is_measured(rng: np.random.Generator) -> None:
    """A lead that is off by a known share; one lost lead in one record; silence below the tolerance."""
    X = electrodes(4, 500, rng)
    size = np.sqrt(np.square(X[:, :6]).mean(axis=(1, 2)))
    broken = X.copy()
    broken[2, 1] += 0.5 * size[2] * np.where(np.arange(500) % 2, 1.0, -1.0)
    shares = LeadReducer().residuals(broken)
    size[2] = np.sqrt(np.square(broken[2, :6]).mean())
    expected = np.sqrt(np.square(broken[:, 1] - 0.5 * broken[:, 0] - broken[:, 5]).mean(axis=-1)) / size
    np.testing.assert_allclose(shares[:, 0], expected, atol=1e-12)
    np.testing.assert_allclose(shares[:, 1:], 0.0, atol=1e-12)
    reducer = LeadReducer().fit(X)
    with pytest.warns(UserWarning, match="1 of 4 records violate .* II of record 2 is worst, by 0.4"):
        reducer.transform(broken)
    broken = X.copy()
    broken[1, 4] = 0.0
    with pytest.warns(UserWarning, match="aVL of record 1"):
        reducer.transform(broken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reducer.transform(X)
        LeadReducer(tolerance=2.0).fit_transform(broken)
        reducer.transform(np.zeros((1, 12, 5)))  # flat: no law is broken


def test_linear_steps_keep_the_laws(rng: np.random.Generator) -> None:
    X = electrodes(3, 600, rng)
    for step in (BandPass(1.0, 40, 100), Resampler(100, 60), RowStandardizer(common_scale=True)):
        z = step.fit_transform(X)
        assert LeadReducer().residuals(z - z.mean(axis=(0, 2), keepdims=True)).max() < 1e-9


def test_gains_are_found(rng: np.random.Generator) -> None:
    """Leads that were scaled each for itself obey the laws again, but for a common factor."""
    X = electrodes(6, 50, rng)
    factors = rng.uniform(0.2, 5.0, (6, 6))
    scaled = X.copy()
    scaled[:, :6] /= factors[:, :, None]
    gains = limb_gains(scaled)
    expected = factors / np.exp(np.log(factors).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(gains, expected, rtol=1e-6)
    order = [STANDARD_LEADS.index(lead) for lead in ALPHABETIC]
    np.testing.assert_allclose(limb_gains(scaled[:, order], ALPHABETIC), expected, rtol=1e-6)


def test_gains_that_cannot_be_told(rng: np.random.Generator) -> None:
    X = electrodes(3, 50, rng)
    swapped = X.copy()
    swapped[2, :6] = -swapped[2, [3, 4, 5, 0, 1, 2]]
    with pytest.raises(ValueError, match="Record 2 obeys the laws with no positive gains"):
        limb_gains(swapped)
    X[1, 2] = 0.0
    with pytest.raises(ValueError, match="Record 1 has a limb lead that is flat"):
        limb_gains(X)


def test_real_leads(data_dir: Path) -> None:
    """PTB-XL and CPSC2018 obey the laws but for rounding; LUDB does once the gains of its leads are told."""
    folder = data_dir / "cinc2021_mini"
    X = np.load(folder / "mini_100hz.npz", allow_pickle=False)["X"]
    assert LeadReducer().residuals(X).max() < 0.04
    X = np.load(data_dir / "ludb" / "ludb_100hz.npz", allow_pickle=False)["X"]
    assert np.median(LeadReducer().residuals(X).max(axis=1)) > 0.2
    X[:, :6] *= limb_gains(X)[:, :, None]
    assert LeadReducer().residuals(X).max() < 0.05


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**700])
def test_shares_and_gains_have_no_unit(unit: float, rng: np.random.Generator) -> None:
    """Squares of the leads run over in neither direction; a flat record weighs nothing."""
    X = rng.normal(size=(3, 12, 50))
    X[2] = 0.0
    reducer = LeadReducer(tolerance=5.0)
    np.testing.assert_array_equal(reducer.fit(unit * X).residuals(unit * X), reducer.residuals(X))
    assert reducer.fit(unit * X).residual_ == reducer.fit(X).residual_
    laws = reducer.inverse_transform(rng.normal(size=(3, 8, 50)))
    np.testing.assert_array_equal(limb_gains(unit * laws), limb_gains(laws))


def test_an_order_is_seen_in_any_unit(rng: np.random.Generator) -> None:
    reducer = LeadReducer().fit(np.zeros((1, 12, 50)))
    swapped = reducer.inverse_transform(rng.normal(size=(3, 8, 50)))[:, [1, 0, *range(2, 12)]]
    for unit in (1e-200, 1e200):
        with pytest.raises(ValueError, match="obey Einthoven's and Goldberger's laws as"):
            LeadReducer().fit(unit * swapped)


def test_leads_are_names() -> None:
    with pytest.raises(TypeError, match="leads must be the names of the channels, got None"):
        limb_gains(np.ones((1, 12, 5)), leads=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gives no finite numbers"):
        LeadReducer().fit(np.zeros((1, 12, 5))).inverse_transform(np.full((1, 8, 5), 1.7e308))
