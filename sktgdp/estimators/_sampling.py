"""Samples of a fitted generator: labels, noise, the solver in chunks, rows in the user's form."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktgdp.estimators._defaults import parts_of
from sktgdp.estimators._domains import Floats, InputForm
from sktgdp.estimators._labels import LabelCode, LabelPrior
from sktgdp.estimators._memory import draw_seed
from sktgdp.guidance import TimeFunction
from sktgdp.process import VPProcess
from sktgdp.solvers import sample

__all__ = ["SamplingMixin"]

# Rows of tables, or numbers in the rows of series, that go through a network together.
SAMPLE_CHUNK = {"rows": 16_384, "coordinates": 2**19}


class SamplingMixin:
    """`sample` and `sample_batches` of every generator; `BaseGenerator` says what a subclass sets."""

    process_: VPProcess
    transformer_: Any
    latent_shape_: tuple[int, ...]
    form_: InputForm
    labels_: LabelCode
    prior_: LabelPrior | None
    device_: torch.device
    solver: str
    n_steps: int
    random_state: Any

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
