"""A report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sktgdp.report._figures import Figure, Section
from sktgdp.report._pictures import Picture
from sktgdp.report._text import number

__all__ = ["report_body", "report_page"]

MAX_COLUMNS = 100
MARKS = {"good": "✓ good", "fair": "○ fair", "concern": "! concern", "unknown": "– unknown"}
BEST = {"low": "lower is better", "high": "higher is better", "0.5": "½ is best", "1": "1 is best"}

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 64rem; background: #fff; color: #1b1b1b;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .2rem; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
.question, .note, figcaption { color: #555; }
.note, figcaption { font-size: .88rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1.2rem 0; padding: 0; list-style: none; }
.cards li { border: 1px solid #d5d5d5; border-left: .4rem solid #777; border-radius: .4rem;
  padding: .6rem .8rem; }
.cards a { color: inherit; font-weight: 600; text-decoration: none; display: block; }
.cards .good { border-left-color: #009e73; } .cards .fair { border-left-color: #e69f00; }
.cards .concern { border-left-color: #d55e00; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .94rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #e2e2e2; }
thead th { font-size: .82rem; color: #555; font-weight: 600; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 8rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
small { color: #666; display: block; font-weight: 400; }
.tag { display: inline-block; white-space: nowrap; border-radius: .8rem; padding: .05rem .6rem;
  font-size: .85rem; }
.tag.good { background: #d9f2ea; color: #00543d; } .tag.fair { background: #fdf0d2; color: #6b4a00; }
.tag.concern { background: #fbe0d2; color: #7a3300; } .tag.unknown { background: #eee; color: #444; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
@media (max-width: 40rem) {
  body { padding: 1rem; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  tr { border-bottom: 1px solid #d5d5d5; padding: .5rem 0; }
  th, td, td.number { border: 0; padding: .1rem 0; text-align: left; }
  td.number { display: inline-block; margin-right: 1.2rem; }
  td.number::before { content: attr(data-label) " "; color: #666; font-size: .82rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; }
  tr, figure, .cards li { break-inside: avoid; } h2 { break-after: avoid; }
  .tag { border: 1px solid #999; }
}
"""


def report_page(title: str, body: str) -> str:
    """A whole document around a body."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def report_body(
    title: str,
    lead: str,
    sections: Sequence[Section],
    columns: Sequence[Figure],
    notes: Sequence[str],
    pictures: Sequence[Picture],
) -> str:
    """Heading, a card for each section, the sections with their pictures, the columns, the notes."""
    parts = ["<header>", f"<h1>{escape(title)}</h1>", f"<p>{escape(lead)}</p>", "</header>", "<main>"]
    parts += ['<ul class="cards">', *(_card(section) for section in sections), "</ul>"]
    for section in sections:
        parts += [*_opening(section.name, section.question), _table(section.figures)]
        parts += [f'<p class="note">{escape(note)}</p>' for note in section.notes]
        parts += [*_pictures(pictures, section.name), "</section>"]
    parts += _opening("Columns", "How far is each column by itself, from 0 (equal) to 1?")
    parts += _pictures(pictures, "Columns")
    parts.append(_table(columns[:MAX_COLUMNS]))
    if len(columns) > MAX_COLUMNS:
        n_more = len(columns) - MAX_COLUMNS
        parts.append(f'<p class="note">{n_more} columns with smaller distances are not listed.</p>')
    parts.append("</section>")
    if notes:
        listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts += [*_opening("Notes", "What went into this report?"), f"<ul>{listed}</ul></section>"]
    return "\n".join([*parts, "</main>"])


def _opening(name: str, question: str) -> list[str]:
    key = name.lower()
    heading = f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(name)}</h2>'
    return [heading, f'<p class="question">{escape(question)}</p>']


def _card(section: Section) -> str:
    key, text = section.name.lower(), section.summary or "no figures"
    return f'<li class="{section.verdict}"><a href="#{key}">{escape(section.name)}</a>{escape(text)}</li>'


def _table(figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    numbers = "".join(f'<th scope="col" class="number">{name}</th>' for name in ("synthetic", "real"))
    head = f'<th scope="col">figure</th>{numbers}<th scope="col">verdict</th><th scope="col">in words</th>'
    rows = "\n".join(_row(figure) for figure in figures)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>'


def _row(figure: Figure) -> str:
    hint = figure.key if figure.key in ("number", "time", "category") else BEST[figure.best]
    return (
        f'<tr><th scope="row">{escape(figure.name)}<small>{hint}</small></th>'
        f'<td class="number" data-label="synthetic">{number(figure.value)}</td>'
        f'<td class="number" data-label="real">{number(figure.reference)}</td>'
        f'<td><span class="tag {figure.verdict}">{MARKS[figure.verdict]}</span></td>'
        f"<td>{escape(figure.words)}</td></tr>"
    )


def _pictures(pictures: Sequence[Picture], section: str) -> list[str]:
    return [
        f'<figure><img src="{picture.data}" alt="{escape(picture.alt, quote=True)}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
        for picture in pictures
        if picture.section == section
    ]
