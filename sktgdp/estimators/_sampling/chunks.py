"""Rows through a solver in chunks that fit into memory, and on several workers where joblib has some.

What a row becomes depends on its number, its label and the seed. Chunks, batches and workers are a matter of
memory and speed; on a processor they change no bit, because a linear algebra library gives a row of a matrix
product the same bits in a matrix of any height, but for few rows and for what is left of a block of rows at
the end: so chunks are filled up to whole multiples of `FEWEST`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import joblib
import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sktgdp.estimators._defaults import ByRank
from sktgdp.estimators._rows.domains import Floats
from sktgdp.estimators._sampling.row_noise import RowNoise
from sktgdp.metrics._workers import n_workers
from sktgdp.solvers import sample

__all__ = ["Draw", "check_sizes", "draw_rows", "is_out_of_memory", "rows_at_a_time"]

# Rows go through a network in whole multiples of this: missing ones are drawn too, and dropped.
FEWEST = ByRank(32, 4)
# Numbers that are sampled in one piece and by one worker, without a thought about memory.
SMALL = 2**14
# On a processor more would leave its caches (2,000 rows of a table at a time take half to four fifths
# of the time of 8,000); accelerators get all of scikit-learn's ``working_memory``.
CACHE_MIB = 32.0


class Draw(NamedTuple):
    """What makes samples, besides the generator: the seed, and how the equation is solved."""

    seed: int
    solver: str
    n_steps: int


def check_sizes(**sizes: Any) -> None:
    """Refuse numbers of rows, given by name, that are no integers of at least 1."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
            raise ValueError(f"{name} must be an integer of at least 1; got {value!r}.")


def draw_rows(generator: Any, draw: Draw, codes: NDArray[np.float32] | None, rows: range) -> Floats:
    """Rows of a fitted generator in the units of its ``transformer_``.

    Parameters
    ----------
    generator : BaseGenerator
    draw : Draw
    codes : ndarray of shape (len(rows), n_labels) or None
        Encoded labels of these rows.
    rows : range
        Numbers of the rows among all that the seed stands for.

    Returns
    -------
    ndarray of shape (len(rows), *event)
    """
    n_parts = min(n_workers(), math.ceil(len(rows) * math.prod(generator.latent_shape_) / SMALL))
    if n_parts <= 1:
        return _in_chunks(generator, draw, codes, rows)
    ends = np.linspace(0, len(rows), n_parts + 1).astype(int).tolist()
    parts = [slice(a, b) for a, b in pairwise(ends)]
    jobs = (
        joblib.delayed(_in_chunks)(generator, draw, None if codes is None else codes[at], rows[at])
        for at in parts
    )
    return np.concatenate(joblib.Parallel()(jobs))


def _in_chunks(generator: Any, draw: Draw, codes: NDArray[np.float32] | None, rows: range) -> Floats:
    """Chunk after chunk; one that does not fit into memory is halved."""
    z = np.empty((len(rows), *generator.latent_shape_))
    fewest = FEWEST.of(generator.latent_shape_)
    size, start, warned = _chunk_size(generator, codes, len(rows)), 0, False
    if size < len(rows):
        size = max(1, size // fewest) * fewest
    while start < len(rows):
        at = slice(start, min(start + size, len(rows)))
        try:
            z[at] = _solve(generator, draw, None if codes is None else codes[at], rows[at])
            start = at.stop
        except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
            if not is_out_of_memory(error) or size <= fewest:
                raise
            size = max(1, size // 2 // fewest) * fewest
            if not warned:
                _warn(at.stop - at.start, size, generator.device_)
            warned = True
    return z


def _warn(tried: int, size: int, device: torch.device) -> None:
    warnings.warn(
        f"{tried} rows at a time do not fit into the memory of {device}; sampling goes on with {size} or "
        "fewer. sklearn.set_config(working_memory=MiB) sets a lower limit from the start.",
        UserWarning,
        stacklevel=4,
    )


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory has run out: torch has an error of its own for accelerators, and words for the host."""
    known = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
    return known or "not enough memory" in str(error) or "can't allocate memory" in str(error)


def _solve(generator: Any, draw: Draw, codes: NDArray[np.float32] | None, rows: range) -> Floats:
    """One chunk: noise, labels, solver. Rows that are drawn to have enough of them are dropped again."""
    few = FEWEST.of(generator.latent_shape_)
    n_rows = -(-len(rows) // few) * few
    model = generator.noise_model(_label_rows(generator, codes, n_rows))
    noise = RowNoise(draw.seed, rows.start)
    x_T = noise(torch.empty((n_rows, *generator.latent_shape_), device=generator.device_))
    x_0 = sample(
        model, x_T, process=generator.process_, solver=draw.solver, n_steps=draw.n_steps, generator=noise
    )
    z: Floats = x_0[: len(rows)].double().cpu().numpy()
    return z


def _label_rows(generator: Any, codes: NDArray[np.float32] | None, n_rows: int) -> Tensor | None:
    """Encoded labels of a chunk on the device; the last one stands for rows that will be dropped."""
    if codes is None:
        return None
    index = np.minimum(np.arange(n_rows), len(codes) - 1)
    return torch.from_numpy(codes[index]).to(generator.device_)


def _chunk_size(generator: Any, codes: NDArray[np.float32] | None, n_rows: int) -> int:
    """Rows of a chunk: as many as the memory holds with all that one call of the networks allocates."""
    shape = generator.latent_shape_
    if n_rows * math.prod(shape) <= SMALL:
        return n_rows
    few = FEWEST.of(shape)
    model = generator.noise_model(_label_rows(generator, None if codes is None else codes[:few], few))
    return rows_at_a_time(model, torch.zeros((few, *shape), device=generator.device_))


def rows_at_a_time(model: Callable[[Tensor, Tensor], Tensor], few: Tensor) -> int:
    """As many rows as memory, or the caches of a processor, hold with all that a call of the model allocates.

    Parameters
    ----------
    model : callable (x_t, t) -> eps
        For as many rows as ``few`` has.
    few : Tensor of shape (n_rows, ...)
        Rows to try it on; no fewer are proposed.
    """
    with torch.no_grad(), _Allocations() as made:
        model(few, torch.tensor(0.5, device=few.device))
    budget = float(sklearn.get_config()["working_memory"])
    if few.device.type == "cpu":
        budget = min(budget, CACHE_MIB)
    return max(len(few), int(budget * 2**20 * len(few) / made.n_bytes))


class _Allocations(TorchDispatchMode):
    """Adds up the bytes of what torch computes meanwhile, in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        self.n_bytes += sum(each.nbytes for each in tree_leaves(results) if isinstance(each, Tensor))
        return results
