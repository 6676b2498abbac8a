"""Pictures of the ECG benchmark. Colours: Okabe and Ito's, which every eye tells apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler

from benchmarks._ecg_trials import Experiment
from sktgdp.preprocessing import STANDARD_LEADS, LeadReducer

__all__ = ["draw_embedding", "draw_traces"]

BLUE, ORANGE, PAPER = "#0072B2", "#D55E00", "#E9B7B7"
SHOWN = 400
APART = 1.6  # millivolts between the traces of two leads


def draw_embedding(experiment: Experiment, generators: Mapping[str, str], path: Path) -> None:
    """Figure 3: held-out windows and those of each generator, in one t-SNE of the classifier's features."""
    shift, rng = experiment.shift, np.random.default_rng(experiment.seed)
    parts = [shift.X_test, *(experiment.samples(method)["X"] for method in generators)]
    chosen = [part[rng.permutation(len(part))[:SHOWN]] for part in parts]
    features = experiment.source_classifier().embed(np.concatenate(chosen))
    perplexity = min(30.0, (len(features) - 1) / 3)
    units = StandardScaler().fit_transform(features)
    points = TSNE(perplexity=perplexity, random_state=0).fit_transform(units)
    real, *drawn = np.split(points, np.cumsum([len(part) for part in chosen])[:-1])
    figure, axes = plt.subplots(
        1, len(drawn), figsize=(3.2 * len(drawn), 3.7), sharex=True, sharey=True, layout="constrained"
    )
    for ax, rows, title in zip(axes, drawn, generators.values(), strict=True):
        ax.scatter(*real.T, s=7, color=BLUE, alpha=0.6, linewidths=0, label="held-out windows")
        ax.scatter(*rows.T, s=7, color=ORANGE, alpha=0.6, linewidths=0, marker="^", label="samples")
        ax.set(title=title, xticks=(), yticks=())
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, markerscale=2)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def twelve_leads(X: NDArray[Any]) -> NDArray[Any]:
    """The twelve standard leads of windows of the eight independent ones."""
    neutral = np.zeros((1, len(STANDARD_LEADS), X.shape[2]))
    twelve: NDArray[Any] = LeadReducer().fit(neutral).inverse_transform(X)
    return twelve


def _trace(ax: Axes, window: NDArray[Any], rate: float, title: str) -> None:
    seconds = np.arange(window.shape[1]) / rate
    for row, lead in enumerate(STANDARD_LEADS):
        ax.plot(seconds, window[row] - APART * row, color="black", linewidth=0.7)
        ax.text(-0.03 * seconds[-1], -APART * row, lead, ha="right", va="center", fontsize=8)
    ax.set_xticks(np.arange(0.0, seconds[-1], 1.0))
    ax.set_xticks(np.arange(0.0, seconds[-1], 0.2), minor=True)
    ax.grid(which="both", axis="x", color=PAPER, linewidth=0.5)
    ax.set(title=title, xlabel="seconds", yticks=(), xlim=(0.0, seconds[-1]))
    ax.set_ylim(-APART * (len(STANDARD_LEADS) - 0.2), 1.2 * APART)
    ax.spines[["left", "top", "right"]].set_visible(False)


def draw_traces(experiment: Experiment, generators: Mapping[str, str], path: Path) -> None:
    """A window of the held-out records and one of each generator, drawn at random, in twelve leads."""
    shift, rng = experiment.shift, np.random.default_rng(experiment.seed)
    parts = {"held-out window": shift.X_test} | {
        title: experiment.samples(method)["X"] for method, title in generators.items()
    }
    figure, axes = plt.subplots(1, len(parts), figsize=(3.3 * len(parts), 6.4), layout="constrained")
    for ax, (title, X) in zip(axes, parts.items(), strict=True):
        _trace(ax, twelve_leads(X[[rng.integers(len(X))]])[0], shift.rate, title)
    figure.savefig(path, dpi=130)
    plt.close(figure)


