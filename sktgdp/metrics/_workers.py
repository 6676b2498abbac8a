"""Blocks of rows over the workers of joblib, where a ``parallel_config`` around the call gives some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import joblib

from sktgdp.metrics._checks import Floats

__all__ = ["map_blocks", "n_workers"]

T = TypeVar("T")


def n_workers() -> int:
    """Workers of the configuration around this call; a worker has none of its own."""
    backend, _ = joblib.parallel.get_active_backend()
    return 1 if backend.nesting_level else int(joblib.effective_n_jobs(None))


def map_blocks(function: Callable[..., T], X: Floats, blocks: Sequence[slice], *args: Any) -> list[T]:
    """``function(X[block], *args)`` of every block, in their order.

    The blocks do not depend on the number of workers, so neither do the results.
    """
    if len(blocks) < 2 or n_workers() < 2:
        return [function(X[block], *args) for block in blocks]
    results: list[T] = joblib.Parallel()(joblib.delayed(function)(X[block], *args) for block in blocks)
    return results
