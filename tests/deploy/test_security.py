"""SECURITY.md names what is there: each mitigation its file, each row a letter of STRIDE, options of the schema."""

import re
from pathlib import Path

from proxy.config.options import all_options
from proxy.config.schema import Config

CLONE = Path(__file__).parents[2]
TEXT = (CLONE / "SECURITY.md").read_text()
ROWS = re.findall(r"^\|([^|]*)\| ([STRIDE]) \|([^|]*)\|([^|]*)\|([^|]*)\|$", TEXT, re.MULTILINE)


def test_each_mitigation_has_its_file() -> None:
    assert len(ROWS) > 30
    assert {letter for _, letter, *_ in ROWS} == set("STRIDE")
    for _, _, threat, done, where in ROWS:
        files = re.findall(r"`([^`]+)`", where)
        assert files, threat
        assert done.strip(), threat
        assert [name for name in files if not (CLONE / name).is_file()] == [], threat


def test_no_row_is_written_otherwise() -> None:
    table = TEXT.partition("## Threats")[2].partition("## What is out of scope")[0]
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == len(ROWS) + 1, "and its head"


def test_options_that_it_names_are_there() -> None:
    known = {".".join(option.path).replace(".[]", "[]") for option in all_options(Config)}
    named = set(re.findall(r"`([a-z_]+(?:\[\])?\.[a-z_]+(?:\.[a-z_]+)*)`", TEXT))
    assert len(named) > 5
    assert [name for name in named if name not in known and not name.endswith((".md", ".service"))] == []
