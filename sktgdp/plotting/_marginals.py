"""Every column by itself: real against synthetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sktgdp.plotting._draws import draw_like
from sktgdp.plotting._style import GREY, REAL, SYNTHETIC, axes_grid, legend_beside, quiet_spines, shorten
from sktgdp.preprocessing._comparable import ComparableColumn, comparable_columns

__all__ = ["MarginalsDisplay"]

Kind = Literal["histogram", "ecdf"]

MAX_BARS = 8
MOST_STEPS = 10  # numbers with no more distinct values than this are drawn as bars
BINS = (8, 40)
STYLES = (REAL, SYNTHETIC)


class MarginalsDisplay:
    """Distribution of every column, real against synthetic: histograms, step functions or bars.

    It is recommended to use `from_estimator` or `from_data`.

    Parameters
    ----------
    columns : sequence of ComparableColumn
        Columns of two samples, see `from_data`.
    names : (str, str)
        Names of the samples for the legend.
    n_left_out : int
        Columns that are not drawn.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_columns,)
    figure_ : Figure

    Notes
    -----
    Both samples share bins and are drawn as shares of their rows, so that samples of different sizes compare.
    Numbers with at most 10 distinct values are drawn as bars, like categories. Missing values are a bar of
    their own among categories and are stated in the title of a column of numbers. Rare categories are summed.
    The axis of a column of numbers spans the bulk of the real values with a margin; how many values lie
    beyond is written below it.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.plotting import MarginalsDisplay
    >>> rng = np.random.default_rng(0)
    >>> display = MarginalsDisplay.from_data(rng.normal(size=(200, 2)), rng.normal(size=(300, 2)))
    >>> [axes.get_title() for axes in display.axes_]
    ['x0', 'x1']
    """

    def __init__(
        self,
        columns: Sequence[ComparableColumn],
        *,
        names: tuple[str, str] = ("real", "synthetic"),
        n_left_out: int = 0,
    ) -> None:
        self.columns, self.names, self.n_left_out = columns, names, n_left_out

    @classmethod
    def from_estimator(
        cls,
        generator: Any,
        X: Any,
        *,
        n_samples: int | None = None,
        random_state: Any = 0,
        **options: Any,
    ) -> MarginalsDisplay:
        """Draw real rows against rows that a fitted generator samples.

        Parameters
        ----------
        generator : fitted generator
        X : DataFrame or array-like of shape (n, d) or (n, channels, length)
            Real rows, better not those that were fitted.
        n_samples : int, optional
            Rows to sample; as many as ``X`` has by default, but at least 500.
        random_state : int, RandomState, Generator or None
        **options
            As for `from_data`.

        Returns
        -------
        MarginalsDisplay
        """
        X_syn, _ = draw_like(generator, X, n_samples, random_state)
        return cls.from_data(X, X_syn, **options)

    @classmethod
    def from_data(
        cls,
        X_real: Any,
        X_synthetic: Any,
        *,
        columns: Sequence[Hashable] | None = None,
        max_columns: int = 12,
        names: tuple[str, str] = ("real", "synthetic"),
        kind: Kind = "histogram",
        ax: Any = None,
    ) -> MarginalsDisplay:
        """Draw two samples of the same columns.

        Parameters
        ----------
        X_real, X_synthetic : DataFrame or array-like of shape (n, d) or (n, channels, length)
            The channels of series are columns; their values at up to 64 times are drawn together.
        columns : sequence of names, optional
            Which, in this order; all by default. Those of arrays are x0, x1, ..., of series "channel 0", ...
        max_columns : int, default=12
            Columns drawn at most; the last panel says how many are left out.
        names : (str, str)
        kind, ax
            See `plot`.

        Returns
        -------
        MarginalsDisplay

        Raises
        ------
        ValueError
            If the samples differ in their columns, or a column is asked for that is not there.
        """
        found = comparable_columns((X_real, X_synthetic), ("X_real", "X_synthetic"))
        found = found if columns is None else _chosen(found, columns)
        if max_columns < 1:
            raise ValueError(f"max_columns must be at least 1, got {max_columns}.")
        shown = found[:max_columns]
        return cls(shown, names=names, n_left_out=len(found) - len(shown)).plot(kind=kind, ax=ax)

    def plot(self, *, kind: Kind = "histogram", ax: Any = None) -> MarginalsDisplay:
        """Draw.

        Parameters
        ----------
        kind : {"histogram", "ecdf"}
            How numbers are drawn; "ecdf" draws the share of values up to each value, without bins.
        ax : None, Axes or array of Axes
            None makes a figure, single axes are divided among the columns, an array has one for each column.

        Returns
        -------
        self
        """
        if kind not in ("histogram", "ecdf"):
            raise ValueError(f"kind must be 'histogram' or 'ecdf', got {kind!r}.")
        self.axes_ = axes_grid(ax, len(self.columns), "MarginalsDisplay")
        self.figure_ = self.axes_[0].figure
        for axes, column in zip(self.axes_, self.columns, strict=True):
            self._draw(axes, column, kind)
            quiet_spines(axes)
            axes.tick_params(labelsize=8)
        self._add_legend(of_figure=ax is None)
        if self.n_left_out:
            text = f"{self.n_left_out} more column{'s' * (self.n_left_out > 1)} not drawn"
            below = self.axes_[-1].get_xlabel()
            self.axes_[-1].set_xlabel("\n".join(filter(None, [below, text])), fontsize=8, color=GREY)
        return self

    def _add_legend(self, of_figure: bool) -> None:
        from matplotlib.patches import Patch

        pairs = zip(self.names, STYLES, strict=True)
        handles = [Patch(color=style["color"], alpha=0.6, label=name) for name, style in pairs]
        if of_figure:
            self.figure_.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
        else:
            legend_beside(self.axes_[-1], handles)

    def _draw(self, axes: Any, column: ComparableColumn, kind: Kind) -> None:
        title = shorten(column.name)
        values = column.present()
        steps = _few_values(values) if column.kind == "number" else None
        if column.kind == "category" or steps is not None:
            _draw_bars(axes, *_shares(column, steps))
        else:
            missing = [float(gone.mean()) for gone in column.missing]
            if any(missing):
                title += "\nmissing: " + ", ".join(f"{share:.1%}" for share in missing)
            if column.kind == "time":
                _date_axis(axes)
            else:
                axes.locator_params(axis="x", nbins=5)
            low, high = _limits(values)
            (_draw_histograms if kind == "histogram" else _draw_steps)(axes, values, low, high)
            beyond = [int(((part < low) | (part > high)).sum()) for part in values]
            if any(beyond):
                counts = ", ".join(f"{n} {name}" for n, name in zip(beyond, self.names, strict=True))
                axes.set_xlabel(f"beyond the axis: {counts}", fontsize=8)
        axes.set_title(title, fontsize=9)


def _chosen(found: Sequence[ComparableColumn], names: Sequence[Hashable]) -> list[ComparableColumn]:
    """Columns of these names, in their order."""
    by_name = {column.name: column for column in found}
    missing = [name for name in names if str(name) not in by_name]
    if missing:
        raise ValueError(f"There are no columns {missing}; those of X_real: {list(by_name)[:20]}.")
    return [by_name[str(name)] for name in names]


def _few_values(values: Sequence[NDArray[Any]]) -> NDArray[np.float64] | None:
    """Distinct values, if they are few."""
    distinct = np.unique(np.concatenate(values))
    return distinct if len(distinct) <= MOST_STEPS else None


def _shares(
    column: ComparableColumn, steps: NDArray[np.float64] | None
) -> tuple[list[str], list[list[float]]]:
    """Names of the bars, top first, and the share of each sample's rows in them."""
    if steps is not None:
        short = [f"{value:g}" for value in steps]
        order = short if len(set(short)) == len(short) else [str(value) for value in steps.tolist()]
        named = dict(zip(steps.tolist(), order, strict=True))
        texts = [[named[value] for value in values.tolist()] for values in column.present()]
    else:
        texts = [values.tolist() for values in column.present()]
        shares = [Counter(part) for part in texts]
        weights = {text: sum(c[text] / max(1, c.total()) for c in shares) for text in set().union(*shares)}
        order = sorted(weights, key=lambda text: (-weights[text], text))
    shown = order if len(order) <= MAX_BARS or steps is not None else order[: MAX_BARS - 1]
    counts = [Counter(part) for part in texts]
    sizes = [max(1, len(values)) for values in column.values]
    bars = [[count[text] / size for text in shown] for count, size in zip(counts, sizes, strict=True)]
    names = [shorten(text, 14) for text in shown]
    if len(shown) < len(order):
        names.append(f"{len(order) - len(shown)} others")
        for bar, count, size in zip(bars, counts, sizes, strict=True):
            bar.append(sum(count[text] for text in order[len(shown) :]) / size)
    if any(gone.any() for gone in column.missing):
        names.append("(missing)")
        for bar, gone in zip(bars, column.missing, strict=True):
            bar.append(float(gone.mean()))
    return names, bars


def _draw_bars(axes: Any, names: Sequence[str], bars: Sequence[Sequence[float]]) -> None:
    places = np.arange(len(names))
    for bar, style, shift in zip(bars, STYLES, (-0.2, 0.2), strict=True):
        axes.barh(places + shift, bar, height=0.38, color=style["color"], alpha=0.75)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlabel("share of rows", fontsize=8)


def _limits(values: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Range of the bulk of the real values with a margin, no wider than all values."""
    everything = np.concatenate(values)
    low, high = float(everything.min()), float(everything.max())
    bulk = values[0] if len(values[0]) else everything
    first, last = np.quantile(bulk, [0.005, 0.995])
    margin = 0.5 * (last - first) or 0.5 * (high - low)
    return max(low, float(first - margin)), min(high, float(last + margin))


def _draw_histograms(axes: Any, values: Sequence[NDArray[np.float64]], low: float, high: float) -> None:
    inside = values[0][(values[0] >= low) & (values[0] <= high)]
    edges = np.histogram_bin_edges(inside, "auto", range=(low, high))
    edges = np.linspace(low, high, int(np.clip(len(edges) - 1, *BINS)) + 1)
    for part, style in zip(values, STYLES, strict=True):
        shares = np.histogram(part, edges)[0] / max(1, len(part))
        axes.stairs(shares, edges, color=style["color"], fill=True, alpha=0.25)
        axes.stairs(shares, edges, color=style["color"], linewidth=1.4)
    axes.set_ylabel("share of values", fontsize=8)
    axes.set_ylim(bottom=0)


def _draw_steps(axes: Any, values: Sequence[NDArray[np.float64]], low: float, high: float) -> None:
    for part, style, line in zip(values, STYLES, ("-", "--"), strict=True):
        if len(part):
            axes.ecdf(part, color=style["color"], linewidth=1.6, linestyle=line)
    axes.set_xlim(low, high)
    axes.set_ylabel("share up to value", fontsize=8)


def _date_axis(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3)
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
