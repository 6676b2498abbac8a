"""What each class puts into a model's files: the only classes that a file can bring back.

An entry lists the attributes that instances have beside their parameters, each with a check of what is read,
and may check an instance as a whole. An attribute that is on no list stops `save`; so nothing is lost in
silence. Parameters are checked by the estimators' own tables; those that a file of an older version lacks
take their defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import device, nn

from sktgdp.estimators._rows.domains import InputForm
from sktgdp.estimators._rows.labels import LabelCode, LabelPrior
from sktgdp.estimators._sampling.support import Support
from sktgdp.estimators._series_model import SeriesUnits
from sktgdp.estimators._state.checks import (
    Check,
    array,
    by_key,
    count,
    each,
    fitted,
    floats,
    instance,
    number,
    one_of,
    optional,
    require,
    shape,
    text,
)  # fmt: skip
from sktgdp.estimators._state.stored_parts import PARTS, Stored
from sktgdp.estimators.augmentation import AugmentedClassifier, GenerativeSampler
from sktgdp.estimators.density_ratio import DomainClassifier
from sktgdp.estimators.diffusion import DiffusionGenerator
from sktgdp.estimators.fine_tuned_series import FineTunedSeriesClassifier
from sktgdp.estimators.fine_tuning import FineTunedDiffusionGenerator
from sktgdp.estimators.series_classifier import SeriesClassifier
from sktgdp.estimators.tgdp import TGDPGenerator
from sktgdp.process import VPProcess

__all__ = ["STORED"]


def _check_process(value: VPProcess) -> None:
    require(0 < value.beta_min < value.beta_max and 0 < value.t_min < 1, "rates or times out of range")


def _check_labels(value: LabelCode) -> None:
    require((value.kind == "none") == (not hasattr(value, "dtype")), "labels without a dtype")
    require((value.kind == "none") == (len(value.classes) == 0), "labels without classes")
    columns = np.arange(len(value.classes))
    require(value.kind == "class" or np.array_equal(value.classes, columns), "columns out of order")


def _check_prior(value: LabelPrior) -> None:
    frequencies = value.frequencies
    require(len(value.rows) == len(frequencies) > 0, "rows without frequencies")
    require(bool((frequencies >= 0).all()), "frequencies below 0")
    require(abs(frequencies.sum() - 1) < 1e-6, "frequencies whose sum is not 1")


def _check_form(value: InputForm) -> None:
    constant = value.constant
    if constant is not None:
        require(constant.dtype == np.float64 and not np.isinf(constant).any(), "constants that are infinite")
        require(constant.shape == value.event_shape, "constants of another shape")
    if value.columns is None:
        require(isinstance(value.dtype, np.dtype), "no dtype")
        return
    dtypes = isinstance(value.dtype, list) and all(hasattr(dtype, "kind") for dtype in value.dtype)
    require(dtypes and value.event_shape == (len(value.dtype),), "other numbers of columns and dtypes")
    require(len(value.columns) == len(value.dtype), "other numbers of columns and dtypes")


def _named_dtypes(value: InputForm) -> Iterable[tuple[str, Any]]:
    pairs = () if value.columns is None else zip(value.columns, value.dtype, strict=True)
    return ((f"The dtype of column {name!r}", dtype) for name, dtype in pairs)


def _named_classes(value: LabelCode) -> Iterable[tuple[str, Any]]:
    return (("A label", each) for each in value.classes.tolist())


def _check_support(value: Support) -> None:
    require(value.low.shape == value.high.shape, "ranges of another shape")
    require(bool((value.low <= value.high).all()), "empty ranges")


def _check_units(value: SeriesUnits) -> None:
    expected = (value.event_shape[0], 1)
    require(value.mean.shape == value.scale.shape == expected, "means of another shape")
    require(len(value.event_shape) == 2 and bool((value.scale > 0).all()), "a scale that is not positive")


SMALL = (
    Stored(VPProcess, dict.fromkeys(("beta_min", "beta_max", "t_min"), number), check=_check_process),
    Stored(
        LabelCode,
        {"kind": one_of("none", "class", "multilabel"), "classes": array("iufbUSOmM", 1)},
        {"dtype": instance(np.dtype)},
        check=_check_labels,
        named=_named_classes,
    ),
    Stored(LabelPrior, {"rows": floats(2), "frequencies": floats(1)}, check=_check_prior),
    Stored(
        InputForm,
        {"event_shape": shape, "dtype": instance(object),
         "columns": optional(lambda value: hasattr(value, "is_unique"))},
        {"constant": optional(instance(np.ndarray))},
        check=_check_form,
        named=_named_dtypes,
    ),
    Stored(Support, dict.fromkeys(("low", "high"), instance(np.ndarray)), check=_check_support),
    Stored(SeriesUnits, dict.fromkeys(("mean", "scale"), floats(2)) | {"event_shape": shape},
           check=_check_units),
)  # fmt: skip

# Estimators -----------------------------------------------------------------------------------------
RUNTIME = ("memory", "callbacks")
CLASSES = array("iufbUSOmM", 1)
RECORD = {"history_": each(instance(dict)), "n_parameters_": count, "fit_time_": by_key(number)}
GENERATOR: dict[str, Check] = {
    **RECORD,
    "process_": instance(VPProcess),
    "device_": instance(device),
    "form_": instance(InputForm),
    "labels_": instance(LabelCode),
    "classes_": CLASSES,
    "prior_": optional(instance(LabelPrior)),
    "transformer_": instance(BaseEstimator),
    "latent_shape_": shape,
}
# not in the files of older versions
SOMETIMES: dict[str, Check] = {"support_": instance(Support), "_diagnostics": by_key(number)}
NOT_KEPT = (*RUNTIME, "_known_rows")
NETWORK = instance(nn.Module)
SERIES_MODEL: dict[str, Check] = {
    "units_": instance(SeriesUnits),
    "labels_": instance(LabelCode),
    "classes_": CLASSES,
    "device_": instance(device),
    "window_": optional(count),
    "aggregate_": one_of("mean", "max"),
    "n_channels_": optional(count),
    "network_": NETWORK,
    "history_": RECORD["history_"],
}

ESTIMATORS = (
    Stored(DiffusionGenerator, {**GENERATOR, "network_": NETWORK}, SOMETIMES, dropped=NOT_KEPT),
    Stored(
        FineTunedDiffusionGenerator,
        {**GENERATOR, "network_": NETWORK, "source_model_": fitted(DiffusionGenerator)},
        SOMETIMES,
        dropped=NOT_KEPT,
    ),
    Stored(
        TGDPGenerator,
        {
            **GENERATOR,
            "source_model_": fitted(DiffusionGenerator),
            "guidance_": optional(NETWORK),
            "time_classifier_": optional(NETWORK),
            "domain_classifier_": optional(fitted(DomainClassifier)),
            "target_prior_": optional(floats(1)),
            "eta_cycle_": number,
            "eta_consistency_": number,
        },
        {"effective_sample_size_": number, "overlap_": number, **SOMETIMES},
        dropped=(*NOT_KEPT, "_memory"),
    ),
    Stored(
        DomainClassifier,
        {
            "labels_": instance(LabelCode),
            "_form": instance(InputForm),
            "transformer_": instance(BaseEstimator),
            "classifiers_": each(instance(nn.Module, BaseEstimator)),
            "temperature_": number,
            "offset_": number,
            "effective_sample_size_": number,
        },
    ),
    Stored(SeriesClassifier, SERIES_MODEL, dropped=RUNTIME),
    Stored(
        FineTunedSeriesClassifier,
        {**SERIES_MODEL, "source_classifier_": fitted(SeriesClassifier)},
        dropped=RUNTIME,
    ),
    Stored(
        AugmentedClassifier,
        {
            "generator_": optional(instance(BaseEstimator)),
            "classifier_": fitted(BaseEstimator),
            "n_synthetic_": lambda value: count(value) or by_key(count)(value),
            "classes_": lambda value: CLASSES(value) or each(CLASSES)(value),
        },
    ),
    Stored(
        GenerativeSampler,
        {"generator_": optional(instance(BaseEstimator)), "sampling_strategy_": by_key(count)},
    ),
)
STORED = {stored.kind: stored for stored in (*ESTIMATORS, *SMALL, *PARTS)}
EVERY_ESTIMATOR: Mapping[str, Check] = {
    "n_features_in_": count,
    "feature_names_in_": array("O", 1),
    "_sklearn_output_config": by_key(text),
}
