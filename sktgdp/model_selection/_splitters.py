"""Splitters that hold out target rows only."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator, KFold, ShuffleSplit, StratifiedKFold
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from sktgdp.estimators._rows.labels import check_labels
from sktgdp.model_selection._packing import Indices, domain_indices

__all__ = ["StratifiedTargetKFold", "TargetKFold", "TargetShuffleSplit"]


class _TargetSplitter(BaseCrossValidator):
    """Splits of the target rows by a splitter of scikit-learn; source rows are in every training set."""

    # Older versions of scikit-learn apply these requests in the alphabetical order of the classes' names:
    # this one has to come after BaseCrossValidator, which switches groups off.
    __metadata_request__split = {"sample_domain": True, "groups": True}

    n_splits: int
    sample_domain: Any

    @abstractmethod
    def _splitter(self) -> Any:
        """Splitter of the target rows alone."""

    def _target_labels(self, y: Any, target: Indices) -> NDArray[Any] | None:
        """Labels of the target rows as the splitter needs them."""
        return None

    def split(
        self, X: Any, y: Any = None, groups: Any = None, *, sample_domain: Any = None
    ) -> Iterator[tuple[Indices, Indices]]:
        """Generate indices of training and test rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Stacked rows of both domains.
        y : array-like of n_rows labels, optional
        groups : array-like of shape (n_rows,), optional
            The domains, where a search passes nothing else; used if ``sample_domain`` is not given.
        sample_domain : array-like of shape (n_rows,), optional
            The domains: >= 0 source, < 0 target. Without it and ``groups`` those of the constructor count.

        Yields
        ------
        train : ndarray
            All source rows and some target rows, ascending.
        test : ndarray
            Target rows, ascending.

        Raises
        ------
        ValueError
            Where there are no domains, they do not fit X, or there are too few target rows.
        """
        X, y = indexable(X, y)
        source, target = self._domains(_num_samples(X), groups, sample_domain)
        labels = self._target_labels(y, target)
        for train, test in self._splitter().split(target, labels):
            yield np.sort(np.concatenate([source, target[train]])), np.sort(target[test])

    def get_n_splits(
        self, X: Any = None, y: Any = None, groups: Any = None, *, sample_domain: Any = None
    ) -> int:
        """Give the number of splits; the arguments are for compatibility."""
        return self.n_splits

    def _domains(self, n_rows: int, groups: Any, sample_domain: Any) -> tuple[Indices, Indices]:
        """Source rows and target rows by the first of the three sources of domains that was given."""
        name = type(self).__name__
        ways = {
            "sample_domain": sample_domain,
            "groups": groups,
            f"{name}(sample_domain=...)": self.sample_domain,
        }
        given = [(way, values) for way, values in ways.items() if values is not None]
        if not given:
            raise ValueError(
                f"{name} does not know the target rows. Give the domains (>= 0 source, < 0 target) "
                f"in one of three ways: at construction, {name}(sample_domain=domain); as groups, as in "
                "search.fit(X, y, groups=domain, ...); or as sample_domain with metadata routing switched on."
            )
        way, values = given[0]
        source, target = domain_indices(values, way, n_rows)
        if len(target) == 0:
            raise ValueError(
                f"The domains given as {way} mark no row as target: all of {n_rows} are >= 0. Mark target "
                "rows by a negative number; sktgdp.model_selection.pack_domains does so."
            )
        return source, target


class TargetKFold(_TargetSplitter):
    """K folds of the target rows; source rows are in every training set.

    Parameters
    ----------
    n_splits : int, default=5
        Folds, at least 2 and no more than there are target rows.
    sample_domain : array-like of shape (n_rows,), optional
        Domain of every row, >= 0 source and < 0 target. It can also be given to ``split``, as ``groups``,
        or by metadata routing, all of which take precedence.
    shuffle : bool, default=True
        Whether target rows are shuffled first.
    random_state : int, RandomState or None
        As for `sklearn.model_selection.KFold`; an integer gives the same folds at every call.

    Examples
    --------
    >>> from sktgdp.model_selection import TargetKFold
    >>> next(TargetKFold(2, shuffle=False).split([[0.0]] * 4, groups=[1, 1, -1, -1]))
    (array([0, 1, 3]), array([2]))
    """

    def __init__(
        self, n_splits: int = 5, *, sample_domain: Any = None, shuffle: bool = True, random_state: Any = None
    ) -> None:
        self.n_splits, self.sample_domain = n_splits, sample_domain
        self.shuffle, self.random_state = shuffle, random_state
        self._splitter()  # raises where a parameter is not valid

    def _splitter(self) -> Any:
        return KFold(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)

    def _domains(self, n_rows: int, groups: Any, sample_domain: Any) -> tuple[Indices, Indices]:
        source, target = super()._domains(n_rows, groups, sample_domain)
        if len(target) < self.n_splits:
            raise ValueError(
                f"n_splits = {self.n_splits} is more than the {len(target)} target rows, and source rows are "
                "never held out. Lower n_splits."
            )
        return source, target


class StratifiedTargetKFold(TargetKFold):
    """K folds of the target rows with equal shares of every class; source rows are in every training set.

    Parameters
    ----------
    n_splits : int, default=5
        Folds, at least 2 and no more than there are target rows of any class.
    sample_domain, shuffle, random_state
        As for `TargetKFold`.
    """

    def _splitter(self) -> Any:
        return StratifiedKFold(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)

    def _target_labels(self, y: Any, target: Indices) -> NDArray[Any]:
        if y is None:
            raise ValueError("StratifiedTargetKFold needs y. Give labels, or use TargetKFold.")
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise ValueError(
                f"StratifiedTargetKFold needs one class per row, got y of shape {np.shape(y)}. Use "
                "TargetKFold for multi-label targets."
            )
        labels = check_labels(_safe_indexing(y, target), target, "y")
        classes, counts = np.unique(labels, return_counts=True)
        rarest = counts.argmin()
        if counts[rarest] < self.n_splits:
            raise ValueError(
                f"Class {classes.tolist()[rarest]!r} has {counts[rarest]} target rows, fewer than "
                f"n_splits = {self.n_splits}. Lower n_splits, or use TargetKFold."
            )
        return labels


class TargetShuffleSplit(_TargetSplitter):
    """Random splits of the target rows; source rows are in every training set.

    Parameters
    ----------
    n_splits : int, default=10
    test_size, train_size : float, int or None
        Share or number of the target rows, as for `sklearn.model_selection.ShuffleSplit`: a tenth is held
        out unless one of them is given.
    sample_domain
        As for `TargetKFold`.
    random_state : int, RandomState or None
        An integer gives the same splits at every call.
    """

    def __init__(
        self,
        n_splits: int = 10,
        *,
        test_size: float | None = None,
        train_size: float | None = None,
        sample_domain: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_splits, self.sample_domain = n_splits, sample_domain
        self.test_size, self.train_size = test_size, train_size
        self.random_state = random_state

    def _splitter(self) -> Any:
        sizes = {"test_size": self.test_size, "train_size": self.train_size}
        return ShuffleSplit(self.n_splits, **sizes, random_state=self.random_state)
