"""Checks of values that come out of a file: callables (value) -> bool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = [
    "Check", "array", "by_key", "count", "each", "fitted", "flag", "floats", "instance", "number", "one_of",
    "optional", "require", "shape", "text",
]  # fmt: skip

Check = Callable[[Any], bool]
LONGEST_AXIS = 2**31


def instance(*kinds: type) -> Check:
    """Check for values of some class."""
    return lambda value: isinstance(value, kinds)


text: Check = instance(str)
flag: Check = instance(bool)


def count(value: Any) -> bool:
    """Tell integers from 0 on."""
    return type(value) is int and 0 <= value < 2**63


def number(value: Any) -> bool:
    """Tell finite real numbers."""
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))


def shape(value: Any) -> bool:
    """Tell shapes of a row: (d,) or (channels, length)."""
    axes = isinstance(value, tuple) and all(type(n) is int and 1 <= n < LONGEST_AXIS for n in value)
    return axes and 1 <= len(value) <= 2


def array(kinds: str, *ranks: int) -> Check:
    """Check for arrays of some kinds of dtype and ranks; real numbers must be finite."""

    def check(value: Any) -> bool:
        right = isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.ndim in ranks
        return right and (value.dtype.kind != "f" or bool(np.isfinite(value).all()))

    return check


def floats(*ranks: int) -> Check:
    """Check for arrays of finite real numbers."""
    return array("f", *ranks)


def optional(check: Check) -> Check:
    """Let None pass too."""
    return lambda value: value is None or check(value)


def one_of(*values: Any) -> Check:
    """Check for one of some strings or None."""
    return lambda value: isinstance(value, str | None) and value in values


def each(check: Check) -> Check:
    """Check the items of a list."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def by_key(check: Check) -> Check:
    """Check the values of a dictionary."""
    return lambda value: isinstance(value, dict) and all(map(check, value.values()))


def fitted(*kinds: type) -> Check:
    """Check for fitted estimators of some class."""

    def check(value: Any) -> bool:
        if not isinstance(value, kinds):
            return False
        check_is_fitted(value)
        return True

    return check


def require(condition: bool, otherwise: str) -> None:
    """Raise where values contradict each other."""
    if not condition:
        raise ValueError(f"it has {otherwise}")
