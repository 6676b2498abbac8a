"""What is said where the numbers of rows that a user gave run out of range."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sktgdp._arrays import rows_not_finite

__all__ = ["finite_rows"]

Numbers = TypeVar("Numbers", bound=NDArray[np.floating[Any]])

N_NAMED = 5


def finite_rows(values: Numbers, what: str) -> Numbers:
    """Give what was computed for rows, one entry or more for each; raise where it is not finite.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
    what : str
        Its name, for the error.

    Raises
    ------
    FloatingPointError
        With the numbers of the first such rows.
    """
    bad = rows_not_finite(values)
    if len(bad):
        positions = f"{bad[:N_NAMED].tolist()}" + " and more" * (len(bad) > N_NAMED)
        raise FloatingPointError(
            f"{what} is not finite for {len(bad)} of {len(values)} rows, at the positions {positions}. They "
            "lie so far from the rows of the fit that floats overflow. Leave them out, or change their units."
        )
    return values
