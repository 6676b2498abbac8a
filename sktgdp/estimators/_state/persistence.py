"""Saving fitted estimators without pickle, and loading them; see `sktgdp._storage` for the files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sktgdp import __version__
from sktgdp._storage import (
    PANDAS_KINDS,
    VALUE_KINDS,
    Fields,
    Kind,
    Reader,
    Writer,
    read_archive,
    write_archive,
)
from sktgdp.estimators._training.devices import resolve_device
from sktgdp.exceptions import ModelFileError, NotStorableError

__all__ = ["Persistent", "load"]

P = TypeVar("P", bound="Persistent")


class Persistent:
    """A fitted estimator that can be saved."""

    def save(self, path: str | Path) -> None:
        """Save the fitted estimator: JSON and safetensors, no pickle, no training rows.

        Parameters
        ----------
        path : str or Path
            Of a folder, or of a zip file if it ends in ".zip". A model that is there is replaced, once the
            new one is complete; anything else that is there is left alone.

        Raises
        ------
        NotStorableError
            If a part has no place in the files, such as a classifier of another package.
        ModelFileError
            If there is something else than a model at the path.
        """
        check_is_fitted(self)
        writer = Writer(_kinds())
        content = writer.write(self, "model")
        write_archive(path, content, writer.tensors, writer=__version__)
        left_out = sorted(_left_out(self))
        if left_out:
            warnings.warn(
                f"{', '.join(left_out)} of {type(self).__name__} belong to this process and were not saved; "
                "set them again after loading.",
                UserWarning,
                stacklevel=2,
            )

    @classmethod
    def load(cls: type[P], path: str | Path, *, device: str = "auto", trusted: Iterable[Any] = ()) -> P:
        """Load an estimator of this class; see `sktgdp.load`."""
        model = load(path, device=device, trusted=trusted)
        if not isinstance(model, cls):
            kind = type(model).__name__
            raise ModelFileError(
                f"{path} holds a {kind}, not a {cls.__name__}. Use {kind}.load or sktgdp.load."
            )
        return model


def load(path: str | Path, *, device: str = "auto", trusted: Iterable[Any] = ()) -> Any:
    """Load an estimator that was saved by its ``save``.

    Nothing in the files is executed, and no class is imported by a name that they give. On the same kind of
    device the estimator draws the same samples as before, bit for bit.

    Parameters
    ----------
    path : str or Path
        Of the folder or the zip file.
    device : str, default="auto"
        A torch device for the networks; "auto" is CUDA, then MPS, then the CPU. Where they were trained does
        not matter.
    trusted : iterable of classes and functions, default=()
        Those of your own that the estimator was made with, such as the class of a network given as
        ``module``. They are found by their ``__name__`` and called with arguments from the file.

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        If there is no model at the path, or it is damaged, tampered with, of a newer version, or made with a
        class of your own that is not in ``trusted``.

    Examples
    --------
    >>> import sktgdp
    >>> gen.save("model.zip")  # doctest: +SKIP
    >>> X_new, y_new = sktgdp.load("model.zip").sample(100)  # doctest: +SKIP
    """
    named = _named(trusted)
    where, archive = resolve_device(device), read_archive(path)
    try:
        return _read(Reader(_kinds(), archive.tensors, device=where, trusted=named), archive.content)
    except (ModelFileError, RecursionError) as error:
        raise ModelFileError(f"{path}: {error}") from error.__cause__


def _named(trusted: Any) -> dict[str, Any]:
    """Classes and functions by their names."""
    given = list(trusted) if isinstance(trusted, Iterable) and not isinstance(trusted, str) else [trusted]
    odd = [each for each in given if not hasattr(each, "__name__")]
    if odd:
        raise TypeError(f"trusted must be a list of classes and functions themselves; got {odd[0]!r}.")
    return {each.__name__: each for each in given}


def _read(reader: Reader, content: Any) -> Any:
    """The estimator that a document describes."""
    from sktgdp.estimators._state.trial import try_out

    model = reader.read(content, "model")
    reader.finish()
    if not isinstance(model, Persistent):
        raise ModelFileError(f"it holds a {type(model).__name__}, no estimator.")
    try:
        check_is_fitted(model)
        try_out(model)
    except Exception as error:  # whatever parts say that were not made for each other
        raise ModelFileError(f"its parts do not fit together: {error}") from error
    return model


def _left_out(model: Any) -> list[str]:
    """Parameters that are set and not stored."""
    from sktgdp.estimators._state.stored import STORED

    dropped = STORED[type(model)].dropped
    params = model.get_params(deep=True)
    names = [name for name, value in params.items() if name.split("__")[-1] in dropped and value is not None]
    return names + ["metadata requests"] * hasattr(model, "_metadata_request")


def _kinds() -> tuple[Kind, ...]:
    from sktgdp.estimators._state.network_kinds import NETWORK_KINDS

    return (*VALUE_KINDS, *PANDAS_KINDS, *NETWORK_KINDS, OBJECT_KIND)


# Objects --------------------------------------------------------------------------------------------
def _is_listed(value: Any) -> bool:
    from sktgdp.estimators._state.stored import STORED

    return type(value) in STORED


def _write_object(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    from sktgdp.estimators._state.stored import EVERY_ESTIMATOR, STORED

    stored, state = STORED[type(value)], dict(vars(value))
    _refuse_by_name(writer, stored.named(value))
    record: dict[str, Any] = {"class": type(value).__name__}
    known = {**stored.attributes, **stored.optional}
    if isinstance(value, BaseEstimator):
        params = value.get_params(deep=False)
        kept = {name: part for name, part in params.items() if name not in stored.dropped}
        record["params"] = {name: writer.write(part, f"{where}.{name}") for name, part in kept.items()}
        known |= EVERY_ESTIMATOR
        state = {name: part for name, part in state.items() if name not in params}
    state = {name: part for name, part in state.items() if name not in (*stored.dropped, "_metadata_request")}
    if not set(stored.attributes) <= set(state):
        state = {}  # not fitted: a parameter of another estimator
    unknown = sorted(set(state) - set(known))
    if unknown:
        raise NotStorableError(f"{where}, a {type(value).__name__}, has attributes with no place: {unknown}.")
    return record | {"state": {name: writer.write(part, f"{where}.{name}") for name, part in state.items()}}


def _refuse_by_name(writer: Writer, parts: Iterable[tuple[str, Any]]) -> None:
    """Refuse what has no place in the files under the name that the user gave it."""
    for name, part in parts:
        try:
            Writer(writer.kinds).write(part, name)
        except NotStorableError as error:
            raise NotStorableError(
                f"{name}, {part}, has no place in a model's files. Fit on values of another type, such as "
                "those of .astype(str)."
            ) from error


def _read_object(reader: Reader, fields: Fields) -> Any:
    from sktgdp.estimators._state.stored import EVERY_ESTIMATOR, STORED

    name, where = fields.text("class"), fields.where
    stored = next((each for each in STORED.values() if each.kind.__name__ == name), None)
    if stored is None:
        raise ModelFileError(f"{where}: {name!r} is no class that a file can bring back.")
    known = {**stored.attributes, **stored.optional}
    estimator = issubclass(stored.kind, BaseEstimator)
    params = fields.mapping("params") if estimator else {}
    params = {key: reader.read(value, f"{where}.{key}") for key, value in params.items()}
    state = fields.mapping("state")
    state = {key: reader.read(value, f"{where}.{key}") for key, value in state.items()}
    if estimator:
        value = stored.kind(**params)
        if hasattr(value, "_parameter_constraints"):
            value._validate_params()
        known |= EVERY_ESTIMATOR
    else:
        value = object.__new__(stored.kind)
    missing, unknown = set(stored.attributes) - set(state), set(state) - set(known)
    if (state and missing) or unknown:
        raise ModelFileError(f"{where} lacks {sorted(missing)}, and should not have {sorted(unknown)}.")
    for key, part in state.items():
        if not known[key](part):
            raise ModelFileError(f"{where}.{key} is not what belongs there.")
    vars(value).update(state)
    if state or not estimator:
        stored.check(value)
    return value


OBJECT_KIND = Kind("object", _is_listed, _write_object, _read_object, shared=True)
