"""Frames of mixed types through every generator: they come out as they went in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import TINY, TINY_NETWORK, tiny_tgdp

from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, TGDPGenerator
from sktgdp.model_selection import pack_domains
from sktgdp.preprocessing import MixedTypeEncoder


def people(n: int, seed: int, older: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    job = pd.Categorical(rng.choice(["clerk", "nurse"], n), categories=["clerk", "nurse", "pilot"])
    income = np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(size=n))
    income[0] = np.nan
    return pd.DataFrame(
        {
            "age": (rng.integers(20, 60, n) + older).astype("int16"),
            "income": income,
            "job": job,
            "city": rng.choice(["Graz", "Linz", "Ödön"], n),
            "member": rng.random(n) < 0.5,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        }
    )


SOURCE, TARGET = people(60, 0), people(20, 1, older=30)
Y_SOURCE, Y_TARGET = (np.where(f["member"], "yes", "no") for f in (SOURCE, TARGET))

MODELS: dict[str, Any] = {
    "diffusion": lambda: DiffusionGenerator(**TINY_NETWORK).fit(TARGET, Y_TARGET),
    "fine-tuned": lambda: FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY).fit(
        SOURCE, Y_SOURCE, TARGET, Y_TARGET
    ),
    "tgdp": lambda: tiny_tgdp(eta_cycle=1.0).fit(SOURCE, Y_SOURCE, TARGET, Y_TARGET),
}


@pytest.mark.parametrize("name", MODELS)
def test_frames_come_back_alike(name: str) -> None:
    model = MODELS[name]()
    frame, y = model.sample(30)
    assert list(frame.columns) == list(TARGET.columns)
    pd.testing.assert_series_equal(frame.dtypes, TARGET.dtypes)
    assert set(frame["city"]) <= {"Graz", "Linz", "Ödön"}
    assert list(frame["job"].cat.categories) == ["clerk", "nurse", "pilot"]
    assert set(y) <= {"yes", "no"}
    assert frame["since"].dt.normalize().equals(frame["since"]), "dates stay dates"
    assert not frame.drop(columns="income").isna().any(axis=None)


def test_ranges_are_those_of_both_domains() -> None:
    """The target is older than any source row: its ages must be within reach."""
    model = tiny_tgdp().fit(SOURCE, None, TARGET)
    extreme = np.full((1, *model.latent_shape_), 1e3)
    assert model.transformer_.inverse_transform(extreme)["age"][0] == TARGET["age"].max()
    assert model.transformer_.inverse_transform(-extreme)["age"][0] == SOURCE["age"].min()
    own = model.source_model_.transformer_.inverse_transform(extreme)["age"][0]
    assert own == SOURCE["age"].max(), "the source model's own transformer is not changed"


def test_stacked_frames_are_the_same_fit() -> None:
    X, y, domain = pack_domains(SOURCE, Y_SOURCE, TARGET, Y_TARGET)
    draws = [
        tiny_tgdp().fit(SOURCE, Y_SOURCE, TARGET, Y_TARGET).sample(9, random_state=1)[0],
        tiny_tgdp().fit(X, y, sample_domain=domain).sample(9, random_state=1)[0],
    ]
    pd.testing.assert_frame_equal(*draws)


def test_ratio_of_frames() -> None:
    model = tiny_tgdp().fit(SOURCE, Y_SOURCE, TARGET, Y_TARGET)
    assert np.isfinite(model.log_density_ratio(TARGET, Y_TARGET)).all()
    ratio = DomainClassifier(max_steps=60, random_state=0).fit(SOURCE, None, TARGET)
    assert ratio.log_density_ratio(TARGET).mean() > ratio.log_density_ratio(SOURCE).mean()


def test_densities_need_columns_that_have_them() -> None:
    model = DiffusionGenerator(**TINY_NETWORK).fit(SOURCE)
    with pytest.raises(ValueError, match=r"Densities are not defined .*categories.*income"):
        model.score_samples(SOURCE)
    numbers = SOURCE[["age", "member"]]
    frames = DiffusionGenerator(**TINY_NETWORK).fit(numbers)
    arrays = DiffusionGenerator(**TINY_NETWORK).fit(numbers.to_numpy(dtype=float))
    expected = arrays.score_samples(numbers.to_numpy(dtype=float))
    np.testing.assert_allclose(frames.score_samples(numbers), expected, rtol=1e-4)


def test_source_free_and_mixed_forms() -> None:
    frozen = FrozenEstimator(DiffusionGenerator(**TINY_NETWORK).fit(SOURCE))
    drawn = tiny_tgdp(source_model=frozen).fit(None, None, TARGET)
    pd.testing.assert_series_equal(drawn.sample(3)[0].dtypes, TARGET.dtypes)
    numbers = SOURCE[["age", "member"]]
    from_array = tiny_tgdp().fit(numbers, None, numbers.to_numpy(dtype=float)[:20])
    assert isinstance(from_array.sample(3)[0], np.ndarray)
    from_frame = tiny_tgdp().fit(numbers.to_numpy(dtype=float), None, numbers[:20])
    pd.testing.assert_series_equal(from_frame.sample(3)[0].dtypes, numbers.dtypes)


OTHERS = {"quantiles": MixedTypeEncoder(numeric="quantile"), "scaler": make_pipeline(StandardScaler())}


@pytest.mark.parametrize("transformer", OTHERS.values(), ids=OTHERS)
def test_other_transformers(transformer: Any) -> None:
    numbers = SOURCE[["age", "member"]]
    source = DiffusionGenerator(transformer=transformer, **TINY_NETWORK)
    model = tiny_tgdp(source_model=source).fit(numbers, None, numbers[:20])
    pd.testing.assert_series_equal(model.sample(5)[0].dtypes, numbers.dtypes)


BAD: dict[str, tuple[pd.DataFrame, str]] = {
    "category": (TARGET.assign(city="Rom"), r"X_tgt: Column 'city' .*'Rom'"),
    "missing": (TARGET.assign(age=[np.nan, *TARGET["age"][1:]]), r"X_tgt: Column 'age' has missing values"),
    "infinite": (TARGET.assign(income=np.inf), "X_tgt: Column 'income' contains infinity"),
    "text": (TARGET.assign(age="old"), "X_tgt: Column 'age' was of dtype int16"),
    "order": (TARGET[TARGET.columns[::-1]], "X_src and X_tgt must have the same columns"),
}


@pytest.mark.parametrize(("target", "message"), BAD.values(), ids=BAD)
def test_bad_targets_are_named_before_training(
    target: pd.DataFrame, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiffusionGenerator, "_train", lambda *a, **k: pytest.fail("a network was trained"))
    for model in (tiny_tgdp(), FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY)):
        with pytest.raises((TypeError, ValueError), match=message):
            model.fit(SOURCE, None, target)


@pytest.mark.data
def test_adult(data_dir: Any) -> None:
    """The census, men to women: sixteen columns, categories, question marks for what is missing."""
    frame = pd.read_csv(data_dir / "adult" / "adult.data", header=None, skipinitialspace=True, na_values="?")
    frame.columns = [f"column {i}" for i in range(frame.shape[1])]
    words = frame.columns.difference(frame.select_dtypes("number").columns)
    frame[words] = frame[words].astype("category")  # so that a rare job is known to both domains
    men, women = (frame[frame["column 9"] == sex].drop(columns="column 9") for sex in ("Male", "Female"))
    source, target = men[:3000].copy(), women[:200].copy()
    labels = [part.pop("column 14").astype(str) for part in (source, target)]
    model: TGDPGenerator = tiny_tgdp().fit(source, labels[0], target, labels[1])
    drawn, _ = model.sample(50)
    pd.testing.assert_series_equal(drawn.dtypes, target.dtypes)
    assert drawn["column 6"].isna().sum() < 50
