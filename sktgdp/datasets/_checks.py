"""Arguments of makers and loaders: each refused by its name, with what was expected."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_count", "check_known", "check_labels", "check_names", "check_number", "check_path"]


def check_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least ``least``; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"expected a whole number of at least {least}; got {name}={value!r}")
    return int(value)


def check_names(value: Any, name: str) -> tuple[str, ...]:
    """One name, or several that differ whatever their case."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    names = tuple(value) if several else (value,)
    if not names or not all(isinstance(each, str) for each in names):
        raise ValueError(f"{name} must be names; got {value!r}")
    if len({each.lower() for each in names}) < len(names):
        raise ValueError(f"{name} must be names, each once; got {names!r}")
    return names


def check_number(value: Any, name: str) -> float:
    """A real number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r}")
    return float(value)


def check_known(value: Any, name: str, known: Iterable[str]) -> str:
    """One of some names."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"unknown {name} {value!r}; the known ones are {', '.join(map(repr, known))}")
    return value


def check_path(value: Any, name: str) -> Path:
    """A path that is not empty."""
    if not isinstance(value, str | PathLike) or not fspath(value):
        raise TypeError(f"{name} must be the path of a folder or a file; got {value!r}")
    return Path(value)


def check_labels(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels of which none is missing."""
    missing = np.array([value is None or value != value for value in values.ravel().tolist()], dtype=bool)
    if missing.any():
        raise ValueError(f"{name} has {missing.sum()} missing entries; leave these rows out, or fill them in")
    return values
