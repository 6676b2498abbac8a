"""What classifiers of series are trained on: random crops, held-out windows, the log-loss of labels.

`sktgdp.estimators._training.trainer` trains them, without its moving average: the statistics of a batch norm
belong to the weights that they were taken with, an average of weights has none. The falling rate of the
one-cycle schedule averages in its stead, and what is kept is one state of the network, weights and statistics
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sktgdp.estimators._training.batches import Pool
from sktgdp.estimators._training.processes import ALONE, Processes

__all__ = ["LabelLoss", "LabelledSeries", "SeriesProblem", "hold_out", "window_starts", "windows_of"]

EVALUATION_CHUNK = 256
UNUSED = torch.empty(0)  # skorch unpacks (X, y); nothing here has a target


@dataclass(frozen=True)
class LabelledSeries:
    """Series with their encoded labels.

    Parameters
    ----------
    x : Tensor of shape (n, channels, length)
    codes : Tensor of shape (n, n_labels)
        One-hot rows of classes, or rows of a multi-label indicator.
    weight : Tensor of shape (n,)
    """

    x: Tensor
    codes: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def part(self, index: Any) -> LabelledSeries:
        """Rows of an index or a slice."""
        return LabelledSeries(self.x[index], self.codes[index], self.weight[index])


def window_starts(length: int, window: int) -> list[int]:
    """Where windows start that overlap by half and together cover a record."""
    last = length - window
    return sorted({*range(0, last, max(1, window // 2)), last})


def windows_of(x: Tensor, window: int) -> Tensor:
    """All windows of every record, (n, channels, length) -> (n, n_windows, channels, window)."""
    starts = window_starts(x.shape[2], window)
    return torch.stack([x[:, :, start : start + window] for start in starts], dim=1)


def hold_out(codes: NDArray[np.float32], share: float, seed: int) -> NDArray[np.intp]:
    """Row numbers to hold out, spread evenly over the distinct labels; each label keeps a row."""
    rng = np.random.default_rng(seed)
    label = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((rng.random(len(codes)), label))
    spare = order[1:][np.diff(label[order]) == 0]
    n_held = min(len(spare), max(1, round(share * len(codes))))
    return spare[np.linspace(0, len(spare) - 1, n_held).round().astype(np.intp)]


class Crops(torch.utils.data.Dataset[tuple[LabelledSeries, Tensor]]):
    """Batches of one skorch epoch: rows by one permutation after another, each cropped at random."""

    def __init__(
        self,
        rows: LabelledSeries,
        batch_size: int,
        window: int,
        n_steps: int,
        generator: torch.Generator,
    ) -> None:
        self.rows, self.window, self.n_steps, self.generator = rows, window, n_steps, generator
        # two rows at least: a batch norm needs a spread
        size = min(batch_size, max(2, len(rows)))
        self.stream = Pool(rows.x, rows.codes, size).indices(generator)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[LabelledSeries, Tensor]]:
        for _ in range(self.n_steps):
            batch = self.rows.part(next(self.stream).to(self.rows.x.device))
            yield replace(batch, x=self._crop(batch.x)), UNUSED

    def state_dict(self) -> dict[str, Any]:
        """Where the random stream and the queue of rows stand."""
        return {"generator": self.generator.get_state(), "queue": self.stream.queue}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another object of the same rows stood."""
        self.generator.set_state(state["generator"])
        self.stream.queue = state["queue"]

    def _crop(self, x: Tensor) -> Tensor:
        spare = x.shape[2] - self.window
        if spare == 0:
            return x
        starts = torch.randint(0, spare + 1, (len(x), 1, 1), generator=self.generator)
        index = (starts + torch.arange(self.window)).to(x.device)
        return x.gather(2, index.expand(-1, x.shape[1], -1))


class AllWindows(torch.utils.data.Dataset[tuple[LabelledSeries, Tensor]]):
    """Every window of held-out records, always the same."""

    def __init__(self, rows: LabelledSeries, window: int) -> None:
        self.rows, self.window = rows, window

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[LabelledSeries, Tensor]]:
        for start in range(0, len(self.rows), EVALUATION_CHUNK):
            batch = self.rows.part(slice(start, start + EVALUATION_CHUNK))
            x = windows_of(batch.x, self.window)
            codes, weight = (
                values.repeat_interleave(x.shape[1], 0) for values in (batch.codes, batch.weight)
            )
            yield LabelledSeries(x.flatten(0, 1), codes, weight), UNUSED


@dataclass(frozen=True)
class LabelLoss:
    """Weighted log-loss: of one class a row, or the mean over independent labels."""

    multilabel: bool

    def __call__(self, module: nn.Module, batch: LabelledSeries) -> dict[str, Tensor]:
        logits = module(batch.x)
        if self.multilabel:
            loss = binary_cross_entropy_with_logits(logits, batch.codes, reduction="none").mean(1)
        else:
            loss = cross_entropy(logits, batch.codes, reduction="none")
        return {"labels": (batch.weight * loss).mean()}


@dataclass(frozen=True)
class SeriesProblem:
    """Labels of series to be learned; what `sktgdp.estimators._training.trainer` trains a network on.

    Parameters
    ----------
    rows, valid : LabelledSeries
        Training rows and, if any, held-out rows that choose the best weights; on the network's device.
    batch_size, window : int
    objective : LabelLoss
    phase : str
        Name of this training in the history.
    """

    rows: LabelledSeries
    valid: LabelledSeries | None
    batch_size: int
    window: int
    objective: LabelLoss
    phase: str
    term_weights: Mapping[str, float] = field(default_factory=dict)

    def depends_on(self) -> dict[str, Any]:
        """All of it that the weights depend on, by the name that a user knows it by."""
        rows, held = self.rows, self.valid
        crops = [self.batch_size, self.window]
        return {"rows": rows, "held-out rows": held, "batches": crops, "objective": self.objective}

    def datasets(
        self, n_steps: int, seed: int, device: torch.device, processes: Processes = ALONE
    ) -> tuple[Crops, AllWindows | None]:
        """Random crops of one epoch, and every window of the held-out rows."""
        generator = torch.Generator().manual_seed(seed)
        valid = None if self.valid is None else AllWindows(self.valid, self.window)
        return Crops(self.rows, self.batch_size, self.window, n_steps, generator), valid
