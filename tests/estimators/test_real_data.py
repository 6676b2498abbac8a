"""Heart disease, from Cleveland to Hungary: mixed clinical columns, small, with real quirks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktgdp import DiffusionGenerator, DomainClassifier, TGDPGenerator
from sktgdp.metrics import energy_distance, frechet_distance, macro_roc_auc_score
from sktgdp.preprocessing import MixedTypeEncoder

FEATURES = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"]


class Heart(NamedTuple):
    """Frames of whole numbers, but for the last column."""

    X_src: pd.DataFrame
    y_src: pd.Series
    X_tgt: pd.DataFrame
    y_tgt: pd.Series
    X_test: pd.DataFrame
    y_test: pd.Series


def hospital(data_dir: Path, name: str) -> tuple[pd.DataFrame, pd.Series]:
    path = data_dir / "uci_heart" / f"processed.{name}.data"
    table = pd.read_csv(path, na_values="?").dropna(subset=FEATURES)
    X = table[FEATURES].astype(dict.fromkeys(FEATURES[:-1], np.int64))
    return X, (table["target"] > 0).map({True: "sick", False: "well"})


@pytest.fixture(scope="module")
def heart(data_dir: Path) -> Heart:
    X, y = hospital(data_dir, "hungarian")
    X_tgt, X_test, y_tgt, y_test = train_test_split(X, y, train_size=60, stratify=y, random_state=0)
    return Heart(*hospital(data_dir, "cleveland"), X_tgt, y_tgt, X_test, y_test)


def fitted(heart: Heart, **source_params: Any) -> TGDPGenerator:
    source = DiffusionGenerator(max_steps=500, hidden_sizes=(64, 64), batch_size=256, **source_params)
    ratio = DomainClassifier(n_folds=2, max_steps=100)
    params = {"hidden_sizes": (48, 48), "n_networks": 1, "max_steps": 150, "random_state": 0}
    return TGDPGenerator(source, domain_classifier=ratio, **params).fit(*heart[:4])


@pytest.fixture(scope="module")
def model(heart: Heart) -> TGDPGenerator:
    return fitted(heart)


def test_rows_come_back_as_patients(model: TGDPGenerator, heart: Heart) -> None:
    X, y = model.sample(100)
    assert X.columns.tolist() == FEATURES
    assert X.dtypes.tolist() == heart.X_tgt.dtypes.tolist()
    assert set(y) == {"sick", "well"}
    assert np.mean(y == "sick") == pytest.approx(np.mean(heart.y_tgt == "sick"), abs=0.15)
    assert X["age"].between(10, 100).all()


def test_samples_are_nearer_to_the_target_than_the_source(model: TGDPGenerator, heart: Heart) -> None:
    unit = heart.X_src.std().to_numpy()
    real = heart.X_test.to_numpy() / unit
    drawn, before = (
        np.asarray(rows, dtype=float) / unit
        for rows in (model.sample(200)[0], model.source_model_.sample(200)[0])
    )
    assert frechet_distance(real, drawn) < 0.7 * frechet_distance(real, before)
    assert energy_distance(real, drawn) < 0.8 * energy_distance(real, before)


def test_densities_of_standardised_numbers(heart: Heart) -> None:
    model = fitted(heart, transformer=MixedTypeEncoder())
    assert model.score(heart.X_test, heart.y_test) > model.source_model_.score(heart.X_test, heart.y_test)


def test_samples_carry_the_disease(model: TGDPGenerator, heart: Heart) -> None:
    """A classifier that has seen generated patients only tells real ones apart."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(*model.sample(300))
    auc = macro_roc_auc_score(heart.y_test == "well", classifier.predict_proba(heart.X_test)[:, 1])
    assert auc > 0.75


def test_overlap_is_reported(model: TGDPGenerator, heart: Heart) -> None:
    assert 1.0 < model.effective_sample_size_ < len(heart.X_src)
    ratios = model.log_density_ratio(heart.X_test, heart.y_test)
    of_source = model.log_density_ratio(heart.X_src, heart.y_src)
    assert ratios.mean() > of_source.mean() + 0.5
