"""Where networks are trained and evaluated, and what the devices can do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

__all__ = [
    "available_devices",
    "can_compile",
    "has_fused_optimizer",
    "resolve_device",
    "rows_for",
    "same_device",
    "seeded",
]

# Of the free memory of a GPU, what rows may fill; the rest is for the network and its gradients.
ROWS_SHARE = 0.5


def available_devices() -> list[str]:
    """Names of the devices of this machine that torch can use."""
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *mps, *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]


def resolve_device(device: str) -> torch.device:
    """Turn "auto" into CUDA, MPS or the CPU, whichever is there first.

    Raises
    ------
    ValueError
        No such device is there; the message lists those that are.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        usable = found.type != "meta"  # it holds no numbers
        usable &= found.type != "cpu" or not found.index  # torch takes any number for the one that is there
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError):  # torch raises all of these
        usable = False
    if not usable:
        there = ", ".join(map(repr, available_devices()))
        raise ValueError(f"device={device!r} is not there; this machine has {there}. Give one, or 'auto'.")
    return found


def same_device(one: torch.device, other: torch.device) -> bool:
    """Whether two names may mean one device; a kind without a number fits any number."""
    return one.type == other.type and (None in (one.index, other.index) or one.index == other.index)


# The generators belong to the whole process: trainings in several threads take turns.
SEEDING = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's random numbers on the CPU and a device follow ``seed``; then all is as it was."""
    devices = [torch.empty(0, device=device).get_device()] if device.type == "cuda" else []
    with SEEDING, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield


def rows_for(rows: Tensor, device: torch.device) -> Tensor:
    """Rows where a training on the device reads them.

    That is the device itself, unless they would fill more than half of the free memory of a GPU. Then they
    stay where they are, and each batch is moved.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if rows.numel() * rows.element_size() > ROWS_SHARE * free:
            return rows
    return rows.to(device)


@cache
def has_fused_optimizer(device: torch.device) -> bool:
    """Whether AdamW has a kernel for all weights at once on this device, in this version of torch."""
    try:
        torch.optim.AdamW([torch.zeros(1, device=device, requires_grad=True)], fused=True)
    except RuntimeError:
        return False
    return True


def _successor(x: Tensor) -> Tensor:
    return x + 1.0


@cache
def can_compile(device: torch.device) -> bool:
    """Whether `torch.compile` finds what it needs for this device; tried on a sum."""
    try:
        compiled = torch.compile(_successor)(torch.zeros(2, device=device))
    except Exception:  # a missing compiler shows as one of many kinds of error
        return False
    return bool((compiled == 1.0).all())
