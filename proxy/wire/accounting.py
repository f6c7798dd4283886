"""Usage for our own books: what we add to a streaming request so that the engine counts, and how it is undone.

A client sees what the engine would have sent it unasked: neither the extra event, nor usage inside other events, nor
`"usage":null`; but fields that engines move into the extra event (vLLM: `system_fingerprint`, llama.cpp: `timings`),
and the usage of a finishing event where no other follows (transformers serve, several clouds).
Sources: OpenAI's `stream_options.include_usage`; vLLM 0.33.0 and SGLang 0.5.23 `continuous_usage_stats`.
"""

from enum import StrEnum
from typing import Any

import orjson

from proxy.wire import splice, sse
from proxy.wire.choices import finishes

_NULL_USAGE = (b',"usage":null', b', "usage": null')
"""As engines write it. Cannot occur inside text: there every quote is escaped."""


def with_usage(body: bytes, options: object, *, continuous: bool) -> bytes:
    """`body` (a JSON object) with `stream_options` that make the engine report usage; other options are kept.
    `options`: what `stream_options` say now, None without them; the body was parsed before, and need not be again."""
    wanted: dict[str, Any] = {"include_usage": True}
    if continuous:
        wanted["continuous_usage_stats"] = True
    if isinstance(options, dict):
        return splice.replace_value(body, "stream_options", {**options, **wanted})
    if options is not None:
        return body  # the client's mistake; the engine says so in its own words
    if b"stream_options" in body:
        replaced = splice.replace_value(body, "stream_options", wanted)
        if replaced != body:
            return replaced
    return splice.with_first(body, "stream_options", wanted)


_NOT_MOVED = frozenset({"usage", "choices"})


class Undo(StrEnum):
    """What of an engine's usage the client did not ask for."""

    NOTHING = "nothing"
    CONTINUOUS = "continuous"
    """Usage beside output; the event of its own at the end was asked for."""
    ALL = "all"


def without_usage(event: bytes, undo: Undo) -> bytes:
    """The event as the client wants it; empty when it held nothing else."""
    if undo is Undo.NOTHING or b'"usage"' not in event:
        return event
    if undo is Undo.ALL:
        event = _without_null(event)
        if b'"usage"' not in event:
            return event
    data = sse.payload(event)
    try:
        fields = orjson.loads(data or b"")
    except orjson.JSONDecodeError:
        return event
    if not isinstance(fields, dict) or "usage" not in fields:
        return event  # the word stands in the model's own text
    if fields.get("choices") == []:
        return b"" if undo is Undo.ALL else event
    if undo is Undo.CONTINUOUS:
        return b"data: " + splice.replace_value(data or b"", "usage", None) + b"\n\n"
    return b"data: " + splice.without_key(data or b"", "usage") + b"\n\n"


class Undoing:
    """Takes our usage out of one stream. A finishing event waits for the next one: only that tells what is whose."""

    __slots__ = ("_is_continuous", "_undo", "held")

    def __init__(self, undo: Undo, *, continuous: bool = False) -> None:
        """`continuous`: usage in every event was asked for by us."""
        self._undo = undo
        self._is_continuous = continuous
        self.held = b""
        """A finishing event as the engine sent it."""

    def pass_on(self, events: list[bytes]) -> list[bytes]:
        """`events`, and what waited for them, as the client wants them."""
        if self._undo is not Undo.ALL:
            return [kept for event in events if (kept := without_usage(event, self._undo))]
        out: list[bytes] = []
        for event in events:
            self._take(event, out)
        return out

    def rest(self) -> list[bytes]:
        """What waits, now that nothing follows: its usage is the engine's own habit. Empty when nothing waits."""
        held, self.held = self.held, b""
        return [_without_null(held)] if held else []

    def _take(self, event: bytes, out: list[bytes]) -> None:
        kept = without_usage(event, Undo.ALL)
        if not kept:
            held, self.held = self.held, b""
            if held:
                out.append(_with_moved(without_usage(held, Undo.ALL), event))
            return
        if self.held:
            out += [without_usage(self.held, Undo.ALL)] if self._is_continuous else [_without_null(self.held)]
            self.held = b""
        if finishes(event):
            self.held = event
        else:
            out.append(kept)


def _without_null(event: bytes) -> bytes:
    for null in _NULL_USAGE:
        event = event.replace(null, b"")
    return event


def _with_moved(event: bytes, extra: bytes) -> bytes:
    """A finishing event with the fields that the engine put into the usage event behind it instead."""
    data = sse.payload(event) or b""
    try:
        fields, told = orjson.loads(data), orjson.loads(sse.payload(extra) or b"")
    except orjson.JSONDecodeError:
        return event
    if not isinstance(fields, dict) or not isinstance(told, dict):
        return event
    moved = [name for name, value in told.items() if value is not None and fields.get(name) is None]
    for name in moved:
        if name not in _NOT_MOVED:
            put = splice.replace_value if name in fields else splice.with_last
            data = put(data, name, told[name])
    return b"data: " + data + b"\n\n" if moved else event
