"""Many WFDB records as one array."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from tqdm.auto import tqdm

from sktgdp._extras import require
from sktgdp.datasets._cache import Array, cached, content_key
from sktgdp.datasets._checks import check_count, check_names, check_number, check_path
from sktgdp.datasets._wfdb import (
    RATES,
    STANDARD_LEADS,
    Header,
    RecordError,
    read_header,
    read_signals,
    resample,
    resampling_ratio,
)

__all__ = [
    "Reading",
    "Records",
    "find_records",
    "load_wfdb_records",
    "read_headers",
    "read_records",
    "unread_records",
]

PathsLike = str | PathLike[str] | Iterable[str | PathLike[str]]
T = TypeVar("T")
Plan = list[tuple[Header, Fraction]]  # records, and how their sampling rates change


def load_wfdb_records(
    paths: PathsLike,
    *,
    sampling_rate: float | None = None,
    leads: Sequence[str] = STANDARD_LEADS,
    length: int | None = None,
    on_error: str = "raise",
    cache: str | PathLike[str] | None = None,
    verbose: int = 0,
) -> Bunch:
    """Load records in the WFDB format as one array; needs the extra ``timeseries``.

    Parameters
    ----------
    paths : path or iterable of paths
        A folder, searched with its folders, or records: each its path with or without ``.hea``.
    sampling_rate : float, optional
        In Hz; records of another rate are resampled (``scipy.signal.resample_poly``). By default the most
        common rate; a record of another one cannot be used.
    leads : sequence of str
        The channels of the result, in this order; names are matched whatever their case.
    length : int, optional
        Samples to keep from the start. By default as many as the longest record has.
    on_error : {"raise", "skip"}
        Whether a record that cannot be used is an error or is skipped, with one warning that counts all: a
        damaged header, a signal file absent or truncated, a lead missing, an invalid sample, no sample.
    cache : path, optional
        A folder to keep the array in. The next call with the same parameters, on unchanged files, maps it
        into memory instead of reading the records.
    verbose : int
        A progress bar if not 0.

    Returns
    -------
    Bunch
        See `sktgdp.datasets`.
    """
    reading = Reading(sampling_rate, leads, length, on_error, cache, verbose)
    return reading.report(read_records(find_records(paths), reading))


@dataclass
class Reading:
    """How records are read: the parameters of `load_wfdb_records`, checked."""

    sampling_rate: float | None = None
    leads: Sequence[str] = STANDARD_LEADS
    length: int | None = None
    on_error: str = "raise"
    cache: str | PathLike[str] | None = None
    verbose: int = 0
    may_resample: bool = True
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leads = check_names(self.leads, "leads")
        if self.on_error not in {"raise", "skip"}:
            raise ValueError(f"on_error must be 'raise' or 'skip'; got {self.on_error!r}")
        rate = None if self.sampling_rate is None else check_number(self.sampling_rate, "sampling_rate")
        if rate is not None and not RATES[0] <= rate <= RATES[1]:
            raise ValueError(
                f"sampling_rate must be from {RATES[0]:g} to {RATES[1]:g} Hz; got {self.sampling_rate}"
            )
        if self.length is not None:
            check_count(self.length, "length")
        if self.cache is not None and check_path(self.cache, "cache").is_file():
            raise NotADirectoryError(
                f"cache must be a folder, or a path for a new one; {self.cache} is a file"
            )

    def each(self, items: Sequence[T], what: str) -> Iterable[T]:
        """The items, behind a progress bar if one is asked for."""
        return tqdm(items, desc=what, unit="record") if self.verbose else items

    def fail(self, error: RecordError) -> None:
        """Raise the error, or remember it."""
        if self.on_error == "raise":
            raise error
        self.skipped.append((error.record, error.reason))

    def some(self, records: list[T]) -> list[T]:
        """The records that are left; an error if there is none."""
        if not records:
            first = RecordError(*self.skipped[0])
            raise ValueError(f"none of {len(self.skipped)} records can be used; {first}")
        return records

    def report(self, records: Records) -> Bunch:
        """The records as scikit-learn gives data sets; one warning counts those that were left out."""
        n, n_skipped = len(records.headers), len(self.skipped)
        if n_skipped:
            first = "record {}: {}".format(*self.skipped[0])
            message = f"{n_skipped} of {n + n_skipped} records were skipped, the first: {first}"
            warnings.warn(message + "; all are listed in .skipped", UserWarning, stacklevel=3)
        description = f"{n} records of {len(self.leads)} leads at {records.sampling_rate:g} Hz, in mV"
        return Bunch(
            data=records.data,
            lengths=records.lengths,
            lead_names=np.array(self.leads),
            sampling_rate=records.sampling_rate,
            record_names=np.array([header.path.name for header in records.headers]),
            paths=np.array([str(header.path) for header in records.headers]),
            skipped=self.skipped,
            DESCR=description,
        )


@dataclass
class Records:
    """Signals with the headers they belong to; ``data`` is None where only headers were read."""

    headers: list[Header]
    sampling_rate: float
    data: Array | None = None
    lengths: NDArray[np.int64] | None = None


def unread_records(paths: Iterable[Path], rate: float) -> Records:
    """Records of which nothing is read but the name."""
    return Records([Header(path, float(rate), 0, (), "") for path in paths], float(rate))


def find_records(paths: PathsLike) -> list[Path]:
    """List the records of a folder in the order of their numbers, or take the list that is given."""
    if isinstance(paths, Iterable) and not isinstance(paths, str | bytes | PathLike):
        found = [check_path(path, "each of paths") for path in paths]
    elif check_path(paths, "paths").is_dir():
        found = sorted(Path(paths).rglob("*.hea"), key=_natural)
    else:
        found = [Path(paths)]
        if not _bare(found[0]).with_name(_bare(found[0]).name + ".hea").exists():
            raise FileNotFoundError(f"{paths} is neither a folder nor a WFDB record")
    if not found:
        raise FileNotFoundError(f"no WFDB record (a file *.hea) in {paths}")
    return [_bare(path) for path in found]


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".hea" else path


def _natural(path: Path) -> list[Any]:
    parts = re.split(r"(\d+)", str(path))  # text and numbers take turns, so that like meets like
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def read_headers(
    paths: Sequence[Path], reading: Reading, check: Callable[[Header], object] | None = None
) -> list[Header]:
    """Read the headers; what ``check`` raises a `RecordError` for is an error like any other."""
    headers = []
    for path in reading.each(paths, "headers"):
        try:
            header = read_header(path)
            if check is not None:
                check(header)
        except RecordError as error:
            reading.fail(error)
        else:
            headers.append(header)
    return reading.some(headers)


def read_records(
    paths: Sequence[Path], reading: Reading, check: Callable[[Header], object] | None = None
) -> Records:
    """Read headers, choose the sampling rate, then read the signals or find them in the cache."""
    require("wfdb", "Reading WFDB records")
    headers = read_headers(paths, reading, check)
    rate = reading.sampling_rate or Counter(header.rate for header in headers).most_common(1)[0][0]
    planned = _plan(headers, rate, reading)
    folder = None if reading.cache is None else Path(reading.cache)
    key = _key(planned, rate, reading) if folder else ""
    data, facts = cached(folder, key, lambda allocate: _read_all(planned, reading, allocate))
    for position, reason in facts["skipped"]:
        reading.fail(RecordError(planned[position][0].path, reason))
    bad = {position for position, _ in facts["skipped"]}
    kept = reading.some([header for i, (header, _) in enumerate(planned) if i not in bad])
    lengths = np.array(facts["lengths"], dtype=np.int64)
    longest = reading.length or lengths.max()
    return Records(kept, float(rate), data[: len(kept), :, :longest], lengths)


def _plan(headers: Sequence[Header], rate: float, reading: Reading) -> Plan:
    planned = []
    for header in headers:
        try:
            planned.append((header, _ratio(header, rate, reading)))
        except RecordError as error:
            reading.fail(error)
    return reading.some(planned)


def _ratio(header: Header, rate: float, reading: Reading) -> Fraction:
    if header.rate == rate:
        return Fraction(1)
    if reading.may_resample and reading.sampling_rate is not None:
        return resampling_ratio(header.path, header.rate, rate)
    hint = "; pass sampling_rate to resample" if reading.may_resample else ""
    raise RecordError(header.path, f"its sampling rate is {header.rate:g} Hz, expected {rate:g} Hz{hint}")


def _read_all(
    planned: Plan, reading: Reading, allocate: Callable[[tuple[int, ...]], Array]
) -> tuple[Array, dict[str, Any]]:
    """Fill an array with the usable records, without gaps; the rows of the others stay zero, at the end."""
    length = reading.length or max(-(-header.n_samples * ratio // 1) for header, ratio in planned)
    array = allocate((len(planned), len(reading.leads), int(length)))
    lengths: list[int] = []
    skipped: list[tuple[int, str]] = []
    for position, (header, ratio) in enumerate(reading.each(planned, "records")):
        try:
            signals = resample(read_signals(header, reading.leads), ratio)[:, : int(length)]
        except RecordError as error:
            if reading.on_error == "raise":
                raise
            skipped.append((position, error.reason))
            continue
        array[len(lengths), :, : signals.shape[1]] = signals
        lengths.append(signals.shape[1])
    return array, {"lengths": lengths, "skipped": skipped}


def _key(planned: Plan, rate: float, reading: Reading) -> str:
    """What the array depends on: the text of the headers, sizes and times of signal files, parameters."""
    records = []
    for header, _ in planned:
        stats = [header.path.with_name(name).stat() for name in header.files]
        text = hashlib.sha256(header.text.encode()).hexdigest()
        records.append([str(header.path.absolute()), text, [[s.st_size, s.st_mtime_ns] for s in stats]])
    length = None if reading.length is None else int(reading.length)
    return content_key([1, records, float(rate), list(reading.leads), length])
