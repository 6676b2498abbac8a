"""Noise that belongs to rows: row i gets the same numbers in whatever chunk or process it is drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["RowNoise", "normal_rows"]

# Numbers that come from one stream. Opening one costs as much as a tenth of them; a row that is drawn alone
# pays for those before it in its block.
BLOCK = 2**14


def normal_rows(
    seed: int, call: int, start: int, stop: int, event_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Standard normal rows ``start`` to ``stop`` of an endless array.

    Parameters
    ----------
    seed : int
    call : int
        Number of the array: 0 for where the solver starts, then one for each stochastic step.
    start, stop : int
        Rows, in blocks of ``BLOCK`` numbers that have a stream each.
    event_shape : tuple of int
        Shape of a row.

    Returns
    -------
    ndarray of shape (stop - start, *event_shape)
    """
    size = max(1, BLOCK // math.prod(event_shape))
    parts = []
    for block in range(start // size, -(-stop // size)):
        first, last = max(start - block * size, 0), min(stop - block * size, size)
        stream = np.random.default_rng([seed, 2, call, block])  # [seed, 1] draws the labels
        parts.append(stream.standard_normal((last, *event_shape), dtype=np.float32)[first:])
    return np.concatenate(parts)


class RowNoise:
    """Source of noise for a solver, which calls it with the rows that need some.

    Parameters
    ----------
    seed : int
    start : int
        Number of the first of these rows among all that are sampled.
    """

    def __init__(self, seed: int, start: int) -> None:
        self.seed, self.start, self.n_calls = seed, start, 0

    def __call__(self, x: Tensor) -> Tensor:
        """Standard normal noise of the shape, precision and device of ``x``."""
        noise = normal_rows(self.seed, self.n_calls, self.start, self.start + len(x), tuple(x.shape[1:]))
        self.n_calls += 1
        return torch.from_numpy(noise).to(x)
