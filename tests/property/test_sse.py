"""Event borders: any split of any bytes gives the same events, and nothing of an event's payload ever changes."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.model.faults import FaultError, Kind
from proxy.wire import sse
from tests.engines_captures.reading import STREAMS, capture

LIMIT_B = 1 << 20
LINE_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
LINES = st.one_of(
    st.just(b""),
    st.sampled_from(
        [
            b"data: [DONE]",
            b"data: null",
            b"data:",
            b"data",
            b": ping",
            b":",
            b"id: 7",
            b"retry: 5",
            b"event: response.created",
            b'data: {"a":"data: [DONE]\\n\\n"}',
            'data: {"a":"\u2028\u2029\x85 \U0001f600"}'.encode(),
            b"\xef\xbb\xbf",
            b"data: \xff\xfe",
        ]
    ),
    st.text(max_size=12).map(lambda text: b"data: " + text.encode("utf-8", "replace")),
    st.binary(max_size=8),
)
STREAM_BYTES = st.builds(
    lambda bom, lines: bom + b"".join(line + end for line, end in lines),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb"]),
    st.lists(st.tuples(LINES, LINE_ENDS), max_size=14),
)


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(borders)]


def events_of(pieces: list[bytes], limit_b: int = LIMIT_B) -> list[bytes]:
    splitter = sse.EventSplitter(limit_b)
    return [event for piece in pieces for event in splitter.feed(piece)]


def by_the_standard(data: bytes) -> list[list[bytes]]:
    """The lines of every whole event, read as WHATWG HTML §9.2.6 says, without any of our shortcuts."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    blocks: list[list[bytes]] = [[]]
    start = at = 0
    while at < len(data):
        if data[at : at + 1] in (b"\r", b"\n"):
            line = data[start:at]
            at += 2 if data[at : at + 2] == b"\r\n" else 1
            start = at
            if line:
                blocks[-1].append(line)
            elif blocks[-1]:
                blocks.append([])
        else:
            at += 1
    return blocks[:-1]


@settings(max_examples=300)
@given(STREAM_BYTES, st.lists(st.integers(0, 400), max_size=12))
@example(b"data: a\n\n\n\ndata: b\n\n\n", [8, 9])
@example(b"data: a\r\n\r\ndata: b\r\r", [8, 9, 9, 10])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2, 3])
@example(b"data: a\n\n\n", [])
def test_any_split_gives_the_events_of_the_standard(data: bytes, cuts: list[int]) -> None:
    expected = [b"\n".join(lines) + b"\n\n" for lines in by_the_standard(data)]
    assert events_of([data]) == expected
    assert events_of(split_at(data, cuts)) == expected
    assert events_of([data[i : i + 1] for i in range(len(data))]) == expected


@given(STREAM_BYTES)
def test_what_has_not_come_out_is_known_to_be_pending(data: bytes) -> None:
    splitter = sse.EventSplitter(LIMIT_B)
    splitter.feed(data + b"\n\n")
    assert splitter.is_between_events
    splitter.feed(b"data: half")
    assert not splitter.is_between_events


@given(st.binary(max_size=60), st.integers(-1, 1), st.lists(st.integers(0, 200), max_size=6))
def test_the_limit_counts_the_event_alone_however_it_is_cut(junk: bytes, over: int, cuts: list[int]) -> None:
    event = b"data: " + junk.replace(b"\r", b"x").replace(b"\n", b"y")
    stream = b"\n\n\n" + event + b"\n\n"
    limit_b = len(event) - over
    for pieces in ([stream], split_at(stream, cuts), [stream[i : i + 1] for i in range(len(stream))]):
        if over <= 0:
            assert events_of(pieces, limit_b) == [event + b"\n\n"]
        else:
            with pytest.raises(FaultError) as raised:
                events_of(pieces, limit_b)
            assert raised.value.fault.kind is Kind.EVENT_TOO_LARGE


def test_a_large_event_in_drops_of_one_byte_costs_linear_time() -> None:
    splitter = sse.EventSplitter(LIMIT_B)
    event = b"data: " + b"x" * (LIMIT_B - 6)
    begin = time.process_time()
    for index in range(len(event)):
        splitter.feed(event[index : index + 1])
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"\n") == [event + b"\n\n"]
    assert time.process_time() - begin < 5, "quadratic would take minutes"


def test_the_largest_event_in_small_reads_costs_linear_time() -> None:
    def seconds(size_b: int) -> float:
        splitter = sse.EventSplitter(16 << 20)
        data = b"data: " + b"x" * (size_b - 6)
        begin = time.process_time()
        for index in range(0, size_b, 64):
            splitter.feed(data[index : index + 64])
        assert splitter.feed(b"\n\n") == [data + b"\n\n"]
        return time.process_time() - begin

    assert seconds(16 << 20) < 2 * 4 * seconds(4 << 20) + 1, "four times the bytes, not sixteen times the time"


@pytest.mark.parametrize("name", STREAMS)
def test_captured_streams_come_out_as_they_went_in(name: str) -> None:
    found = capture(name)
    whole = events_of([found.body])
    assert b"".join(whole) == found.body.replace(b"\r\n", b"\n")
    assert events_of(list(found.pieces)) == whole
    assert events_of([found.body[i : i + 7] for i in range(0, len(found.body), 7)]) == whole


@pytest.mark.parametrize("name", STREAMS)
def test_cleaning_captured_events_keeps_every_payload_byte(name: str) -> None:
    for event in events_of([capture(name).body]):
        clean, data = sse.cleaned(event), sse.payload(event)
        if data in (None, b"null"):
            assert sse.payload(clean) is None
            assert clean == b"" or (clean.startswith(b":") and not clean.endswith(b"\n\n"))
        else:
            assert sse.payload(clean) == data
            assert clean == event
            assert data == sse.DONE or json.loads(data) is not None


@given(STREAM_BYTES)
def test_what_a_client_sees_can_never_crash_it(data: bytes) -> None:
    """openai-python dies of an event without data, of an `id:` followed by a blank line, and of empty data."""
    for event in events_of([data]):
        clean = sse.cleaned(event)
        lines = clean.split(b"\n")
        assert not any(line.partition(b":")[0] in (b"id", b"retry") for line in lines)
        if clean.endswith(b"\n\n"):
            shown = sse.payload(clean)
            assert shown == sse.payload(event)
            assert shown is not None
            assert shown.strip() not in (b"", b"null")
        else:
            assert all(line.startswith(b":") for line in lines[:-1])
