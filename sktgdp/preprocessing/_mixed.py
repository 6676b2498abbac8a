"""Tables of mixed types, as matrices of reals and back."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_array, check_is_fitted, validate_data

from sktgdp._arrays import refuse_hidden, refuse_times
from sktgdp.preprocessing._columns import CategoryColumn, Column, kind_of_column
from sktgdp.preprocessing._levels import has_shared_value
from sktgdp.preprocessing._numbers import IntegerColumn, NumericColumn, missing_entries

__all__ = ["MixedTypeEncoder", "is_frame"]

Floats = NDArray[np.float64]

SCALED_BY_QUANTILES = (NumericColumn, IntegerColumn)  # not times: quantiles are not exact enough for them
PLAIN_KINDS = "biufUS"  # arrays of these dtypes need no pandas


class MixedTypeEncoder(TransformerMixin, BaseEstimator):
    r"""Encode tables of numbers, booleans, categories and times as reals of about unit variance.

    And the way back: any matrix of reals, such as a diffusion model draws, becomes a table with the user's
    own columns, dtypes and categories, inside the ranges that were seen in ``fit``.

    ============ ================================= =============================== ==========================
    kind         dtypes                            as reals                        back
    ============ ================================= =============================== ==========================
    numeric      floats, also nullable             standardised, or by quantiles   kept inside, same decimals
    integer      signed, unsigned, nullable        as numeric                      rounded, kept inside
    datetime     datetime64, naive or aware        as numeric, since their mean    in steps of the column's
    timedelta    timedelta64                       as datetime                     own resolution, kept inside
    boolean      bool, nullable                    0 or 1, standardised            cut at one half
    categorical  category, object, string          centred indicators, one scale   the largest indicator
    ============ ================================= =============================== ==========================

    Floats come back with as many decimals as those of ``fit`` have, where these are six or fewer in all of
    them; so whole numbers stay whole. Missing values are no error: beside a value stands a column that marks
    them, and among categories they are one more. They must have been there in ``fit``, as must categories.

    Parameters
    ----------
    numeric : {"standard", "quantile", "auto"}, default="standard"
        How numbers, integers and times are scaled. "quantile" maps each column to a normal law by its
        quantiles, which suits skewed columns and those in which a few values are frequent, and goes back to
        rounding error. "auto" is "quantile" for numbers and integers in tables that have no density in any
        case, and "standard" for all else. Those are the tables with categories, with missing values, or with
        numbers that many rows share: a tenth of them, and 20 at least, in a column of three values or more.
        Where a column has only 3 to 32 values, and 20 rows for each on average, "auto" adds an indicator for
        each of them there, and on the way back the largest one says the value.
    clip : bool, default=True
        Keep numbers, integers and times that come back inside the range of the fitted column. If False,
        they are kept inside the range of their dtype only.

    Attributes
    ----------
    column_kinds_ : dict
        Kind of each column, as in the table above. Here and below the keys are the column's names, or the
        numbers 0, 1, ... for an array.
    output_slices_ : dict
        Where each column lies in the matrix.
    categories_ : dict
        Known categories of each categorical column, in the order of its indicators, without missing ones:
        those of a category dtype, seen or not, else those seen, sorted if they can be.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Only where all names are strings.

    Notes
    -----
    With "standard", ``inverse_transform(transform(X))`` equals ``X``: to rounding error in floats, else
    exactly, as long as integers and times lie within 2^50 steps of their mean (for times in microseconds,
    35 years). A step of a time column is the longest of day, hour, minute, second, ... that divides all
    differences of the fitted times, so dates come back as dates. Where an object column marks missing
    values in several ways, they come back as the first of them.

    Arrays of numbers and of strings are taken too, one dtype for all columns; so are arrays of objects and
    of times, if pandas is there, with a kind for each column; and an array comes back.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"age": [31, 44, 60], "city": ["Lima", None, "Oslo"]})
    >>> encoder = MixedTypeEncoder().fit(people)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'city_Lima', 'city_Oslo', 'city_missing']
    >>> encoder.inverse_transform(encoder.transform(people)).equals(people)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "numeric": [StrOptions({"standard", "quantile", "auto"})],
        "clip": ["boolean"],
    }

    n_features_in_: int
    column_kinds_: dict[Hashable, str]
    output_slices_: dict[Hashable, slice]
    categories_: dict[Hashable, list[Any]]

    def __init__(self, numeric: str = "standard", clip: bool = True) -> None:
        self.numeric = numeric
        self.clip = clip

    def fit(self, X: Any, y: Any = None) -> MixedTypeEncoder:
        """Learn kinds, ranges, scales and categories of the columns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a column has a dtype, or holds objects, that cannot be encoded.
        ValueError
            If ``X`` is empty, has two columns of one name, or a column that is all missing or infinite
            somewhere.
        """
        self._validate_params()
        table = self._check(X, reset=True)
        self._labels = table.columns if is_frame(table) else None
        self._dtype: Any = table.dtype if self._labels is None else None
        columns = _columns_of(table)
        names: list[Hashable] = list(range(len(columns)) if self._labels is None else self._labels)
        self._columns: list[Column] = []
        kinds = [kind_of_column(name, column.dtype) for name, column in zip(names, columns, strict=True)]
        scaling = self._scaling(kinds, columns)
        for name, column, kind, numeric in zip(names, columns, kinds, scaling, strict=True):
            self._columns.append(kind(name, column.dtype, numeric, self.clip))
            self._columns[-1].fit(column)
        ends = np.cumsum([column.width for column in self._columns]).tolist()
        slices = [slice(end - column.width, end) for end, column in zip(ends, self._columns, strict=True)]
        self.output_slices_ = dict(zip(names, slices, strict=True))
        self.column_kinds_ = {column.name: column.kind for column in self._columns}
        categorical = [column for column in self._columns if isinstance(column, CategoryColumn)]
        self.categories_ = {column.name: list(column.categories) for column in categorical}
        return self

    def _scaling(self, kinds: list[type[Column]], columns: list[Any]) -> list[str]:
        """How each column's numbers are scaled."""
        if self.numeric != "auto":
            return [self.numeric] * len(kinds)
        has_density = CategoryColumn not in kinds and not any(
            missing_entries(each).any()
            or (kind in SCALED_BY_QUANTILES and has_shared_value(np.asarray(each)))
            for kind, each in zip(kinds, columns, strict=True)
        )
        return ["levels" if kind in SCALED_BY_QUANTILES and not has_density else "standard" for kind in kinds]

    def transform(self, X: Any) -> Floats:
        """Encode rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
            With the columns of ``fit``, in their order.

        Returns
        -------
        Z : ndarray of shape (n, k), float64

        Raises
        ------
        TypeError
            If a column's dtype does not go with the one in ``fit``.
        ValueError
            If the columns are not those of ``fit``, or one has categories, or missing values, that it did
            not have in ``fit``, or is infinite somewhere.
        """
        check_is_fitted(self)
        columns = _columns_of(self._check(X, reset=False))
        parts = [fitted.transform(column) for fitted, column in zip(self._columns, columns, strict=True)]
        return np.hstack(parts)

    def widened(self, X: Any) -> MixedTypeEncoder:
        """Copy whose columns of numbers and times range over the values of further rows, too.

        With ``clip`` no value that lies outside the known ranges comes back. Scales and categories stay.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
            As for ``transform``.
        """
        check_is_fitted(self)
        wide = copy.deepcopy(self)
        for fitted, column in zip(wide._columns, _columns_of(self._check(X, reset=False)), strict=True):
            if not isinstance(fitted, CategoryColumn):
                fitted.widen(column)
        return wide

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Decode rows; any reals will do.

        Parameters
        ----------
        X : array-like of shape (n, k)
            Encoded rows, or a model's.

        Returns
        -------
        X : DataFrame or ndarray of shape (n, d)
            With the columns and dtypes of ``fit``; a frame has a RangeIndex.

        Raises
        ------
        ValueError
            If there are not k columns, or NaN or infinity in them.
        """
        check_is_fitted(self)
        refuse_times(X, "X")
        z: Floats = check_array(X, dtype=np.float64, input_name="X", estimator=self)
        slices = list(self.output_slices_.values())
        if z.shape[1] != slices[-1].stop:
            raise ValueError(f"X has {z.shape[1]} columns; encoded rows have {slices[-1].stop}.")
        parts = [column.inverse(z[:, at]) for column, at in zip(self._columns, slices, strict=True)]
        if self._labels is None and self._dtype.kind in PLAIN_KINDS:
            for values, missing in parts:
                if missing.any():
                    values[missing] = np.nan
            return np.column_stack([values for values, _ in parts]).astype(self._dtype, copy=False)
        frame = _frame_of([(*part, c.dtype) for part, c in zip(parts, self._columns, strict=True)])
        if self._labels is None:
            return frame.to_numpy(dtype=self._dtype)
        frame.columns = self._labels
        return frame

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the encoded columns: "age", "age_missing", "city_Lima", "city_missing".

        Parameters
        ----------
        input_features : array-like of str, shape (d,), default=None
            Names of the columns: None for those of ``fit``, or x0, x1, ... where they are no strings.

        Returns
        -------
        names : ndarray of shape (k,)
        """
        check_is_fitted(self)
        if input_features is not None and np.ndim(input_features) != 1:
            raise ValueError(f"input_features must be {self.n_features_in_} names, got {input_features!r}.")
        names = _check_feature_names_in(self, input_features)
        if len(set(names)) < len(names):
            raise ValueError(f"input_features has a name more than once: {list(names)}.")
        full = [f"{name}{end}" for name, c in zip(names, self._columns, strict=True) for end in c.suffixes]
        return np.array(full, dtype=object)

    def log_abs_det_jacobian(self, event_shape: tuple[int, ...]) -> float:
        """Logarithm of ``|det dz/dx|`` for one row of the given shape, (d,).

        Integers and booleans count as the reals between which they lie, and times in the unit of their
        dtype.

        Raises
        ------
        ValueError
            If the shape is another, or some column has no density: categories, columns with missing values,
            and columns of numbers that are scaled by quantiles.
        """
        check_is_fitted(self)
        if tuple(event_shape) != (self.n_features_in_,):
            raise ValueError(f"event_shape is {event_shape}; rows have shape ({self.n_features_in_},).")
        scales = {column.name: column.log_scale for column in self._columns}
        without = [name for name, scale in scales.items() if scale is None]
        if without:
            raise ValueError(
                "Densities are not defined for tables with categories, missing values or quantiles; found "
                f"such in columns {without[:5]}. Numbers have one with MixedTypeEncoder(numeric='standard')."
            )
        return -float(sum(scale for scale in scales.values() if scale is not None))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    def _check(self, X: Any, reset: bool) -> Any:
        """Check names and shape of ``X``; a frame, or else an array."""
        if not is_frame(X):
            refuse_hidden(X, "X")
            return validate_data(self, X, dtype=None, ensure_all_finite=False, reset=reset)
        if 0 in X.shape:
            raise ValueError(
                f"Found a frame with 0 sample(s) or 0 feature(s) (shape={X.shape}); "
                "MixedTypeEncoder needs at least one of each."
            )
        if not X.columns.is_unique:
            twice = X.columns[X.columns.duplicated()].unique().tolist()
            raise ValueError(f"X has several columns of one name: {twice}.")
        validate_data(self, X, skip_check_array=True, reset=reset)
        # scikit-learn compares names only if all of them are strings
        if not reset and self._labels is not None and list(X.columns) != list(self._labels):
            raise ValueError(
                "The feature names should match those that were passed during fit, in the same order: "
                f"{list(self._labels)} in fit, {list(X.columns)} now."
            )
        return X


def is_frame(X: Any) -> bool:
    """Whether X is a pandas frame, or looks like one."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def _columns_of(table: Any) -> list[Any]:
    """Columns of a frame or an array, as Series or arrays."""
    if is_frame(table):
        return [table.iloc[:, i] for i in range(table.shape[1])]
    if table.dtype.kind in PLAIN_KINDS:
        return list(table.T)
    import pandas as pd

    columns = [pd.Series(column, dtype=object if table.dtype == object else None) for column in table.T]
    inferred = [column.infer_objects() for column in columns]
    # strings and mixtures stay as they are, and so do their marks of missing values
    return [b if b.dtype.kind in "biufmM" else a for a, b in zip(columns, inferred, strict=True)]


def _frame_of(parts: list[tuple[NDArray[Any], NDArray[np.bool_], Any]]) -> Any:
    """Frame of columns, each given as values, marks of the missing ones, and dtype."""
    import pandas as pd

    columns = []
    for values, missing, dtype in parts:
        column = pd.Series(values, dtype=values.dtype)
        zone = getattr(dtype, "tz", None)
        column = column.astype(dtype) if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)
        columns.append(column.mask(missing) if missing.any() else column)
    return pd.DataFrame(dict(enumerate(columns)))
