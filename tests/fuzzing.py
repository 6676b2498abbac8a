"""A seeded fuzzer of files: the same mutations on every machine, read with bounded memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# what parsers look for, and what they do not expect
TOKENS = [b"\x00", b"\xff\xfe", b"\xc3", b"\n", b"\r", b'"', b"'", b",", b"-", b"{", b"("]
TOKENS += [b"1e999", b"nan", b"99999999999"]


@contextmanager
def bounded_memory(extra: int) -> Iterator[None]:
    """Let allocations fail that ask for more than this beyond the present size."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def mutations(data: bytes, n: int, seed: int) -> Iterator[bytes]:
    """``n`` damaged copies: bytes flipped, cut out, put in or repeated; tokens put in; the end cut off."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        copy = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            _damage(copy, rng)
        yield bytes(copy)


def _damage(data: bytearray, rng: np.random.Generator) -> None:
    at = int(rng.integers(len(data) + 1))
    end = at + int(rng.integers(1, 1 + max(1, len(data) // 8)))
    kind = rng.integers(6)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[at:end]
    elif kind == 2:
        data[at:at] = rng.bytes(int(rng.integers(1, 9)))
    elif kind == 3:
        data[at:at] = data[at:end]
    elif kind == 4:
        data[at:at] = TOKENS[int(rng.integers(len(TOKENS)))]
    elif at:
        del data[at:]
