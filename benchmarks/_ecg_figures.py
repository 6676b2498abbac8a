"""Pictures of the ECG benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks._ecg_trials import Experiment
from sktgdp.plotting import TraceDisplay, TSNEDisplay
from sktgdp.preprocessing import STANDARD_LEADS, LeadReducer

__all__ = ["draw_embedding", "draw_traces"]


def draw_embedding(experiment: Experiment, generators: Mapping[str, str], path: Path) -> None:
    """Figure 3: held-out windows and those of each generator, in one t-SNE of the classifier's features."""
    display = TSNEDisplay.from_data(
        experiment.shift.X_test,
        {title: experiment.samples(method)["X"] for method, title in generators.items()},
        features=experiment.source_classifier().embed,
        real_name="held-out windows",
        random_state=experiment.seed,
    )
    display.figure_.savefig(path, dpi=130)
    plt.close(display.figure_)


def twelve_leads(X: NDArray[Any]) -> NDArray[Any]:
    """The twelve standard leads of windows of the eight independent ones."""
    neutral = np.zeros((1, len(STANDARD_LEADS), X.shape[2]))
    twelve: NDArray[Any] = LeadReducer().fit(neutral).inverse_transform(X)
    return twelve


def draw_traces(experiment: Experiment, generators: Mapping[str, str], path: Path) -> None:
    """A window of the held-out records and one of each generator, drawn at random, in twelve leads."""
    shift, rng = experiment.shift, np.random.default_rng(experiment.seed)
    parts = {"held-out window": shift.X_test} | {
        title: experiment.samples(method)["X"] for method, title in generators.items()
    }
    figure, axes = plt.subplots(1, len(parts), figsize=(3.0 * len(parts), 8.5), layout="constrained")
    for ax, (title, X) in zip(axes, parts.items(), strict=True):
        window = twelve_leads(shift.unit * X[[rng.integers(len(X))]])
        TraceDisplay.from_data(window, rate=shift.rate, spacing=1.5, ax=ax, title=title)
    figure.savefig(path, dpi=130)
    plt.close(figure)
