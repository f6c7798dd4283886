"""An event is read once, leniently only where somebody asks for that, and tells whether it is an error."""

import pytest

from proxy.wire import sse
from proxy.wire.event import Event


def test_it_is_read_once() -> None:
    event = Event(b'data: {"a":[1]}\n\n')
    assert event.object == {"a": [1]}
    assert event.object is event.fields
    assert event.data is event.data


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\ndata:a\n\n", b"a"),
        (b": ping\n", b""),
        (b"data: [DONE]\n\n", sse.DONE),
    ],
)
def test_data(raw: bytes, data: bytes) -> None:
    assert Event(raw).data == data


@pytest.mark.parametrize("raw", [b'data: {"a":NaN}\n\n', b'data: {"a":"\\ud800"}\n\n'])
def test_what_is_no_json_to_the_letter(raw: bytes) -> None:
    event = Event(raw)
    assert event.object == {}
    assert not event.is_object
    assert list(event.fields or {}) == ["a"]
    assert event.object == {}, "whoever asked before"


@pytest.mark.parametrize("raw", [b"data: [1]\n\n", b"data: {\n\n", b": ping\n", b"data: [DONE]\n\n", b'data: "x"\n\n'])
def test_what_is_no_object(raw: bytes) -> None:
    event = Event(raw)
    assert (event.object, event.is_object, event.fields) == ({}, False, None)
    assert Event(b"data: {}\n\n").is_object


def test_a_large_one_does_not_hold_its_data_twice() -> None:
    event = Event(b'data: "%b"\n\n' % (b"A" * 2 * sse.FREE_B))
    assert len(event.data) > sse.FREE_B
    assert event._data is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'data: {"error":{"message":"m"}}\n\n', True),
        (b'data: {"type":"error","message":"m"}\n\n', True),
        (b'data: {"object":"error","message":"m"}\n\n', True),
        (b"event: error\ndata: x\n\n", True),
        (b'data: {"error":null}\n\n', False),
        (b'data: {"choices":[{"delta":{"content":"\\"error\\""}}]}\n\n', False),
        (b'data: ["error"]\n\n', False),
    ],
)
def test_errors(raw: bytes, expected: bool) -> None:
    assert Event(raw).is_error is expected
