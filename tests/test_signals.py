"""Rates, lengths, spectra and chains of signals: inverses, Jacobians, and inside a generator."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from sktgdp import DiffusionGenerator
from sktgdp.preprocessing import (
    BandPass,
    BaselineRemover,
    CropPad,
    LeadReducer,
    Resampler,
    RowStandardizer,
    SpectralTransformer,
    make_chain,
)

Floats = NDArray[np.float64]
RATE = 100.0
TINY: dict[str, Any] = {"hidden_sizes": (4,), "max_steps": 2, "random_state": 0, "device": "cpu"}
# every transformer of signals, with parameters that suit 12 channels and 300 samples
TRANSFORMERS: dict[str, Any] = {
    "resample": Resampler(RATE, 50),
    "crop": CropPad(128),
    "pad": CropPad(512, align="center"),
    "spectrum": SpectralTransformer(),
    "leads": LeadReducer(tolerance=100.0),
    "band": BandPass(0.5, 40, RATE),
    "highpass": BaselineRemover(RATE, "highpass"),
    "median": BaselineRemover(RATE),
    "chain": make_chain(LeadReducer(tolerance=100.0), SpectralTransformer(), RowStandardizer(per="value")),
}
each_transformer = pytest.mark.parametrize("kind", TRANSFORMERS)


def waves(frequencies: Any, seconds: float, rate: float) -> Floats:
    """One record with a channel for each frequency, each with a phase of its own."""
    time = np.arange(round(seconds * rate)) / rate
    return np.sin(2 * np.pi * np.outer(frequencies, time) + np.arange(len(frequencies))[:, None])[None]


# What all of them do --------------------------------------------------------------------------------
@each_transformer
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_dtype(kind: str, dtype: Any, rng: np.random.Generator) -> None:
    X = (100 * rng.normal(size=(3, 12, 300))).astype(dtype)
    transformer = clone(TRANSFORMERS[kind]).fit(X)
    z = transformer.transform(X)
    expected = dtype if kind != "chain" and np.issubdtype(dtype, np.floating) else np.float64
    assert z.dtype == expected
    assert transformer.inverse_transform(z).dtype == expected
    assert transformer.inverse_transform(z).shape == X.shape
    exact = transformer.transform(X.astype(np.float64))
    np.testing.assert_allclose(z, exact, atol=1e-4 * np.abs(exact).max())


@each_transformer
def test_clone_pickle_and_purity(kind: str, rng: np.random.Generator) -> None:
    X = rng.normal(size=(3, 12, 300))
    before = X.copy()
    transformer = clone(TRANSFORMERS[kind])
    with pytest.raises(NotFittedError):
        transformer.transform(X)
    z = transformer.fit_transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(transformer)).transform(X), z)
    np.testing.assert_array_equal(clone(transformer).fit(X).transform(X), z)
    np.testing.assert_array_equal(transformer.transform(X[1:2]), z[1:2])  # each record for itself
    np.testing.assert_array_equal(X, before)


@each_transformer
def test_refuses(kind: str, rng: np.random.Generator) -> None:
    X = rng.normal(size=(3, 12, 300))
    transformer = clone(TRANSFORMERS[kind]).fit(X)
    with pytest.raises(ValueError, match=r"11 (features|channels)"):
        transformer.transform(X[:, :11])
    with pytest.raises(ValueError, match=r"shape|features"):
        transformer.fit(X[:, :, :0])
    X[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        transformer.transform(X)
    with pytest.raises(ValueError, match="NaN"):
        clone(transformer).fit(X)


@each_transformer
def test_inside_a_generator(kind: str, rng: np.random.Generator) -> None:
    """Rows of the fitted shape and dtype come back; a density, or the reason why there is none."""
    X = rng.normal(size=(8, 12, 300)).astype(np.float32)
    model = DiffusionGenerator(transformer=TRANSFORMERS[kind], n_steps=2, **TINY).fit(X)
    sample, _ = model.sample(2)
    assert sample.shape == (2, 12, 300)
    assert sample.dtype == np.float32
    if kind in ("leads", "spectrum", "chain"):
        assert np.isfinite(model.transformer_.log_abs_det_jacobian((12, 300)))
    else:
        with pytest.raises(TypeError, match="gives no density"):
            model.score_samples(X)


def test_density_inside_a_generator(rng: np.random.Generator) -> None:
    """A fit in an orthonormal basis, then scaled by 2: both Jacobians reach the density."""
    X = rng.normal(size=(20, 1, 4))
    chain = make_chain(SpectralTransformer(), RowStandardizer(per="value"))
    small = DiffusionGenerator(transformer=chain, **TINY).fit(X)
    large = DiffusionGenerator(transformer=chain, **TINY).fit(2 * X)
    shift = large.score_samples(2 * X[:3]) - small.score_samples(X[:3])
    np.testing.assert_allclose(shift, -4 * np.log(2.0), rtol=1e-6)


# Resampling -----------------------------------------------------------------------------------------
RATES = [(500, 100), (100, 500), (257, 100), (100, 62.5), (100, 100)]


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_resampled_waves(rate_in: float, rate_out: float) -> None:
    """A wave below both Nyquist limits is the same wave at the other rate, and comes back."""
    frequencies = [0.7, 5.0, 0.35 * min(rate_in, rate_out)]
    X, expected = (waves(frequencies, 10, rate) for rate in (rate_in, rate_out))
    resampler = Resampler(rate_in, rate_out).fit(X)
    z = resampler.transform(X)
    assert z.shape == (1, 3, -(-round(10 * rate_in) * rate_out // rate_in))
    inside = slice(round(rate_out), -round(rate_out))
    np.testing.assert_allclose(z[..., inside], expected[..., inside], atol=0.01)
    inside = slice(round(rate_in), -round(rate_in))
    np.testing.assert_allclose(resampler.inverse_transform(z)[..., inside], X[..., inside], atol=0.02)


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    X = waves([70.0, 120.0], 10, 500)
    assert np.abs(Resampler(500, 100).fit_transform(X)[..., 50:-50]).max() < 0.01


def test_a_line_stays_a_line() -> None:
    X = np.linspace(-3.0, 7.0, 500)[None, None]
    np.testing.assert_allclose(Resampler(500, 100).fit_transform(X)[0, 0], X[0, 0, ::5], atol=1e-9)


def test_resampler_refuses(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 1, 50))
    with pytest.raises(ValueError, match="rate_in"):
        Resampler(0, 100).fit(X)
    with pytest.raises(ValueError, match=r"at least 0\.001"):
        Resampler(1e-9, 100).fit(X)
    with pytest.raises(ValueError, match="`transform` gives 25"):
        Resampler(100, 50).fit(X).inverse_transform(X)
    assert Resampler(50, 50).log_abs_det_jacobian((1, 50)) == 0.0


# Cropping and padding -------------------------------------------------------------------------------
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    length=st.integers(1, 12),
    align=st.sampled_from(["start", "center"]),
    dtype=st.sampled_from([np.float32, np.float64, np.int16]),
)
@settings(max_examples=60, deadline=None)
def test_lengths(lengths: list[int], length: int, align: str, dtype: Any) -> None:
    """What both lengths hold is kept in order, all else is fill; padding is undone exactly."""
    records = [np.arange(1, 2 * size + 1, dtype=dtype).reshape(2, size) for size in lengths]
    cropper = CropPad(length, align=align, fill=-1.0).fit(records)
    z = cropper.transform(records)
    assert z.shape == (len(lengths), 2, length)
    assert z.dtype == (dtype if dtype != np.int16 else np.float64)
    for record, row in zip(records, z, strict=True):
        size = record.shape[1]
        kept = row[0][row[0] != -1.0]
        assert len(kept) == min(size, length)
        assert (np.diff(kept) == 1).all()
        start = (size - length) // 2 if align == "center" and size > length else 0
        assert kept[0] == 1 + start
    assert cropper.length_in_ == (lengths[0] if len(set(lengths)) == 1 else None)
    if len(set(lengths)) == 1 and length >= lengths[0]:
        np.testing.assert_array_equal(cropper.inverse_transform(z), records)


def test_cropped_comes_back_in_its_place() -> None:
    X = np.arange(9.0)[None, None]
    cropper = CropPad(4, align="center").fit(X)
    assert cropper.inverse_transform(cropper.transform(X))[0, 0].tolist() == [0, 0, 2, 3, 4, 5, 0, 0, 0]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 0)), r"Record 1 has shape \(2, 0\)"),
        (np.zeros(4), r"Record 1 has shape \(4,\)"),
        (np.zeros((3, 4)), "Record 1 has 3 channels; record 0 has 2"),
        (np.array([[0.0, 1.0], [0.0, np.nan]]), r"Record 1 contains NaN or infinity in channels \[1\]"),
        (np.array([[np.inf, 1.0], [0.0, 0.0]]), r"Record 1 contains NaN or infinity in channels \[0\]"),
        (np.array([["a"], ["b"]]), "real numbers"),
        (np.array([[1j], [0.0]]), "real numbers"),
    ],
)
def test_bad_record_is_named(bad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CropPad(4).fit([np.zeros((2, 5)), bad])


def test_crop_needs_records() -> None:
    with pytest.raises(ValueError, match="no records"):
        CropPad(4).fit([])
    with pytest.raises(ValueError, match="length"):
        CropPad(0).fit(np.zeros((1, 1, 4)))


# Spectra --------------------------------------------------------------------------------------------
@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.floats(-1e3, 1e3)),
)
@settings(max_examples=60, deadline=None)
def test_spectrum_is_an_isometry(X: Floats) -> None:
    """Parseval's equation, and the inverse, for any shape."""
    transformer = SpectralTransformer().fit(X)
    z = transformer.transform(X)
    np.testing.assert_allclose(np.square(z).sum(-1), np.square(X).sum(-1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(transformer.inverse_transform(z), X, atol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_spectrum_is_the_stated_matrix(length: int) -> None:
    k, j = np.ogrid[:length, :length]
    matrix = np.sqrt((2 - (k == 0)) / length) * np.cos(np.pi * k * (2 * j + 1) / (2 * length))
    columns = SpectralTransformer().fit_transform(np.eye(length)[:, None])[:, 0]
    np.testing.assert_allclose(columns.T, matrix, atol=1e-12)


@given(length=st.integers(1, 12), data=st.data())
@settings(max_examples=40, deadline=None)
def test_band_of_a_spectrum(length: int, data: Any) -> None:
    """With fewer coefficients the inverse projects: what it leaves out is orthogonal to all that it keeps."""
    kept = data.draw(st.integers(1, length))
    X = np.random.default_rng(0).normal(size=(5, 2, length))
    band = SpectralTransformer(kept).fit(X)
    z = band.transform(X)
    assert z.shape == (5, 2, kept)
    nearest = band.inverse_transform(z)
    np.testing.assert_allclose(band.transform(nearest), z, atol=1e-12)
    np.testing.assert_allclose((nearest * (X - nearest)).sum(axis=2), 0.0, atol=1e-12)
    assert band.kept_ == pytest.approx(np.square(nearest).sum() / np.square(X).sum())


def test_band_refuses() -> None:
    X = np.zeros((2, 1, 8))
    with pytest.raises(ValueError, match="n_coefficients=9, but rows of 8"):
        SpectralTransformer(9).fit(X)
    band = SpectralTransformer(4).fit(X)
    assert band.kept_ == 1.0
    with pytest.raises(ValueError, match="rows of length 8; expected 4"):
        band.inverse_transform(X)
    with pytest.raises(ValueError, match="rows of length 4; expected 8"):
        band.transform(X[..., :4])
    with pytest.raises(TypeError, match="keeps 4 of 8"):
        band.log_abs_det_jacobian((1, 8))


def test_spectrum_whitens_stationary_noise(rng: np.random.Generator) -> None:
    """Neighbours that correlate at 0.9 in time hardly do as scaled coefficients."""
    noise = rng.normal(size=(4000, 1, 200))
    X = np.empty_like(noise)
    X[..., 0] = noise[..., 0] / np.sqrt(1 - 0.9**2)
    for at in range(1, 200):
        X[..., at] = 0.9 * X[..., at - 1] + noise[..., at]
    z = make_chain(SpectralTransformer(), RowStandardizer(per="value")).fit_transform(X)[:, 0]
    correlations = np.corrcoef(z, rowvar=False) - np.eye(200)
    assert np.corrcoef(X[:, 0], rowvar=False)[100, 101] > 0.85
    assert np.sqrt(np.square(correlations).mean()) < 0.03


# Chains ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "steps",
    [
        [RowStandardizer()],
        [SpectralTransformer(), RowStandardizer(per="value")],
        [RowStandardizer(common_scale=True), SpectralTransformer(), RowStandardizer(per="value")],
        [CropPad(5), RowStandardizer(), Resampler(3, 3)],
    ],
    ids=str,
)
def test_jacobian_of_a_chain(steps: list[Any], rng: np.random.Generator) -> None:
    """Against the determinant of the linear part, taken from differences; the chain's inverse is one."""
    X = rng.normal(2.0, [[0.1], [30.0]], (40, 2, 5))
    chain = make_chain(*steps).fit(X)
    units = chain.transform(np.eye(11)[:, 1:].reshape(11, 2, 5)).reshape(11, 10)
    determinant = torch.linalg.slogdet(torch.from_numpy(units[1:] - units[0])).logabsdet.item()
    assert chain.log_abs_det_jacobian((2, 5)) == pytest.approx(determinant)
    np.testing.assert_allclose(chain.inverse_transform(chain.transform(X)), X, atol=1e-9)


def test_chain_follows_the_shape(rng: np.random.Generator) -> None:
    """The standardiser behind a `LeadReducer` sees eight channels, and is asked for their Jacobian."""
    X = LeadReducer().fit(np.zeros((1, 12, 6))).inverse_transform(rng.normal(size=(30, 8, 6)))
    chain = make_chain(LeadReducer(), RowStandardizer()).fit(X)
    assert chain.log_abs_det_jacobian((12, 6)) == chain[-1].log_abs_det_jacobian((8, 6))
    np.testing.assert_allclose(chain.inverse_transform(chain.transform(X)), X, atol=1e-12)


def test_chain_names_the_step_without_a_density(rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 3))
    chain = make_chain(PCA(2), RowStandardizer()).fit(X)
    with pytest.raises(TypeError, match=r"Step 'pca' of the chain .* PCA has no method"):
        chain.log_abs_det_jacobian((3,))
    skipping = make_chain("passthrough", RowStandardizer()).fit(X)
    assert skipping.log_abs_det_jacobian((3,)) == RowStandardizer().fit(X).log_abs_det_jacobian((3,))


def test_chain_is_searchable() -> None:
    chain = make_chain(Resampler(500, 100), RowStandardizer())
    changed = clone(chain).set_params(resampler__rate_out=250)
    assert changed.get_params()["resampler__rate_out"] == 250
    assert type(changed) is type(chain)


# Standardisation of each value ----------------------------------------------------------------------
def test_standardised_by_value(rng: np.random.Generator) -> None:
    X = rng.normal(5.0, rng.uniform(0.1, 9.0, (2, 6)), (50, 2, 6))
    scaler = RowStandardizer(per="value").fit(X)
    flat = RowStandardizer().fit_transform(X.reshape(50, 12))
    np.testing.assert_array_equal(scaler.transform(X).reshape(50, 12), flat)
    with pytest.raises(ValueError, match=r"rows of shape \(2, 1\); in fit they had \(2, 6\)"):
        scaler.transform(X[..., :1])
    X[:, 1, 3] = 1e-8 * X[:, 0, 3]  # rounding errors, beside values of order 1
    assert RowStandardizer(per="value").fit(X).scale_[1, 3] == 1.0
    with pytest.raises(ValueError, match="per='row'"):
        RowStandardizer(per="row").fit(X)


# Hostile input --------------------------------------------------------------------------------------
def test_one_sample_stays_one_level() -> None:
    """A record of one sample is a constant, whatever the rate."""
    X = np.array([[[3.0]], [[-1.0]]])
    assert Resampler(100, 500).fit_transform(X).tolist() == [[[3.0] * 5], [[-1.0] * 5]]
    assert Resampler(500, 100).fit(np.zeros((2, 1, 5))).inverse_transform(X).shape == (2, 1, 5)


@pytest.mark.parametrize(("fill", "dtype"), [(np.nan, "f8"), (np.inf, "f8"), (1e40, "f4")])
def test_fill_is_a_number_of_the_records(fill: float, dtype: str) -> None:
    with pytest.raises(ValueError, match="fill"):
        CropPad(9, fill=fill).fit_transform(np.zeros((2, 1, 3), dtype=dtype))


def test_padded_records_have_the_length_of_transform() -> None:
    with pytest.raises(ValueError, match="Record 0 has 7 samples; `transform` gives 9"):
        CropPad(9).fit(np.zeros((2, 1, 3))).inverse_transform(np.zeros((2, 1, 7)))
    for X in (None, 3.0):
        with pytest.raises(TypeError, match="X must be an array of shape"):
            CropPad(9).fit(X)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_energy_has_no_unit(unit: float, rng: np.random.Generator) -> None:
    X = rng.normal(size=(5, 2, 16))
    expected = SpectralTransformer(4).fit(X).kept_
    assert SpectralTransformer(4).fit(unit * X).kept_ == pytest.approx(expected)


NO_NUMBERS: dict[str, tuple[type[Exception], str, Any]] = {
    "masked": (ValueError, "X is a masked array that hides", lambda X: np.ma.MaskedArray(X, mask=X > 0)),
    "complex": (ValueError, "Complex data not supported: X", lambda X: X * 1j),
    "datetimes": (TypeError, "X holds datetimes", lambda X: (100 * X).astype("M8[s]")),
    "durations": (TypeError, "X holds durations", lambda X: (100 * X).astype("m8[s]")),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize(
    "transformer", [Resampler(40, 20), SpectralTransformer(), RowStandardizer(), CropPad(40)], ids=str
)
def test_what_is_no_number(transformer: Any, kind: str, rng: np.random.Generator) -> None:
    """A mask, an imaginary part or a unit of time would be dropped without a word."""
    X = rng.normal(size=(4, 2, 40))
    error, message, spoil = NO_NUMBERS[kind]
    if isinstance(transformer, CropPad) and error is TypeError:
        error, message = ValueError, "expected real numbers"  # as of any record
    with pytest.raises(error, match=message):
        clone(transformer).fit(spoil(X))
    fitted = clone(transformer).fit(X)
    with pytest.raises(error, match=message):
        fitted.transform(spoil(X))
    with pytest.raises(error, match=message):
        fitted.inverse_transform(spoil(fitted.transform(X)))
