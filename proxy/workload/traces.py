"""Recorded traces as arrivals: our own format (`full_trace`), Mooncake JSONL, the Azure CSV, and the access log that
the proxy itself writes; each as it is or packed by gzip.

Owns which format it is, and what to do about a line that is none of them: stop there, or leave it out and say so. What
a format does not record is named in `missing`, never made up silently.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import IO, NamedTuple

from proxy.workload.access_log import AccessLogReader
from proxy.workload.arrival import HASH_TOKENS, Arrival
from proxy.workload.full_trace import FullTrace, is_header
from proxy.workload.trace_fields import BrokenLine, count, in_range, number, object_of, object_or_none, seconds

MAX_BROKEN_SHOWN = 20
MAX_LINE = 16 << 20
"""Characters; a packed file may be a thousand times as long as it looks."""
MAX_REQUESTS = 5_000_000
_GZIP = b"\x1f\x8b"
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
    block_tokens: int = HASH_TOKENS
    """Tokens per prefix hash."""

    @property
    def span_s(self) -> float:
        """From the first arrival to the last."""
        return self.arrivals[-1].at - self.arrivals[0].at if self.arrivals else 0.0

    @property
    def rate_per_s(self) -> float:
        """Mean arrivals per second."""
        return len(self.arrivals) / self.span_s if self.span_s else 0.0


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
        with path.open("rb") as file, _unpacked(file) as opened:
            trace = _read(path.name, _lines(path.name, opened), skip_broken, limit)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror or error}") from None
    if not trace.arrivals:
        raise TraceError(f"{path}: holds no request")
    trace.arrivals = _in_time(trace.arrivals, speed, jitter_s, Random(seed))  # noqa: S311 — reproducible, not secret
    return trace


def log_lines(path: Path) -> Iterator[str]:
    """Of a file as it is or packed by gzip. Raises OSError, and TraceError where it is damaged."""
    with path.open("rb") as file, _unpacked(file) as opened:
        yield from _lines(path.name, opened)


def _unpacked(file: io.BufferedReader) -> IO[str]:
    bare: IO[bytes] = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file  # type: ignore[assignment]
    return io.TextIOWrapper(bare, encoding="utf-8", errors="surrogateescape", newline="")


def _lines(name: str, opened: IO[str]) -> Iterator[str]:
    """Of bounded length. Raises TraceError where a packed file is damaged."""
    number = 0
    while True:
        number += 1
        try:
            line = opened.readline(MAX_LINE)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise TraceError(f"{name}:{number}: here the packed file is cut short or damaged") from None
        if not line:
            return
        if len(line) == MAX_LINE:
            raise TraceError(f"{name}:{number}: is longer than {MAX_LINE >> 20} million characters")
        yield line


def _read(name: str, lines: Iterator[str], skip_broken: bool, limit: int | None) -> Trace:
    first = next(lines, "")
    form = _recognised(name, first)
    trace = Trace(name, form.name, missing=form.missing)
    if is_header(first):
        trace.block_tokens = _full(name, first).block_tokens
    numbered = enumerate(lines, start=2) if form.has_header else enumerate(_again(first, lines), start=1)
    found = _arrivals(name, numbered, form.read, trace, skip_broken)
    trace.arrivals = list(islice(found, MAX_REQUESTS + 1 if limit is None else limit))
    if form.own is not None:
        trace.arrivals, trace.missing, trace.block_tokens = form.own.completed(trace.arrivals)
    if len(trace.arrivals) > MAX_REQUESTS:
        raise TraceError(f"{name}: holds more than {MAX_REQUESTS:,} requests; --limit N takes the first ones")
    return trace


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _arrivals(
    name: str, numbered: Iterator[tuple[int, str]], read: _Read, trace: Trace, skip_broken: bool
) -> Iterator[Arrival]:
    for position, line in numbered:
        if not line.strip():
            continue
        try:
            arrival = read(line)
        except BrokenLine as broken:
            if not skip_broken:
                hint = "--skip-broken leaves such lines out"
                raise TraceError(f"{name}:{position}: {broken}; {hint}") from None
            trace.left_out += 1
            if len(trace.broken) < MAX_BROKEN_SHOWN:
                trace.broken.append(Broken(position, str(broken)))
            continue
        if arrival is not None:
            yield arrival


def _in_time(arrivals: list[Arrival], speed: float, jitter_s: float, rng: Random) -> list[Arrival]:
    times = [a.at + (rng.uniform(-jitter_s, jitter_s) if jitter_s else 0.0) for a in arrivals]
    start = min(times)
    moved = [replace(a, at=(at - start) / speed) for a, at in zip(arrivals, times, strict=True)]
    return sorted(moved, key=lambda a: a.at)


def _full(name: str, first: str) -> FullTrace:
    try:
        return FullTrace.of_header(first)
    except BrokenLine as broken:
        raise TraceError(f"{name}:1: {broken}") from None


class _Form(NamedTuple):
    """A format."""

    name: str
    read: _Read
    has_header: bool
    """The first line is one."""
    missing: tuple[str, ...]
    """What is never recorded."""
    own: AccessLogReader | None = None


def _recognised(name: str, first: str) -> _Form:
    """The format that the first line speaks."""
    if tuple(cell.strip() for cell in first.lstrip("\ufeff").strip().split(",")) == _AZURE_HEADER:
        return _Form("azure", _azure, True, ("prefixes", "models", "tenants", "classes"))
    if is_header(first):
        return _Form("tidegate trace", _full(name, first).arrival, True, ())
    row = object_or_none(first)
    if row is None:
        known = "the header of a tidegate trace, a Mooncake line, Azure's header, or a line of an access log (JSON)"
        raise TraceError(f"{name}:1: is none of these: {known}")
    if "timestamp" in row and "input_length" in row:
        return _Form("mooncake", _mooncake, False, ("models", "tenants", "classes"))
    if "time" in row:
        own = AccessLogReader()
        return _Form("access log", own.arrival, False, (), own)
    raise TraceError(f"{name}:1: a JSON object, but neither a Mooncake line (timestamp) nor an access log (time)")


# ---- Mooncake: {"timestamp": ms, "input_length": n, "output_length": n, "hash_ids": [block, …]}


def _mooncake(line: str) -> Arrival:
    row = object_of(line)
    hashes = row.get("hash_ids", [])
    if not isinstance(hashes, list) or not all(type(one) is int for one in hashes):
        raise BrokenLine("hash_ids is not a list of whole numbers")
    return Arrival(
        at=number(row, "timestamp") / 1e3,
        prompt_tokens=count(row, "input_length", 1),
        output_tokens=count(row, "output_length", 1),
        prefix_hashes=tuple(hashes),
    )


# ---- Azure: TIMESTAMP,ContextTokens,GeneratedTokens


def _azure(line: str) -> Arrival:
    cells = next(csv.reader([line]), [])
    if len(cells) != len(_AZURE_HEADER):
        raise BrokenLine(f"{len(cells)} columns instead of {len(_AZURE_HEADER)}")
    row = dict(zip(_AZURE_HEADER, cells, strict=True))
    return Arrival(
        at=seconds(row["TIMESTAMP"]),
        prompt_tokens=_count_in(row, "ContextTokens"),
        output_tokens=_count_in(row, "GeneratedTokens"),
    )


def _count_in(row: dict[str, str], key: str) -> int:
    text = row[key].strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BrokenLine(f"{key} is not a whole number")
    return in_range(key, int(text), 1)
