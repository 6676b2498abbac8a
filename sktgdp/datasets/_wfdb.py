"""One record in the WFDB format: its header checked before its signals are read by the library wfdb.

A header names the signal files, their formats and the number of samples, so a damaged one could ask for any
amount of memory or for files elsewhere. What it claims is therefore first held against the files beside it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy  # scipy.signal is large and loads on use
from numpy.typing import NDArray

from sktgdp._extras import require

__all__ = [
    "RATES",
    "STANDARD_LEADS",
    "Header",
    "RecordError",
    "read_header",
    "read_signals",
    "resample",
    "resampling_ratio",
]

STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

BYTES_PER_SAMPLE = {
    **dict.fromkeys(["8", "80"], Fraction(1)),
    **dict.fromkeys(["16", "61", "160"], Fraction(2)),
    "24": Fraction(3),
    "32": Fraction(4),
    "212": Fraction(3, 2),
    **dict.fromkeys(["310", "311"], Fraction(4, 3)),
    **dict.fromkeys(["508", "516", "524"], Fraction(1, 8192)),  # FLAC: at least 9 bytes for a block of 65,535
}
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}
RATES = (1.0, 1e5)  # Hz; beyond these a header is taken to be damaged
MAX_RATIO_TERM = 10_000  # the filter of resample_poly has twenty times as many taps


class RecordError(ValueError):
    """A record that cannot be used.

    Attributes
    ----------
    record : str
        Its path without a suffix.
    reason : str
        What is wrong with it.
    """

    def __init__(self, record: str | Path, reason: str) -> None:
        super().__init__(str(record), reason)
        self.record, self.reason = str(record), reason

    def __str__(self) -> str:
        return f"record {self.record}: {self.reason}"


class Header(NamedTuple):
    """What a header says, as far as it is needed before the signals are read."""

    path: Path  # without a suffix
    rate: float  # Hz
    n_samples: int
    files: tuple[str, ...]
    text: str

    def comments(self) -> list[str]:
        """The lines after ``#``, stripped."""
        lines = (line.strip() for line in self.text.splitlines())
        return [line.lstrip("#").strip() for line in lines if line.startswith("#")]


def read_header(path: Path) -> Header:
    """Read the header of a record and hold it against the signal files.

    Raises
    ------
    RecordError
        Where the header is absent or damaged, has no sample, or its signal files are absent or too short.
    """
    try:
        text = path.with_name(path.name + ".hea").read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise RecordError(path, f"its header cannot be read ({error.strerror})") from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    n_signals, rate, n_samples = _record_line(path, lines[0] if lines else "")
    if len(lines) != n_signals + 1:
        raise RecordError(path, f"its header names {n_signals} signals but describes {len(lines) - 1}")
    files = _check_files(path, lines[1:], n_samples)
    return Header(path, rate, n_samples, files, text)


RECORD_LINE = re.compile(r"\s*([^\s/]+)(/\d+)?\s+(\d{1,6})\s+([\d.eE+-]+)\S*\s+(\d{1,15})(\s|$)")


def _record_line(path: Path, line: str) -> tuple[int, float, int]:
    """Numbers of signals, of samples in a second, and of samples."""
    match = RECORD_LINE.match(line)
    if match is None:
        raise RecordError(
            path, "its header is damaged: the first line must give name, signals, sampling rate and samples"
        )
    if match[2]:
        raise RecordError(path, "it has several segments, which are not supported; join them first")
    try:
        rate = float(match[4])
    except ValueError:
        rate = float("nan")
    if not (isfinite(rate) and RATES[0] <= rate <= RATES[1]):
        raise RecordError(path, f"its sampling rate {match[4]} Hz is not one of a signal like these")
    n_signals, n_samples = int(match[3]), int(match[5])
    if n_signals == 0 or n_samples == 0:
        raise RecordError(path, f"it is empty: {n_signals} signals of {n_samples} samples")
    return n_signals, rate, n_samples


SIGNAL_LINE = re.compile(r"\s*(\S+)\s+(\d+)(?:x(\d{1,6}))?(?::\d+)?(?:\+(\d{1,12}))?(\s|$)")


def _check_files(path: Path, lines: Sequence[str], n_samples: int) -> tuple[str, ...]:
    """Names of the signal files, all there and as long as the header says."""
    needed: dict[str, Fraction] = {}
    for line in lines:
        match = SIGNAL_LINE.match(line)
        if match is None or match[2] not in BYTES_PER_SAMPLE:
            raise RecordError(path, f"its header is damaged or of an unknown format: {line[:60]!r}")
        name, per_frame = match[1], int(match[3] or 1)
        if name in {"~", ".", ".."} or re.search(r"[/\\:]", name):
            raise RecordError(path, f"its header names {name!r}, which is no file beside it")
        size = BYTES_PER_SAMPLE[match[2]] * n_samples * per_frame
        needed[name] = needed.get(name, Fraction(int(match[4] or 0))) + size
    for name, size in needed.items():
        file = path.with_name(name)
        if not file.is_file():
            raise RecordError(path, f"its signal file {name} is absent")
        if (has := file.stat().st_size) < size:
            raise RecordError(path, f"its signal file {name} is truncated: {has} bytes of {-(-size // 1)}")
    return tuple(needed)


def read_signals(header: Header, leads: Sequence[str]) -> NDArray[np.float64]:
    """Read the asked leads of a record, in that order, as (n_leads, n_samples) in mV.

    Raises
    ------
    RecordError
        Where a lead is absent or there twice, its unit is no voltage, a sample is invalid, or the record
        cannot be read.
    """
    wfdb = require("wfdb", "Reading WFDB records")
    try:
        with warnings.catch_warnings():  # what they warn of shows below, as samples that are not finite
            warnings.simplefilter("ignore")
            record = wfdb.rdrecord(str(header.path.absolute()))
    except Exception as error:  # the library meets damage with whatever its parser runs into
        raise RecordError(header.path, f"it cannot be read ({type(error).__name__}: {error})") from error
    signals, names, units = record.p_signal, record.sig_name, record.units
    if signals is None or signals.shape != (header.n_samples, len(names or ())):
        raise RecordError(header.path, "its header is damaged: signals and header do not match")
    columns = _columns(header.path, [str(name).strip().lower() for name in names], leads)
    scale = [_millivolts(header.path, names[column], units[column]) for column in columns]
    picked = np.ascontiguousarray(signals[:, columns].T * np.array(scale)[:, None])
    invalid = ~np.isfinite(picked)
    if invalid.any():
        counts = ", ".join(f"{lead}: {n}" for lead, n in zip(leads, invalid.sum(1), strict=True) if n)
        raise RecordError(header.path, f"it has invalid samples ({counts})")
    return picked


def _columns(path: Path, names: list[str], leads: Sequence[str]) -> list[int]:
    """Positions of the leads among the names of the signals, whatever their case."""
    missing = [lead for lead in leads if lead.lower() not in names]
    if missing:
        raise RecordError(path, f"it lacks the leads {', '.join(missing)}; it has {', '.join(names)}")
    twice = [lead for lead in leads if names.count(lead.lower()) > 1]
    if twice:
        raise RecordError(path, f"it has the leads {', '.join(twice)} more than once")
    return [names.index(lead.lower()) for lead in leads]


def _millivolts(path: Path, name: str, unit: str) -> float:
    try:
        return MILLIVOLTS[unit.lower()]
    except KeyError:
        raise RecordError(path, f"its lead {name} is in {unit!r}; expected mV, uV, nV or V") from None


def resampling_ratio(path: Path, rate: float, wanted: float) -> Fraction:
    """Give wanted / rate as a ratio of whole numbers small enough to filter with."""
    ratio = Fraction(wanted).limit_denominator(1000) / Fraction(rate).limit_denominator(1000)
    if max(ratio.numerator, ratio.denominator) > MAX_RATIO_TERM:
        reason = f"{rate:g} Hz and {wanted:g} Hz have no ratio of whole numbers up to {MAX_RATIO_TERM}"
        raise RecordError(path, reason + "; ask for another sampling rate")
    return ratio


def resample(signals: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    """Change the sampling rate along the last axis; n samples become ``ceil(n * ratio)``.

    The ends are continued along the line between the first and the last sample, so that an offset of the
    baseline makes no step there.
    """
    if ratio == 1:
        return signals
    up, down = ratio.numerator, ratio.denominator
    resampled = scipy.signal.resample_poly(signals, up, down, axis=-1, padtype="line")
    return np.asarray(resampled, dtype=np.float64)
