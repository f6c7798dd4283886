"""Short first, more on request: what a request for a short answer is, and what one for the rest of it is.

    system + "first in short" │ user │ ──limit──▶ short answer          the same prompt, so that the engine
    system + "first in short" │ user │ short answer │ "expand" ──▶      has all but the end of it in its cache

Owns these words, for which requests they are (chats in words alone), and reading the text of an answer. What a client
sent stays byte for byte, but for its limit.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from proxy.model.endpoint import Endpoint
from proxy.model.prompts import FirstAnswer
from proxy.wire import splice, sse
from proxy.wire.body import invalid
from proxy.wire.prompt import is_constrained
from proxy.wire.prompts.spans import items, values

HEADER: Final = b"x-tidegate-expand"
"""Of a request: the id of the answer that is to go on."""
SAID: Final = b"x-tidegate-expandable"
"""Of an answer: it can, by this id."""
_WORDS_PER_TOKEN: Final = 0.7
_LIMITS: Final = ("max_completion_tokens", "max_tokens")
_SYSTEM: Final = frozenset({"system", "developer"})
_MORE: Final = {"role": "user", "content": "Expand on this: give the full answer."}
_DATA: Final = b"data:"


def may_be_short(endpoint: Endpoint, fields: Mapping[str, Any], first: FirstAnswer) -> bool:
    """Not where tools or a form bind the answer, where there are several, or where it would be short anyway."""
    if endpoint is not Endpoint.CHAT or is_constrained(fields) or fields.get("n") not in (None, 1):
        return False
    limit = _limit(fields)
    return limit is None or limit > first.tokens


def shortened(body: bytes, fields: dict[str, Any], first: FirstAnswer) -> bytes:
    """The body with a limit and, for the style `short`, with the words in its system's message; `fields` alike."""
    if first.style == "short":
        body = _with_words(body, fields, _words(first))
    return _limited(body, fields, first.tokens)


def expanded(body: bytes, text: str, asked: Mapping[str, Any], limit: int | None) -> bytes:
    """The body of a request that goes on where the short answer `text` ended. `asked`: what the client wants otherwise
    now (`stream`, a limit); `limit`: what it wanted at first. A 400 for what cannot be."""
    added = b"," + orjson.dumps([{"role": "assistant", "content": text}, _MORE])[1:]
    for start, end in values(body, "messages", b"["):
        if body[start + 1 : end - 1].strip():
            body = b"".join((body[: end - 1], added, body[end:]))
    stream, wanted = asked.get("stream"), _limit(asked)
    if stream is not None and not isinstance(stream, bool):
        raise invalid("`stream` must be true or false.", "stream")
    fields = orjson.loads(body)
    if stream is not None:
        body = _with(body, fields, "stream", stream)
    if stream is False:
        body = splice.without_key(body, "stream_options")
    limit = limit if wanted is None else wanted
    if limit is not None:
        return _limited(body, fields, limit)
    for name in _LIMITS:
        body = splice.without_key(body, name)
    return body


def limit_of(fields: Mapping[str, Any]) -> int | None:
    """Most tokens that a request wants."""
    return _limit(fields)


def text_of_whole(body: bytes) -> str:
    """Of an answer in one piece; empty where it is not words alone."""
    try:
        choice = orjson.loads(body)["choices"][0]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return ""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or message.get("tool_calls") or message.get("refusal"):
        return ""
    text = message.get("content")
    return text if isinstance(text, str) else ""


def text_of_stream(events: bytes) -> str:
    """The same of a stream; empty where it did not end."""
    parts: list[str] = []
    for line in events.split(b"\n"):
        if not line.startswith(_DATA):
            continue
        data = line[len(_DATA) :].strip()
        if data == sse.DONE:
            return "".join(parts)
        text = _delta(data)
        if text is None:
            return ""
        parts.append(text)
    return ""


def _delta(data: bytes) -> str | None:
    """Text of one event; None for something else."""
    try:
        fields = orjson.loads(data)
        choices = fields["choices"]
        delta = choices[0]["delta"] if choices else {}
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    if not isinstance(delta, dict) or delta.get("tool_calls") or delta.get("refusal"):
        return None
    text = delta.get("content") or ""
    return text if isinstance(text, str) else None


def _words(first: FirstAnswer) -> str:
    """The same for all requests of a class: it stands in the part of the prompt that they share."""
    most = max(10, int(first.tokens * _WORDS_PER_TOKEN) // 10 * 10)
    return (
        f"Answer in short at first: the result and what matters most, in at most {most} words. "
        "When you are asked to expand on it, give the full answer."
    )


def _with_words(body: bytes, fields: dict[str, Any], words: str) -> bytes:
    """In the system's first message, since many chat templates take no second one; in one of its own where there is
    none in text."""
    first = fields["messages"][0]
    content = first.get("content")
    if first.get("role") not in _SYSTEM or not isinstance(content, str):
        fields["messages"] = [{"role": "system", "content": words}, *fields["messages"]]
        message = orjson.dumps(fields["messages"][0]) + b","
        for start, end in values(body, "messages", b"["):
            if body[start + 1 : end - 1].strip():
                body = b"".join((body[: start + 1], message, body[start + 1 :]))
        return body
    words = "\n\n" + words
    first["content"] = content + words
    literal = orjson.dumps(words)[1:]
    for start, end in values(body, "messages", b"["):
        for at, until in items(body[start:end]):
            for _, last in values(body[start + at : start + until], "content", b'"'):
                place = start + at + last - 1  # the quote at the end
                body = body[:place] + literal + body[place + 1 :]
            break
    return body


def _limit(fields: Mapping[str, Any]) -> int | None:
    for name in _LIMITS:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _limited(body: bytes, fields: dict[str, Any], tokens: int) -> bytes:
    """By the name that the client uses."""
    named = [name for name in _LIMITS if name in fields] or ["max_tokens"]
    for name in named:
        body = _with(body, fields, name, tokens)
    return body


def _with(body: bytes, fields: dict[str, Any], name: str, value: Any) -> bytes:
    is_there = name in fields
    fields[name] = value
    return splice.replace_value(body, name, value) if is_there else splice.with_first(body, name, value)
