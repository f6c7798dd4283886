"""One line per request, text for people or JSON for machines. Never a prompt, an answer or a key.

Lines are gathered and handed on together, so that a busy proxy does not pay a system call per request. Whoever they are
handed to must not wait; what is lost there is said by a line made here.
"""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final

import orjson

from proxy.model.timeline import Timeline
from proxy.model.windows import Company
from proxy.obs.prefix_digests import PrefixDigests
from proxy.obs.record import Record

_MAX_LINES = 1000
"""Gathered at most; then they are handed on at once."""
FLUSH_S: Final = 0.05
"""Longest time a line is gathered."""

_WORD: Final = re.compile(r"[!#-\[\]-~]+\Z")
"""Printable ASCII without space, quote and backslash."""


Line = Callable[[Record, float], bytes]
"""Makes the line of a request that ended at this time of the wall clock."""


class AccessLog:
    """Formats records, each by `line`, and hands the bytes of many at once to `write`."""

    def __init__(
        self, line: Line, write: Callable[[bytes], None], wall: Callable[[], float], schedule: Callable[[], None]
    ) -> None:
        self._line = line
        self._write = write
        self._wall = wall
        self._schedule = schedule
        self._waiting: list[bytes] = []

    def add(self, record: Record) -> None:
        """Gather the line of a finished request."""
        waiting = self._waiting
        if not waiting:
            self._schedule()
        waiting.append(self._line(record, self._wall()))
        if len(waiting) >= _MAX_LINES:
            self.flush()

    def flush(self) -> None:
        """Hand on what was gathered."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(b"".join(waiting))


def line_of(form: str, prefixes: PrefixDigests | None = None) -> Line:
    """What makes lines of this form, `text` or `json`. `prefixes`: JSON tells of the beginnings of prompts, too."""
    if form != "json":
        return _text_line
    return _json_line if prefixes is None else partial(_line_with_prefix, prefixes)


def lost_line(form: str) -> Callable[[int], bytes]:
    """What makes the line that says how many were lost."""
    return _json_lost if form == "json" else _text_lost


_WHAT = (
    *("end", "status", "method", "path", "outcome", "fault", "class", "model_asked", "model_served", "backend"),
    *("attempts", "hedge", "cache", "stream", "resumed", "fallback", "batch", "token_source"),
)
"""What happened: few different ones, so that their text is made once and kept."""
_COLUMNS: Final = 4
"""So many of them stand in a text line without their names."""
_SPANS: Final[tuple[str, ...]] = ("queue_ms", "window_ms", "ttft_ms", "tpot_ms", "e2e_ms")
_COUNTS: Final[tuple[str, ...]] = ("prompt_tokens", "completion_tokens", "cached_tokens", "request_bytes")
_SPAN_WORDS: Final[tuple[str, ...]] = tuple(f" {name}=" for name in _SPANS)
_COUNT_WORDS: Final[tuple[str, ...]] = tuple(f" {name}=" for name in _COUNTS)
_HUNDREDTHS: Final[tuple[str, ...]] = tuple(f".{number:02}" for number in range(100))
_THOUSANDTHS: Final[tuple[str, ...]] = tuple(f".{number:03}Z" for number in range(1000))


def _what(record: Record) -> tuple[str | int | bool | None, ...]:
    outcome = record.outcome
    return (
        outcome.end_code,
        record.status,
        record.method,
        record.path,
        str(outcome.verdict),
        str(outcome.fault.kind) if outcome.fault else None,
        record.traffic_class,
        record.model_asked,
        record.model_served,
        record.backend,
        record.attempts,
        record.hedge or None,
        record.cache or None,
        record.stream,
        record.resumed or None,
        record.fallback or None,
        None if record.company is None else _batch(record.company),
        record.token_source,
    )


def _batch(company: Company) -> int | str | None:
    """Requests of its call; `shared`: it has the answer of another one."""
    return "shared" if company.joins else company.jobs if company.jobs > 1 else None


def _spans_ms(record: Record) -> tuple[float | None, ...]:
    line, first_token = record.timeline, record.meter.first_token
    tpot_s = None if first_token is None else record.meter.tpot_s(record.usage.completion_tokens)
    span = Timeline.span_ms
    return (
        span(line.understood, line.released if line.gathered is None else line.gathered),
        span(line.gathered, line.released),
        span(line.received, first_token),
        None if tpot_s is None else tpot_s * 1e3,
        span(line.received, line.done),
    )


def _counts(record: Record) -> tuple[int | None, ...]:
    usage = record.usage
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens, record.body_bytes


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 2)


def _hundredths(value_ms: float) -> str:
    """Two decimals; a format costs ten times as much."""
    hundredths = int(value_ms * 100.0 + 0.5)
    if hundredths < 0:
        digits = str(hundredths).zfill(3)
        return digits[:-2] + "." + digits[-2:]
    return str(hundredths // 100) + _HUNDREDTHS[hundredths % 100]


def timestamp(wall: float) -> str:
    """UTC, ISO 8601, with milliseconds."""
    second = int(wall)
    return _second(second) + _THOUSANDTHS[int((wall - second) * 1000)]


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json_line(record: Record, wall: float) -> bytes:
    return orjson.dumps(_fields(record, wall), option=orjson.OPT_APPEND_NEWLINE)


def _line_with_prefix(prefixes: PrefixDigests, record: Record, wall: float) -> bytes:
    fields = _fields(record, wall)
    if record.job is not None and record.job.prefix:
        fields["prefix"] = prefixes.of(record.job.prefix)
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _fields(record: Record, wall: float) -> dict[str, object]:
    fields: dict[str, object] = {"time": timestamp(wall)}
    fields.update(zip(_WHAT, _what(record), strict=True))
    fields.update(zip(_SPANS, map(_rounded, _spans_ms(record)), strict=True))
    fields.update(zip(_COUNTS, _counts(record), strict=True))
    if record.truncated:
        fields["truncated"] = record.truncated
    fields["tenant"] = record.tenant
    fields["client"] = record.client
    fields["id"] = record.id
    return fields


def _text_line(record: Record, wall: float) -> bytes:
    parts = [timestamp(wall), " ", _text_of(_what(record))]
    names, spans_ms = _SPAN_WORDS, _spans_ms(record)
    for i in range(len(names)):
        span_ms = spans_ms[i]
        if span_ms is not None:
            parts.append(names[i])
            parts.append(_hundredths(span_ms))
    names, counts = _COUNT_WORDS, _counts(record)
    for i in range(len(names)):
        count = counts[i]
        if count is not None:
            parts.append(names[i])
            parts.append(str(count))
    if record.truncated:
        parts.append(" truncated=" + record.truncated)
    if record.tenant:
        parts.append(" tenant=" + _kept_word(record.tenant))
    if record.client:
        parts.append(" client=" + _kept_word(record.client))
    if record.id:
        parts.append(" id=" + (record.id if _is_plain(record.id) else _word(record.id)))
    parts.append("\n")
    return "".join(parts).encode()


def _is_plain(name: str) -> bool:
    """Letters, digits and `-`, as in nearly every id: a look where a search costs twice as much."""
    return name.isascii() and name.replace("-", "").isalnum()


@lru_cache(maxsize=1024)
def _kept_word(text: str) -> str:
    """Of tenants and clients, who come again."""
    return _word(text)


@lru_cache(maxsize=1024)
def _text_of(what: tuple[str | int | bool | None, ...]) -> str:
    words = [_word(value) for value in what[:_COLUMNS]]
    named = zip(_WHAT[_COLUMNS:], what[_COLUMNS:], strict=True)
    words += [f"{name}={_word(value)}" for name, value in named if value is not None and value != ""]
    return " ".join(words)


def _json_lost(count: int) -> bytes:
    fields = {"time": timestamp(time.time()), "dropped_log_lines": count}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _text_lost(count: int) -> bytes:
    return f"{timestamp(time.time())} dropped_log_lines={count}\n".encode()


def _word(value: object) -> str:
    """A word of printable ASCII as it is; anything else quoted and escaped: no value can pretend to be another field or
    another line, or run from right to left."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value) or "-"
    return text if _WORD.match(text) else json.dumps(text)
