"""Re-chunking changes event borders and nothing else: over every recorded stream and over streams nobody recorded."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.wire.counting import Evidence
from proxy.wire.event import Event
from proxy.wire.rechunk import Rechunker, TokenRechunker
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.tokens import CountSource, Estimator
from tests.engines_captures.reading import capture, named
from tests.support.stream_text import Heard, events_of, payload

STREAMS = named(lambda found: found.is_stream)


class ByThrees:
    """A tokenizer whose tokens are three characters each."""

    def encode_count(self, text: str) -> int:
        return -(-len(text) // 3)

    def pieces(self, text: str) -> list[str]:
        return [text[at : at + 3] for at in range(0, len(text), 3)]


class Broken:
    """A tokenizer that cannot."""

    def encode_count(self, text: str) -> int:
        raise ValueError(text)

    def pieces(self, text: str) -> list[str]:
        raise ValueError(text)


EVIDENCE = {
    "estimate": lambda: Evidence(Estimator()),
    "tokenizer": lambda: Evidence(Estimator(), ByThrees()),
    "broken tokenizer": lambda: Evidence(Estimator(), Broken()),
    "one token per event": lambda: Evidence(Estimator(), one_token_per_event=True),
}


def rechunked(rechunker: Rechunker, events: list[bytes], flush_after: frozenset[int] = frozenset()) -> list[bytes]:
    out: list[bytes] = []
    for number, event in enumerate(events):
        out += rechunker.feed(Event(event))
        if number in flush_after:
            out += rechunker.flush()
            assert not rechunker.withholds
    return out + rechunker.flush()


def check(out: list[bytes], events: list[bytes]) -> None:
    """The client hears the same; roles once, reasons last, numbers ascending."""
    before, after = Heard(events), Heard(out)
    after.same_as(before)
    if before.sequence == sorted(set(before.sequence)):
        assert after.sequence == sorted(set(after.sequence))
    finished: set[Any] = set()
    for event in out:
        assert event.endswith(b"\n\n")
        assert b"\r" not in event
        assert event.count(b"\n\n") == 1
        for choice in (payload(event) or {}).get("choices") or ():
            assert choice.get("index") not in finished
            if choice.get("finish_reason"):
                finished.add(choice.get("index"))


def test_there_are_captures() -> None:
    assert len(STREAMS) >= 30


@pytest.mark.parametrize("how", EVIDENCE)
@pytest.mark.parametrize("name", STREAMS)
def test_captured_streams_are_heard_the_same(name: str, how: str) -> None:
    events = events_of(capture(name).body)
    for make in (TokenRechunker, TextRechunker):
        check(rechunked(make(EVIDENCE[how]()), events), events)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_anywhere_stays_a_prefix(name: str) -> None:
    events = events_of(capture(name).body)[:40]
    for end in range(len(events)):
        check(rechunked(TextRechunker(EVIDENCE["estimate"]()), events[:end]), events[:end])


# --- streams nobody recorded

_ALPHABET = [
    "a",
    "word",
    " the",
    " of",
    "\n",
    "  ",
    "é",
    "ß",
    "漢",
    "字",
    "かな",
    "한국",
    "שלום",
    "مرحبا",
    "कि",
    "्",
    "\u0301",
    "\u200d",
    "\ufe0f",
    "👩",
    "👧",
    "🇩",
    "🇪",
    "👍🏽",
    "\x00",
    "\u2028",
    "\u2029",
    "\x85",
    "\r",
    "\r\n",
    "data: [DONE]\n\n",
    '"',
    "\\",
    "\\u00",
    '","finish_reason":"stop"',
    "\ufffd",
    "<|endoftext|>",
    "}",
    "]",
]
_SURROGATES = ["\ud83d", "\ude00", "\udfff"]


@st.composite
def tokens(draw: st.DrawFn, *, surrogates: bool = False) -> list[str]:
    pool = _ALPHABET + _SURROGATES * 4 if surrogates else _ALPHABET
    piece = st.lists(st.sampled_from(pool), max_size=3).map("".join) | st.text(
        st.characters(exclude_categories=() if surrogates else ("Cs",)), max_size=6
    )
    return draw(st.lists(piece, min_size=1, max_size=5))


def _logprobs(texts: list[str], *, with_bytes: bool) -> dict[str, Any]:
    return {
        "content": [
            {
                "token": text,
                "logprob": -0.1 * at,
                "bytes": list(text.encode("utf-8", "surrogatepass")) if with_bytes else None,
                "top_logprobs": [],
            }
            for at, text in enumerate(texts)
        ]
    }


@st.composite
def chat_streams(draw: st.DrawFn) -> list[bytes]:
    """Choices interleaved, several tokens an event, every field that engines add, some of it wrong."""
    n = draw(st.integers(1, 3))
    style = draw(
        st.fixed_dictionaries(
            {
                "ids": st.booleans(),
                "logprobs": st.sampled_from([None, True, False]),
                "usage": st.sampled_from([None, "right", "wrong"]),
                "surrogates": st.booleans(),
                "ascii": st.booleans(),
                "spaces": st.booleans(),
                "role_first": st.booleans(),
            }
        )
    )
    dumps: dict[str, Any] = {"ensure_ascii": style["ascii"] or style["surrogates"]}
    if not style["spaces"]:
        dumps["separators"] = (",", ":")
    told = dict.fromkeys(range(n), 0)
    events = []

    def emit(choice: dict[str, Any], used: int = 0, *, finish: str | None = None) -> None:
        fields: dict[str, Any] = {"id": "x", "object": "chat.completion.chunk", "created": 2**70, "model": "m"}
        fields["choices"] = [{"logprobs": None, **choice, "finish_reason": finish}]
        fields["unknown"] = {"a": [1, None]}
        told[choice["index"]] += used
        if style["usage"]:
            wrong = draw(st.sampled_from([0, -1, 2**60, 3, None, "x"])) if style["usage"] == "wrong" else None
            value = told[choice["index"]] if style["usage"] == "right" else wrong
            fields["usage"] = {"prompt_tokens": 3, "completion_tokens": value}
        events.append(f"data: {json.dumps(fields, **dumps)}\n\n".encode())

    roles = set()
    for _ in range(draw(st.integers(1, 12))):
        index = draw(st.integers(0, n - 1))
        kind = draw(
            st.sampled_from(["content", "content", "content", "reasoning", "refusal", "mixed", "call", "empty"])
        )
        texts = draw(tokens(surrogates=style["surrogates"]))
        delta: dict[str, Any] = {}
        if index not in roles:
            roles.add(index)
            delta["role"] = "assistant"
            if style["role_first"]:
                emit({"index": index, "delta": {**delta, "content": ""}})
                delta = {}
        joined = "".join(texts)
        if kind == "call":
            call: dict[str, Any] = {"index": draw(st.integers(0, 1)), "function": {"arguments": joined}}
            if draw(st.booleans()):
                call |= {"id": f"c{len(events)}", "type": "function"}
                call["function"]["name"] = "f"
            delta |= {"content": None, "tool_calls": [call]}
        elif kind == "mixed":
            delta |= {"reasoning": texts[0], "content": "".join(texts[1:])}
        else:
            delta[kind if kind != "empty" else "content"] = joined if kind != "empty" else ""
        choice: dict[str, Any] = {"index": index, "delta": delta}
        if style["ids"]:
            choice["token_ids"] = list(range(len(texts)))
        if style["logprobs"] is not None and kind == "content":
            choice["logprobs"] = _logprobs(texts, with_bytes=style["logprobs"])
        emit(choice, len(texts))
    for index in sorted(roles):
        last = draw(tokens()) if draw(st.booleans()) else []
        emit({"index": index, "delta": {"content": "".join(last)} if last else {}}, len(last), finish="stop")
    return events


@settings(max_examples=150, deadline=None)
@given(chat_streams(), st.sampled_from(sorted(EVIDENCE)), st.frozensets(st.integers(0, 20)))
def test_chat_streams_are_heard_the_same(events: list[bytes], how: str, flush_after: frozenset[int]) -> None:
    check(rechunked(TokenRechunker(EVIDENCE[how]()), events), events)
    check(rechunked(TextRechunker(EVIDENCE[how]()), events, flush_after), events)


@st.composite
def response_streams(draw: st.DrawFn) -> list[bytes]:
    """The Responses API: numbered, named events."""
    kinds = ["output_text", "reasoning_text", "function_call_arguments", "refusal"]
    events, number = [], 0

    def emit(kind: str, **fields: Any) -> None:
        nonlocal number
        body = {**fields, "sequence_number": number, "type": kind}
        number += draw(st.integers(1, 2))
        name = f"event: {kind}\n" if draw(st.booleans()) else ""
        events.append(f"{name}data: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n".encode())

    emit("response.created", response={"id": "r", "sequence_number": 7, "usage": None})
    for _ in range(draw(st.integers(1, 10))):
        texts, kind = draw(tokens()), draw(st.sampled_from(kinds))
        logprobs = _logprobs(texts, with_bytes=True)["content"] if draw(st.booleans()) else []
        item = draw(st.sampled_from(["i1", "i2"]))
        emit(f"response.{kind}.delta", item_id=item, content_index=0, delta="".join(texts), logprobs=logprobs)
        if draw(st.integers(0, 3)) == 0:
            emit("response.audio.delta", item_id="a", delta="AAAA BBBB CCCC DDDD")
    emit("response.completed", response={"id": "r", "usage": {"output_tokens": 41}})
    return events


@settings(max_examples=100, deadline=None)
@given(response_streams(), st.sampled_from(sorted(EVIDENCE)), st.frozensets(st.integers(0, 20)))
def test_responses_streams_are_heard_the_same(events: list[bytes], how: str, flush_after: frozenset[int]) -> None:
    for rechunker, flushes in (
        (TokenRechunker(EVIDENCE[how]()), frozenset()),
        (TextRechunker(EVIDENCE[how]()), flush_after),
    ):
        out = rechunked(rechunker, events, flushes)
        check(out, events)
        assert rechunker.count == (41, CountSource.ENGINE_USAGE)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(
            [
                b'{"choices":[{}]}',
                b'{"choices":[null]}',
                b'{"choices":{}}',
                b'{"choices":[{"delta":3}]}',
                b"[]",
                b"1",
                b'"x"',
                b'{"choices":[{"delta":{"content":{}}}]}',
                b'{"choices":[{"delta":{"tool_calls":{}}}]}',
                b'{"choices":[{"text":[]}]}',
                b'{"choices":[{"index":{},"delta":{"content":"a b c d e f g"},"logprobs":[1,2],"token_ids":[1,2]}]}',
                b'{"choices":[{"delta":{"content":"a b"},"logprobs":{"content":[1,{}]}}]}',
                b'{"type":[],"delta":"x"}',
                b'{"type":"content_block_delta","delta":{"type":{},"text":3}}',
                b'{"choices":[],"usage":{"completion_tokens":-4}}',
                b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"a b c d e"}},{"index":1}]}}]}',
                b"[" * 3000,
                b'{"choices":[{"delta":{"content":"a","function_call":{"name":"f","arguments":"b c d e f g h"}}}]}',
                b'{"error":{"message":"x"}}',
                b'{"choices":[{"index":0,"delta":{"content":NaN}}]}',
                b'{"usage":[]}',
            ]
        ),
        max_size=8,
    )
)
def test_what_no_engine_should_send_passes(datas: list[bytes]) -> None:
    """Nothing raises, and an event that is not understood leaves as it came."""
    events = [b"data: " + data.replace(b"\n", b"").replace(b"\r", b"") + b"\n\n" for data in datas]
    for rechunker in (TokenRechunker(EVIDENCE["estimate"]()), TextRechunker(EVIDENCE["estimate"]())):
        out = rechunked(rechunker, events)
        opaque = [event for event in events if payload(event) is None]
        assert [event for event in out if payload(event) is None] == opaque
