"""Networks of the user's own: two rows go through one before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sktgdp.estimators._training.devices import seeded

__all__ = ["check_output", "make_network", "try_network"]

N_TRIED = 2  # rows


def try_network(
    parameter: str, make: Any, params: Mapping[str, Any], device: torch.device, *, scalar: bool = False
) -> None:
    """Make a network of noised rows and call it as trainings and samplers do; raise where it does not fit.

    Parameters
    ----------
    parameter : str
        Name under which the user gave it.
    make : class or callable
    params : mapping
        What it is called with: ``event_shape``, ``n_labels`` and ``process``.
    scalar : bool
        Whether it is to give one number for a row, in place of a row.
    """
    with seeded(0, device), torch.enable_grad():
        network = make_network(parameter, make, **params).to(device).eval()
        shape = (N_TRIED, *params["event_shape"])
        x, n_labels = torch.randn(shape, device=device), params["n_labels"]
        y = torch.eye(n_labels, device=device)[[0] * N_TRIED] if n_labels else None
        for t in (torch.full((N_TRIED,), 0.5, device=device), torch.tensor(0.5, device=device)):
            check_output(parameter, network, {"x_t": x, "t": t, "y": y}, shape[:1] if scalar else shape)


def make_network(parameter: str, make: Any, *args: Any, **keywords: Any) -> nn.Module:
    """Call what the user gave to make a network, and check that it is one, with weights."""
    try:
        network = make(*args, **keywords)
    except Exception as error:
        given = ", ".join([*map(repr, args), *keywords])
        raise TypeError(
            f"{parameter} cannot be called with ({given}): {type(error).__name__}: {error}. Give a class or "
            "a function of these arguments that returns a torch.nn.Module."
        ) from error
    if not isinstance(network, nn.Module) or not any(p.requires_grad for p in network.parameters()):
        raise TypeError(
            f"{parameter} makes a {type(network).__name__}; expected a torch.nn.Module with weights to train."
        )
    return network


def check_output(
    parameter: str, network: nn.Module, arguments: Mapping[str, Tensor | None], expected: tuple[int, ...]
) -> None:
    """Call a network with arguments, in their order, and check the shape of what it gives."""
    shapes = [f"{name}={None if x is None else list(x.shape)}" for name, x in arguments.items()]
    called = f"The network of {parameter}, called as {type(network).__name__}({', '.join(shapes)}),"
    try:
        output = network(*arguments.values())
    except Exception as error:
        raise TypeError(f"{called} fails: {type(error).__name__}: {error}") from error
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        given = f"shape {list(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{called} gives {given}; expected a tensor of shape {list(expected)}.")
    if not output.requires_grad:
        raise ValueError(f"{called} gives numbers without a gradient, so that it cannot be trained.")
