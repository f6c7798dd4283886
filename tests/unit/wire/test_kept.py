"""Which answers are kept, how they are made fresh, and that no broken byte is believed."""

import orjson
import pytest

from proxy.model.endpoint import Endpoint
from proxy.wire import kept, usage
from proxy.wire.kept import Kept
from tests.engines_captures.reading import capture, named

CHAT = Endpoint.CHAT
_STREAMS = named(lambda c: c.is_stream and c.is_whole and c.name.rpartition("/")[2].startswith("chat_stream"))


def _whole(reason: str | None = "stop", **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a", **message}, "finish_reason": reason}
    fields = {"id": "chatcmpl-abc123", "created": 1700000000, "choices": [choice], "usage": {"prompt_tokens": 4}}
    return orjson.dumps(fields)


def _of_whole(body: bytes, endpoint: Endpoint = CHAT) -> Kept | None:
    return kept.of_whole(body, endpoint, 5.0, b"who")


def _of_stream(raw: bytes, endpoint: Endpoint = CHAT) -> Kept | None:
    tail = [event + b"\n\n" for event in raw.split(b"\n\n") if event.startswith(b"data: {")][-3:]
    return kept.of_stream(raw, tail, endpoint, 5.0, b"who", continuous=False)


def _events(*choices: dict[str, object]) -> bytes:
    said = (b"data: " + orjson.dumps({"id": "chatcmpl-abc123", "created": 1700000000, "choices": [c]}) for c in choices)
    return b"\n\n".join((*said, b"data: [DONE]\n\n"))


def _call(arguments: str) -> dict[str, object]:
    return {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": arguments}}]}


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "function_call"])
def test_complete_answers_are_kept(reason: str) -> None:
    found = _of_whole(_whole(reason))
    assert found is not None
    assert found.usage.prompt_tokens == 4
    assert found.size_b > len(found.body)


@pytest.mark.parametrize(
    "body",
    [
        _whole("content_filter"),
        _whole(None),
        _whole("error"),
        _whole(refusal="I cannot"),
        _whole("tool_calls", tool_calls=[{"function": {"name": "f", "arguments": '{"a":'}}]),
        _whole("tool_calls", function_call={"name": "f", "arguments": "nonsense"}),
        b'{"error":{"message":"x"}}',
        b"{}",
        b'{"choices":[]}',
        _whole()[:-9],
        b"",
        b"<html>",
    ],
)
def test_others_are_not(body: bytes) -> None:
    assert _of_whole(body) is None


def test_refused_nothing_is_no_refusal() -> None:
    assert _of_whole(_whole(refusal=None)) is not None
    assert _of_whole(_whole(refusal="")) is not None


def test_embeddings_have_no_reason_to_end() -> None:
    assert _of_whole(b'{"data":[{"embedding":[1.0]}]}', Endpoint.EMBEDDINGS) is not None
    assert _of_whole(b'[{"index":0,"score":1.0}]', Endpoint.RERANK) is not None
    assert _of_whole(b'{"error":"x"}', Endpoint.EMBEDDINGS) is None


@pytest.mark.parametrize("name", _STREAMS)
def test_streams_of_engines_are_kept(name: str) -> None:
    raw = capture(name).body
    found = _of_stream(raw)
    assert found is not None
    assert found.is_stream
    assert found.usage == usage.of_events([event + b"\n\n" for event in raw.split(b"\n\n") if b"{" in event][-3:])


@pytest.mark.parametrize(
    "raw",
    [
        _events({"index": 0, "delta": {"content": "a"}, "finish_reason": None}),
        _events({"index": 0, "delta": {"content": "a"}, "finish_reason": "content_filter"}),
        _events({"index": 0, "delta": {"refusal": "no"}, "finish_reason": None}, {"index": 0, "finish_reason": "stop"}),
        _events({"index": 0, "delta": _call('{"a"'), "finish_reason": "length"}),
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_streams_that_did_not_end_well_are_not(raw: bytes) -> None:
    assert _of_stream(raw) is None


def test_a_call_of_a_tool_that_can_be_read_is_kept() -> None:
    assert _of_stream(_events({"index": 0, "delta": _call('{"a":1}'), "finish_reason": "tool_calls"})) is not None


def test_comments_and_line_ends_of_other_kinds_are_not_kept() -> None:
    plain = _events({"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"})
    odd = b": hello\r\n\r\n" + plain.replace(b"\n", b"\r\n").replace(b"data: {", b"id: 1\r\ndata: {")
    tail = [plain.partition(b"\n\n")[0] + b"\n\n"]
    found = kept.of_stream(odd, tail, CHAT, 5.0, b"", continuous=False)
    assert found is not None
    assert found.body == plain


def test_an_answer_that_is_given_again_has_a_name_and_a_time_of_its_own() -> None:
    one = _of_whole(_whole(content='"id":"chatcmpl-abc123" said "created":1700000000'))
    assert one is not None
    fields = orjson.loads(one.fresh("new", 1800000000))
    assert (fields["id"], fields["created"]) == ("chatcmpl-new", 1800000000)
    assert fields["choices"][0]["message"]["content"] == '"id":"chatcmpl-abc123" said "created":1700000000'
    stream = _of_stream(
        _events({"index": 0, "delta": {"content": "a"}}, {"index": 0, "delta": {}, "finish_reason": "stop"})
    )
    assert stream is not None
    fresh = stream.fresh("new", 1800000000)
    assert fresh.count(b'"id":"chatcmpl-new"') == 2
    assert fresh.count(b'"created":1800000000') == 2
    assert b"abc123" not in fresh


def test_what_travels_arrives() -> None:
    for found in (_of_whole(_whole()), _of_stream(capture(_STREAMS[0]).body)):
        assert found is not None
        assert kept.unpacked(kept.packed(found, b"key"), b"key") == found
        assert kept.unpacked(kept.packed(found, b"key"), b"other") is None


def test_no_broken_byte_is_believed() -> None:
    found = _of_whole(_whole())
    assert found is not None
    data = kept.packed(found, b"")
    assert kept.unpacked(b"", b"") is None
    assert kept.unpacked(data[:-1], b"") is None
    assert kept.unpacked(b"tidegate-kept-0\n" + data[16:], b"") is None
    for at in range(0, len(data), 7):
        assert kept.unpacked(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], b"") is None


def test_a_fingerprint_is_read() -> None:
    assert kept.fingerprint(b'{"system_fingerprint":"fp_1"}') == "fp_1"
    assert kept.fingerprint(b'{"system_fingerprint":null}') == ""
    assert kept.fingerprint(b'{"content":"\\"system_fingerprint\\":\\"x\\""}') == ""
