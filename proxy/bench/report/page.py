"""A report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from collections.abc import Iterator
from html import escape
from typing import Final

from proxy.bench.report.document import Document, Section
from proxy.bench.report.drawing import Chart
from proxy.bench.report.tables import Table

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #17211f; --soft: #52605e; --line: #dbe2e1; --ground: #fff; --pale: #f5f8f7;
  --good: #2f7d4f; --bad: #b03a2e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eceb; --soft: #9dabaa; --line: #2a3538; --ground: #12181a;
  --pale: #1a2224; --good: #6cc391; --bad: #f08a7c; } }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; } .soft { color: var(--soft); }
.warning { border-left: 4px solid var(--bad); padding: .5rem .75rem; background: var(--pale); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
figure { margin: 1rem 0; padding: .75rem; border: 1px solid var(--line); border-radius: 8px; background: #fff; }
figure svg { max-width: 100%; height: auto; display: block; margin: 0 auto; }
.list td { white-space: normal; text-align: left; vertical-align: top; } .yes { color: var(--good); }
.no { color: var(--bad); font-weight: 600; }
@media print { body { max-width: none; } figure { break-inside: avoid; } }
"""


def page(found: Document) -> str:
    """As text."""
    return "\n".join(_parts(found)) + "\n"


def _parts(found: Document) -> Iterator[str]:
    title = escape(found.title)
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f'<h1>{title}</h1>\n<p class="soft">{escape(found.summary)}</p>'
    for warning in found.warnings:
        yield f'<p class="warning">{escape(warning)}</p>'
    for section in found.sections:
        yield from _section(section)
    yield "<h2>What these numbers hang on</h2>"
    yield '<div class="scroll"><table class="list">'
    for item in found.checklist:
        mark = '<td class="yes">✓</td>' if item.is_there else '<td class="no">✗</td>'
        yield f"<tr>{mark}<td>{escape(item.name)}</td><td>{escape(item.said)}</td></tr>"
    yield "</table></div>"
    made = escape(", ".join(found.sources))
    yield f'<p class="soft">Made of {made}. A range holds the true value in 95 of 100 cases.</p>\n</body>\n</html>'


def _section(section: Section) -> Iterator[str]:
    yield f"<h2>{escape(section.title)}</h2>"
    for chart in section.charts:
        yield _figure(chart)
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield f"<h3>{escape(table.title)}</h3>"
    yield '<div class="scroll"><table>'
    yield f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in table.header)}</tr>"
    for row in table.rows:
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
    yield "</table></div>"
    for note in table.notes:
        yield f'<p class="soft">{escape(note)}</p>'


def _figure(chart: Chart) -> str:
    """The SVG itself; ids are made its own, since several stand in one page."""
    text = chart.svg.decode()
    text = text[text.index("<svg") :]
    for reference in ('id="', 'href="#', "url(#"):
        text = text.replace(reference, f"{reference}{chart.name}-")
    return f'<figure role="img" aria-label="{escape(chart.alt)}">{text}</figure>'
