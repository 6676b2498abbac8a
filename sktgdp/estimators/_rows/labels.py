"""One code for all labels: none, classes, or multi-label indicators become rows of a float matrix.

Networks see a class as a one-hot row and a multi-label target as its indicator row, so that one code
path conditions on either. The frequencies of distinct rows are the prior that labels are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples, check_array

from sktgdp._arrays import refuse_hidden

__all__ = ["LabelCode", "LabelPrior", "check_labels"]

Floats = NDArray[np.float32]


def check_labels(y: Any, X: Any, name: str) -> NDArray[Any]:
    """Check labels of any kind against their rows: (n,) classes or (n, k) indicators."""
    refuse_hidden(y, name)
    n_rows, n_labels = _num_samples(X), _num_samples(y)
    if n_rows != n_labels:
        raise ValueError(f"{name} must hold one label per row: found {n_labels} labels for {n_rows} rows.")
    plain = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if getattr(plain, "kind", "O") in "iufb" and not y.isna().any():  # scikit-learn makes floats of these
        y = y.to_numpy(dtype=plain)
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        labels = check_array(y, dtype=None, input_name=name)
        if not np.isin(labels, (0, 1)).all():
            raise ValueError(
                f"{name} has shape {labels.shape}, so it must be a multi-label indicator of zeros and ones; "
                "found other values. Give classes as a vector instead."
            )
        return np.asarray(labels)
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"{name} contains NaN or infinity; drop these rows or fill in their labels.")
    if labels.dtype.kind in "mM" and np.isnat(labels).any():
        raise ValueError(f"{name} has missing labels (NaT); drop these rows or fill in their labels.")
    if labels.dtype.kind == "O":
        _check_objects(labels, name)
    if type_of_target(labels, input_name=name).startswith("continuous"):
        raise ValueError(
            f"{name} holds continuous values (Unknown label type: continuous); expected class labels. Bin "
            "the values, or append them to the features."
        )
    return np.asarray(labels)


def _check_objects(labels: NDArray[Any], name: str) -> None:
    """Refuse labels that are missing or that cannot be sorted among each other."""
    kinds = {type(label) for label in labels}
    missing = {kind for kind in kinds if kind.__name__ in ("NoneType", "NAType")}
    if missing or any(isinstance(label, float) and np.isnan(label) for label in labels):
        raise ValueError(f"{name} has missing labels; drop these rows or fill in their labels.")
    if len({issubclass(kind, str) for kind in kinds}) > 1:
        raise ValueError(f"{name} mixes strings with other labels; use one type for all.")


@dataclass(frozen=True)
class LabelPrior:
    """Distinct label rows and how often each occurs."""

    rows: Floats
    frequencies: NDArray[np.float64]

    @classmethod
    def of(cls, code_rows: Floats) -> LabelPrior:
        """Count the distinct rows of an encoded label matrix."""
        keys = np.packbits(code_rows.astype(bool), axis=1)  # a bit per label sorts much faster than a float
        _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
        return cls(code_rows[first], counts / counts.sum())

    def draw(self, n_samples: int, rng: np.random.Generator) -> Floats:
        """Draw label rows."""
        return self.rows[rng.choice(len(self.rows), size=n_samples, p=self.frequencies)]


@dataclass(frozen=True)
class LabelRuns:
    """Labels of rows that come class by class: a vector of any length in no memory, to be read by slices."""

    labels: NDArray[Any]
    counts: NDArray[np.int64]
    ndim = 1

    def __len__(self) -> int:
        return int(self.counts.sum())

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        numbers = np.arange(*rows.indices(len(self)))
        return self.labels[np.searchsorted(np.cumsum(self.counts), numbers, side="right")]


class LabelCode:
    """Code between the user's labels and float rows.

    Attributes
    ----------
    kind : {"none", "class", "multilabel"}
    classes : ndarray of shape (n_classes,)
        Sorted classes, or the column numbers of a multi-label indicator.
    """

    def __init__(self, y: NDArray[Any] | None) -> None:
        self.kind = "none" if y is None else "class" if y.ndim == 1 else "multilabel"
        if y is None:
            self.classes: NDArray[Any] = np.empty(0, dtype=int)
        else:
            self.classes = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
            self.dtype = y.dtype

    @property
    def n_labels(self) -> int:
        """Width of an encoded row; 0 without labels."""
        return len(self.classes)

    def encode(self, y: NDArray[Any], name: str = "y") -> Floats:
        """Encode labels as float32 rows of shape (n, n_labels)."""
        if self.kind == "none":
            raise ValueError(f"{name} was given, but the model was fitted without labels. Leave {name} out.")
        if self.kind == "multilabel":
            if y.ndim != 2 or y.shape[1] != self.n_labels:
                raise ValueError(
                    f"{name} has shape {y.shape}; the model was fitted with a multi-label indicator of "
                    f"{self.n_labels} columns."
                )
            rows = y.astype(np.float32)
            if not np.isin(rows, (0.0, 1.0)).all():
                raise ValueError(
                    f"{name} must be a multi-label indicator of zeros and ones; found other values."
                )
            return rows
        if y.ndim != 1:
            raise ValueError(f"{name} has shape {y.shape}; the model was fitted with a vector of classes.")
        known = set(self.classes.tolist())
        unknown = [label for label in np.unique(y).tolist() if label not in known]
        if unknown:
            raise ValueError(
                f"{name} holds labels that the model has not seen: {unknown}. Known: {self.classes.tolist()}."
            )
        rows = np.zeros((len(y), self.n_labels), np.float32)
        rows[np.arange(len(y)), np.searchsorted(self.classes, y)] = 1.0
        return rows

    def decode(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Turn encoded rows back into the user's labels, in their dtype."""
        if self.kind == "class":
            return self.classes[rows.argmax(axis=1)]
        return rows.astype(self.dtype)

    def for_sampling(
        self, y: Any, n_samples: int, prior: LabelPrior | None, rng: np.random.Generator
    ) -> Floats | None:
        """Encode what a user gave to ``sample``: nothing, one label, or one label per row."""
        if prior is None:
            if y is not None:
                self.encode(np.atleast_1d(np.asarray(y)))
            return None
        if y is None:
            return prior.draw(n_samples, rng)
        labels = np.asarray(y)
        if self.is_one(y, n_samples):
            labels = np.broadcast_to(labels, (n_samples, *labels.shape))
        return self.encode(labels)

    def is_one(self, y: Any, n_samples: int) -> bool:
        """Tell one label for all rows (or none) from one per row; raise where there are more or fewer."""
        if y is None or np.ndim(y) == (1 if self.kind == "multilabel" else 0):
            return True
        if np.ndim(y) == 0:
            raise ValueError(
                f"y must be an indicator row of {self.n_labels} zeros and ones, or one per row; got {y!r}."
            )
        if len(y) != n_samples:
            raise ValueError(
                f"y holds {len(y)} labels for n_samples = {n_samples}. Give one label for all rows, "
                f"or exactly {n_samples}."
            )
        return False
