"""Fits in processes that are killed, and started again, until one comes to its end."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from sktgdp.estimators._state import checkpoint as _checkpoint


def weights_of(model: Any) -> dict[str, np.ndarray]:
    """All weights of a fitted model, by name."""
    networks = {"network": getattr(model, "network_", None), "guidance": getattr(model, "guidance_", None)}
    networks["time classifier"] = getattr(model, "time_classifier_", None)
    source = getattr(model, "source_model_", None) or getattr(model, "source_classifier_", None)
    networks["source"] = getattr(source, "network_", None)
    ratio = getattr(model, "domain_classifier_", None)
    networks |= {f"fold {k}": each for k, each in enumerate(getattr(ratio, "classifiers_", []))}
    found = {
        f"{name}: {key}": value.numpy()
        for name, network in networks.items()
        if network is not None
        for key, value in network.state_dict().items()
    }
    losses = [value for row in model.history_ for value in row.values() if not isinstance(value, str)]
    return {**found, "losses": np.array(losses, dtype=np.float64)}


def _fit(make: Callable[[], Any], domains: tuple[Any, ...], folder: Path, result: Path) -> None:
    import torch

    torch.set_num_threads(1)
    _checkpoint.SPACING = 0.0  # write after every epoch, short as they are
    model = make().fit(*domains, checkpoint=folder)
    save_file(weights_of(model), result.with_suffix(".new"))
    result.with_suffix(".new").rename(result)


def fit_under_fire(
    make: Callable[[], Any], domains: tuple[Any, ...], folder: Path, delays: Any
) -> tuple[dict[str, np.ndarray], int]:
    """Start a fit again and again, killing it after each delay, at last never; its weights, and the kills.

    Children of a server that has never trained: torch refuses to train in the fork of a process that has.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sktgdp.estimators", "kill_fits"])
    result, n_kills = folder.with_name(f"{folder.name}.safetensors"), 0
    for delay in [*delays, None]:
        process = context.Process(target=_fit, args=(make, domains, folder, result))
        process.start()
        process.join(delay)
        if process.is_alive():
            process.kill()  # SIGKILL
            process.join()
            n_kills += 1
        else:
            assert process.exitcode == 0
        if result.exists():
            break
    return load_file(result), n_kills
