"""The density ratio of two domains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sktgdp._arrays import refuse_times
from sktgdp.estimators.density_ratio import effective_sample_size
from sktgdp.plotting._points import check_points
from sktgdp.plotting._style import GREY, REAL, SYNTHETIC, legend_beside, one_axes, quiet_spines

__all__ = ["DensityRatioDisplay"]

Floats = NDArray[np.float64]

LARGEST = 1e100
N_BINS = 30
GRID = 80
SHOWN = 500
DOMAINS = (("source rows", REAL), ("target rows", SYNTHETIC))


class DensityRatioDisplay:
    """Log density ratio log q/p of the target (q) and the source (p) at the rows of both.

    It is recommended to use `from_estimator` or `from_predictions`.

    Parameters
    ----------
    source, target : ndarray of shape (m,), (n,)
        Log ratios (natural) at source and target rows.
    rows : pair of ndarrays of shape (m, 2), (n, 2), optional
        The rows themselves, for a landscape.
    grid : tuple of three ndarrays, optional
        Both axes of a grid and the log ratio on it, for a landscape.
    axis_names : (str, str)
        Of the two columns.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    effective_sample_size_ : float
        How many target rows the source rows are worth, between 1 and m.

    Notes
    -----
    Right of zero a row is likelier in the target. Where the two histograms hardly meet, few source rows carry
    all weight, and the effective sample size is small.

    Examples
    --------
    >>> from sktgdp.plotting import DensityRatioDisplay
    >>> display = DensityRatioDisplay.from_predictions([-2.0, -1.0, 0.0], [0.0, 1.0])
    >>> round(display.effective_sample_size_, 2)
    1.96
    """

    def __init__(
        self,
        source: ArrayLike,
        target: ArrayLike,
        *,
        rows: tuple[Floats, Floats] | None = None,
        grid: tuple[Floats, Floats, Floats] | None = None,
        axis_names: tuple[str, str] = ("x0", "x1"),
    ) -> None:
        self.source, self.target = _log_ratios(source, "source"), _log_ratios(target, "target")
        self.rows, self.grid, self.axis_names = rows, grid, axis_names
        self.effective_sample_size_ = effective_sample_size(self.source)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X_src: Any, X_tgt: Any, *, y_src: Any = None, y_tgt: Any = None, ax: Any = None
    ) -> DensityRatioDisplay:
        """Draw histograms of the ratio that an estimator learnt.

        Parameters
        ----------
        estimator : fitted TGDPGenerator or DomainClassifier
        X_src, X_tgt : array-like
            Rows of both domains. Rows that were fitted look farther apart than new ones.
        y_src, y_tgt : array-like
            Their labels, needed exactly where the fit had labels.
        ax : Axes, optional

        Returns
        -------
        DensityRatioDisplay
        """
        given = estimator.labels_.kind != "none" if hasattr(estimator, "labels_") else y_src is not None
        if [y_src is not None, y_tgt is not None] != [given, given]:
            how, what = ("with", "give") if given else ("without", "leave out")
            raise ValueError(f"The estimator was fitted {how} labels: {what} y_src and y_tgt.")
        ratios = [_ratio_of(estimator)(X, y) for X, y in ((X_src, y_src), (X_tgt, y_tgt))]
        return cls.from_predictions(*ratios, ax=ax)

    @classmethod
    def from_predictions(cls, source: ArrayLike, target: ArrayLike, *, ax: Any = None) -> DensityRatioDisplay:
        """Draw histograms of given log ratios.

        Parameters
        ----------
        source, target : array-like of shape (m,), (n,)
            Natural logarithms of q/p at source and at target rows.
        ax : Axes, optional

        Returns
        -------
        DensityRatioDisplay
        """
        return cls(source, target).plot(ax=ax)

    @classmethod
    def landscape(
        cls, estimator: Any, X_src: Any, X_tgt: Any, *, y: Any = None, ax: Any = None
    ) -> DensityRatioDisplay:
        """Draw the ratio over the plane of two features, with rows of both domains.

        Parameters
        ----------
        estimator : fitted TGDPGenerator or DomainClassifier
        X_src, X_tgt : array-like of shape (m, 2), (n, 2)
        y : label, optional
            Class whose ratio is drawn, where the fit had labels; pass rows of this class.
        ax : Axes, optional

        Returns
        -------
        DensityRatioDisplay
        """
        if any(np.shape(X)[1:] != (2,) for X in (X_src, X_tgt)):
            raise ValueError(f"A landscape needs rows of two features, got shape {np.shape(X_src)}.")
        rows = [check_points(X, name) for X, name in ((X_src, "X_src"), (X_tgt, "X_tgt"))]
        everything = np.concatenate(rows)
        low, high = np.quantile(everything, [0.002, 0.998], axis=0)
        margin = 0.1 * (high - low)
        x, z = np.linspace(low - margin, high + margin, GRID).T
        points = np.stack(np.meshgrid(x, z), axis=-1).reshape(-1, 2)
        names = [str(name) for name in getattr(X_src, "columns", ("x0", "x1"))]
        ratio = _ratio_of(estimator)
        as_given = (
            (lambda X: type(X_src)(X, columns=X_src.columns)) if hasattr(X_src, "columns") else np.asarray
        )
        values = [ratio(as_given(X), None if y is None else np.full(len(X), y)) for X in (*rows, points)]
        grid = (x, z, _log_ratios(values[2], "the grid").reshape(GRID, GRID))
        pair = (rows[0], rows[1])
        return cls(*values[:2], rows=pair, grid=grid, axis_names=(names[0], names[1])).plot(ax=ax)

    def plot(self, ax: Any = None) -> DensityRatioDisplay:
        """Draw the landscape where there is one, else histograms.

        Parameters
        ----------
        ax : Axes, optional
            None makes a figure.

        Returns
        -------
        self
        """
        self.ax_ = one_axes(ax, "DensityRatioDisplay")
        self.figure_ = self.ax_.figure
        if self.grid is None:
            self._draw_histograms()
        else:
            self._draw_landscape()
        size, n = self.effective_sample_size_, len(self.source)
        self.ax_.set_title(f"effective sample size: {size:,.0f} of {n:,} source rows", fontsize=10)
        return self

    def _draw_histograms(self) -> None:
        edges = np.histogram_bin_edges(np.concatenate([self.source, self.target]), N_BINS)
        for values, (name, style) in zip((self.source, self.target), DOMAINS, strict=True):
            shares = np.histogram(values, edges)[0] / len(values)
            self.ax_.stairs(shares, edges, color=style["color"], fill=True, alpha=0.25)
            self.ax_.stairs(shares, edges, color=style["color"], linewidth=1.5, label=name)
        self.ax_.axvline(0.0, color=GREY, linewidth=1.0, linestyle=":", label="equally likely")
        self.ax_.set(xlabel="log q/p (target over source)", ylabel="share of rows")
        self.ax_.set_ylim(bottom=0)
        quiet_spines(self.ax_)
        legend_beside(self.ax_)

    def _draw_landscape(self) -> None:
        assert self.grid is not None
        assert self.rows is not None
        limit = max(1.0, np.ceil(np.quantile(np.abs(self.grid[2]), 0.98)))
        levels = np.linspace(-limit, limit, 13)
        filled = self.ax_.contourf(*self.grid, levels=levels, cmap="PuOr_r", extend="both", alpha=0.75)
        ticks = np.linspace(-limit, limit, 5)
        bar = self.figure_.colorbar(filled, ax=self.ax_, format="%g", ticks=ticks)
        bar.set_label("log q/p (target over source)")
        for rows, (name, style), edge in zip(self.rows, DOMAINS, ("white", "black"), strict=True):
            shown = rows[:SHOWN]
            self.ax_.scatter(*shown.T, s=14, label=name, linewidths=0.3, edgecolors=edge, **style)
        (x, z, _), names = self.grid, self.axis_names
        self.ax_.set(xlim=(x[0], x[-1]), ylim=(z[0], z[-1]), xlabel=names[0], ylabel=names[1])
        self.ax_.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=9)


def _log_ratios(values: ArrayLike, name: str) -> Floats:
    """Finite log ratios, one per row."""
    refuse_times(values, name)
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise ValueError(f"{name} must hold finite log ratios, one per row; got shape {found.shape}.")
    if np.abs(found).max() > LARGEST:
        raise ValueError(f"{name} holds log ratios above {LARGEST:g}: too large to be drawn.")
    return found


def _ratio_of(estimator: Any) -> Any:
    ratio = getattr(estimator, "log_density_ratio", None)
    if ratio is None:
        raise TypeError(
            f"{type(estimator).__name__} has no log_density_ratio; give a fitted TGDPGenerator or "
            "DomainClassifier, or log ratios to from_predictions."
        )
    return ratio
