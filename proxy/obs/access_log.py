"""One line per request, text for people or JSON for machines. Never a prompt, an answer or a key.

Lines are gathered and written once per turn, so that a busy proxy does not pay a system call per request. At most
`_MAX_LINES` wait; what does not fit is dropped and counted in the next line that does.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from proxy.model.timeline import Timeline
from proxy.obs.record import Record

_MAX_LINES = 10_000
FLUSH_S = 0.05
"""Longest time a line waits."""

_COLUMNS = frozenset({"end", "status", "method", "path"})
"""Fields of a text line that stand without their names, before the others."""
_WORD = re.compile(r"[!#-\[\]-~]+\Z")
"""Printable ASCII without space, quote and backslash."""


class AccessLog:
    """Formats records and hands the bytes of many at once to `write`."""

    def __init__(
        self, form: str, write: Callable[[bytes], None], wall: Callable[[], float], schedule: Callable[[], None]
    ) -> None:
        self._line = _json_line if form == "json" else _text_line
        self._drops = _json_drops if form == "json" else _text_drops
        self._write = write
        self._wall = wall
        self._schedule = schedule
        self._waiting: list[bytes] = []
        self._dropped = 0

    def add(self, record: Record) -> None:
        """Queue the line of a finished request."""
        if len(self._waiting) >= _MAX_LINES:
            self._dropped += 1
            return
        if not self._waiting:
            self._schedule()
        self._waiting.append(self._line(record, self._wall()))

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if self._dropped:
            waiting.append(self._drops(self._dropped, self._wall()))
            self._dropped = 0
        if waiting:
            self._write(b"".join(waiting))


def _fields(record: Record) -> dict[str, Any]:
    line, outcome, usage = record.timeline, record.outcome, record.usage
    span = Timeline.span_ms
    tpot_s = record.meter.tpot_s(usage.completion_tokens)
    return {
        "end": outcome.end_code,
        "status": record.status,
        "method": record.method,
        "path": record.path,
        "outcome": outcome.verdict.value,
        "class": record.traffic_class,
        "model_asked": record.model_asked,
        "model_served": record.model_served,
        "backend": record.backend,
        "attempts": record.attempts,
        "hedge": record.hedge or None,
        "stream": record.stream,
        "resumed": record.resumed or None,
        "fallback": record.fallback or None,
        "queue_ms": _rounded(span(line.understood, line.released)),
        "ttft_ms": _rounded(span(line.received, record.meter.first_token)),
        "tpot_ms": _rounded(None if tpot_s is None else tpot_s * 1e3),
        "e2e_ms": _rounded(span(line.received, line.done)),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "token_source": record.token_source,
        "request_bytes": record.body_bytes,
        "fault": outcome.fault.kind.value if outcome.fault else None,
        "id": record.id,
    }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 2)


def _timestamp(wall: float) -> str:
    second = int(wall)
    return f"{_second(second)}.{int((wall - second) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json_line(record: Record, wall: float) -> bytes:
    return orjson.dumps({"time": _timestamp(wall), **_fields(record)}, option=orjson.OPT_APPEND_NEWLINE)


def _text_line(record: Record, wall: float) -> bytes:
    words = [_timestamp(wall)]
    for name, value in _fields(record).items():
        if name in _COLUMNS:
            words.append(_word(value))
        elif value is not None and value != "":
            words.append(f"{name}={_word(value)}")
    return (" ".join(words) + "\n").encode()


def _json_drops(count: int, wall: float) -> bytes:
    return orjson.dumps({"time": _timestamp(wall), "dropped_log_lines": count}, option=orjson.OPT_APPEND_NEWLINE)


def _text_drops(count: int, wall: float) -> bytes:
    return f"{_timestamp(wall)} dropped_log_lines={count}\n".encode()


def _word(value: str | float | bool) -> str:
    """One word. Of text only `_text` makes one; numbers cannot be anything else."""
    kind = type(value)
    if kind is int or kind is float:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    return _text(str(value))


@lru_cache(maxsize=1024)
def _text(value: str) -> str:
    """A word of printable ASCII as it is; anything else quoted and escaped: no value can pretend to be another field or
    another line, or run from right to left."""
    text = value or "-"
    return text if _WORD.match(text) else json.dumps(text)
