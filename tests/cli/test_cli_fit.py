"""``sktgdp fit``: tables in, a saved model out, or one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from workplace import Workplace, people

from sktgdp import load

FIT = ("fit", "@source.csv", "@target.csv", "--model", "@m")
QUICK = ("--max-steps", "1")


def test_summary(place: Workplace) -> None:
    status, out, err = place.run(*FIT, "--label", "sick", *QUICK, "--eta-cycle", "0")
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["Source"].endswith("source.csv: 60 rows; 30 of 0, 30 of 1")
    assert lines["Target"].endswith("target.csv: 20 rows; 10 of 0, 10 of 1")
    assert lines["Columns"] == "3: age, city, height"
    assert lines["Label"] == "sick: 0 50%, 1 50%"
    fitted = load(place.folder / "m")
    assert fitted.eta_cycle == 0
    assert f"effective sample size {fitted.effective_sample_size_:.1f}" in lines["Overlap"]
    assert lines["Weights"].startswith(f"eta_cycle 0, eta_consistency {fitted.eta_consistency_:.3g}")
    assert lines["Model"] == str(place.folder / "m")


def test_parquet_without_labels_and_quiet(place: Workplace) -> None:
    for name in ("source", "target"):
        pd.read_csv(place.folder / f"{name}.csv").to_parquet(place.folder / f"{name}.parquet")
    files = ("@source.parquet", "@target.parquet", "--model", "@m")
    assert place.run("fit", *files, "--drop", "sick", "--quiet", *QUICK) == (0, "", "")
    assert list(load(place.folder / "m").form_.columns) == ["age", "city", "height"]


def test_columns_match_by_name(place: Workplace) -> None:
    """Another order, row numbers, and reals where the source has integers make no difference."""
    target = people(20, 1)[["height", "sick", "city", "age"]].assign(age=lambda f: f["age"] + 0.5)
    target.to_csv(place.folder / "target.csv")
    status, _, err = place.run(*FIT, "--label", "sick", *QUICK)
    assert status == 0
    assert "left out the first column, which has no name" in err


def test_rows_with_missing_values(place: Workplace) -> None:
    target = people(20, 1).astype({"age": object})
    target.loc[[2, 5], "age"] = "?"
    target.to_csv(place.folder / "target.csv", index=False)
    fit = (*FIT, "--label", "sick")
    message = place.refused(*fit)
    assert "Column 'age' holds numbers in source.csv and '?' in target.csv" in message
    assert "name it: --missing '?'; or" in message
    message = place.refused(*fit, "--missing", "?")
    assert "target.csv: Column 'age' has missing values; it had none in " in message
    assert "--drop-missing" in message
    status, out, err = place.run(*fit, "--missing", "?", "--drop-missing", *QUICK)
    assert (status, err) == (0, f"{place.folder}/target.csv: left out 2 of 20 rows with missing values.\n")
    assert "target.csv: 18 rows" in out


COLUMNS: list[tuple[str, dict[str, Any], str]] = [
    (
        "target",
        {"height": [None, *[1.0] * 19]},
        "had none in source.csv. Leave such rows out with --drop-missing",
    ),
    ("target", {"city": "Rom"}, "in source.csv: ['Rom']. Leave these rows out, or the column with --drop"),
    ("source", {"height": np.nan}, "there is nothing to learn from. Leave it out with --drop."),
]


@pytest.mark.parametrize(("name", "change", "message"), COLUMNS)
def test_remedies_for_columns(place: Workplace, name: str, change: dict[str, Any], message: str) -> None:
    """They are those of the command line, in the place of those for Python."""
    table = people(60 if name == "source" else 20, 1).assign(**change)
    table.to_csv(place.folder / f"{name}.csv", index=False)
    found = place.refused(*FIT, "--label", "sick")
    assert message in found
    assert "Fill them in" not in found
    assert "CategoricalDtype" not in found


def test_missing_values_are_learned(place: Workplace) -> None:
    """Integers with missing values stay integers."""
    for name, n_rows in (("source", 60), ("target", 20)):
        table = people(n_rows, 3).drop(columns="sick")
        table["age"] = table["age"].where(np.arange(n_rows) % 4 > 0)
        table.to_csv(place.folder / f"{name}.csv", index=False)
    assert place.run(*FIT, *QUICK)[0] == 0
    assert place.run("sample", "@m", "-n", "40", "-o", "@s.parquet")[0] == 0
    assert pd.read_parquet(place.folder / "s.parquet")["age"].dtype == "Int64"


def test_checkpoint_goes_on_and_refuses_another_fit(place: Workplace) -> None:
    fit = (*FIT, "--label", "sick", *QUICK, "--checkpoint", "@state")
    assert place.run(*fit)[0] == 0
    first = load(place.folder / "m").sample(3, random_state=0)[0]
    assert place.run(*fit, "--force")[0] == 0
    pd.testing.assert_frame_equal(load(place.folder / "m").sample(3, random_state=0)[0], first)
    assert "other are: " in place.refused(*fit, "--force", "--seed", "1")


WRONG = [
    (["--label", "Sick"], "source.csv has no column 'Sick'. Did you mean 'sick'?"),
    (["--label", "x"], "There are: 'age', 'city', 'sick', 'height'."),
    (["--drop", "hight"], "--drop hight: no such column. Did you mean 'height'?"),
    (["--label", "sick", "--drop", "sick"], "--drop leaves out 'sick', which --label names"),
    (["--max-steps", "20", "--lr", "100"], "The fit has diverged"),
    (["--label", "height"], "column height: holds continuous values"),
    (["--model", "@m.zip"], "give the name of a folder"),
    (["--model", "@source.csv"], "source.csv exists. Choose another name, or overwrite it with --force."),
    (["--model", "@", "--force"], "is no model, and is left as it is"),
    (["--device", "abacus"], "device='abacus' is not there; this machine has 'cpu'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_wrong_options(place: Workplace, options: list[str], message: str) -> None:
    assert message in place.refused(*FIT, *options)
    assert sorted(path.name for path in place.folder.iterdir()) == ["source.csv", "target.csv"]


FILES = [
    ("", "is empty. The first line must name the columns."),
    ("age,city,sick,height\n", "has no rows"),
    ("age,city,age,height\n1,Lima,0,1\n", "has several columns of one name: age"),
    ("age,city\n1,Lima,0,1\n", "its rows have more values than its first line has names"),
    ("age,city,sick\n1,Lima,0\n", "target.csv lacks 'height' of source.csv"),
    ("age,city,sick,height,a b\n1,Lima,0,1,1\n", "or leave them out: --drop 'a b'"),
    (
        "age,city,sick,height\n1,Rome,0,1\n2,Lima,1,1\n",
        "source.csv: ['Rome']. Leave these rows out",
    ),
    ("age,city,sick,height\n1,Lima,2,1\n2,Lima,1,1\n", "labels that the model has not seen: [2]"),
    ("age,city,sick,height\n1,Lima,,1\n2,Lima,1,1\n", "1 rows have no 'sick'"),
    ('age,city,sick,height\n1,"Lima,0,1\n', "cannot be read as CSV"),
    ("age;city;sick;height\n1;Lima;0;1\n", "as if its values were separated by ';' instead of commas"),
    ("age,city,sick,height\n1,Lima,,1\n2,Lima,,1\n", "2 rows have no 'sick'"),
    (
        "age,city,sick,height\n1,,0,1\n2,,1,1\n",
        "target.csv is empty. Fill it in, or leave it out",
    ),
]


@pytest.mark.parametrize(("text", "message"), FILES)
def test_wrong_files(place: Workplace, text: str, message: str) -> None:
    (place.folder / "target.csv").write_text(text)
    assert message in place.refused(*FIT, "--label", "sick", *QUICK)
    assert not (place.folder / "m").exists()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("nothing.csv", None, "nothing.csv does not exist"),
        ("table.xlsx", b"PK", "the name must end in one of .csv, .csv.gz"),
        ("table.parquet", b"PAR1", "cannot be read as Parquet"),
        ("table.csv", "città\nè\n".encode("latin-1"), "is not UTF-8 text"),
        ("table.csv.gz", b"no gzip", "cannot be read as CSV"),
    ],
)
def test_unreadable_files(place: Workplace, name: str, data: bytes | None, message: str) -> None:
    if data is not None:
        (place.folder / name).write_bytes(data)
    assert message in place.refused("fit", f"@{name}", "@target.csv", "--model", "@m")


def test_debug_shows_where(place: Workplace) -> None:
    status, _, err = place.run(*FIT, "--label", "height", "--debug")
    assert status == 1
    assert "Traceback" in err


@pytest.mark.parametrize(
    "options", [["--eta-cycle", "-1"], ["--eta-consistency", "many"], ["--max-steps", "0"], ["--what"]]
)
def test_usage(place: Workplace, options: list[str]) -> None:
    status, out, err = place.run(*FIT, *options)
    assert (status, out) == (2, "")
    assert "Usage: sktgdp fit" in err


def test_a_model_is_overwritten_on_demand(place: Workplace, model: str) -> None:
    message = place.refused("fit", "@source.csv", "@target.csv", "--model", model)
    assert "overwrite it with --force" in message
    assert (Path(model) / "model.json").is_file()


def test_rate(place: Workplace) -> None:
    assert place.run(*FIT, *QUICK, "--lr", "0.0005")[0] == 0
    fitted = load(place.folder / "m")
    assert (fitted.lr, fitted.source_model.lr, fitted.domain_classifier.lr) == (0.0005,) * 3
    for text in ("0", "nan"):
        assert "'lr' parameter" in place.refused(*FIT, "--lr", text, "--force")
