"""Kinds of Python's and numpy's values."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sktgdp._storage._codec import Fields, Kind, Reader, Writer
from sktgdp.exceptions import ModelFileError, NotStorableError

__all__ = ["VALUE_KINDS", "checked_dtype", "exactly", "text_kind"]

# What safetensors and every torch version hold as it is; other arrays go in as their bytes.
NATIVE = {np.dtype(code) for code in ("?", "i1", "i2", "i4", "i8", "u1", "<f2", "<f4", "<f8")}
DTYPE = re.compile(r"[<>|]([biufc]\d{1,2}|[US]\d{1,7}|[mM]8(\[\d{0,9}[a-zA-Z]{1,2}\])?|O)")
GREATEST_CODE_POINT = 0x10FFFF
BIT_GENERATORS = {kind.__name__: kind for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937,
                                                   np.random.Philox, np.random.SFC64)}  # fmt: skip


def exactly(*kinds: type) -> Callable[[Any], bool]:
    """Tell values of these types, and of none derived from them."""
    return lambda value: type(value) in kinds


# Floats, tuples, dictionaries, slices ---------------------------------------------------------------
ODD_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _write_map(writer: Writer, value: dict[Any, Any], where: str) -> dict[str, Any]:
    return {"of": {key: writer.write(item, f"{where}.{key}") for key, item in value.items()}}


def _read_map(reader: Reader, fields: Fields) -> dict[str, Any]:
    entries = fields.mapping("of").items()
    return {key: reader.read(item, f"{fields.where}.{key}") for key, item in entries}


def _write_pairs(writer: Writer, value: dict[Any, Any], where: str) -> dict[str, Any]:
    pairs = [[writer.write(part, f"{where}.{i}.{j}") for j, part in enumerate(pair)]
             for i, pair in enumerate(value.items())]  # fmt: skip
    return {"of": pairs}


def _read_pairs(reader: Reader, fields: Fields) -> dict[Any, Any]:
    pairs = [reader.read(pair, f"{fields.where}.{i}") for i, pair in enumerate(fields.items("of"))]
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ModelFileError(f"{fields.where}.of must hold pairs.")
    return {key: item for key, item in pairs}  # noqa: C416 - dict() takes strings of two letters for pairs


def _read_slice(reader: Reader, fields: Fields) -> slice:
    ends = fields.items("of")
    if len(ends) != 3 or not all(end is None or type(end) is int for end in ends):
        raise ModelFileError(f"{fields.where}.of must be three integers or null.")
    return slice(*ends)


def text_kind(tag: str, kind: type, to: Callable[[Any], str], back: Callable[[str], Any]) -> Kind:
    """A kind of value that a text tells in full."""
    return Kind(
        tag,
        exactly(kind),
        lambda writer, value, where: {"value": to(value)},
        lambda reader, fields: back(fields.text("value")),
    )


def _read_integer(text: str) -> int:
    value = int(text, 16)
    if hex(value) != text:
        raise ModelFileError(f"{text[:40]!r} is no integer in base 16.")
    return value


# Dtypes and arrays ----------------------------------------------------------------------------------
def checked_dtype(text: str) -> np.dtype[Any]:
    """The dtype of this code; those of records are refused."""
    if DTYPE.fullmatch(text):
        dtype = np.dtype(text)
        if dtype.str == text and dtype.itemsize:
            return dtype
    raise ModelFileError(f"{text!r} is not a dtype's code.")


def _code(dtype: np.dtype[Any], where: str) -> str:
    if dtype.itemsize == 0:  # empty strings
        dtype = np.dtype(dtype.str.replace("0", "1"))
    if not DTYPE.fullmatch(dtype.str):
        raise NotStorableError(f"{where} has the dtype {dtype}, which a model's files have no place for.")
    return dtype.str


def _write_array(writer: Writer, value: NDArray[Any], where: str) -> dict[str, Any]:
    record: dict[str, Any] = {"dtype": _code(value.dtype, where), "shape": list(value.shape)}
    if value.dtype.kind == "O":
        return record | {"items": [writer.write(v, f"{where}.{i}") for i, v in enumerate(value.ravel())]}
    if value.flags.f_contiguous and not value.flags.c_contiguous:  # BLAS goes another way then
        value, record["order"] = value.T, "F"
    plain = np.array(value, dtype=record["dtype"], order="C")
    if plain.dtype not in NATIVE:
        plain = np.frombuffer(bytearray(plain.tobytes()), dtype=np.uint8)
    return record | {"tensor": writer.add(where, torch.from_numpy(plain))}


def _read_array(reader: Reader, fields: Fields) -> NDArray[Any]:
    dtype, shape, where = checked_dtype(fields.text("dtype")), fields.items("shape"), fields.where
    if not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ModelFileError(f"{where}.shape is {shape!r}.")
    if dtype.kind == "O":
        return _array_of_objects([reader.read(v, where) for v in fields.items("items")], shape, where)
    turned = fields.optional("order") == "F"
    tensor = reader.take(fields.text("tensor"), where)
    values = _array_of_tensor(tensor, dtype, shape[::-1] if turned else shape)
    if dtype.kind == "U" and (values.ravel().view(f"{dtype.str[0]}u4") > GREATEST_CODE_POINT).any():
        raise ModelFileError(f"{where} holds what is no text.")
    return values.T if turned else values


def _array_of_tensor(tensor: torch.Tensor, dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
    """Entries of an array, which are those of a tensor or its bytes."""
    raw = tensor.numpy()
    native = dtype in NATIVE
    expected = (dtype, tuple(shape)) if native else (np.dtype("u1"), (math.prod(shape) * dtype.itemsize,))
    if (raw.dtype, raw.shape) != expected:
        raise ModelFileError(f"its array is {raw.dtype} of shape {raw.shape}; expected {expected}.")
    if dtype.kind == "b" and (raw.view("u1") > 1).any():
        raise ModelFileError("its booleans are other numbers than 0 and 1.")
    return raw.copy() if native else np.frombuffer(bytearray(raw.tobytes()), dtype).reshape(shape)


def _array_of_objects(items: list[Any], shape: list[int], where: str) -> NDArray[Any]:
    if math.prod(shape) != len(items):
        raise ModelFileError(f"{where} has {len(items)} items; its shape is {shape}.")
    values = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # as a whole they might be taken for rows
        values[i] = item
    return values.reshape(shape)


# Random states --------------------------------------------------------------------------------------
def _write_random(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    legacy = isinstance(value, np.random.RandomState)
    state = value.get_state(legacy=False) if legacy else value.bit_generator.state
    if state["bit_generator"] not in BIT_GENERATORS:
        raise NotStorableError(f"{where} has the bit generator {state['bit_generator']}.")
    return {"legacy": legacy, "state": writer.write(state, where)}


def _read_random(reader: Reader, fields: Fields) -> Any:
    legacy, state = fields.flag("legacy"), reader.read(fields.any("state"), fields.where)
    bits = BIT_GENERATORS[state["bit_generator"]](0)
    if legacy:
        value = np.random.RandomState(bits)
        value.set_state(state)
        return value
    bits.state = state
    return np.random.Generator(bits)


def _write_scalar(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    return {"value": writer.write(np.asarray(value), where)}


def _read_scalar(reader: Reader, fields: Fields) -> Any:
    value = reader.read(fields.any("value"), fields.where)
    if not isinstance(value, np.ndarray) or value.shape or value.dtype == object:
        raise ModelFileError(f"{fields.where}.value must be an array of one number.")
    return value[()]


def _write_timedelta(writer: Writer, value: datetime.timedelta, where: str) -> dict[str, Any]:
    return {"of": [value.days, value.seconds, value.microseconds]}


VALUE_KINDS = (
    text_kind("integer", int, hex, _read_integer),  # of any number of digits
    text_kind("float", float, str, ODD_FLOATS.__getitem__),
    Kind("tuple", exactly(tuple), lambda w, v, at: {"of": w.write(list(v), at)},
         lambda r, f: tuple(r.read(f.items("of"), f.where))),
    Kind("map", lambda v: type(v) is dict and all(type(k) is str for k in v), _write_map, _read_map),
    Kind("pairs", exactly(dict), _write_pairs, _read_pairs),
    Kind("slice", exactly(slice), lambda w, v, at: {"of": [v.start, v.stop, v.step]}, _read_slice),
    Kind("dtype", lambda v: isinstance(v, np.dtype), lambda w, v, at: {"code": _code(v, at)},
         lambda r, f: checked_dtype(f.text("code"))),
    Kind("array", exactly(np.ndarray), _write_array, _read_array, shared=True),
    Kind("scalar", lambda v: isinstance(v, np.generic), _write_scalar, _read_scalar),
    Kind("random", exactly(np.random.Generator, np.random.RandomState), _write_random, _read_random,
         shared=True),
    Kind("timedelta", exactly(datetime.timedelta), _write_timedelta,
         lambda r, f: datetime.timedelta(*f.items("of"))),
    text_kind("date", datetime.date, str, datetime.date.fromisoformat),
    text_kind("decimal", decimal.Decimal, str, decimal.Decimal),
    text_kind("uuid", uuid.UUID, str, uuid.UUID),
    text_kind("bytes", bytes, bytes.hex, bytes.fromhex),
)  # fmt: skip
