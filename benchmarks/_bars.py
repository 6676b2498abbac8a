"""What the package is to reach, each bar beside its figure, from the files of JSON that benchmarks wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks._report import number, table
from benchmarks._timing import Result, Results, median_ratio

__all__ = ["bars"]

Found = tuple[str, bool]  # the figure in words, and whether it reaches the bar
Times = Mapping[str, Result]
LARGE = 512  # rows of a batch from which the stricter bar holds


@dataclass(frozen=True)
class Bar:
    """One thing to reach.

    Parameters
    ----------
    text : str
    source : str
        The benchmark that measures it, and the name of its file.
    find : callable
        Figure, from the results in that file; raises KeyError where they lack what it needs.
    """

    text: str
    source: str
    find: Callable[[Times], Found]


def at_most(ratios: list[float], limit: float) -> Found:
    """Largest of some ratios against its limit."""
    if not ratios:
        raise KeyError("no such ratio")
    worst = f"{max(ratios):.2f}"
    span = worst if len(ratios) == 1 else f"{min(ratios):.2f} to {worst}"
    return span, max(ratios) <= limit


def step_ratios(times: Times) -> Iterator[tuple[int, float]]:
    """Batch size, and our step over a bare one, for each network of tables."""
    for name, ours in times.items():
        head, _, side = name.rpartition(": ")
        if side == "ours" and not head.startswith("series"):
            yield int(head.rpartition(", ")[2]), median_ratio(ours, times[f"{head}: bare"])


def large_batches(times: Times) -> Found:
    return at_most([ratio for size, ratio in step_ratios(times) if size >= LARGE], 1.10)


def small_batches(times: Times) -> Found:
    return at_most([ratio for size, ratio in step_ratios(times) if size == 128], 1.25)


def start_up(times: Times) -> Found:
    whole, after = (times[f"start-up: {name}"].seconds for name in ("fit of one step", "its diagnostics"))
    words = (
        f"{number(1e3 * (whole - after))} ms, and {number(1e3 * after)} ms of diagnostics after the last step"
    )
    return words, whole - after < 0.05


def imports(times: Times) -> Found:
    ratio = median_ratio(times["import: sktgdp"], times["import: torch, scikit-learn, skorch"])
    return at_most([ratio], 1.15)


def throughputs(times: Times, fast: str, slow: str) -> list[float]:
    """Throughput of ``fast`` over that of ``slow`` in every setting that has both."""
    settings = [name.removesuffix(f": {fast}") for name in times if name.endswith(f": {fast}")]
    both = [(times[f"{each}: {slow}"], times[f"{each}: {fast}"]) for each in settings]
    return [median_ratio(*pair) for pair in both]


def at_least(ratios: list[float], limit: float) -> Found:
    """Least of some ratios against its limit."""
    if not ratios:
        raise KeyError("no such ratio")
    return f"{min(ratios):.2f} to {max(ratios):.2f}", min(ratios) >= limit


def guided(times: Times) -> Found:
    return at_least(throughputs(times, "guided by one network", "unguided"), 0.45)


def diffusers(times: Times) -> Found:
    return at_least(throughputs(times, "unguided", "diffusers, a time per row"), 1.2)


def few_calls(times: Times) -> Found:
    words, reached = [], []
    for solver in ("dpm++2m", "unipc"):
        mixture, heart = (times[f"10 calls over 50: {name}"].facts[solver] for name in ("mixture", "heart"))
        words.append(f"`{solver}`: {mixture:.2f} on the mixture, {heart:.2f} on heart disease")
        reached.append(max(mixture, heart) <= 1.1)
    return "; ".join(words), reached[0]  # the default's


def stream(times: Times) -> Found:
    start = "stream: "
    sizes = {
        name.removeprefix(start): r.peak_mib or 0.0 for name, r in times.items() if name.startswith(start)
    }
    if not sizes:
        raise KeyError("no stream")
    words = ", ".join(f"{name} {number(size)} MiB" for name, size in sizes.items())
    return words, max(sizes.values()) <= 1.15 * min(sizes.values())


def peers(times: Times) -> Found:
    ours = times["adult: sktgdp"]
    others = {name.removeprefix("adult: "): r for name, r in times.items() if r is not ours}
    if not others:
        raise KeyError("no other generator")
    words = []
    good = True
    for name, other in others.items():
        seconds = other.seconds if other.processor else 60 * other.facts["minutes"]
        word = f"{name} {'' if other.processor else '> '}{seconds / ours.seconds:.1f} × our time"
        good &= seconds > ours.seconds
        if "trees" in other.facts:
            word += f", AUC {other.facts['trees']:.3f} and {other.facts['boosting']:.3f}"
            good &= all(other.facts[key] > ours.facts[key] for key in ("trees", "boosting"))
        else:
            word += " (ended before it had rows to judge)"
        words.append(word)
    own = f"our AUC {ours.facts['trees']:.3f} (trees) and {ours.facts['boosting']:.3f} (boosting)"
    return "; ".join([own, *words]), good


def exponents(times: Times, start: str, end: str) -> tuple[float, float]:
    """Growth of size and of time from the least to the largest of a series of results."""
    sizes = {}
    for name, result in times.items():
        if name.startswith(start) and end in name:
            sizes[float(name.removeprefix(start).split()[0].replace(",", ""))] = result
    least, most = sizes[min(sizes)], sizes[max(sizes)]
    return max(sizes) / min(sizes), median_ratio(most, least)


def grows(start: str, end: str, *, linear: bool) -> Callable[[Times], Found]:
    """At most in proportion to the size, or not at all, each with a tolerance of 15 %."""

    def find(times: Times) -> Found:
        size, time = exponents(times, start, end)
        return f"{number(size)} × as many: {time:.2f} × the time", time <= 1.15 * (size if linear else 1.0)

    return find


BARS = (
    Bar("a training step at batches of 512 and more ≤ 1.10 × a bare loop's", "training", large_batches),
    Bar("at batches of 128 ≤ 1.25 ×", "training", small_batches),
    Bar("start-up of a fit < 50 ms", "training", start_up),
    Bar("`from sktgdp import TGDPGenerator` ≤ 1.15 × torch, scikit-learn and skorch", "imports", imports),
    Bar("guided sampling ≥ 0.45 of the throughput of unguided", "sampling", guided),
    Bar("unguided ≥ 1.2 × diffusers' `DPMSolverMultistepScheduler`", "sampling", diffusers),
    Bar("10 network calls within 10 % of 50, sliced Wasserstein distance", "steps", few_calls),
    Bar("adult census: faster than CTGAN, TVAE, ForestDiffusion; a better two-sample AUC", "peers", peers),
    Bar("time of a fit linear in steps", "performance", grows("size: fit, ", " steps, ", linear=True)),
    Bar("... and flat in rows", "performance", grows("size: fit, ", " rows, ", linear=False)),
    Bar("time of sampling linear in rows", "performance", grows("size: sample, ", " rows", linear=True)),
    Bar("memory of `sample_to_parquet` flat", "performance", stream),
)


def bars(folder: Path) -> str:
    """The table of all bars."""
    rows = []
    for bar in BARS:
        path = folder / f"{bar.source}.json"
        try:
            figure, reached = bar.find(Results.read(path).results)
            rows.append([bar.text, figure, "yes" if reached else "**no**", f"`{bar.source}`"])
        except (FileNotFoundError, KeyError):
            rows.append([bar.text, "", "not measured", f"`{bar.source}`"])
    return table(["bar", "figure", "reached", "`python -m benchmarks` …"], rows)
