"""Arrays kept on disk as memory maps, found by the content of the request that made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "cached", "content_key"]

Array = NDArray[np.float32]
Make = Callable[[Callable[[tuple[int, ...]], Array]], tuple[Array, dict[str, Any]]]


def content_key(request: Any) -> str:
    """Give a name that differs wherever the request, a tree of JSON's types, differs."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]


def cached(folder: Path | None, key: str, make: Make) -> tuple[Array, dict[str, Any]]:
    """Load an array and the facts about it, or make them and keep them.

    ``make`` is given a function that allocates an array of zeros of a shape, and returns that array, filled,
    with facts that JSON can hold. In a folder the array is a memory map, changed in memory only (copy on
    write). Files get their names when they are complete, the facts last; what cannot be read back is made
    anew.
    """
    if folder is None:
        return make(lambda shape: np.zeros(shape, dtype=np.float32))
    folder.mkdir(parents=True, exist_ok=True)
    array_file, facts_file = folder / f"{key}.npy", folder / f"{key}.json"
    if (found := _load(array_file, facts_file)) is not None:
        return found
    unfinished = folder / f"{key}.{uuid4().hex}.tmp"
    try:
        array, facts = make(lambda shape: _allocate(unfinished, shape))
        array.flush()  # type: ignore[attr-defined]  # a memory map
        os.replace(unfinished, array_file)
        unfinished.write_text(json.dumps(facts), encoding="utf-8")
        os.replace(unfinished, facts_file)
    finally:
        unfinished.unlink(missing_ok=True)
    return np.load(array_file, mmap_mode="c"), facts


def _allocate(file: Path, shape: tuple[int, ...]) -> Array:
    return np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)


def _load(array_file: Path, facts_file: Path) -> tuple[Array, dict[str, Any]] | None:
    try:
        facts = json.loads(facts_file.read_text(encoding="utf-8"))
        return np.load(array_file, mmap_mode="c"), facts
    except (OSError, ValueError):
        return None
