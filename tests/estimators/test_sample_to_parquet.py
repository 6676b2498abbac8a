"""Samples in a Parquet file: the rows of one call, whatever happens in between."""

from __future__ import annotations

import datetime
import pickle
import resource
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.pipeline import Pipeline
from small_models import TINY, Shift

from sktgdp import DiffusionGenerator
from sktgdp.estimators._sampling import parquet as _parquet
from sktgdp.preprocessing import MixedTypeEncoder

FAST: dict[str, Any] = {"random_state": 3, "n_steps": 2}


@pytest.fixture(scope="module")
def model(shift: Shift) -> DiffusionGenerator:
    return DiffusionGenerator(hidden_sizes=(8,), **TINY).fit(shift.X_src[:50], shift.y_src[:50])


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 90, 60),
            "weight": rng.normal(70, 9, 60).astype(np.float32),
            "ward": pd.Categorical(rng.choice(["a", "b", "ü"], 60)),
            "seen": pd.Series(rng.choice([True, False], 60)),
        }
    )


def test_rows_of_one_call(model: DiffusionGenerator, tmp_path: Path) -> None:
    path = model.sample_to_parquet(tmp_path / "rows.parquet", 25, batch_size=10, **FAST)
    X, y = model.sample(25, **FAST)
    table = pd.read_parquet(path)
    assert list(table.columns) == ["x0", "x1", "label"]
    np.testing.assert_array_equal(table[["x0", "x1"]].to_numpy(), X)
    np.testing.assert_array_equal(table["label"], y)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize(("filled", "expected"), [(2**22, [25]), (300, [20, 5]), (1, [10, 10, 5])])
def test_row_groups(
    model: DiffusionGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    filled: int,
    expected: list[int],
) -> None:
    """A row of two numbers and a label is 24 bytes: groups end with the batch that fills them."""
    monkeypatch.setattr(_parquet, "GROUP_BYTES", filled)
    path = model.sample_to_parquet(tmp_path / "rows.parquet", 25, batch_size=10, **FAST)
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == expected


def test_only_columns_of_few_values_have_dictionaries(frame: pd.DataFrame, tmp_path: Path) -> None:
    """A dictionary of fractions, each in it once, made files longer and slower to write."""
    model = DiffusionGenerator(**TINY).fit(frame)
    path = model.sample_to_parquet(tmp_path / "rows.parquet", 25, batch_size=10, **FAST)
    file = pq.ParquetFile(path)
    columns = [file.metadata.row_group(0).column(i) for i in range(4)]
    found = {column.path_in_schema: column.has_dictionary_page for column in columns}
    assert found == {"age": True, "weight": False, "ward": True, "seen": False}
    pd.testing.assert_frame_equal(pd.read_parquet(path), model.sample(25, **FAST)[0])


def test_given_labels(model: DiffusionGenerator, tmp_path: Path) -> None:
    labels = np.array([1, -1, 1, 1, -1])
    path = model.sample_to_parquet(tmp_path / "a.parquet", 5, labels, batch_size=2, label_column="y", **FAST)
    np.testing.assert_array_equal(pd.read_parquet(path)["y"], labels)


def test_frames_keep_their_columns(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = DiffusionGenerator(hidden_sizes=(8,), **TINY).fit(frame, np.repeat(["x", "y"], 30))
    path = model.sample_to_parquet(tmp_path / "a.parquet", 20, batch_size=8, **FAST)
    X, y = model.sample(20, **FAST)
    table = pd.read_parquet(path)
    pd.testing.assert_frame_equal(table.drop(columns="label"), X)
    assert table["label"].tolist() == y.tolist()
    with pytest.raises(ValueError, match="column 'age' already; choose another label_column"):
        model.sample_to_parquet(tmp_path / "b.parquet", 20, label_column="age", **FAST)


def test_series_and_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2, 24)), rng.integers(0, 2, (20, 3))
    model = DiffusionGenerator(hidden_sizes=(4, 6), **TINY).fit(X, y)
    path = model.sample_to_parquet(tmp_path / "a.parquet", 5, batch_size=2, **FAST)
    X, y = model.sample(5, **FAST)
    table = pq.read_table(path)
    assert table.column_names == ["channel_0", "channel_1", "label_0", "label_1", "label_2"]
    np.testing.assert_array_equal(np.array(table["channel_1"].to_pylist()), X[:, 1])
    np.testing.assert_array_equal(table["label_2"].to_numpy(), y[:, 2])


# What is refused, and what that leaves ---------------------------------------------------------------
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 0}, "batch_size must be an integer of at least 1; got 0"),
    ({"batch_size": 2.5}, "batch_size must be an integer"),
    ({"n_samples": "3"}, "n_samples must be an integer of at least 1; got '3'"),
    ({"y": 7}, "labels that the model has not seen"),
    ({"y": [1, -1, 1, 1, 7]}, "labels that the model has not seen"),  # in the last batch
    ({"n_steps": 0}, "n_steps must be an integer of at least 1"),
    ({"solver": "newton"}, "unknown solver"),
    ({"random_state": -1}, "random_state must be"),
    ({"label_column": "x0"}, "column 'x0' already"),
    ({"label_column": 3}, "label_column must be a string; got 3"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_a_refused_call_leaves_nothing(
    change: dict[str, Any], message: str, model: DiffusionGenerator, tmp_path: Path
) -> None:
    """Its folder of parts would stand in the way of the call as it should be."""
    asked = {"n_samples": 5, "batch_size": 2, **FAST}
    with pytest.raises((TypeError, ValueError), match=message):
        model.sample_to_parquet(tmp_path / "a.parquet", **{**asked, **change})
    assert list(tmp_path.iterdir()) == []
    asked["n_samples"], asked["batch_size"] = np.int64(5), np.int32(2)
    assert len(pd.read_parquet(model.sample_to_parquet(tmp_path / "a.parquet", **asked))) == 5


PATHS: list[tuple[Any, str]] = [
    ("a.csv", r"its name ends in \.csv. Name it a\.parquet; for another format write the batches"),
    ("a.CSV", r"ends in \.CSV"),
    ("folder", r"is a folder. Name a file in it, such as .*rows\.parquet"),
    ("link.parquet", "is a link to a file that does not exist"),
    ("file/a.parquet", "file is a file, so .*a.parquet cannot be written"),
    ("taken.parquet", "holds other files, such as mine.txt. Move them, or name another file"),
]


@pytest.mark.parametrize(("name", "message"), PATHS)
def test_places_that_are_refused(name: str, message: str, model: DiffusionGenerator, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.parquet").symlink_to(tmp_path / "nowhere.parquet")
    (tmp_path / "file").touch()
    (tmp_path / "taken.parquet.parts").mkdir()
    (tmp_path / "taken.parquet.parts" / "mine.txt").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((OSError, ValueError), match=message):
        model.sample_to_parquet(tmp_path / name, 5, **FAST)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["", 3, None])
def test_paths_that_are_none(path: Any, model: DiffusionGenerator) -> None:
    with pytest.raises(TypeError, match=r"path must be the name of a file, such as 'rows\.parquet'; got "):
        model.sample_to_parquet(path, 5, **FAST)


NUMBERS = np.random.default_rng(0).normal(size=60)
UNWRITABLE: dict[str, tuple[Any, str]] = {
    "mixture": ([("x", 1)[i % 2] for i in range(60)], r"values of int and str, .*\.astype\(str\)"),
    "intervals": (pd.cut(NUMBERS, 3), r"values of Interval, .*\.astype\(str\)"),
    "quadruple": (NUMBERS.astype(np.longdouble), r"values of float.*\.astype\(float\)"),
    "integers": ([(10**30, 1)[i % 2] for i in range(60)], "integers of more than 64 bits.*"),
}


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_columns_without_a_type_are_refused_before_anything_is_drawn(kind: str, tmp_path: Path) -> None:
    values, message = UNWRITABLE[kind]
    if kind == "quadruple" and np.longdouble is np.float64:
        pytest.skip("this platform has no longer floats")
    frame = pd.DataFrame({"a": NUMBERS, "b": pd.Series(values)})
    model = DiffusionGenerator(**TINY).fit(frame)
    with pytest.raises(TypeError, match=f"Column 'b' holds {message}, or draw with sample_batches"):
        model.sample_to_parquet(tmp_path / "a.parquet", 5, **FAST)
    assert list(tmp_path.iterdir()) == []


OBJECTS: dict[str, list[Any]] = {
    "decimals": [Decimal("1.5"), Decimal("1000.125"), Decimal(3)],
    "missing": ["x", "y", None],
    "numbers": [1, 2.5, 7],
    "dates": [datetime.date(2020, 1, 2), None, datetime.date(1920, 1, 2)],
}


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("in_steps", [False, True])
def test_batches_of_objects_have_one_type(kind: str, in_steps: bool, tmp_path: Path) -> None:
    """Arrow infers types from values: batches of one row each would have several."""
    values = pd.Series([OBJECTS[kind][i % 3] for i in range(60)], dtype=object)
    transformer = Pipeline([("encode", MixedTypeEncoder())]) if in_steps else "auto"
    model = DiffusionGenerator(transformer=transformer, **TINY).fit(pd.DataFrame({"a": NUMBERS, "b": values}))
    path = model.sample_to_parquet(tmp_path / "a.parquet", 20, batch_size=1, **FAST)
    X, _ = model.sample(20, **FAST)
    assert X["b"].nunique(dropna=False) > 1
    found = pd.read_parquet(path)["b"]
    assert found.dropna().tolist() == X["b"].dropna().tolist()
    assert found.isna().tolist() == X["b"].isna().tolist()


def test_foreign_order_of_bytes(tmp_path: Path) -> None:
    X = NUMBERS.reshape(30, 2).astype(">f4")
    model = DiffusionGenerator(**TINY).fit(X)
    path = model.sample_to_parquet(tmp_path / "a.parquet", 5, batch_size=2, **FAST)
    np.testing.assert_array_equal(pd.read_parquet(path).to_numpy(), model.sample(5, **FAST)[0])


# Interruption ---------------------------------------------------------------------------------------
SCRIPT = """
import pickle, sys
from pathlib import Path
with open(sys.argv[1], "rb") as file:
    model = pickle.load(file)
print("ready", flush=True)
model.sample_to_parquet(sys.argv[2], 15_000, batch_size=100, random_state=3, n_steps=2)
"""


def test_a_killed_process_is_completed(model: DiffusionGenerator, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    path = tmp_path / "rows.parquet"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "model.pkl"), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        parts = tmp_path / "rows.parquet.parts"
        while process.poll() is None and not (parts / "part_000004.parquet").exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not path.exists()
    kept = {part.name: part.stat().st_mtime_ns for part in parts.glob("part_*")}
    assert 5 <= len(kept) < 150
    with pytest.raises(ValueError, match=r"parts of another call: n_samples=300 \(was 15000\), batch_size"):
        model.sample_to_parquet(path, 300, **FAST)
    model.sample_to_parquet(path, 15_000, batch_size=100, **FAST)
    table = pd.read_parquet(path)
    X, y = model.sample(15_000, **FAST)
    np.testing.assert_array_equal(table[["x0", "x1"]].to_numpy(), X)
    np.testing.assert_array_equal(table["label"], y)
    assert not parts.exists()


class StopError(Exception):
    """What interrupts the tests below."""


def interrupt(model: Any, path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Call `sample_to_parquet` for 50 rows, and break off after two parts."""
    add = _parquet.Parts.add

    def add_some(parts: Any, index: int, table: Any) -> None:
        if index == 2:
            raise StopError
        add(parts, index, table)

    with monkeypatch.context() as patch:
        patch.setattr(_parquet.Parts, "add", add_some)
        with pytest.raises(StopError):
            model.sample_to_parquet(path, 50, batch_size=10, **options)


def test_without_a_seed_the_first_one_holds(
    model: DiffusionGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    model = pickle.loads(pickle.dumps(model)).set_params(random_state=None)
    interrupt(model, path, monkeypatch, n_steps=2)
    drawn = []
    batches = type(model)._batches
    monkeypatch.setattr(type(model), "_batches", lambda *a, **k: (drawn.append(k), batches(*a, **k))[1])
    model.sample_to_parquet(path, 50, batch_size=10, n_steps=2)
    (seed,) = {call["random_state"] for call in drawn}
    expected, _ = model.sample(50, random_state=seed, n_steps=2)
    np.testing.assert_array_equal(pd.read_parquet(path)[["x0", "x1"]].to_numpy(), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"random_state": 4}, r"seed=4 \(was 3\)"),
        ({"n_steps": 5}, r"n_steps=5 \(was 2\)"),
        ({"solver": "ddim"}, r"solver='ddim' \(was 'dpm\+\+2m'\)"),
        ({"y": 1}, "labels="),
        ({"label_column": "y"}, "label_column='y'"),
    ],
)
def test_other_arguments_are_refused(
    change: dict[str, Any], message: str, model: DiffusionGenerator, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    interrupt(model, tmp_path / "a.parquet", monkeypatch, **FAST)
    with pytest.raises(ValueError, match=message):
        model.sample_to_parquet(tmp_path / "a.parquet", 50, batch_size=10, **{**FAST, **change})


def test_another_generator_is_refused(
    model: DiffusionGenerator, shift: Shift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(model, tmp_path / "a.parquet", monkeypatch, **FAST)
    other = DiffusionGenerator(hidden_sizes=(8,), **TINY).fit(shift.X_src[50:100], shift.y_src[50:100])
    with pytest.raises(ValueError, match="rows of another generator"):
        other.sample_to_parquet(tmp_path / "a.parquet", 50, batch_size=10, **FAST)


def test_a_full_disk_is_completed(model: DiffusionGenerator, tmp_path: Path) -> None:
    """Files may not grow beyond a limit, like on a full disk: parts fit, the file of them all does not."""
    path = tmp_path / "a.parquet"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of the end of the process
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"3 parts are kept in .*; the same call goes on"):
            model.sample_to_parquet(path, 600, batch_size=200, **FAST)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert not path.exists()
    model.sample_to_parquet(path, 600, batch_size=200, **FAST)
    X, _ = model.sample(600, **FAST)
    np.testing.assert_array_equal(pd.read_parquet(path)[["x0", "x1"]].to_numpy(), X)


def test_a_file_is_never_overwritten(model: DiffusionGenerator, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"mine": [1]}), path)
    with pytest.raises(FileExistsError, match="is there already"):
        model.sample_to_parquet(path, 5, **FAST)
    assert pq.read_table(path).column_names == ["mine"]


def test_one_writer_at_a_time(model: DiffusionGenerator, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with _parquet.Parts(path).locked(), pytest.raises(RuntimeError, match="Another process is writing"):
        model.sample_to_parquet(path, 5, **FAST)


def test_without_pyarrow(model: DiffusionGenerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "sktgdp\[pandas\]"'):
        model.sample_to_parquet(tmp_path / "a.parquet", 5, **FAST)


def test_progress_is_shown(
    model: DiffusionGenerator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loud = pickle.loads(pickle.dumps(model)).set_params(verbose=1)
    loud.sample_to_parquet(tmp_path / "a.parquet", 50, batch_size=10, **FAST)
    assert "50/50" in capfd.readouterr().err
    model.sample_to_parquet(tmp_path / "b.parquet", 50, batch_size=10, **FAST)
    assert "50/50" not in capfd.readouterr().err
