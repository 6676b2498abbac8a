"""What all pictures share: colours, axes, legends. matplotlib is imported where something is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp._extras import require

__all__ = ["COLORS", "MARKERS", "REAL", "SYNTHETIC", "axes_grid", "class_styles", "legend_beside", "one_axes"]

# Okabe and Ito's palette, which every eye tells apart; without its yellow, too pale for thin marks on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "o^sDvPX<>*"
REAL: dict[str, Any] = {"color": COLORS[0], "marker": "o"}
SYNTHETIC: dict[str, Any] = {"color": COLORS[1], "marker": "^"}
GREY = "#777777"

PANEL = (3.2, 2.5)  # inches


def pyplot(caller: str) -> Any:
    """matplotlib.pyplot, or an error that says how to get it."""
    return require("matplotlib.pyplot", caller)


def one_axes(ax: Any, caller: str, size: tuple[float, float] = (6.4, 4.4)) -> Any:
    """The given axes, or those of a new figure."""
    if ax is not None:
        return ax
    return pyplot(caller).subplots(figsize=size, layout="constrained")[1]


def axes_grid(
    ax: Any,
    n_panels: int,
    caller: str,
    *,
    n_columns: int = 3,
    panel: tuple[float, float] = PANEL,
    share: bool = False,
) -> NDArray[Any]:
    """Axes of a picture with several panels.

    ``ax`` may be None, for a new figure with panels of so many inches; single axes, which serve as the panel
    where there is but one, or give their place to a grid of panels; or an array of axes, used in its order.
    """
    if ax is not None and not hasattr(ax, "figure"):
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) < n_panels:
            raise ValueError(f"{caller} draws {n_panels} panels, but ax holds {len(axes)} axes.")
        return axes[:n_panels]
    if ax is not None and n_panels == 1:
        return np.array([ax], dtype=object)
    shape = (-(-n_panels // n_columns), min(n_columns, n_panels))
    if ax is None:
        size = (panel[0] * shape[1] + 0.4, panel[1] * shape[0] + 0.5)
        figure = pyplot(caller).figure(figsize=size, layout="constrained")
        return _fill(figure, figure.add_gridspec(*shape), n_panels, share)
    if ax.get_subplotspec() is None:
        raise ValueError(
            f"{caller} draws {n_panels} panels into the place of ax, which must come from plt.subplots or "
            f"another grid; or give an array of {n_panels} axes."
        )
    ax.set_axis_off()
    return _fill(ax.figure, ax.get_subplotspec().subgridspec(*shape), n_panels, share)


def _fill(figure: Any, grid: Any, n_panels: int, share: bool) -> NDArray[Any]:
    """Axes in the cells of a grid, by rows."""
    axes: list[Any] = []
    for k in range(n_panels):
        shared = {"sharex": axes[0], "sharey": axes[0]} if share and axes else {}
        axes.append(figure.add_subplot(grid[divmod(k, grid.ncols)], **shared))
    return np.array(axes, dtype=object)


def legend_beside(ax: Any, handles: Sequence[Any] | None = None, **options: Any) -> Any:
    """Legend to the right of the axes, where it hides no data; none without labels."""
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    if not handles:
        return None
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "frameon": False}
    return ax.legend(handles=list(handles), **(place | {"fontsize": 9} | options))


def class_styles(n_classes: int) -> list[dict[str, Any]]:
    """Colour and marker of each class: 70 pairs before one comes again."""
    return [
        {"color": COLORS[k % len(COLORS)], "marker": MARKERS[(k + k // len(COLORS)) % len(MARKERS)]}
        for k in range(n_classes)
    ]


def quiet_spines(ax: Any) -> None:
    """Leave the frame on the two sides that carry numbers."""
    ax.spines[["top", "right"]].set_visible(False)


def shorten(text: str, length: int = 24) -> str:
    """Text of a label without line breaks, cut where it is too long. Dollar signs are no formulas."""
    line = " ".join(text.split())
    cut = line if len(line) <= length else line[: length - 1] + "…"
    return cut.replace("$", r"\$")
