"""The fine-tuned baseline: a source model that is trained on with target rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import validate_data
from torch import nn

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._defaults import ByRank
from sktgdp.estimators._rows.domains import CHECKPOINT, FOUR_ARRAYS, Domains, split_domains
from sktgdp.estimators._source import SHARED_WITH_SOURCE, adopt_source, prepare_source, source_alone
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators.diffusion import NetworkGenerator

__all__ = ["FineTunedDiffusionGenerator"]


def _all_parameters(module: nn.Module) -> Iterable[nn.Parameter]:
    return module.parameters()


def _biases_and_norms(module: nn.Module) -> Iterable[nn.Parameter]:
    """Biases everywhere, and the scales of normalisation layers."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.ndim == 1 and ("bias" in name or "Norm" in type(part).__name__):
                yield parameter


TRAINABLE = {"all": _all_parameters, "bias_norm": _biases_and_norms}


class FineTunedDiffusionGenerator(NetworkGenerator):
    """The baseline that goes on training the source model on target rows.

    Parameters
    ----------
    source_model : DiffusionGenerator, FrozenEstimator of a fitted one, or None
        As for `TGDPGenerator`. The fitted source model itself is never changed.
    trainable : {"all", "bias_norm"}, default="all"
        Train every weight, or only biases and normalisation scales (parameter-efficient).
    max_steps, lr : int, float, default=1500, 0.001
        Gradient steps on the target rows, and their rate.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is 1,024 for tables and 32 for series.
    weight_decay, ema_decay, early_stopping, validation_fraction, solver, n_steps, memory, device, \
compile, precision, random_state, verbose, callbacks, max_memorization
        As for `DiffusionGenerator`.
    warm_start : bool, default=False
        Let a further fit go on from the weights of the last one; its source model is taken as it is.

    Attributes
    ----------
    source_model_ : DiffusionGenerator
    network_, transformer_, classes_, history_, n_parameters_, fit_time_, diagnostics_, n_features_in_
        As for `DiffusionGenerator`.
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = {**FOUR_ARRAYS, **CHECKPOINT}
    _by_rank: ClassVar[dict[str, ByRank]] = {"batch_size": ByRank(1024, 32)}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseGenerator._training_constraints,
        **BaseGenerator._stopping_constraints,
        "source_model": [object, None],
        "trainable": [StrOptions(set(TRAINABLE))],
    }

    def __init__(
        self,
        source_model: Any = None,
        *,
        trainable: str = "all",
        max_steps: int = 1500,
        batch_size: int | str = "auto",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.995,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.2,
        solver: str = "dpm++2m",
        n_steps: int = 25,
        memory: Any = None,
        device: str = "auto",
        compile: bool = False,
        precision: str = "fp32",
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
        max_memorization: float | None = None,
        warm_start: bool = False,
    ) -> None:
        self.source_model = source_model
        self.trainable = trainable
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay, self.ema_decay = weight_decay, ema_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.solver, self.n_steps = solver, n_steps
        self.memory = memory
        self.device, self.compile, self.precision = device, compile, precision
        self.random_state = random_state
        self.verbose, self.callbacks, self.warm_start = verbose, callbacks, warm_start
        self.max_memorization = max_memorization

    def fit(
        self,
        X_src: ArrayLike | None,
        y_src: Any = None,
        X_tgt: ArrayLike | None = None,
        y_tgt: Any = None,
        *,
        sample_domain: ArrayLike | None = None,
        checkpoint: Checkpoint = None,
    ) -> FineTunedDiffusionGenerator:
        """Train the source model and go on with the target rows; see `TGDPGenerator.fit`."""
        self._validate_params()
        domains = split_domains(X_src, y_src, X_tgt, y_tgt, sample_domain)
        with open_checkpoint(checkpoint, self) as kept, self._as_it_was_on_errors():
            return self._fit(domains, kept)

    def _fit(self, domains: Domains, checkpoint: FitCheckpoint) -> FineTunedDiffusionGenerator:
        seed = checkpoint.seed(self.random_state, FitMemory(self.memory))
        self.fit_time_ = {}
        goes_on, of_source = self._goes_on, checkpoint.part("source")
        source_model = FrozenEstimator(self.source_model_) if goes_on else self.source_model
        shared = {name: getattr(self, name) for name in SHARED_WITH_SOURCE}
        if domains.X_tgt is None:
            source = source_alone(self, domains, seed=seed, checkpoint=of_source, **shared)
            self.network_, self.n_parameters_, self.history_ = source.network_, 0, []
            return self
        with self._phase("source"):
            source, domains, _ = prepare_source(
                source_model, domains, seed=seed, checkpoint=of_source, **shared
            )
        validate_data(self, domains.X_tgt, skip_check_array=True)
        z, codes = adopt_source(self, source, domains.X_tgt, domains.y_tgt)
        module, module_params = source._module(z.shape[1:])
        self._train(
            z, codes, seed + 1, module=module, module_params=module_params, phase="fine-tuning",
            checkpoint=checkpoint, start=self.network_ if goes_on else source.network_,
            trainable=TRAINABLE[self.trainable],
        )  # fmt: skip
        return self
