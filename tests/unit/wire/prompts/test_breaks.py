"""What stands where two lines part, told by a class and never by its text."""

import pytest

from proxy.wire.prompts.breaks import BreakKind, broken

UUIDS = b"6f9619ff-8b86-4d01-b42d-00cf4fc964ff", b"6f9619ff-8b86-4d01-b42d-10cf4fc964f0"


@pytest.mark.parametrize(
    ("before", "after", "kind", "at"),
    [
        (b"Now: 2026-11-28T10:59:59Z.", b"Now: 2026-11-28T11:00:00Z.", "timestamp", 5),
        (b"Now: 2026-11-28 10:00:01", b"Now: 2026-11-28 10:00:02", "timestamp", 5),
        (b"Today is Saturday, November 28, 2026.", b"Today is Sunday, November 29, 2026.", "timestamp", 9),
        (b"It is 28 Nov 2026 10:01", b"It is 29 Nov 2026 00:01", "timestamp", 6),
        (b"at 9:59 PM sharp", b"at 10:00 PM sharp", "timestamp", 3),
        (b"t=1764324161.5", b"t=1764324199.1", "timestamp", 2),
        (b"ms 1764324161500 x", b"ms 1764324162501 x", "timestamp", 3),
        (b"date 11/28/2026", b"date 11/29/2026", "timestamp", 5),
        (b"trace " + UUIDS[0], b"trace " + UUIDS[1], "uuid", 6),
        (b"Request 99 of today", b"Request 100 of today", "counter", 8),
        (b"turn-7", b"turn-8", "counter", 5),
        (b"x-anthropic-billing-header: v=1; cch=aa1;", b"x-anthropic-billing-header: v=1; cch=bb2;", "billing line", 0),
        (b"sha 9f86d081884c7d65 here", b"sha 9f86d081884c7d66 here", "hex", 4),
        (b"req_A8x92kLm3Q", b"req_A8x92kLm9Z", "random", 0),
        (b"order 10000000001", b"order 90000000001", "random", 6),
        (b"You talk to Alice.", b"You talk to Bob.", "other", 12),
        (b"", b"something", "other", 0),
        (b"\xff\xfe", b"\xff\x00", "other", 1),
    ],
)
def test_classes(before: bytes, after: bytes, kind: str, at: int) -> None:
    first = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    for old, new in ((before, after), (after, before)):
        found = broken(old, new, first)
        assert found.kind is BreakKind(kind)
        if new == after:
            assert found.at == at


def test_a_long_line_costs_no_more_than_its_surroundings() -> None:
    old, new = b"1 " * 500_000 + b"x", b"1 " * 500_000 + b"y"
    assert broken(old, new, 1_000_000).at == 1_000_000
