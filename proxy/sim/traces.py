"""Recorded traces as arrivals: Mooncake JSONL, the Azure CSV, and the access log that the proxy itself writes.

Owns the three formats, and what to do about a line that is none of them: stop there, or leave it out and say so. What
a format does not record is named in `missing`, never made up silently.
"""

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from proxy.sim.arrival import Arrival

MAX_TOKENS = 10_000_000
"""No prompt or answer is longer; a larger number in a trace is a broken line."""
MAX_BROKEN_SHOWN = 20
_AZURE_HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


class TraceError(Exception):
    """The trace cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that was left out."""

    line: int
    why: str


@dataclass(slots=True)
class Trace:
    """What was read."""

    name: str
    form: str
    arrivals: list[Arrival] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    """The first of them; `left_out` counts all."""
    left_out: int = 0
    missing: tuple[str, ...] = ()
    """What this format (or this file) does not record, so that no result depends on it."""

    @property
    def span_s(self) -> float:
        """From the first arrival to the last."""
        return self.arrivals[-1].at - self.arrivals[0].at if self.arrivals else 0.0

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals per second."""
        return len(self.arrivals) / self.span_s if self.span_s else 0.0


class _BrokenLine(Exception):  # noqa: N818 — caught here, never seen outside
    """A line that cannot be understood."""


_Read = Callable[[str], Arrival | None]
"""One line to an arrival; None: a line that is right and holds no request."""


def read_trace(
    path: Path,
    *,
    skip_broken: bool = False,
    limit: int | None = None,
    speed: float = 1.0,
    jitter_s: float = 0.0,
    seed: int = 0,
) -> Trace:
    """Arrivals from 0 s on, in order of time.

    `speed` 2 halves the pauses. `jitter_s` moves each arrival by up to so much (before `speed`), for traces whose
    clock is coarse. Raises TraceError for a file that cannot be read, a format nobody knows, and, unless `skip_broken`,
    the first broken line.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            trace = _read(path.name, lines, skip_broken, limit)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}") from None
    if not trace.arrivals:
        raise TraceError(f"{path}: holds no request")
    trace.arrivals = _in_time(trace.arrivals, speed, jitter_s, Random(seed))  # noqa: S311 — reproducible, not secret
    return trace


def _read(name: str, lines: Iterator[str], skip_broken: bool, limit: int | None) -> Trace:
    first = next(lines, "")
    form, read, has_header, missing = _recognised(name, first)
    trace = Trace(name, form, missing=missing)
    numbered = enumerate(lines, start=2) if has_header else enumerate(_again(first, lines), start=1)
    found = _arrivals(name, numbered, read, trace, skip_broken)
    trace.arrivals = list(islice(found, limit))
    return trace


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _arrivals(
    name: str, numbered: Iterator[tuple[int, str]], read: _Read, trace: Trace, skip_broken: bool
) -> Iterator[Arrival]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            arrival = read(line)
        except _BrokenLine as broken:
            if not skip_broken:
                hint = "--skip-broken leaves such lines out"
                raise TraceError(f"{name}:{number}: {broken}; {hint}") from None
            trace.left_out += 1
            if len(trace.broken) < MAX_BROKEN_SHOWN:
                trace.broken.append(Broken(number, str(broken)))
            continue
        if arrival is not None:
            yield arrival


def _in_time(arrivals: list[Arrival], speed: float, jitter_s: float, rng: Random) -> list[Arrival]:
    times = [a.at + (rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.0) for a in arrivals]
    start = min(times)
    moved = [replace(a, at=(at - start) / speed) for a, at in zip(arrivals, times, strict=True)]
    return sorted(moved, key=lambda a: a.at)


def _recognised(name: str, first: str) -> tuple[str, _Read, bool, tuple[str, ...]]:
    """The format that the first line speaks, its reader, whether that line is a header, and what is never recorded."""
    if tuple(cell.strip() for cell in first.lstrip("\ufeff").strip().split(",")) == _AZURE_HEADER:
        return "azure", _azure, True, ("prefixes", "models", "tenants", "classes")
    row = _object_or_none(first)
    if row is None:
        raise TraceError(f"{name}:1: neither a Mooncake line, nor the Azure header, nor a line of an access log (JSON)")
    if "timestamp" in row and "input_length" in row:
        return "mooncake", _mooncake, False, ("models", "tenants", "classes")
    if "time" in row:
        return "access log", _access_log, False, ("prefixes", "the tokens of requests that were not served")
    raise TraceError(f"{name}:1: a JSON object, but neither a Mooncake line (timestamp) nor an access log (time)")


# ---- Mooncake: {"timestamp": ms, "input_length": n, "output_length": n, "hash_ids": [block, …]}


def _mooncake(line: str) -> Arrival:
    row = _object(line)
    hashes = row.get("hash_ids", [])
    if not isinstance(hashes, list) or not all(type(one) is int for one in hashes):
        raise _BrokenLine("hash_ids is not a list of whole numbers")
    return Arrival(
        at=_number(row, "timestamp") / 1e3,
        prompt_tokens=_count(row, "input_length", 1),
        output_tokens=_count(row, "output_length", 1),
        prefix_hashes=tuple(hashes),
    )


# ---- Azure: TIMESTAMP,ContextTokens,GeneratedTokens


def _azure(line: str) -> Arrival:
    cells = next(csv.reader([line]), [])
    if len(cells) != len(_AZURE_HEADER):
        raise _BrokenLine(f"{len(cells)} columns instead of {len(_AZURE_HEADER)}")
    row = dict(zip(_AZURE_HEADER, cells, strict=True))
    return Arrival(
        at=_seconds(row["TIMESTAMP"]),
        prompt_tokens=_count_in(row, "ContextTokens"),
        output_tokens=_count_in(row, "GeneratedTokens"),
    )


def _count_in(row: dict[str, str], key: str) -> int:
    text = row[key].strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _BrokenLine(f"{key} is not a whole number")
    return _in_range(key, int(text), 1)


# ---- our own access log, JSON form


def _access_log(line: str) -> Arrival | None:
    row = _object(line)
    if "time" not in row or "dropped_log_lines" in row or "outcome" not in row:
        return None
    ended = _seconds(row["time"]) if isinstance(row["time"], str) else _number(row, "time")
    if row.get("prompt_tokens") is None or row.get("completion_tokens") is None:
        return None  # refused, or an engine that tells no usage: what it would have cost is not known
    took_s = _number(row, "e2e_ms") / 1e3 if row.get("e2e_ms") is not None else 0.0
    return Arrival(
        at=ended - took_s,
        prompt_tokens=_count(row, "prompt_tokens", 1),
        output_tokens=max(1, _count(row, "completion_tokens", 0)),
        model=_text(row, "model_asked") or "sim",
        traffic_class=_text(row, "class") or None,
        tenant=_text(row, "tenant") or None,
        body_bytes=_count(row, "request_bytes", 0) if row.get("request_bytes") is not None else 0,
        stream=row.get("stream") is not False,
    )


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _BrokenLine(f"{key} is not text")
    return value[:256]


# ---- fields


def _object_or_none(line: str) -> dict[str, Any] | None:
    try:
        return _object(line)
    except _BrokenLine:
        return None


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _BrokenLine("not a JSON object") from None
    if not isinstance(row, dict):
        raise _BrokenLine("not a JSON object")
    return row


def _number(row: dict[str, Any], key: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _BrokenLine(f"{key} is not a number of at least 0" if key in row else f"{key} is missing")
    return float(value)


def _count(row: dict[str, Any], key: str, least: int) -> int:
    value = row.get(key)
    if type(value) is not int:
        raise _BrokenLine(f"{key} is not a whole number" if key in row else f"{key} is missing")
    return _in_range(key, value, least)


def _in_range(key: str, value: int, least: int) -> int:
    if not least <= value <= MAX_TOKENS:
        raise _BrokenLine(f"{key} is not between {least} and {MAX_TOKENS}")
    return value


def _seconds(text: str) -> float:
    """Of a date and time; Azure writes seven digits of a second, which `fromisoformat` cuts to six."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _BrokenLine("the time stamp is not a date and time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
