"""What streams share: taken, given back, never more than there is."""

import pytest

from proxy.model.faults import FaultError, Kind, Source
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.sse import FREE_B, EventSplitter

MIB = 1 << 20


def test_what_is_not_left_is_refused_and_nothing_is_taken() -> None:
    allowance = AllowanceHeaders(10)
    allowance.take(10)
    with pytest.raises(FaultError) as raised:
        allowance.take(1)
    assert (raised.value.fault.kind, raised.value.fault.source) == (Kind.MEMORY, Source.INTERNAL)
    allowance.give_back(4)
    allowance.take(4)
    assert allowance.left_b == 0


def test_a_hundred_streams_of_large_events_hold_no_more_than_is_allowed() -> None:
    allowance = AllowanceHeaders(32 * MIB)
    splitters = [EventSplitter(16 * MIB, allowance) for _ in range(100)]
    refused = set()
    for _ in range(4 * 16 - 1):
        for number, splitter in enumerate(splitters):
            if number not in refused:
                try:
                    splitter.feed(b"x" * (MIB // 4))
                except FaultError:
                    refused.add(number)
                    splitter.give_back()
        held_b = sum(len(s._buffer) for n, s in enumerate(splitters) if n not in refused)
        assert held_b <= 32 * MIB + 100 * FREE_B
    assert 97 <= len(refused) < 100, "what was refused makes room for the others"
    for splitter in splitters:
        splitter.give_back()
        splitter.give_back()
    assert allowance.left_b == 32 * MIB


def test_small_events_take_nothing_and_a_large_one_gives_back_when_more_is_read() -> None:
    allowance = AllowanceHeaders(4 * MIB)
    splitter = EventSplitter(16 * MIB, allowance)
    splitter.feed(b"data: " + b"x" * (FREE_B - 100))
    assert allowance.left_b == 4 * MIB
    splitter.feed(b"x" * MIB)
    assert allowance.left_b < 4 * MIB
    (event,) = splitter.feed(b"\n\n")
    assert len(event) > 2 * MIB - 200
    assert not splitter.is_between_events, "the client may still be slow to take it"
    assert splitter.feed(b"data: a\n\n") == [b"data: a\n\n"]
    assert splitter.is_between_events
    assert allowance.left_b == 4 * MIB
