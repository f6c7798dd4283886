"""Decision records are read, so they are short: findings and logs stand beside the benchmarks."""

import re
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).parents[2] / "proxy" / "decisions").glob("*.md"))
MOST_LINES = 42


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_is_short_and_leads_where_it_says(record: Path) -> None:
    text = record.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert re.match(r"# 0*(\d+)[:.] \S", text), "a title with its number"
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (record.parent / target).exists(), target
