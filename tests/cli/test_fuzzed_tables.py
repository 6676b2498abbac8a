"""Mutated tables: a frame, or an error that names the file; never a crash or memory without bound."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import bounded_memory, mutations

from sktgdp.cli._run import UserError
from sktgdp.cli._tables import read_table

GIGABYTE = 2**30
N_FILES = 40


def table() -> pd.DataFrame:
    """Numbers, integers with gaps, texts with quotes, times."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 80, 30),
            "income": rng.normal(size=30).round(3),
            "visits": pd.array([None, *range(29)], dtype="Int64"),
            "town": pd.Categorical(rng.choice(["Wien", 'the "old" one, here', "Łódź"], 30)),
            "since": pd.date_range("2020-01-01", periods=30),
        }
    )


def write(path: Path) -> bytes:
    """A good file."""
    table().to_parquet(path) if path.suffix == ".parquet" else table().to_csv(path, index=False)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "inside.csv.gz"])
def test_tables(tmp_path: Path, name: str) -> None:
    """The bytes of the file; for the last of them those of the text that is compressed."""
    path, inside = tmp_path / name, name.startswith("inside")
    data = write(path)
    outcomes, nameless = {"read": 0, "refused": 0}, []
    with bounded_memory(GIGABYTE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mutated in mutations(gzip.decompress(data) if inside else data, n=N_FILES, seed=len(name)):
            path.write_bytes(gzip.compress(mutated) if inside else mutated)
            try:
                frame = read_table(path)
            except UserError as error:
                outcomes["refused"] += 1
                nameless += [] if str(path) in str(error) else [error]
            else:
                outcomes["read"] += 1
                assert len(frame) > 0
                assert frame.columns.is_unique
    assert not nameless
    assert outcomes["refused"] > 0
    assert outcomes["read"] > 0 or name == "t.csv.gz", "its checksum notices every change"
