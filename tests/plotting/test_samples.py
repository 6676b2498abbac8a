"""MarginalsDisplay and SampleScatterDisplay draw the rows that they were given."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sktgdp import DiffusionGenerator
from sktgdp.plotting import MarginalsDisplay, SampleScatterDisplay


@pytest.fixture
def frames(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two frames of numbers, few numbers, categories, times and missing values; columns in another order."""

    def frame(n: int) -> pd.DataFrame:
        when = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
        return pd.DataFrame(
            {
                "dose $x$": rng.normal(size=n),
                "stage": rng.integers(0, 3, n),
                "city": rng.choice(["Lima", "Oslo", None], n, p=[0.5, 0.3, 0.2]),
                "when": when,
                "height": np.where(rng.random(n) < 0.25, np.nan, rng.normal(size=n)),
            }
        )

    real, synthetic = frame(200), frame(120)
    return real, synthetic[real.columns[::-1]]


def panel(display: MarginalsDisplay, name: str) -> plt.Axes:
    at = [column.name for column in display.columns].index(name)
    return display.axes_[at]


def test_bars_are_shares_of_the_rows(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    real, synthetic = frames
    axes = panel(MarginalsDisplay.from_data(real, synthetic), "city")
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["Lima", "Oslo", "(missing)"]
    drawn = [[bar.get_width() for bar in container] for container in axes.containers]
    for bars, table in zip(drawn, frames, strict=True):
        expected = [
            (table["city"] == "Lima").mean(),
            (table["city"] == "Oslo").mean(),
            table["city"].isna().mean(),
        ]
        np.testing.assert_allclose(bars, expected)


def test_few_numbers_are_bars_in_order(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    axes = panel(MarginalsDisplay.from_data(*frames), "stage")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "1", "2"]


def test_histograms_share_bins_and_sum_to_one(rng: np.random.Generator) -> None:
    real = rng.normal(size=(300, 1))
    axes = MarginalsDisplay.from_data(real, real[:100]).axes_[0]
    edges = [patch.get_data().edges for patch in axes.patches]
    assert all(np.array_equal(each, edges[0]) for each in edges)
    inside = ((real >= edges[0][0]) & (real <= edges[0][-1])).mean()
    assert axes.patches[0].get_data().values.sum() == pytest.approx(inside)


def test_values_beyond_the_axis_are_counted(rng: np.random.Generator) -> None:
    real = rng.uniform(size=(200, 1))
    synthetic = np.append(real[:50], [[1e6], [-1e6]], axis=0)
    axes = MarginalsDisplay.from_data(real, synthetic, names=("a", "b")).axes_[0]
    assert axes.get_xlabel() == "beyond the axis: 0 a, 2 b"
    assert axes.get_xlim()[1] < 3


def test_missing_numbers_are_stated(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    shares = [f"{table['height'].isna().mean():.1%}" for table in frames]
    title = panel(MarginalsDisplay.from_data(*frames), "height").get_title()
    assert title == f"height\nmissing: {shares[0]}, {shares[1]}"


def test_steps_are_the_empirical_distribution(rng: np.random.Generator) -> None:
    real, synthetic = rng.normal(size=(2, 40, 1))
    axes = MarginalsDisplay.from_data(real, synthetic, kind="ecdf").axes_[0]
    x, y = axes.lines[0].get_data()
    np.testing.assert_allclose(np.interp(np.sort(real[:, 0])[20], x[1:], y[1:]), 21 / 40)
    with pytest.raises(ValueError, match="kind must be"):
        MarginalsDisplay.from_data(real, synthetic, kind="violin")  # type: ignore[arg-type]


def test_many_columns_are_left_out_in_words(rng: np.random.Generator) -> None:
    X = rng.normal(size=(30, 20))
    display = MarginalsDisplay.from_data(X, X, max_columns=4)
    assert len(display.axes_) == 4
    assert "16 more columns not drawn" in display.axes_[-1].get_xlabel()


def test_many_categories_are_summed(rng: np.random.Generator) -> None:
    X = pd.DataFrame({"code": [f"c{k % 30}" for k in range(600)]})
    axes = MarginalsDisplay.from_data(X, X).axes_[0]
    assert axes.get_yticklabels()[-1].get_text() == "23 others"
    assert sum(bar.get_width() for bar in axes.containers[0]) == pytest.approx(1.0)


def test_channels_of_series_are_columns(rng: np.random.Generator) -> None:
    display = MarginalsDisplay.from_data(*rng.normal(size=(2, 10, 3, 100)))
    assert [axes.get_title() for axes in display.axes_] == ["channel 0", "channel 1", "channel 2"]


def test_columns_are_found_by_name(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    real, synthetic = frames
    assert len(MarginalsDisplay.from_data(real, synthetic, columns=["when", "stage"]).axes_) == 2
    with pytest.raises(ValueError, match=r"no columns \['age'\]"):
        MarginalsDisplay.from_data(real, synthetic, columns=["age"])
    with pytest.raises(ValueError, match=r"lacks \['city'\] and has \['town'\] more"):
        MarginalsDisplay.from_data(real, synthetic.rename(columns={"city": "town"}))
    with pytest.raises(TypeError, match="'height' holds numbers in X_real, but not in X_synthetic"):
        MarginalsDisplay.from_data(real, synthetic.assign(height="tall"))


def test_a_generator_is_sampled(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 2))
    y = np.repeat(["a", "b"], 20)
    model = DiffusionGenerator(hidden_sizes=(8,), max_steps=20, random_state=0).fit(X, y)
    display = MarginalsDisplay.from_estimator(model, X, random_state=3)
    np.testing.assert_array_equal(display.columns[0].values[1], model.sample(500, random_state=3)[0][:, 0])
    scatter = SampleScatterDisplay.from_estimator(model, X, y, n_samples=30)
    assert [axes.get_title() for axes in scatter.axes_] == ["real", "synthetic"]
    assert scatter.synthetic.shape == (30, 2)
    with pytest.raises(TypeError, match="int has no method sample"):
        MarginalsDisplay.from_estimator(3, X)


def test_scatter_draws_the_columns(rng: np.random.Generator) -> None:
    real, synthetic = rng.normal(size=(2, 50, 2))
    axes = SampleScatterDisplay.from_data(real, synthetic).axes_[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), real)
    np.testing.assert_array_equal(axes.collections[1].get_offsets(), synthetic)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x0", "x1")


def test_scatter_of_chosen_columns(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    real, synthetic = frames
    display = SampleScatterDisplay.from_data(real, synthetic, features=("stage", "dose $x$"))
    np.testing.assert_array_equal(display.real, real[["stage", "dose $x$"]])
    with pytest.raises(ValueError, match=r"'city' is no column of numbers"):
        SampleScatterDisplay.from_data(real, synthetic, features=("stage", "city"))


def test_scatter_of_principal_components(frames: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    display = SampleScatterDisplay.from_data(*frames, max_rows=60)
    assert display.real.shape == display.synthetic.shape == (60, 2)
    assert display.explained_variance_ratio_ is not None
    share = display.explained_variance_ratio_[0]
    assert display.axes_[0].get_xlabel() == f"principal component 1 ({share:.0%} of variance)"
    np.testing.assert_allclose(display.real.mean(axis=0), 0.0, atol=1e-9)


def test_classes_have_a_colour_each(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(200, 2)), np.arange(200) % 20
    display = SampleScatterDisplay.from_data(X, X, y_real=y, y_synthetic=y)
    legend = display.axes_[-1].get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == 13
    assert texts[-1] == "other classes"
    looks = {
        (tuple(c.get_facecolor()[0, :3]), c.get_paths()[0].vertices.tobytes())
        for c in display.axes_[0].collections[:12]
    }
    assert len(looks) == 12
    drawn = sum(len(c.get_offsets()) for c in display.axes_[0].collections)
    assert drawn == 200


def test_labels_come_in_pairs(rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match="Give y_real and y_synthetic"):
        SampleScatterDisplay.from_data(X, X, y_real=np.zeros(20))


def test_given_axes_hold_both_samples(rng: np.random.Generator) -> None:
    X = rng.normal(size=(20, 2))
    _, ax = plt.subplots()
    display = SampleScatterDisplay.from_data(X, X, ax=ax)
    assert display.axes_[0] is ax
    assert display.plot().axes_[0] is not ax


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'MarginalsDisplay needs matplotlib: pip install "sktgdp\[plot\]"'):
        MarginalsDisplay.from_data([[1.0], [2.0]], [[1.0], [2.0]])
