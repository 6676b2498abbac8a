"""Fit and sample one generator of tables: a script that the interpreter runs in which the generator lies.

    python benchmarks/_peer.py METHOD ROWS.csv FOLDER [--rows N] [--minutes M] [--set NAME=NUMBER ...]

It imports nothing of this project unless the method is its own. FOLDER gets ``rows.csv``, as many rows as
were fitted, and ``record.json`` with seconds, memory and versions, which is written again after each phase,
so that a run that is ended after M minutes of processor time leaves what it knew.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import itertools
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Options = dict[str, float]
Sampler = Callable[[int], pd.DataFrame]


class Record:
    """What is known so far, on disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.values = path, {"python": platform.python_version()}

    def put(self, **values: Any) -> None:
        """Add values, and write all."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.values |= values | {"peak_mib": peak / (2**20 if sys.platform == "darwin" else 2**10)}
        self.path.write_text(json.dumps(self.values, indent=1), encoding="utf-8")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Seconds of a phase, on the wall and of the processor."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
        self.put(**{f"{name}_{clock}": value for clock, value in seconds.items()})


def is_category(column: pd.Series) -> bool:
    """Whether a column of the file holds words."""
    return not pd.api.types.is_numeric_dtype(column.dtype)


def fit_sktgdp(frame: pd.DataFrame, seed: int, options: Options, record: Record) -> Sampler:
    from sktgdp import DiffusionGenerator

    model = DiffusionGenerator(random_state=seed, **options).fit(frame)
    record.put(parameters=model.n_parameters_)
    return lambda n: model.sample(n, random_state=seed)[0]


def fit_sdv(name: str, frame: pd.DataFrame, seed: int, options: Options, record: Record) -> Sampler:
    import sdv.single_table
    import torch
    from sdv.metadata import Metadata

    columns = {
        name: {"sdtype": "categorical" if is_category(frame[name]) else "numerical"} for name in frame.columns
    }
    described = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
    np.random.seed(seed)  # noqa: NPY002 - it has no seed of its own
    torch.manual_seed(seed)
    model = getattr(sdv.single_table, name)(described, **options)
    model.fit(frame)
    return model.sample


def count_rounds(xgboost: Any, record: Record) -> None:
    """Let boosting count its rounds: what a run that is ended has done."""
    started, done = time.process_time(), itertools.count(1)

    class Count(xgboost.callback.TrainingCallback):
        """Writes down rounds, and seconds before the first one and in all of them."""

        def before_training(self, model: Any) -> Any:
            self.begun = time.process_time()
            if "rows_processor" not in record.values:  # the rows of the first level; the others take as long
                record.put(rows_processor=self.begun - started)
            return model

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            spent = record.values.get("rounds_processor", 0.0) + time.process_time() - self.begun
            record.put(rounds_done=next(done), rounds_processor=spent)
            self.begun = time.process_time()
            return False

    train = xgboost.train
    xgboost.train = lambda *args, **kwargs: train(*args, callbacks=[Count()], **kwargs)


def fit_forest_diffusion(frame: pd.DataFrame, seed: int, options: Options, record: Record) -> Sampler:
    import xgboost
    from ForestDiffusion import ForestDiffusionModel

    count_rounds(xgboost, record)
    known = inspect.signature(ForestDiffusionModel).parameters
    levels, rounds = (options.get(name, known[name].default) for name in ("n_t", "n_estimators"))
    record.put(levels=levels, rounds_needed=levels * rounds)
    words = {name: sorted(frame[name].unique()) for name in frame.columns if is_category(frame[name])}
    coded = frame.assign(**{name: frame[name].map(list(found).index) for name, found in words.items()})
    places = {name: at for at, name in enumerate(frame.columns)}
    model = ForestDiffusionModel(
        coded.to_numpy(dtype=np.float64),
        cat_indexes=[places[name] for name, found in words.items() if len(found) > 2],
        bin_indexes=[places[name] for name, found in words.items() if len(found) == 2],
        int_indexes=[places[name] for name in frame.columns if frame[name].dtype.kind == "i"],
        n_jobs=1,
        seed=seed,
        **options,
    )

    def sample(n: int) -> pd.DataFrame:
        new = pd.DataFrame(model.generate(batch_size=n), columns=frame.columns)
        new = new.assign(**{k: np.array(found)[new[k].astype(int)] for k, found in words.items()})
        return new.astype(frame.dtypes)

    return sample


# What each method imports first, outside the timed phases; the names of modules and distributions agree.
METHODS: dict[str, tuple[tuple[str, ...], Callable[..., Sampler]]] = {
    "sktgdp": (("torch", "sktgdp"), fit_sktgdp),
    "CTGAN": (("torch", "ctgan", "sdv"), partial(fit_sdv, "CTGANSynthesizer")),
    "TVAE": (("torch", "ctgan", "sdv"), partial(fit_sdv, "TVAESynthesizer")),
    "ForestDiffusion": (("xgboost", "ForestDiffusion"), fit_forest_diffusion),
}


def versions(distributions: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Version and licence of installed distributions, as they state them."""
    found = {}
    for name in distributions:
        with suppress(PackageNotFoundError):  # a working tree that is not installed
            about = metadata(name)
            licence = about["License-Expression"] or about["License"] or ""
            found[name] = {"version": about["Version"], "licence": licence}
    return found


def number(text: str) -> float:
    """A number, whole if it is written so."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("table", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, help="fit the first rows only")
    parser.add_argument("--minutes", type=float, default=60.0, help="of processor time, then it is ended")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="parameters")
    args = parser.parse_args()
    limit = int(60 * args.minutes)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    args.folder.mkdir(parents=True, exist_ok=True)
    frame = pd.read_csv(args.table, keep_default_na=False)[: args.rows]
    options = {name: number(value) for name, value in (pair.split("=") for pair in args.set)}
    modules, fit = METHODS[args.method]
    record = Record(args.folder / "record.json")
    record.put(method=args.method, rows=len(frame), seed=args.seed, options=options, minutes=args.minutes)
    record.put(versions=versions(modules), threads=os.environ.get("OMP_NUM_THREADS"))
    for name in modules:
        importlib.import_module(name)
    with record.phase("fit"):
        sample = fit(frame, args.seed, options, record)
    with record.phase("sample"):
        drawn = sample(len(frame))
    drawn.to_csv(args.folder / "rows.csv", index=False)
    record.put(finished=True)


if __name__ == "__main__":
    main()
