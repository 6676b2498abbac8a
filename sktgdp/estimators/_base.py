"""What every generator does once it is fitted: draw samples and give densities."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from sktgdp.estimators._defaults import ByRank, is_series, parts_of
from sktgdp.estimators._domains import Floats, InputForm, rows_as_fitted
from sktgdp.estimators._labels import LabelCode, LabelPrior, check_labels
from sktgdp.estimators._memory import draw_seed
from sktgdp.estimators._training import TrainingSettings
from sktgdp.estimators._units import to_units
from sktgdp.guidance import TimeFunction
from sktgdp.likelihood import log_density
from sktgdp.process import VPProcess
from sktgdp.solvers import SOLVERS, sample

__all__ = ["BaseGenerator"]

# Rows of tables, or numbers in the rows of series, that go through a network together.
SAMPLE_CHUNK = {"rows": 16_384, "coordinates": 2**19}
DENSITY_CHUNK = {"rows": 1_024, "coordinates": 2**17}


class BaseGenerator(BaseEstimator):
    """Sampling and densities over a noise prediction in transformed units.

    A subclass sets ``process_``, ``transformer_``, ``latent_shape_`` (of a row in the transformer's units),
    ``form_`` (an `InputForm`), ``labels_`` (a `LabelCode`),
    ``prior_`` (a `LabelPrior` or None), ``device_`` and ``fit_time_``, gives `noise_model`, and names in
    ``_fitted_attribute`` what a fit sets last.
    """

    _fitted_attribute: ClassVar[str]
    _by_rank: ClassVar[dict[str, ByRank]] = {}  # what "auto" stands for, by parameter

    process_: VPProcess
    transformer_: Any
    latent_shape_: tuple[int, ...]
    form_: InputForm
    labels_: LabelCode
    prior_: LabelPrior | None
    device_: torch.device
    fit_time_: dict[str, float]
    history_: list[dict[str, Any]]
    solver: str
    n_steps: int
    random_state: Any
    verbose: int

    _training_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "memory": [str, Path, HasMethods(["cache"]), None],
        "solver": [StrOptions(set(SOLVERS))],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state", np.random.Generator],
        "verbose": ["verbose"],
        "callbacks": ["array-like", tuple, None],
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
        names = ("max_steps", "lr", "weight_decay", "ema_decay")
        return TrainingSettings(**{name: params[name] for name in names})

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Time one phase of the fit."""
        start = time.perf_counter()
        yield
        self.fit_time_[name] = time.perf_counter() - start

    def noise_model(self, y: Tensor | None = None) -> TimeFunction:
        """Noise prediction of the fitted domain, in the units of ``transformer_``.

        Parameters
        ----------
        y : Tensor of shape (batch, n_labels), optional
            Encoded labels; None for a model fitted without.

        Returns
        -------
        callable (x_t, t) -> eps
            ``x_t`` of shape (batch, *event), ``t`` of shape () or (batch,).
        """
        raise TypeError(f"{type(self).__name__} gives no noise model; use one of its subclasses.")

    def __sklearn_is_fitted__(self) -> bool:
        # what a fit that was refused leaves behind does not count
        return hasattr(self, self._fitted_attribute)

    def _start_numbers(
        self, n_samples: Any, random_state: Any
    ) -> tuple[np.random.Generator, torch.Generator]:
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or int(n_samples) < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return np.random.default_rng([seed, 1]), torch.Generator().manual_seed(seed)

    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
    ) -> tuple[Any, NDArray[Any] | None]:
        """Draw rows of the fitted domain.

        Parameters
        ----------
        n_samples : int
            Number of rows, at least 1.
        y : None, one label, or array-like of n_samples labels
            Labels to condition on; None draws them with the frequencies of the fitted domain. For a
            multi-label model one label is a vector of length k, and many are (n_samples, k).
        random_state : int, RandomState, Generator or None
            None falls back on the estimator's own: an integer there gives the same rows at every call.
        n_steps : int, optional
            Solver steps; more are slower and closer to the model's law.
        solver : str, optional
            A key of `sktgdp.solvers.SOLVERS`.

        Returns
        -------
        X : array or frame of shape (n_samples, ...)
            Rows in the form and units of those that were fitted.
        y : ndarray of shape (n_samples,) or (n_samples, k), or None
            Labels, None for a model fitted without.
        """
        check_is_fitted(self)
        rng, generator = self._start_numbers(n_samples, random_state)
        codes = self.labels_.for_sampling(y, n_samples, self.prior_, rng)
        method = self.solver if solver is None else solver
        z = self._draw(n_samples, codes, generator, method, self.n_steps if n_steps is None else n_steps)
        X = self.transformer_.inverse_transform(z)
        return self.form_.restore(X), None if codes is None else self.labels_.decode(codes)

    def _draw(
        self, n_samples: int, codes: Any, generator: torch.Generator, solver: str, n_steps: int
    ) -> Floats:
        """Draw rows in the units of ``transformer_``, given encoded labels if there are any."""
        noise = torch.randn((n_samples, *self.latent_shape_), generator=generator)
        parts = []
        for at in parts_of(n_samples, self.latent_shape_, **SAMPLE_CHUNK):
            model = self.noise_model(None if codes is None else torch.from_numpy(codes[at]).to(self.device_))
            x_0 = sample(
                model,
                noise[at].to(self.device_),
                process=self.process_,
                solver=solver,
                n_steps=n_steps,
                generator=generator,
            )
            parts.append(x_0.cpu())
        z = torch.cat(parts).double().numpy()
        if not np.isfinite(z).all():
            raise FloatingPointError(
                "The sampler gave non-finite rows: the fit has diverged. Look at `history_`, scale the "
                "features, or lower `lr`."
            )
        return z

    def sample_batches(
        self,
        n_samples: int,
        y: Any = None,
        *,
        batch_size: int = 10_000,
        random_state: Any = None,
        **options: Any,
    ) -> Iterator[tuple[Any, NDArray[Any] | None]]:
        """Draw ``n_samples`` rows in batches, each an independent call of `sample`.

        Parameters
        ----------
        n_samples, y, random_state, **options
            As for `sample`.
        batch_size : int
            Rows per batch; the last may be shorter.

        Yields
        ------
        X, y
        """
        check_is_fitted(self)
        rng, _ = self._start_numbers(n_samples, random_state)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}.")
        one_label = self.labels_.is_one(y, n_samples)
        for start in range(0, n_samples, batch_size):
            size = min(batch_size, n_samples - start)
            labels = y if one_label else np.asarray(y)[start : start + size]
            yield self.sample(size, labels, random_state=rng, **options)

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
        """
        check_is_fitted(self)
        z = torch.from_numpy(self._to_units(X))
        jacobian = self.transformer_.log_abs_det_jacobian(self.form_.event_shape)
        if y is not None:
            codes = self.labels_.encode(check_labels(y, X, "y"))
            return self._log_density(z, torch.from_numpy(codes)) + jacobian
        if self.prior_ is None:
            return self._log_density(z, None) + jacobian
        terms = [
            np.log(frequency) + self._log_density(z, torch.from_numpy(row).expand(len(z), -1))
            for row, frequency in zip(self.prior_.rows, self.prior_.frequencies, strict=True)
        ]
        return np.logaddexp.reduce(terms, axis=0) + jacobian

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
        return to_units(self.transformer_, rows, "X")

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
