"""Batches of noised rows: all randomness of a training lies here, in one generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sktgdp.process import VPProcess

__all__ = ["Batch", "IndexBatches", "NoisedRows", "Pool", "PoolBatches"]


@dataclass(frozen=True)
class NoisedRows:
    """Rows of one domain with a time and a noise each; see `sktgdp.process` for the symbols."""

    x0: Tensor
    y: Tensor | None
    t: Tensor
    eps: Tensor
    x_t: Tensor
    log_ratio: Tensor | None


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
        self.queue = torch.empty(0, dtype=torch.long)  # drawn, not given out

    def __iter__(self) -> IndexBatches:
        return self

    def __next__(self) -> Tensor:
        while len(self.queue) < self.size:
            self.queue = torch.cat([self.queue, torch.randperm(self.n_rows, generator=self.generator)])
        batch, self.queue = self.queue[: self.size], self.queue[self.size :]
        return batch


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
    """

    x0: Tensor
    y: Tensor | None
    batch_size: int
    log_ratio: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x0)

    def indices(self, generator: torch.Generator) -> IndexBatches:
        """Endless index batches, by one permutation of the rows after another."""
        return IndexBatches(len(self), self.batch_size, generator)

    def noised(self, index: Tensor, process: VPProcess, generator: torch.Generator) -> NoisedRows:
        """Noise the indexed rows at times spread evenly over (t_min, 1] (stratified draws)."""
        pick = index.to(self.x0.device)
        x0 = self.x0[pick]
        spread = torch.arange(len(index)) + torch.rand(len(index), generator=generator)
        t = process.t_min + (1.0 - process.t_min) * spread / len(index)
        t = t[torch.randperm(len(index), generator=generator)].to(x0)
        eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0)
        y = None if self.y is None else self.y[pick]
        log_ratio = None if self.log_ratio is None else self.log_ratio[pick]
        return NoisedRows(x0, y, t, eps, process.perturb(x0, t, eps), log_ratio)


class PoolBatches(torch.utils.data.Dataset[tuple[Batch, Tensor]]):
    """The batches of one skorch epoch; iterating goes on with the same random stream.

    Parameters
    ----------
    pools : mapping of str to Pool
    process : VPProcess
    n_steps : int
        Batches per epoch.
    generator : torch.Generator
    fixed : bool
        Draw the batches once and repeat them (validation).
    """

    def __init__(
        self,
        pools: Mapping[str, Pool],
        process: VPProcess,
        n_steps: int,
        generator: torch.Generator,
        fixed: bool = False,
    ) -> None:
        self.pools, self.process, self.n_steps, self.generator = pools, process, n_steps, generator
        self.streams = {name: pool.indices(generator) for name, pool in pools.items()}
        self.fixed = [self._draw() for _ in range(n_steps)] if fixed else None

    def _draw(self) -> Batch:
        return Batch(
            {
                name: pool.noised(next(self.streams[name]), self.process, self.generator)
                for name, pool in self.pools.items()
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the random stream and the queues stand."""
        queues = {name: stream.queue for name, stream in self.streams.items()}
        return {"generator": self.generator.get_state(), "queues": queues}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another object of the same pools stood."""
        self.generator.set_state(state["generator"])
        for name, queue in state["queues"].items():
            self.streams[name].queue = queue

    def __len__(self) -> int:
        return sum(map(len, self.pools.values()))

    def __iter__(self) -> Iterator[tuple[Batch, Tensor]]:
        # skorch unpacks (X, y); nothing here has a target
        unused = torch.empty(0)
        if self.fixed is not None:
            return ((batch, unused) for batch in self.fixed)
        return ((self._draw(), unused) for _ in range(self.n_steps))
