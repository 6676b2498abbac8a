"""How a network was made: what has to be called, and with what, to make another one like it."""

from __future__ import annotations

import copyreg
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["Architecture", "Portable", "architecture_of", "remember_architecture"]


class Architecture(NamedTuple):
    """A network without its weights.

    Parameters
    ----------
    make : class or callable
    args : tuple
    keywords : dict
        Its arguments.
    """

    make: Callable[..., nn.Module]
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    def __call__(self) -> nn.Module:
        """Make a network with fresh weights."""
        return self.make(*self.args, **self.keywords)


def remember_architecture(network: nn.Module, make: Any, *args: Any, **keywords: Any) -> None:
    """Write down in a network how it was made."""
    while isinstance(make, functools.partial):
        make, args, keywords = make.func, (*make.args, *args), {**make.keywords, **keywords}
    network._made_by = Architecture(make, args, keywords)  # type: ignore[assignment]


def architecture_of(network: nn.Module) -> Architecture | None:
    """How a network was made; None if that is not known, since it comes from elsewhere."""
    made_by = getattr(network, "_made_by", None)
    return made_by if isinstance(made_by, Architecture) else None


class Portable(nn.Module):
    """A network whose state is arguments and arrays for whoever walks objects without pickle, as skops does.

    Pickle and copy take it as they take any module: they go by ``__reduce_ex__``. So does whoever walks a
    network of which it is not known how it was made.
    """

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__dict__  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        made_by = architecture_of(self)
        if made_by is None:
            return self.__dict__
        weights = self.state_dict()
        return {
            "made_by": list(made_by),
            "weights": {name: weight.cpu().numpy() for name, weight in weights.items()},
            "device": str(next(iter(weights.values())).device),
            "training": self.training,
            "trained": [name for name, weight in self.named_parameters() if weight.requires_grad],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "made_by" not in state:
            super().__setstate__(state)
            return
        make, args, keywords = state["made_by"]
        with torch.random.fork_rng(devices=[]):  # what it draws is overwritten
            network = make(*args, **keywords)
        weights = {name: torch.tensor(weight) for name, weight in state["weights"].items()}
        network.load_state_dict(weights, assign=True)  # in the precision that they have
        for name, weight in network.named_parameters():
            weight.requires_grad_(name in state["trained"])
        remember_architecture(network, make, *args, **keywords)
        self.__dict__ = network.train(state["training"]).to(state["device"]).__dict__
