"""The examples and the code in the texts run as they stand, each training cut to two steps."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from doc_pages import source_pages

from sktgdp.estimators._training.objectives import GUIDANCE_LOSSES
from sktgdp.estimators._training.settings import TrainingSettings
from sktgdp.solvers import SOLVERS

ROOT = Path(__file__).resolve().parents[1]
# Trainings of two steps leave sampling and scoring, which are much here; `make docs` runs these whole.
SLOW = {"plot_ablation", "plot_augmented_classifier", "plot_engine_noise", "plot_grid_search"} | {
    "docs/augmentation.md",
    "docs/weights.md",
}


def cases(names: list[str]) -> list[Any]:
    """Parameters of a test, the slow ones marked."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "demo")
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in source_pages(ROOT / "docs", ".md"))]
TEXTS = [page for page in PAGES if "```python\n" in (ROOT / page).read_text("utf-8")]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cut every training to one epoch of two steps, and work in an empty folder."""
    monkeypatch.setattr(TrainingSettings, "n_epochs", property(lambda settings: 1))
    monkeypatch.setattr(TrainingSettings, "steps_per_epoch", property(lambda settings: 2))
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _tables_as_they_were() -> Iterator[None]:
    """The pages on contributing add a loss and a solver; no other test shall see these."""
    tables: list[dict[str, Any]] = [GUIDANCE_LOSSES, SOLVERS]
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.mark.parametrize("name", cases(EXAMPLES))
def test_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    assert "nan" not in capsys.readouterr().out


def test_demo_prints_a_table_and_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = runpy.run_path(str(ROOT / "examples" / "demo.py"))
    demo["main"](["--draws", "2", "--steps", "2", "--output", "picture.png"])
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith(demo["GENERATORS"])]
    assert [len(re.findall(r"\d\.\d{3} ± \d", row)) for row in rows] == [3] * len(demo["GENERATORS"])
    assert "nan" not in printed
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize("text", cases(TEXTS))
def test_code_in_texts_runs(text: str) -> None:
    """The python blocks of one text, one after the other, as a reader would type them."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / text).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for i, block in enumerate(blocks):
        exec(compile(block, f"{text}, block {i + 1}", "exec"), names)


@pytest.mark.parametrize("text", PAGES)
def test_links_lead_somewhere(text: str) -> None:
    """Files exist, and so do the headings that links point to."""
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / text).read_text("utf-8"))
    assert [link for link in links if not _leads_somewhere(ROOT / text, link)] == []


def _leads_somewhere(source: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = source.parent / path if path else source
    if target.parent.name == "auto_examples":  # made at build from the script of the same name
        target = ROOT / "examples" / target.with_suffix(".py").name.replace("index.py", "README.rst")
    if not target.exists() or not anchor:
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
