"""Points of several samples in a plane, in one panel or in one panel per sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp._arrays import refuse_times
from sktgdp.plotting._style import (
    GREY,
    REAL,
    SYNTHETIC,
    axes_grid,
    class_styles,
    legend_beside,
    quiet_spines,
    shorten,
)

__all__ = ["Points", "check_points", "draw_points"]

MAX_CLASSES = 12  # with a colour of their own; further ones are grey
SIZE = 14.0


@dataclass(frozen=True)
class Points:
    """A sample: its name and its points of shape (n, 2)."""

    name: str
    at: NDArray[np.float64]


def check_points(points: Any, name: str) -> NDArray[np.float64]:
    """Finite points of shape (n, 2), at least one."""
    refuse_times(points, str(name))
    found = np.asarray(points, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 2 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite points of shape (n, 2), n > 0; got shape {found.shape}.")
    return found


def draw_points(
    samples: Sequence[Points], labels: Sequence[Sequence[str]] | None, ax: Any, caller: str
) -> NDArray[Any]:
    """Draw samples over each other, or side by side and coloured by class; give the axes."""
    if labels is None:
        axes = axes_grid(ax, 1, caller, panel=(5.6, 4.2))
        for sample, style in zip(samples, (REAL, SYNTHETIC), strict=True):
            axes[0].scatter(
                *sample.at.T, s=SIZE, alpha=0.5, linewidths=0, label=sample.name, rasterized=True, **style
            )
    else:
        axes = axes_grid(ax, len(samples), caller, panel=(3.9, 3.7), share=True)
        for each, sample, classes in zip(axes, samples, labels, strict=True):
            _draw_classes(each, sample, np.asarray(classes), _class_order(labels))
            each.set_title(sample.name, fontsize=10)
    for each in axes:
        quiet_spines(each)
    legend = legend_beside(axes[-1], _handles(axes, labels))
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
    return axes


def _class_order(labels: Sequence[Sequence[str]]) -> list[str]:
    """Classes that get a colour: the most frequent ones, in the order of their names."""
    counts = Counter(label for part in labels for label in part)
    frequent = sorted(counts, key=lambda label: (-counts[label], label))[:MAX_CLASSES]
    try:
        return sorted(frequent, key=float)
    except ValueError:
        return sorted(frequent)


def _draw_classes(axes: Any, sample: Points, classes: NDArray[Any], order: Sequence[str]) -> None:
    for label, style in zip(order, class_styles(len(order)), strict=True):
        axes.scatter(
            *sample.at[classes == label].T, s=SIZE, alpha=0.7, linewidths=0, rasterized=True,
            label=shorten(label), **style,
        )  # fmt: skip
    others = sample.at[~np.isin(classes, order)]
    if len(others):
        style = {"color": GREY, "alpha": 0.4, "linewidths": 0, "label": "other classes", "zorder": 0}
        axes.scatter(*others.T, s=SIZE, rasterized=True, **style)


def _handles(axes: NDArray[Any], labels: Sequence[Sequence[str]] | None) -> list[Any]:
    """One handle for each label in any of the panels."""
    by_label: dict[str, Any] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            by_label.setdefault(label, handle)
    return list(by_label.values())
