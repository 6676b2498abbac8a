"""The diffusion model of one domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._defaults import SCORE_NETWORK, SCORE_SIZES, ByRank
from sktgdp.estimators._own_transformer import try_way_back
from sktgdp.estimators._rows.adoption import adopt, continued
from sktgdp.estimators._rows.domains import CHECKPOINT, InputForm, Units, check_rows
from sktgdp.estimators._rows.labels import LabelCode, LabelPrior, check_labels
from sktgdp.estimators._rows.units import fit_units
from sktgdp.estimators._sampling.support import remember_rows
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators._training.batches import Pool
from sktgdp.estimators._training.devices import rows_for
from sktgdp.estimators._training.interruption import TrainingInterrupted
from sktgdp.estimators._training.objectives import Denoising
from sktgdp.estimators._training.own_network import try_network
from sktgdp.estimators._training.processes import ALONE, Processes, join_processes
from sktgdp.estimators._training.progress import progress_callbacks
from sktgdp.estimators._training.trainer import TrainedNetwork, TrainingProblem, train_network
from sktgdp.guidance import TimeFunction
from sktgdp.nets import AnyPrecision
from sktgdp.process import VPProcess

__all__ = ["FEW_ROWS", "DiffusionGenerator", "NetworkGenerator"]

# Below this many rows "auto" holds rows out: there a network learns them by heart before it stops.
FEW_ROWS = 1000


class NetworkGenerator(BaseGenerator):
    """A generator whose noise prediction is one trained network."""

    _fitted_attribute = "network_"
    network_: nn.Module
    n_parameters_: int
    classes_: NDArray[Any]

    def noise_model(self, y: Tensor | None = None) -> TimeFunction:
        """Noise prediction in the units of ``transformer_``; see `BaseGenerator.noise_model`."""
        check_is_fitted(self)
        network = AnyPrecision(self.network_)
        return lambda x_t, t: network(x_t, t, y)

    def _pools(self, z: Units, codes: NDArray[np.float32] | None, seed: int) -> tuple[Pool, Pool | None]:
        """Training and held-out rows."""
        params = self.get_params(deep=False)
        n_rows, stop = len(z), params["early_stopping"]
        stop = n_rows < FEW_ROWS if stop == "auto" else stop
        n_valid = min(n_rows - 1, max(1, round(params["validation_fraction"] * n_rows))) if stop else 0
        order = torch.from_numpy(np.random.default_rng(seed).permutation(n_rows))
        rows = rows_for(torch.from_numpy(z), self.device_)
        labels = None if codes is None else torch.from_numpy(codes).to(rows.device)
        batch_size = self._resolved("batch_size", z.shape[1:])
        pools = [
            Pool(rows, labels, batch_size, subset=part.to(rows.device))
            for part in (order[n_valid:], order[:n_valid])
        ]
        return pools[0], pools[1] if n_valid else None

    def _train(
        self,
        z: Units,
        codes: NDArray[np.float32] | None,
        seed: int,
        *,
        module: Any,
        module_params: dict[str, Any],
        phase: str,
        checkpoint: FitCheckpoint,
        processes: Processes = ALONE,
        **options: Any,
    ) -> None:
        train, valid = self._pools(z, codes, seed)
        params = self.get_params(deep=False)
        held = None if valid is None else {"rows": valid}
        problem = TrainingProblem(Denoising(), {"rows": train}, self.process_, phase, valid_pools=held)
        by_rank = {name: self._resolved(name, z.shape[1:]) for name in ("max_steps", "lr")}
        settings = self._training_settings(**by_rank)
        bar = progress_callbacks(params["verbose"] and processes.index == 0, phase, settings)
        depends_on = {name: params[name] for name in ("early_stopping", "validation_fraction")}
        depends_on |= {"module": module, "module_params": module_params, "batch_size": train.batch_size}
        depends_on |= {"settings": settings, "rows": z}
        depends_on |= {"labels": codes, "seed": seed, "device": str(self.device_), **options}

        def compute() -> TrainedNetwork:
            return train_network(
                module, module_params, problem, settings,
                seed=seed, device=self.device_, callbacks=[*bar, *(params["callbacks"] or ())],
                checkpoint=checkpoint, processes=processes, **options,
            )  # fmt: skip

        trained, complete = self._keep(compute, phase, depends_on, checkpoint)
        before = self.history_ if self._goes_on else []
        self.network_, self.history_ = trained.module, continued(before, trained.history)
        self.n_parameters_ = trained.n_parameters
        self._diagnose(z if complete else None, seed)

    def _keep(
        self,
        compute: Callable[[], TrainedNetwork],
        phase: str,
        depends_on: dict[str, Any],
        checkpoint: FitCheckpoint,
    ) -> tuple[TrainedNetwork, bool]:
        """Train a network or read it from the memory; whether it was trained to its end."""
        with self._phase(phase):
            try:
                return FitMemory(self.get_params(deep=False)["memory"]).fit(phase, depends_on, compute), True
            except TrainingInterrupted as stop:
                return stop.keep(checkpoint), False


class DiffusionGenerator(NetworkGenerator):
    """Diffusion model of one domain: the source model, or the vanilla baseline on target rows.

    A network learns the noise in x_t = alpha_t x_0 + sigma_t eps by denoising score matching; samples
    follow the probability-flow equation back from noise. Rows are those of a table, (n, d), or series,
    (n, channels, length); the default network is a perceptron for the one and a U-Net for the other.

    Parameters
    ----------
    module : class or callable, default=None
        Makes the network from ``event_shape`` (tuple), ``n_labels`` (int) and ``process`` (`VPProcess`); it
        is called with (x_t, t, y) and returns the noise. None is `sktgdp.nets.ScoreMLP` for tables and
        `sktgdp.nets.ScoreConv` for series.
    hidden_sizes : sequence of int or "auto", default="auto"
        Of the default network: for tables the hidden layers, "auto" is (128, 128, 128), and (256, 256, 256)
        where a row has over 64 numbers, indicators of categories among them; for series the channels on each
        level, every level four times as coarse as the last, "auto" is (24, 48, 96, 192).
    max_steps : int or "auto", default="auto"
        Gradient steps; "auto" is 3,000 for tables and 1,500 for series.
    batch_size : int or "auto", default="auto"
        Rows per step; may exceed the number of rows, which are then repeated with fresh noise. "auto" is 512
        for tables and 32 for series.
    lr : float or "auto", default="auto"
        Highest rate of AdamW, with warm-up and cosine decay; "auto" is 0.003 for tables and 0.001 for series,
        whose networks a single outlying batch can put out of action at the higher rate.
    weight_decay : float, default=0.0001
    ema_decay : float, default=0.995
        Of the moving average of the weights that is kept; 0 keeps the last weights, without an average.
    early_stopping : bool or "auto", default="auto"
        Hold rows out and keep the weights that denoise them best; "auto" does so below 1,000 rows.
    validation_fraction : float, default=0.2
        Share of the rows held out.
    solver : str, default="dpm++2m"
        A key of `sktgdp.solvers.SOLVERS`.
    n_steps : int, default=25
        Solver steps.
    transformer : "auto" or transformer, default="auto"
        Brings rows to units of about 1 and back; "auto" is `sktgdp.preprocessing.RowStandardizer` for arrays
        and `sktgdp.preprocessing.MixedTypeEncoder` for frames. A transformer of your own needs
        ``inverse_transform``, and, for densities, ``log_abs_det_jacobian`` where it is none of scikit-learn's
        StandardScaler, MinMaxScaler, RobustScaler and MaxAbsScaler.
    memory : str, Path, joblib.Memory or None, default=None
        Folder in which the trained network is kept: a fit of the same rows with the same parameters and seed
        reads it. With a folder, ``random_state=None`` stands for one seed that is drawn once and kept there.
        Delete the folder after changing the code of a ``module`` of your own.
    device : str, default="auto"
        A torch device, such as "cpu", "cuda:1" or "mps"; "auto" is CUDA, then MPS, then the CPU. One that
        is not there is refused, and those that are get listed. Estimators with a ``source_model``: it moves
        there, and is trained there unless it names a device of its own; "auto" is where the model lies.
    compile : bool, default=False
        Train through `torch.compile`, which pays for long trainings of large networks. Where there is no
        compiler a warning says so and the training goes on without.
    precision : {"fp32", "bf16"}, default="fp32"
        "bf16" computes the products of a training step in bfloat16, where the loss allows it: faster on
        recent GPUs, and right but rarely faster on CPUs. Weights and samples stay in single precision.
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        Above 0 shows a progress bar.
    callbacks : sequence of skorch callbacks, default=None
    max_memorization : float in [0, 1] or None, default=None
        Largest share of copies of training rows among samples: copies are drawn again, and above the share
        `sample` raises. Keeps the training rows in the model, but not in what ``save`` writes.
    warm_start : bool, default=False
        Let a further fit go on from the weights, the units and the classes of the last one, with the same
        rows or others of the same form. Optimiser and schedule start anew.
    data_parallel : bool, default=False
        Train in all processes that ``accelerate launch`` or ``torchrun`` started with this one (extra
        ``accelerate``), all given the same rows. Each draws batches of ``batch_size`` rows of its own, the
        gradients are averaged, and all end with the same model. Excludes ``memory`` and ``checkpoint``.
        A process that is alone warns, and trains as without it.

    Attributes
    ----------
    network_ : nn.Module
    transformer_ : transformer
    classes_ : ndarray of shape (n_classes,)
        Empty without labels; column numbers for multi-label targets.
    history_ : list of dict
        Losses, one entry per 5 % of the steps or 50 of them.
    n_parameters_ : int
        Number of trained parameters.
    fit_time_ : dict of str to float
        Seconds per phase.
    diagnostics_ : dict of str to float
        How the fit went: up to 256 rows (16 series) drawn from it beside its training rows, and beside each
        training row held out from the others (``..._holdout``), in the units of ``transformer_``.
        ``memorization_ratio`` and ``distance_to_closest_record`` as in `sktgdp.metrics`, the latter's 5 %
        quantile and median; ``outside_support`` and ``far_outside_support``, the shares of rows with a value
        beyond the range of the training rows by a tenth, or a half, of its length (of series a half of the
        channel's); ``n_drawn``; and the steps that were skipped. What needs samples is missing after Ctrl-C,
        and what needs a second closest row where there is none.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, for frames

    References
    ----------
    Song et al., "Score-Based Generative Modeling through Stochastic Differential Equations", ICLR 2021.
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = CHECKPOINT
    _by_rank: ClassVar[dict[str, ByRank]] = {
        "hidden_sizes": SCORE_SIZES,
        "max_steps": ByRank(3000, 1500),
        "lr": ByRank(3e-3, 1e-3),
        "batch_size": ByRank(512, 32),
    }
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseGenerator._training_constraints,
        **BaseGenerator._stopping_constraints,
        "module": [callable, None],
        "hidden_sizes": ["array-like", tuple, StrOptions({"auto"})],
        "max_steps": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "transformer": [StrOptions({"auto"}), HasMethods(["fit", "transform", "inverse_transform"])],
        "data_parallel": ["boolean"],
    }

    def __init__(
        self,
        module: Any = None,
        *,
        hidden_sizes: Sequence[int] | str = "auto",
        max_steps: int | str = "auto",
        batch_size: int | str = "auto",
        lr: float | str = "auto",
        weight_decay: float = 1e-4,
        ema_decay: float = 0.995,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.2,
        solver: str = "dpm++2m",
        n_steps: int = 25,
        transformer: Any = "auto",
        memory: Any = None,
        device: str = "auto",
        compile: bool = False,
        precision: str = "fp32",
        random_state: Any = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
        max_memorization: float | None = None,
        warm_start: bool = False,
        data_parallel: bool = False,
    ) -> None:
        self.module = module
        self.hidden_sizes = hidden_sizes
        self.max_steps, self.batch_size = max_steps, batch_size
        self.lr, self.weight_decay, self.ema_decay = lr, weight_decay, ema_decay
        self.early_stopping, self.validation_fraction = early_stopping, validation_fraction
        self.solver, self.n_steps = solver, n_steps
        self.transformer, self.memory = transformer, memory
        self.device, self.compile, self.precision = device, compile, precision
        self.random_state = random_state
        self.verbose, self.callbacks, self.warm_start = verbose, callbacks, warm_start
        self.max_memorization, self.data_parallel = max_memorization, data_parallel

    def fit(self, X: ArrayLike, y: Any = None, *, checkpoint: Checkpoint = None) -> DiffusionGenerator:
        """Learn the distribution of the rows, given their labels if there are any.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
        y : array-like of shape (n,) or (n, k), optional
            Classes, or a multi-label indicator.
        checkpoint : path, optional
            Folder, made if missing, that keeps the state of the fit: a fit that was killed goes on from there
            when it is called again in the same way, and ends with the same weights, bit by bit. A finished
            fit is read from it. Of another fit it is refused with `sktgdp.exceptions.CheckpointError`.

        Returns
        -------
        self
            After Ctrl-C with the best weights until then, and a warning.
        """
        self._validate_params()
        processes = self._processes(checkpoint)
        with open_checkpoint(checkpoint, self) as kept, self._as_it_was_on_errors():
            seed = processes.gather(kept.seed(self.random_state, FitMemory(self.memory)))[0]
            z, codes = self._units_of(X, y, processes)
            self.fit_time_ = {}
            processes.check_same(X=z, y=codes)
            module, module_params = self._module(z.shape[1:])
            self._train(
                z, codes, seed, module=module, module_params=module_params, phase="diffusion",
                checkpoint=kept, processes=processes, start=self.network_ if self._goes_on else None,
            )  # fmt: skip
        return self

    def _processes(self, checkpoint: Checkpoint) -> Processes:
        """Those that train together, by the parameter ``data_parallel``."""
        if not self.data_parallel:
            return ALONE
        given = checkpoint.folder if isinstance(checkpoint, FitCheckpoint) else checkpoint
        return join_processes(self.device, memory=self.memory, checkpoint=given)

    def _units_of(self, X: Any, y: Any, processes: Processes) -> tuple[Units, NDArray[np.float32] | None]:
        """Check rows and labels, and bring them to the units of the fit: those of the last, or new ones."""
        rows = check_rows(X, "X", min_rows=2)
        labels = None if y is None else check_labels(y, X, "y")
        if self._goes_on:
            z, codes = adopt(self, self, X, labels, names=("X", "y", "the model (warm_start=True)"))
            self.device_ = processes.resolve_device(self.device)
            return z, codes
        validate_data(self, X, skip_check_array=True)
        self.process_ = VPProcess()
        self.device_ = processes.resolve_device(self.device)
        self.form_ = InputForm.of(X, rows)
        self.labels_ = LabelCode(labels)
        self.classes_ = self.labels_.classes
        codes = None if labels is None else self.labels_.encode(labels)
        self.prior_ = None if codes is None else LabelPrior.of(codes)
        self.transformer_, z = fit_units(self.transformer, rows, "X")
        if self.transformer != "auto":
            try_way_back(self.transformer_, z, self.form_)
        self.latent_shape_ = z.shape[1:]
        remember_rows(self, z)
        return z, codes

    def _module(self, event_shape: tuple[int, ...]) -> tuple[Any, dict[str, Any]]:
        """Class of the network and its arguments."""
        params = {"event_shape": event_shape, "n_labels": self.labels_.n_labels, "process": self.process_}
        if self.module is not None:
            try_network("module", self.module, params, self.device_)
            return self.module, params
        sizes = self._resolved("hidden_sizes", event_shape)
        return SCORE_NETWORK.of(event_shape), params | {"hidden_sizes": tuple(sizes)}
