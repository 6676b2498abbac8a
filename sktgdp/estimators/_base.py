"""What every generator does once it is fitted: draw samples and give densities."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from sktgdp.estimators._defaults import ByRank, is_series, parts_of
from sktgdp.estimators._finite import finite_rows
from sktgdp.estimators._fit_diagnostics import noticed, with_drawn_rows
from sktgdp.estimators._own_transformer import log_abs_det_jacobian
from sktgdp.estimators._parameters import CheckedParameters
from sktgdp.estimators._rows.domains import Floats, InputForm, Units, rows_as_fitted
from sktgdp.estimators._rows.labels import check_labels
from sktgdp.estimators._rows.units import to_exact_units
from sktgdp.estimators._sampling.mixin import SamplingMixin
from sktgdp.estimators._state.persistence import Persistent
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.likelihood import log_density
from sktgdp.solvers import SOLVERS

__all__ = ["BaseGenerator"]

_LOG = logging.getLogger("sktgdp")

# Rows of tables, or numbers in the rows of series, that go through a network together.
DENSITY_CHUNK = {"rows": 1_024, "coordinates": 2**17}


class BaseGenerator(Persistent, SamplingMixin, CheckedParameters):
    """Sampling and densities over a noise prediction in transformed units.

    A subclass sets ``process_``, ``transformer_``, ``latent_shape_`` (of a row in the transformer's units),
    ``form_`` (an `InputForm`), ``labels_`` (a `LabelCode`),
    ``prior_`` (a `LabelPrior` or None), ``device_`` and ``fit_time_``, gives `noise_model`, and names in
    ``_fitted_attribute`` what a fit sets last.
    """

    _fitted_attribute: ClassVar[str]
    _by_rank: ClassVar[dict[str, ByRank]] = {}  # what "auto" stands for, by parameter

    fit_time_: dict[str, float]
    _diagnostics: dict[str, float]
    history_: list[dict[str, Any]]
    verbose: int
    warm_start: bool

    _training_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "memory": [str, Path, HasMethods(["cache"]), None],
        "solver": [StrOptions(SOLVERS.keys())],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "compile": ["boolean"],
        "precision": [StrOptions({"fp32", "bf16"})],
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
        "callbacks": ["array-like", tuple, None],
        "max_memorization": [Interval(Real, 0, 1, closed="both"), None],
        "warm_start": ["boolean"],
    }
    _stopping_constraints: ClassVar[dict[str, list[Any]]] = {
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def _resolved(self, name: str, event_shape: tuple[int, ...]) -> Any:
        """A parameter, or what "auto" stands for with rows of this shape."""
        given = getattr(self, name)
        return self._by_rank[name].of(event_shape, given) if name in self._by_rank else given

    def _training_settings(self, **changes: Any) -> TrainingSettings:
        """Settings of one network's training, as the parameters say but for the changes."""
        params = self.get_params(deep=False) | changes
        names = ("max_steps", "lr", "weight_decay", "ema_decay", "compile", "precision")
        return TrainingSettings(**{name: params[name] for name in names})

    @property
    def _goes_on(self) -> bool:
        """Whether a fit starts from what the last one left."""
        return self.warm_start and hasattr(self, self._fitted_attribute)

    @contextmanager
    def _as_it_was_on_errors(self) -> Iterator[None]:
        """With ``warm_start``, leave the last fit's results where the next one fails."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            if self._goes_on:
                self.__dict__ = before
            raise

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Time one phase of the fit, and log it."""
        _LOG.debug("%s: %s begins", type(self).__name__, name)
        start = time.perf_counter()
        yield
        self.fit_time_[name] = time.perf_counter() - start
        _LOG.debug("%s: %s took %.1f s", type(self).__name__, name, self.fit_time_[name])

    def _diagnose(self, z: Units | None, seed: int) -> None:
        """Put on record how the fit went; the last phase, left out without rows, after an interrupt."""
        self._diagnostics = noticed(self)
        if z is not None:
            with self._phase("diagnostics"):
                self._diagnostics |= with_drawn_rows(self, z, seed)

    @property
    def diagnostics_(self) -> dict[str, float]:
        """How the fit went; see `DiffusionGenerator`."""
        check_is_fitted(self)
        if not hasattr(self, "_diagnostics"):
            raise AttributeError(
                "The model was fitted by an older version, which gave no diagnostics. Fit it again."
            )
        return self._diagnostics

    def __sklearn_is_fitted__(self) -> bool:
        # what a fit that was refused leaves behind does not count
        return hasattr(self, self._fitted_attribute)

    def score_samples(self, X: ArrayLike, y: Any = None) -> Floats:
        """Natural logarithm of the density of rows, per unit of the user's own features.

        Computed in float64 along the probability-flow equation, with the exact divergence up to 32
        coordinates and Hutchinson's estimate above (see `sktgdp.likelihood`).

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
        y : array-like of n labels, optional
            Gives log p(x | y). Without it a model fitted with labels gives the mixture over them.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        FloatingPointError
            If rows lie so far away that their log density is no float.
        TypeError
            If the transformer does not tell its Jacobian.
        """
        check_is_fitted(self)
        jacobian = log_abs_det_jacobian(self.transformer_, self.form_.event_shape)
        z = torch.from_numpy(self._to_units(X))
        codes = None if y is None else torch.from_numpy(self.labels_.encode(check_labels(y, X, "y")))
        if codes is not None or self.prior_ is None:
            values = self._log_density(z, codes)
        else:
            terms = [
                np.log(frequency) + self._log_density(z, torch.from_numpy(row).expand(len(z), -1))
                for row, frequency in zip(self.prior_.rows, self.prior_.frequencies, strict=True)
            ]
            values = np.logaddexp.reduce(terms, axis=0)
        return finite_rows(values + jacobian, "The log density")

    def _to_units(self, X: Any) -> Floats:
        """Rows as the user has them in the units of ``transformer_``."""
        source: Any = getattr(self, "source_model_", self)
        form: InputForm = source.form_
        rows = rows_as_fitted(X, form, "X")
        validate_data(self, X, reset=False, skip_check_array=True)
        if rows.shape[1:] != form.event_shape:
            raise ValueError(
                f"X has rows of shape {rows.shape[1:]}, but the model was fitted on {form.event_shape}."
            )
        return to_exact_units(self.transformer_, rows, "X")

    def _log_density(self, z: Tensor, codes: Tensor | None) -> Floats:
        values = []
        series, generator = is_series(tuple(z.shape[1:])), torch.Generator().manual_seed(0)
        for at in parts_of(len(z), tuple(z.shape[1:]), **DENSITY_CHUNK):
            part = z[at].to(self.device_)
            labels = None if codes is None else codes[at].to(part)
            if not series:  # series go on with one stream, which is drawn row by row
                generator = torch.Generator(part.device).manual_seed(0)
            model = self.noise_model(labels)
            values.append(log_density(model, part, process=self.process_, generator=generator).cpu().numpy())
        return np.concatenate(values)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples`: the log-likelihood per row, higher is better."""
        return float(self.score_samples(X, y).mean())
