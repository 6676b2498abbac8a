"""How a fit went, in figures: rows drawn from it beside its training rows, and what was noticed on the way.

Rows of the model are compared with the rows that it was trained on, and so is each training row with all
others: held out in turn, training rows say how near new rows of the same law come by chance. No row is set
aside for it, so that ten rows are enough. Of more than 20,000 rows, 20,000 drawn at random stand for all, so
that the time does not grow with their number; no model learns a tenth of so many by heart.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches

from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._defaults import ByRank
from sktgdp.estimators._rows.domains import Floats, Units
from sktgdp.estimators._sampling.chunks import Draw, draw_rows
from sktgdp.estimators._sampling.support import FAR, NEAR, outside_in_turn
from sktgdp.exceptions import MemorizationWarning
from sktgdp.metrics._distances import nearest_distances
from sktgdp.preprocessing import MixedTypeEncoder, RowStandardizer

__all__ = ["noticed", "warn_if_memorized", "with_drawn_rows"]

# Rows to draw: as many as there are training rows, within these limits.
FEWEST, MOST = ByRank(50, 16), ByRank(256, 16)
# Training rows that are held out in turn.
HELD = ByRank(256, 64)
# How rows are drawn, whatever the sampling parameters: those can change after the fit.
SOLVER, N_STEPS = "dpm++2m", 25
SEARCHED = 20_000  # training rows
BLOCK = 2**22  # numbers
MEMORIZED = 1.0 / 3.0  # of the second closest distance, as in `sktgdp.metrics.memorization_ratio`
LOW_TAIL = 0.05
# When to warn.
MORE, N_EXCHANGES = 0.1, 199
ASTRAY = 0.5  # rows that are far outside, over those held out


def noticed(generator: Any) -> dict[str, float]:
    """What a fit has noticed before its last phase."""
    skipped = sum(row.get("skipped_steps", 0) for row in generator.history_)
    found: dict[str, float] = {"skipped_steps": skipped}
    for name in ("effective_sample_size", "overlap"):
        if hasattr(generator, f"{name}_"):
            found[name] = float(getattr(generator, f"{name}_"))
    return found


def with_drawn_rows(generator: Any, z: Units, seed: int) -> dict[str, float]:
    """Figures of rows that are drawn from a generator, beside those of its training rows held out in turn.

    Parameters
    ----------
    generator : BaseGenerator
        Fitted.
    z : ndarray of shape (n, *event)
        Its training rows of the domain that it samples, in the units of its ``transformer_``.
    seed : int
        Of the fit.
    """
    rng = np.random.default_rng([seed, 5])
    drawn = _draw(generator, len(z), rng)
    figures: dict[str, float] = {"n_drawn": len(drawn)}
    if not len(drawn):
        return figures
    known = z if len(z) <= SEARCHED else z[rng.choice(len(z), SEARCHED, replace=False)]
    figures |= _outside(generator, known, drawn)
    near = _Neighbours(_flat(known), _flat(drawn), HELD.of(z.shape[1:]), rng)
    closest = near.closest(near.trained)
    for rows, end in ((~near.trained, ""), (near.trained, "_holdout")):
        first, second = closest[rows].T
        distance = f"distance_to_closest_record{end}"
        figures[distance] = float(np.quantile(first, LOW_TAIL))
        figures[f"{distance}_median"] = float(np.median(first))
        if np.isfinite(second).all():  # two rows at least are needed, and three to hold one out
            figures[f"memorization_ratio{end}"] = float(np.mean(first <= MEMORIZED * second))
    if np.isfinite(closest).all():
        warn_if_memorized(near, rng)
    return figures


def _flat(rows: Units) -> Units:
    return rows.reshape(len(rows), -1)


def _outside(generator: Any, z: Units, drawn: Units) -> dict[str, float]:
    """Shares of rows outside the ranges of the training rows, those drawn and those held out in turn."""
    source = getattr(getattr(generator, "source_model_", None), "support_", None)
    figures = {}
    for name, tolerance in (("outside_support", NEAR), ("far_outside_support", FAR)):
        figures[name] = float(generator.support_.outside(drawn, tolerance).mean())
        figures[f"{name}_holdout"] = float(outside_in_turn(z, source, tolerance).mean())
    share, held = figures["far_outside_support"], figures["far_outside_support_holdout"]
    if share > held + ASTRAY:
        warnings.warn(
            f"The model has not learned its rows: {share:.0%} of the rows drawn after the fit lie far "
            f"outside the ranges of the training rows, and {held:.0%} of training rows held out. More steps, "
            "a lower lr, or features of a scale of about 1 may help; for a transfer a source that is nearer. "
            "Look at history_, and see `diagnostics_`.",
            ConvergenceWarning,
            stacklevel=level_of_user(),
        )
    return figures


def _draw(generator: Any, n_rows: int, rng: np.random.Generator) -> Units:
    """Rows as the user gets them, rounded and in categories, in the units of the transformer; finite ones."""
    shape = generator.latent_shape_
    n_drawn = min(MOST.of(shape), max(FEWEST.of(shape), n_rows))
    codes = generator.labels_.for_sampling(None, n_drawn, generator.prior_, rng)
    draw = Draw(int(rng.integers(2**31)), SOLVER, N_STEPS)
    z = draw_rows(generator, draw, codes, range(n_drawn))
    finite = np.isfinite(z).reshape(n_drawn, -1).all(axis=1)
    if not finite.all():
        warnings.warn(
            f"{n_drawn - finite.sum()} of {n_drawn} rows drawn after the fit are not finite, and `sample` "
            "will raise: the fit has diverged. Look at `history_`, scale the features, or lower `lr`.",
            ConvergenceWarning,
            stacklevel=level_of_user(),
        )
        z = z[finite]
    # a transformer of the user's own may not take all that it gives
    if len(z) and isinstance(generator.transformer_, MixedTypeEncoder | RowStandardizer):
        z = generator._to_units(generator.form_.restore(generator.transformer_.inverse_transform(z)))
    return z.astype(np.float32)  # as the training rows, so that copies are told


class _Neighbours:
    """Distances of drawn rows, and of training rows held out in turn, to the closest training rows.

    The drawn and the held rows can change places, so as to see what chance would make of them.

    Parameters
    ----------
    rows, drawn : ndarrays of shape (n, d) and (m, d)
    n_held : int
        Training rows to hold out, chosen at random; at most all.
    rng : Generator

    Attributes
    ----------
    trained : ndarray of bool of shape (n_held + m,)
        Which of the held and drawn rows are training rows.
    """

    def __init__(self, rows: Units, drawn: Units, n_held: int, rng: np.random.Generator) -> None:
        held = rng.choice(len(rows), min(len(rows), n_held), replace=False)
        pool = np.concatenate([rows[held], drawn], dtype=np.float64)
        self.trained = np.arange(len(pool)) < len(held)
        # + 0.0: there are two zeros
        keys = np.array([hash((row + 0.0).tobytes()) for part in (rows, drawn) for row in part])
        values = np.unique(keys, return_inverse=True)[1].ravel()
        rest = np.delete(np.arange(len(rows)), held)
        self.values = np.concatenate([values[held], values[len(rows) :]])
        self.known = np.isin(self.values, values[rest])
        distinct = rest[np.sort(np.unique(values[rest], return_index=True)[1])]
        self.to_rest = _two_closest(pool, rows, distinct)
        self.to_pool = cdist(pool, pool)

    def closest(self, trained: NDArray[np.bool_]) -> Floats:
        """Distances to the two closest distinct rows, if these were trained on beside those never held out.

        A row that was trained on is held out; a twin that it has is not. Infinite where there is none.
        """
        members = np.flatnonzero(trained & ~self.known)
        _, first, which, counts = np.unique(
            self.values[members], return_index=True, return_inverse=True, return_counts=True
        )
        to_members = self.to_pool[:, members[first]]
        alone = counts[which] == 1
        to_members[members[alone], which[alone]] = np.inf
        return np.partition(np.concatenate([self.to_rest, to_members], axis=1), 1, axis=1)[:, :2]

    def shares(self, trained: NDArray[np.bool_]) -> tuple[float, float]:
        """Shares of memorised rows among those that were not trained on, and those that were."""
        first, second = self.closest(trained).T
        memorized = first <= MEMORIZED * second
        return float(memorized[~trained].mean()), float(memorized[trained].mean())


def _two_closest(X: Floats, rows: Units, index: NDArray[np.intp]) -> Floats:
    """Distances to the two closest of the indexed rows; infinite where there are fewer."""
    best = np.full((len(X), 2), np.inf)
    for at in gen_batches(len(index), max(1, BLOCK // rows.shape[1])) if len(index) else ():
        block = rows[index[at]].astype(np.float64)
        found = nearest_distances(X, block, min(2, len(block)), "euclidean")
        best = np.sort(np.concatenate([best, found], axis=1), axis=1)[:, :2]
    return best


def warn_if_memorized(near: _Neighbours, rng: np.random.Generator) -> None:
    """Warn where clearly more drawn rows than held-out rows count as memorised.

    Clearly: by a tenth of them, and by more than whenever drawn and held rows change places at random, 199
    times. Rows that are drawn from the law of the training rows could change places with them, so such a fit
    is warned of once in 200 times at most.
    """
    drawn, held = near.shares(near.trained)
    if drawn < held + MORE:
        return
    for _ in range(N_EXCHANGES):
        of_drawn, of_held = near.shares(rng.permutation(near.trained))
        if of_drawn - of_held >= drawn - held:
            return
    warnings.warn(
        f"The model has learned training rows by heart: {drawn:.0%} of the rows drawn after the fit are "
        "three times nearer to their closest training row than to the second, and "
        f"{held:.0%} of training rows held out in turn. More rows, early_stopping=True or fewer steps help; "
        "max_memorization= keeps copies out of samples. See `diagnostics_`.",
        MemorizationWarning,
        stacklevel=level_of_user(),
    )
