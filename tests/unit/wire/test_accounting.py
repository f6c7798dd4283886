"""Usage for our own books: asked for by splicing, undone event by event, over the streams of real engines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import sse
from proxy.wire.accounting import Undo, Undoing, with_usage, without_usage
from proxy.wire.event import Event
from tests.engines_captures.reading import STREAMS, capture

KEYS = st.text(max_size=8) | st.sampled_from(["stream_options", "usage", "a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_only_the_stream_options_change(fields: dict[str, Any], continuous: bool, indent: int | None) -> None:
    body = json.dumps(fields, indent=indent).encode()
    if not isinstance(fields.get("stream_options"), dict | None):
        assert with_usage(body, fields.get("stream_options"), continuous=continuous) == body, (
            "the engine says what is wrong with it"
        )
        return
    after = json.loads(with_usage(body, fields.get("stream_options"), continuous=continuous))
    options = after.pop("stream_options")
    before = fields.get("stream_options")
    kept = before if isinstance(before, dict) else {}
    wanted = {"include_usage": True} | ({"continuous_usage_stats": True} if continuous else {})
    assert options == {**kept, **wanted}
    assert after == {name: value for name, value in fields.items() if name != "stream_options"}


def _events(name: str) -> list[bytes]:
    splitter = sse.EventSplitter(1 << 20)
    return [event for piece in capture(name).pieces for event in splitter.feed(piece)]


def shown(event: bytes, undo: Undo) -> bytes:
    """As the client sees it; empty: not at all."""
    kept = without_usage(Event(event), undo)
    return b"" if kept is None else kept.raw


def passed(undoing: Undoing, *events: bytes) -> list[bytes]:
    return [event.raw for event in undoing.pass_on([Event(raw) for raw in events])]


@pytest.mark.parametrize("name", [name for name in STREAMS if "responses" not in name and "messages" not in name])
@pytest.mark.parametrize("undo", [Undo.ALL, Undo.CONTINUOUS])
def test_nothing_but_usage_goes(name: str, undo: Undo) -> None:
    for event in _events(name):
        after = shown(event, undo)
        try:
            fields = json.loads(sse.payload(event) or b"")
        except ValueError:
            assert after == event
            continue
        if not isinstance(fields, dict) or "usage" not in fields:
            assert after == event
        elif fields.get("choices") == []:
            assert after == (b"" if undo is Undo.ALL else event)
        else:
            kept = json.loads(sse.payload(after) or b"")
            assert kept.pop("usage", None) is None
            fields.pop("usage")
            assert kept == fields


def test_text_about_usage_is_text() -> None:
    event = b'data: {"choices":[{"delta":{"content":",\\"usage\\":null and \\"usage\\""}}]}\n\n'
    assert shown(event, Undo.ALL) == event


def test_null_usage_goes_with_what_was_not_asked_for() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
    assert shown(event, Undo.ALL) == b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    assert shown(event, Undo.CONTINUOUS) == event
    assert shown(event, Undo.NOTHING) is event


def undone(events: list[bytes], *, continuous: bool = False) -> list[bytes]:
    """What a client gets of a stream that ends in these events, as they come one by one."""
    undoing = Undoing(Undo.ALL, continuous=continuous)
    out = [kept for event in events for kept in passed(undoing, event)]
    return out + [event.raw for event in undoing.rest()]


def fields_of(event: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(sse.payload(event) or b"")
    return fields


def chunk(finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {} if finish else {"content": "a"}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], **more}, separators=(",", ":")).encode() + b"\n\n"


def usage_event(**more: Any) -> bytes:
    return b"data: " + json.dumps({"id": "c", "choices": [], "usage": {"total_tokens": 3}, **more}).encode() + b"\n\n"


MOVED = {"system_fingerprint": "fp"}


def test_what_moved_to_the_usage_event_is_put_back() -> None:
    assert undone([chunk(), chunk("stop"), usage_event(**MOVED)]) == [chunk(), chunk("stop", **MOVED)]
    (kept,) = undone([chunk("stop", system_fingerprint=None, usage=None), usage_event(**MOVED, timings={"a": 1})])
    assert fields_of(kept) == fields_of(chunk("stop", **MOVED, timings={"a": 1}))
    (kept,) = undone([chunk("stop", system_fingerprint="own"), usage_event(**MOVED, created=None)])
    assert kept == chunk("stop", system_fingerprint="own")


def test_usage_of_a_finishing_event_is_given_back_where_no_other_comes() -> None:
    own = chunk("stop", usage={"total_tokens": 3})
    assert undone([chunk(), own]) == [chunk(), own]
    assert undone([own, usage_event()]) == [chunk("stop")]
    assert undone([own], continuous=True) == [own]


def test_several_texts_end_in_the_order_they_came() -> None:
    first, second = chunk("stop", 0), chunk("stop", 1)
    assert undone([first, chunk(index=1), second, usage_event()]) == [first, chunk(index=1), second]
    own = chunk("stop", 0, usage={"total_tokens": 1})
    assert undone([own, second]) == [own, second], "the engine's habit"
    assert undone([own, second], continuous=True) == [first, second], "asked for by us"


def test_a_finishing_event_waits_for_the_next_one_only() -> None:
    undoing = Undoing(Undo.ALL)
    assert passed(undoing, chunk("stop")) == []
    assert undoing.held
    assert passed(undoing, b": ping\n") == [chunk("stop"), b": ping\n"]
    assert (undoing.held, undoing.rest()) == (None, [])


def test_nothing_waits_where_usage_was_asked_for() -> None:
    undoing = Undoing(Undo.CONTINUOUS, continuous=True)
    assert passed(undoing, chunk("stop"), usage_event()) == [chunk("stop"), usage_event()]


ASKED_AND_NOT = [
    ("vllm/chat_stream_usage", "vllm/chat_stream"),
    ("llama.cpp/chat_stream_usage", "llama.cpp/chat_stream"),
]


@pytest.mark.parametrize(("asked", "unasked"), ASKED_AND_NOT)
def test_the_end_looks_as_if_we_had_not_asked(asked: str, unasked: str) -> None:
    def last(events: list[bytes]) -> dict[str, Any]:
        return fields_of([event for event in events if b"finish_reason" in event][-1])

    seen, direct = last(undone(_events(asked)[:-1])), last(_events(unasked))
    assert set(seen) == set(direct)
    assert set(seen["choices"][0]) == set(direct["choices"][0])
    assert seen.get("system_fingerprint") == direct.get("system_fingerprint")


@pytest.mark.parametrize("name", [n for n in STREAMS if n.startswith("transformers") and "responses" not in n])
def test_an_engine_that_always_tells_keeps_its_usage(name: str) -> None:
    events = _events(name)
    assert undone(events) == events
