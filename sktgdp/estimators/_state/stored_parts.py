"""What is stored of the parts of estimators: transformers, columns, and scikit-learn's.

See `sktgdp.estimators._state.stored` for the tables' meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from sktgdp.estimators._state.checks import (
    Check,
    array,
    by_key,
    count,
    each,
    fitted,
    flag,
    floats,
    instance,
    number,
    one_of,
    optional,
    require,
    shape,
    text,
)  # fmt: skip
from sktgdp.preprocessing import (
    BandPass,
    BaselineRemover,
    CropPad,
    LeadReducer,
    MixedTypeEncoder,
    Resampler,
    RowStandardizer,
    SpectralTransformer,
    TransformerChain,
)
from sktgdp.preprocessing._columns import CategoryColumn
from sktgdp.preprocessing._levels import Levels
from sktgdp.preprocessing._numbers import (
    MOST_DECIMALS,
    BooleanColumn,
    IntegerColumn,
    NumericColumn,
    QuantileScaler,
    TimeColumn,
)

__all__ = ["PARTS", "Stored"]


def _nothing(value: Any) -> None:
    """Check nothing more."""


def _unnamed(value: Any) -> Iterable[tuple[str, Any]]:
    """Name no part in another way than by its place."""
    return ()


@dataclass(frozen=True)
class Stored:
    """What is stored of one class.

    Parameters
    ----------
    kind : class
    attributes : mapping of str to Check
        Those of every (fitted) instance.
    optional : mapping of str to Check
        Those that some instances have.
    dropped : tuple of str
        Parameters and attributes that belong to a process, not to a model, or follow from the others.
    check : callable (instance) -> None
        Raises where attributes contradict each other.
    named : callable (instance) -> pairs of a name and a part
        Parts of the user's rows, for which the attributes' names say nothing to the user.
    """

    kind: type
    attributes: Mapping[str, Check]
    optional: Mapping[str, Check] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    check: Callable[[Any], None] = _nothing
    named: Callable[[Any], Iterable[tuple[str, Any]]] = _unnamed


def _scaled(*names: str) -> Callable[[Any], None]:
    """Make a check that attributes have one shape, that of a row or its channels, and scales are positive."""

    def check(value: Any) -> None:
        arrays = [getattr(value, name) for name in names if getattr(value, name) is not None]
        require(len({each.shape for each in arrays}) <= 1, "shapes that differ")
        n_features = getattr(value, "n_features_in_", None)
        require(all(each.shape[0] == n_features for each in arrays), "another number of features")
        scale = getattr(value, "scale_", None)
        require(scale is None or bool((scale > 0).all()), "a scale that is not positive")

    return check


def _check_rows(value: RowStandardizer) -> None:
    require(value.per in ("channel", "value") and isinstance(value.common_scale, bool), "unknown parameters")
    _scaled("mean_", "scale_")(value)


def _check_steps(value: Pipeline) -> None:
    steps = value.steps
    pairs = isinstance(steps, list) and all(isinstance(step, tuple) and len(step) == 2 for step in steps)
    require(pairs and len(steps) > 0, "steps that are no pairs")
    require(all(isinstance(name, str) for name, _ in steps), "steps without names")
    right = (step in (None, "passthrough") or hasattr(step, "fit") for _, step in steps)
    require(all(right), "steps that are no estimators")


def _check_quantiles(value: QuantileTransformer) -> None:
    expected = (value.n_quantiles_, value.n_features_in_)
    require(value.quantiles_.shape == expected, "quantiles of another shape")
    require(value.references_.shape == expected[:1], "references of another shape")


def _check_power(value: PowerTransformer) -> None:
    require(value.lambdas_.shape == (value.n_features_in_,), "another number of features")
    require(not value.standardize or hasattr(value, "_scaler"), "no scaler")


def _check_logistic(value: LogisticRegression) -> None:
    n_rows = 1 if len(value.classes_) == 2 else len(value.classes_)
    require(value.coef_.shape == (n_rows, value.n_features_in_), "coefficients of another shape")
    require(value.intercept_.shape in ((n_rows,), (1,)), "intercepts of another shape")


def _check_column(value: NumericColumn) -> None:
    require(value.numeric in ("standard", "quantile", "levels"), "an unknown scale")
    require(0 <= value.missing_rate < 1, "an odd rate of missing values")
    require(value.low <= value.high and getattr(value, "step", 1) > 0, "an empty range")
    require(value.kind == "boolean" or value.dtype is not None, "no dtype")
    require(value.decimals is None or value.decimals <= MOST_DECIMALS, "too many decimals")
    value.inverse(np.zeros((1, value.width)))


def _check_levels(value: Levels) -> None:
    require(value.shares.shape == value.values.shape, "other numbers of levels")
    require(len(value.values) > 1 and bool((np.diff(value.values) > 0).all()), "levels that do not ascend")
    require(bool((value.shares > 0).all()) and abs(value.shares.sum() - 1) < 1e-6, "odd shares of levels")


def _check_category(value: CategoryColumn) -> None:
    require(value.frequencies.shape == (value.width,) and value.scale > 0, "other numbers of categories")
    require(len(value.missing_mark) < 2 and value.width > 0, "several marks of missing values")
    require(len(value.codes) == len(value.categories), "categories that come twice")


def _named_categories(value: CategoryColumn) -> Iterable[tuple[str, Any]]:
    return ((f"A value of column {value.name!r}", category) for category in value.categories)


def _check_mixed(value: MixedTypeEncoder) -> None:
    columns = value._columns
    ends = np.cumsum([column.width for column in columns]).tolist()
    slices = [slice(end - column.width, end) for end, column in zip(ends, columns, strict=True)]
    names = [column.name for column in columns]
    require(list(value.output_slices_.items()) == list(zip(names, slices, strict=True)), "other slices")
    require(0 < len(columns) == value.n_features_in_, "another number of columns")
    require(value.column_kinds_ == {column.name: column.kind for column in columns}, "other kinds")
    labels = list(range(len(columns))) if value._labels is None else value._labels
    require(len(labels) == len(columns) and list(labels) == names, "other names of columns")
    require((value._labels is None) != (value._dtype is None), "both names and a dtype, or neither")


def _ends(value: Any) -> bool:
    """Tell pairs of a lowest and a highest number."""
    return isinstance(value, tuple) and len(value) == 2 and all(map(number, value)) and value[0] <= value[1]


SCALAR = optional(number)
COLUMN: dict[str, Check] = {
    "name": instance(Hashable),
    "dtype": lambda value: hasattr(value, "kind"),
    "numeric": text,
    "clip": flag,
    "missing_rate": number,
    "low": number,
    "high": number,
    "origin": number,
    "scaler": lambda value: isinstance(value, QuantileScaler) or fitted(StandardScaler)(value),
}
# None in models of older versions.
NEWER: dict[str, Check] = {"levels": optional(instance(Levels)), "decimals": optional(count)}
SIGNAL: dict[str, Check] = {"event_shape_": shape}

SCIKIT_LEARN = (
    Stored(FrozenEstimator, {}),
    Stored(Pipeline, {}, dropped=("memory",), check=_check_steps),
    Stored(
        StandardScaler,
        {"mean_": optional(floats(1)), "var_": optional(floats(1)), "scale_": optional(floats(1)),
         "n_samples_seen_": lambda v: number(v) or floats(1)(v) or array("i", 1)(v)},
        check=_scaled("mean_", "scale_"),
    ),
    Stored(
        MinMaxScaler,
        {**dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), floats(1)),
         "n_samples_seen_": number},
        check=_scaled("min_", "scale_"),
    ),
    Stored(
        RobustScaler,
        dict.fromkeys(("center_", "scale_"), optional(floats(1))),
        check=_scaled("center_", "scale_"),
    ),
    Stored(
        QuantileTransformer,
        {"n_quantiles_": number, "quantiles_": floats(2), "references_": floats(1)},
        check=_check_quantiles,
    ),
    Stored(
        PowerTransformer, {"lambdas_": floats(1)}, {"_scaler": fitted(StandardScaler)}, check=_check_power
    ),
    Stored(
        LogisticRegression,
        {"classes_": array("iufbUSO", 1), "coef_": floats(2), "intercept_": floats(1),
         "n_iter_": array("i", 1, 2)},
        check=_check_logistic,
    ),
)  # fmt: skip
COLUMNS = (
    Stored(
        QuantileScaler,
        {"line": fitted(StandardScaler), "curve": fitted(QuantileTransformer), "unit": fitted(StandardScaler),
         "u_ends": _ends, "p_ends": _ends, "z_ends": _ends,
         "margin": lambda value: number(value) and 0.0 < value < 0.5},
    ),
    Stored(Levels, {"values": array("iuf", 1), "shares": floats(1)}, check=_check_levels),
    Stored(NumericColumn, COLUMN, NEWER, check=_check_column),
    Stored(BooleanColumn, COLUMN, NEWER, check=_check_column),
    Stored(IntegerColumn, COLUMN | {"step": count}, NEWER, check=_check_column),
    Stored(
        TimeColumn,
        COLUMN | {"step": count, "takes": one_of("m", "M"), "kind": one_of("datetime", "timedelta")},
        NEWER,
        check=_check_column,
    ),
    Stored(
        CategoryColumn,
        {"name": COLUMN["name"], "dtype": COLUMN["dtype"], "missing_mark": array("O", 1),
         "categories": each(instance(Hashable)), "frequencies": floats(1), "scale": number},
        dropped=("codes", "loose_codes"),
        check=_check_category,
        named=_named_categories,
    ),
)  # fmt: skip
TRANSFORMERS = (
    Stored(RowStandardizer, {"mean_": floats(1, 2), "scale_": floats(1, 2)}, check=_check_rows),
    Stored(
        MixedTypeEncoder,
        {
            "_labels": optional(lambda value: hasattr(value, "is_unique")),
            "_dtype": optional(instance(np.dtype)),
            "_columns": each(instance(NumericColumn, CategoryColumn)),
            "output_slices_": by_key(instance(slice)),
            "column_kinds_": by_key(text),
            "categories_": by_key(instance(list)),
        },
        check=_check_mixed,
    ),
    Stored(TransformerChain, {}, dropped=("memory",), check=_check_steps),
    Stored(Resampler, SIGNAL),
    Stored(BandPass, SIGNAL),
    Stored(BaselineRemover, SIGNAL),
    Stored(LeadReducer, SIGNAL | {"residual_": by_key(number)}),
    Stored(CropPad, {"length_in_": optional(count)}),
    Stored(SpectralTransformer, SIGNAL | {"kept_": number}),
)
PARTS = (*SCIKIT_LEARN, *COLUMNS, *TRANSFORMERS)
