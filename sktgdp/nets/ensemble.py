"""Networks made of networks."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["AnyPrecision", "MeanOf"]


class MeanOf(nn.Module):
    """Mean of the outputs of several networks with the same arguments.

    Parameters
    ----------
    members : sequence of nn.Module
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

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
        if x.dtype not in self._copies:
            self._copies[x.dtype] = copy.deepcopy(self.module).to(x.dtype)
        return self._copies[x.dtype](x, *[a if a is None else a.to(x.dtype) for a in args])
