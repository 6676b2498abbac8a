"""The pictures of a report, as SVG with a description of each."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA

from sktgdp.plotting import MarginalsDisplay, SampleScatterDisplay
from sktgdp.plotting._style import REAL, SYNTHETIC, legend_beside, pyplot, quiet_spines
from sktgdp.preprocessing._comparable import ComparableColumn
from sktgdp.report._figures import Figure
from sktgdp.report._purpose import closest_distances
from sktgdp.report._samples import Samples

__all__ = ["Picture", "draw_pictures"]

MAX_COLUMNS = 9
MAX_POINTS = 600


class Picture(NamedTuple):
    """A picture: where it belongs, a sentence on how to read it, a text for those who cannot see it."""

    section: str
    caption: str
    alt: str
    data: str  # as a data: address


def draw_pictures(samples: Samples, columns: Sequence[Figure]) -> list[Picture]:
    """All pictures of a report; raise ImportError without matplotlib."""
    plt = pyplot("QualityReport")
    with plt.ioff():
        found = [_marginals(samples, columns), _scatter(samples)]
        if len(np.unique(samples.features[0], axis=0)) > 2:
            found.append(_distances(samples))
    return [picture for picture in found if picture is not None]


def _data(figure: Any) -> str:
    """The figure as the address of an SVG picture, equal for equal figures; it is closed."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "sktgdp"}):
        figure.savefig(stream, format="svg", metadata={"Date": None}, facecolor="white", dpi=150)
    pyplot("QualityReport").close(figure)
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _marginals(samples: Samples, figures: Sequence[Figure]) -> Picture:
    """The columns with the largest distances."""
    by_name = {column.name: column for column in samples.columns}
    names = [figure.name for figure in figures]
    shown = [
        ComparableColumn(name, by_name[name].kind, by_name[name].values[1:]) for name in names[:MAX_COLUMNS]
    ]
    display = MarginalsDisplay(shown, n_left_out=len(names) - len(shown)).plot()
    listed = "; ".join(f"{figure.name}, distance {figure.value:.2f}" for figure in figures[:MAX_COLUMNS])
    caption = "Each column by itself, the largest distance first. The two colours should cover each other."
    alt = f"Histograms and bars of real and synthetic values by column: {listed}."
    return Picture("Columns", caption, alt, _data(display.figure_))


def _scatter(samples: Samples) -> Picture | None:
    """The rows in their first two principal components."""
    _, judged, synthetic = (part[:MAX_POINTS] for part in samples.features)
    if judged.shape[1] < 2:
        return None
    plane = PCA(2, random_state=0).fit(judged)
    shares = plane.explained_variance_ratio_
    names = [f"principal component {k + 1} ({share:.0%} of variance)" for k, share in enumerate(shares)]
    points = plane.transform(judged), plane.transform(synthetic)
    display = SampleScatterDisplay(*points, axis_names=(names[0], names[1])).plot()
    caption = "Rows as points. Both colours should fill the same places, with no place left to one of them."
    alt = f"Scatter plot of {len(judged)} real and {len(synthetic)} synthetic rows in a plane."
    return Picture("Fidelity", caption, alt, _data(display.figure_))


def _distances(samples: Samples) -> Picture:
    """How far synthetic rows and new real rows lie from their closest training row."""
    pairs = zip(closest_distances(samples), (SYNTHETIC, REAL), ("-", "--"), strict=True)
    figure, axes = pyplot("QualityReport").subplots(figsize=(6.4, 3.4), layout="constrained")
    names = ("synthetic rows", "held-out rows" if samples.has_new_rows else "training rows\n(to the others)")
    for (distances, style, line), name in zip(pairs, names, strict=True):
        axes.ecdf(distances[:, 0], color=style["color"], linestyle=line, linewidth=1.8, label=name)
    axes.set(xlabel="distance to the closest training row (sd)", ylabel="share of rows", xlim=(0, None))
    quiet_spines(axes)
    legend_beside(axes)
    caption = (
        "Share of rows that lie within a distance of a training row. Where the line of the synthetic rows "
        "rises first, they hug the training rows."
    )
    alt = "Two rising curves: the distances of synthetic and of new real rows to their closest training row."
    return Picture("Privacy", caption, alt, _data(figure))
