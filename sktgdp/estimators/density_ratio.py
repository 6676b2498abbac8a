r"""Density ratio of two domains by classification (Eq. 7 of the TGDP paper).

A classifier that tells target from source rows in equal shares has the logit
:math:`\log q(x, y) / p(x, y)` at its optimum. With few target rows a classifier overfits at once, so it is
cross-fitted: every fold's classifier stops on, and is judged by, rows it has not seen; the logits of the
folds are averaged, and one affine map of them (temperature and offset) is fitted on the unseen rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sktgdp.estimators._base import BaseGenerator
from sktgdp.estimators._calibration import calibrate, logit_of
from sktgdp.estimators._defaults import DOMAIN_NETWORK, DOMAIN_SIZES, ByRank, is_series, parts_of
from sktgdp.estimators._finite import finite_rows
from sktgdp.estimators._overlap import warn_if_apart
from sktgdp.estimators._parameters import CheckedParameters
from sktgdp.estimators._rows.domains import (
    CHECKPOINT,
    FOUR_ARRAYS,
    Floats,
    InputForm,
    Reals,
    check_domains,
    rows_as_fitted,
    split_domains,
)
from sktgdp.estimators._rows.domains import Domains as FourArrays
from sktgdp.estimators._rows.labels import LabelCode, check_labels
from sktgdp.estimators._rows.units import fit_units, to_units, units_in_parts
from sktgdp.estimators._state.checkpoint import Checkpoint, FitCheckpoint, open_checkpoint
from sktgdp.estimators._state.memory import FitMemory
from sktgdp.estimators._state.persistence import Persistent
from sktgdp.estimators._training.batches import Pool
from sktgdp.estimators._training.devices import resolve_device
from sktgdp.estimators._training.objectives import CleanDomain
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.estimators._training.trainer import TrainingProblem, train_network
from sktgdp.estimators.series_classifier import SeriesClassifier

__all__ = ["DomainClassifier", "effective_sample_size", "folds"]

LOGIT_LIMIT = 30.0
BATCH_SIZE = ByRank(256, 32)
# By how much the mean of an estimated ratio misses 1 for no other reason than its estimate, however many
# rows there are: a classifier is calibrated to some per cent.
MASS_ERROR = 0.3


def effective_sample_size(log_ratio: ArrayLike, counts: ArrayLike = 1) -> float:
    """Effective number of source rows under a density ratio, after Kish: (sum r)^2 / sum r^2.

    A density ratio has mean 1 over the source. Where the estimate falls short of that by more than a
    classifier's error (0.3) and two standard errors, the missing mass lies where no source row is; it is
    counted as one further row that carries it all. Kish's number alone would call domains that are fully
    apart alike, since a ratio that is tiny everywhere is also flat.

    Parameters
    ----------
    log_ratio : array-like of shape (n,)
        Logarithm of the ratio on the n source rows.
    counts : int or array-like of shape (n,), default=1
        How often each row occurs; copies are one row that weighs more.

    Returns
    -------
    float
        Between 1 (all the mass on one row, or none on any) and n (equal weights).
    """
    logarithms = np.asarray(log_ratio, dtype=np.float64)
    repeated = np.broadcast_to(np.asarray(counts, dtype=np.float64), logarithms.shape)
    unit = max(0.0, float(logarithms.max()))  # keeps the exponentials in range
    ratio = repeated * np.exp(logarithms - unit)
    mass, squares = ratio.sum(), np.square(ratio).sum()
    least = (1.0 - MASS_ERROR) * repeated.sum() * np.exp(-unit)
    missing = max(0.0, least - mass - 2.0 * np.sqrt(squares))
    return float((mass + missing) ** 2 / (squares + missing**2))


def folds(n_rows: int, n_folds: int, seed: int) -> list[NDArray[np.intp]]:
    """Split row numbers at random into folds of nearly equal size."""
    order = np.random.default_rng(seed).permutation(n_rows)
    return [order[k::n_folds] for k in range(n_folds)]


class _Features(NamedTuple):
    """What a classifier sees of rows: numbers, and labels where they are not among the numbers."""

    x: Reals
    y: NDArray[np.float32] | None = None

    def at(self, index: Any) -> _Features:
        """The rows of an index or a slice."""
        return _Features(self.x[index], None if self.y is None else self.y[index])

    def tensors(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Both on a device, in single precision."""
        y = None if self.y is None else torch.from_numpy(self.y).float().to(device)
        return torch.from_numpy(self.x).float().to(device), y


Domains = tuple[_Features, _Features]  # source, target
RowNumbers = Sequence[NDArray[np.intp]]  # in the source, and in the target


class DomainClassifier(Persistent, CheckedParameters):
    """Classifier of the domain of a row, whose calibrated logit is the log density ratio q/p.

    Parameters
    ----------
    classifier : scikit-learn classifier or None, default=None
        Any with ``predict_proba``; it sees the standardised features with the encoded label appended, and
        the domain (0 source, 1 target) as its target; series are flattened for it. None is a small network
        on class-balanced batches, a perceptron for tables and `sktgdp.nets.DomainConv` for series.
    hidden_sizes : sequence of int or "auto", default="auto"
        Hidden layers of the default network; for series they follow the strided convolutions. "auto" is
        (64, 64) for tables and (16,) for series.
    n_folds : int, default=5
        Folds of the cross-fitting; at most as many as there are target rows.
    max_steps : int, default=600
        Gradient steps of one fold's network; the best weights on the held-out fold are kept.
    batch_size : int or "auto", default="auto"
        Rows of each domain per step; "auto" is 256 for tables and 32 for series.
    lr, weight_decay : float
        Of the default network.
    device : str, default="auto"
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    classifiers_ : list
        One network or classifier per fold.
    temperature_, offset_ : float
        The log ratio is ``logit / temperature_ + offset_``.
    effective_sample_size_ : float
        Of the ratio on the source rows; near 1 where the domains hardly overlap.
    n_parameters_ : int
        Of the default networks together.
    n_features_in_ : int

    References
    ----------
    Ouyang et al., "Transfer Learning for Diffusion Models", NeurIPS 2024, Eq. 7.
    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """

    __metadata_request__fit: ClassVar[dict[str, str]] = {**FOUR_ARRAYS, **CHECKPOINT}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "classifier": [HasMethods(["fit", "predict_proba"]), None],
        "hidden_sizes": ["array-like", tuple, StrOptions({"auto"})],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        **{k: BaseGenerator._training_constraints[k] for k in ("max_steps", "batch_size", "lr")},
        **{k: BaseGenerator._training_constraints[k] for k in ("weight_decay", "device", "random_state")},
    }

    def __init__(
        self,
        classifier: Any = None,
        *,
        hidden_sizes: Sequence[int] | str = "auto",
        n_folds: int = 5,
        max_steps: int = 600,
        batch_size: int | str = "auto",
        lr: float = 2e-3,
        weight_decay: float = 1e-2,
        device: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.classifier = classifier
        self.hidden_sizes = hidden_sizes
        self.n_folds = n_folds
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.random_state = random_state

    def fit(
        self,
        X_src: ArrayLike,
        y_src: Any = None,
        X_tgt: ArrayLike | None = None,
        y_tgt: Any = None,
        *,
        sample_domain: ArrayLike | None = None,
        checkpoint: Checkpoint = None,
    ) -> DomainClassifier:
        """Learn to tell the target from the source.

        Parameters
        ----------
        X_src, X_tgt : array-like of shape (n, d) or (n, channels, length)
            Rows of the two domains; at least two of each.
        y_src, y_tgt : array-like of labels, optional
            With labels the ratio is that of the joint laws of (x, y).
        sample_domain : array-like of shape (n,), optional
            With it ``X_src`` and ``y_src`` are the stacked rows of both domains: >= 0 source, < 0 target.
        checkpoint : path, optional
            Folder from which a fit that was killed goes on; see `DiffusionGenerator.fit`. It keeps the
            default networks and those of a `SeriesClassifier`; another classifier is fitted again.

        Returns
        -------
        self
        """
        self._validate_params()
        return self._fit_repeated(split_domains(X_src, y_src, X_tgt, y_tgt, sample_domain), checkpoint)

    def _fit_repeated(
        self, domains: FourArrays, checkpoint: Checkpoint, original: NDArray[np.intp] | None = None
    ) -> DomainClassifier:
        """Do what `fit` says, where source rows may be copies.

        Copies of one row go into one fold, and count as one row that weighs more.

        Parameters
        ----------
        domains : Domains
        checkpoint : path, optional
        original : ndarray of shape (n_source,), optional
            For every source row the number of the row that it is a copy of.
        """
        z = self._units_of(domains)
        original = np.arange(len(z[0].x)) if original is None else original
        with open_checkpoint(checkpoint, self) as kept:
            seed = kept.seed(self.random_state, FitMemory(None))
            self._cross_fit(z, original, seed, kept)
        _, first, counts = np.unique(original, return_index=True, return_counts=True)
        log_ratio = finite_rows(self._log_ratio(z[0]), "The log density ratio of X_src")
        self.effective_sample_size_ = effective_sample_size(log_ratio[first], counts)
        if not kept.inner:
            warn_if_apart(self.effective_sample_size_, len(z[0].x))
        return self

    def _units_of(self, domains: FourArrays) -> Domains:
        """Check both domains, and learn labels and units from the source."""
        source, y_source, target, y_target = check_domains(domains)
        validate_data(self, domains.X_src, skip_check_array=True)
        self.labels_ = LabelCode(y_source)
        self._form = InputForm.of(domains.X_src, source)
        self.transformer_, z_source = fit_units("auto", source, "X_src")
        z_target = to_units(self.transformer_, target, "X_tgt")
        return self._features(z_source, y_source), self._features(z_target, y_target)

    def _features(self, z: Reals, y: NDArray[Any] | None) -> _Features:
        """Features in the transformer's units and encoded labels, as the classifier wants them."""
        codes = None if y is None else self.labels_.encode(y)
        if self.classifier is None and is_series(z.shape[1:]):
            return _Features(z, codes)
        z = z.reshape(len(z), -1)
        if self.classifier is not None:
            z = z.astype(np.float64, copy=False)
        return _Features(z if codes is None else np.hstack([z, codes]))

    def _cross_fit(
        self, domains: Domains, original: NDArray[np.intp], seed: int, checkpoint: FitCheckpoint
    ) -> None:
        sizes = [len(rows.x) for rows in domains]
        distinct, which = np.unique(original, return_inverse=True)
        n_folds = min(self.n_folds, len(distinct), sizes[1])
        held_source = [np.flatnonzero(np.isin(which, part)) for part in folds(len(distinct), n_folds, seed)]
        out = [np.empty(size) for size in sizes]
        self.classifiers_: list[Any] = []
        for k, held in enumerate(zip(held_source, folds(sizes[1], n_folds, seed), strict=True)):
            train = [np.delete(np.arange(size), part) for size, part in zip(sizes, held, strict=True)]
            kept = checkpoint.part(f"fold {k + 1}")
            self.classifiers_.append(
                self._fit_network(domains, train, held, seed + k, kept)
                if self.classifier is None
                else self._fit_classifier(domains, train, seed + k, kept)
            )
            for rows, logits, part in zip(domains, out, held, strict=True):
                logits[part] = self._logit(k, rows.at(part))
        self.temperature_, self.offset_ = calibrate(out[0], out[1], self.classifier is not None)

    def _fit_network(
        self, domains: Domains, train: RowNumbers, held: RowNumbers, seed: int, checkpoint: FitCheckpoint
    ) -> Any:
        device = resolve_device(self.device)
        event_shape, y = domains[0].x.shape[1:], domains[0].y
        batch_size = BATCH_SIZE.of(event_shape, self.batch_size)

        def pools(parts: RowNumbers) -> dict[str, Pool]:
            return {
                name: Pool(*rows.tensors(device), batch_size, subset=torch.from_numpy(part).to(device))
                for name, rows, part in zip(("source", "target"), domains, parts, strict=True)
            }

        problem = TrainingProblem(CleanDomain(), pools(train), None, "domain", valid_pools=pools(held))
        settings = TrainingSettings(self.max_steps, self.lr, self.weight_decay)
        module_params = {
            "event_shape": event_shape,
            "n_labels": 0 if y is None else y.shape[1],
            "hidden_sizes": tuple(DOMAIN_SIZES.of(event_shape, self.hidden_sizes)),
        }
        network = DOMAIN_NETWORK.of(event_shape)
        return train_network(
            network, module_params, problem, settings, seed=seed, device=device, checkpoint=checkpoint
        ).module

    def _fit_classifier(
        self, domains: Domains, train: RowNumbers, seed: int, checkpoint: FitCheckpoint
    ) -> Any:
        model = clone(self.classifier)
        for name, value in model.get_params().items():
            if name.split("__")[-1] == "random_state" and value is None:
                model.set_params(**{name: seed % 2**31})
        rows = [features.x[part] for features, part in zip(domains, train, strict=True)]
        kept = {"checkpoint": checkpoint} if isinstance(model, SeriesClassifier) else {}
        return model.fit(np.vstack(rows), np.repeat([0, 1], [len(part) for part in rows]), **kept)

    def _logit(self, k: int, features: _Features) -> Floats:
        """Logit of one fold's classifier."""
        model = self.classifiers_[k]
        if self.classifier is None:
            device = next(model.parameters()).device
            n_rows, event_shape = len(features.x), features.x.shape[1:]
            parts = parts_of(n_rows, event_shape, rows=2**16, coordinates=2**22)
            with torch.no_grad():
                logits = [model(*features.at(part).tensors(device)) for part in parts]
            logit = torch.cat(logits).double().cpu().numpy()
        else:
            logit = logit_of(model, features.x)
        return np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT)

    def _log_ratio(self, features: _Features) -> Floats:
        total = self._logit(0, features)
        for k in range(1, len(self.classifiers_)):
            total += self._logit(k, features)
        return total / len(self.classifiers_) / self.temperature_ + self.offset_

    def log_density_ratio(self, X: ArrayLike, y: Any = None) -> Floats:
        """Logarithm of q(x, y) / p(x, y), or of q(x) / p(x) for a fit without labels.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, channels, length)
        y : array-like of n labels
            Needed exactly where the fit had labels.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        FloatingPointError
            If rows lie so far away that the networks overflow.
        """
        check_is_fitted(self, "effective_sample_size_")
        rows = rows_as_fitted(X, self._form, "X")
        validate_data(self, X, reset=False, skip_check_array=True)
        if (y is None) != (self.labels_.kind == "none"):
            raise ValueError(
                "y was given, but the classifier was fitted without labels; leave it out."
                if y is not None
                else "The classifier was fitted with labels; give y, one label per row."
            )
        labels = None if y is None else check_labels(y, X, "y")
        parts = units_in_parts(self.transformer_, rows, "X")
        log_ratios = [
            self._log_ratio(self._features(z, None if labels is None else labels[at])) for at, z in parts
        ]
        return finite_rows(np.concatenate(log_ratios), "The log density ratio")

    def predict_proba(self, X: ArrayLike, y: Any = None) -> Floats:
        """Probabilities (source, target) of each row, both domains equally frequent; shape (n, 2)."""
        log_ratio = self.log_density_ratio(X, y)
        target = 1.0 / (1.0 + np.exp(-log_ratio))
        return np.column_stack([1.0 - target, target])

    @property
    def n_parameters_(self) -> int:
        """Number of trained parameters of the default networks; 0 with a scikit-learn classifier."""
        if self.classifier is not None:
            return 0
        return sum(p.numel() for network in self.classifiers_ for p in network.parameters())
