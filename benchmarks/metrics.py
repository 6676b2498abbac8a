"""Speed and memory of the metrics beside the usual implementations: python -m benchmarks.metrics

Every line times both sides in this run, on the same arrays, and prints the ratio and both values.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from threadpoolctl import threadpool_limits

from sktgdp.metrics import (
    apply_thresholds,
    challenge_f_beta_score,
    challenge_g_beta_score,
    coverage_score,
    density_score,
    frechet_distance,
    optimal_thresholds,
    precision_score_knn,
    recall_score_knn,
)
from sktgdp.metrics._frechet import _fast_root_trace

Array = NDArray[np.float64]


def timed(function: Callable[..., Any], *args: Any, repeats: int = 1) -> tuple[float, Any]:
    """Best wall time of ``repeats`` calls, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*args)
        times.append(time.perf_counter() - start)
    return min(times), result


def report(what: str, ours: tuple[float, Any], other: tuple[float, Any], note: str) -> None:
    ratio = other[0] / ours[0]
    print(f"{what}: {ours[0]:.3g} s against {other[0]:.3g} s, {ratio:.3g} x faster ({note})", flush=True)
    print(f"    values {ours[1]:.10g} and {other[1]:.10g}", flush=True)


# Fréchet distance -----------------------------------------------------------------------------------
def root_trace_by_sqrtm(C1: Array, C2: Array) -> float:
    return float(np.trace(sqrtm(C1 @ C2)).real)


def frechet_by_sqrtm(F: Array, G: Array) -> float:
    C1, C2 = np.cov(F, rowvar=False), np.cov(G, rowvar=False)
    shift = F.mean(0) - G.mean(0)
    return float(shift @ shift + np.trace(C1) + np.trace(C2) - 2 * root_trace_by_sqrtm(C1, C2))


def frechet(n_features: int) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(n_features, n_features)) / np.sqrt(n_features)
    cases = {
        "regular": (2 * n_features, np.linspace(0.2, 1.0, n_features)),
        "ill-conditioned": (2 * n_features, np.logspace(0, -5, n_features)),
        "singular": (n_features // 2, np.linspace(0.2, 1.0, n_features)),
    }
    for name, (n_rows, scales) in cases.items():
        F = rng.normal(size=(n_rows, n_features)) * scales @ mixing
        G = rng.normal(size=(n_rows, n_features)) * scales
        ours = timed(frechet_distance, F, G, repeats=3)
        theirs = timed(frechet_by_sqrtm, F, G, repeats=2)
        report(
            f"Fréchet, {n_features} features", ours, theirs, f"{n_rows} rows, {name}, from rows to distance"
        )
        if name == "regular":
            C1, C2 = np.cov(F, rowvar=False), np.cov(G, rowvar=False)
            ours = timed(_fast_root_trace, C1, C2, repeats=3)
            theirs = timed(root_trace_by_sqrtm, C1, C2, repeats=2)
            report(f"Fréchet, {n_features} features", ours, theirs, "regular, the root's trace alone")


# Coverage and its family ----------------------------------------------------------------------------
def two_samples(n_rows: int, n_features: int = 64) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, n_features)), 1.02 * rng.normal(size=(n_rows, n_features)) + 0.02


def coverage_in_this_process(n_rows: int) -> tuple[float, float, float]:
    """Seconds, value and the peak memory in GiB of a process that does nothing else."""
    seconds, value = timed(coverage_score, *two_samples(n_rows))
    status = Path("/proc/self/status")
    peak = (
        [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        if status.exists()
        else []
    )
    return seconds, value, int(peak[0].split()[1]) / 2**20 if peak else float("nan")


def neighbours(n_rows: int) -> None:
    from prdc import compute_prdc

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        peak = pool.submit(coverage_in_this_process, n_rows).result()[2]
    real, syn = two_samples(n_rows)
    ours = timed(coverage_score, real, syn, repeats=3)
    start = time.perf_counter()
    others = [timed(score, real, syn)[1] for score in (precision_score_knn, recall_score_knn, density_score)]
    all_four = ours[0] + time.perf_counter() - start
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = timed(compute_prdc, real, syn, 5)
    note = f"{n_rows} x {n_rows} x 64; ours peaks at {peak:.2f} GiB, the whole process"
    report("Coverage against all of prdc", ours, (theirs[0], theirs[1]["coverage"]), note)
    report(
        "All four against all of prdc", (all_four, others[2]), (theirs[0], theirs[1]["density"]), "density"
    )


# Challenge scores -----------------------------------------------------------------------------------
def g_beta_by_loop(truth: Any, scores: Any, threshold: float, beta: float = 2.0) -> float:
    tp = fp = fn = 0.0
    for true, score in zip(truth, scores, strict=True):
        predicted = score > threshold
        if true and predicted:
            tp += 1.0
        elif predicted:
            fp += 1.0
        elif true:
            fn += 1.0
    return tp / (tp + fp + beta * fn) if tp else 0.0


def tune_and_score(Y: Any, S: Array) -> float:
    predicted = apply_thresholds(S, optimal_thresholds(Y, S))
    return challenge_f_beta_score(Y, predicted) + challenge_g_beta_score(Y, predicted)


def challenge(n_rows: int, n_classes: int = 71, n_thresholds: int = 100) -> None:
    rng = np.random.default_rng(0)
    Y = (rng.random((n_rows, n_classes)) < 0.05).astype(int)
    S = np.clip(0.3 * Y + 0.7 * rng.random(Y.shape), 0, 1)
    grid = np.linspace(0, 1, n_thresholds)
    ours = timed(tune_and_score, Y, S, repeats=3)
    # One class of the search is enough: the loop's time is the same for every class.
    truth, scores = Y[:, 0].tolist(), S[:, 0].tolist()
    seconds, found = timed(lambda: grid[np.argmax([g_beta_by_loop(truth, scores, t) for t in grid])])
    note = f"{n_rows} x {n_classes}; the loop's tuning alone, one class times {n_classes}"
    report("Tuned F- and G-beta", (ours[0], optimal_thresholds(Y, S)[0]), (seconds * n_classes, found), note)


PARTS = {"neighbours": neighbours, "challenge": challenge, "frechet": frechet}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--part", choices=list(PARTS), action="append", help="only this part; may be repeated"
    )


def run(args: argparse.Namespace) -> None:
    """Print every part; ``args.quick`` makes the arrays small, and the ratios meaningless."""
    sizes = {"frechet": 256} if args.quick else {"frechet": 2048}
    with threadpool_limits(args.threads):
        for name in args.part or PARTS:
            PARTS[name](sizes.get(name, 1000 if args.quick else 20_000))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="small arrays, to see that everything runs")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side (default: 2)")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
