"""Whether two values are the same, by their content: the key of what is kept on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import joblib
import numpy as np
import torch

__all__ = ["digest"]


def digest(value: Any) -> str:
    """Hash of a value's content; networks go by their weights, arrays by their entries, not their layout.

    Raises
    ------
    TypeError
        The value cannot be pickled, so that its content cannot be told.
    """
    if isinstance(value, torch.nn.Module):
        return digest({**value.state_dict(), "": repr(value)})
    if isinstance(value, torch.Tensor):
        return digest(value.detach().cpu().numpy())
    if isinstance(value, Mapping):  # each on its own: what entries share must not show
        return str(joblib.hash([(str(k), digest(value[k])) for k in sorted(value)]))
    if isinstance(value, list | tuple):
        return str(joblib.hash([type(value).__name__, *map(digest, value)]))
    if isinstance(value, np.ndarray):
        return str(joblib.hash(np.ascontiguousarray(value)))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        return digest({**parts, "": type(value).__qualname__})
    try:
        return str(joblib.hash(value))
    except Exception as error:  # pickle raises anything
        raise TypeError(
            f"memory= and checkpoint= cannot tell whether {value!r} has changed, since it cannot be pickled "
            f"({error}). Use functions and classes that are defined at the top of a module, or neither."
        ) from error
