"""Between values and JSON: one table of kinds, each of which knows one sort of value both ways.

None, booleans, strings, integers that are not too long, finite floats and lists are themselves. Any other
value is an object ``{"type": tag, ...}`` that the kind of this tag writes and reads. What occurs twice is
written once and referred to by number, so that parts shared before are shared afterwards. A value of no kind
is refused in writing, a tag of no kind in reading; nothing is looked up by a name that a file gives but in
such tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sktgdp.exceptions import ModelFileError, NotStorableError

__all__ = ["LONGEST_NUMBER", "Fields", "Kind", "Reader", "Writer"]

PLAIN = (bool, str)
LONGEST_NUMBER = 40  # characters of a number in JSON; longer integers are written as texts


@dataclass(frozen=True)
class Kind:
    """One sort of value.

    Parameters
    ----------
    tag : str
    matches : callable (value) -> bool
    write : callable (writer, value, where) -> dict
        JSON values by key, without the tag.
    read : callable (reader, fields) -> value
        May raise anything; it becomes a `ModelFileError`.
    shared : bool
        Keep track of identity.
    """

    tag: str
    matches: Callable[[Any], bool]
    write: Callable[[Writer, Any, str], dict[str, Any]]
    read: Callable[[Reader, Fields], Any]
    shared: bool = False


class Writer:
    """Turns values into JSON, and collects their arrays.

    Parameters
    ----------
    kinds : sequence of Kind
        The first that matches writes.
    """

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.kinds = kinds
        self.tensors: dict[str, Tensor] = {}
        self._seen: dict[int, tuple[Any, dict[str, Any]]] = {}  # keeps the value alive: ids are reused
        self._n_shared = 0

    def write(self, value: Any, where: str) -> Any:
        """JSON of a value; ``where`` names it, in errors and among the arrays."""
        if value is None or type(value) in PLAIN:
            return value
        if type(value) is int and abs(value) < 10 ** (LONGEST_NUMBER - 1):
            return value
        if type(value) is float and math.isfinite(value):
            return value
        if type(value) is list:
            return [self.write(item, f"{where}.{i}") for i, item in enumerate(value)]
        if id(value) in self._seen:
            record = self._seen[id(value)][1]
            if "id" not in record:
                record["id"], self._n_shared = self._n_shared, self._n_shared + 1
            return {"type": "same", "as": record["id"]}
        kind = next((kind for kind in self.kinds if kind.matches(value)), None)
        if kind is None:
            raise NotStorableError(
                f"{where} is a {type(value).__module__}.{type(value).__qualname__}; a model's files have no "
                "place for it. Pickle or skops may be able to store it, and TGDPGenerator.save can leave a "
                "domain classifier out."
            )
        record = {"type": kind.tag, **kind.write(self, value, where)}
        if kind.shared:
            self._seen[id(value)] = (value, record)
        return record

    def add(self, name: str, tensor: Tensor) -> str:
        """Put an array on record; its name, which may get an addition."""
        if name in self.tensors:
            name = f"{name}#{len(self.tensors)}"
        self.tensors[name] = tensor.detach().cpu().contiguous()
        return name


class Reader:
    """Turns JSON into values again.

    Parameters
    ----------
    kinds : sequence of Kind
    tensors : mapping of str to Tensor
    device : torch.device
        Where networks go.
    trusted : mapping of str to callable
        Classes and functions of the user's own, by name.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device | None = None,
        trusted: Mapping[str, Any] | None = None,
    ) -> None:
        self.kinds = {kind.tag: kind for kind in kinds}
        self.unused = dict(tensors)
        self.n_tensors = len(tensors)
        self.device = device or torch.device("cpu")
        self.trusted = trusted or {}
        self._known: dict[int, Any] = {}

    def read(self, record: Any, where: str) -> Any:
        """The value of a JSON record."""
        if record is None or isinstance(record, PLAIN) or type(record) in (int, float):
            return record
        if isinstance(record, list):
            return [self.read(item, f"{where}.{i}") for i, item in enumerate(record)]
        fields = Fields(record, where)
        tag, number = fields.text("type"), fields.optional("id")
        if tag == "same":
            value = self._known_value(fields)
        elif tag in self.kinds:
            try:
                value = self.kinds[tag].read(self, fields)
            except (ModelFileError, RecursionError):
                raise
            except Exception as error:  # whatever a constructor says to values out of a file
                raise ModelFileError(f"{where} cannot be made a {tag}: {error}") from error
        else:
            raise ModelFileError(f"{where} has the unknown type {tag!r}.")
        fields.finish()
        if number is not None:
            if type(number) is not int or number in self._known:
                raise ModelFileError(f"{where}.id is {number!r}; expected a number of its own.")
            self._known[number] = value
        return value

    def _known_value(self, fields: Fields) -> Any:
        number = fields.integer("as")
        if number not in self._known:
            raise ModelFileError(f"{fields.where} refers to {number}, which has not come yet.")
        return self._known[number]

    def take(self, name: str, where: str) -> Tensor:
        """An array that no other value has taken."""
        if name not in self.unused:
            raise ModelFileError(f"{where}: the array {name!r} is missing, or used twice.")
        return self.unused.pop(name)

    def finish(self) -> None:
        """Raise where arrays are left over."""
        if self.unused:
            raise ModelFileError(f"{len(self.unused)} arrays belong to nothing: {sorted(self.unused)[:5]}.")


class Fields:
    """The entries of a record, each asked for once and checked."""

    def __init__(self, record: Any, where: str) -> None:
        if not isinstance(record, dict):
            raise ModelFileError(f"{where} is {_short(record)}; expected an object.")
        self._entries, self.where = dict(record), where

    def pop(self, name: str, kind: type, what: str) -> Any:
        """An entry of one type."""
        if name not in self._entries:
            raise ModelFileError(f"{self.where} lacks {name!r}.")
        value = self._entries.pop(name)
        if type(value) is not kind:
            raise ModelFileError(f"{self.where}.{name} is {_short(value)}; expected {what}.")
        return value

    def any(self, name: str) -> Any:
        """An entry of whatever type."""
        if name not in self._entries:
            raise ModelFileError(f"{self.where} lacks {name!r}.")
        return self._entries.pop(name)

    def optional(self, name: str) -> Any:
        """An entry, or None."""
        return self._entries.pop(name, None)

    def text(self, name: str) -> str:
        """A string."""
        value: str = self.pop(name, str, "a string")
        return value

    def integer(self, name: str) -> int:
        """An integer."""
        value: int = self.pop(name, int, "an integer")
        return value

    def flag(self, name: str) -> bool:
        """A boolean."""
        value: bool = self.pop(name, bool, "true or false")
        return value

    def items(self, name: str) -> list[Any]:
        """A list."""
        value: list[Any] = self.pop(name, list, "a list")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object, by key."""
        value: dict[str, Any] = self.pop(name, dict, "an object")
        return value

    def finish(self) -> None:
        """Raise where an entry was not asked for."""
        if self._entries:
            raise ModelFileError(f"{self.where} has unknown entries: {sorted(self._entries)[:5]}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
