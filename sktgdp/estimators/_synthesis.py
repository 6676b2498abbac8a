"""Behind the augmenting estimators: domains, a generator that knows its source, rows and their weights."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import InputTags, Tags, _safe_indexing, column_or_1d
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter, validate_data

from sktgdp._arrays import refuse_times
from sktgdp.estimators._caller import level_of_user
from sktgdp.estimators._rows.domains import Domains, check_columns, split_domains
from sktgdp.estimators._rows.labels import check_labels
from sktgdp.estimators._sampling.support import FAR
from sktgdp.estimators._state.memory import draw_seed
from sktgdp.estimators.tgdp import TGDPGenerator

__all__ = [
    "append_rows",
    "check_data",
    "prepare_generator",
    "sampler_tags",
    "seeded_clone",
    "synthesize",
    "weight_keyword",
]

SOME = 1000  # rows are enough to see their units
SEED = re.compile(r"(^|__)random_state$")
UNKNOWN_SOURCE = (
    "{owner} knows no source domain, and its generator {generator} learns from two. Do one of three: give "
    "fit stacked rows of both domains with sample_domain; give a generator that is fitted already, as "
    "generator=FrozenEstimator(fitted_generator); or give the generator a fitted source model, as "
    "source_model=FrozenEstimator(fitted_diffusion_generator). (Without metadata routing imbalanced-learn's "
    "Pipeline drops step__sample_domain in silence.)"
)


def check_data(owner: Any, X: Any, y: Any, sample_domain: Any) -> tuple[Domains, NDArray[Any]]:
    """Check what a fit got and set ``n_features_in_``; both domains as they came, and the target's labels.

    ``X_src`` and ``y_src`` are None where there are no source rows.
    """
    name = type(owner).__name__
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    check_columns(X, "X")
    if not hasattr(X, "columns"):
        refuse_times(X, "X")
    # a frame may hold categories and missing values: its values are left to the generator and the classifier
    validate_data(owner, X, allow_nd=True, skip_check_array=hasattr(X, "columns"))
    y = y if isinstance(y, list) or hasattr(y, "iloc") else np.asarray(y)
    labels = check_labels(y, X, "y")
    if sample_domain is None:
        return Domains(None, None, X, y), labels
    domains = split_domains(X, y, None, None, sample_domain)
    if _num_samples(domains.X_tgt) == 0:
        raise ValueError(
            f"sample_domain marks no target row (< 0), and {name} needs some. Leave sample_domain out where "
            "all rows are target rows."
        )
    if _num_samples(domains.X_src) == 0:
        domains = domains._replace(X_src=None, y_src=None)
    return domains, labels[column_or_1d(sample_domain) < 0]


def seeded_clone(estimator: Any, random_state: Any) -> Any:
    """Clone an estimator; with a random state, seed every part of the clone that has none."""
    copy = clone(estimator)
    if random_state is None:
        return copy  # a memory of the parts may choose seeds of its own
    rng = np.random.default_rng(draw_seed(random_state))
    params = {name: value for name, value in sorted(copy.get_params().items()) if SEED.search(name)}
    seeds = {name: int(rng.integers(2**31)) for name in params}  # drawn for all: a given seed moves no other
    return copy.set_params(**{name: seeds[name] for name, value in params.items() if value is None})


def prepare_generator(owner: Any, domains: Domains, random_state: Any) -> Any:
    """Give the owner's generator if it is frozen, else an unfitted clone; raise if it knows no source."""
    generator = TGDPGenerator() if owner.generator is None else owner.generator
    if isinstance(generator, FrozenEstimator):
        check_is_fitted(generator.estimator)
        validate_data(generator.estimator, domains.X_tgt, reset=False, skip_check_array=True)
        _warn_of_other_units(generator.estimator, domains.X_tgt)
        return generator
    source_is_known = (
        domains.X_src is not None
        or not _has_two_domains(generator)
        or isinstance(getattr(generator, "source_model", None), FrozenEstimator)
    )
    if not source_is_known:
        names = {"owner": type(owner).__name__, "generator": type(generator).__name__}
        raise ValueError(UNKNOWN_SOURCE.format(**names))
    return seeded_clone(generator, random_state)


def _warn_of_other_units(generator: Any, X: Any) -> None:
    """Say where rows are far from all that a fitted generator was fitted on, as behind a scaler."""
    if getattr(generator, "support_", None) is None:
        return
    some = _safe_indexing(X, np.arange(min(_num_samples(X), SOME)))
    try:
        z = generator._to_units(some)
    except (TypeError, ValueError):  # what is wrong with them is said where it matters
        return
    share = generator.support_.outside(z, FAR).mean()
    if share > 0.5:
        warnings.warn(
            f"{share:.0%} of the rows lie far outside the ranges of those that the frozen generator was "
            "fitted on, as if in other units; its own rows do not go with them. Put a scaler behind it: "
            "AugmentedClassifier(make_pipeline(StandardScaler(), classifier), generator).",
            UserWarning,
            stacklevel=level_of_user(),
        )


def _has_two_domains(generator: Any) -> bool:
    return has_fit_parameter(generator, "X_tgt")


def synthesize(generator: Any, domains: Domains, labels: NDArray[Any], seed: int) -> tuple[Any, Any]:
    """Fit a prepared generator, unless it is frozen, and draw one row for each label.

    Returns
    -------
    generator, X : the fitted generator and the rows; None, None without labels
    """
    if len(labels) == 0:
        return None, None
    if isinstance(generator, FrozenEstimator):
        generator = generator.estimator
    elif _has_two_domains(generator):
        generator.fit(*domains)  # draws source rows from a frozen source model where there are none
    else:
        generator.fit(domains.X_tgt, domains.y_tgt)
    if len(getattr(generator, "classes_", labels)) == 0:
        raise ValueError(
            f"The generator {type(generator).__name__} was fitted without labels and cannot draw rows of a "
            "class. Fit it with labels, and leave its `conditional` at 'auto'."
        )
    X, _ = generator.sample(len(labels), y=labels, random_state=seed)
    return generator, X


def append_rows(given: Any, new: Any) -> Any:
    """Append rows, or labels, to given ones in their form: array, list, frame or series; None adds none."""
    if new is None:
        return given
    if isinstance(given, list):
        return [*given, *np.asarray(new).tolist()]
    if not hasattr(given, "iloc"):
        array = np.asarray(given)
        return np.concatenate([array, _cast(np.asarray(new), array.dtype)])
    import pandas as pd  # the rows are a frame or a series, so pandas is there

    if given.ndim == 1:
        return pd.concat([given, pd.Series(new, dtype=given.dtype, name=given.name)], ignore_index=True)
    frame = pd.DataFrame(new)
    columns = [_cast(frame.iloc[:, i].reset_index(drop=True), dtype) for i, dtype in enumerate(given.dtypes)]
    frame = pd.concat(columns, axis=1).set_axis(given.columns, axis=1)
    return pd.concat([given, frame], ignore_index=True)


def _cast(values: Any, dtype: Any) -> Any:
    """Change the type of an array or a column; numbers become integers by rounding."""
    whole = getattr(dtype, "kind", "O") in "iu" and getattr(values.dtype, "kind", "O") == "f"
    return (np.rint(values) if whole else values).astype(dtype)


def weight_keyword(classifier: Any) -> str:
    """Name by which a classifier, or a pipeline's last step, takes weights of rows."""
    last, prefix = classifier, ""
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(last, "sample_weight"):
        raise TypeError(
            f"sample_weight_synthetic is not 1, but {type(last).__name__} takes no sample_weight in fit. Use "
            "another classifier, or say with n_synthetic how much synthetic rows count."
        )
    return f"{prefix}sample_weight"


@dataclass
class _SampleIndices:
    sample_indices: bool = False


@dataclass
class _FrameTags(InputTags):
    dataframe: bool = True


@dataclass
class _SamplerTags(Tags):
    sampler_tags: _SampleIndices = field(default_factory=_SampleIndices)


def sampler_tags(plain: Tags) -> Tags:
    """Make scikit-learn's tags those of a sampler, with the fields that imbalanced-learn adds to them."""
    tags = _SamplerTags(**{each.name: getattr(plain, each.name) for each in fields(plain)})
    tags.input_tags = _FrameTags(**{f.name: getattr(plain.input_tags, f.name) for f in fields(InputTags)})
    tags.estimator_type = "sampler"
    tags.target_tags.required = True
    return tags
