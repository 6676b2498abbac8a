"""``sktgdp report``: two tables in, figures and a page out."""

from __future__ import annotations

import numpy as np
import pytest
from workplace import Workplace, people

REPORT = ("report", "@target.csv", "@synthetic.csv")


@pytest.fixture
def tables(place: Workplace) -> Workplace:
    people(40, 1).to_csv(place.folder / "target.csv", index=False)
    people(40, 2)[["sick", "height", "age", "city"]].to_csv(place.folder / "synthetic.csv", index=False)
    return place


def test_page(tables: Workplace) -> None:
    status, out, err = tables.run(*REPORT, "--label", "sick", "-o", "@report.html")
    assert (status, err) == (0, f"The page is {tables.folder / 'report.html'}\n")
    assert "40 synthetic rows, 40 real training rows" in out
    for section in ("Fidelity", "Diversity", "Utility", "Privacy"):
        assert section in out
    page = (tables.folder / "report.html").read_text(encoding="utf-8")
    assert "on the command line --holdout" in " ".join(out.split())
    assert "on the command line --holdout" in page
    assert page.lower().startswith("<!doctype html>")
    assert "Fidelity" in page
    assert [path.name for path in tables.folder.glob(".*")] == []


def test_holdout_without_labels(tables: Workplace) -> None:
    people(30, 5).to_csv(tables.folder / "new.csv", index=False)
    status, out, err = tables.run(*REPORT, "--drop", "sick", "--holdout", "@new.csv")
    assert (status, err) == (0, "")
    assert "held-out" in out
    assert "Utility" not in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "@report.pdf"], "the name must end in .html"),
        (["-o", "@target.csv"], "the name must end in .html"),
        (["--label", "sik"], "Did you mean 'sick'?"),
        (["--drop", "height", "--holdout", "@nothing.csv"], "nothing.csv does not exist"),
    ],
)
def test_wrong_options(tables: Workplace, options: list[str], message: str) -> None:
    assert message in tables.refused(*REPORT, *options)


def test_too_few_rows(tables: Workplace) -> None:
    people(3, 2).to_csv(tables.folder / "synthetic.csv", index=False)
    assert "synthetic.csv" in tables.refused(*REPORT)


def test_missing_values_on_one_side(tables: Workplace) -> None:
    table = people(40, 2)
    table.loc[3, "height"] = np.nan
    table.to_csv(tables.folder / "synthetic.csv", index=False)
    status, out, err = tables.run(*REPORT, "--drop-missing", "-q")
    assert (status, out) == (0, "")
    assert "left out 1 of 40 rows" in err
