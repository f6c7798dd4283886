"""Usage for our own books: what we add to a streaming request so that the engine counts, and how it is undone.

A client gets no usage it did not ask for: neither the extra event, nor usage inside other events, nor `"usage":null`.
Sources: OpenAI's `stream_options.include_usage`; vLLM 0.33.0 and SGLang 0.5.23 `continuous_usage_stats`.
"""

from enum import StrEnum
from typing import Any

import orjson

from proxy.wire import splice, sse

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
        for null in _NULL_USAGE:
            event = event.replace(null, b"")
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
