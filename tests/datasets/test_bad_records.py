"""Records that cannot be used have a named error or are skipped and listed; damage never crashes a reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ecg_files import edit_header, signals, write

from sktgdp.datasets import STANDARD_LEADS, RecordError, load_wfdb_records

FEW = ("I", "II", "III")


def _with_nan(path: Path) -> None:
    x = signals(leads=3)
    x[1, 5:8] = np.nan  # becomes the format's invalid sample
    write(path, x, FEW)


def _bytes(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        file = path.with_name(path.name + suffix)
        file.write_bytes(change(file.read_bytes()))

    return damage


def _edit(old: str, new: str) -> Callable[[Path], None]:
    return lambda path: edit_header(path, old, new)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing lead": (lambda p: write(p, signals(leads=2), ("I", "III")), "lacks the leads II; it has i, iii"),
    "lead twice": (_edit("0 III", "0 II"), "lacks the leads III"),
    "asked lead twice": (
        lambda p: write(p, signals(leads=4), (*FEW, "V1")) and edit_header(p, "V1", "ii"),
        "II more than once",
    ),
    "invalid samples": (_with_nan, r"invalid samples \(II: 3\)"),
    "zero length": (_edit("b 3 100 50", "b 3 100 0"), "empty: 3 signals of 0 samples"),
    "no signals": (_bytes(".hea", lambda _: b"b 0 100 50\n"), "empty: 0 signals"),
    "no number of samples": (_edit("b 3 100 50", "b 3 100"), "first line must give"),
    "empty header": (_bytes(".hea", lambda _: b""), "header is damaged"),
    "binary header": (_bytes(".hea", lambda _: bytes(range(256))), "header is damaged"),
    "header cut off": (_bytes(".hea", lambda text: text[: len(text) // 2]), "damaged|describes"),
    "header absent": (lambda p: p.with_name("b.hea").unlink(), "header cannot be read"),
    "several segments": (_edit("b 3 ", "b/2 3 "), "several segments"),
    "unknown format": (_edit("b.dat 16 ", "b.dat 17 "), "unknown format"),
    "rate of zero": (_edit("b 3 100 ", "b 3 0 "), "sampling rate 0 Hz"),
    "rate not a number": (_edit("b 3 100 ", "b 3 1e9e9 "), "sampling rate 1e9e9 Hz"),
    "wrong rate": (_edit("b 3 100 ", "b 3 250 "), "250 Hz, expected 100 Hz"),
    "no voltage": (_edit("/mV", "/degC"), "'degC'; expected mV"),
    "signal file absent": (lambda p: p.with_name("b.dat").unlink(), "b.dat is absent"),
    "signal file truncated": (_bytes(".dat", lambda b: b[:-1]), "truncated: 299 bytes of 300"),
    "more samples than bytes": (_edit("b 3 100 50", "b 3 100 999999999999"), "truncated"),
    "file elsewhere": (_edit("b.dat", "../b.dat"), "no file beside it"),
    "address of a file": (_edit("b.dat", "http://example.org/b.dat"), "no file beside it"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_raise_or_skip(tmp_path: Path, kind: str) -> None:
    damage, reason = DAMAGE[kind]
    paths = [write(tmp_path / name, signals(leads=3, seed=i), FEW) for i, name in enumerate("abcd")]
    good = load_wfdb_records([paths[i] for i in (0, 2, 3)], leads=FEW)
    damage(paths[1])
    with pytest.raises(RecordError, match=reason) as caught:
        load_wfdb_records(paths, leads=FEW)
    assert caught.value.record == str(paths[1])
    with pytest.warns(UserWarning, match=r"1 of 4 records were skipped, the first: record .*b: ") as warned:
        bunch = load_wfdb_records(paths, leads=FEW, on_error="skip")
    assert len(warned) == 1
    assert bunch.skipped == [(caught.value.record, caught.value.reason)]
    np.testing.assert_array_equal(bunch.data, good.data)
    assert bunch.record_names.tolist() == ["a", "c", "d"]
    assert len(bunch.lengths) == 3


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        _with_nan(tmp_path / name)
    with pytest.raises(ValueError, match="none of 2 records can be used"):
        load_wfdb_records(tmp_path, leads=FEW, on_error="skip")


def test_rates_without_a_small_ratio(tmp_path: Path) -> None:
    write(tmp_path / "a", signals(leads=3), FEW)
    edit_header(tmp_path / "a", "a 3 100 ", "a 3 99.997 ")
    with pytest.raises(RecordError, match="no ratio of whole numbers"):
        load_wfdb_records(tmp_path, leads=FEW, sampling_rate=128)


@pytest.mark.parametrize(
    ("n", "reason"), [("99999999999", "truncated"), ("51", "cannot be read|do not match")]
)
def test_compressed_records_with_fewer_samples_than_stated(tmp_path: Path, n: str, reason: str) -> None:
    write(tmp_path / "a", signals(leads=3), FEW, fmt=["516"] * 3)
    edit_header(tmp_path / "a", "a 3 100 50", f"a 3 100 {n}")
    with pytest.raises(RecordError, match=reason):
        load_wfdb_records(tmp_path, leads=FEW)


def _mutate(text: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, taken away or put in."""
    mutated = bytearray(text)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(mutated)))
        byte = int(rng.choice(np.frombuffer(b"0123456789 -+./:x()\n#\x00\xff", dtype=np.uint8)))
        change = rng.integers(3)
        mutated[at : at + (change != 1)] = b"" if change == 0 else bytes([byte])
    return bytes(mutated)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_mutated_headers_give_a_result_or_a_named_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = write(tmp_path / "a", signals(), comments=["Dx: 164889003"])
    header = path.with_name("a.hea")
    text = header.read_bytes()
    outcomes = {"read": 0, "refused": 0}
    for _ in range(40):
        header.write_bytes(_mutate(text, rng))
        try:
            bunch = load_wfdb_records(path, sampling_rate=100)
        except RecordError:
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
            assert bunch.data.shape[:2] == (1, len(STANDARD_LEADS))
            assert np.isfinite(bunch.data).all()
    assert min(outcomes.values()) > 0
