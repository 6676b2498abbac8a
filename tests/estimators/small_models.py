"""Settings of fits that take a moment, and the data that several tests share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.nets import XResNet1d

Floats = NDArray[np.float64]

# fits that only have to run
TINY = {"max_steps": 2, "batch_size": 16, "random_state": 0}
TINY_NETWORK = {**TINY, "hidden_sizes": (8, 8)}
TINY_RATIO = {"max_steps": 2, "n_folds": 2, "batch_size": 16, "hidden_sizes": (8,)}


class TinyXResNet(XResNet1d):
    """A network of one block; in double precision rows do not depend on their batch, to rounding.

    A class, not a function: the names of test cases hold its repr, which must not hold an address.
    """

    def __init__(self, n_channels: int, n_outputs: int) -> None:
        sizes = {"layers": (1,), "widths": (8,), "stem_widths": (8,), "head_widths": ()}
        super().__init__(n_channels, n_outputs, expansion=1, dropout=0.0, **sizes)
        self.double()


# just enough for classes that lie apart
TINY_SERIES = {
    "module": TinyXResNet,
    "max_steps": 20,
    "batch_size": 64,
    "lr": 0.06,
    "early_stopping": False,
    "random_state": 0,
}


def tiny_tgdp(**params: Any) -> TGDPGenerator:
    """A TGDP generator whose fit takes a moment and learns nothing."""
    given = {
        "source_model": DiffusionGenerator(**TINY_NETWORK),
        "domain_classifier": DomainClassifier(**TINY_RATIO),
        "n_networks": 2,
    }
    return TGDPGenerator(**{**TINY_NETWORK, **given, **params})


class Shift(NamedTuple):
    """The paper's mixture with its oracle; the target at seed 1, to be held out, too."""

    X_src: Floats
    y_src: NDArray[np.int64]
    X_tgt: Floats
    y_tgt: NDArray[np.int64]
    X_test: Floats
    y_test: NDArray[np.int64]

    @property
    def domains(self) -> tuple[Any, ...]:
        """The four arguments of a fit."""
        return self[:4]


def phases(model: TGDPGenerator) -> list[str]:
    """Phases of the history, in order."""
    return list(dict.fromkeys(row["phase"] for row in model.history_))
