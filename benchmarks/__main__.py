"""Command line: list the benchmarks, or run one of them."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import BENCHMARKS
from benchmarks._cache import RunCache
from benchmarks._report import shown_command

CACHE = Path(__file__).resolve().parent / ".cache"


def listing() -> str:
    """One line for each benchmark."""
    width = max(map(len, BENCHMARKS))
    lines = [f"  {name:<{width}}  {text}" for name, text in BENCHMARKS.items()]
    usage = "Run one:   python -m benchmarks NAME [options]   (NAME --help lists them)"
    return "\n".join(["Benchmarks:", *lines, "", usage])


def build_parser(name: str) -> argparse.ArgumentParser:
    """Options of one benchmark: its own and those of all."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=BENCHMARKS[name])
    module = importlib.import_module(f"benchmarks.{name}")
    module.add_arguments(parser)
    common = parser.add_argument_group("common to all benchmarks")
    common.add_argument("--quick", action="store_true", help="tiny; written only if --out is given")
    common.add_argument("--seeds", type=int, help="repetitions")
    common.add_argument("--jobs", type=int, default=1, help="runs at a time, each on one thread (default: 1)")
    common.add_argument("--threads", type=int, default=2, help="threads of a run if --jobs 1 (default: 2)")
    common.add_argument("--out", type=Path, help="documentation folder to write into (default: docs)")
    common.add_argument("--cache", type=Path, default=CACHE, help="where finished runs are kept")
    common.add_argument("--fresh", action="store_true", help="run again what is already in the cache")
    common.add_argument(
        "--reuse", action="store_true", help="take runs made by an earlier version of the code too (stamped)"
    )
    parser.set_defaults(run=module.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(listing())
        return 0
    name, *rest = arguments
    if name not in BENCHMARKS:
        print(f"Unknown benchmark {name!r}.\n{listing()}", file=sys.stderr)
        return 2
    args = build_parser(name).parse_args(rest)
    if args.fresh and args.reuse:
        print("--fresh and --reuse contradict each other.", file=sys.stderr)
        return 2
    args.command = shown_command(arguments)
    args.store = RunCache(args.cache / name, fresh=args.fresh, reuse=args.reuse)
    if args.out is None and not args.quick:
        args.out = Path("docs")
    torch.set_num_threads(args.threads if args.jobs == 1 else 1)
    args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
