"""The way of samples through the solver, from noise to data."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sktgdp.plotting._style import COLORS, GREY, axes_grid, legend_beside, quiet_spines

__all__ = ["TrajectoryDisplay"]

Floats = NDArray[np.float64]

N_PANELS = 5  # states of a series that are drawn
MOST_SAMPLES = 1000  # a trajectory is a picture of a few rows, kept whole


class TrajectoryDisplay:
    """States of samples at every call of the noise prediction, in the units of the model.

    It is recommended to use `from_estimator`.

    Parameters
    ----------
    states : ndarray of shape (n_states, n_samples, ...)
        From noise to data; the last is the sample itself.
    times : ndarray of shape (n_states,)
        Times of the process, from 1 down to 0.
    features : (int, int)
        Which coordinates of a table are drawn.

    Attributes
    ----------
    axes_ : ndarray of Axes
        One for tables; five for series, from noise to data.
    figure_ : Figure

    Notes
    -----
    Rows of tables are points that move in the plane of two coordinates, or, with a single one, over time. Of
    series the first sample is drawn at five times.

    Examples
    --------
    >>> import numpy as np
    >>> from sktgdp.plotting import TrajectoryDisplay
    >>> states = np.linspace(1.0, 0.0, 4).reshape(4, 1, 1) * np.ones((4, 3, 2))
    >>> display = TrajectoryDisplay(states, np.linspace(1.0, 0.0, 4)).plot()
    >>> len(display.axes_[0].lines)
    3
    """

    def __init__(self, states: Floats, times: Floats, *, features: tuple[int, int] = (0, 1)) -> None:
        if states.ndim not in (3, 4) or 0 in states.shape or np.shape(times) != (len(states),):
            raise ValueError(
                "states must have shape (n_states, n_samples, ...) and times shape (n_states,), got "
                f"{states.shape} and {np.shape(times)}."
            )
        if states.ndim == 3 and states.shape[2] > 1 and not set(features) <= set(range(states.shape[2])):
            raise ValueError(f"features must lie below {states.shape[2]}, got {features}.")
        self.states, self.times, self.features = states, times, features

    @classmethod
    def from_estimator(
        cls,
        generator: Any,
        *,
        n_samples: int = 50,
        y: Any = None,
        features: tuple[int, int] = (0, 1),
        random_state: Any = 0,
        ax: Any = None,
        **options: Any,
    ) -> TrajectoryDisplay:
        """Sample, and draw how the samples came about.

        Parameters
        ----------
        generator : fitted generator
        n_samples : int, default=50
            At most 1000.
        y : label or labels, optional
        features : (int, int), default=(0, 1)
            Coordinates of a table, in the units of the generator's ``transformer_``.
        random_state : int, RandomState, Generator or None
        ax
            See `plot`.
        **options
            ``solver`` and ``n_steps`` of ``sample``.

        Returns
        -------
        TrajectoryDisplay
        """
        if not hasattr(generator, "noise_model"):
            raise TypeError(f"{type(generator).__name__} has no noise_model; give a fitted generator.")
        if not 1 <= n_samples <= MOST_SAMPLES:
            raise ValueError(f"n_samples must lie between 1 and {MOST_SAMPLES}, got {n_samples}.")
        states, times = _record(generator, n_samples, y, random_state, options)
        return cls(states, times, features=features).plot(ax=ax)

    def plot(self, ax: Any = None) -> TrajectoryDisplay:
        """Draw.

        Parameters
        ----------
        ax : None, Axes or array of Axes
            None makes a figure; single axes are divided among the five panels of a series.

        Returns
        -------
        self
        """
        series = self.states.ndim == 4
        panel = (2.6, 2.2) if series else (5.4, 4.4)
        n_panels = min(N_PANELS, len(self.states)) if series else 1
        self.axes_ = axes_grid(ax, n_panels, "TrajectoryDisplay", n_columns=N_PANELS, panel=panel)
        self.figure_ = self.axes_[0].figure
        if series:
            self._draw_series()
        else:
            self._draw_points(self.axes_[0])
        for axes in self.axes_:
            quiet_spines(axes)
        return self

    def _draw_series(self) -> None:
        at = np.linspace(0, len(self.states) - 1, len(self.axes_)).round().astype(int)
        for axes, k in zip(self.axes_, at, strict=True):
            for channel, values in enumerate(self.states[k, 0][: len(COLORS)]):
                axes.plot(values, color=COLORS[channel], linewidth=0.9, label=f"channel {channel}")
            axes.set_title(f"t = {self.times[k]:.2g}", fontsize=9)
            axes.set_xlabel("samples")
        self.axes_[0].set_ylabel("model's units")
        if self.states.shape[2] > 1:
            legend_beside(self.axes_[-1])

    def _draw_points(self, axes: Any) -> None:
        flat = self.states.reshape(*self.states.shape[:2], -1)
        if flat.shape[2] == 1:
            x = np.repeat(self.times[:, None], flat.shape[1], axis=1)
            paths, names = np.stack([x, flat[..., 0]]), ["time t", "model's units"]
            axes.invert_xaxis()
        else:
            paths = np.stack([flat[..., feature] for feature in self.features])
            names = [f"coordinate {feature} (model's units)" for feature in self.features]
        axes.plot(*paths, color=GREY, linewidth=0.6, alpha=0.5, zorder=1)
        ends = ((0, COLORS[5], "s", "noise, t = 1"), (-1, COLORS[0], "o", "sample, t = 0"))
        for k, color, marker, label in ends:
            axes.scatter(*paths[:, k], color=color, marker=marker, s=16, label=label, zorder=2)
        axes.set(xlabel=names[0], ylabel=names[1])
        legend_beside(axes)


def _record(
    generator: Any, n_samples: int, y: Any, random_state: Any, options: dict[str, Any]
) -> tuple[Floats, Floats]:
    """States and times at every call of the noise prediction, and the sample at time 0.

    A copy of the generator samples, whose noise prediction notes what it is asked: the generator stays as it
    is, and the solver knows nothing of it. Time runs down, so where it jumps up another chunk of rows begins;
    rows beyond those asked for only fill a chunk up.
    """
    chunks: list[list[tuple[float, Floats]]] = []
    watched = copy.copy(generator)

    def noise_model(labels: Any = None) -> Any:
        model = generator.noise_model(labels)

        def predict(x_t: Any, t: Any) -> Any:
            now = float(t.max())
            if not chunks or now > chunks[-1][-1][0]:
                chunks.append([])
            chunks[-1].append((now, x_t.detach().double().cpu().numpy().copy()))
            return model(x_t, t)

        return predict

    watched.noise_model = noise_model
    X, _ = watched.sample(n_samples, y, random_state=random_state, **options)
    with warnings.catch_warnings():  # a transformer of arrays takes frames, too
        warnings.filterwarnings("ignore", message="X has feature names", category=UserWarning)
        end = np.asarray(generator.transformer_.transform(X), dtype=np.float64)
    n_calls = max(map(len, chunks))  # a call that only measures memory is no chunk
    whole = [chunk for chunk in chunks if len(chunk) == n_calls]
    calls = zip(*([x for _, x in chunk] for chunk in whole), strict=True)
    states = [np.concatenate(rows)[:n_samples] for rows in calls]
    times = np.array([*(t for t, _ in whole[0]), 0.0])
    return np.stack([*states, end.reshape(states[0].shape)]), times
