"""Rows to draw: samples of generators, and no more of them than a picture shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sktgdp.metrics._checks import check_count

__all__ = ["draw_like", "some_rows", "take"]

MIN_SAMPLES = 500


def draw_like(generator: Any, X: Any, n_samples: int | None, random_state: Any) -> tuple[Any, Any]:
    """Rows and labels of a fitted generator: as many as ``X`` has, but no less than 500."""
    if not hasattr(generator, "sample"):
        raise TypeError(
            f"{type(generator).__name__} has no method sample; give a fitted generator such as "
            "TGDPGenerator, or compare rows with from_data."
        )
    n_rows = max(len(X), MIN_SAMPLES) if n_samples is None else n_samples
    X_syn, y_syn = generator.sample(n_rows, random_state=random_state)
    return X_syn, y_syn


def some_rows(n_rows: int, max_rows: int, random_state: Any) -> NDArray[np.intp]:
    """Positions of at most ``max_rows`` rows, at random and in order."""
    check_count(max_rows, "max_rows")
    if n_rows <= max_rows:
        return np.arange(n_rows)
    return np.sort(check_random_state(random_state).permutation(n_rows)[:max_rows])


def take(rows: Any, at: NDArray[np.intp]) -> Any:
    """Rows of a frame, a Series, a list or an array; of a masked one with their mask, to be refused."""
    if hasattr(rows, "iloc"):
        return rows.iloc[at]
    return (rows if isinstance(rows, np.ma.MaskedArray) else np.asarray(rows))[at]
