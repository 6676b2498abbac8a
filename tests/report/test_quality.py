"""QualityReport sees what is wrong with rows, whatever their form."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sktgdp.metrics import energy_distance
from sktgdp.report import QualityReport
from sktgdp.report._figures import Figure

QUICK = {"n_repeats": 2, "max_rows": 60}
MEANS = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])


def draw(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Two groups of three correlated numbers."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    noise = rng.normal(size=(n, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 1.0]])
    return MEANS[y] + noise, y


def report(X: Any, y: Any, **options: Any) -> QualityReport:
    (real, y_real), (held, y_held) = draw(150, 1), draw(150, 2)
    labels = {"y_real": y_real, "y_synthetic": y, "holdout": held, "y_holdout": y_held}
    return QualityReport(real, X, **(labels | QUICK | options))


def figure(result: QualityReport, key: str) -> Figure:
    return next(each for section in result.sections_ for each in section.figures if each.key == key)


@pytest.fixture(scope="module")
def good() -> QualityReport:
    return report(*draw(200, 3))


def test_rows_of_the_same_law_are_good(good: QualityReport) -> None:
    assert [section.name for section in good.sections_] == ["Fidelity", "Diversity", "Utility", "Privacy"]
    verdicts = {each.key: each.verdict for section in good.sections_ for each in section.figures}
    assert "concern" not in verdicts.values()
    assert list(verdicts.values()).count("good") >= len(verdicts) - 2
    assert abs(figure(good, "coverage").value - figure(good, "coverage").reference) < 0.1


def test_figures_are_those_of_the_metrics(good: QualityReport) -> None:
    samples = good._samples
    expected = [
        [energy_distance(judged, synthetic), energy_distance(judged, other)]
        for judged, other, synthetic in samples.halves()
    ]
    found = figure(good, "energy")
    np.testing.assert_allclose([found.value, found.reference], np.mean(expected, axis=0))
    assert all(len(judged) == len(other) == 60 for judged, other, _ in samples.halves())


def test_a_shifted_column_is_named() -> None:
    X, y = draw(200, 3)
    X[:, 2] += 2.0
    result = report(X, y)
    assert result.columns_[0].name == "x2"
    assert result.columns_[0].verdict == "concern"
    assert figure(result, "two_sample_auc").verdict == "concern"
    assert figure(result, "farthest_column").name == "distance of x2, the farthest column"


def test_a_missing_mode_costs_coverage_and_not_precision() -> None:
    X, y = draw(400, 3)
    result = report(X[y == 0], y[y == 0])
    assert figure(result, "coverage").verdict == "concern"
    assert figure(result, "precision").verdict == "good"
    assert figure(result, "auc_synthetic").value == 0.5
    assert figure(result, "auc_both").verdict == "good"


def test_copies_are_a_concern_of_privacy() -> None:
    real, y = draw(150, 1)
    result = report(real, y)
    assert result.sections_[-1].verdict == "concern"
    assert figure(result, "copies").value == 1.0
    assert figure(result, "closest_record").value == 0.0
    alone = QualityReport(real, real, **QUICK)
    assert figure(alone, "copies").verdict == "concern"


@pytest.mark.parametrize("n_known", [200, 40])
def test_a_holdout_of_training_rows_excuses_no_copies(n_known: int) -> None:
    """The wrong file, or the whole table, given as rows that the generator never saw."""
    (X, y), (holdout, y_holdout) = draw(200, 1), draw(200, 2)
    holdout[:n_known], y_holdout[:n_known] = X[:n_known], y[:n_known]
    result = QualityReport(X, X, y_real=y, y_synthetic=y, holdout=holdout, y_holdout=y_holdout, n_repeats=2)
    assert (figure(result, "copies").value, figure(result, "copies").reference) == (1.0, 0.0)
    assert figure(result, "copies").verdict == figure(result, "memorization").verdict == "concern"
    (privacy,) = (section for section in result.sections_ if section.name == "Privacy")
    assert f"{n_known} of the 200 held-out rows used are training rows" in " ".join(privacy.notes)


def test_repeated_rows_are_no_fault_of_the_holdout(rng: np.random.Generator) -> None:
    """Of few values, held-out rows equal training rows by chance, as training rows equal each other."""
    X, holdout, synthetic = (rng.integers(0, 4, (150, 2)).astype(float) for _ in range(3))
    result = QualityReport(X, synthetic, holdout=holdout, n_repeats=2)
    (privacy,) = (section for section in result.sections_ if section.name == "Privacy")
    assert len(privacy.notes) == 1
    assert figure(result, "copies").verdict == "good"


def test_lost_correlations(rng: np.random.Generator) -> None:
    X = rng.normal(size=(200, 1)) + 0.4 * rng.normal(size=(200, 3))
    lost = rng.permuted(X, axis=0)
    result = QualityReport(X, lost, **QUICK)
    assert figure(result, "correlation_difference").verdict == "concern"
    assert all(column.verdict == "good" for column in result.columns_)


def test_without_holdout_and_labels_it_says_so() -> None:
    result = QualityReport(draw(100, 1)[0], draw(100, 3)[0], **QUICK)
    assert [section.name for section in result.sections_] == ["Fidelity", "Diversity", "Privacy"]
    assert any("No held-out rows were given" in note for note in result.notes_)


def test_time_is_bounded_and_said_so() -> None:
    X, y = draw(500, 3)
    result = report(X, y)
    assert "120 of the 500 synthetic rows were used, drawn at random." in result.notes_
    assert result.to_dict()["rows"]["synthetic"] == {"given": 500, "used": 120}


def test_equal_seeds_give_equal_reports(good: QualityReport) -> None:
    again = report(*draw(200, 3))
    assert str(again) == str(good)
    assert again.to_dict() == good.to_dict()
    assert report(*draw(200, 3), random_state=5).to_dict() != good.to_dict()


@pytest.mark.usefixtures("global_rng_untouched")
def test_the_global_random_state_is_left_alone() -> None:
    report(*draw(100, 3))


def mixed(n: int, seed: int) -> tuple[pd.DataFrame, NDArray[Any]]:
    X, y = draw(n, seed)
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(
        city=rng.choice(["Lima", "Oslo"], n),
        day=pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
        member=rng.random(n) < 0.4,
    )
    return frame.mask(rng.random(frame.shape) < 0.05), np.where(y == 1, "ill", "well")


def test_mixed_frames() -> None:
    (real, y_real), (synthetic, y_synthetic) = mixed(150, 1), mixed(150, 3)
    synthetic.loc[:40, "city"] = "Quito"
    labels = {"y_real": y_real, "y_synthetic": y_synthetic}
    result = QualityReport(real, synthetic[real.columns[::-1]], **labels, **QUICK)
    by_name = {column.name: column for column in result.columns_}
    assert set(by_name) == {"a", "b", "c", "city", "day", "member", "label"}
    assert result.columns_[0].name == "city"
    assert by_name["day"].key == "time"
    assert figure(result, "auc_synthetic").value > 0.9


def test_series_are_compared_by_components(rng: np.random.Generator) -> None:
    t = np.linspace(0, 6, 50)
    series = np.sin(t + rng.uniform(0, 1, (200, 2, 1))) + 0.1 * rng.normal(size=(200, 2, 50))
    result = QualityReport(series[:100], series[100:], **QUICK)
    assert any("principal components of their 100 coordinates" in note for note in result.notes_)
    assert [column.name for column in result.columns_] != []
    assert figure(result, "sliced_wasserstein").verdict == "good"


def test_few_long_series_of_one_law_are_not_told_apart(rng: np.random.Generator) -> None:
    series = rng.normal(size=(180, 2, 150))
    result = QualityReport(series[:60], series[60:120], holdout=series[120:], **QUICK)
    assert figure(result, "two_sample_auc").verdict != "concern"
    assert figure(result, "closest_record").verdict == "good"
    for key in ("coverage", "recall", "precision"):
        assert figure(result, key).value == pytest.approx(figure(result, key).reference, abs=0.25)


def test_features_of_the_user(rng: np.random.Generator) -> None:
    series = rng.normal(size=(60, 2, 50))
    result = QualityReport(series[:30], series[30:], features=lambda X: X.std(axis=2), **QUICK)
    assert result._samples.features[0].shape == (30, 2)
    with pytest.raises(ValueError, match=r"features must turn 30 rows into a finite array"):
        QualityReport(series[:30], series[30:], features=lambda X: X[0], **QUICK)


def test_multi_label_indicators() -> None:
    X, y = draw(150, 3)
    Y = np.stack([y, 1 - y, y], axis=1)
    result = QualityReport(X, X + 0.01, y_real=Y, y_synthetic=Y, **QUICK)
    assert figure(result, "auc_synthetic").value > 0.9
    assert sum(column.name.startswith("label") for column in result.columns_) == 3


def test_dict_goes_through_json(good: QualityReport) -> None:
    found = json.loads(json.dumps(good.to_dict()))
    assert found["sections"][0]["figures"][0]["key"] == "columns"
    assert {figure["verdict"] for figure in found["columns"]} <= {"good", "fair", "concern", "unknown"}


def test_text_is_aligned(good: QualityReport) -> None:
    lines = str(good).splitlines()
    rows = [line for line in lines if "  good     " in line]
    assert len(rows) > 10
    assert len({line.index("  good     ") for line in rows}) == 1
    assert "Fidelity: " in repr(good)


def test_names_cannot_break_the_text() -> None:
    X, _ = draw(60, 1)
    frame = pd.DataFrame(X, columns=["\x1b[2J种族", "b" * 200, "c"])
    text = str(QualityReport(frame, frame + 0.1, **QUICK))
    assert "\x1b" not in text
    assert "�[2J种族" in text
    assert "b" * 60 not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_synthetic": None}, "Give y_real and y_synthetic, or neither"),
        ({"y_holdout": None}, "Give y_holdout exactly where holdout and y_real"),
        ({"y_holdout": np.zeros((150, 2))}, "labels must have one form"),
        ({"y_synthetic": np.repeat(["a", "b"], 150)}, r"no class in common: .*'0'.* and \['a', 'b'\]"),
        ({"max_rows": 3}, "max_rows must be an integer of at least 6"),
        ({"n_repeats": 0}, "n_repeats must be"),
        ({"random_state": None}, "random_state must be"),
        (
            {"holdout": np.zeros((5, 3)), "y_holdout": np.zeros(5)},
            "holdout has too few rows.* 5, where .* 12",
        ),
        ({"holdout": np.zeros((50, 2)), "y_holdout": np.zeros(50)}, "must have the same columns"),
    ],
)
def test_errors_name_the_argument(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        report(*draw(50, 3), **options)


def test_without_matplotlib(good: QualityReport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'QualityReport needs matplotlib: pip install "sktgdp\[plot\]"'):
        good.to_html(tmp_path / "report.html")
    assert "two-sample AUC" in good._repr_html_()
    assert "&lt;img" not in good._repr_html_()
