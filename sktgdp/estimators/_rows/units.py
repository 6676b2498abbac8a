"""Between the user's rows and the units in which the networks live.

Arrays go through as arrays of float64. Frames go to the transformer as they are, so that it can treat each
column by its type; "auto" is a `MixedTypeEncoder` with ``numeric="auto"`` for frames and a `RowStandardizer`
for arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone

from sktgdp.estimators._rows.domains import Floats
from sktgdp.preprocessing import MixedTypeEncoder, RowStandardizer
from sktgdp.preprocessing._mixed import is_frame

__all__ = ["fit_units", "to_units"]


def fit_units(transformer: Any, rows: Any, name: str) -> tuple[Any, Floats]:
    """Fit a transformer on checked rows.

    Parameters
    ----------
    transformer : "auto" or transformer
        Never changed: a clone is fitted.
    rows : array or frame
    name : str
        Of the argument, for errors.

    Returns
    -------
    transformer, z
    """
    if isinstance(transformer, str):
        fitted = MixedTypeEncoder(numeric="auto") if is_frame(rows) else RowStandardizer()
    else:
        fitted = clone(transformer)
    with _naming(name):
        fitted.fit(rows)
    return fitted, to_units(fitted, rows, name)


def to_units(transformer: Any, rows: Any, name: str) -> Floats:
    """Rows in the transformer's units: float64, finite."""
    with _naming(name):
        z = np.asarray(transformer.transform(rows), dtype=np.float64)
    if not np.isfinite(z).all():
        raise ValueError(
            f"{name} is not finite after {type(transformer).__name__}.transform. Fill in what is missing, or "
            'use transformer="auto", which marks it in frames.'
        )
    return np.ascontiguousarray(z)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the argument's name before a transformer's complaint about a frame's column."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if str(error).startswith(("Column ", "The feature names")):
            raise type(error)(f"{name}: {error}") from error
        raise
