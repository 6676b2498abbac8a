"""Trainings that go wrong: steps without finite numbers, and networks that learned nothing."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sktgdp.estimators._training.batches import NoisedRows
from sktgdp.process import VPProcess, expand_as

__all__ = ["DivergenceGuard", "faulty_terms", "warn_if_idle"]

MAX_BAD_STEPS = 20
MAX_RESTORES = 5
# A shorter training is not judged.
ENOUGH_STEPS = 100
# A velocity that varies less over the rows does so by rounding alone.
FLAT = 1e-4


def faulty_terms(terms: Mapping[str, Tensor], weights: Mapping[str, float], module: nn.Module) -> list[str]:
    """Names of the terms whose value or gradient is not finite.

    Parameters
    ----------
    terms : mapping of str to scalars with their graph
    weights : mapping of str to float
        1 where missing; terms of weight 0 do not count.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    faulty = []
    for name, term in terms.items():
        value = weights.get(name, 1.0) * term
        finite = bool(value.isfinite())
        if finite and value.requires_grad:
            gradients = torch.autograd.grad(
                value, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
        if not finite and weights.get(name, 1.0) != 0.0:
            faulty.append(name)
    return faulty


class DivergenceGuard(Callback):
    """Skip steps without a finite loss and gradient, and go back where they come in a row.

    After 20 of them in a row (fewer in a shorter training) the last good weights, those at the end of an
    epoch, are put back, the optimiser forgets its moments, and the rate is halved. After the fifth time
    the next such row ends the training.

    Parameters
    ----------
    phase : str
        Name of the training.
    max_steps : int
        Length of the training.
    """

    def __init__(self, phase: str, max_steps: int) -> None:
        self.phase = phase
        self.max_bad_steps = min(MAX_BAD_STEPS, max_steps)

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.rate_ = 1.0
        self.n_skipped_ = self.n_in_row_ = self.n_accepted_ = self.n_restores_ = 0
        self.learned_ = self.gave_up_ = False
        self.cause_ = ""
        self._keep(net)

    def state_dict(self) -> dict[str, Any]:
        """Give all but the constants."""
        return {name: value for name, value in vars(self).items() if name.endswith("_")}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from where another guard stood."""
        self.__dict__.update(state_dict)

    def _keep(self, net: NeuralNet) -> None:
        self.good_ = copy.deepcopy([net.module_.state_dict(), net.average_.state_dict()])

    def accepts(self, net: NeuralNet, batch: Any, step: Mapping[str, Any], norm: float) -> bool:
        """Whether a step may be taken; if not, put back the last good weights where it is time to.

        Parameters
        ----------
        batch : Batch
        step : mapping
            The loss, ``"loss"``, and its terms, ``"y_pred"``.
        norm : float
            Of the gradient.
        """
        if math.isfinite(norm) and math.isfinite(step["loss"].item()):
            self.n_in_row_ = 0
            self.n_accepted_ += 1
            return True
        self.n_skipped_ += 1
        self.n_in_row_ += 1
        self._mend_buffers(net)
        if self.n_in_row_ >= self.max_bad_steps:
            self._go_back(net, batch, step["y_pred"])
        return False

    def _mend_buffers(self, net: NeuralNet) -> None:
        """Put back the statistics of batch norms that the step made not finite."""
        weights, _ = self.good_
        for name, buffer in net.module_.named_buffers():
            if name in weights and not bool(buffer.isfinite().all()):
                buffer.copy_(weights[name])

    def _go_back(self, net: NeuralNet, batch: Any, terms: Mapping[str, Tensor]) -> None:
        values = ", ".join(f"{name} = {term.item():.3g}" for name, term in terms.items())
        # from a graph of its own: that of the step is used up
        faulty = faulty_terms(net.terms(net.module_, batch), net.term_weights or {}, net.module_)
        self.cause_ = f"{', '.join(faulty) or 'the sum of all terms'} (last losses: {values})"
        weights, average = self.good_
        net.module_.load_state_dict(weights)
        net.average_.load_state_dict(average)
        net.optimizer_.state.clear()
        self.n_in_row_ = 0
        if self.n_restores_ == MAX_RESTORES:
            self.gave_up_ = True
            raise KeyboardInterrupt  # skorch's own way to end a fit
        self.n_restores_ += 1
        self.rate_ *= 0.5

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        epoch = net.history[-1]
        epoch["skipped_steps"], epoch["restores"] = self.n_skipped_, self.n_restores_
        if self.n_accepted_ and not self.n_in_row_:
            self.learned_ = True
            self._keep(net)
        self.n_skipped_ = self.n_accepted_ = 0

    def report(self) -> None:
        """Say what went wrong, once the training has ended.

        Raises
        ------
        FloatingPointError
            No epoch had a finite loss.
        """
        where = f"Training diverged in the phase {self.phase!r}"
        advice = "Lower `lr`, or scale the features."
        if not self.learned_:
            raise FloatingPointError(f"{where}: no finite gradient, by {self.cause_ or 'its loss'}. {advice}")
        if self.n_restores_:
            end = "then it was stopped, with the last good weights" if self.gave_up_ else "then it went well"
            warnings.warn(
                f"{where}: {self.max_bad_steps} steps in a row had no finite gradient, by {self.cause_}. "
                f"{self.n_restores_} times the last good weights were put back and the rate halved; {end}. "
                f"{advice}",
                ConvergenceWarning,
                stacklevel=3,
            )


@torch.no_grad()
def warn_if_idle(module: nn.Module, rows: NoisedRows, process: VPProcess, phase: str) -> None:
    """Warn of a noise prediction that has learned nothing from the rows.

    The measure is the prediction of velocity zero, sigma_t x_t: the best one for rows of independent standard
    normal numbers, and what the default networks start from. A network is put out of action where one
    outlying batch at a high rate drives all its units into saturation: its velocity no longer depends on the
    rows, and its loss stays where it started. For rows that are such normal numbers the loss is no lower
    either, but there the velocity still varies.

    Parameters
    ----------
    module : nn.Module
        (x_t, t, y) -> eps.
    rows : NoisedRows
        Of the training rows.
    phase : str
        Name of the training.
    """
    zero = expand_as(process.sigma(rows.t), rows.x_t) * rows.x_t
    difference = module(rows.x_t, rows.t, rows.y) - zero
    loss = (difference + zero - rows.eps).square().mean().item()
    loss_of_zero = (zero - rows.eps).square().mean().item()
    spread = (difference / expand_as(process.alpha(rows.t), difference)).std(0).max().item()
    if loss <= 1.02 * loss_of_zero and spread > FLAT:
        return
    warnings.warn(
        f"The network learned nothing in the phase {phase!r}: its loss, {loss:.3g}, is no better than that "
        f"of zero velocity, {loss_of_zero:.3g}. An outlying batch at too high a rate puts a network "
        "out of action. Lower `lr`, and look for outlying rows (scale them with a robust transformer).",
        ConvergenceWarning,
        stacklevel=3,
    )
