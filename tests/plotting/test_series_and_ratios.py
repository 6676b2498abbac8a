"""TraceDisplay, TSNEDisplay, DensityRatioDisplay and TrajectoryDisplay."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sktgdp import DiffusionGenerator, DomainClassifier
from sktgdp.plotting import DensityRatioDisplay, TraceDisplay, TrajectoryDisplay, TSNEDisplay


# Traces ---------------------------------------------------------------------------------------------
def test_traces_are_the_channels(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 3, 50))
    display = TraceDisplay.from_data(X, row=1, channel_names=["a", "b", "c"])
    drawn = [line.get_ydata() for line in display.lines_]
    np.testing.assert_allclose(np.array(drawn) - display.offsets_[:, None], X[1])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    assert display.ax_.get_xlabel() == "samples"
    assert (np.diff(display.offsets_) < 0).all()


def test_paper_has_its_scale(rng: np.random.Generator) -> None:
    display = TraceDisplay.from_data(0.3 * rng.normal(size=(12, 500)), rate=100.0)
    display.figure_.canvas.draw()
    box = display.ax_.get_window_extent()
    (left, right), (low, high) = display.ax_.get_xlim(), display.ax_.get_ylim()
    millimetres = 25.4 / display.figure_.dpi
    per_second = box.width * millimetres / (right - left)
    per_millivolt = box.height * millimetres / (high - low)
    assert per_millivolt / per_second == pytest.approx(10.0 / 25.0, rel=1e-3)
    assert per_second == pytest.approx(25.0, rel=0.1)
    assert [text.get_text() for text in display.ax_.get_yticklabels()][-1] == "V6"


def test_squares_are_five_millimetres() -> None:
    display = TraceDisplay.from_data(np.zeros((8, 101)), rate=100.0)
    fine, _, coarse, _ = display.ax_.collections
    for lines, width in ((fine, 0.04), (coarse, 0.2)):
        at = [segment[0, 0] for segment in lines.get_segments()]
        np.testing.assert_allclose(np.diff(at), width)


def test_real_records_of_twelve_leads(data_dir: Path) -> None:
    X = np.load(data_dir / "ludb" / "ludb_100hz.npz", allow_pickle=False)["X"]
    display = TraceDisplay.from_data(X, rate=100.0, row=3)
    low, high = display.ax_.get_ylim()
    drawn = np.array([line.get_ydata() for line in display.lines_])
    assert low < drawn.min()
    assert drawn.max() < high


def test_trace_of_a_generator(rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 2, 32))
    model = DiffusionGenerator(hidden_sizes=(4,), max_steps=2, batch_size=8, random_state=0).fit(X)
    display = TraceDisplay.from_estimator(model, rate=50.0)
    np.testing.assert_allclose(display.series, model.sample(1, random_state=0)[0][0])
    panels = TrajectoryDisplay.from_estimator(model, n_samples=2, n_steps=6).axes_
    assert len(panels) == 5
    assert panels[0].get_title() == "t = 1"


def test_errors_of_traces() -> None:
    with pytest.raises(ValueError, match=r"X must have shape \(channels, length\)"):
        TraceDisplay.from_data(np.zeros(5))
    with pytest.raises(ValueError, match="paper=True needs rate"):
        TraceDisplay.from_data(np.zeros((12, 5)), paper=True)
    with pytest.raises(ValueError, match="There are 2 channels, but 1 channel_names"):
        TraceDisplay.from_data(np.zeros((2, 5)), channel_names=["a"])
    with pytest.raises(ValueError, match="rate must be positive"):
        TraceDisplay.from_data(np.zeros((2, 5)), rate=-1.0)


# t-SNE ----------------------------------------------------------------------------------------------
def test_embedding_is_common_and_repeatable(rng: np.random.Generator) -> None:
    real = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"]).assign(kind=["u", "v", "w"] * 10)
    samples = {"far": real.assign(a=real["a"] + 50), "near": real[:20]}
    display = TSNEDisplay.from_data(real, samples, max_rows=25)
    assert [axes.get_title() for axes in display.axes_] == ["far", "near"]
    assert [len(points) for points in display.synthetic.values()] == [25, 20]
    for axes, points in zip(display.axes_, display.synthetic.values(), strict=True):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), display.real)
        np.testing.assert_array_equal(axes.collections[1].get_offsets(), points)
    again = TSNEDisplay.from_data(real, samples, max_rows=25)
    np.testing.assert_array_equal(again.real, display.real)


def test_embedding_keeps_far_groups_apart(rng: np.random.Generator) -> None:
    X = rng.normal(size=(30, 4))
    display = TSNEDisplay.from_data(X, X + 20.0, features=lambda rows: rows[:, :2])
    real, far = display.real, display.synthetic["synthetic"]
    gap = np.linalg.norm(real[:, None] - far[None], axis=2).min()
    assert gap > np.linalg.norm(real - real.mean(axis=0), axis=1).mean()
    with pytest.raises(ValueError, match="features must turn 30 rows into a finite array"):
        TSNEDisplay.from_data(X, X, features=lambda rows: rows[:, 0])


# Density ratio --------------------------------------------------------------------------------------
def test_histograms_of_log_ratios() -> None:
    source, target = np.array([-2.0, -1.0, 0.0, 0.5]), np.array([0.0, 1.0])
    _, ax = plt.subplots()
    display = DensityRatioDisplay.from_predictions(source, target, ax=ax)
    assert display.ax_ is ax
    weights = np.exp(source)
    expected = weights.sum() ** 2 / (weights**2).sum()
    assert display.effective_sample_size_ == pytest.approx(expected)
    assert ax.get_title() == f"effective sample size: {expected:.0f} of 4 source rows"
    heights = [patch.get_data().values.sum() for patch in ax.patches]
    np.testing.assert_allclose(heights, 1.0)
    with pytest.raises(ValueError, match="source must hold finite log ratios"):
        DensityRatioDisplay.from_predictions([np.nan], target)


def test_ratio_of_an_estimator(rng: np.random.Generator) -> None:
    X_src, X_tgt = rng.normal(size=(60, 2)), rng.normal([2.0, 0.0], 1.0, size=(40, 2))
    classifier = DomainClassifier(n_folds=2, max_steps=20, random_state=0).fit(X_src, None, X_tgt, None)
    display = DensityRatioDisplay.from_estimator(classifier, X_src, X_tgt)
    np.testing.assert_array_equal(display.source, classifier.log_density_ratio(X_src))
    map_ = DensityRatioDisplay.landscape(classifier, X_src, X_tgt)
    assert map_.grid is not None
    x, z, values = map_.grid
    corner = classifier.log_density_ratio(np.array([[x[3], z[5]]]))
    np.testing.assert_allclose(values[5, 3], corner[0], rtol=1e-5)
    with pytest.raises(ValueError, match="rows of two features"):
        DensityRatioDisplay.landscape(classifier, X_src[:, :1], X_tgt[:, :1])
    y = np.arange(60) % 2
    with pytest.raises(ValueError, match="fitted without labels: leave out y_src and y_tgt"):
        DensityRatioDisplay.from_estimator(classifier, X_src, X_tgt, y_src=y, y_tgt=y[:40])
    classifier.fit(X_src, y, X_tgt, y[:40])
    with pytest.raises(ValueError, match="fitted with labels: give y_src and y_tgt"):
        DensityRatioDisplay.from_estimator(classifier, X_src, X_tgt, y_src=y)
    with pytest.raises(TypeError, match="SimpleNamespace has no log_density_ratio"):
        DensityRatioDisplay.from_estimator(SimpleNamespace(), X_src, X_tgt)


# Trajectories ---------------------------------------------------------------------------------------
def test_trajectory_ends_at_the_sample(rng: np.random.Generator) -> None:
    X = rng.normal(size=(60, 3)) * [1.0, 5.0, 0.2]
    model = DiffusionGenerator(hidden_sizes=(8,), max_steps=20, random_state=0).fit(X)
    display = TrajectoryDisplay.from_estimator(model, n_samples=4, n_steps=7, features=(0, 2), random_state=1)
    assert display.states.shape == (8, 4, 3)
    assert display.times[0] == 1.0
    assert display.times[-1] == 0.0
    assert (np.diff(display.times) < 0).all()
    expected = model.sample(4, random_state=1, n_steps=7)[0]
    ends = model.transformer_.inverse_transform(display.states[-1])
    np.testing.assert_allclose(ends, expected, rtol=1e-6)
    np.testing.assert_array_equal(display.axes_[0].lines[2].get_ydata(), display.states[:, 2, 2])
    assert "noise_model" not in vars(model)


def test_trajectories_of_several_chunks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    model = DiffusionGenerator(hidden_sizes=(8,), max_steps=5, random_state=0).fit(rng.normal(size=(60, 3)))
    whole = TrajectoryDisplay.from_estimator(model, n_samples=100, n_steps=3).states
    monkeypatch.setattr("sktgdp.estimators._sampling.chunks._chunk_size", lambda *args: 40)
    in_chunks = TrajectoryDisplay.from_estimator(model, n_samples=100, n_steps=3).states
    np.testing.assert_array_equal(in_chunks, whole)


def test_trajectory_of_one_coordinate_runs_over_time(rng: np.random.Generator) -> None:
    states = rng.normal(size=(5, 3, 1))
    axes = TrajectoryDisplay(states, np.linspace(1.0, 0.0, 5)).plot().axes_[0]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), states[:, 1, 0])
    assert axes.get_xlabel() == "time t"


def test_errors_of_trajectories() -> None:
    with pytest.raises(TypeError, match="SimpleNamespace has no noise_model"):
        TrajectoryDisplay.from_estimator(SimpleNamespace())
    with pytest.raises(ValueError, match="n_samples must lie between 1 and 1000"):
        TrajectoryDisplay.from_estimator(SimpleNamespace(noise_model=None), n_samples=0)
