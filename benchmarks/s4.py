"""One optimiser step of `SSSDECG` with diagonal layers beside the same network with S4's own layers."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks._dplr import DPLRKernel
from benchmarks._report import Page, number, stamp, table
from sktgdp.losses import score_matching_loss
from sktgdp.nets import SSSDECG, DiagonalSSM
from sktgdp.process import VPProcess

INTRODUCTION = """\
The score network of the ECG experiment at its published width: 8 leads of 1,000 samples, 71 labels,
256 channels (512 in the state-space layers), state 64, bidirectional. Everything but the kernels of the
state-space layers is the same network in every row. The published network has 36 equal blocks.

- **S4D**: `sktgdp.nets.DiagonalSSM`, the package's layer.
- **S4, plain**: the diagonal plus low-rank layer (HiPPO-LegS) of the publication, every Cauchy product a
  division of its own: what runs in plain torch, without a compiled extension.
- **S4, shared**: the same kernel with one division for all its Cauchy products, conjugate pairs folded, in
  real arithmetic; a stronger reference than the plain one, written for this comparison.

A step is forward, loss, backward, clipping and Adam; a figure is the least of the repetitions (`--seeds`),
in a process of its own. *Recomputed*: blocks are computed again for the gradient (`checkpoint=True`). Where
other work shares the machine, processor seconds are the measure to compare. Peak memory is that of the whole
process, torch and the allocator's slack included. No compiled Cauchy extension and no GPU was
measured."""

Measure = Callable[..., dict[str, float]]
KERNELS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "S4D": DiagonalSSM,
    "S4, shared": partial(DPLRKernel, shared=True),
    "S4, plain": DPLRKernel,
}


@dataclass(frozen=True)
class Case:
    """What one process measures."""

    kernel: str
    n_blocks: int
    batch_size: int
    checkpoint: bool
    n_channels: int = 256
    state_size: int = 64
    length: int = 1000
    n_labels: int = 71


def peak_gib() -> float:
    """Most memory that this process ever held; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    found = [line for line in lines if line.startswith("VmHWM")]
    return int(found[0].split()[1]) / 2**20 if found else float("nan")


def best_time(function: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Least wall time and least processor time of some calls, seconds."""
    walls, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return min(walls), min(processor)


def measure_step(case: Case, repeats: int, threads: int) -> dict[str, float]:
    """Time and memory of an optimiser step; runs in a process of its own."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    process = VPProcess()
    network = SSSDECG(
        (8, case.length), case.n_labels, process, case.n_blocks, case.n_channels, case.state_size,
        checkpoint=case.checkpoint, ssm=KERNELS[case.kernel],
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4)
    x0, eps = torch.randn(2, case.batch_size, 8, case.length)
    t = torch.linspace(0.1, 0.9, case.batch_size)
    y = torch.randint(0, 2, (case.batch_size, case.n_labels)).float()
    x_t = process.perturb(x0, t, eps)

    def step() -> None:
        optimizer.zero_grad()
        score_matching_loss(network(x_t, t, y), eps).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    wall, processor = best_time(step, repeats)
    n_parameters = sum(p.numel() for p in network.parameters())
    return {"wall": wall, "processor": processor, "peak": peak_gib(), "n_parameters": n_parameters}


def measure_kernel(case: Case, repeats: int, threads: int) -> dict[str, float]:
    """Time and memory of one layer's kernels, forward and backward."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    ssm = KERNELS[case.kernel](2 * case.n_channels, case.state_size, 2)
    wall, processor = best_time(lambda: ssm(case.length).square().sum().backward(), repeats)
    n_parameters = sum(p.numel() for p in ssm.parameters())
    return {"wall": wall, "processor": processor, "peak": peak_gib(), "n_parameters": n_parameters}


def alone(measure: Measure, *args: Any) -> dict[str, float]:
    """Call in a fresh process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *args).result()


def call(measure: Measure, *args: Any) -> dict[str, float]:
    """Call here: quicker, and the peak memory is that of all that ran before."""
    return measure(*args)


HEADER = ("layers", "batch", "recomputed", "parameters, millions", "wall, s", "processor, s",
          "S4D over this, wall", "S4D over this, processor", "peak, GiB")  # fmt: skip


def row(case: Case, result: dict[str, float], ours: dict[str, float]) -> list[Any]:
    """A line of a table; ``ours`` is S4D's result at the same batch size."""
    ratios = [f"{ours[name] / result[name]:.2f}" for name in ("wall", "processor")]
    seconds = [number(result[name]) for name in ("wall", "processor")]
    size, recomputed = f"{result['n_parameters'] / 1e6:.2f}", "yes" if case.checkpoint else "no"
    return [case.kernel, case.batch_size, recomputed, size, *seconds, *ratios, f"{result['peak']:.2f}"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--part",
        choices=["step", "block", "kernel"],
        action="append",
        help="only this part; may be repeated",
    )
    parser.add_argument("--blocks", type=int, default=36, help="blocks of the whole network (default: 36)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="batch sizes of the part block")


def run(args: argparse.Namespace) -> None:
    """Measure and write the page."""
    repeats = args.seeds or (1 if args.quick else 3)
    whole = Case("S4D", 2 if args.quick else args.blocks, 1, checkpoint=True)
    if args.quick:
        whole = replace(whole, n_channels=4, state_size=8, length=40, n_labels=3)
    one = replace(whole, n_blocks=1, checkpoint=False)
    fast = ["S4D", "S4, shared"]
    single = [replace(one, kernel=kernel, batch_size=size) for size in args.batch for kernel in fast]
    parts: dict[str, tuple[str, Any, list[Case]]] = {
        "step": (
            f"One step of {whole.n_blocks} blocks, blocks recomputed for the gradient",
            measure_step,
            [replace(whole, kernel=kernel) for kernel in fast] + [replace(whole, checkpoint=False)],
        ),
        "block": (
            "One step of one block",
            measure_step,
            [*single, replace(one, kernel="S4, plain", batch_size=args.batch[0])],
        ),
        "kernel": (
            "The kernels of one layer, forward and backward",
            measure_kernel,
            [replace(one, kernel=kernel) for kernel in KERNELS],
        ),
    }
    path = args.out / "benchmarks" / "s4.md" if args.out else None
    page = Page(path, "State-space layers: S4D beside S4", INTRODUCTION, list(parts))
    run_alone = call if args.quick else alone
    for name in args.part or parts:
        heading, measure, cases = parts[name]
        rows, ours = [], {}
        for case in cases:  # the first of every batch size is S4D
            result = run_alone(measure, case, repeats, args.threads)
            rows.append(row(case, result, ours.setdefault(case.batch_size, result)))
            page.put(name, heading, table(HEADER, rows), stamp(args.command))
