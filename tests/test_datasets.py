"""The shifts: shapes, laws, disjoint parts, seeds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits

from sktgdp.datasets import make_diabetes_shift, make_digits_shift, make_gaussian_mixture_shift

DIGITS = load_digits()
MAKERS: list[Callable[..., tuple]] = [make_gaussian_mixture_shift, make_digits_shift, make_diabetes_shift]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.usefixtures("global_rng_untouched")
def test_contract(make: Callable[..., tuple]) -> None:
    X_src, y_src, X_tgt, y_tgt = first = make(random_state=0)
    assert X_src.dtype == X_tgt.dtype == np.float64
    assert y_src.dtype == y_tgt.dtype == np.int64
    assert (len(X_src), len(X_tgt)) == (len(y_src), len(y_tgt))
    assert X_src.shape[1] == X_tgt.shape[1]
    assert set(y_tgt) == set(y_src)
    for again in (make(random_state=0), make(random_state=np.random.RandomState(0))):
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(X_tgt, make(random_state=1)[2])


# The paper's simulation -----------------------------------------------------------------------------
def test_mixture_has_the_papers_moments() -> None:
    X_src, y_src, X_tgt, y_tgt = make_gaussian_mixture_shift(20_000, 10_000, random_state=0)
    for X, y, mu in ((X_src, y_src, [0.5, 0.5]), (X_tgt, y_tgt, [0.5, -0.5])):
        assert set(y) == {-1, 1}
        assert abs(y.mean()) < 0.04
        np.testing.assert_allclose((y[:, None] * X).mean(0), mu, atol=0.015)
        np.testing.assert_allclose(np.cov((X - y[:, None] * mu).T), 0.1 * np.eye(2), atol=0.005)


def test_mixture_agrees_with_its_oracle() -> None:
    X_src, y_src, X_tgt, y_tgt, oracle = make_gaussian_mixture_shift(
        20_000, 20_000, random_state=0, return_oracle=True
    )
    for X, y, mixture in ((X_src, y_src, oracle.source), (X_tgt, y_tgt, oracle.target)):
        entropy = mixture.log_prob(mixture.sample(20_000, torch.Generator().manual_seed(0))[0]).mean()
        found = mixture.log_prob(torch.from_numpy(X))
        assert found.mean().item() == pytest.approx(entropy.item(), abs=0.03)
        # log N at its own draws: -d/2 (1 + log 2 pi v)
        given_y = mixture.log_prob(torch.from_numpy(X), torch.from_numpy((y + 1) // 2)).mean()
        assert given_y.item() == pytest.approx(-(1.0 + np.log(0.2 * np.pi)), abs=0.03)


# Digits ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shift", ["thicken", "translate", "rescale"])
def test_digits_parts_are_disjoint_and_complete(shift: str) -> None:
    """Undoing the shift by strength=0 gives every digit back exactly once."""
    plain = make_digits_shift(shift, strength=0.0, random_state=0, return_test=True)
    rows = np.concatenate(plain[::2])
    assert np.array_equal(np.unique(rows, axis=0), np.unique(DIGITS.data, axis=0))
    assert len(rows) == len(DIGITS.data)
    shifted = make_digits_shift(shift, random_state=0, return_test=True)
    assert np.array_equal(plain[0], shifted[0])
    for k in (2, 4):
        assert not np.array_equal(plain[k], shifted[k])
        assert shifted[k].min() >= 0.0
        assert shifted[k].max() <= 16.0
    halfway = make_digits_shift(shift, strength=0.5, random_state=0)
    np.testing.assert_allclose(halfway[2], 0.5 * (plain[2] + shifted[2]))


def test_digits_shifts_do_what_they_say() -> None:
    before = make_digits_shift(strength=0.0, random_state=0)[2].reshape(-1, 8, 8)
    thick, moved, pale = (
        make_digits_shift(shift, random_state=0)[2].reshape(-1, 8, 8)
        for shift in ("thicken", "translate", "rescale")
    )
    padded = np.pad(before, ((0, 0), (1, 1), (1, 1)))
    neighbours = [padded[:, 1:-1, 1:-1], padded[:, 2:, 1:-1], padded[:, :-2, 1:-1]]
    neighbours += [padded[:, 1:-1, 2:], padded[:, 1:-1, :-2]]
    np.testing.assert_array_equal(thick, np.max(neighbours, axis=0))
    np.testing.assert_array_equal(moved[:, :, 1:], before[:, :, :-1])
    assert not moved[:, :, 0].any()
    np.testing.assert_array_equal(pale, before / 2)


def test_digits_parts_are_in_proportion() -> None:
    _, y_src, _, y_tgt, _, y_test = make_digits_shift(
        n_target=50, n_test=200, random_state=0, return_test=True
    )
    assert [len(y_src), len(y_tgt), len(y_test)] == [1547, 50, 200]
    share = np.bincount(DIGITS.target) / len(DIGITS.target)
    for y in (y_src, y_tgt, y_test):
        assert np.abs(np.bincount(y, minlength=10) - share * len(y)).max() <= 1.5


def test_digits_test_rows_do_not_move_the_others() -> None:
    short, long = (make_digits_shift(random_state=0, return_test=flag) for flag in (False, True))
    assert all(np.array_equal(a, b) for a, b in zip(short, long[:4], strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": "blur"}, "unknown shift 'blur'.*'thicken', 'translate', 'rescale'"),
        ({"strength": 1.5}, "strength"),
        ({"n_target": 0}, "n_target=0"),
        ({"n_target": 1000, "n_test": 797}, "n_target=1000 and n_test=797"),
    ],
)
def test_digits_errors(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_digits_shift(**options)


# Diabetes -------------------------------------------------------------------------------------------
def test_diabetes_parts() -> None:
    X_src, y_src, X_tgt, y_tgt, X_test, y_test = make_diabetes_shift(
        n_target=80, random_state=0, return_test=True
    )
    assert [X.shape for X in (X_src, X_tgt, X_test)] == [(207, 9), (80, 9), (155, 9)]
    data = load_diabetes(scaled=False)
    men = data.data[:, 1] == 2
    rows = np.delete(data.data, 1, axis=1)
    label = (data.target > np.median(data.target)).astype(int)
    assert np.array_equal(X_src, rows[men])
    assert np.array_equal(y_src, label[men])
    women = np.column_stack([np.vstack([X_tgt, X_test]), np.concatenate([y_tgt, y_test])])
    expected = np.column_stack([rows[~men], label[~men]])
    assert np.array_equal(women[np.lexsort(women.T)], expected[np.lexsort(expected.T)])
    assert abs(y_tgt.mean() - label[~men].mean()) < 0.02


def test_diabetes_errors() -> None:
    with pytest.raises(ValueError, match="of 235; got n_target=235"):
        make_diabetes_shift(n_target=235)
