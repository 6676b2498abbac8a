"""The loss terms of a fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp.plotting._style import COLORS, axes_grid, legend_beside, quiet_spines

__all__ = ["HistoryDisplay"]

LINES = {"train": "-", "valid": "--"}
NAMES = {"train": "", "valid": " (held out)"}
LOG_FROM = 30.0  # ratio of largest to smallest loss above which the axis is logarithmic


class HistoryDisplay:
    """Every loss term of a fit against the gradient steps, one panel per phase.

    It is recommended to use `from_estimator` or `from_history`.

    Parameters
    ----------
    phases : dict of str to dict of str to ndarray of shape (2, n_points)
        For each phase and term: steps and values. Names of terms begin with ``train_`` or ``valid_``.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_phases,)
    figure_ : Figure
    lines_ : dict of (str, str) to Line2D
        By phase and term.

    Notes
    -----
    The terms are drawn as they are, before they are multiplied by their weights; the weighted sum is left out
    where it equals the only term. A phase that trains several networks draws a line for each of them, in one
    colour. An axis is logarithmic where its values are positive and span a factor of 30, and linear up to 1
    and logarithmic beyond where some are negative and the largest is above 3.

    Examples
    --------
    >>> from sktgdp.plotting import HistoryDisplay
    >>> rows = [{"phase": "diffusion", "step": 50 * k, "train_loss": 1 / k} for k in range(1, 9)]
    >>> display = HistoryDisplay.from_history(rows)
    >>> display.axes_[0].get_title()
    'diffusion'
    """

    def __init__(self, phases: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> None:
        self.phases = phases

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, phases: Sequence[str] | None = None, ax: Any = None, **options: Any
    ) -> HistoryDisplay:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with ``history_``
        phases : sequence of str, optional
            Which phases, in this order; all by default.
        ax : None, Axes or array of Axes
            See `plot`.
        **options
            Passed on to the lines of matplotlib.

        Returns
        -------
        HistoryDisplay
        """
        history = getattr(estimator, "history_", None)
        if history is None:
            raise TypeError(
                f"{type(estimator).__name__} has no history_: fit it first, and give a generator or "
                "classifier that records its losses."
            )
        return cls.from_history(history, phases=phases, ax=ax, **options)

    @classmethod
    def from_history(
        cls,
        history: Iterable[Mapping[str, Any]],
        *,
        phases: Sequence[str] | None = None,
        ax: Any = None,
        **options: Any,
    ) -> HistoryDisplay:
        """Draw a list of dicts such as ``history_``.

        Parameters
        ----------
        history : iterable of dict
            Each with "phase", "step" and terms whose names begin with ``train_`` or ``valid_``.
        phases, ax, **options
            As for `from_estimator`.

        Returns
        -------
        HistoryDisplay
        """
        found = _by_phase(history)
        missing = [name for name in phases or () if name not in found]
        if missing or not found:
            known = ", ".join(map(repr, found)) or "none"
            raise ValueError(f"The history has no losses of the phases {missing}; those recorded: {known}.")
        chosen = {name: found[name] for name in phases or found}
        return cls(chosen).plot(ax=ax, **options)

    def plot(self, ax: Any = None, **options: Any) -> HistoryDisplay:
        """Draw.

        Parameters
        ----------
        ax : None, Axes or array of Axes
            None makes a figure, single axes are divided among the phases, an array has one for each phase.
        **options
            Passed on to the lines of matplotlib.

        Returns
        -------
        self
        """
        self.axes_ = axes_grid(ax, len(self.phases), "HistoryDisplay", panel=(4.6, 3.0), n_columns=2)
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        for axes, (phase, terms) in zip(self.axes_, self.phases.items(), strict=True):
            bases = list(dict.fromkeys(name.partition("_")[2] for name in terms))
            for name, curve in terms.items():
                part, _, base = name.partition("_")
                style: dict[str, Any] = {
                    "color": COLORS[bases.index(base) % len(COLORS)],
                    "linestyle": LINES[part],
                }
                label = ("weighted sum" if base == "loss" else base.replace("_", " ")) + NAMES[part]
                style |= {"linewidth": 1.6, "label": label}
                (self.lines_[phase, name],) = axes.plot(*curve, **(style | options))
            axes.set(title=phase, xlabel="gradient steps", ylabel="loss")
            axes.set_yscale(**_scale(np.concatenate([curve[1] for curve in terms.values()])))
            quiet_spines(axes)
            legend_beside(axes)
        return self


def _by_phase(history: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Steps and values of every term by phase, NaN before a step that does not grow: another line begins."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in history:
        terms = points.setdefault(str(row.get("phase", "fit")), {})
        for name, value in row.items():
            if name.partition("_")[0] in LINES and isinstance(value, (int, float)):
                curve = terms.setdefault(name, [])
                step = float(row.get("step", row.get("epoch", len(curve) + 1)))
                if curve and step <= curve[-1][0]:
                    curve.append((np.nan, np.nan))
                curve.append((step, float(value)))
    return {
        phase: {name: np.array(terms[name]).T for name in _worth_drawing(terms)}
        for phase, terms in points.items()
        if terms
    }


def _worth_drawing(terms: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """Names of the terms, the loss last, and without a loss that repeats the only term."""
    kept = []
    for part in LINES:
        names = sorted(name for name in terms if name.startswith(f"{part}_"))
        loss = f"{part}_loss"
        others = [name for name in names if name != loss]
        repeats = len(others) == 1 and np.array_equal(
            np.array(terms[others[0]]), np.array(terms.get(loss, [])), equal_nan=True
        )
        kept += others + ([loss] if loss in names and not repeats else [])
    return kept


def _scale(values: NDArray[np.float64]) -> dict[str, Any]:
    """Scale of the axis: logarithmic over decades, beyond 1 only where there are negative values."""
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > LOG_FROM * values.min():
        return {"value": "log"}
    if len(values) and values.min() <= 0 and np.abs(values).max() > LOG_FROM / 10:
        return {"value": "symlog", "linthresh": 1.0}
    return {"value": "linear"}
