"""One answer in its two forms: a stream of events put together to a whole (`together`), a whole cut to a stream.

Owns chat and text completions. A field that it does not know well enough to put together or to cut makes it say so:
the answer then has one form only.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from proxy.model.endpoint import Endpoint
from proxy.wire.deltas import Fields, dump
from proxy.wire.event import Event
from proxy.wire.together import OBJECTS, OF_DELTA, TEXTS, Together

_PIECE: Final = re.compile(r"\S+\s*|\s+")
_DONE: Final = b"data: [DONE]\n\n"


def whole(stream: bytes, endpoint: Endpoint) -> Fields | None:
    """The answer in one piece that a stream of clean events amounts to; None: there is something in it that is not
    known well enough."""
    together = Together(endpoint)
    return together.whole() if all(together.add(Event(raw)) for raw in _events(stream)) else None


def stream(answer: Fields, endpoint: Endpoint, *, usage: bool) -> bytes | None:
    """The events of a stream of an answer in one piece, about one a word. `usage`: with an event that tells it."""
    base = {name: value for name, value in answer.items() if name not in ("choices", "usage", "object")}
    base = {"id": base.pop("id", None), "object": OBJECTS[endpoint][1], **base}
    events: list[bytes] = []
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        pieces = _cut(choice, endpoint) if isinstance(choice, dict) else None
        if pieces is None:
            return None
        events += (_written({**base, "choices": [piece]}) for piece in pieces)
    if not events:
        return None
    if usage:
        events.append(_written({**base, "choices": [], "usage": answer.get("usage")}))
    return b"".join((*events, _DONE))


def arguments(answer: Fields) -> Iterator[Any]:
    """Of all calls of tools in an answer in one piece."""
    for choice in answer.get("choices") or ():
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            continue
        calls = message.get("tool_calls")
        for call in (*(calls if isinstance(calls, list) else ()), {"function": message.get("function_call")}):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                yield function.get("arguments")


# --- together


def _events(stream: bytes) -> Iterator[bytes]:
    for raw in stream.split(b"\n\n"):
        if raw and raw != _DONE[:-2]:
            yield raw + b"\n\n"


# --- apart


def _cut(choice: Fields, endpoint: Endpoint) -> list[Fields] | None:
    """The choice of each event, in order."""
    index = choice.get("index", 0)
    beside = ("index", "message", "text", "logprobs" if choice.get("logprobs") else "")
    rest = {name: value for name, value in choice.items() if name not in beside}
    open_ = {name: None for name in rest if name in ("finish_reason", "stop_reason", "logprobs")}
    if endpoint is Endpoint.COMPLETIONS:
        text = choice.get("text")
        if not isinstance(text, str):
            return None
        pieces: list[Fields] = [{"index": index, "text": piece, **open_} for piece in _pieces(text, choice)]
        last: Fields = {"index": index, "text": "", **rest}
    else:
        deltas = _deltas(choice.get("message"), choice)
        if deltas is None:
            return None
        pieces = [{"index": index, "delta": delta, **open_} for delta in deltas]
        last = {"index": index, "delta": {}, **rest}
    if choice.get("logprobs"):
        _with_logprobs(pieces, choice["logprobs"])
    return [*pieces, last]


def _deltas(message: Any, choice: Fields) -> list[Fields] | None:
    if not isinstance(message, dict):
        return None
    if any(value and name not in OF_DELTA for name, value in message.items()):
        return None
    deltas: list[Fields] = [{"role": message.get("role", "assistant"), "content": ""}]
    for name in TEXTS:
        text = message.get(name)
        if text:
            if not isinstance(text, str):
                return None
            deltas += ({name: piece} for piece in _pieces(text, choice))
    for index, call in enumerate(message.get("tool_calls") or ()):
        deltas.append({"tool_calls": [{"index": index, **call}]})
    if message.get("function_call"):
        deltas.append({"function_call": message["function_call"]})
    return deltas


def _pieces(text: str, choice: Fields) -> list[str]:
    """What is told of each token stays beside all of them."""
    return [text] if choice.get("logprobs") else _PIECE.findall(text)


def _with_logprobs(pieces: list[Fields], logprobs: Any) -> None:
    for piece in pieces:
        if piece.get("text") or (piece.get("delta") or {}).get("content"):
            piece["logprobs"] = logprobs
            return


def _written(fields: Fields) -> bytes:
    return b"data: " + dump(fields) + b"\n\n"
