"""The README's pictures of the page: there, small, in no wheel and no image, and made anew by one command."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import proxy
from tests.page.pictures import FOLDER, MOST_B, PICTURES, SCALE

CLONE = Path(__file__).parents[2]
README = (CLONE / "README.md").read_text()


def test_they_are_small_and_what_the_command_makes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{one.name}.png" for one in PICTURES}
    for one in PICTURES:
        path = FOLDER / f"{one.name}.png"
        assert path.stat().st_size <= MOST_B, one.name
        with Image.open(path) as image:
            assert image.mode == "P"
            if one.part is None:
                assert image.size == (one.width * SCALE, one.height * SCALE)


def test_wheel_and_image_do_not_hold_them() -> None:
    """Both are made of `proxy` alone."""
    assert not FOLDER.is_relative_to(Path(proxy.__file__).parent)
    assert "!tests" not in (CLONE / ".dockerignore").read_text()


def test_the_readme_shows_them_in_both_schemes_and_in_words() -> None:
    (shown,) = re.findall(r"<picture>.*?</picture>", README, re.DOTALL)
    names = re.findall(r'(?:srcset|src)="tests/page/pictures/([^"]+)"', shown)
    assert names == ["page-dark.png", "page-light.png"]
    assert "prefers-color-scheme: dark" in shown
    assert re.search(r'alt="[^"]{40,}"', shown)
    linked = set(re.findall(r"tests/page/pictures/([\w-]+)\.png", README))
    assert linked <= {one.name for one in PICTURES}


@pytest.mark.slow
def test_one_command_makes_them_anew(browser: object, tmp_path: Path) -> None:
    """A short demo: what is in them is another matter."""
    command = [sys.executable, "-m", "tests.page.pictures", str(tmp_path), "--after", "8"]
    done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert "TOO LARGE" not in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {f"{one.name}.png" for one in PICTURES}
