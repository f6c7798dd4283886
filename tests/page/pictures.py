"""Takes the pictures of the page that the README shows: light, dark, and as a phone shows it.

    python -m tests.page.pictures [FOLDER]      four minutes; needs Chromium; `tests/page/pictures` unless told

The demo plays meanwhile, normal and then at twice the load, so that there is something to see. All pictures are of
one moment. Owns what is in a picture, and how large its file may be.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.page.conftest import CHROMIUM, until

FOLDER = Path(__file__).parent / "pictures"
MOST_B = 150_000
SCENES = (*["normal"] * 4, "twice")
LOAD = "1.4"
"""Times a scene's own load: some have to wait."""
PLAYED_S = 220
"""After so long the picture is taken: the charts are full, half of it normal and half of it not."""
COLORS = 128
"""Of a picture's palette: text stays sharp, and files small."""
DEMO = "from proxy.cli.main import main; raise SystemExit(main())"


class Picture(NamedTuple):
    """One file; sizes in CSS pixels."""

    name: str
    scheme: str
    width: int
    height: int
    part: str | None = None
    """Selector of the element that alone is in the picture, after a click on the newest decision."""


PICTURES = (
    Picture("page-light", "light", 1280, 1010),
    Picture("page-dark", "dark", 1280, 1010),
    Picture("phone-light", "light", 390, 844),
    Picture("phone-dark", "dark", 390, 844),
    Picture("decision-light", "light", 1280, 1010, "#detail"),
    Picture("decision-dark", "dark", 1280, 1010, "#detail"),
)
SCALE = 1.5
"""Pixels of a file for one of CSS."""


def main() -> int:
    """Plays the demo and takes all of them."""
    parser = argparse.ArgumentParser(description="Take the pictures of the page that the README shows.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--after", type=float, metavar="SECONDS", default=PLAYED_S, help="(default: %(default)g)")
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    with _demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1280, "height": 1010}, device_scale_factor=SCALE, reduced_motion="reduce"
        )
        page.goto(url)
        page.wait_for_selector("html[data-ready]")
        time.sleep(options.after)
        until(page, "document.getElementById('live').textContent.trim() === 'live'")
        page.evaluate("feed.close(); feed.look = () => {}")
        for one in PICTURES:
            kept = _packed(_taken(page, one))
            (folder / f"{one.name}.png").write_bytes(kept)
            print(f"{one.name}.png: {len(kept):,} bytes{', TOO LARGE' if len(kept) > MOST_B else ''}", flush=True)
        browser.close()
    return 0


def _taken(page: Page, picture: Picture) -> bytes:
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.emulate_media(color_scheme=picture.scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    if picture.part and not page.locator(picture.part).is_visible():
        page.click("#decision-rows tr:first-child button")
        page.wait_for_selector(f"{picture.part} .stack")
    for _ in range(2):
        page.evaluate("new Promise(requestAnimationFrame)")
    return page.locator(picture.part).screenshot() if picture.part else page.screenshot()


def _packed(png: bytes) -> bytes:
    """The same picture with a palette."""
    out = BytesIO()
    image = Image.open(BytesIO(png)).convert("RGB")
    image.quantize(COLORS, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


@contextmanager
def _demo() -> Iterator[str]:
    """URL of the page of a demo."""
    options = ["--load", LOAD] + [word for scene in SCENES for word in ("--scene", scene)]
    command = [sys.executable, "-c", DEMO, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"live page +(\S+)", process.stdout.readline())
        assert found, "the demo did not start"
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    sys.exit(main())
