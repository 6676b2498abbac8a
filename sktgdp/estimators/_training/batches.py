"""Batches of noised rows: all randomness of a training lies here, in one generator."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sktgdp.process import VPProcess

__all__ = ["Batch", "IndexBatches", "NoisedRows", "Pool", "PoolBatches"]

# Numbers that are noised together: small batches share the calls, large ones stay in the processor's cache.
NOISED_TOGETHER = 2**16


class NoisedRows(NamedTuple):
    """Rows of one domain with a time and a noise each; see `sktgdp.process` for the symbols."""

    x0: Tensor
    y: Tensor | None
    t: Tensor
    eps: Tensor
    x_t: Tensor
    log_ratio: Tensor | None

    def split(self, size: int) -> list[NoisedRows]:
        """Cut into parts of ``size`` rows."""
        n_parts = len(self.x0) // size
        columns = [[None] * n_parts if values is None else values.split(size) for values in self]
        return [NoisedRows(*part) for part in zip(*columns, strict=True)]


class Batch:
    """Noised rows by domain; its length is the number of rows of all domains together.

    Not a dict: skorch expects the values of a dict to have one common length.
    """

    def __init__(self, domains: Mapping[str, NoisedRows]) -> None:
        self._domains = dict(domains)

    def __getitem__(self, domain: str) -> NoisedRows:
        return self._domains[domain]

    def get(self, domain: str) -> NoisedRows | None:
        """Rows of a domain, or None where the batch has none of it."""
        return self._domains.get(domain)

    def __len__(self) -> int:
        return sum(len(rows.x0) for rows in self._domains.values())


class IndexBatches:
    """Endless index batches of one size, cut from one permutation of the rows after another.

    Parameters
    ----------
    n_rows, size : int
    generator : torch.Generator
    """

    def __init__(self, n_rows: int, size: int, generator: torch.Generator) -> None:
        self.n_rows, self.size, self.generator = n_rows, size, generator
        # drawn, not given out
        self.queue = torch.empty(0, dtype=torch.long, device=generator.device)

    def __iter__(self) -> IndexBatches:
        return self

    def __next__(self) -> Tensor:
        return self.take(self.size)

    def take(self, n_indices: int) -> Tensor:
        """The next so many indices, of one batch or of several."""
        while len(self.queue) < n_indices:
            drawn = torch.randperm(self.n_rows, generator=self.generator, device=self.generator.device)
            self.queue = torch.cat([self.queue, drawn])
        taken, self.queue = self.queue[:n_indices], self.queue[n_indices:]
        return taken


@dataclass
class Pool:
    """Rows of one domain that batches are drawn from.

    Parameters
    ----------
    x0 : Tensor of shape (n, *event)
    y : Tensor of shape (n, n_labels) or None
    batch_size : int
        Rows per batch; rows repeat, each as often as any other, where the pool is smaller.
    log_ratio : Tensor of shape (n,) or None
        Log density ratio q/p at the clean rows.
    subset : Tensor of shape (m,) or None
        Numbers of the rows that belong to the pool; None for all. So pools share rows without a copy.
    """

    x0: Tensor
    y: Tensor | None
    batch_size: int
    log_ratio: Tensor | None = None
    subset: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x0 if self.subset is None else self.subset)

    def indices(self, generator: torch.Generator) -> IndexBatches:
        """Endless index batches, by one permutation of the rows after another."""
        return IndexBatches(len(self), self.batch_size, generator)

    def clean(self, index: Tensor, device: torch.device) -> NoisedRows:
        """The indexed rows as they are, at time 0 with no noise."""
        pick = index.to(self.x0.device)
        pick = pick if self.subset is None else self.subset[pick]
        x0, y, log_ratio = (
            None if rows is None else rows[pick].to(device) for rows in (self.x0, self.y, self.log_ratio)
        )
        assert x0 is not None
        nothing = x0.new_zeros(())  # one number in memory
        return NoisedRows(x0, y, nothing.expand(len(x0)), nothing.expand(x0.shape), x0, log_ratio)

    def noised(
        self, index: Tensor, process: VPProcess, generator: torch.Generator, n_batches: int = 1
    ) -> NoisedRows:
        """Noise the indexed rows, on the generator's device.

        The times of every batch are spread evenly over (t_min, 1] (stratified draws) and grow along it: the
        order of the rows is left to the index, which is to be random.
        """
        device, size = generator.device, len(index) // n_batches
        rows = self.clean(index, device)
        x0 = rows.x0
        chance = torch.rand((n_batches, size), generator=generator, dtype=x0.dtype, device=device)
        spread = chance.add_(torch.arange(size, dtype=x0.dtype, device=device)).flatten()
        t = spread.mul_((1.0 - process.t_min) / size).add_(process.t_min)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=device)
        return rows._replace(t=t, eps=eps, x_t=process.perturb(x0, t, eps))


class PoolBatches(torch.utils.data.Dataset[tuple[Batch, Tensor]]):
    """The batches of one skorch epoch; iterating goes on with the same random stream.

    Parameters
    ----------
    pools : mapping of str to Pool
    process : VPProcess or None
        None leaves the rows clean.
    n_steps : int
        Batches per epoch.
    generator : torch.Generator
    fixed : bool
        Draw the batches once and repeat them (validation).
    """

    def __init__(
        self,
        pools: Mapping[str, Pool],
        process: VPProcess | None,
        n_steps: int,
        generator: torch.Generator,
        fixed: bool = False,
    ) -> None:
        self.pools, self.process, self.n_steps, self.generator = pools, process, n_steps, generator
        self.streams = {name: pool.indices(generator) for name, pool in pools.items()}
        self.fixed = list(self._draws()) if fixed else None

    def _draws(self) -> Iterator[Batch]:
        """The batches of an epoch, several drawn at a time where they are small."""
        numbers = sum(pool.batch_size * math.prod(pool.x0.shape[1:]) for pool in self.pools.values())
        together = max(1, NOISED_TOGETHER // numbers)
        for start in range(0, self.n_steps, together):
            n_batches = min(together, self.n_steps - start)
            parts = []
            for name, pool in self.pools.items():
                index = self.streams[name].take(n_batches * pool.batch_size)
                if self.process is None:
                    rows = pool.clean(index, self.generator.device)
                else:
                    rows = pool.noised(index, self.process, self.generator, n_batches)
                parts.append(rows.split(pool.batch_size))
            for rows_of_domains in zip(*parts, strict=True):
                yield Batch(dict(zip(self.pools, rows_of_domains, strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """Where the random stream and the queues stand."""
        queues = {name: stream.queue for name, stream in self.streams.items()}
        return {"generator": self.generator.get_state(), "queues": queues}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another object of the same pools stood."""
        self.generator.set_state(state["generator"])
        for name, queue in state["queues"].items():
            self.streams[name].queue = queue.to(self.generator.device)

    def __len__(self) -> int:
        return sum(map(len, self.pools.values()))

    def __iter__(self) -> Iterator[tuple[Batch, Tensor]]:
        # skorch unpacks (X, y); nothing here has a target
        unused = torch.empty(0)
        if self.fixed is not None:
            return ((batch, unused) for batch in self.fixed)
        return ((batch, unused) for batch in self._draws())
