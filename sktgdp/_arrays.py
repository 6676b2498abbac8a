"""Arrays as users give them: what is no sample of numbers, and a unit in which squares are safe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["common_exponent", "refuse_hidden", "refuse_times", "rows_not_finite"]

TIMES = {"M": "datetimes", "m": "durations"}


def _kinds(values: Any) -> set[str]:
    """Letters of numpy's kinds in an array or in the columns of a frame."""
    dtypes = getattr(values, "dtypes", None)
    found = [getattr(values, "dtype", None)] if dtypes is None else np.ravel(np.array(dtypes, dtype=object))
    return {getattr(dtype, "kind", "") for dtype in found}


def refuse_hidden(values: Any, name: str) -> None:
    """Refuse values of which numpy or scikit-learn would drop a part without a word.

    These are the mask of a masked array, and the imaginary part of complex numbers.

    Raises
    ------
    ValueError
    """
    if isinstance(values, list | tuple):
        for part in values:
            if isinstance(part, list | tuple | np.ndarray):
                refuse_hidden(part, name)
    if isinstance(values, np.ma.MaskedArray):
        n_hidden = int(np.ma.getmaskarray(values).sum())
        if n_hidden:
            raise ValueError(
                f"{name} is a masked array that hides {n_hidden} values. Fill them, with {name}.filled(...), "
                "or leave their rows out."
            )
    scalars = values if isinstance(values, list | tuple) else ()
    if "c" in _kinds(values) or any(isinstance(value, complex | np.complexfloating) for value in scalars):
        raise ValueError(
            f"Complex data not supported: {name} holds complex, not real numbers. Give the real and the "
            "imaginary part as two columns."
        )


def refuse_times(values: Any, name: str) -> None:
    """Refuse datetimes and durations where numbers are expected, and all that `refuse_hidden` does.

    Raises
    ------
    ValueError, TypeError
    """
    refuse_hidden(values, name)
    for kind in sorted(_kinds(values) & set(TIMES)):
        raise TypeError(
            f"{name} holds {TIMES[kind]}; expected numbers. Encode them with MixedTypeEncoder, or divide "
            "differences of times by a unit."
        )


def rows_not_finite(values: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of the rows of an array (n, ...) in which something is NaN or infinite."""
    return np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))


def common_exponent(*arrays: NDArray[Any]) -> int:
    """The e for which ``ldexp(array, -e)`` lies within [-1, 1] and touches one half; 0 for zeros alone.

    A power of two changes no digit of a number, and in this unit no square runs over.
    """
    largest = max(max(float(array.max(initial=0.0)), -float(array.min(initial=0.0))) for array in arrays)
    return int(np.frexp(largest)[1])
