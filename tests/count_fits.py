"""Count trainings, in whatever process they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skorch.callbacks import Callback


class CountFits(Callback):
    """Write a line to a file whenever a training starts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        with self.path.open("a") as file:
            file.write(".\n")

    @property
    def n(self) -> int:
        return self.path.read_text().count(".") if self.path.exists() else 0
