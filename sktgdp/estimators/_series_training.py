"""Training of classifiers of series through skorch: random crops, one-cycle rates, the best weights.

Beside `sktgdp.estimators._training`, which noises rows and keeps a moving average of the weights: the
statistics of a batch norm belong to the weights that they were taken with, an average of weights has none.
The falling rate of the one-cycle schedule averages in its stead, and what is kept is one state of the
network, weights and statistics together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler, PassthroughScoring
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim.lr_scheduler import OneCycleLR

from sktgdp.estimators._batches import Pool
from sktgdp.estimators._settings import TrainingSettings

__all__ = [
    "LabelledSeries",
    "SeriesTraining",
    "hold_out",
    "seeded",
    "train_series_network",
    "window_starts",
    "windows_of",
]

EVALUATION_CHUNK = 256
PATIENCE = 0.5  # the loss of a one-cycle schedule falls late
Target = tuple[Tensor, Tensor]  # codes, weights


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


class _Crops(torch.utils.data.Dataset[tuple[Tensor, Target]]):
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

    def __iter__(self) -> Iterator[tuple[Tensor, Target]]:
        for _ in range(self.n_steps):
            batch = self.rows.part(next(self.stream).to(self.rows.x.device))
            yield self._crop(batch.x), (batch.codes, batch.weight)

    def _crop(self, x: Tensor) -> Tensor:
        spare = x.shape[2] - self.window
        if spare == 0:
            return x
        starts = torch.randint(0, spare + 1, (len(x), 1, 1), generator=self.generator)
        index = (starts + torch.arange(self.window)).to(x.device)
        return x.gather(2, index.expand(-1, x.shape[1], -1))


class _AllWindows(torch.utils.data.Dataset[tuple[Tensor, Target]]):
    """Every window of held-out records, always the same."""

    def __init__(self, rows: LabelledSeries, window: int) -> None:
        self.rows, self.window = rows, window

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Tensor, Target]]:
        for start in range(0, len(self.rows), EVALUATION_CHUNK):
            batch = self.rows.part(slice(start, start + EVALUATION_CHUNK))
            x = windows_of(batch.x, self.window)
            codes, weight = (
                values.repeat_interleave(x.shape[1], 0) for values in (batch.codes, batch.weight)
            )
            yield x.flatten(0, 1), (codes, weight)


class _LogLoss(nn.Module):
    """Weighted log-loss: of one class a row, or the mean over independent labels."""

    def __init__(self, multilabel: bool) -> None:
        super().__init__()
        self.multilabel = multilabel

    def forward(self, logits: Tensor, target: Target) -> Tensor:
        codes, weight = target
        if self.multilabel:
            loss = binary_cross_entropy_with_logits(logits, codes, reduction="none").mean(1)
        else:
            loss = cross_entropy(logits, codes, reduction="none")
        return (weight * loss).mean()


class _BatchesNet(NeuralNet):
    """skorch network whose data sets are their own batches."""

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return []

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        return dataset


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's random numbers follow ``seed``; afterwards its global states are as before."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True)
class SeriesTraining:
    """How a network learns labels of series.

    Parameters
    ----------
    settings : TrainingSettings
        Steps, highest rate, weight decay and gradient norm.
    batch_size, window : int
    multilabel : bool
    rates : mapping of str to float
        Share of the highest rate for the parameters under each name of a submodule; 1 for all others.
    phase : str
        Name of this training in the history.
    """

    settings: TrainingSettings
    batch_size: int
    window: int
    multilabel: bool
    phase: str
    rates: Mapping[str, float] = field(default_factory=dict)

    def callbacks(self, validated: bool) -> list[Callback]:
        """Schedule, clipping and losses per epoch."""
        settings = self.settings
        peaks = [settings.lr * rate for rate in (*self.rates.values(), 1.0)]
        n_steps = settings.n_epochs * settings.steps_per_epoch
        return [
            PassthroughScoring("train_loss", on_train=True),
            *([PassthroughScoring("valid_loss")] if validated else []),
            GradientNormClipping(settings.max_grad_norm),
            LRScheduler(OneCycleLR, max_lr=peaks, total_steps=n_steps, step_every="batch"),
        ]

    def net(self, network: nn.Module, callbacks: Sequence[Callback], **options: Any) -> NeuralNet:
        """Give the skorch network; it trains ``network`` in place."""
        groups = [(f"{name}.*", {"lr": self.settings.lr * rate}) for name, rate in self.rates.items()]
        return _BatchesNet(
            network,
            criterion=_LogLoss,
            criterion__multilabel=self.multilabel,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.settings.weight_decay,
            optimizer__param_groups=groups,
            lr=self.settings.lr,
            max_epochs=self.settings.n_epochs,
            verbose=0,
            callbacks=list(callbacks),
            **options,
        )


def train_series_network(
    network: nn.Module,
    rows: LabelledSeries,
    valid: LabelledSeries | None,
    training: SeriesTraining,
    *,
    seed: int,
    callbacks: Sequence[Callback] = (),
) -> list[dict[str, Any]]:
    """Train a network in place on what of it requires gradients; its losses by epoch.

    Parameters
    ----------
    network : nn.Module
        (batch, channels, length) -> (batch, n_labels) logits.
    rows, valid : LabelledSeries
        Training rows and, if any, held-out rows that choose the best weights; on the network's device.
    seed : int
        Decides batches, crops and dropout; torch's global random state is left as it was.
    """
    settings, device = training.settings, rows.x.device
    generator = torch.Generator().manual_seed(seed)
    crops = _Crops(rows, training.batch_size, training.window, settings.steps_per_epoch, generator)
    own, split = training.callbacks(valid is not None), None
    if valid is not None:
        split = predefined_split(_AllWindows(valid, training.window))
        patience = max(1, round(PATIENCE * settings.n_epochs))
        callbacks = [*callbacks, EarlyStopping(patience=patience, threshold=0.0, sink=noop, load_best=True)]
    with seeded(seed, device):
        net = training.net(network, [*own, *callbacks], device=device, train_split=split)
        net.initialize().partial_fit(crops)
    last = net.history[-1]["train_loss"]
    if not isfinite(last):
        raise FloatingPointError(f"Training diverged: the last loss is {last}. Lower `lr`.")
    names = ("train_loss", "valid_loss")
    return [
        {"phase": training.phase, "step": epoch["epoch"] * settings.steps_per_epoch}
        | {name: float(epoch[name]) for name in names if name in epoch}
        for epoch in net.history
    ]
