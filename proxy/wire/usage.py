"""What an engine says of an answer in passing: usage, the model it served, whether its text ended.

Owns reading, never changing. Anything that is not what it should be reads as unknown.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import orjson

from proxy.wire import native, sse
from proxy.wire.ends import Ends
from proxy.wire.event import Event

_COUNT_MAX: Final = 2**53
_COUNTED: Final = (b"x-prompt-tokens", b"x-generated-tokens")
_ANSWERS: Final[tuple[bytes, ...]] = tuple(
    b'"' + name + b'":' for name in (b"content", b"text", b"arguments", b"refusal", b"partial_json", b"response")
)
_OF_RESPONSES: Final = re.compile(rb'"response\.(?:output_text|function_call_arguments|refusal)\.delta"')
"""An empty text is a role chunk, or a piece of thought beside it; names that end in `content` are others."""
_TEXT: Final = b'"delta":{"content":"'
_ROLE: Final = b'"delta":{"role":"assistant","content":""}'
_DELTA: Final = b'"delta":'
_QUOTE: Final = 34
_SPACE: Final = 32
_USAGE: Final = b',"usage":{'
_OBJECT: Final = 123
_TAIL_B: Final = 512
"""Usage of a whole answer stands in as many of its last bytes, where it stands last."""
_LAST_WORDS: Final = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "message_stop",
        "transcript.text.done",
        "speech.audio.done",
        "image_generation.completed",
        "image_edit.completed",
    }
)
"""Types of the event that ends a stream of typed events; `response.output_text.done` and the like end a part of it."""


_MIDDLES: Final = frozenset({"image_generation.partial_image", "image_edit.partial_image"})
"""Types of events that say themselves that they are not all; of sounds it is not known well enough how engines end."""


class Usage(NamedTuple):
    """Token counts as the engine reported them; None: it did not, or reported nonsense."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


NO_USAGE: Final = Usage()


def both(one: Usage, other: Usage) -> Usage:
    """Of two calls together."""
    return Usage(*map(_sum, one, other))


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def of_body(body: bytes) -> Usage:
    """Usage of a whole JSON answer."""
    fields: Any = _told_last(body)
    if fields is None:
        fields = _read(body)
    if isinstance(fields, list):
        return Usage(*native.total(fields))
    return _of_fields(fields) if isinstance(fields, dict) else NO_USAGE


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> Usage:
    """TGI's, of an answer whose body says nothing."""
    found = {name: int(value) for name, value in headers if name in _COUNTED and value[:16].isdigit()}
    return Usage(*(_count(found.get(name)) for name in _COUNTED)) if found else NO_USAGE


def of_ends(ends: Ends) -> Usage:
    """Usage of a whole JSON answer that was too large to be kept."""
    found = ends.usage()
    return Usage(*native.counts(ends.counts())) if found is None else _of_fields({"usage": found})


def of_events(events: list[bytes]) -> Usage:
    """Usage of a stream, from its last events (engines put it in the last or the one before `[DONE]`)."""
    last = [Event(raw) for raw in events]
    for event in reversed(last):
        found = _told_by(event, last)
        if found.completion_tokens is not None or found.prompt_tokens is not None:
            return found
    return NO_USAGE


def of_messages(begun: bytes, events: list[bytes]) -> Usage:
    """Usage of a stream of Anthropic's, whose first event tells the prompt's where its last ones do not."""
    last = of_events(events)
    if last.prompt_tokens is not None or not begun:
        return last
    message = Event(begun).object.get("message")
    first = _of_fields(message) if isinstance(message, dict) else NO_USAGE
    return Usage(first.prompt_tokens, last.completion_tokens, first.cached_tokens)


def of_event(event: Event) -> Usage:
    """Usage of a stream as far as one event tells it."""
    return _told_by(event, [event])


def holds_content(event: Event) -> bool:
    """Whether an event carries output: text, tool call, reasoning, refusal or audio; not a bare role."""
    raw = event.raw
    if len(raw) > sse.FREE_B:
        return True
    if raw.find(b'"type":') < 0:  # as nearly all events of a chat are written: found without reading them
        at = raw.find(_TEXT) + len(_TEXT)
        if at >= len(_TEXT) and raw[at] != _QUOTE:
            return True
        at = raw.find(_ROLE)
        if at >= 0 and raw.find(_DELTA, at + 1) < 0 and raw.find(_DELTA) == at and raw.find(b'"text"') < 0:
            return False
    kind = event.object.get("type")
    if isinstance(kind, str):  # Responses and audio; Anthropic messages
        return kind.endswith(".delta") or kind == "content_block_delta"
    choices = event.object.get("choices")
    if not isinstance(choices, list):
        return native.holds_output(event.object)
    return any(_choice_has_content(choice) for choice in choices if isinstance(choice, dict))


def begins_answer(data: bytes) -> bool:
    """Whether raw bytes of a stream hold a piece of the answer proper: text or a tool's arguments, no thought. Cheap,
    and asked only until it is so; what it does not know reads as thought."""
    for name in _ANSWERS:
        at = data.find(name)
        while at >= 0:
            at += len(name)
            if at < len(data) and data[at] == _SPACE:
                at += 1
            text = data[at : at + 2]
            if len(text) == 2 and text[0] == _QUOTE and text[1] != _QUOTE:
                return True
            at = data.find(name, at)
    return data.find(b'"response.') >= 0 and _OF_RESPONSES.search(data) is not None


def _choice_has_content(choice: dict[str, Any]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")


def said_last_word(events: list[bytes]) -> bool:
    """Whether the last events of a stream of typed events say that it is complete; `choices` knows of the others."""
    kinds = (Event(raw).object.get("type") for raw in events)
    return any(isinstance(kind, str) and kind in _LAST_WORDS for kind in kinds)


def is_unfinished(event: bytes) -> bool:
    """Whether another event must follow this one."""
    kind = Event(event).object.get("type")
    return isinstance(kind, str) and kind in _MIDDLES


def _told_by(event: Event, events: list[Event]) -> Usage:
    raw = event.raw
    if raw.find(b'"usage"') >= 0:
        told = None if raw.find(b'"response"') >= 0 else _told_last(event.data)
        return _of_fields(event.object.get("response", event.object) if told is None else told)
    if raw.find(b'"timings"') >= 0 and _is_single(events):
        return _of_fields(event.object.get("response", event.object))
    return NO_USAGE


def _of_fields(fields: Any) -> Usage:
    usage = fields.get("usage") if isinstance(fields, dict) else None
    if not isinstance(usage, dict):
        return _of_other(fields) if isinstance(fields, dict) else NO_USAGE
    if "cache_read_input_tokens" in usage:
        return _of_messages(usage)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    return Usage(
        _count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        _count(usage.get("completion_tokens", usage.get("output_tokens"))),
        _count(details.get("cached_tokens")) if isinstance(details, dict) else None,
    )


def _of_other(fields: dict[str, Any]) -> Usage:
    """Of an API of its own, or llama.cpp's in OpenAI's."""
    own = native.counts(fields)
    return _of_timings(fields.get("timings")) if own is native.NOTHING else Usage(*own)


def _of_messages(usage: dict[str, Any]) -> Usage:
    """Anthropic's input has what was read from a cache, and what was written to one, beside it."""
    fresh, cached = _count(usage.get("input_tokens")), _count(usage["cache_read_input_tokens"])
    written = _count(usage.get("cache_creation_input_tokens"))
    prompt = None if fresh is None else fresh + (cached or 0) + (written or 0)
    return Usage(prompt, _count(usage.get("output_tokens")), cached)


def _is_single(events: list[Event]) -> bool:
    """Whether all events belong to the first choice: `timings` count their own choice only."""
    choices = [choice for event in events for choice in event.object.get("choices") or []]
    return all(isinstance(choice, dict) and choice.get("index", 0) == 0 for choice in choices)


def _of_timings(timings: Any) -> Usage:
    """llama.cpp tells its counts in the last event of every stream: `prompt_n` without the cached tokens `cache_n`."""
    if not isinstance(timings, dict):
        return NO_USAGE
    cached, new = _count(timings.get("cache_n")), _count(timings.get("prompt_n"))
    prompt = None if cached is None or new is None else cached + new
    return Usage(prompt, _count(timings.get("predicted_n")), cached)


def _told_last(body: bytes) -> dict[str, Any] | None:
    """Usage of an object in which it stands last, as vLLM, SGLang and OpenAI write it, without reading all the rest:
    what follows its name is the end of the whole, so that it is no object inside of another one. Quotes inside of texts
    are escaped, so that it is no text either. Whether all the rest is JSON nobody looks. None: it does not stand there,
    or cannot be told like this."""
    if not body.endswith(b"}}") or body[0] != _OBJECT:
        return None
    at = body.rfind(_USAGE, max(0, len(body) - _TAIL_B))
    if at < 0:
        return None
    fields = _read(b"{" + body[at + 1 :])
    return fields if isinstance(fields, dict) else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _COUNT_MAX else None


def _read(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
