"""How long and how a network is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["TrainingSettings"]


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how a network is trained.

    Parameters
    ----------
    max_steps : int
        Gradient steps.
    lr, weight_decay : float
        Of AdamW.
    max_grad_norm : float
        Gradients are scaled down to this norm.
    ema_decay : float
        Decay of the moving average of the weights that is kept; 0 keeps the last weights.
    patience : float
        Share of the steps without a better validation loss after which training stops.
    compile : bool
        Whether the network goes through `torch.compile`, where there is a compiler.
    precision : {"fp32", "bf16"}
        Of the products in a step; weights, their average and the optimiser stay in single precision.
    schedule : {"cosine", "one-cycle"}
        Of the rate: a warm-up over 5 % of the steps and a cosine to zero, or torch's one cycle.
    rates : mapping of str to float
        Share of ``lr`` for the parameters under each name of a submodule; 1 for all others.
    """

    max_steps: int = 2500
    lr: float = 2e-3
    weight_decay: float = 1e-4
    max_grad_norm: float = 1.0
    ema_decay: float = 0.995
    patience: float = 0.4
    compile: bool = False
    precision: str = "fp32"
    schedule: str = "cosine"
    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def steps_per_epoch(self) -> int:
        """Steps between two validations."""
        return max(1, min(50, self.max_steps // 20))

    @property
    def n_epochs(self) -> int:
        """Number of skorch epochs."""
        return math.ceil(self.max_steps / self.steps_per_epoch)

    def rate(self, step: int) -> float:
        """Rate of the cosine schedule at a step, as a share of ``lr``."""
        warm_up = max(1, self.max_steps // 20)
        if step < warm_up:
            return (step + 1) / warm_up
        progress = (step - warm_up) / max(1, self.max_steps - warm_up)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
