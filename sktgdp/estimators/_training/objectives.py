"""Objectives: the pure losses of `sktgdp.losses` evaluated on noised batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sktgdp.estimators._training.batches import Batch, NoisedRows
from sktgdp.guidance import guidance_correction
from sktgdp.losses import (
    consistency_loss,
    cycle_loss,
    domain_log_loss,
    guidance_kl_loss,
    guidance_mse_loss,
    score_matching_loss,
)
from sktgdp.process import VPProcess, expand_as

__all__ = ["GUIDANCE_LOSSES", "CleanDomain", "Denoising", "Guidance", "NoisedDomain"]

GUIDANCE_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": guidance_kl_loss,
    "mse": guidance_mse_loss,
}

# Keeps the weight of pure noise finite.
VELOCITY_FLOOR = 0.01

ConditionalFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Denoising:
    """Denoising score matching on the pool "rows"."""

    def __call__(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        rows = batch["rows"]
        return {"score": score_matching_loss(module(rows.x_t, rows.t, rows.y), rows.eps)}


@dataclass(frozen=True)
class CleanDomain:
    """Domain classification of clean rows (Eq. 7)."""

    def __call__(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        source, target = batch["source"], batch["target"]
        return {"domain": domain_log_loss(module(source.x0, source.y), module(target.x0, target.y))}


@dataclass(frozen=True)
class NoisedDomain:
    """Domain classification of noised rows, for the time-dependent ratio of the cycle term.

    The labels are the clean classifier's probabilities: over equal shares of both domains
    E[q / (p + q) | x_t] = q_t / (p_t + q_t), so the minimiser is the same as with the domains
    themselves, and the network cannot learn single rows by heart.
    """

    def __call__(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        losses = []
        for rows in (batch["source"], batch["target"]):
            logit, log_ratio = module(rows.x_t, rows.t, rows.y), rows.log_ratio
            assert log_ratio is not None
            losses.append(binary_cross_entropy_with_logits(logit, log_ratio.sigmoid()))
        return {"domain": 0.5 * (losses[0] + losses[1])}


@dataclass(frozen=True)
class Guidance:
    """Guidance, cycle and consistency terms; on target rows alone (validation) the denoising error.

    Parameters
    ----------
    source_noise : callable (x_t, t, y) -> eps
        The frozen source model.
    process : VPProcess
    loss : {"kl", "mse"}
        Form of the guidance term.
    log_ratio_t : callable (x_t, t, y) -> (batch,), or None
        Time-dependent log ratio; None leaves the cycle term out.
    consistency : bool
        Whether the consistency term is wanted.
    """

    source_noise: ConditionalFunction
    process: VPProcess
    loss: str = "kl"
    log_ratio_t: ConditionalFunction | None = None
    consistency: bool = True

    def __call__(self, module: nn.Module, batch: Batch) -> dict[str, Tensor]:
        source, target = batch.get("source"), batch.get("target")
        if source is None:
            return {"denoising": self._denoising(module, batch["target"])[0]}
        terms = {}
        f_source = module(source.x_t, source.t, source.y)
        if source.log_ratio is not None:
            terms["guidance"] = GUIDANCE_LOSSES[self.loss](f_source, source.log_ratio.exp())
        if target is None:
            return terms
        if self.consistency:
            terms["consistency"], f_target = self._denoising(module, target)
        elif self.log_ratio_t is not None:
            f_target = module(target.x_t, target.t, target.y)
        if self.log_ratio_t is not None:
            with torch.no_grad():
                log_ratio_t = self.log_ratio_t(target.x_t, target.t, target.y)
            terms["cycle"] = cycle_loss(f_target, log_ratio_t)
        return terms

    def _denoising(self, module: nn.Module, rows: NoisedRows) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            eps_source = self.source_noise(rows.x_t, rows.t, rows.y)
        correction, value = guidance_correction(
            lambda x, t: module(x, t, rows.y),
            rows.x_t,
            rows.t,
            self.process,
            create_graph=torch.is_grad_enabled(),
        )
        # in noise units the late times, which decide means and modes, weigh next to nothing
        velocity = torch.sqrt(self.process.alpha(rows.t).square() + VELOCITY_FLOOR)
        scale = expand_as(velocity, rows.eps)
        return consistency_loss(eps_source, correction, rows.eps, scale), value
