"""Step 2 of TGDP: the networks on noised rows, trained on both domains together."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from torch import Tensor, nn

from sktgdp.estimators._defaults import GUIDANCE_NETWORK, SERIES_GUIDANCE_SIZES, is_series
from sktgdp.estimators._overlap import resolution
from sktgdp.estimators._rows.domains import Domains, Units
from sktgdp.estimators._state.checkpoint import FitCheckpoint
from sktgdp.estimators._state.memory import settings_of
from sktgdp.estimators._training.batches import Pool
from sktgdp.estimators._training.devices import resolve_device
from sktgdp.estimators._training.interruption import TrainingInterrupted
from sktgdp.estimators._training.objectives import Guidance, NoisedDomain
from sktgdp.estimators._training.own_network import try_network
from sktgdp.estimators._training.progress import progress_callbacks
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainedNetwork, TrainingProblem, train_network
from sktgdp.estimators.density_ratio import DomainClassifier, folds
from sktgdp.estimators.diffusion import FEW_ROWS
from sktgdp.nets import MeanOf
from sktgdp.process import VPProcess

if TYPE_CHECKING:
    from sktgdp.estimators.tgdp import TGDPGenerator

__all__ = ["GuidanceFit", "TwoDomains", "balance_source_rows", "fit_ratio", "try_guidance_network"]

# Shares of the target rows of which one is held out.
N_FOLDS = 5

Codes = NDArray[np.float32]


class TwoDomains(NamedTuple):
    """Rows of both domains in the networks' units, their encoded labels, and which source rows are copies."""

    source: Units
    y_source: Codes | None
    target: Units
    y_target: Codes | None
    original: NDArray[np.intp] | None = None


def balance_source_rows(data: TwoDomains, seed: int) -> TwoDomains:
    """Choose source rows so that their classes are as frequent as the target's.

    Classes that are rarer in the target lose rows at random; those that are more frequent repeat all of
    theirs equally often. Every class of the source keeps at least one row.
    """
    assert data.y_source is not None
    assert data.y_target is not None
    rng = np.random.default_rng(seed)
    counts = data.y_target.sum(axis=0) + 1.0 / data.y_target.shape[1]
    wanted = np.maximum(1, np.rint(len(data.source) * counts / counts.sum())).astype(int)
    chosen = []
    for label, size in enumerate(wanted):
        rows = rng.permutation(np.flatnonzero(data.y_source[:, label] > 0.5))
        chosen.append(np.resize(rows, size))
    index = np.concatenate(chosen)
    return data._replace(source=data.source[index], y_source=data.y_source[index], original=index)


def fit_ratio(
    generator: TGDPGenerator, data: TwoDomains, seed: int, checkpoint: FitCheckpoint
) -> DomainClassifier:
    """Fit the domain classifier that a `TGDPGenerator` asks for, or read it from its memory."""
    given = generator.domain_classifier
    own = isinstance(given, DomainClassifier)
    classifier = clone(given) if own else DomainClassifier(given)
    if classifier.device == "auto":
        classifier.set_params(device=str(generator.device_))
    if classifier.random_state is None:
        classifier.set_params(random_state=seed)
    y_source, y_target = (
        None if y is None else generator.labels_.decode(y) for y in (data.y_source, data.y_target)
    )

    def compute() -> DomainClassifier:
        domains = Domains(data.source, y_source, data.target, y_target)
        return classifier._fit_repeated(domains, checkpoint, data.original)

    depends_on = {"kind": type(classifier), **settings_of(classifier), **data._asdict()}
    return generator._memory.fit("domain classifier", depends_on, compute)


def try_guidance_network(generator: TGDPGenerator, event_shape: tuple[int, ...], n_labels: int) -> None:
    """Try a guidance network of the user's own, while nothing is trained yet."""
    if generator.guidance_module is not None:
        params = {"event_shape": event_shape, "n_labels": n_labels, "process": VPProcess()}
        device = resolve_device(generator.device)
        try_network("guidance_module", generator.guidance_module, params, device, scalar=True)


class GuidanceFit:
    """Train the time-dependent classifier and the guidance networks of a `TGDPGenerator`.

    Parameters
    ----------
    generator : TGDPGenerator
        Gives parameters, weights, process and source model.
    data : TwoDomains
    classifier : DomainClassifier
        Fitted on ``data``.
    seed : int
    checkpoint : FitCheckpoint
    """

    def __init__(
        self,
        generator: TGDPGenerator,
        data: TwoDomains,
        classifier: DomainClassifier,
        seed: int,
        checkpoint: FitCheckpoint,
    ) -> None:
        self.generator, self.seed, self.checkpoint = generator, seed, checkpoint
        self.history: list[dict[str, Any]] = []
        self.n_parameters, self.interrupted = 0, False
        self.source = self._tensors(data.source, data.y_source, classifier)
        self.target = self._tensors(data.target, data.y_target, classifier)
        self.event_shape = tuple(data.source.shape[1:])
        self.batch_size: int = generator._resolved("batch_size", self.event_shape)

    @property
    def n_networks(self) -> int:
        """Number of guidance networks."""
        given = self.generator.n_networks
        if given == "auto":
            return 3 if len(self.target[0]) < FEW_ROWS and not is_series(self.event_shape) else 1
        return int(given)

    def _hidden_sizes(self, event_shape: tuple[int, ...]) -> tuple[int, ...]:
        given = self.generator.hidden_sizes
        if not isinstance(given, str):
            return tuple(given)
        if is_series(event_shape):
            return SERIES_GUIDANCE_SIZES
        return (min(256, max(64, 4 * math.prod(event_shape))),) * 3

    def _settings(self) -> TrainingSettings:
        """Length of one network's training; what several share, a single one does alone."""
        steps = self.generator.max_steps
        if steps == "auto":
            steps = 1000 if self.n_networks > 1 else 1500
        return self.generator._training_settings(max_steps=int(steps))

    def _tensors(
        self, rows: Units, codes: Codes | None, classifier: DomainClassifier
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Rows, encoded labels and log ratio on the device."""
        y = None if codes is None else self.generator.labels_.decode(codes)
        log_ratio = classifier.log_density_ratio(rows, y)
        x, r = (torch.from_numpy(a).float().to(self.generator.device_) for a in (rows, log_ratio))
        return x, None if codes is None else torch.from_numpy(codes).to(x), r

    def _module(self) -> tuple[Any, dict[str, Any]]:
        """Class of the networks and its arguments."""
        generator = self.generator
        event_shape = self.event_shape
        params: dict[str, Any] = {
            "event_shape": event_shape,
            "n_labels": generator.labels_.n_labels,
            "process": generator.process_,
        }
        if generator.guidance_module is not None:
            return generator.guidance_module, params
        return GUIDANCE_NETWORK.of(event_shape), params | {"hidden_sizes": self._hidden_sizes(event_shape)}

    def _train(
        self,
        problem: TrainingProblem,
        settings: TrainingSettings,
        seed: int,
        start: nn.Module | None,
        checkpoint: FitCheckpoint,
    ) -> TrainedNetwork:
        generator = self.generator
        module, params = self._module()
        callbacks = progress_callbacks(generator.verbose, problem.phase, settings)
        return train_network(
            module, params, problem, settings,
            seed=seed, device=generator.device_, callbacks=[*callbacks, *(generator.callbacks or ())],
            start=start, checkpoint=checkpoint,
        )  # fmt: skip

    def _note(self, trained: TrainedNetwork) -> nn.Module:
        """Put a training on record; the network."""
        self.history += trained.history
        self.n_parameters += trained.n_parameters
        return trained.module

    def time_classifier(self, start: nn.Module | None) -> nn.Module:
        """Train the log ratio q_t/p_t of noised rows, from the clean classifier's probabilities."""
        size = 2 * self.batch_size
        pools = {
            name: Pool(x, y, size, log_ratio=log_ratio)
            for name, (x, y, log_ratio) in (("source", self.source), ("target", self.target))
        }
        problem = TrainingProblem(NoisedDomain(), pools, self.generator.process_, "time classifier")
        settings = self._settings()
        # its labels are smooth already, so it is done sooner than the guidance
        settings = replace(settings, max_steps=min(1000, settings.max_steps))
        generator = self.generator
        module, params = self._module()
        depends_on = {"module": module, "module_params": params, "settings": settings, "seed": self.seed}
        depends_on |= {"batch_size": self.batch_size, "device": str(generator.device_), "start": start}
        for name, tensors in (("source", self.source), ("target", self.target)):
            depends_on[name] = [None if x is None else x.cpu().numpy() for x in tensors]
        kept = generator._memory.fit(
            "time classifier",
            depends_on,
            lambda: self._train(problem, settings, self.seed, start, self.checkpoint),
        )
        return self._note(kept)

    def guidance(self, time_classifier: nn.Module | None, start: nn.Module | None) -> nn.Module:
        """Train log h as the mean of networks that differ in their seed and their held-out fold.

        Interrupted, it is the mean of those that are done, or the first one as far as it is.
        """
        starts = self._starts(start)
        n_target = len(self.target[0])
        held: list[Tensor | None] = [None] * self.n_networks
        if self._stops_early():
            parts = folds(n_target, min(max(N_FOLDS, len(held)), n_target), self.seed)
            held = [torch.from_numpy(parts[k % len(parts)]) for k in range(len(held))]
        members: list[TrainedNetwork] = []
        try:
            for k, part in enumerate(held):
                members.append(self._member(time_classifier, part, k, starts[k]))
        except TrainingInterrupted as stop:
            unfinished, self.interrupted = stop.keep(self.checkpoint, enough=bool(members)), True
            members = members or [unfinished]
        networks = [self._note(each) for each in members]
        return networks[0] if len(networks) == 1 else MeanOf(networks)

    def _starts(self, start: nn.Module | None) -> list[Any]:
        """First weights of each network: those of the last fit, or new ones."""
        if start is None:
            return [None] * self.n_networks
        members = list(start.members) if isinstance(start, MeanOf) else [start]
        if len(members) != self.n_networks:
            raise ValueError(
                f"warm_start=True goes on with the {len(members)} guidance networks of the last fit, but "
                f"{self.n_networks} are wanted. Set n_networks={len(members)}, or warm_start=False."
            )
        return members

    def _stops_early(self) -> bool:
        stop = self.generator.early_stopping
        if stop != "auto":
            return bool(stop)
        n_target, *event_shape = self.target[0].shape
        n_features = math.prod(event_shape)
        resolved = resolution(self.generator.effective_sample_size_, n_features) >= 0.25
        # with several rows per coordinate the held-out ones tell overfitting apart by themselves
        return n_target < FEW_ROWS and (resolved or n_target >= 4 * n_features)

    def _member(
        self, time_classifier: nn.Module | None, held: Tensor | None, k: int, start: nn.Module | None
    ) -> TrainedNetwork:
        """Train one guidance network, stopped by the held-out target rows if there are any."""
        generator = self.generator
        size = self.batch_size
        (x_source, y_source, log_ratio), (x_target, y_target, _) = self.source, self.target
        normalised = log_ratio - torch.logsumexp(log_ratio, 0) + np.log(len(log_ratio))
        keep = torch.ones(len(x_target), dtype=torch.bool)
        if held is not None:
            keep[held] = False
        target, stop = (
            Pool(x_target[part], None if y_target is None else y_target[part], 2 * size)
            for part in (keep, ~keep)
        )
        source_network = generator.source_model_.network_
        objective = Guidance(
            source_network,
            generator.process_,
            generator.guidance_loss,
            time_classifier,
            generator.eta_consistency_ > 0,
        )
        problem = TrainingProblem(
            objective,
            {"source": Pool(x_source, y_source, size, log_ratio=normalised), "target": target},
            generator.process_,
            "guidance",
            valid_pools=None if held is None else {"target": stop},
            term_weights={"cycle": generator.eta_cycle_, "consistency": generator.eta_consistency_},
        )
        settings = self._settings()
        if objective.consistency:  # torch.compile cannot be differentiated twice
            settings = replace(settings, compile=False)
        kept = self.checkpoint.part(str(k + 1))
        return self._train(problem, settings, self.seed + 1 + k, start, kept)
