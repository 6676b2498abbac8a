"""Where networks are trained and evaluated."""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["has_fused_optimizer", "resolve_device"]


def resolve_device(device: str) -> torch.device:
    """Turn "auto" into CUDA, MPS or the CPU, whichever is there first."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@cache
def has_fused_optimizer(device: torch.device) -> bool:
    """Whether AdamW has a kernel for all weights at once on this device, in this version of torch."""
    try:
        torch.optim.AdamW([torch.zeros(1, device=device, requires_grad=True)], fused=True)
    except RuntimeError:
        return False
    return True
