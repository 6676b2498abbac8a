"""Parts of estimators in files: dtypes, transformers, networks of one's own, what is refused; other ways."""

from __future__ import annotations

import datetime
import decimal
import functools
import os
import pickle
import uuid
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from small_models import TINY, TINY_NETWORK, TINY_RATIO, TINY_SERIES, tiny_tgdp
from torch import Tensor, nn

import sktgdp
from sktgdp import DiffusionGenerator, DomainClassifier, FineTunedDiffusionGenerator, SeriesClassifier
from sktgdp._storage import Reader, Writer, read_archive, write_archive
from sktgdp.estimators._state.persistence import _kinds
from sktgdp.exceptions import ModelFileError, NotStorableError
from sktgdp.nets import SSSDECG, DiagonalSSM
from sktgdp.preprocessing import (
    BandPass,
    MixedTypeEncoder,
    Resampler,
    RowStandardizer,
    SpectralTransformer,
    make_chain,
)

ROWS = np.random.default_rng(0).normal(size=(40, 3))
SERIES = np.random.default_rng(1).normal(size=(24, 2, 64))
Y = np.arange(40) % 2
TABLE = (ROWS, Y, ROWS[:12] + 1, Y[:12])


def through_files(value: Any, path: Path) -> Any:
    writer = Writer(_kinds())
    content = writer.write(value, "value")
    write_archive(path / "value.zip", content, writer.tensors, writer="0")
    archive = read_archive(path / "value.zip")
    reader = Reader(_kinds(), archive.tensors)
    again = reader.read(archive.content, "value")
    reader.finish()
    return again


UTC = datetime.timezone.utc
VALUES: dict[str, Any] = {
    "plain": [None, True, 3, -(2**63), 10**30, -(10**50), 0.1, 1e-320, "ä\x00\ud800", [], [[1]]],
    "containers": ((), (1, (2.0,)), {"a": {"b": ()}}, {1: "x", (2, "y"): None, None: 0}, slice(1, None, 2)),
    "odd floats": (float("inf"), -float("inf")),
    "times": (datetime.date(1, 2, 3), datetime.timedelta(-1, 2, 3), decimal.Decimal("1.10")),
    "others": (uuid.UUID(int=5), b"\x00\xff", np.dtype(">i4"), np.float32(0.1), np.str_("é"), np.bool_(True)),
    "pandas": (pd.NA, pd.NaT, pd.Timestamp("2020-01-02 03:04:05.123456789"), pd.Timedelta("3ns")),
    "zones": (pd.Timestamp("2020-07-01", tz="Europe/Vienna"), pd.Interval(0, 1, closed="left")),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, tmp_path: Path) -> None:
    again = through_files(VALUES[name], tmp_path)
    assert repr(again) == repr(VALUES[name])
    assert again == VALUES[name] or name == "pandas"


DTYPES = [
    "?", "i1", ">i2", "u2", "u8", "f2", "<f4", ">f8", "c8", "c16",
    "U3", ">U2", "S4", "M8[ns]", "m8[D]", "O",
]  # fmt: skip


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_arrays(code: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(code)
    for array in (values, np.asfortranarray(values), values[..., ::-1] if shape else values):
        again = through_files(array, tmp_path)
        assert again.dtype == array.dtype
        assert again.dtype.byteorder == array.dtype.byteorder
        np.testing.assert_array_equal(again, array)
        assert again.flags.writeable
        assert again.flags.c_contiguous or not array.flags.c_contiguous


CUT = pd.cut(pd.Series(range(9)), 3)
INDEXES: dict[str, pd.Index] = {
    "range": pd.RangeIndex(3, name="n"),
    "text": pd.Index(["a", "b"], name=("x", 1)),
    "objects": pd.Index(["a", 1, (2, 3)], dtype=object),
    "several": pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None]),
    "times": pd.date_range("2020", periods=3, tz="Europe/Vienna"),
    "intervals": CUT.cat.categories,
    "categories": pd.CategoricalIndex(["a", "b", "a"]),
}


@pytest.mark.parametrize("name", INDEXES)
def test_indexes(name: str, tmp_path: Path) -> None:
    again = through_files(INDEXES[name], tmp_path)
    pd.testing.assert_index_equal(again, INDEXES[name], exact=True)
    assert again.names == INDEXES[name].names


PANDAS_DTYPES: list[Any] = [
    "Int8", "UInt64", "Float32", "boolean", "string", "string[pyarrow]", "datetime64[us, UTC]",
    "datetime64[ns, Europe/Vienna]", CUT.dtype, pd.CategoricalDtype([2, 1], ordered=True),
    pd.CategoricalDtype(), pd.StringDtype("python", na_value=np.nan), "int64[pyarrow]", "double[pyarrow]",
    *map(pd.ArrowDtype, (pa.string(), pa.timestamp("us", "Europe/Vienna"), pa.duration("s"), pa.date64())),
]  # fmt: skip


@pytest.mark.parametrize("dtype", PANDAS_DTYPES, ids=str)
def test_pandas_dtypes(dtype: Any, tmp_path: Path) -> None:
    dtype = pd.api.types.pandas_dtype(dtype)
    again = through_files(dtype, tmp_path)
    assert again == dtype
    assert repr(again) == repr(dtype)


TRANSFORMERS: dict[str, Any] = {
    "standard": StandardScaler(),
    "range": MinMaxScaler(),
    "robust": RobustScaler(),
    "quantile": QuantileTransformer(n_quantiles=10, output_distribution="normal"),
    "power": PowerTransformer(),
    "pipeline": make_pipeline(StandardScaler(), "passthrough", MinMaxScaler()),
    "rows": RowStandardizer(common_scale=True),
    "mixed": MixedTypeEncoder(numeric="quantile"),
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_of_tables(name: str, tmp_path: Path) -> None:
    model = DiffusionGenerator(transformer=TRANSFORMERS[name], **TINY_NETWORK).fit(ROWS)
    model.save(tmp_path / "model")
    again = sktgdp.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(model.sample(9, random_state=0)[0], again.sample(9, random_state=0)[0])
    assert repr(again) == repr(model)


def test_levels_of_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"years": np.arange(90) % 4, "marks": np.arange(90) % 3 / 2, "sex": ["f", "m"] * 45})
    model = DiffusionGenerator(**TINY_NETWORK).fit(frame)
    assert [column.levels is None for column in model.transformer_._columns[:2]] == [False, False]
    model.save(tmp_path / "model")
    again = sktgdp.load(tmp_path / "model", device="cpu")
    pd.testing.assert_frame_equal(
        model.sample(9, random_state=0)[0], again.sample(9, random_state=0)[0], check_exact=True
    )


def test_transformers_of_series(tmp_path: Path) -> None:
    chain = make_chain(
        BandPass(2.0, 20.0, rate=64), Resampler(64, 32), SpectralTransformer(8), RowStandardizer(per="value")
    )
    model = DiffusionGenerator(transformer=chain, **TINY_NETWORK).fit(SERIES)
    model.save(tmp_path / "model")
    again = sktgdp.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(model.sample(3, random_state=0)[0], again.sample(3, random_state=0)[0])


# Networks -------------------------------------------------------------------------------------------
class OwnScore(nn.Module):
    """A network that is no part of the package."""

    def __init__(self, event_shape: tuple[int, ...], n_labels: int, process: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(event_shape[0] + 1, event_shape[0])
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        inputs = torch.cat([x, t.expand(len(x)).unsqueeze(1)], dim=1)
        return self.layer(inputs) * self.get_buffer("scale").to(x)


def test_networks_of_ones_own_are_given_again(tmp_path: Path) -> None:
    source = DiffusionGenerator(OwnScore, max_steps=2, random_state=0)
    model = FineTunedDiffusionGenerator(source, **TINY).fit(ROWS, None, ROWS[:12], None)
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"'OwnScore'.*trusted=\[OwnScore\]"):
        sktgdp.load(tmp_path / "model")
    again = FineTunedDiffusionGenerator.load(tmp_path / "model", device="cpu", trusted=[OwnScore])
    np.testing.assert_array_equal(model.sample(9, random_state=0)[0], again.sample(9, random_state=0)[0])
    assert again.source_model.module is OwnScore


def test_parts_of_networks_by_partial(tmp_path: Path) -> None:
    ssm = functools.partial(DiagonalSSM, discretization="bilinear")
    module = functools.partial(SSSDECG, n_blocks=1, n_channels=4, state_size=4, ssm=ssm)
    model = DiffusionGenerator(module, max_steps=1, batch_size=4, random_state=0).fit(SERIES)
    model.save(tmp_path / "model")
    again = sktgdp.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(model.sample(2, random_state=0)[0], again.sample(2, random_state=0)[0])


def test_double_precision(tmp_path: Path) -> None:
    module = TINY_SERIES["module"]
    model = SeriesClassifier(**{**TINY_SERIES, "max_steps": 2}).fit(SERIES, Y[:24])
    model.save(tmp_path / "model")
    again = SeriesClassifier.load(tmp_path / "model", device="cpu", trusted=[module])
    assert next(again.network_.parameters()).dtype == torch.float64
    np.testing.assert_array_equal(model.predict_proba(SERIES), again.predict_proba(SERIES))


@pytest.mark.parametrize("kind", [np.random.default_rng, np.random.RandomState])
def test_random_states_go_on(kind: Any, tmp_path: Path) -> None:
    model = DiffusionGenerator(**{**TINY_NETWORK, "random_state": kind(5)}).fit(ROWS)
    model.save(tmp_path / "model")
    again = sktgdp.load(tmp_path / "model", device="cpu")
    for _ in range(2):
        np.testing.assert_array_equal(model.sample(3)[0], again.sample(3)[0])


# What is refused or left out ------------------------------------------------------------------------
def test_classifiers_of_other_packages(tmp_path: Path) -> None:
    own = tiny_tgdp(domain_classifier=DomainClassifier(LogisticRegression(), n_folds=2)).fit(*TABLE)
    own.save(tmp_path / "logistic")
    again = sktgdp.load(tmp_path / "logistic", device="cpu")
    np.testing.assert_array_equal(own.log_density_ratio(ROWS, Y), again.log_density_ratio(ROWS, Y))
    forest = RandomForestClassifier(n_estimators=2, random_state=0)
    model = tiny_tgdp(domain_classifier=DomainClassifier(forest, n_folds=2)).fit(*TABLE)
    with pytest.raises(NotStorableError, match=r"RandomForestClassifier.*can leave a domain classifier out"):
        model.save(tmp_path / "forest")
    assert not (tmp_path / "forest").exists()
    model.save(tmp_path / "forest", domain_classifier=False)
    assert model.domain_classifier_ is not None, "the model itself keeps it"
    again = sktgdp.load(tmp_path / "forest", device="cpu")
    np.testing.assert_array_equal(model.sample(9, random_state=0)[0], again.sample(9, random_state=0)[0])
    with pytest.raises(ValueError, match="saved without its domain classifier"):
        again.log_density_ratio(ROWS, Y)


def test_what_cannot_be_stored_is_named(tmp_path: Path) -> None:
    model = DiffusionGenerator(transformer=FunctionTransformer(), **TINY_NETWORK).fit(ROWS)
    with pytest.raises(NotStorableError, match=r"model\.transformer is a .*FunctionTransformer"):
        model.save(tmp_path / "model")
    model = DiffusionGenerator(**TINY_NETWORK).fit(ROWS)
    model.network_.trunk.head = nn.Linear(8, 4)
    with pytest.raises(NotStorableError, match="not what ScoreMLP makes"):
        model.save(tmp_path / "model")
    model = DiffusionGenerator(**TINY_NETWORK).fit(ROWS)
    model.note = "mine"
    with pytest.raises(NotStorableError, match=r"attributes with no place: \['note'\]"):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


UNSTORABLE: dict[str, tuple[Any, str]] = {
    "values": (
        [1j, 2j],
        "A value of column 'b', 1j, has no place in a model's files. Fit on values of another",
    ),
    "dtype": (
        pd.array([b"a", b"b"], pd.ArrowDtype(pa.binary())),
        r"dtype of column 'b', binary\[pyarrow\], has",
    ),
    "labels": (np.array([datetime.time(1), datetime.time(2)]), r"A label, 01:00:00, .* \.astype\(str\)"),
}


@pytest.mark.parametrize("kind", UNSTORABLE)
def test_columns_that_cannot_be_stored_are_named(kind: str, tmp_path: Path) -> None:
    values, message = UNSTORABLE[kind]
    column = pd.Series(values, dtype=None if kind == "dtype" else object)[np.arange(40) % 2]
    frame = pd.DataFrame({"a": ROWS[:, 0], "b": ROWS[:, 1] if kind == "labels" else column.array})
    model = DiffusionGenerator(**TINY_NETWORK).fit(frame, column.to_numpy() if kind == "labels" else None)
    with pytest.raises(NotStorableError, match=message):
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_what_belongs_to_the_process_is_left_out_aloud(tmp_path: Path) -> None:
    model = DiffusionGenerator(**TINY_NETWORK, memory=str(tmp_path / "cache")).fit(ROWS)
    with pytest.warns(UserWarning, match="memory of DiffusionGenerator belong to this process"):
        model.save(tmp_path / "model")
    assert sktgdp.load(tmp_path / "model").memory is None


def test_no_training_row_is_in_the_files(tmp_path: Path) -> None:
    tiny_tgdp(eta_cycle=1.0).fit(*TABLE).save(tmp_path / "model.zip")
    data = (tmp_path / "model.zip").read_bytes()
    for number in np.concatenate([ROWS, TABLE[2]]).ravel():
        assert number.tobytes() not in data
        assert np.float32(number).tobytes() not in data
        assert repr(float(number)).encode() not in data


# Other ways, and writing ----------------------------------------------------------------------------
def test_replacing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (DiffusionGenerator(**TINY_NETWORK).fit(ROWS + k) for k in (0, 5))
    for path in (tmp_path / "model", tmp_path / "model.zip"):
        first.save(path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("no space left")))
            with pytest.raises(OSError, match="no space left"):
                second.save(path)
        assert sktgdp.load(path).transformer_.mean_[0] < 1, "the old model is whole"
        second.save(path)
        assert sktgdp.load(path).transformer_.mean_[0] > 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model", "model.zip"]
    assert len(list((tmp_path / "model").iterdir())) == 2, "the old arrays are gone"


def test_what_is_no_model_is_not_overwritten(tmp_path: Path) -> None:
    model = DiffusionGenerator(**TINY_NETWORK).fit(ROWS)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"meow")
    (tmp_path / "notes.zip").write_bytes(b"notes")
    (tmp_path / "notes").write_bytes(b"notes")
    for name in ("photos", "notes.zip", "notes"):
        with pytest.raises(ModelFileError, match="left as it is"):
            model.save(tmp_path / name)
    assert (tmp_path / "photos" / "cat.png").read_bytes() == b"meow"
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")
    sktgdp.load(tmp_path / "empty")
    with pytest.raises(ModelFileError, match="holds a DiffusionGenerator, not a DomainClassifier"):
        DomainClassifier.load(tmp_path / "empty")


def test_pickle_and_joblib(tmp_path: Path) -> None:
    model = tiny_tgdp(eta_cycle=1.0).fit(*TABLE)
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        np.testing.assert_array_equal(model.sample(9, random_state=0)[0], again.sample(9, random_state=0)[0])
        again.save(tmp_path / "model")
        assert repr(clone(sktgdp.load(tmp_path / "model"))) == repr(model)


def with_forest() -> DomainClassifier:
    return DomainClassifier(RandomForestClassifier(n_estimators=2, random_state=0), n_folds=2, random_state=0)


SKOPS: dict[str, Any] = {
    "ratio of a forest": lambda: with_forest().fit(*TABLE),
    "ratio": lambda: DomainClassifier(**TINY_RATIO, random_state=0).fit(*TABLE),
    "diffusion": lambda: DiffusionGenerator(**TINY_NETWORK).fit(*TABLE[:2]),
    "diffusion of series": lambda: DiffusionGenerator(**{**TINY_NETWORK, "hidden_sizes": (4, 4)}).fit(SERIES),
    "fine-tuned": lambda: FineTunedDiffusionGenerator(DiffusionGenerator(**TINY_NETWORK), **TINY).fit(*TABLE),
    "tgdp": lambda: tiny_tgdp(eta_cycle=1.0).fit(*TABLE),
    "classifier of series": lambda: SeriesClassifier(max_steps=2, random_state=0).fit(SERIES, Y[:24]),
}


@pytest.mark.usefixtures("global_rng_untouched")
@pytest.mark.parametrize("fit", SKOPS.values(), ids=SKOPS)
def test_skops(fit: Any) -> None:
    """Everything but numbers, texts and scikit-learn's estimators is to be trusted by name."""
    skops = pytest.importorskip("skops.io")
    model = fit()
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert f"{type(model).__module__}.{type(model).__name__}" in untrusted
    assert {name.split(".")[0] for name in untrusted} <= {"sktgdp", "numpy", "sklearn", "torch", "joblib"}
    again = skops.loads(data, trusted=untrusted)
    if hasattr(model, "sample"):
        found = [each.sample(9, random_state=0)[0] for each in (model, again)]
    else:
        rows = (SERIES,) if isinstance(model, SeriesClassifier) else (ROWS, Y)
        found = [each.predict_proba(*rows) for each in (model, again)]
    np.testing.assert_array_equal(*found)
    with pytest.raises(skops.exceptions.UntrustedTypesFoundException):
        skops.loads(data)
