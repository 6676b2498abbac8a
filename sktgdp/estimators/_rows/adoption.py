"""Taking over the units, the labels and the form of rows of a model that is fitted already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp.estimators._rows.domains import InputForm, Units, rows_as_fitted
from sktgdp.estimators._rows.labels import LabelPrior
from sktgdp.estimators._rows.units import to_units
from sktgdp.estimators._sampling.support import remember_rows
from sktgdp.preprocessing import MixedTypeEncoder

__all__ = ["adopt", "continued"]


def adopt(
    target: Any, fitted: Any, X: Any, labels: NDArray[Any] | None,
    *, names: Sequence[str], all_labels: str | None = None,
) -> tuple[Units, NDArray[np.float32] | None]:  # fmt: skip
    """Give an estimator the units and the label code of a fitted one; rows and labels in them.

    Parameters
    ----------
    target, fitted : BaseGenerator
        May be the same.
    X, labels : rows and checked labels
    names : (str, str, str)
        What the rows, the labels and the fitted model are called in errors.
    all_labels : str, optional
        What to give where labels are missing, if more than the labels of these rows.

    Returns
    -------
    z, codes
    """
    rows_name, labels_name, model_name = names
    rows = rows_as_fitted(X, fitted.form_, rows_name)
    _check_form(fitted, X, rows, rows_name, model_name)
    if labels is None and fitted.labels_.kind != "none":
        raise ValueError(f"{model_name} was fitted with labels; give {all_labels or labels_name} too.")
    target.process_, target.device_ = fitted.process_, fitted.device_
    transformer, target.latent_shape_ = fitted.transformer_, fitted.latent_shape_
    z = to_units(transformer, rows, rows_name)
    remember_rows(target, z, fitted)
    if isinstance(transformer, MixedTypeEncoder):  # it keeps rows inside the ranges that it knows
        transformer = transformer.widened(rows)
    target.transformer_ = transformer
    target.labels_, target.classes_ = fitted.labels_, fitted.classes_
    target.form_ = InputForm.of(X, rows).along_with(fitted.form_)
    codes = None if labels is None else fitted.labels_.encode(labels, labels_name)
    target.prior_ = None if codes is None else LabelPrior.of(codes)
    return z, codes


def _check_form(fitted: Any, X: Any, rows: Any, rows_name: str, model_name: str) -> None:
    if rows.shape[1:] != fitted.form_.event_shape:
        raise ValueError(
            f"{rows_name} has rows of shape {rows.shape[1:]}, but {model_name} was fitted on "
            f"{fitted.form_.event_shape}."
        )
    known = list(getattr(fitted, "feature_names_in_", []))
    if known and known != list(getattr(X, "columns", known)):
        raise ValueError(
            f"{rows_name} must have the columns that {model_name} was fitted on, in the same order: expected "
            f"{known}, got {list(X.columns)}."
        )


def continued(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Put the losses of a further fit behind those of the last one; steps count on within each phase."""
    last = {row["phase"]: row["step"] for row in before}
    return [dict(row) for row in before] + [
        {**row, "step": row["step"] + last.get(row["phase"], 0)} for row in after
    ]
