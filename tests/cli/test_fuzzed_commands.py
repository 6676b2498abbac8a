"""Whole commands on damaged tables and with odd arguments: done, or a message; never a fault of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fuzzing import mutations
from workplace import Workplace

# What people type, in a wrong place too.
WORDS = [
    "fit", "sample", "report", "info", "@source.csv", "@target.csv", "@m", "@nowhere.csv", "@.", "-",
    "--", "", "--label", "sick", "city", "sick=3", "sick=x", "--drop", "--missing", "--drop-missing",
    "--model", "@new", "--eta-cycle", "--eta-consistency", "auto", "-1", "0", "1", "1e9", "nan",
    "--max-steps", "--lr", "--seed", "--device", "cuda:7", "--checkpoint", "@state", "--force", "--quiet",
    "-n", "-o", "@out.csv", "@out.xyz", "@out.parquet", "--steps", "--solver", "ddim", "--batch-size",
    "--holdout", "--help", "--version", "Łódź",
]  # fmt: skip
FAULTS = ("fault of sktgdp", "Traceback")


def ended_well(place: Workplace, *arguments: str) -> int:
    """Run a command; its status, which is 0, or goes with a message."""
    status, out, err = place.run(*arguments)
    assert not any(word in out + err for word in FAULTS), (arguments, err)
    assert status in (0, 1, 2), (arguments, status)
    assert status == 0 or "rror" in err or "Usage" in out + err, (arguments, err)
    return status


@pytest.mark.parametrize("damaged", ["source.csv", "target.csv"])
def test_damaged_tables(place: Workplace, damaged: str) -> None:
    data = (place.folder / damaged).read_bytes()
    fit = ("fit", "@source.csv", "@target.csv", "--model", "@m", "--max-steps", "1", "--force", "--quiet")
    found = []
    for k, mutated in enumerate(mutations(data, n=15, seed=len(damaged))):
        (place.folder / damaged).write_bytes(mutated)
        found.append(ended_well(place, *fit, *(("--label", "sick") if k % 2 else ())))
    assert {0, 1} <= set(found)


def test_odd_arguments(place: Workplace, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random words behind a command, and good commands with one word changed."""
    monkeypatch.chdir(place.folder)  # where files go that have no folder
    before = sorted(Path(model).iterdir())
    rng = np.random.default_rng(0)
    (place.folder / "m").symlink_to(model)
    good = [
        ("fit", "@source.csv", "@target.csv", "--label", "sick", "--model", "@new", "--max-steps", "1"),
        ("sample", "@m", "-n", "5", "--label", "1=3", "-o", "@out.csv", "--steps", "2", "--force"),
        ("report", "@source.csv", "@target.csv", "--label", "sick", "-o", "@out.html", "--force"),
        ("info", "@m"),
    ]  # fmt: skip
    found = []
    for k in range(120):
        words = list(good[int(rng.integers(len(good)))])
        if k % 2:
            words[int(rng.integers(1, len(words)))] = WORDS[int(rng.integers(len(WORDS)))]
        else:
            words = [words[0], *rng.choice(WORDS, int(rng.integers(0, 7)))]
        found.append(ended_well(place, *words))
    assert {0, 1, 2} <= set(found)
    assert sorted(Path(model).iterdir()) == before
