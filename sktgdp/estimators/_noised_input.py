"""Noised rows that a user gives by hand, as tensors."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sktgdp.estimators._rows.domains import numeric_rows
from sktgdp.estimators._rows.labels import check_labels

__all__ = ["noised_input"]


def noised_input(generator: Any, x_t: Any, t: Any, y: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check noised rows, their times and labels against a fitted generator, and put them on its device.

    Parameters
    ----------
    generator : BaseGenerator
    x_t : array-like of shape (n, *latent_shape_)
    t : float or array-like of shape (n,)
    y : array-like of n labels, or None for a model without
    """
    rows = numeric_rows(x_t, "x_t")
    if rows.shape[1:] != generator.latent_shape_:
        raise ValueError(
            f"x_t has rows of shape {rows.shape[1:]}; expected {generator.latent_shape_}, in the units of "
            "`transformer_`: what its transform gives."
        )
    try:
        times = np.asarray(t, dtype=np.float64)
    except (TypeError, ValueError):
        times = np.asarray(np.nan)
    if times.shape not in ((), (len(rows),)) or not ((times > 0.0) & (times <= 1.0)).all():
        raise ValueError(
            f"t must be a number in (0, 1], or a vector of {len(rows)} of them, one per row; got "
            f"{reprlib.repr(t)}."
        )
    if generator.labels_.kind != "none" and y is None:
        raise ValueError("y is None, but the model was fitted with labels; give one label per row.")
    codes = None if y is None else torch.from_numpy(generator.labels_.encode(check_labels(y, x_t, "y")))
    x, times_of = (torch.from_numpy(a).float().to(generator.device_) for a in (rows, times))
    return x, times_of, None if codes is None else codes.to(x)
