"""Shifts between a source and a target domain: one simulated, two made of data that scikit-learn ships.

Every function returns float64 features and integer labels, ``(X_src, y_src, X_tgt, y_tgt)``. Given a seed, it
neither reads nor sets the global random state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_dilation
from sklearn.datasets import load_diabetes, load_digits
from sklearn.utils import check_random_state

from sktgdp.datasets._checks import check_count, check_known, check_number
from sktgdp.oracles import paper_mixture_shift

__all__ = ["make_diabetes_shift", "make_digits_shift", "make_gaussian_mixture_shift"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
RandomStateLike = int | np.random.RandomState | None
SOURCE_MEAN, TARGET_MEAN = (0.5, 0.5), (0.5, -0.5)


def make_gaussian_mixture_shift(
    n_source: int = 10_000,
    n_target: int = 100,
    *,
    random_state: RandomStateLike = None,
    return_oracle: bool = False,
) -> tuple[Any, ...]:
    r"""Two Gaussians in the plane that turn by a right angle between the domains.

    The simulation of Ouyang et al. (2024), Section 4.1: y is -1 or +1 with equal odds,
    :math:`x | y \sim N(y \mu, 0.1 I)` with :math:`\mu = (0.5, 0.5)` on the source and
    :math:`\mu = (0.5, -0.5)` on the target.

    Parameters
    ----------
    n_source, n_target : int
        Rows of each domain. The paper has 10, 100 and 1,000 target rows.
    random_state : int, RandomState or None
    return_oracle : bool
        Whether to return the exact densities, scores, ratio and guidance as well. The oracle's labels are
        component indices: ``(y + 1) // 2``.

    Returns
    -------
    X_src, y_src, X_tgt, y_tgt : ndarrays of shape (n_source, 2), (n_source,), (n_target, 2), (n_target,)
    oracle : sktgdp.oracles.MixtureShift
        Only with ``return_oracle``.
    """
    for name, n_rows in (("n_source", n_source), ("n_target", n_target)):
        check_count(n_rows, name)
    rng = check_random_state(random_state)
    arrays = (*draw_pair(n_source, SOURCE_MEAN, rng), *draw_pair(n_target, TARGET_MEAN, rng))
    return (*arrays, paper_mixture_shift()) if return_oracle else arrays


def draw_pair(n: int, mu: tuple[float, float], rng: np.random.RandomState) -> tuple[Floats, Integers]:
    """Rows of two Gaussians of variance 0.1 about plus and minus ``mu``, and their labels."""
    y = 2 * rng.randint(2, size=n).astype(np.int64) - 1
    return y[:, None] * np.array(mu) + np.sqrt(0.1) * rng.standard_normal((n, 2)), y


def make_digits_shift(
    shift: str = "thicken",
    *,
    strength: float = 1.0,
    n_target: int = 100,
    n_test: int = 500,
    random_state: RandomStateLike = None,
    return_test: bool = False,
) -> tuple[Any, ...]:
    """Handwritten digits, and others in another hand: 64 features in [0, 16], ten classes.

    scikit-learn's 1,797 digits are split at random, each class in proportion, into source, target and test
    rows; the latter two are transformed.

    Parameters
    ----------
    shift : {"thicken", "translate", "rescale"}
        Strokes a pixel thicker on every side, the picture a pixel to the right, or half the ink.
    strength : float in [0, 1]
        Fraction of the way there.
    n_target, n_test : int
        Target rows to fit on and to evaluate on; the source has all the others.
    random_state : int, RandomState or None
    return_test : bool
        Whether to return X_test, y_test as well; they are set aside in any case.

    Returns
    -------
    X_src, y_src, X_tgt, y_tgt : ndarrays of shape (n, 64) and (n,)
    """
    check_known(shift, "shift", SHIFTS)
    if not 0.0 <= check_number(strength, "strength") <= 1.0:
        raise ValueError(f"strength must lie in [0, 1]; got {strength}")
    X, y = load_digits(return_X_y=True)
    target, test, source = _split(y, n_target, n_test, check_random_state(random_state))
    shifted = SHIFTS[shift](X.reshape(-1, 8, 8)).reshape(X.shape)
    X_shifted = (1.0 - strength) * X + strength * shifted
    arrays = (X[source], y[source], X_shifted[target], y[target])
    return (*arrays, X_shifted[test], y[test]) if return_test else arrays


def make_diabetes_shift(
    *, n_target: int = 60, random_state: RandomStateLike = None, return_test: bool = False
) -> tuple[Any, ...]:
    """Diabetes patients, from men to women: 9 clinical features, disease progression above the median or not.

    Nine columns of scikit-learn's diabetes data in clinical units: age, bmi, bp, s1 ... s6. The domain is the
    tenth, sex, whose codes the data do not explain; 2 is taken for men (207 rows, lower HDL cholesterol).

    Parameters
    ----------
    n_target : int
        Women to fit on, in proportion to the classes. The others of the 235 are for tests.
    random_state : int, RandomState or None
        For the choice of the women.
    return_test : bool
        Whether to return the other women too.

    Returns
    -------
    X_src, y_src, X_tgt, y_tgt : ndarrays of shape (207, 9), (207,), (n_target, 9), (n_target,)
        y is 1 where the progression exceeds the median of all 442 patients, else 0.
    X_test, y_test : ndarrays of shape (235 - n_target, 9), (235 - n_target,)
        Only with ``return_test``.
    """
    data, progression = load_diabetes(return_X_y=True, scaled=False)
    men = data[:, 1] == 2
    X, y = np.delete(data, 1, axis=1), (progression > np.median(progression)).astype(np.int64)
    X_women, y_women = X[~men], y[~men]
    target, _, test = _split(y_women, n_target, 0, check_random_state(random_state))
    arrays = (X[men], y[men], X_women[target], y_women[target])
    return (*arrays, X_women[test], y_women[test]) if return_test else arrays


def _thicken(images: Floats) -> Floats:
    cross = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=bool)
    return np.asarray(grey_dilation(images, footprint=cross), dtype=np.float64)


def _translate(images: Floats) -> Floats:
    return np.pad(images[:, :, :-1], ((0, 0), (0, 0), (1, 0)))


def _rescale(images: Floats) -> Floats:
    return 0.5 * images


SHIFTS = {"thicken": _thicken, "translate": _translate, "rescale": _rescale}


def _split(
    y: Integers, n_first: int, n_second: int, rng: np.random.RandomState
) -> tuple[Integers, Integers, Integers]:
    """Indices of three disjoint random parts, each in proportion to the classes as nearly as may be."""
    if check_count(n_first, "n_target") + check_count(n_second, "n_test", least=0) >= len(y):
        raise ValueError(
            f"needs at least one row left over of {len(y)}; got n_target={n_first}"
            + (f" and n_test={n_second}" if n_second else "")
        )
    # Spread each class evenly over [0, 1): any stretch of the merged order is then a stratified sample.
    place = np.empty(len(y))
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        place[rows] = (np.arange(len(rows)) + rng.uniform()) / len(rows)
    first, second, third = np.split(np.argsort(place), [n_first, n_first + n_second])
    return rng.permutation(first), rng.permutation(second), rng.permutation(third)
