"""Single events: what is an error, what is dropped, what is plain enough for the fast path."""

import pytest

from proxy.wire import sse
from proxy.wire.event import Event
from tests.engines_captures.reading import STREAMS, capture

ERROR_EVENTS = [
    b'data: {"error": {"message": "x"}}\n\n',
    b'data:{"error":"Model is overloaded","error_type":"overloaded"}\n\n',
    b'data: { "error" : {"message": "x"} }\n\n',
    b'data: {"id":"1","error":{"message":"x"}}\n\n',
    b'data: {"object":"error","message":"x"}\n\n',
    b'data: {"object": "error", "message": "x"}\n\n',
    b'data: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
    b'data: {"type":"error","code":"x"}\n\n',
    b"event: error\ndata: whatever\n\n",
    b': ping\nevent: error\ndata: {"message":"x"}\n\n',
    b': ping\ndata: {"error": {"message": "x"}}\n\n',
    b'data: {"error":\ndata: {"message": "x"}}\n\n',
]
OTHER_EVENTS = [
    b'data: {"error":null,"choices":[]}\n\n',
    b'data: {"choices":[{"delta":{"content":"{\\"error\\": \\"x\\"}"}}]}\n\n',
    b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n',
    b'data: {"choices":[{"delta":{"error":"x"}}]}\n\n',
    b'data: {"type":"response.created","response":{"error":null}}\n\n',
    b'data: {"type":"response.failed","response":{"error":{"code":"x"}}}\n\n',
    b'data: "error"\n\n',
    b'data: ["error"]\n\n',
    b'data: {"error"\n\n',
    b"event: error_free\ndata: {}\n\n",
    b"data: [DONE]\n\n",
    b": error\n\n",
]


@pytest.mark.parametrize("event", ERROR_EVENTS)
def test_errors(event: bytes) -> None:
    assert Event(event).is_error


@pytest.mark.parametrize("event", OTHER_EVENTS)
def test_no_errors(event: bytes) -> None:
    assert not Event(event).is_error


def test_captured_errors() -> None:
    """One engine died in the middle of its stream; no other event of any engine looks like an error."""
    found = {
        (name, index)
        for name in STREAMS
        for index, event in enumerate(sse.EventSplitter(1 << 20).feed(capture(name).body))
        if Event(event).is_error
    }
    assert found == {("vllm/engine_death_mid_stream_keepalive", 11)}


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (b"data: null\n\n", b""),
        (b"data: null \n\n", b""),
        (b"data:\n\n", b""),
        (b"data\n\n", b""),
        (b"data:   \n\n", b""),
        (b"event: ping\n\n", b""),
        (b"id: 7\n\n", b""),
        (b"id\nretry\n\n", b""),
        (b": ping\n\n", b": ping\n"),
        (b":\n\n", b":\n"),
        (b": a\n: b\n\n", b": a\n: b\n"),
        (b": a\nevent: x\nretry: 5\n\n", b": a\n"),
        (b": a\ndata: null\n\n", b": a\n"),
        (b"id: 7\ndata: 1\nretry: 5\n\n", b"data: 1\n\n"),
        (b"event: response.created\nid: 1\ndata: {}\n\n", b"event: response.created\ndata: {}\n\n"),
        (b": a\ndata: 1\n\n", b": a\ndata: 1\n\n"),
        (b"data: a\ndata: b\n\n", b"data: a\ndata: b\n\n"),
        (b"data:x\n\n", b"data:x\n\n"),
        (b"data: [DONE]\n\n", b"data: [DONE]\n\n"),
        (b"identity: 1\ndata: 1\n\n", b"identity: 1\ndata: 1\n\n"),
        (b'data: {"id": null}\n\n', b'data: {"id": null}\n\n'),
    ],
)
def test_cleaned(event: bytes, seen: bytes) -> None:
    assert sse.cleaned(event) == seen


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: a\ndata:b\ndata\n\n", b"a\nb\n"),
        (b"event: a\ndata: x\n\n", b"x"),
        (b"event: a\n\n", None),
        (b": data: x\n\n", None),
        (b"datum: x\n\n", None),
        (b'data: {"a":"data: [DONE]\\n\\n"}\n\n', b'{"a":"data: [DONE]\\n\\n"}'),
    ],
)
def test_payload(event: bytes, data: bytes | None) -> None:
    assert sse.payload(event) == data


@pytest.mark.parametrize(
    "data",
    [
        b"data: [DONE]\n\n",
        b"data: {}",
        b"data: {}\n",
        b"data: {}\n\n\n",
        b"data: {}\r\n\r\n",
        b"data: {}\n\ndata: {}\n\n",
        b"data: {\ndata: }\n\n",
        b"data:{}\n\n",
        b"id: 1\ndata: {}\n\n",
        b"\ndata: {}\n\n",
        b'data: {"a":"\r"}\n\n',
        b"",
    ],
)
def test_not_plain(data: bytes) -> None:
    assert not sse.is_plain(data)


def test_plain() -> None:
    """Plain means: splitting and cleaning would give the same bytes."""
    event = b'data: {"a":"data: [DONE]"}\n\n'
    assert sse.is_plain(event)
    assert [sse.cleaned(found) for found in sse.EventSplitter(99).feed(event)] == [event]
