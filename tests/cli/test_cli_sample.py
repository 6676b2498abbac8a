"""``sktgdp sample`` and ``sktgdp info``: a saved model becomes a table of the same form."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from workplace import Workplace, people

from sktgdp import DiffusionGenerator, load

COLUMNS = ["age", "city", "sick", "height"]


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz", "s.parquet", "Übung ❄.csv"])
def test_table_has_the_form_of_the_fitted_one(place: Workplace, model: str, name: str) -> None:
    options = ("-n", "50", "-o", f"@{name}", "--batch-size", "20")
    status, out, err = place.run("sample", model, *options)
    assert (status, out, err) == (0, "", f"50 rows in {place.folder / name}\n")
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    table = read(place.folder / name)
    assert (list(table.columns), len(table)) == (COLUMNS, 50)
    assert (table.dtypes == people(5, 0).dtypes).all()
    assert set(table["city"]) <= {"Lima", "Oslo", "Łódź"}
    assert [path.name for path in place.folder.glob(".*")] == []


def test_rows_are_those_of_the_model(place: Workplace, model: str) -> None:
    _, out, _ = place.run("sample", model, "-n", "5", "-o", "-", "--seed", "3")
    table = pd.read_csv(io.StringIO(out))
    X, y = next(load(model).sample_batches(5, random_state=3))
    pd.testing.assert_frame_equal(table.drop(columns="sick"), X)
    np.testing.assert_array_equal(table["sick"], y)
    assert place.run("sample", model, "-n", "5", "-o", "-", "--seed", "3")[1] == out
    assert place.run("sample", model, "-n", "5", "-o", "-", "--seed", "4")[1] != out


def test_counts_by_class(place: Workplace, model: str) -> None:
    _, out, _ = place.run("sample", model, "--label", "1=7", "--label", "0=2", "-o", "-", "-q")
    assert pd.read_csv(io.StringIO(out))["sick"].tolist() == [1] * 7 + [0] * 2


WRONG = [
    ([], "Say how many rows: -n 1000"),
    (["--label", "2=5"], "the model knows no class '2'. There are: '0', '1'."),
    (["--label", "1"], "write NAME=COUNT, such as 0=500"),
    (["--label", "1=x"], "write NAME=COUNT"),
    (["--label", "1=0"], "add up to 0"),
    (["-n", "9", "--label", "1=5"], "-n 9, but the counts of --label add up to 5"),
    (["-n", "9", "--solver", "newton"], "newton"),
    (["-n", "9", "--device", "abacus"], "this machine has 'cpu'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options(place: Workplace, model: str, options: list[str], message: str) -> None:
    assert message in place.refused("sample", model, "-o", "@s.csv", *options)
    assert sorted(path.name for path in place.folder.iterdir()) == ["source.csv", "target.csv"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("target.csv", "target.csv exists. Choose another name"),
        ("s.xlsx", "the name must end in one of"),
        ("no/s.csv", "there is no folder no"),
    ],
)
def test_wrong_output(place: Workplace, model: str, name: str, message: str) -> None:
    assert message in place.refused("sample", model, "-n", "2", "-o", f"@{name}")


@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_force_overwrites(place: Workplace, model: str, name: str) -> None:
    (place.folder / name).write_text("mine")
    assert place.run("sample", model, "-n", "2", "-o", f"@{name}", "--force")[0] == 0
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    assert len(read(place.folder / name)) == 2


def test_parts_of_another_command_are_refused(place: Workplace, model: str) -> None:
    folder = place.folder / "s.parquet.parts"
    folder.mkdir()
    (folder / "asked_for.json").write_text('{"n_samples": 9}')
    message = place.refused("sample", model, "-n", "2", "-o", "@s.parquet")
    assert message.startswith("Error: s.parquet.parts holds the parts of another call: n_samples=2 (was 9)")


PEAK = """
import resource, sys
from sktgdp.cli import main
for n in (60_000, 600_000):
    arguments = ["sample", sys.argv[1], "--label", f"0={n}", "--steps", "1", "-q", "--force"]
    assert main([*arguments, "-o", sys.argv[2]]) == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["s.csv", "s.parquet"])
def test_memory_is_that_of_a_batch(place: Workplace, model: str, name: str) -> None:
    """Ten times the rows take a few MiB more at most; as a whole they would take a hundred."""
    command = [sys.executable, "-c", PEAK, model, str(place.folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many = map(int, done.stdout.split())
    assert many - few < 20


def test_a_failure_leaves_the_old_file(place: Workplace, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full after the first part."""
    before = (place.folder / "target.csv").read_bytes()
    written = pd.DataFrame.to_csv

    def to_csv(frame: pd.DataFrame, *args: object, header: bool, **kwargs: object) -> None:
        if not header:
            raise OSError(28, "No space left on device")
        written(frame, *args, header=header, **kwargs)

    monkeypatch.setattr(pd.DataFrame, "to_csv", to_csv)
    options = ("-n", "9", "--batch-size", "5", "-o", "@target.csv", "--force")
    assert "No space left on device" in place.refused("sample", model, *options)
    assert (place.folder / "target.csv").read_bytes() == before
    assert [path.name for path in place.folder.glob(".*")] == []


@pytest.mark.parametrize("path", ["@nothing", "@source.csv"])
def test_no_model(place: Workplace, path: str) -> None:
    message = place.refused("sample", path, "-n", "2", "-o", "@s.csv")
    assert path[1:] in message


def test_info(place: Workplace, model: str) -> None:
    status, out, err = place.run("info", model)
    assert (status, err) == (0, "")
    assert f"{model}: TGDPGenerator" in out
    assert "sick: 0 50%, 1 50%" in out
    assert "(chosen from the overlap)" in out


def test_models_saved_in_python(place: Workplace, rng: np.random.Generator) -> None:
    """An array has no names and its label neither; a zip file holds nothing but the model."""
    model = DiffusionGenerator(hidden_sizes=(8,), max_steps=2, random_state=0)
    path = str(place.folder / "m.zip")
    model.fit(rng.normal(size=(30, 2)), np.array(["no", "yes"])[np.arange(30) % 2]).save(path)
    _, out, _ = place.run("sample", path, "--label", "yes=2", "-o", "-")
    table = pd.read_csv(io.StringIO(out))
    assert list(table.columns) == ["x0", "x1", "label"]
    assert table["label"].tolist() == ["yes", "yes"]
    status, out, _ = place.run("info", path)
    assert status == 0
    assert "DiffusionGenerator" in out


def test_series_are_refused(place: Workplace, rng: np.random.Generator) -> None:
    model = DiffusionGenerator(hidden_sizes=(4,), max_steps=1, random_state=0)
    model.fit(rng.normal(size=(8, 1, 16))).save(place.folder / "m")
    assert "does not draw rows of a table" in place.refused("info", "@m")


def test_layout_belongs_to_the_model(model: str) -> None:
    assert sorted(path.suffix for path in Path(model).iterdir()) == [".json", ".json", ".safetensors"]
