"""Usage for our own books: what we add to a streaming request so that the engine counts, and how it is undone.

A client sees what the engine would have sent it unasked: neither the extra event, nor usage inside other events, nor
`"usage":null`; but fields that engines move into the extra event (vLLM: `system_fingerprint`, llama.cpp: `timings`),
and the usage of a finishing event where no other follows (transformers serve, several clouds).
Sources: OpenAI's `stream_options.include_usage`; vLLM 0.33.0 and SGLang 0.5.23 `continuous_usage_stats`.
"""

from enum import StrEnum
from typing import Any, Final

from proxy.wire import splice
from proxy.wire.choices import finishes
from proxy.wire.event import Event

_NULL_USAGE: Final[tuple[bytes, ...]] = (b',"usage":null', b', "usage": null')
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


_NOT_MOVED: Final = frozenset({"usage", "choices"})


class Undo(StrEnum):
    """What of an engine's usage the client did not ask for."""

    NOTHING = "nothing"
    CONTINUOUS = "continuous"
    """Usage beside output; the event of its own at the end was asked for."""
    ALL = "all"
    STREAM = "stream"
    """The stream itself: the client wants its answer in one piece."""


def without_usage(event: Event, undo: Undo) -> Event | None:
    """The event as the client wants it; None when it held nothing else."""
    if undo is Undo.NOTHING or b'"usage"' not in event.raw:
        return event
    if undo is Undo.ALL:
        event = _without_null(event)
        if b'"usage"' not in event.raw:
            return event
    if "usage" not in event.object:
        return event  # the word stands in the model's own text
    if event.object.get("choices") == []:
        return None if undo is Undo.ALL else event
    if undo is Undo.CONTINUOUS:
        return _written(splice.replace_value(event.data, "usage", None))
    return _written(splice.without_key(event.data, "usage"))


class Undoing:
    """Takes our usage out of one stream. A finishing event waits for the next one: only that tells what is whose."""

    __slots__ = ("_is_continuous", "_undo", "held")

    def __init__(self, undo: Undo, *, continuous: bool = False) -> None:
        """`continuous`: usage in every event was asked for by us."""
        self._undo = undo
        self._is_continuous = continuous
        self.held: Event | None = None
        """A finishing event as the engine sent it."""

    def pass_on(self, events: list[Event]) -> list[Event]:
        """`events`, and what waited for them, as the client wants them."""
        out: list[Event] = []
        for event in events:
            if self._undo is Undo.ALL:
                self._take(event, out)
            else:
                _add(out, without_usage(event, self._undo))
        return out

    def rest(self) -> list[Event]:
        """What waits, now that nothing follows: its usage is the engine's own habit. Empty when nothing waits."""
        held, self.held = self.held, None
        return [] if held is None else [_without_null(held)]

    def _take(self, event: Event, out: list[Event]) -> None:
        kept = without_usage(event, Undo.ALL)
        held, self.held = self.held, None
        if kept is None:
            if held is not None:
                out.append(_with_moved(without_usage(held, Undo.ALL) or held, event))
            return
        if held is not None:
            _add(out, without_usage(held, Undo.ALL) if self._is_continuous else _without_null(held))
        if finishes(event.raw):
            self.held = event
        else:
            out.append(kept)


def _add(out: list[Event], event: Event | None) -> None:
    if event is not None:
        out.append(event)


def _written(data: bytes) -> Event:
    return Event(b"data: " + data + b"\n\n")


def _without_null(event: Event) -> Event:
    raw = event.raw
    for null in _NULL_USAGE:
        raw = raw.replace(null, b"")
    return event if raw is event.raw else Event(raw)


def _with_moved(event: Event, extra: Event) -> Event:
    """A finishing event with the fields that the engine put into the usage event behind it instead."""
    fields, data = event.object, event.data
    moved = [name for name, value in extra.object.items() if value is not None and fields.get(name) is None]
    if not fields or not moved:
        return event
    for name in moved:
        if name not in _NOT_MOVED:
            put = splice.replace_value if name in fields else splice.with_last
            data = put(data, name, extra.object[name])
    return _written(data)
