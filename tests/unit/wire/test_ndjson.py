"""Lines of JSON: however they are split, whole ones come out as they came, and nothing is held that is too long."""

import random

import pytest

from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Api
from proxy.model.faults import FaultError, Kind
from proxy.wire.allowance import AllowanceHeaders
from proxy.wire.meter import Meter
from proxy.wire.ndjson import LineSplitter
from proxy.wire.plan import StreamPlan
from proxy.wire.stream import Stream

MIB = 1 << 20
LINES = [
    b'{"message":{"role":"assistant","content":"\xc3\xa9\\n{}"},"done":false}\n',
    b'{"message":{"content":"data: x\\r\\n"},"done":false}\r\n',
    b"not JSON at all\n",
    b'{"message":{"content":""},"done":true,"prompt_eval_count":4,"eval_count":2}\n',
]


@pytest.mark.parametrize("seed", range(50))
def test_any_split(seed: int) -> None:
    chance, whole = random.Random(seed), b"".join(LINES)
    splitter, got, at = LineSplitter(MIB), [], 0
    while at < len(whole):
        size = chance.randrange(1, 40)
        got += splitter.feed(whole[at : at + size])
        at += size
    assert got == LINES
    assert splitter.is_between_events
    assert splitter.rest() == []


def test_empty_lines_are_no_events() -> None:
    assert LineSplitter(MIB).feed(b'\n\r\n{"a":1}\n  \n{"b":"x\ry"}\n') == [b'{"a":1}\n', b'{"b":"x\ry"}\n']


@pytest.mark.parametrize(
    ("last", "rest"),
    [(b'{"done":true}', [b'{"done":true}\n']), (b'{"done":tr', []), (b'"text"', []), (b"", []), (b'{"a":"\xff"}', [])],
)
def test_a_last_line_without_its_end(last: bytes, rest: list[bytes]) -> None:
    splitter = LineSplitter(MIB)
    assert splitter.feed(b'{"done":false}\n' + last) == [b'{"done":false}\n']
    assert splitter.rest() == rest
    assert splitter.rest() == []


def test_a_line_of_16_mib_passes_and_a_longer_one_does_not() -> None:
    longest = b'{"a":"' + b"x" * (16 * MIB - 8) + b'"}'
    assert len(longest) == 16 * MIB
    splitter = LineSplitter(16 * MIB)
    assert [len(line) for line in splitter.feed(longest + b"\n")] == [16 * MIB + 1]
    for step in (64 * 1024, 16 * MIB + 2):
        splitter = LineSplitter(16 * MIB)
        with pytest.raises(FaultError) as raised:
            for at in range(0, 17 * MIB, step):
                splitter.feed(b"x" * min(step, 17 * MIB - at))
        assert raised.value.fault.kind is Kind.EVENT_TOO_LARGE


def test_large_lines_of_all_streams_share_one_allowance() -> None:
    allowance = AllowanceHeaders(3 * MIB)
    first, second = LineSplitter(16 * MIB, allowance), LineSplitter(16 * MIB, allowance)
    first.feed(b"x" * (3 * MIB))
    with pytest.raises(FaultError):
        second.feed(b"x" * (3 * MIB))
    first.give_back()
    second = LineSplitter(16 * MIB, allowance)
    second.feed(b"x" * (3 * MIB))


def stream() -> Stream:
    return Stream(StreamPlan(StreamSettings(), 16 * MIB, api=Api.OLLAMA), Meter(), lines=True)


def test_a_stream_is_passed_on_byte_for_byte_metered_and_counted() -> None:
    whole = stream()
    got = b"".join(whole.feed(line, number) for number, line in enumerate(LINES))
    assert got + whole.close(9.0) == b"".join(LINES)
    assert (whole.meter.first_token, whole.meter.tokens, whole.has_ended) == (0.0, 2, True)
    assert whole.usage() == (4, 2, None)


def test_a_stream_that_is_cut_in_a_line_ends_with_the_line_before() -> None:
    cut = stream()
    assert cut.feed(LINES[0] + LINES[1][:20], 0.0) + cut.close(1.0) == LINES[0]
    assert not cut.has_ended


def test_an_error_line_is_the_last_one() -> None:
    broken = stream()
    error = b'{"error":"the runner broke"}\n'
    assert broken.feed(LINES[0] + error + LINES[3], 0.0) == LINES[0] + error
    assert (broken.saw_error, broken.has_ended) == (True, False)


def test_the_last_line_without_its_end_counts() -> None:
    whole = stream()
    assert whole.feed(LINES[0] + LINES[3][:-1], 0.0) + whole.close(1.0) == LINES[0] + LINES[3]
    assert (whole.has_ended, whole.usage()) == (True, (4, 2, None))
