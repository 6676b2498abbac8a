"""Ctrl-C during a training: what had been learned is not lost."""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from sktgdp.estimators._caller import level_of_user

__all__ = ["TrainingInterrupted", "noting_interrupts"]


class TrainingInterrupted(KeyboardInterrupt):
    """The user's interrupt of a training, to be caught by whoever can use a network that is half trained.

    Parameters
    ----------
    trained : TrainedNetwork
        The best weights until then.
    where : str
        Phase and step.
    resumable : bool
        Whether a checkpoint holds the state.
    """

    def __init__(self, trained: Any, where: str, resumable: bool) -> None:
        self.trained, self.where = trained, where
        self.advice = (
            "Call fit again with the same checkpoint to go on."
            if resumable
            else "With checkpoint= a fit can be interrupted and go on later."
        )
        super().__init__(f"The fit was interrupted in the phase {where}. {self.advice}")

    def keep(self, checkpoint: Any, enough: bool = False) -> Any:
        """Give the network with a warning; as a part of another fit, which cannot go on, interrupt that too.

        Parameters
        ----------
        checkpoint : FitCheckpoint
            Of the fit that catches the interrupt.
        enough : bool
            Whether the fit has something to give even if this training has not done an epoch.
        """
        if checkpoint.inner or not (self.trained.history or enough):
            raise self
        warnings.warn(
            f"The fit was interrupted in the phase {self.where}; the model has the best weights until then. "
            f"{self.advice}",
            ConvergenceWarning,
            stacklevel=level_of_user(),
        )
        return self.trained


@contextmanager
def noting_interrupts() -> Iterator[list[int]]:
    """Give a list that notes the interrupts which reach the process.

    skorch ends a training by a KeyboardInterrupt, whoever raises it: a callback that stops early, or the
    user. Only the user's comes by a signal, which Python handles in the main thread.
    """
    noted: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield noted
        return
    handler = before

    def note(number: int, frame: FrameType | None) -> Any:
        noted.append(number)
        return handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
