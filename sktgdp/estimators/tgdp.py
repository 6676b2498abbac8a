"""The Transfer Guided Diffusion Process: a source diffusion model guided to the target domain."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._defaults import ByRank
from sktgdp.estimators._finite import finite_rows
from sktgdp.estimators._guidance_fit import (
    GuidanceFit,
    TwoDomains,
    balance_source_rows,
    fit_ratio,
    try_guidance_network,
)
from sktgdp.estimators._noised_input import noised_input
from sktgdp.estimators._overlap import domain_overlap, overlap_weights, warn_if_apart
from sktgdp.estimators._rows.adoption import continued
from sktgdp.estimators._rows.domains import (
    CHECKPOINT,
    FOUR_ARRAYS,
    Domains,
    Floats,
    rows_as_fitted,
    split_domains,
)
from sktgdp.estimators._rows.units import to_units
from sktgdp.estimators._source import SHARED_WITH_SOURCE, adopt_source, prepare_source, source_alone
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators._training.objectives import GUIDANCE_LOSSES
from sktgdp.estimators.density_ratio import DomainClassifier
from sktgdp.guidance import TimeFunction, guided_noise_prediction
from sktgdp.nets import AnyPrecision, written_gradient

__all__ = ["TGDPGenerator"]

Weight = float | str


class TGDPGenerator(BaseGenerator):
    """Generator of a small target domain: a frozen source diffusion model plus learned guidance.

    Three steps: a domain classifier estimates the density ratio r = q/p of target to source; a small
    guidance network h learns E[r | x_t] with two regularisers; the source's score plus the gradient of
    log h samples the target. The source model is never changed.

    Parameters
    ----------
    source_model : DiffusionGenerator, FrozenEstimator of a fitted one, or None, default=None
        None trains a default `DiffusionGenerator` on the source rows; an unfitted one is cloned and trained;
        ``sklearn.frozen.FrozenEstimator(fitted)`` is used as it is and never trained.
    domain_classifier : DomainClassifier, any classifier with ``predict_proba``, or None, default=None
        Estimates the density ratio; None is a default `DomainClassifier`.
    guidance_module : class or callable, default=None
        Makes a guidance network from ``event_shape``, ``n_labels`` and ``process``; it is called with
        (x_t, t, y) and returns log h of shape (batch,). None is `sktgdp.nets.GuidanceMLP` for tables and
        `sktgdp.nets.GuidanceConv` for series.
    guidance_loss : {"kl", "mse"}, default="kl"
        Bregman divergence of the guidance term: generalised Kullback-Leibler, or the paper's squared error.
    eta_cycle, eta_consistency : float or "auto", default="auto"
        Weights of the cycle and the consistency regulariser, as means over coordinates (the paper's multiply
        sums). 0 switches a term off and trains nothing for it; "auto" chooses by the overlap of the domains,
        see `sktgdp.estimators.overlap_weights`.
    conditional : bool or "auto", default="auto"
        Whether labels condition the model; "auto" does so where labels are given.
    balance_source : bool, default=True
        Choose source rows so that their classes are as frequent as the target's, which takes the shift of
        the labels out of the ratio. Applies to classes, not to multi-label targets.
    hidden_sizes : sequence of int or "auto", default="auto"
        Hidden layers of the default guidance network and of the time-dependent classifier. For tables "auto"
        is three, each four times as wide as a row, but no less than 64 and no more than 256; for series they
        follow the strided convolutions, and "auto" is (48, 48).
    early_stopping : bool or "auto", default="auto"
        Let each guidance network hold out a fifth of the target rows and keep the weights that denoise
        them best. "auto" does so below 1,000 target rows where the ratio is resolved, with an effective
        sample size above half the number of coordinates, or where there are four target rows or more for
        each coordinate: elsewhere a fit that stops early stays between the domains.
    n_networks : int or "auto", default="auto"
        Guidance networks whose mean is taken; "auto" is 3 for tables below 1,000 target rows, else 1.
    max_steps : int or "auto", default="auto"
        Gradient steps of one guidance network; "auto" is 1,000 for each of several, 1,500 for a single one.
    batch_size : int or "auto", default="auto"
        Source rows per step, with twice as many target rows; "auto" is 256 for tables and 16 for series.
    lr, weight_decay, ema_decay : float, default=0.004, 0.0001, 0.995
        Of the guidance networks; see `DiffusionGenerator`.
    memory : str, Path, joblib.Memory or None, default=None
        Folder that keeps what does not depend on the two weights: the source network, the domain classifier
        and the time-dependent classifier. A search trains the source once. See `DiffusionGenerator`.
    solver, n_steps, device, compile, precision, random_state, verbose, callbacks, \
max_memorization
        As for `DiffusionGenerator`. What the consistency term differentiates twice is never compiled: torch
        cannot.
    warm_start : bool, default=False
        Let a further fit go on from the guidance networks of the last one. Its source model is taken as it
        is; the density ratio, which needs rows that it has not seen, is learned anew.

    Attributes
    ----------
    source_model_ : DiffusionGenerator
    domain_classifier_ : DomainClassifier
        Fitted on rows in the units of ``transformer_``.
    time_classifier_ : nn.Module or None
        Time-dependent log ratio of the cycle term; None where ``eta_cycle_`` is 0.
    guidance_ : nn.Module
        Log of the guidance function h.
    transformer_ : transformer
        That of the source model.
    classes_ : ndarray of shape (n_classes,)
    target_prior_ : ndarray of shape (n_classes,) or None
        Share of the target rows that carry each label.
    eta_cycle_, eta_consistency_ : float
        The weights used.
    effective_sample_size_ : float
        Of the ratio on the source rows; near 1 where the domains hardly overlap.
    overlap_ : float
        Share of the evidence that comes through the ratio, see `sktgdp.estimators.domain_overlap`.
    history_ : list of dict
        Every term of the loss, by phase and step.
    n_parameters_ : int
        Parameters trained on the target side.
    fit_time_, diagnostics_, n_features_in_, feature_names_in_
        As for `DiffusionGenerator`; the second tells the overlap, too, and is about the target rows.

    References
    ----------
    Ouyang, Xie, Zha, Cheng, "Transfer Learning for Diffusion Models", NeurIPS 2024, arXiv 2405.16876.

    Examples
    --------
    >>> from sktgdp import TGDPGenerator
    >>> from sktgdp.datasets import make_gaussian_mixture_shift
    >>> X_src, y_src, X_tgt, y_tgt = make_gaussian_mixture_shift(random_state=0)
    >>> gen = TGDPGenerator(random_state=0).fit(X_src, y_src, X_tgt, y_tgt)  # doctest: +SKIP
    >>> X_new, y_new = gen.sample(1000, y=1)  # doctest: +SKIP
    """

    _fitted_attribute = "n_parameters_"
    _memory: FitMemory
    source_model_: Any
    domain_classifier_: Any  # like the next two None after a fit without target rows
    guidance_: Any
    target_prior_: NDArray[np.float32] | None
    time_classifier_: nn.Module | None
    __metadata_request__fit: ClassVar[dict[str, str]] = {**FOUR_ARRAYS, **CHECKPOINT}
    _by_rank: ClassVar[dict[str, ByRank]] = {"batch_size": ByRank(256, 16)}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseGenerator._training_constraints,
        "max_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "source_model": [object, None],
        "domain_classifier": [DomainClassifier, HasMethods(["fit", "predict_proba"]), None],
        "guidance_module": [callable, None],
        "guidance_loss": [StrOptions(GUIDANCE_LOSSES.keys())],
        "eta_cycle": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "eta_consistency": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "conditional": ["boolean", StrOptions({"auto"})],
        "balance_source": ["boolean"],
        "hidden_sizes": ["array-like", tuple, StrOptions({"auto"})],
        "early_stopping": BaseGenerator._stopping_constraints["early_stopping"],
        "n_networks": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        source_model: Any = None,
        *,
        domain_classifier: Any = None,
        guidance_module: Any = None,
        guidance_loss: str = "kl",
        eta_cycle: Weight = "auto",
        eta_consistency: Weight = "auto",
        conditional: bool | str = "auto",
        balance_source: bool = True,
        hidden_sizes: Sequence[int] | str = "auto",
        early_stopping: bool | str = "auto",
        n_networks: int | str = "auto",
        max_steps: int | str = "auto",
        batch_size: int | str = "auto",
        lr: float = 4e-3,
        weight_decay: float = 1e-4,
        ema_decay: float = 0.995,
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
        self.source_model, self.domain_classifier = source_model, domain_classifier
        self.guidance_module, self.guidance_loss = guidance_module, guidance_loss
        self.eta_cycle, self.eta_consistency, self.callbacks = eta_cycle, eta_consistency, callbacks
        self.conditional, self.balance_source, self.verbose = conditional, balance_source, verbose
        self.hidden_sizes, self.early_stopping, self.n_networks = hidden_sizes, early_stopping, n_networks
        self.max_steps, self.batch_size, self.max_memorization = max_steps, batch_size, max_memorization
        self.weight_decay, self.ema_decay, self.random_state = weight_decay, ema_decay, random_state
        self.solver, self.n_steps, self.memory, self.warm_start = solver, n_steps, memory, warm_start
        self.device, self.compile, self.precision, self.lr = device, compile, precision, lr

    def fit(
        self,
        X_src: ArrayLike | None,
        y_src: Any = None,
        X_tgt: ArrayLike | None = None,
        y_tgt: Any = None,
        *,
        sample_domain: ArrayLike | None = None,
        checkpoint: Checkpoint = None,
    ) -> TGDPGenerator:
        """Learn the target domain from many source rows and few target rows.

        Parameters
        ----------
        X_src : array-like of shape (m, d) or (m, channels, length), or None
            Source rows. None draws them from a frozen ``source_model`` (source-free transfer).
        y_src : array-like of shape (m,) or (m, k), optional
            Classes, or a multi-label indicator.
        X_tgt : array-like of shape (n, d) or (n, channels, length), at least 2 rows
        y_tgt : array-like of shape (n,) or (n, k), optional
            Labels among those of the source; given exactly where ``y_src`` is.
        sample_domain : array-like of shape (m + n,), optional
            With it ``X_src`` and ``y_src`` are stacked rows and labels: >= 0 source, < 0 target.
        checkpoint : path, optional
            Folder from which a fit that was killed goes on; see `DiffusionGenerator.fit`.

        Returns
        -------
        self
            Without target rows and ``sample_domain``: the source model, unguided, with a warning. After
            Ctrl-C in the last phase, the guidance: with what it had learned, and a warning.
        """
        self._validate_params()
        domains = split_domains(X_src, y_src, X_tgt, y_tgt, sample_domain)
        with open_checkpoint(checkpoint, self) as kept, self._as_it_was_on_errors():
            return self._fit(domains, kept)

    def _fit(self, domains: Domains, checkpoint: FitCheckpoint) -> TGDPGenerator:
        self._memory = FitMemory(self.memory)
        seed = checkpoint.seed(self.random_state, self._memory)
        before = self.history_ if self._goes_on else []
        self.fit_time_, self.history_ = {}, []
        if domains.X_tgt is None:
            return self._take_source_alone(domains, seed, checkpoint)
        data = self._fit_source(domains, seed, checkpoint)
        self._fit_ratio(data, seed + 1, checkpoint)
        interrupted = self._fit_guidance(data, seed + 2, checkpoint)
        self.history_ = continued(before, self.history_)
        self._diagnose(None if interrupted else data.target, seed)
        return self

    def _take_source_alone(self, domains: Domains, seed: int, checkpoint: FitCheckpoint) -> TGDPGenerator:
        """What a fit without target rows means: the source model, unguided."""
        shared = {name: getattr(self, name) for name in SHARED_WITH_SOURCE}
        if self.conditional is False:
            domains = domains._replace(y_src=None, y_tgt=None)
        source = source_alone(self, domains, seed=seed, checkpoint=checkpoint.part("source"), **shared)
        self.history_ = list(source.history_)
        self.guidance_ = self.domain_classifier_ = self.time_classifier_ = self.target_prior_ = None
        self.eta_cycle_, self.eta_consistency_, self.n_parameters_ = 0.0, 0.0, 0
        return self

    def _fit_source(self, domains: Domains, seed: int, checkpoint: FitCheckpoint) -> TwoDomains:
        """Step 0: the source model, and the rows of both domains in its units."""
        if self.conditional is False:
            domains = domains._replace(y_src=None, y_tgt=None)
        elif self.conditional is True and domains.y_tgt is None:
            raise ValueError("conditional=True needs labels: give y_src and y_tgt.")
        with self._phase("source"):
            shared = {name: getattr(self, name) for name in SHARED_WITH_SOURCE}
            source, domains, trained = prepare_source(
                FrozenEstimator(self.source_model_) if self._goes_on else self.source_model,
                domains, seed=seed, checkpoint=checkpoint.part("source"),
                before_training=partial(try_guidance_network, self), **shared,
            )  # fmt: skip
        if trained:
            self.history_ += source.history_
        validate_data(self, domains.X_tgt, skip_check_array=True)
        z_target, codes = adopt_source(self, source, domains.X_tgt, domains.y_tgt)
        self.target_prior_ = None if codes is None else codes.mean(axis=0)
        rows = rows_as_fitted(domains.X_src, source.form_, "X_src")
        z_source = to_units(source.transformer_, rows, "X_src")
        source_codes = None if domains.y_src is None else source.labels_.encode(domains.y_src, "y_src")
        data = TwoDomains(z_source, source_codes, z_target, codes)
        if self.balance_source and self.labels_.kind == "class":
            return balance_source_rows(data, seed)
        return data

    def _fit_ratio(self, data: TwoDomains, seed: int, checkpoint: FitCheckpoint) -> None:
        """Step 1: the density ratio, its effective sample size, and the weights that follow from it."""
        with self._phase("domain classifier"):
            self.domain_classifier_ = fit_ratio(self, data, seed, checkpoint.part("ratio"))
        self.effective_sample_size_ = self.domain_classifier_.effective_sample_size_
        n_features = int(np.prod(data.target.shape[1:]))
        self.overlap_ = domain_overlap(self.effective_sample_size_, len(data.target), n_features)
        cycle, consistency = overlap_weights(self.overlap_)
        self.eta_cycle_ = cycle if self.eta_cycle == "auto" else float(self.eta_cycle)
        self.eta_consistency_ = consistency if self.eta_consistency == "auto" else float(self.eta_consistency)
        warn_if_apart(self.effective_sample_size_, len(data.source), self.eta_consistency_)

    def _fit_guidance(self, data: TwoDomains, seed: int, checkpoint: FitCheckpoint) -> bool:
        """Step 2: the time-dependent ratio if the cycle term is on, and the guidance; whether interrupted."""
        fit = GuidanceFit(self, data, self.domain_classifier_, seed, checkpoint)
        start = (self.time_classifier_, self.guidance_) if self._goes_on else (None, None)
        self.time_classifier_ = None
        if self.eta_cycle_ > 0:
            with self._phase("time classifier"):
                self.time_classifier_ = fit.time_classifier(start[0])
        with self._phase("guidance"):
            self.guidance_ = fit.guidance(self.time_classifier_, start[1])
        self.history_ += fit.history
        self.n_parameters_ = fit.n_parameters + self.domain_classifier_.n_parameters_
        return fit.interrupted

    def save(self, path: str | Path, *, domain_classifier: bool = True) -> None:
        """Save the fitted generator; see `DiffusionGenerator.save`.

        Parameters
        ----------
        path : str or Path
        domain_classifier : bool, default=True
            False leaves it out, where it is one of another package: samples and densities do not need it,
            `log_density_ratio` does.
        """
        model = self
        if not domain_classifier:
            model = copy.copy(self)
            model.domain_classifier_ = model.domain_classifier = None
        super(TGDPGenerator, model).save(path)

    def noise_model(self, y: Tensor | None = None) -> TimeFunction:
        """Guided noise prediction in the units of ``transformer_`` (Theorem 3.1).

        See `BaseGenerator.noise_model` for parameters and shapes.
        """
        check_is_fitted(self)
        if self.guidance_ is None:
            return self.source_model_.noise_model(y)
        guidance = AnyPrecision(self.guidance_)
        known = written_gradient(self.guidance_) is not None
        return guided_noise_prediction(
            self.source_model_.noise_model(y), lambda x_t, t: guidance(x_t, t, y), self.process_,
            gradient=(lambda x_t, t: guidance.gradient(x_t, t, y)) if known else None,
        )  # fmt: skip

    def log_density_ratio(self, X: ArrayLike, y: Any = None) -> Floats:
        """Estimated log q/p of rows in the user's units, shape (n,).

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
        y : array-like of n labels
            Needed exactly where the fit had labels. With ``balance_source`` the source's classes are taken to
            be as frequent as the target's.
        """
        self._check_guided()
        if self.domain_classifier_ is None:
            raise ValueError("The model was saved without its domain classifier, so it has no ratio.")
        return self.domain_classifier_.log_density_ratio(self._to_units(X), y)

    def _check_guided(self) -> None:
        check_is_fitted(self)
        if self.guidance_ is None:
            raise ValueError("The model was fitted without target rows: it has neither ratio nor guidance.")

    def guidance(self, x_t: ArrayLike, t: ArrayLike, y: Any = None) -> Floats:
        """Evaluate log h at noised rows in the units of ``transformer_``, shape (n,).

        Parameters
        ----------
        x_t : array-like of shape (n, ...)
        t : float or array-like of shape (n,)
            Times in (0, 1].
        y : array-like of n labels
            Needed exactly where the fit had labels.
        """
        self._check_guided()
        arguments = noised_input(self, x_t, t, y)
        with torch.no_grad():
            values = self.guidance_(*arguments)
        return finite_rows(values.double().cpu().numpy(), "Log h")
