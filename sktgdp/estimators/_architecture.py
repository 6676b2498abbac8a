"""How a network was made: what has to be called, and with what, to make another one like it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

__all__ = ["Architecture", "architecture_of", "remember_architecture"]


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
