"""The benchmarks run from end to end in a tiny configuration; tables, pages and the cache of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import BENCHMARKS
from benchmarks.__main__ import listing, main
from benchmarks._cache import RunCache
from benchmarks._data import HEART_CODES, load_shift, snap_heart, source_key
from benchmarks._report import Page, number, plus_minus, shown_command, table
from benchmarks._timing import Results
from benchmarks._trials import run_all
from benchmarks.ford import ford_shift, log_spectra


@pytest.fixture(autouse=True)
def _same_number_of_threads() -> Iterator[None]:
    """The command line sets it for the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00123456, "0.00123"),
        (0.4006, "0.401"),
        (12.3456, "12.3"),
        (3000.0, "3,000"),
        (1e-9, "1e-09"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ([0.0051, 0.0057, 0.0049], {}, "0.00523 ± 0.00042"),
        ([0.9, 0.9], {}, "0.900"),
        ([0.5], {}, "0.500"),
        ([1.0, 3.0], {"error": "se"}, "2.0 ± 1.0"),
        ([1.0, np.nan, 3.0], {}, "2.0 ± 1.4"),
        ([np.nan], {}, "–"),
        ([1200.0, 1400.0], {}, "1,300 ± 141"),
        ([0.87600, 0.87601], {}, "0.8760 ± 0.0000"),
    ],
)
def test_plus_minus(values: list[float], options: dict[str, Any], text: str) -> None:
    assert plus_minus(values, **options) == text


def test_table() -> None:
    assert table(["a", "b"], [["x|y", 1]]) == "| a | b |\n| :-- | --: |\n| x\\|y | 1 |"
    with pytest.raises(ValueError, match="1 cells, the header 2"):
        table(["a", "b"], [["x"]])


def test_command_shows_no_folders() -> None:
    words = ["overlap", "--out", "/tmp/x", "--cache=/tmp/y", "--seeds", "2"]
    assert shown_command(words) == "python -m benchmarks overlap --seeds 2"


def test_page_replaces_one_section_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "page.md"
    for name, body in [("b", "old"), ("a", "first"), ("b", "new\n\nlines")]:
        Page(path, "Title", "Words.", ["a", "b"]).put(name, name.upper(), body, "made by hand")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Title\n\nWords.\n\n")
    assert "old" not in text
    assert text.index("## A\n\nfirst") < text.index("## B\n\nnew\n\nlines\n\nmade by hand")
    with pytest.raises(ValueError, match="no section 'c'"):
        Page(path, "Title", "Words.", ["a"]).put("c", "C", "", "")


def test_cache_keeps_finished_runs(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"x": 1.5, "rows": np.arange(3.0)}

    key = {"method": "m", "seed": 0}
    for _ in range(2):
        record = RunCache(tmp_path).record(key, "v1", compute)
        assert record["x"] == 1.5
        assert record["code"] == "v1"
        np.testing.assert_array_equal(record["rows"], np.arange(3.0))
    assert len(calls) == 1
    assert RunCache(tmp_path, reuse=True).record(key, "v2", compute)["code"] == "v1"
    assert len(calls) == 1
    RunCache(tmp_path).record(key | {"seed": 1}, "v1", compute)
    RunCache(tmp_path).record(key, "v2", compute)
    assert len(calls) == 3
    RunCache(tmp_path, fresh=True).record(key, "v2", compute)
    assert len(calls) == 4


def test_run_all_keeps_the_order() -> None:
    tasks = [(str(k), lambda k=k: k) for k in range(5)]
    assert run_all(tasks, 1) == list(range(5))


def test_source_rows_depend_on_the_source_key_alone() -> None:
    few, many = ({"name": "mixture", "n_source": 50, "n_target": n, "n_test": 10, "seed": 3} for n in (4, 8))
    assert source_key(few) == source_key(many)
    np.testing.assert_array_equal(load_shift(few).X_src, load_shift(many).X_src)


@pytest.mark.usefixtures("data_dir")
def test_heart_draws_are_disjoint_and_snap_to_codes() -> None:
    shift = load_shift({"name": "heart", "n_target": 30, "seed": 1})
    assert len(shift.X_tgt) == 30
    rows = {tuple(row) for row in shift.X_tgt}
    # patients may coincide in all ten features; the split itself leaves none out
    assert len(shift.X_tgt) + len(shift.X_test) == 261
    assert len(rows) > 25
    noisy = snap_heart(shift.X_test + 0.3, shift.X_src)
    for column in HEART_CODES:
        assert set(noisy[:, column]) <= set(shift.X_src[:, column])


def test_listing_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == listing().strip()
    assert all(name in listing() for name in BENCHMARKS)
    assert main(["nothing"]) == 2


def _quick(name: str, tmp_path: Path, *options: str) -> str:
    """Run a benchmark in its tiny configuration and return its page."""
    out, cache = str(tmp_path / "docs"), str(tmp_path / "cache")
    arguments = [name, "--quick", "--seeds", "1", "--threads", "1", "--out", out, "--cache", cache, *options]
    assert main(arguments) == 0
    return (tmp_path / "docs" / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")


def test_gaussian_mixture(tmp_path: Path) -> None:
    page = _quick("gaussian_mixture", tmp_path, "--sizes", "12", "--table", "--figures", "--speed")
    assert "python -m benchmarks gaussian_mixture --quick --seeds 1" in page
    assert str(tmp_path) not in page
    for words in ("## Table 1", "Exact samples score 0.4006", "TGDP, defaults", "best of grid", "## Speed"):
        assert words in page
    pictures = {path.name for path in (tmp_path / "docs" / "benchmarks").glob("*.png")}
    assert pictures == {f"gaussian_mixture_{what}.png" for what in ("samples", "ratio", "ablation")}


def test_search(tmp_path: Path) -> None:
    assert "with memory, whole search" in _quick("search", tmp_path)


def test_gaussian_mixture_with_labels(tmp_path: Path) -> None:
    assert "## Table 1 with labels" in _quick("gaussian_mixture", tmp_path, "--sizes", "12", "--conditional")


def test_overlap(tmp_path: Path) -> None:
    page = _quick("overlap", tmp_path, "--data", "digits-rescale-30")
    for words in ("## Summary", "## 64 pixels", "## digits-rescale-30", "the rule**", "other target rows"):
        assert words in page


def test_overlap_of_digits_alone(tmp_path: Path) -> None:
    page = _quick("overlap", tmp_path, "--digits", "--data", "digits-thicken-30", "--own-scales")
    assert "each over its own spread" in page
    assert "## Summary" not in page


@pytest.mark.usefixtures("data_dir")
def test_heart_disease(tmp_path: Path) -> None:
    page = _quick("heart_disease", tmp_path, "--sizes", "30")
    for words in ("(a) target only", "(e) source + target + TGDP", "two-sample AUC", "33 more dropped"):
        assert words in page


@pytest.mark.usefixtures("data_dir")
def test_ford(tmp_path: Path) -> None:
    page = _quick("ford", tmp_path, "--sizes", "20", "--protocols", "noisy")
    for words in ("(a) target only", "(e) TGDP, n = 20", "two-sample AUC", "With all target rows"):
        assert words in page
    lines = (tmp_path / "docs" / "benchmarks" / "ford_noisy.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "n_target,seed,rows,what,value"
    assert any(line.startswith("20,200,(b) source only,forest,0.") for line in lines)


@pytest.mark.usefixtures("data_dir")
def test_ford_draws_are_balanced_and_hold_the_others_out() -> None:
    noisy, archive = (ford_shift(20, 1, protocol) for protocol in ("noisy", "archive"))
    assert (noisy.X_src.shape, noisy.X_tgt.shape, noisy.X_test.shape) == ((4921, 8), (20, 8), (790, 8))
    assert archive.X_test.shape == (810, 8)
    assert (noisy.y_tgt == 1).sum() == (archive.y_tgt == 1).sum() == 10
    held_out = {tuple(row) for row in noisy.X_test}
    assert held_out.isdisjoint({tuple(row) for row in noisy.X_tgt})
    assert held_out < {tuple(row) for row in archive.X_test}


def test_log_spectra_find_the_frequency_and_the_power() -> None:
    t = np.arange(500)
    series = np.sin(2 * np.pi * np.array([[0.0203], [0.1003], [0.4]]) * t)
    bands = log_spectra(series)
    assert bands.shape == (3, 28)
    np.testing.assert_array_equal(bands.argmax(axis=1), [3, 16, 26])
    # ten times the amplitude is a hundred times the power
    loud = log_spectra(10 * series).max(axis=1) - bands.max(axis=1)
    np.testing.assert_allclose(loud, np.log(100), rtol=1e-3)


def test_without_data_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKTGDP_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="Set SKTGDP_DATA"):
        main(["heart_disease", "--quick", "--cache", str(tmp_path)])


def test_training(tmp_path: Path) -> None:
    page = _quick("training", tmp_path, "--case", "source diffusion", "--case", "guidance, both regularisers")
    for words in ("Before the first step", "| source diffusion | 16 |", "ours over strict"):
        assert words in page
    kept = Results.read(tmp_path / "docs" / "benchmarks" / "training.json").results
    assert {"start-up: fit of one step", "source diffusion, 16: bare"} <= set(kept)
