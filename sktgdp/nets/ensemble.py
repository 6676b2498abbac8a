"""Networks made of networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sktgdp.nets._architecture import Portable
from sktgdp.nets.mlp import GuidanceMLP

__all__ = ["AnyPrecision", "MeanOf", "written_gradient"]


class MeanOf(Portable):
    """Mean of the outputs of several networks with the same arguments.

    Parameters
    ----------
    members : sequence of nn.Module
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def __getstate__(self) -> dict[str, Any]:
        return {"mean_of": list(self.members), "training": self.training}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "mean_of" in state:
            self.__dict__ = MeanOf(state["mean_of"]).train(state["training"]).__dict__
        else:
            super().__setstate__(state)

    def forward(self, *args: Tensor | None) -> Tensor:
        """Evaluate every member and average."""
        return torch.stack([member(*args) for member in self.members]).mean(0)


class AnyPrecision:
    """Call a network in the precision of its first argument; a likelihood wants float64.

    Parameters
    ----------
    module : nn.Module
        Stays as it is; another precision is a copy, made once.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._copies = {next(module.parameters()).dtype: module}

    def __call__(self, x: Tensor, *args: Tensor | None) -> Tensor:
        """Evaluate the network."""
        output: Tensor = self._like(x)(x, *[a if a is None else a.to(x.dtype) for a in args])
        return output

    def gradient(self, x: Tensor, *args: Tensor | None) -> Tensor:
        """Gradient in x of a network that `written_gradient` knows."""
        gradient = written_gradient(self._like(x))
        assert gradient is not None, "asked for only where there is one"
        return gradient(x, *[a if a is None else a.to(x.dtype) for a in args])

    def _like(self, x: Tensor) -> nn.Module:
        if x.dtype not in self._copies:
            self._copies[x.dtype] = copy.deepcopy(self.module).to(x.dtype)
        return self._copies[x.dtype]


def written_gradient(network: nn.Module) -> Callable[..., Tensor] | None:
    """Gradient in x that a guidance network has in closed form; None where only autograd knows it.

    A subclass may compute something else, so it does not count.
    """
    if isinstance(network, MeanOf):
        gradients = [written_gradient(member) for member in network.members]
        known = [g for g in gradients if g is not None]
        if len(known) < len(gradients):
            return None
        return lambda *args: torch.stack([g(*args) for g in known]).mean(0)
    return network.gradient if type(network) is GuidanceMLP else None
