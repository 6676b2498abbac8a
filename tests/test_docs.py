"""The documentation is whole: every public name is in the reference, every page in a table of contents."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from doc_pages import source_pages

import sktgdp

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def public_modules() -> list[str]:
    """The package and its public rooms; what lies deeper in a room is reached through it."""
    rooms = [module.name for module in pkgutil.iter_modules(sktgdp.__path__)]
    return ["sktgdp", *(f"sktgdp.{name}" for name in rooms if not name.startswith("_"))]


def documented() -> dict[str, set[str]]:
    """Names by module, as the pages of the reference list them."""
    found: dict[str, set[str]] = {}
    for page in source_pages(DOCS / "api", ".rst"):
        text = page.read_text("utf-8")
        if module := re.search(r"^\.\. currentmodule:: (\S+)$", text, re.MULTILINE):
            found[module[1]] = set(re.findall(r"^   (\w+)$", text, re.MULTILINE))
    return found


@pytest.mark.parametrize("module", public_modules())
def test_reference_lists_every_public_name(module: str) -> None:
    """What one room hands on to another is listed where users import it."""
    listed = ((importlib.import_module(place), names) for place, names in documented().items())
    named = {id(getattr(place, name)) for place, names in listed for name in names}
    room = importlib.import_module(module)
    assert [name for name in room.__all__ if id(getattr(room, name)) not in named] == []


@pytest.mark.parametrize("module", sorted(documented()))
def test_reference_lists_only_public_names(module: str) -> None:
    assert sorted(documented()[module] - set(importlib.import_module(module).__all__)) == []


def test_every_page_is_in_a_table_of_contents() -> None:
    files = [*source_pages(DOCS, ".md"), *source_pages(DOCS, ".rst")]
    pages = {file.relative_to(DOCS).with_suffix("") for file in files}
    listed = {page for path in pages for page in _table_of_contents(path)}
    assert sorted(map(str, pages - listed - {Path("index")})) == []


def _table_of_contents(page: Path) -> set[Path]:
    """Pages below this one, from the ``toctree`` directives of MyST or of reStructuredText."""
    file = next(path for suffix in (".md", ".rst") if (path := DOCS / f"{page}{suffix}").exists())
    text, found = file.read_text("utf-8"), set()
    blocks = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"^\.\. toctree::\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    for line in "\n".join(blocks).splitlines():
        entry = re.sub(r"^.*<(.*)>$", r"\1", line.strip())
        if entry and not entry.startswith(":"):
            matches = DOCS.glob((page.parent / f"{entry}.*").as_posix())
            found |= {path.relative_to(DOCS).with_suffix("") for path in matches}
    return found


def test_gallery_is_in_reading_order() -> None:
    """Every script has its place in the order, and no place is empty."""
    source = (DOCS / "_ext" / "gallery_order.py").read_text("utf-8")
    order = re.findall(r'^    "(\w+)",$', source, re.MULTILINE)
    scripts = [path.stem.removeprefix("plot_") for path in (ROOT / "examples").glob("plot_*.py")]
    assert sorted(order) == sorted(scripts)
