"""The page: self-contained, escaped, and whole in a browser."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from sktgdp.report import QualityReport

NAME = "<script>document.title='broken'</script> 種族 & \"x\""
SECTIONS = ["Fidelity", "Diversity", "Utility", "Privacy", "Columns", "Notes"]
MEASURE = """<script>
window.addEventListener("load", () => {
  const seen = [...document.images].map(i => [i.naturalWidth, i.clientWidth, i.clientHeight].join("x"));
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  const requests = performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length;
  document.body.dataset.seen = seen.join(" ");
  document.body.dataset.wide = wide;
  document.body.dataset.requests = requests;
});
</script>"""


class Elements(HTMLParser):
    """Start tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


@pytest.fixture(scope="module")
def report() -> QualityReport:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 3)), columns=[NAME, "b", "c"])
    y = (X["b"] > 0).map({True: "<b>", False: "no"})
    options = {"y_real": y[:60], "y_synthetic": y[60:], "title": NAME, "n_repeats": 1}
    return QualityReport(X[:60], X[60:], **options)


@pytest.fixture(scope="module")
def page(report: QualityReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.to_html(tmp_path_factory.mktemp("report") / "report.html")


def test_user_text_is_escaped(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not [tag for tag, _ in elements(text) if tag == "script"]
    assert html.escape(NAME) in text
    assert "種族" in text


def test_nothing_is_fetched(page: Path) -> None:
    text = page.read_text("utf-8")
    addresses = [a for _, attrs in elements(text) for key, a in attrs.items() if key in ("src", "href")]
    assert addresses
    assert all(a is not None and a.startswith(("data:", "#")) for a in addresses)
    assert "url(" not in text
    assert "@import" not in text


def test_pictures_are_described_and_sections_named(page: Path) -> None:
    text = page.read_text("utf-8")
    pictures = [attrs for tag, attrs in elements(text) if tag == "img"]
    assert len(pictures) == 3
    assert all(len(attrs["alt"] or "") > 30 for attrs in pictures)
    assert re.findall(r"<h2[^>]*>(\w+)</h2>", text) == SECTIONS
    ids = {attrs["id"] for _, attrs in elements(text) if "id" in attrs}
    links = {attrs["href"] for tag, attrs in elements(text) if tag == "a"}
    assert {link.lstrip("#") for link in links if link} <= ids


def test_equal_reports_make_equal_pages(report: QualityReport, page: Path, tmp_path: Path) -> None:
    assert report.to_html(tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_notebooks_get_the_page_in_a_frame(report: QualityReport, page: Path) -> None:
    (frame,) = elements(report._repr_html_())
    assert frame[0] == "iframe"
    assert frame[1]["srcdoc"] == page.read_text("utf-8")


@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_everything(page: Path, tmp_path: Path, width: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    watched = tmp_path / "watched.html"
    watched.write_text(page.read_text("utf-8").replace("</head>", MEASURE + "</head>"), encoding="utf-8")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", f"--window-size={width},900", "--virtual-time-budget=5000", "--dump-dom",
        watched.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ":CONSOLE" not in done.stderr
    shown = elements(done.stdout)
    body = next(attrs for tag, attrs in shown if tag == "body")
    sizes = [tuple(map(int, each.split("x"))) for each in (body["data-seen"] or "").split()]
    assert len(sizes) == 3
    assert all(min(size) > 100 for size in sizes)
    assert body["data-wide"] == "false"
    assert body["data-requests"] == "0"
    assert html.escape("<script>document.title", quote=False) in done.stdout
    assert re.search(r"<title>broken</title>", done.stdout) is None
