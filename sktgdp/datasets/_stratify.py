"""Folds and subsets in which every label has its share, for rows with any number of labels."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from sktgdp.datasets._checks import check_count, check_labels, check_number

__all__ = ["stratified_folds", "stratified_target_subset"]

MAX_KINDS = 200  # sets of labels that rows are exchanged among; their pairs are searched
RandomStateLike = int | np.random.RandomState | None


def stratified_folds(
    y: ArrayLike, n_folds: int = 10, *, random_state: RandomStateLike = None
) -> NDArray[np.int64]:
    """Deal the rows to folds of equal size in which every label has its share.

    The iterative stratification of Sechidis et al. (2011), in which the rarest label is dealt out first, each
    of its rows to the fold that lacks most of it; rows are then exchanged while that evens out the counts.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, k)
        Classes, or a multi-label indicator.
    n_folds : int
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of shape (n,)
        The fold of each row, 1 to ``n_folds``, as PTB-XL counts them.

    References
    ----------
    Sechidis, Tsoumakas and Vlahavas (2011), On the stratification of multi-label data, ECML PKDD.
    """
    Y = _as_indicator(y)
    if not 2 <= check_count(n_folds, "n_folds", least=2) <= len(Y):
        raise ValueError(f"n_folds must be from 2 to the number of rows, {len(Y)}; got {n_folds}")
    return _deal(Y, np.full(n_folds, 1.0 / n_folds), check_random_state(random_state)) + 1


def stratified_target_subset(
    y: ArrayLike,
    fraction: float = 0.1,
    *,
    folds: ArrayLike | None = None,
    random_state: RandomStateLike = None,
) -> NDArray[np.int64]:
    """Choose a fraction of the rows in which every label, and every fold, has its share.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, k)
        Classes, or a multi-label indicator.
    fraction : float in (0, 1)
        The paper's target has a tenth of ICBEB2018.
    folds : array-like of shape (n,), optional
        A fold of each row. Each fold, too, gives the fraction of its rows, and keeps its number.
    random_state : int, RandomState or None

    Returns
    -------
    ndarray of int
        The chosen rows, ascending.
    """
    Y = _as_indicator(y)
    if not 0.0 < check_number(fraction, "fraction") < 1.0:
        raise ValueError(f"fraction must lie between 0 and 1; got {fraction}")
    if folds is not None:
        fold = np.asarray(folds)
        if fold.shape != (len(Y),):
            raise ValueError(f"folds must have one entry for each of {len(Y)} rows; got shape {fold.shape}")
        check_labels(fold, "folds")
        Y = np.hstack([Y, fold[:, None] == np.unique(fold)])
    part = _deal(Y, np.array([fraction, 1.0 - fraction]), check_random_state(random_state))
    return np.flatnonzero(part == 0)


def _as_indicator(y: ArrayLike) -> NDArray[np.bool_]:
    labels: NDArray[Any] = np.asarray(y)
    if labels.ndim == 1:
        labels = check_labels(labels, "y")[:, None] == np.unique(labels)
    elif labels.ndim != 2 or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"y must be classes or an indicator (n, k) of 0 and 1; got shape {labels.shape}")
    if len(labels) == 0:
        raise ValueError("y has no row")
    return labels.astype(bool)


def _deal(Y: NDArray[np.bool_], shares: NDArray[np.float64], rng: np.random.RandomState) -> NDArray[np.int64]:
    """The part of each row; ``shares`` sum to one."""
    Y = np.hstack([Y, np.ones((len(Y), 1), dtype=bool)])  # a label of every row: parts of the right size
    part = np.full(len(Y), -1)
    lacks = shares[:, None] * Y.sum(0)
    left = Y.sum(0)
    order = rng.permutation(len(Y))
    while left.any():
        label = np.argmin(np.where(left > 0, left, len(Y) + 1))
        for row in order[Y[order, label] & (part[order] < 0)]:
            lacking = np.lexsort((rng.uniform(size=len(shares)), lacks[:, -1], lacks[:, label]))
            part[row] = chosen = lacking[-1]
            lacks[chosen] -= Y[row]
            left -= Y[row]
    return _even_out(part, Y, lacks, order)


def _even_out(
    part: NDArray[np.int64], Y: NDArray[np.bool_], lacks: NDArray[np.float64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Exchange rows between parts for as long as that brings the counts nearer to the shares.

    Dealing out the rarest label first leaves what it cannot mend to the common ones, dealt out last. Rows of
    one kind have the same labels; a row is exchanged for one of another kind, or for nothing.
    """
    kinds, kind, n_rows = np.unique(Y, axis=0, return_inverse=True, return_counts=True)
    kind = kind.reshape(-1)  # NumPy 2.0 shapes it otherwise
    common = np.argsort(-n_rows, kind="stable")[:MAX_KINDS]
    labels = np.vstack([kinds[common], np.zeros(Y.shape[1])])  # the last kind is nothing
    parts = range(len(lacks))
    stock = [[list(order[(kind[order] == c) & (part[order] == p)]) for c in common] for p in parts]
    changed = True
    while changed:
        changed = False
        for a, b in combinations(parts, 2):
            while pair := _best_exchange(labels, lacks[a], lacks[b], stock[a], stock[b]):
                changed = True
                for which, giver, taker in ((pair[0], a, b), (pair[1], b, a)):
                    lacks[giver] += labels[which]
                    lacks[taker] -= labels[which]
                    if which < len(common):
                        row = stock[giver][which].pop()
                        stock[taker][which].insert(0, row)
                        part[row] = taker
    return part


def _best_exchange(
    labels: NDArray[np.float64],
    lacks: NDArray[np.float64],
    others: NDArray[np.float64],
    stock: list[list[int]],
    theirs: list[list[int]],
) -> tuple[int, int] | None:
    """Kinds to give from one part and to take from another, if any exchange lowers the sum of fourth powers.

    Fourth powers, not squares, so that one count that is off by more than a row weighs more than many within
    it.
    """
    now = lacks**4 + others**4
    given = now - (lacks + 1.0) ** 4 - (others - 1.0) ** 4  # gain for each label that is given and not taken
    taken = now - (lacks - 1.0) ** 4 - (others + 1.0) ** 4
    gain = (labels @ given)[:, None] + labels @ taken - (labels * (given + taken)) @ labels.T
    gain[[i for i, rows in enumerate(stock) if not rows]] = -np.inf
    gain[:, [i for i, rows in enumerate(theirs) if not rows]] = -np.inf
    give, take = np.unravel_index(np.argmax(gain), gain.shape)
    return (int(give), int(take)) if gain[give, take] > 1e-6 else None
