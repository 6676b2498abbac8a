"""Cross-validation over two domains: source rows always train, target rows are held out in turn.

A search of scikit-learn takes one X and one y, so both domains are stacked and marked by ``sample_domain``:
>= 0 for a row of the source, < 0 for a row of the target.

>>> import numpy as np
>>> from sktgdp.model_selection import TargetKFold, pack_domains
>>> X, y, domain = pack_domains(np.zeros((6, 2)), None, np.ones((4, 2)), None)
>>> for train, test in TargetKFold(2, sample_domain=domain, shuffle=False).split(X):
...     print(train, test)
[0 1 2 3 4 5 8 9] [6 7]
[0 1 2 3 4 5 6 7] [8 9]

A search hands ``sample_domain`` to the splitter only where metadata routing is on. Elsewhere give it at
construction too, or as ``groups``. Ask a search for no training scores (``return_train_score=False``, which
is not the default of the halving searches): the rows that it trains on are those of both domains.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.model_selection import BaseCrossValidator, KFold, ShuffleSplit, StratifiedKFold
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import _num_samples

from sktgdp.estimators._rows.domains import split_domains
from sktgdp.estimators._rows.labels import check_labels

__all__ = ["StratifiedTargetKFold", "TargetKFold", "TargetShuffleSplit", "pack_domains", "unpack_domains"]

Indices = NDArray[np.intp]


# Two domains in one array ---------------------------------------------------------------------------
def pack_domains(X_src: Any, y_src: Any, X_tgt: Any, y_tgt: Any) -> tuple[Any, Any, NDArray[np.int64]]:
    """Stack both domains, source first, for a search or a pipeline; `unpack_domains` is the inverse.

    Parameters
    ----------
    X_src : array-like of shape (m, ...)
        Source rows; arrays of any rank, or a pandas frame.
    y_src : array-like of shape (m,) or (m, k), or None
        Source labels.
    X_tgt : array-like of shape (n, ...)
        Target rows, with the columns of ``X_src``; a frame where that is one.
    y_tgt : array-like of shape (n,) or (n, k), or None
        Target labels, None exactly where ``y_src`` is.

    Returns
    -------
    X : array or frame of shape (m + n, ...)
        Frames get a new index. Columns of categories stay so, since both sides must have the same categories.
    y : array, series or frame of m + n labels, or None
    sample_domain : ndarray of shape (m + n,)
        1 for source rows, -1 for target rows.

    Raises
    ------
    ValueError
        Where widths, columns, categories or lengths differ, or only one side has labels.
    """
    for name, rows in (("X_src", X_src), ("X_tgt", X_tgt)):
        if rows is None:
            raise ValueError(f"{name} is None. Give rows of both domains.")
    if (y_src is None) != (y_tgt is None):
        given, missing = ("y_src", "y_tgt") if y_tgt is None else ("y_tgt", "y_src")
        raise ValueError(f"{given} was given and {missing} was not. Give labels of both domains, or of none.")
    _check_length(y_src, X_src, "y_src", "X_src")
    _check_length(y_tgt, X_tgt, "y_tgt", "X_tgt")
    X = _stack(X_src, X_tgt, ("X_src", "X_tgt"))
    y = None if y_src is None else _stack(y_src, y_tgt, ("y_src", "y_tgt"))
    return X, y, np.repeat([1, -1], [_num_samples(X_src), _num_samples(X_tgt)])


def unpack_domains(X: Any, y: Any, sample_domain: Any) -> tuple[Any, Any, Any, Any]:
    """Take stacked rows apart again.

    Parameters
    ----------
    X : array-like of shape (n_rows, ...)
    y : array-like of n_rows labels, or None
    sample_domain : array-like of shape (n_rows,)
        >= 0 for source rows, < 0 for target rows.

    Returns
    -------
    X_src, y_src, X_tgt, y_tgt
        In the order of the rows; both labels are None where ``y`` is. Frames keep their index.

    Raises
    ------
    ValueError
        Where the lengths differ, or ``sample_domain`` holds something other than numbers.
    """
    if sample_domain is None:
        raise ValueError("sample_domain is None. Give one number per row: >= 0 source, < 0 target.")
    _domain_indices(sample_domain, "sample_domain", _num_samples(X))
    _check_length(y, X, "y", "X")
    return split_domains(X, y, None, None, sample_domain)


def _check_length(y: Any, X: Any, y_name: str, X_name: str) -> None:
    """Refuse labels, if there are any, of another number than there are rows."""
    if y is not None and _num_samples(y) != _num_samples(X):
        raise ValueError(
            f"{y_name} must hold one label per row of {X_name}: found {_num_samples(y)} labels for "
            f"{_num_samples(X)} rows."
        )


def _stack(source: Any, target: Any, names: tuple[str, str]) -> Any:
    """Rows of the source followed by those of the target."""
    sides = (source, target)
    if any(hasattr(values, "iloc") for values in sides):
        if type(source) is not type(target):
            kinds = " and ".join(type(values).__name__ for values in sides)
            raise ValueError(f"{names[0]} and {names[1]} must be of one kind, got {kinds}. Convert one.")
        return _stack_pandas(source, target, names)
    if any(issparse(values) for values in sides):
        raise ValueError(f"{names[0]} and {names[1]} must be dense. Convert with .toarray().")
    arrays = [np.asarray(values) for values in sides]
    shapes = [array.shape for array in arrays]
    if shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            f"{names[0]} and {names[1]} must agree in all but the number of rows, got shapes {shapes[0]} "
            f"and {shapes[1]}."
        )
    texts = [array.dtype.kind in "US" for array in arrays]
    if texts[0] != texts[1] and not any(array.dtype.kind == "O" for array in arrays):
        dtypes = f"{arrays[0].dtype} and {arrays[1].dtype}"
        raise ValueError(f"{names[0]} and {names[1]} mix text with numbers, got {dtypes}. Convert one.")
    return np.concatenate(arrays)


def _stack_pandas(source: Any, target: Any, names: tuple[str, str]) -> Any:
    """Concatenate two frames, or two series, that agree in columns and in kinds of columns."""
    import pandas as pd  # the input is pandas, so it is there

    tables = [values.to_frame("labels") if values.ndim == 1 else values for values in (source, target)]
    columns = [list(table.columns) for table in tables]
    if columns[0] != columns[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} must have the same columns in the same order, got {columns[0]} and "
            f"{columns[1]}."
        )
    for column, *dtypes in zip(columns[0], tables[0].dtypes, tables[1].dtypes, strict=True):
        kinds = [
            dtype if isinstance(dtype, pd.CategoricalDtype) else pd.api.types.is_numeric_dtype(dtype)
            for dtype in dtypes
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"Column {column!r} must be of one kind in {names[0]} and {names[1]}, and have the same "
                f"categories if it has any; got {dtypes[0]!r} and {dtypes[1]!r}. Convert both, for example "
                "with .astype(pandas.CategoricalDtype(categories_of_both))."
            )
    return pd.concat([source, target], ignore_index=True)


def _domain_indices(sample_domain: Any, given_as: str, n_rows: int) -> tuple[Indices, Indices]:
    """Positions of the source rows and of the target rows."""
    n_domains = _num_samples(sample_domain)
    if n_domains != n_rows:
        raise ValueError(
            f"The domains given as {given_as} hold {n_domains} numbers for {n_rows} rows in X. Where X is a "
            "part of the data, as inside another search, they must be cut with it: switch metadata routing "
            "on, or pass them as groups."
        )
    try:
        domains = split_domains(np.arange(n_rows), None, None, None, sample_domain)
    except ValueError as error:
        raise ValueError(f"The domains given as {given_as} cannot be used: {error}") from error
    return domains.X_src, domains.X_tgt


# Splitters ------------------------------------------------------------------------------------------
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
        source, target = _domain_indices(values, way, n_rows)
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
