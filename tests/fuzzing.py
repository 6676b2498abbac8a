"""A seeded fuzzer of files: the same mutations on every machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# what parsers look for, and what they do not expect
TOKENS = [b"\x00", b"\xff\xfe", b"\xc3", b"\n", b"\r", b'"', b"'", b",", b"-", b"{", b"("]
TOKENS += [b"1e999", b"nan", b"99999999999"]


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
