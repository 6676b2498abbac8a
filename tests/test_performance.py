"""The adult census beside other generators, cost against size, and the table of bars."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.__main__ import main
from benchmarks._bars import BARS
from benchmarks._timing import Result, Results


@pytest.mark.usefixtures("data_dir")
def test_peers(tmp_path: Path) -> None:
    arguments = ["peers", "--quick", "--threads", "1", "--out", str(tmp_path / "docs")]
    assert main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    page = (tmp_path / "docs" / "benchmarks" / "peers.md").read_text(encoding="utf-8")
    assert "| sktgdp |" in page
    assert "| training rows themselves |" in page
    ours = Results.read(tmp_path / "docs" / "benchmarks" / "peers.json").results["adult: sktgdp"]
    assert ours.seconds > 0
    assert ours.peak_mib > 100
    assert 0.3 < ours.facts["trees"] <= 1


def test_a_peer_that_was_ended_is_told_with_what_it_would_have_taken() -> None:
    done = {"outcome": "finished", "fit_processor": 9.0, "sample_processor": 1.0, "peak_mib": 500.0}
    done |= {"trees": 0.8, "boosting": 0.9, "utility": 0.7, "minutes": 60.0, "versions": {}}
    ended = {"outcome": "ended", "minutes": 60.0, "peak_mib": 900.0, "versions": {}}
    rounds = {"rounds_done": 10, "rounds_needed": 5000, "rounds_processor": 3600.0}
    rounds |= {"levels": 50, "rows_processor": 72.0}
    assert peers.line("x", done, done)[1:4] == ["9", "1", "1.0"]
    assert peers.line("x", ended, done)[1:4] == ["not done in 3,600", "", "> 360"]
    assert peers.line("x", ended | rounds, done)[3] == "about 180,000"
    told = peers.notes({"x": ended | rounds})
    assert "10 of 5,000 boosting rounds; at that rate its fit takes 501 hours" in told


def test_performance(tmp_path: Path) -> None:
    arguments = ["performance", "--quick", "--threads", "1", "--out", str(tmp_path)]
    assert main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "## Cost against size" in page
    assert "| a training step at batches of 512 and more ≤ 1.10 × a bare loop's |  | not measured |" in page
    results = Results.read(tmp_path / "benchmarks" / "performance.json").results
    assert "size: fit, 100 rows, 2 steps" in results
    assert "calls: fit of 1,000 rows × 20, 200 steps" in results


def _bar(start: str, results: dict[str, Result]) -> tuple[str, bool]:
    """Figure of the bar whose text starts so."""
    return next(bar for bar in BARS if bar.text.startswith(start)).find(results)


def test_bars_are_judged_by_their_figures() -> None:
    steps = {"source, 512: ours": Result([2.0]), "source, 512: bare": Result([1.9])}
    assert _bar("a training step", steps) == ("1.05", True)
    assert not _bar("a training step", steps | {"source, 512: bare": Result([1.7])})[1]
    with pytest.raises(KeyError):
        _bar("at batches of 128", steps)
    rows = {f"size: sample, {n:,} rows": Result([seconds]) for n, seconds in [(1000, 0.1), (10_000, 0.9)]}
    assert _bar("time of sampling", rows) == ("10 × as many: 9.00 × the time", True)
    flat = {f"size: fit, {n:,} rows, 200 steps": Result([s]) for n, s in [(1000, 1.0), (100_000, 1.3)]}
    assert _bar("... and flat", flat) == ("100 × as many: 1.30 × the time", False)


def test_bars_on_sampling() -> None:
    sides = {"unguided": 1.0, "guided by one network": 2.0, "diffusers, a time per row": 1.5}
    times = {f"1,000 × 2: {name}": Result([seconds]) for name, seconds in sides.items()}
    assert _bar("guided", times) == ("0.50 to 0.50", True)
    assert _bar("unguided", times) == ("1.50 to 1.50", True)
    assert not _bar("guided", times | {"1,000 × 2: unguided": Result([0.8])})[1]
    losses = {"mixture": 1.02, "heart": 1.2}
    few = {
        f"10 calls over 50: {name}": Result(facts={"dpm++2m": loss, "unipc": 1.0})
        for name, loss in losses.items()
    }
    figure, reached = _bar("10 network calls", few)
    assert figure.startswith("`dpm++2m`: 1.02 on the mixture, 1.20 on heart disease; `unipc`: 1.00")
    assert not reached
    files = {"stream: 100 rows": Result(peak_mib=50.0), "stream: 1,000 rows": Result(peak_mib=52.0)}
    assert _bar("memory", files) == ("100 rows 50 MiB, 1,000 rows 52 MiB", True)


def test_the_bar_on_peers_wants_speed_and_quality() -> None:
    ours = Result([10.0], facts={"trees": 0.7, "boosting": 0.8})
    slow = Result([20.0], facts={"trees": 0.9, "boosting": 0.9})
    ended = Result([], facts={"minutes": 60.0})
    figure, reached = _bar("adult", {"adult: sktgdp": ours, "adult: A": slow, "adult: B": ended})
    assert reached
    assert "A 2.0 × our time, AUC 0.900 and 0.900; B > 360.0 × our time" in figure
    better = Result([20.0], facts={"trees": 0.6, "boosting": 0.9})
    assert not _bar("adult", {"adult: sktgdp": ours, "adult: A": better})[1]
    with pytest.raises(KeyError):
        _bar("adult", {"adult: sktgdp": ours})
