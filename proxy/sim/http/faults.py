"""Faults that a test asks of a simulated backend, by request header or as a default for every request.

| header | what the backend does |
|---|---|
| `x-sim-delay-ms: 250` | waits before the head of its answer |
| `x-sim-stall-after: N` | sends N events, then nothing until the client leaves; 0: never even a head |
| `x-sim-reset-after: N` | TCP reset after N events; 0: before the head |
| `x-sim-cut-after: N` | closes in the middle of the chunked body after N events; 0: before the head |
| `x-sim-status: 500` | answers with this status and an error body… |
| `x-sim-retry-after: 2` | …and this `retry-after` |
| `x-sim-error-event-after: N` | after N events an error event, `[DONE]` and a clean end, as a vLLM whose engine died |
| `x-sim-bad-sse: KIND` | `no-done` ends without `[DONE]`; `null-data` adds an event `data: null`; `html` answers 200 |
| | with a page; `huge-event` adds one event of 2 MiB; `ids` adds `id:` and `retry:` lines; `empty-data` adds |
| | events without data; `comments` adds keep-alive comments; `split-utf8` writes split inside characters; |
| | `crlf`, `cr` end lines so; `multi-line` spreads each event over several `data:` lines; `error-first` |
| | begins with an error event |
| `x-sim-tokens-per-event: n` | n tokens in every event (the last has the rest) |
| `x-sim-linger-after-done: 1` | does not end the body after `[DONE]` |
| `x-sim-bytes-per-write: n` | writes the body n bytes at a time |
| `x-sim-text: BASE64` | generates exactly this text (base64 of UTF-8), cut to tokens of about four characters |

An *event* is one SSE event with data, `[DONE]` included. On an answer that is no stream, N = 0 is as above and any
other N comes in the middle of the body, whose length the head has promised; `error-event-after` does nothing there.

`POST /sim/faults` takes the same names in a JSON object and applies them to every later POST under `/v1` (a header
wins over a default), and further `"health": 503` and `"models": 503` (status of `/health` and of the model list),
`"slower": 5` (from now on every step takes five times as long as the preset says, without a word), and
`"refuse": true`: the listener closes, open connections stay, and one of them may be used for `POST /sim/reset`.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from proxy.sim.http.refusal import bad_parameter


class BadSse(StrEnum):
    """Ways to speak server-sent events badly, or unusually."""

    NO_DONE = "no-done"
    NULL_DATA = "null-data"
    HTML = "html"
    HUGE_EVENT = "huge-event"
    IDS = "ids"
    EMPTY_DATA = "empty-data"
    COMMENTS = "comments"
    SPLIT_UTF8 = "split-utf8"
    CRLF = "crlf"
    CR = "cr"
    MULTI_LINE = "multi-line"
    ERROR_FIRST = "error-first"


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with one request. Field names are the header names without `x-sim-`."""

    delay_ms: float = 0.0
    stall_after: int | None = None
    reset_after: int | None = None
    cut_after: int | None = None
    status: int | None = None
    retry_after: str | None = None
    error_event_after: int | None = None
    bad_sse: BadSse | None = None
    tokens_per_event: int = 1
    linger_after_done: bool = False
    bytes_per_write: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class BackendFaults:
    """What goes wrong with the backend as a whole."""

    health: int = 200
    models: int = 200
    refuse: bool = False
    slower: float = 1.0
    """Times its preset."""


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _status(text: str) -> int:
    number = int(text)
    if not 200 <= number <= 599:
        raise ValueError("must be a final status")
    return number


def _factor(text: str) -> float:
    factor = float(text)
    if not 0.001 <= factor <= 1000:
        raise ValueError("must be from 0.001 to 1000")
    return factor


def _flag(text: str) -> bool:
    return text.lower() not in {"", "0", "false"}


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"is not base64 of UTF-8: {error}") from None


_READERS: dict[str, Callable[[str], Any]] = {
    "delay_ms": float,
    "stall_after": _count,
    "reset_after": _count,
    "cut_after": _count,
    "status": _status,
    "retry_after": str,
    "error_event_after": _count,
    "bad_sse": BadSse,
    "tokens_per_event": _positive,
    "linger_after_done": _flag,
    "bytes_per_write": _positive,
    "text": _text,
}
assert set(_READERS) == {item.name for item in fields(Faults)}


def read_faults(headers: Mapping[str, str], defaults: Mapping[str, str]) -> Faults:
    """Faults of one request. Raises Refusal for a header that says nothing sensible, so that no test passes by typo."""
    asked = dict(defaults) | {name.lower(): value for name, value in headers.items() if name.lower()[:6] == "x-sim-"}
    values: dict[str, Any] = {}
    for name, value in asked.items():
        key = name.removeprefix("x-sim-").replace("-", "_")
        reader = _READERS.get(key) if name.startswith("x-sim-") else None
        if reader is None:
            raise bad_parameter(f"unknown fault {name}", name)
        try:
            values[key] = reader(value)
        except ValueError as error:
            raise bad_parameter(f"{name}: {error}", name) from None
    return Faults(**values)


def read_defaults(body: Mapping[str, Any]) -> tuple[dict[str, str], BackendFaults]:
    """The body of `POST /sim/faults`. Raises Refusal."""
    whole = {key: value for key, value in body.items() if key in {"health", "models", "refuse", "slower"}}
    headers = {key.lower(): str(value) for key, value in body.items() if key not in whole}
    read_faults({}, headers)
    try:
        faults = BackendFaults(
            _status(str(whole.get("health", 200))),
            _status(str(whole.get("models", 200))),
            bool(whole.get("refuse")),
            _factor(str(whole.get("slower", 1.0))),
        )
    except ValueError as error:
        raise bad_parameter(f"health, models, slower: {error}", "health") from None
    return headers, faults
