"""Displays say what they were given instead of drawing something else."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sktgdp.plotting import (
    DensityRatioDisplay,
    MarginalsDisplay,
    SampleScatterDisplay,
    TraceDisplay,
    TrajectoryDisplay,
    TSNEDisplay,
)

RNG = np.random.default_rng(0)
TABLE, SERIES, RATIOS = RNG.normal(size=(40, 3)), RNG.normal(size=(3, 12, 50)), RNG.normal(size=30)
HIDDEN = np.ma.MaskedArray(TABLE, mask=TABLE > 1)
trace, ratio = TraceDisplay.from_data, DensityRatioDisplay.from_predictions


def landscape(rows: Any, function: Callable[[Any], Any]) -> DensityRatioDisplay:
    estimator = SimpleNamespace(log_density_ratio=lambda X, y=None: function(np.asarray(X)))
    return DensityRatioDisplay.landscape(estimator, rows, rows)


CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "t-SNE of nothing": (lambda: TSNEDisplay.from_data(TABLE, {}), "no synthetic rows to draw"),
    "t-SNE of no plane": (
        lambda: TSNEDisplay(TABLE, {"a": TABLE}),
        r"real must be finite points .* got shape",
    ),
    "t-SNE, mask": (lambda: TSNEDisplay.from_data(HIDDEN, TABLE), "X_real is a masked array"),
    "t-SNE, rows": (lambda: TSNEDisplay.from_data(TABLE, TABLE, max_rows=2.5), "max_rows must be an integer"),
    "scatter of no plane": (lambda: SampleScatterDisplay(TABLE, TABLE), "real must be finite points"),
    "scatter, mask": (lambda: SampleScatterDisplay.from_data(TABLE, HIDDEN), "X_synthetic is a masked array"),
    "scatter, labels": (
        lambda: SampleScatterDisplay.from_data(TABLE, TABLE, y_real=[1], y_synthetic=[1]),
        "inconsistent numbers of samples",
    ),
    "scatter, three": (
        lambda: SampleScatterDisplay.from_data(TABLE, TABLE, features=("x0", "x1", "x2")),
        "features must be two columns",
    ),
    "marginals, complex": (
        lambda: MarginalsDisplay.from_data(TABLE * 1j, TABLE),
        "Complex data not supported",
    ),
    "trace, complex": (lambda: trace(SERIES * 1j), "Complex data not supported: X"),
    "trace, mask": (lambda: trace(np.ma.MaskedArray(SERIES, mask=SERIES > 1)), "X is a masked array"),
    "trace, number": (lambda: trace(SERIES, row=5), "row must be the number of one of 3 series, got 5"),
    "trace, no number": (lambda: trace(SERIES, row=True), "row must be the number of one of 3 series"),
    "trace, infinite": (lambda: trace(np.where(SERIES > 1, np.inf, SERIES)), "series holds infinity"),
    "trace, too large": (lambda: trace(SERIES * 1e200), "too large to be drawn"),
    "trace, rank": (lambda: TraceDisplay(SERIES, rate=None, channel_names=["a"]), "series must have shape"),
    "trace, rate": (lambda: trace(SERIES, rate=np.inf), "rate must be positive"),
    "trace, spacing": (lambda: trace(SERIES, spacing=np.nan), "spacing must be positive and finite"),
    "trace, paper": (
        lambda: trace(np.zeros((12, 10**6)), rate=1.0, paper=True),
        "do not fit on paper of 10 m",
    ),
    "ratio, mask": (lambda: ratio(np.ma.MaskedArray(RATIOS, mask=RATIOS > 1), RATIOS), "source is a masked"),
    "ratio, too large": (lambda: ratio(RATIOS, RATIOS * 1e200), "target holds log ratios above"),
    "ratio, shape": (lambda: DensityRatioDisplay(TABLE, TABLE), "source must hold finite log ratios"),
    "landscape of nothing": (lambda: landscape(TABLE[:0, :2], np.sum), "X_src must be finite points"),
    "landscape, estimator": (
        lambda: landscape(TABLE[:, :2], lambda X: np.where(len(X) > 40, np.inf, X[:, 0])),
        "the grid must hold finite log ratios",
    ),
    "trajectory, times": (
        lambda: TrajectoryDisplay(np.ones((4, 3, 2)), np.ones(3)),
        r"times shape \(n_states,\), got \(4, 3, 2\) and \(3,\)",
    ),
    "trajectory, features": (
        lambda: TrajectoryDisplay(np.ones((4, 3, 2)), np.ones(4), features=(0, 5)),
        "features must lie below 2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refuses(case: str) -> None:
    call, message = CASES[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_embeds_rows_of_any_unit(unit: float) -> None:
    """Standard deviations of infinity, and differences whose squares are 0, ended the program."""
    display = TSNEDisplay.from_data(unit * TABLE, unit * TABLE[::-1])
    assert np.ptp(display.real, axis=0).min() > 1.0


def test_equal_rows_have_no_picture() -> None:
    with pytest.raises(ValueError, match="rows are all equal"):
        TSNEDisplay.from_data(np.zeros((20, 2)), np.zeros((20, 2)) + 1e-200, features=lambda X: 0 * X)


def test_bars_of_values_that_look_alike() -> None:
    """Six digits do not tell these two apart; each has a bar of its own."""
    values = np.repeat([1234567.0, 1234568.0], [30, 10])[:, None]
    bars = MarginalsDisplay.from_data(values, values).axes_[0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["1234567.0", "1234568.0"]
    assert sorted(round(bar.get_width(), 2) for bar in bars.patches) == [0.25, 0.25, 0.75, 0.75]


def test_a_long_recording_goes_without_paper() -> None:
    assert trace(np.zeros((12, 10**4)), rate=1.0).ax_.get_xlabel() == "seconds"
