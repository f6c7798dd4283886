"""The page of engines says what the last run found, of every case that a test shows."""

import re
from pathlib import Path

from tests.engines.compatibility import CASES, TOGETHER, main, page

ENGINES = Path(__file__).parents[1] / "engines"


def test_it_is_of_the_last_run() -> None:
    assert main(["--check"]) == 0, "python -m tests.engines.compatibility"


def test_every_case_has_its_row() -> None:
    text = "".join(path.read_text() for path in ENGINES.glob("test_*.py"))
    marked = set(re.findall(r'mark\.case\("([^"]+)"\)', text))
    assert marked == set(CASES) | set(TOGETHER)


def test_what_failed_is_said() -> None:
    cases = {"chat": {"outcome": "failed", "tests": 1}, "tools": {"outcome": "skipped", "tests": 1, "why": "has none"}}
    text = page({"vllm": {"version": "1", "date": "2026-01-01", "cases": cases}})
    assert "| chat: parts, stop, both names of the limit | **no** |" in text
    assert "| tools: required, named, streamed | not offered (1) |" in text
    assert "1. It has none.\n" in text
    assert "| JSON schema | not tried |" in text
