"""Samples of a fitted generator: labels, noise, the solver in chunks, rows in the user's form."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sktgdp._arrays import rows_not_finite
from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._rows.domains import Floats, InputForm
from sktgdp.estimators._rows.labels import LabelCode, LabelPrior, LabelRuns, check_labels
from sktgdp.estimators._sampling.chunks import Draw, check_sizes, draw_rows
from sktgdp.estimators._sampling.parquet import write_parquet
from sktgdp.estimators._sampling.support import SampleDiagnostics, without_copies
from sktgdp.estimators._state.memory import draw_seed
from sktgdp.guidance import TimeFunction
from sktgdp.preprocessing import MixedTypeEncoder
from sktgdp.preprocessing._mixed import is_frame
from sktgdp.process import VPProcess

__all__ = ["SamplingMixin"]


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
    verbose: int
    max_memorization: float | None

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

    @overload
    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
        return_diagnostics: Literal[False] = False,
    ) -> tuple[Any, NDArray[Any] | None]: ...
    @overload
    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
        return_diagnostics: Literal[True],
    ) -> tuple[Any, NDArray[Any] | None, SampleDiagnostics]: ...
    @overload
    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
        return_diagnostics: bool,
    ) -> tuple[Any, ...]: ...
    def sample(
        self,
        n_samples: int = 1,
        y: Any = None,
        *,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
        return_diagnostics: bool = False,
    ) -> tuple[Any, ...]:
        """Draw rows of the fitted domain.

        A row depends on its number, its label and the seed, not on how many are drawn. Chunks that fit into
        memory, and workers of ``joblib.parallel_config(n_jobs=...)``, do not change it.

        Parameters
        ----------
        n_samples : int
            Number of rows, at least 1.
        y : None, one label, or array-like of n_samples labels
            Labels to condition on; None draws them with the frequencies of the fitted domain. One label of
            a multi-label model is a vector of length k.
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
        diagnostics : SampleDiagnostics, only with ``return_diagnostics``
        """
        options = {"random_state": random_state, "n_steps": n_steps, "solver": solver}
        X, labels, diagnostics = next(self._drawn(n_samples, y, n_samples, **options))
        return (X, labels, diagnostics) if return_diagnostics else (X, labels)

    def sample_batches(
        self,
        n_samples: int,
        y: Any = None,
        *,
        batch_size: int = 10_000,
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
    ) -> Iterator[tuple[Any, NDArray[Any] | None]]:
        """Draw the rows of one `sample` batch by batch, in the memory that one batch takes.

        Parameters
        ----------
        n_samples, y, random_state, n_steps, solver
            As for `sample`.
        batch_size : int
            Rows per batch; the last may be shorter.

        Yields
        ------
        X, y
            Put together, the batches are what ``sample`` returns with the same arguments and seed.
        """
        options = {"random_state": random_state, "n_steps": n_steps, "solver": solver}
        return self._batches(n_samples, y, batch_size, **options)

    def sample_to_parquet(
        self,
        path: str | os.PathLike[str],
        n_samples: int,
        y: Any = None,
        *,
        batch_size: int | None = None,
        label_column: str = "label",
        random_state: Any = None,
        n_steps: int | None = None,
        solver: str | None = None,
    ) -> Path:
        """Write the rows of one `sample` to a Parquet file, in the memory that one batch takes.

        Finished batches lie in the folder ``<path>.parts``. If the process is killed or the disk is full, the
        same call goes on after them and ends with the same rows, by the seed that the first one drew; any
        other call is refused. A call that fails before its first batch is written leaves nothing.

        Parameters
        ----------
        path : path-like
            File to write; it must not exist.
        n_samples, y, random_state, n_steps, solver
            As for `sample`.
        batch_size : int, optional
            Rows per batch; None takes 16 MiB of numbers. Row groups of the file hold 4 MiB or one batch.
        label_column : str, default="label"
            Column of the labels; for a multi-label model ``label_0``, ``label_1`` and so on.

        Returns
        -------
        Path
            Frames keep their columns and dtypes. The columns of arrays are ``x0``, ``x1`` and so on; a
            channel of series is a column ``channel_0`` of lists. What Parquet cannot hold is refused first.
        """
        check_is_fitted(self)
        options = {"random_state": random_state, "n_steps": n_steps, "solver": solver}
        return write_parquet(
            self, path, n_samples, y, batch_size=batch_size, label_column=label_column, **options
        )

    def _batches(self, *args: Any, **options: Any) -> Iterator[tuple[Any, NDArray[Any] | None]]:
        return ((X, y) for X, y, _ in self._drawn(*args, **options))

    def _drawn(
        self,
        n_samples: Any,
        y: Any,
        batch_size: Any,
        *,
        random_state: Any,
        n_steps: Any,
        solver: Any,
        first: int = 0,
    ) -> Iterator[tuple[Any, NDArray[Any] | None, SampleDiagnostics]]:
        """Batches from row ``first`` on, which starts one."""
        check_is_fitted(self)
        check_sizes(n_samples=n_samples, batch_size=batch_size)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        rng = np.random.default_rng([seed, 1])
        method = self.solver if solver is None else solver
        draw = Draw(seed, method, self.n_steps if n_steps is None else n_steps)
        one_label = self.labels_.is_one(y, n_samples)
        told = y is None
        given = y if one_label or isinstance(y, LabelRuns) else np.asarray(y)
        if isinstance(given, np.ndarray) and given.dtype.kind == "O":
            check_labels(given, given, "y")
        for start in range(0, n_samples, batch_size):
            rows = range(start, min(start + batch_size, n_samples))
            labels = given if one_label else given[rows.start : rows.stop]
            codes = self.labels_.for_sampling(labels, len(rows), self.prior_, rng)
            told = told or _tell_of_unseen(self, codes)
            if start >= first:
                yield self._finish(draw_rows(self, draw, codes, rows), draw, codes, rows)

    def _finish(
        self, z: Floats, draw: Draw, codes: NDArray[np.float32] | None, rows: range
    ) -> tuple[Any, NDArray[Any] | None, SampleDiagnostics]:
        """Rows in the user's form, their labels, and what was noticed."""
        if not np.isfinite(z).all():
            raise FloatingPointError(
                "The sampler gave non-finite rows: the fit has diverged. Look at `history_`, scale the "
                "features, or lower `lr`."
            )
        copied: Any = ()
        if self.max_memorization is not None:
            z, *copied = without_copies(self, z, draw, codes, rows)
        support = getattr(self, "support_", None)  # files of the first version have none
        outside = np.zeros(len(z), dtype=bool) if support is None else support.outside(z)
        X = self.form_.restore(self.transformer_.inverse_transform(z))
        _check_finite(X, self.transformer_)
        return X, None if codes is None else self.labels_.decode(codes), SampleDiagnostics(outside, *copied)


def _check_finite(X: Any, transformer: Any) -> None:
    """Refuse numbers that the way back has made infinite or NaN; an encoder of frames gives missing ones."""
    if isinstance(transformer, MixedTypeEncoder) or (hasattr(transformer, "steps") and is_frame(X)):
        return
    numbers = X.select_dtypes("number").to_numpy(dtype=np.float64) if is_frame(X) else X
    bad = rows_not_finite(numbers) if numbers.dtype.kind == "f" else ()
    if len(bad):
        raise FloatingPointError(
            f"{len(bad)} of {len(numbers)} rows are not finite after {type(transformer).__name__}."
            "inverse_transform, which is not defined everywhere. Use a transformer that is, such as "
            "RowStandardizer or a QuantileTransformer."
        )


def _tell_of_unseen(generator: Any, codes: NDArray[np.float32] | None) -> bool:
    """Warn where labels are asked for that no row of the fitted domain had; whether there were such."""
    if codes is None:
        return True
    seen = {row.tobytes() for row in generator.prior_.rows}
    wanted = LabelPrior.of(codes).rows
    unseen = wanted[[row.tobytes() not in seen for row in wanted]]
    if len(unseen):
        first, *others = generator.labels_.decode(unseen).tolist()
        more = f" (nor {len(others)} others that are asked for)" if others else ""
        warnings.warn(
            f"No target row had the label {first}{more}: its rows follow the source, moved as those of other "
            "labels were.",
            UserWarning,
            stacklevel=level_of_user(),
        )
    return len(unseen) > 0
