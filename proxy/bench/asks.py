"""What a load consists of: sessions of requests, made from a seed and a number, so that any of them can be made again.

Owns how a request becomes bytes, and its digest. What requests say is the business of `workloads`. Nothing in them
depends on what was answered before: a second run of a seed sends the same bytes, whatever the model says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import orjson

from proxy.bench.answer import Kind
from proxy.bench.details import digest_of

PATHS: Final[dict[Kind, str]] = {
    "chat": "/v1/chat/completions",
    "completion": "/v1/completions",
    "embeddings": "/v1/embeddings",
}


class Stage(NamedTuple):
    """A part of the request's time that its client spends itself."""

    name: str
    ms: float


class Prepared(NamedTuple):
    """What was made of a request that its client has to prepare, such as by retrieval."""

    messages: list[dict[str, Any]]
    stages: list[Stage]


Prepare = Callable[[], Prepared]
"""Runs in a thread, when the request is due."""
Finish = Callable[[str], list[Stage]]
"""Given the answer's text, in a thread, when it is complete."""
Check = Callable[[str], str]
"""Why an answer's text has not the form that it must have; empty: it has."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, still without a model."""

    kind: Kind
    fields: Mapping[str, Any]
    """Of its body."""
    output_tokens: int = 0
    """That are expected."""
    gap_s: float = 0.0
    """So long its client waits after the answer before."""
    prepare: Prepare | None = None
    finish: Finish | None = None
    check: Check | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """Requests of one client, one after the other."""

    asks: tuple[Ask, ...]
    at: float | None = None
    """Seconds from the start, as recorded; None: whenever the load says."""


class Source(Protocol):
    """A workload."""

    @property
    def name(self) -> str:
        """As rows and people call it."""
        ...

    @property
    def total(self) -> int | None:
        """Sessions that there are; None: as many as are wanted."""
        ...

    def session(self, seed: int, number: int) -> Session:
        """That one; the same values make the same session. Numbers below 0 are for warming up."""
        ...


class Dressing(NamedTuple):
    """What all requests to one target have in common."""

    model: str
    includes_usage: bool
    """Streams are asked for their usage."""
    ignores_end: bool = False
    """`ignore_eos`: answers are exactly as long as asked for, where the engine knows the word."""
    salt: str = ""
    """In front of every prompt, so that no cache has seen it."""


def body_of(ask: Ask, messages: list[dict[str, Any]] | None, dressing: Dressing) -> bytes:
    """Its bytes; `messages`: what was prepared."""
    fields = dict(ask.fields)
    if messages is not None:
        fields["messages"] = messages
    if dressing.salt:
        _salt(fields, dressing.salt)
    if dressing.model or "model" not in fields:
        fields = {"model": dressing.model} | {name: value for name, value in fields.items() if name != "model"}
    if ask.kind != "embeddings":
        if fields.get("stream") and dressing.includes_usage:
            fields["stream_options"] = {"include_usage": True}
        if dressing.ignores_end:
            fields["ignore_eos"] = True
    return orjson.dumps(fields)


def digest(ask: Ask, messages: list[dict[str, Any]] | None) -> str:
    """Of its path and body, before a model and a salt are put in."""
    fields = dict(ask.fields) if messages is None else {**ask.fields, "messages": messages}
    return digest_of(PATHS[ask.kind].encode(), orjson.dumps(fields))


def _salt(fields: dict[str, Any], salt: str) -> None:
    if "messages" in fields:
        first, *others = fields["messages"]
        content = first.get("content")
        if isinstance(content, str):
            salted: Any = f"{salt} {content}"
        else:
            salted = [{"type": "text", "text": salt}, *(content or ())]
        fields["messages"] = [{**first, "content": salted}, *others]
    for name in ("prompt", "input"):
        value = fields.get(name)
        if isinstance(value, str):
            fields[name] = f"{salt} {value}"
        elif isinstance(value, list):
            fields[name] = [f"{salt} {one}" if isinstance(one, str) else one for one in value]
