"""Times that are taken in turn, kept as JSON and compared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks._timing import Result, Results, in_turn, median_ratio, noise, peak_mib, spread
from benchmarks.compare import compared, verdict


def burn(seconds: float) -> None:
    """Use the processor for some seconds."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_in_turn_times_every_case_in_every_round() -> None:
    calls: list[str] = []

    def case(letter: str, seconds: float) -> Callable[[], None]:
        return lambda: (burn(seconds), calls.append(letter))[1]

    results = in_turn({"one": case("1", 0.01), "two": case("2", 0.02)}, rounds=3, repeats=2)
    assert "".join(calls) == "12" + "1122" + "2211" + "1122"  # once without a clock; then in turning order
    assert len(results["one"].processor) == len(results["two"].wall) == 3
    assert min(results["one"].processor) >= 0.01
    assert all(0 < p <= w * 1.5 for p, w in zip(results["two"].processor, results["two"].wall, strict=True))
    assert 1.5 < median_ratio(results["two"], results["one"]) < 2.5


def test_medians_and_quartiles() -> None:
    result = Result(processor=[1.0, 2.0, 3.0, 4.0, 5.0])
    assert result.seconds == 3.0
    assert spread(result) == "3 (2 to 4)"
    assert spread(Result(processor=[1.5])) == "1.50"
    assert median_ratio(result, Result(processor=[1.0, 1.0, 1.0, 2.0, 2.0])) == 2.0
    assert noise(Result(processor=[2.0, 2.0, 2.0])) == 0.0


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = Results("python -m benchmarks x")
    results.add("fit", {"small": Result([1.0, 2.0], [1.5, 2.5], 10.0, {"auc": 0.5})})
    results.write(tmp_path / "deep" / "x.json")
    again = Results.read(tmp_path / "deep" / "x.json")
    assert again == results
    assert again.machine["python"]
    assert "node" not in json.dumps(again.machine)
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.json holds no results"):
        Results.read(tmp_path / "bad.json")


def test_only_changes_beyond_the_noise_are_flagged() -> None:
    steady, noisy = [1.0, 1.01, 0.99, 1.0, 1.0], [0.6, 1.4, 1.0, 0.7, 1.3]
    assert verdict(Result(steady), Result([1.5 * x for x in steady]))[2] == "slower"
    assert verdict(Result([1.5 * x for x in steady]), Result(steady))[2] == "faster"
    assert verdict(Result(noisy), Result([1.3 * x for x in noisy]))[2] == ""
    assert verdict(Result(steady), Result([1.04 * x for x in steady]))[2] == ""


def test_compare_prints_ratios_and_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = Results("c", {"torch": "1"}, {"fit: a": Result([1.0, 1.0]), "fit: gone": Result([1.0])})
    new = Results("c", {"torch": "2"}, {"fit: a": Result([3.0, 3.0])})
    old.write(tmp_path / "old.json")
    new.write(tmp_path / "new.json")
    assert main(["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == compared(old, new)
    assert "| fit: a | 1 | 3 | 3.00 | ± 6 % | slower |" in printed
    assert "Only in the old file: fit: gone." in printed
    assert "torch: 1 before, 2 now." in printed


def test_peak_memory_never_falls() -> None:
    before = peak_mib()
    assert before > 10
    held = bytearray(64 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_mib() >= before
