"""Kinds of pandas' values: indexes, dtypes, times and the marks of what is missing.

pandas is imported by whom needs it; a file of arrays of numbers has none of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from sktgdp._storage._codec import Fields, Kind, Reader, Writer
from sktgdp.exceptions import ModelFileError, NotStorableError

__all__ = ["PANDAS_KINDS"]

NAMED_DTYPES = re.compile(
    r"U?Int(8|16|32|64)|Float(32|64)|boolean"
    r"|(u?int(8|16|32|64)|float|double|bool|string|large_string|date32\[day\]|timestamp\[(s|ms|us|ns)\])"
    r"\[pyarrow\]"
)
ZONED = re.compile(r"timestamp\[(s|ms|us|ns), tz=(.+)\]")
ARROW = re.compile(rf"string|halffloat|date64\[ms\]|duration\[(s|ms|us|ns)\]|{ZONED.pattern}")
# Not "dateutil/...", which is a file to be opened.
ZONE = re.compile(r"(?!dateutil|tzlocal)[A-Za-z_]+([/+-][A-Za-z0-9_+-]+)*|UTC[+-]\d\d:\d\d")


def _is(*names: str) -> Callable[[Any], bool]:
    """Tell instances of pandas' classes by the classes' names."""
    return lambda value: type(value).__name__ in names and type(value).__module__.startswith("pandas")


def _zone(text: str) -> str:
    if not ZONE.fullmatch(text):
        raise ModelFileError(f"{text!r} is not a time zone.")
    return text


# Dtypes ---------------------------------------------------------------------------------------------
def _is_dtype(value: Any) -> bool:
    return type(value).__module__.startswith("pandas") and type(value).__name__.endswith("Dtype")


def _write_dtype(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    import pandas as pd

    if isinstance(value, pd.CategoricalDtype):
        categories = writer.write(value.categories, where)
        return {"name": "category", "categories": categories, "ordered": bool(value.ordered)}
    if isinstance(value, pd.StringDtype):
        missing = getattr(value, "na_value", pd.NA)
        return {"name": "string", "storage": value.storage, "nan": missing is not pd.NA}
    if isinstance(value, pd.DatetimeTZDtype):
        record = {"name": "datetime", "unit": value.unit, "zone": str(value.tz)}
        if not ZONE.fullmatch(record["zone"]) or pd.DatetimeTZDtype(value.unit, record["zone"]) != value:
            raise NotStorableError(f"{where} has the time zone {value.tz!r}, which its name does not tell.")
        return record
    if NAMED_DTYPES.fullmatch(str(value)) and pd.api.types.pandas_dtype(str(value)) == value:
        return {"name": str(value)}
    kind = str(getattr(value, "pyarrow_dtype", ""))
    if not ARROW.fullmatch(kind) or _arrow_dtype(kind) != value:
        raise NotStorableError(f"{where} has the dtype {value!r}, which a model's files have no place for.")
    return {"name": "arrow", "of": kind}


def _arrow_dtype(text: str) -> Any:
    """Give the dtype of an Arrow type that has no name to pandas, or that of another one."""
    import pandas as pd
    import pyarrow as pa

    if found := ZONED.fullmatch(text):
        return pd.ArrowDtype(pa.timestamp(found[1], _zone(found[2])))
    return pd.ArrowDtype(pa.type_for_alias(text))


def _read_dtype(reader: Reader, fields: Fields) -> Any:
    import pandas as pd

    name = fields.text("name")
    if name == "category":
        categories = reader.read(fields.any("categories"), fields.where)
        if not (categories is None or isinstance(categories, pd.Index)):
            raise ModelFileError(f"{fields.where}.categories is no index.")
        return pd.CategoricalDtype(categories, fields.flag("ordered"))
    if name == "string":
        storage, nan = fields.text("storage"), fields.flag("nan")
        if storage not in ("python", "pyarrow"):
            raise ModelFileError(f"{fields.where}.storage is {storage!r}.")
        return pd.StringDtype(storage, na_value=np.nan) if nan else pd.StringDtype(storage)
    if name == "arrow":
        kind = fields.text("of")
        if not ARROW.fullmatch(kind):
            raise ModelFileError(f"{kind!r} is not the name of an Arrow type.")
        return _arrow_dtype(kind)
    if name == "datetime":
        return pd.DatetimeTZDtype(fields.text("unit"), _zone(fields.text("zone")))
    if not NAMED_DTYPES.fullmatch(name):
        raise ModelFileError(f"{name!r} is not a dtype's name.")
    return pd.api.types.pandas_dtype(name)


# Indexes --------------------------------------------------------------------------------------------
def _write_index(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    import pandas as pd

    record = {"names": [writer.write(name, where) for name in value.names]}
    if isinstance(value, pd.RangeIndex):
        return record | {"kind": "range", "of": [value.start, value.stop, value.step]}
    if isinstance(value, pd.MultiIndex):
        parts = zip(value.levels, value.codes, strict=True)
        return record | {"kind": "levels", "of": [
            [writer.write(level, f"{where}.{i}"), writer.write(np.asarray(codes), f"{where}.{i}.codes")]
            for i, (level, codes) in enumerate(parts)
        ]}  # fmt: skip
    if isinstance(value, pd.IntervalIndex):
        ends = [writer.write(value.left, f"{where}.left"), writer.write(value.right, f"{where}.right")]
        return record | {"kind": "intervals", "of": ends, "closed": value.closed}
    plain = isinstance(value.dtype, np.dtype)
    values = value.to_numpy() if plain else np.asarray(value.astype(object))
    dtype = None if plain else writer.write(value.dtype, f"{where}.dtype")
    return record | {"kind": "values", "of": writer.write(values, where), "dtype": dtype}


def _read_index(reader: Reader, fields: Fields) -> Any:
    import pandas as pd

    kind, where = fields.text("kind"), fields.where
    names = reader.read(fields.items("names"), where)
    if kind == "range":
        return pd.RangeIndex(*fields.items("of"), name=names[0])
    if kind == "levels":
        parts = reader.read(fields.items("of"), where)
        return pd.MultiIndex([part[0] for part in parts], [part[1] for part in parts], names=names)
    if kind == "intervals":
        left, right = reader.read(fields.items("of"), where)
        return pd.IntervalIndex.from_arrays(left, right, fields.text("closed"), name=names[0])
    if kind != "values":
        raise ModelFileError(f"{where}.kind is {kind!r}.")
    values, dtype = (reader.read(fields.any(name), where) for name in ("of", "dtype"))
    if not isinstance(values, np.ndarray) or values.ndim != 1 or len(names) != 1:
        raise ModelFileError(f"{where} must have values along one axis, and one name.")
    return pd.Index(values, dtype=values.dtype if dtype is None else dtype, name=names[0])


# Single values --------------------------------------------------------------------------------------
def _is_time(value: Any) -> bool:
    return _is("Timestamp", "Timedelta")(value)


def _write_time(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    zone = getattr(value, "tz", None)
    if zone is not None and (not ZONE.fullmatch(str(zone)) or value.tz_convert(str(zone)).tz != zone):
        raise NotStorableError(f"{where} has the time zone {zone!r}, which its name does not tell.")
    return {"value": writer.write(value.asm8, where), "zone": None if zone is None else str(zone)}


def _read_time(reader: Reader, fields: Fields) -> Any:
    import pandas as pd

    value, zone = reader.read(fields.any("value"), fields.where), fields.any("zone")
    if not isinstance(value, np.datetime64 | np.timedelta64):
        raise ModelFileError(f"{fields.where}.value is neither a time nor a length of time.")
    if isinstance(value, np.timedelta64):
        return pd.Timedelta(value)
    time = pd.Timestamp(value)
    return time if zone is None else time.tz_localize("UTC").tz_convert(_zone(zone))


def _write_interval(writer: Writer, value: Any, where: str) -> dict[str, Any]:
    ends = [writer.write(value.left, f"{where}.left"), writer.write(value.right, f"{where}.right")]
    return {"of": ends, "closed": value.closed}


def _read_interval(reader: Reader, fields: Fields) -> Any:
    import pandas as pd

    left, right = reader.read(fields.items("of"), fields.where)
    return pd.Interval(left, right, fields.text("closed"))


def _read_missing(reader: Reader, fields: Fields) -> Any:
    import pandas as pd

    return {"NA": pd.NA, "NaT": pd.NaT}[fields.text("value")]


PANDAS_KINDS = (
    Kind("pandas.missing", _is("NAType", "NaTType"),
         lambda w, v, at: {"value": type(v).__name__.removesuffix("Type")}, _read_missing),
    Kind("pandas.time", _is_time, _write_time, _read_time),
    Kind("pandas.interval", _is("Interval"), _write_interval, _read_interval),
    Kind("pandas.dtype", _is_dtype, _write_dtype, _read_dtype, shared=True),
    Kind("pandas.index", _is("Index", "RangeIndex", "MultiIndex", "IntervalIndex", "CategoricalIndex",
                             "DatetimeIndex", "TimedeltaIndex"), _write_index, _read_index, shared=True),
)  # fmt: skip
