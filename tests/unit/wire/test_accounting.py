"""Usage for our own books: asked for by splicing, undone event by event, over the streams of real engines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire import sse
from proxy.wire.accounting import Undo, with_usage, without_usage
from tests.engines_captures.reading import STREAMS, capture

KEYS = st.text(max_size=8) | st.sampled_from(["stream_options", "usage", "a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
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


@pytest.mark.parametrize("name", [name for name in STREAMS if "responses" not in name and "messages" not in name])
@pytest.mark.parametrize("undo", [Undo.ALL, Undo.CONTINUOUS])
def test_nothing_but_usage_goes(name: str, undo: Undo) -> None:
    for event in _events(name):
        after = without_usage(event, undo)
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
    assert without_usage(event, Undo.ALL) == event


def test_null_usage_goes_with_what_was_not_asked_for() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}\n\n'
    assert without_usage(event, Undo.ALL) == b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    assert without_usage(event, Undo.CONTINUOUS) == event
    assert without_usage(event, Undo.NOTHING) is event
