"""The last decisions."""

from typing import Any

import pytest

from proxy.report.screen.verdicts import decisions, outcome
from tests.unit.report.screen.documents import decision, status


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "kept"),
        ({"missed": ["ttft", "e2e"]}, "late TTFT, E2E"),
        ({"verdict": "shed"}, "refused"),
        ({"verdict": "failed", "missed": ["ttft"]}, "failed"),
        ({"verdict": "cancelled"}, "client left"),
        ({"verdict": "other"}, "other"),
    ],
)
def test_how_it_ended(more: dict[str, Any], words: str) -> None:
    assert outcome(decision(1, **more)).plain == words


def test_the_newest_first_with_the_reason() -> None:
    section = decisions(status(), 120)
    head, late, refused, _ = (line.plain for line in section.lines(section.wanted))
    assert head.startswith("ENDED")
    assert late.rstrip().endswith("late TTFT")
    assert refused.split()[3:5] == ["\N{EN DASH}", "ttft"]
    assert decisions(status(), 120, notable=True).lines(9)[0].plain.startswith("NOTABLE")


def test_in_a_narrow_terminal_notable_ones_say_how_long_they_waited() -> None:
    usual, notable = (decisions(status(), 80, notable=wanted).lines(2)[0].plain for wanted in (False, True))
    assert "waited" not in usual
    assert "waited" in notable


def test_so_many_and_from_where_somebody_wants() -> None:
    document = status(decisions=[decision(at, backend=f"b{at}") for at in range(90, 0, -1)])
    assert decisions(document, 120).wanted == 51
    assert "b80 " in decisions(document, 120, skip=10).lines(2)[1].plain


def test_none_is_explained() -> None:
    empty = status(decisions=[], notable=[], decisions_seq=0, totals={})
    assert "base_url at http://127.0.0.1:8080/v1" in decisions(empty, 200).lines(2)[1].plain
    assert decisions(status(notable=[]), 200, notable=True).lines(2)[1].plain.startswith("Nothing was refused")
