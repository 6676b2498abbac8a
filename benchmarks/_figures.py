"""Pictures of the Gaussian mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from sktgdp.oracles import paper_mixture_shift
from sktgdp.plotting._style import COLORS, GREY, REAL, SYNTHETIC

__all__ = ["draw_ablation", "draw_ratios", "draw_samples", "draw_steps"]

BLUE, ORANGE = COLORS[:2]
LIMITS = (-1.9, 1.9)
SHOWN = 1000
DOMAINS = ((False, REAL, "source rows"), (True, SYNTHETIC, "target rows"))


def _panel(ax: Axes, X: NDArray[Any]) -> None:
    """Samples over the contours of the true target."""
    axis = np.linspace(*LIMITS, 121)
    points = torch.from_numpy(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    density = paper_mixture_shift().target.log_prob(points).exp().numpy().reshape(121, 121)
    ax.scatter(X[:SHOWN, 0], X[:SHOWN, 1], s=3, color=BLUE, alpha=0.5, linewidths=0, rasterized=True)
    levels = density.max() * np.array([0.01, 0.1, 0.5])
    ax.contour(axis, axis, density, levels=levels, colors=ORANGE, linewidths=0.9)
    ax.set(xlim=LIMITS, ylim=LIMITS, aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_samples(
    panels: Mapping[tuple[str, int], NDArray[Any]], names: Sequence[str], sizes: Sequence[int], path: Path
) -> None:
    """Samples by method (rows) and number of target rows (columns)."""
    shape = (len(names), len(sizes))
    figure, axes = plt.subplots(
        *shape, figsize=(2.3 * shape[1] + 0.6, 2.2 * shape[0] + 0.4), sharex=True, sharey=True,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for ax, X in zip(axes.flat, panels.values(), strict=True):
        _panel(ax, X)
    for ax, n in zip(axes[0], sizes, strict=True):
        ax.set_title(f"{n:,} target rows", fontsize=10)
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(f"{name}\n\n$x_2$")
    for ax in axes[-1]:
        ax.set_xlabel("$x_1$")
    _save(figure, path)


def draw_ratios(records: Mapping[int, Mapping[str, Any]], path: Path) -> None:
    """Estimated against true log density ratio, one panel per number of target rows."""
    figure, axes = plt.subplots(
        1, len(records), figsize=(3.0 * len(records) + 0.4, 3.9), sharex=True, sharey=True,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    ends = [np.concatenate([r["log_ratio"], r["true_log_ratio"]]) for r in records.values()]
    low, high = np.quantile(np.concatenate(ends), [0.001, 0.999])
    for ax, (n, record) in zip(axes[0], records.items(), strict=True):
        ax.plot([low, high], [low, high], color=GREY, linewidth=1, zorder=1, label="exact")
        for flag, style, name in DOMAINS:
            at = record["from_target"] == flag
            values = record["true_log_ratio"][at], record["log_ratio"][at]
            ax.scatter(*values, s=9, alpha=0.5, linewidths=0, label=name, **style)
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="true log q/p")
        ax.set_title(f"{n:,} target rows", fontsize=10)
    axes[0, 0].set_ylabel("estimated log q/p")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    _save(figure, path)


def draw_ablation(panels: Sequence[tuple[str, NDArray[Any]]], n: int, path: Path) -> None:
    """Samples with and without each regulariser."""
    figure, axes = plt.subplots(2, 2, figsize=(6.4, 6.6), sharex=True, sharey=True, layout="constrained")
    for ax, (name, X) in zip(axes.flat, panels, strict=True):
        _panel(ax, X)
        ax.set_title(name, fontsize=10)
    for ax in axes[1]:
        ax.set_xlabel("$x_1$")
    for ax in axes[:, 0]:
        ax.set_ylabel("$x_2$")
    figure.suptitle(f"{n:,} target rows", fontsize=11)
    _save(figure, path)


def draw_steps(
    curves: Mapping[str, NDArray[Any]], solvers: Sequence[str], calls: Sequence[int], path: Path
) -> None:
    """Distance to the target against calls of the network: a panel per setting, a line per solver.

    ``curves`` holds arrays of shape (n_solvers, n_calls).
    """
    figure, axes = plt.subplots(
        1, len(curves), figsize=(3.6 * len(curves) + 0.4, 3.9), layout="constrained", squeeze=False
    )
    for ax, (name, values) in zip(axes[0], curves.items(), strict=True):
        styles = zip(cycle((*COLORS, GREY)), "osD^v<>PXd*")  # more than there are solvers
        for solver, line, (color, marker) in zip(solvers, values, styles, strict=False):
            ax.plot(calls, line, color=color, marker=marker, markersize=4, linewidth=1, label=solver)
        ax.set(xscale="log", yscale="log", xlabel="calls of the network", xticks=calls)
        ax.set_xticklabels([str(c) for c in calls])
        ax.minorticks_off()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_title(name, fontsize=9)
    axes[0, 0].set_ylabel("sliced 2-Wasserstein distance")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2 * len(curves), frameon=False)
    _save(figure, path)
