"""The files of a report: `index.html`, `report.md`, and each chart as SVG and PNG."""

from pathlib import Path
from typing import Final

from proxy.bench.report.document import Document, markdown
from proxy.bench.report.page import page

PAGE: Final = "index.html"
TEXT: Final = "report.md"


def write(found: Document, folder: Path) -> list[Path]:
    """Into a folder, which is made; what else lies there is left alone. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {PAGE: page(found).encode(), TEXT: markdown(found).encode()}
    for section in found.sections:
        for chart in section.charts:
            files |= {f"{chart.name}.svg": chart.svg, f"{chart.name}.png": chart.png}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]
