"""HistoryDisplay draws the recorded losses, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sktgdp import DiffusionGenerator
from sktgdp.plotting import HistoryDisplay

ROWS = [
    *({"phase": "diffusion", "step": 10 * k, "train_score": 1 / k, "train_loss": 1 / k} for k in range(1, 5)),
    {"phase": "guidance", "step": 10, "train_cycle": 2.0, "train_guidance": -0.5, "train_loss": 9.0},
    {"phase": "guidance", "step": 20, "train_cycle": 1.0, "train_guidance": -0.6, "train_loss": 8.0},
    {"phase": "guidance", "step": 10, "train_cycle": 3.0, "train_guidance": -0.4, "valid_loss": 7.0},
]


def test_lines_are_the_history() -> None:
    display = HistoryDisplay.from_history(ROWS)
    steps, values = display.lines_["diffusion", "train_score"].get_data()
    np.testing.assert_array_equal(steps, [10, 20, 30, 40])
    np.testing.assert_allclose(values, [1, 1 / 2, 1 / 3, 1 / 4])
    assert [axes.get_title() for axes in display.axes_] == ["diffusion", "guidance"]


def test_a_second_network_starts_another_line() -> None:
    line = HistoryDisplay.from_history(ROWS).lines_["guidance", "train_cycle"]
    np.testing.assert_array_equal(line.get_ydata(), [2.0, 1.0, np.nan, 3.0])


def test_the_sum_is_left_out_where_it_repeats_the_only_term() -> None:
    lines = HistoryDisplay.from_history(ROWS).lines_
    assert ("diffusion", "train_loss") not in lines
    assert ("guidance", "train_loss") in lines


def test_legend_names_terms_and_held_out_ones() -> None:
    legend = HistoryDisplay.from_history(ROWS).axes_[1].get_legend()
    texts = {text.get_text() for text in legend.get_texts()}
    assert texts == {"cycle", "guidance", "weighted sum", "weighted sum (held out)"}


@pytest.mark.parametrize(
    ("losses", "scale"), [([1.0, 0.5], "linear"), ([1.0, 0.01], "log"), ([9.0, -0.5], "symlog")]
)
def test_scale_of_the_axis(losses: list[float], scale: str) -> None:
    rows = [{"phase": "p", "step": k, "train_loss": loss} for k, loss in enumerate(losses)]
    assert HistoryDisplay.from_history(rows).axes_[0].get_yscale() == scale


def test_phases_are_chosen_and_ordered() -> None:
    display = HistoryDisplay.from_history(ROWS, phases=["guidance"])
    assert list(display.phases) == ["guidance"]
    with pytest.raises(ValueError, match=r"phases \['x'\]; those recorded: 'diffusion', 'guidance'"):
        HistoryDisplay.from_history(ROWS, phases=["x"])


def test_given_axes_are_used() -> None:
    figure, axes = plt.subplots(1, 3)
    display = HistoryDisplay.from_history(ROWS, ax=axes[:2])
    assert list(display.axes_) == list(axes[:2])
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="draws 2 panels, but ax holds 1"):
        HistoryDisplay.from_history(ROWS, ax=axes[:1])


def test_single_axes_are_divided() -> None:
    _, ax = plt.subplots(layout="constrained")
    display = HistoryDisplay.from_history(ROWS, ax=ax)
    assert len(display.axes_) == 2
    assert not ax.axison
    free = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"must come from plt\.subplots"):
        HistoryDisplay.from_history(ROWS, ax=free)


def test_a_fitted_generator(rng: np.random.Generator) -> None:
    model = DiffusionGenerator(hidden_sizes=(8,), max_steps=20, random_state=0).fit(rng.normal(size=(50, 2)))
    display = HistoryDisplay.from_estimator(model, color="black")
    (line,) = (line for (_, name), line in display.lines_.items() if name == "train_score")
    np.testing.assert_allclose(line.get_ydata(), [row["train_score"] for row in model.history_])
    assert line.get_color() == "black"


def test_an_estimator_without_history() -> None:
    with pytest.raises(TypeError, match="SimpleNamespace has no history_"):
        HistoryDisplay.from_estimator(SimpleNamespace())
