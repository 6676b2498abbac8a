"""Checkpoints: a fit that was killed goes on where it stood, and ends with the same weights.

A folder holds ``fit.json``, which says of what estimator it is and what seed it drew, and one file for each
network that is trained. While a network is trained, its file holds all that the rest of its training depends
on: weights and their average, optimiser, schedule, random streams, queues of rows, best weights and losses so
far. Once it is trained, the file holds what came out. What else a fit does (units, folds, calibration) takes
little time, follows from the rows and the seed, and is done again.

Each file names by their digests the rows, the settings, the seed and whatever else its training depends on:
a file of another training is refused, never used.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock, Timeout
from skorch import NeuralNet
from skorch.callbacks import Callback

from sktgdp import __version__
from sktgdp.estimators._state.digest import digest
from sktgdp.estimators._state.files import checked_folder, read_state, replace_file, write_state
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.exceptions import CheckpointError

__all__ = ["Checkpoint", "Checkpointing", "FitCheckpoint", "Stateful", "TrainingFile", "open_checkpoint"]

FORMAT = 1
HEADER, LOCK = "fit.json", "fit.lock"
# Writing takes at most one part in so many of the time.
SPACING = 10.0


class Stateful(Protocol):
    """Whatever takes part in a training and has a state."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state."""

    def load_state_dict(self, state_dict: Any) -> Any:
        """Take over a state."""


class TrainingFile:
    """The file of one network's training.

    Parameters
    ----------
    path : Path
    depends_on : mapping of str to values
        All that the training depends on.

    Raises
    ------
    CheckpointError
        The file is damaged, or of another training.
    """

    def __init__(self, path: Path, depends_on: Mapping[str, Any]) -> None:
        self.path = path
        versions = {"version of sktgdp": __version__, "version of torch": torch.__version__}
        self.keys = {name: digest(value) for name, value in {**depends_on, **versions}.items()}
        self.saved = self._read() if path.exists() else None

    def _read(self) -> dict[str, Any]:
        content = read_state(self.path)
        found = content["keys"]
        differ = [name for name in self.keys.keys() | found.keys() if self.keys.get(name) != found.get(name)]
        if differ:
            raise CheckpointError(
                f"The checkpoint {self.path} is of another training; other are: {', '.join(sorted(differ))}. "
                "Give another path, or delete the folder to start again."
            )
        return content

    @property
    def result(self) -> dict[str, Any] | None:
        """What the training gave, if it came to its end."""
        return self.saved["state"] if self.saved is not None and self.saved["finished"] else None

    def write(self, state: Mapping[str, Any], *, finished: bool) -> None:
        """Replace the file; a disk that does not take it is no reason to lose the fit."""
        try:
            write_state(self.path, {"keys": self.keys, "finished": finished, "state": state})
        except OSError as error:
            warnings.warn(
                f"The checkpoint {self.path} could not be written ({error}). The fit goes on; killed now, it "
                "would start again from the last checkpoint.",
                RuntimeWarning,
                stacklevel=2,
            )


class Checkpointing(Callback):
    """Take over the state of a killed training at the start, and write the state after the epochs.

    Parameters
    ----------
    file : TrainingFile
    parts : callable (net) -> mapping of str to `Stateful`
        All that has a state but the history and torch's own random stream.
    """

    def __init__(self, file: TrainingFile, parts: Callable[[NeuralNet], Mapping[str, Stateful]]) -> None:
        self.file, self.parts = file, parts

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.next_ = -float("inf")
        if self.file.saved is None:
            return
        state = self.file.saved["state"]
        for name, part in self.parts(net).items():
            part.load_state_dict(state[name])
        net.history.extend({**epoch, "batches": []} for epoch in state["history"])
        torch.set_rng_state(state["random"])
        if state["random on device"] is not None:
            torch.cuda.set_rng_state(state["random on device"], net.device)

    @property
    def n_epochs(self) -> int:
        """Epochs that were done before."""
        return 0 if self.file.saved is None else len(self.file.saved["state"]["history"])

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        start = time.monotonic()
        if start < self.next_:
            return
        on_cuda = torch.device(net.device).type == "cuda"
        state: dict[str, Any] = {name: part.state_dict() for name, part in self.parts(net).items()}
        state["history"] = [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history]
        state["random"] = torch.get_rng_state()
        state["random on device"] = torch.cuda.get_rng_state(net.device) if on_cuda else None
        self.file.write(state, finished=False)
        end = time.monotonic()
        self.next_ = end + (SPACING - 1.0) * (end - start)


class FitCheckpoint:
    """Where a fit, or a part of one, keeps the states of its trainings.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    prefix : str
        Of the names of the files of a part.
    inner : bool
        Whether this is a part of another estimator's fit.
    """

    def __init__(self, folder: Path | None = None, prefix: str = "", inner: bool = False) -> None:
        self.folder, self.prefix, self.inner = folder, prefix, inner

    def part(self, name: str) -> FitCheckpoint:
        """Give the checkpoint of a part of the fit."""
        return FitCheckpoint(self.folder, f"{self.prefix}{name.replace(' ', '-')}.", True)

    def training(self, phase: str, depends_on: Callable[[], Mapping[str, Any]]) -> TrainingFile | None:
        """Give the file of a training, if one is to be kept."""
        if self.folder is None:
            return None
        name = f"{self.prefix}{phase.replace(' ', '-')}.safetensors"
        return TrainingFile(self.folder / name, depends_on())

    def seed(self, random_state: Any, memory: FitMemory) -> int:
        """Seed of the fit; None stands for one that is drawn once and kept in the folder."""
        if self.folder is None or random_state is not None:
            return memory.seed(random_state)
        header = _read_header(self.folder)
        if "seed" not in header:
            header["seed"] = memory.seed(None)
            _write_header(self.folder, header)
        return int(header["seed"])


# What a fit is given: a path by the user, a part of its own checkpoint by another fit.
Checkpoint = str | Path | FitCheckpoint | None


@contextmanager
def open_checkpoint(given: Checkpoint, estimator: Any) -> Iterator[FitCheckpoint]:
    """Open the folder of a fit for as long as it lasts.

    Parameters
    ----------
    given : path, None, or the part of a checkpoint that another estimator's fit hands over
    estimator : object
        Whose fit it is; folders of another class of estimators are refused.

    Raises
    ------
    CheckpointError
        There is something else at the path, or another process is using it.
    """
    if given is None or isinstance(given, FitCheckpoint):
        yield given or FitCheckpoint()
        return
    if not isinstance(given, str | Path):
        raise TypeError(f"checkpoint must be a path or None; got {type(given).__name__}.")
    folder, kind = _make_folder(given), type(estimator).__name__
    try:
        with FileLock(folder / LOCK, timeout=0):
            header = (
                _read_header(folder) if (folder / HEADER).exists() else {"format": FORMAT, "estimator": kind}
            )
            if (header.get("format"), header.get("estimator")) != (FORMAT, kind):
                raise CheckpointError(
                    f"{folder} is a checkpoint of {header.get('estimator')}, format {header.get('format')}; "
                    f"{kind}, format {FORMAT}, is expected. Give another path, or delete the folder."
                )
            _write_header(folder, header)
            yield FitCheckpoint(folder)
    except Timeout as error:
        raise CheckpointError(
            f"Another fit is using the checkpoint {folder}. Give each fit a path of its own; a search keeps "
            "what its fits share with memory=."
        ) from error


def _make_folder(given: str | Path) -> Path:
    try:
        folder = checked_folder(given, "checkpoint")
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    folder.mkdir(parents=True, exist_ok=True)
    others = {file.name for file in folder.iterdir()} - {LOCK, f"{HEADER}.new"}
    if others and HEADER not in others:
        raise CheckpointError(
            f"{folder} is no checkpoint; it holds {', '.join(sorted(others)[:3])}. Give a path for a new "
            "folder."
        )
    return folder


def _read_header(folder: Path) -> dict[str, Any]:
    try:
        header: dict[str, Any] = dict(json.loads((folder / HEADER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{folder / HEADER} is damaged ({error}). Delete the folder to start again."
        ) from error
    return header


def _write_header(folder: Path, header: Mapping[str, Any]) -> None:
    replace_file(folder / HEADER, json.dumps(header).encode())
