"""What scikit-learn's checks of parameters let pass: booleans for numbers, any layers, any callbacks."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError
from skorch.callbacks import Callback

from sktgdp.estimators._training.devices import resolve_device

__all__ = ["CheckedParameters"]

TAKE_BOOLEANS = ("boolean", "verbose", object)


class CheckedParameters(BaseEstimator):
    """An estimator whose parameters, and those of the estimators among them, are checked before any work."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def _validate_params(self) -> None:
        super()._validate_params()
        for name, value in self.get_params(deep=False).items():
            constraints = self._parameter_constraints.get(name, TAKE_BOOLEANS)  # a subclass may have others
            if isinstance(value, bool | np.bool_) and not any(each in TAKE_BOOLEANS for each in constraints):
                self._refuse(name, "must be a number, not a boolean", value)
            if isinstance(value, CheckedParameters):
                value._validate_params()
        if not _are_sizes(getattr(self, "hidden_sizes", "auto")):
            self._refuse(
                "hidden_sizes", "must be integers of at least 1, such as (64, 64)", self.hidden_sizes
            )
        if not _are_callbacks(getattr(self, "callbacks", None)):
            self._refuse("callbacks", "must be skorch callbacks, or pairs (name, callback)", self.callbacks)
        if hasattr(self, "device"):
            resolve_device(self.device)  # one that is not there is to be said before anything is trained

    def _refuse(self, name: str, rule: str, value: Any) -> None:
        raise InvalidParameterError(
            f"The {name!r} parameter of {type(self).__name__} {rule}. Got {value!r} instead."
        )


def _are_sizes(sizes: Any) -> bool:
    return isinstance(sizes, str) or all(map(_is_size, sizes))


def _is_size(size: Any) -> bool:
    return not isinstance(size, bool) and isinstance(size, Integral) and int(size) >= 1


def _are_callbacks(callbacks: Any) -> bool:
    for each in () if callbacks is None else callbacks:
        pair = isinstance(each, tuple | list) and len(each) == 2 and isinstance(each[0], str)
        callback = each[1] if pair else each
        kind = callback if isinstance(callback, type) else type(callback)  # skorch makes one of a class
        if not issubclass(kind, Callback):
            return False
    return True
