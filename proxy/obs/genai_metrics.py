"""The metrics of the GenAI semantic conventions, as a second export beside Prometheus: counted here, sent by others.

Owns their names, units and buckets, those of v0.1.0 (`current`) and of the conventions before it (`legacy`). Durations
are seconds. As a client of engines each attempt counts, as a server of clients each request.
"""

from bisect import bisect_left
from math import inf
from typing import Final, NamedTuple

from proxy.model.outcome import Verdict
from proxy.obs import genai
from proxy.obs.genai import Engines
from proxy.obs.record import Record
from proxy.wire.trace_context import TracedAttempt

CURRENT: Final = "current"
LEGACY: Final = "legacy"
MAX_ROWS = 2000
"""Sets of attributes; what would be more is one, as the SDKs do it."""

_SECONDS: Final[tuple[float, ...]] = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
)
_FIRST_TOKEN: Final[tuple[float, ...]] = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
_PER_TOKEN: Final[tuple[float, ...]] = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final[tuple[float, ...]] = (
    *(1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0),
    *(16777216.0, 67108864.0),
)
"""The buckets that the conventions ask for."""

Key = tuple[tuple[str, str | int], ...]
"""Attributes."""
_OVERFLOW: Final[Key] = (("otel.metric.overflow", "true"),)


class Metric(NamedTuple):
    """One metric. Without bounds it is a counter."""

    name: str
    unit: str
    about: str
    bounds: tuple[float, ...] = ()


def _seconds(name: str, about: str, bounds: tuple[float, ...] = _SECONDS) -> Metric:
    return Metric(name, "s", about, bounds)


def _tokens(name: str, about: str, bounds: tuple[float, ...] = ()) -> Metric:
    return Metric(name, "{token}", about, bounds)


_CALL: Final = "Duration of one call to an engine."
_FIRST: Final = "From the call to the first event with output."
_GAP: Final = "Between events with output; those of one stream count with their mean."
_METRICS: Final = (
    _seconds("gen_ai.client.inference.duration", _CALL),
    _seconds("gen_ai.client.inference.time_to_first_chunk", _FIRST),
    _seconds("gen_ai.client.inference.time_per_output_chunk", _GAP),
    _tokens("gen_ai.client.inference.usage.input_tokens", "Input tokens, cached ones included."),
    _tokens("gen_ai.client.inference.usage.output_tokens", "Output tokens."),
    _tokens("gen_ai.client.inference.usage.cache_read.input_tokens", "Input tokens found in an engine's cache."),
    _seconds("gen_ai.server.request.duration", "From the request to the last byte of its answer."),
    _seconds("gen_ai.server.time_to_first_token", "From the request to its first token.", _FIRST_TOKEN),
    _seconds("gen_ai.server.time_per_output_token", "Per output token after the first.", _PER_TOKEN),
    _seconds("gen_ai.client.operation.duration", _CALL),
    _seconds("gen_ai.client.operation.time_to_first_chunk", _FIRST),
    _seconds("gen_ai.client.operation.time_per_output_chunk", _GAP),
    _tokens("gen_ai.client.token.usage", "Tokens of one call, input or output.", _TOKENS),
    _tokens("gen_ai.client.token.usage", "Tokens of one call, input or output.", _TOKENS),
)
_DURATION: Final = 0
_FIRST_CHUNK: Final = 1
_PER_CHUNK: Final = 2
_INPUT: Final = 3
_OUTPUT: Final = 4
_CACHED: Final = 5
_REQUEST: Final = 6
_TTFT: Final = 7
_TPOT: Final = 8
_OLD_DURATION: Final = 9
_OLD_FIRST_CHUNK: Final = 10
_OLD_PER_CHUNK: Final = 11
_OLD_INPUT: Final = 12
_OLD_OUTPUT: Final = 13
"""Places of the metrics; from the first of the old ones on they have the attributes of older conventions, too."""


class Point:
    """What was counted of one metric with the same attributes since the start."""

    __slots__ = ("counts", "high", "low", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0
        self.low, self.high = inf, -inf

    def count(self, value: float, bounds: tuple[float, ...], times: int = 1) -> None:
        """One value, so many times."""
        self.counts[bisect_left(bounds, value)] += times
        self.total += value * times
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value


class _Row:
    """All metrics with the same attributes."""

    __slots__ = ("key", "points")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.points: list[Point | None] = [None] * len(_METRICS)

    def count(self, place: int, value: float, times: int = 1) -> None:
        bounds = _METRICS[place].bounds
        point = self.points[place]
        if point is None:
            point = self.points[place] = Point(len(bounds) + 1)
        point.count(value, bounds, times)


class GenAiMetrics:
    """One per proxy. `count` each finished request."""

    def __init__(self, engines: Engines, semconv: str) -> None:
        """`semconv`: `current`, `legacy` or `both`."""
        self._engines = engines
        self._is_current = semconv != LEGACY
        self._is_legacy = semconv != CURRENT
        self._rows: dict[tuple[str, str, str, str, str, str], _Row] = {}
        self._overflow = _Row(_OVERFLOW)

    def all(self) -> list[tuple[Metric, list[tuple[Key, Point]]]]:
        """Every metric that has been counted, with its points. Another thread may go on counting."""
        found: dict[str, tuple[Metric, list[tuple[Key, Point]]]] = {}
        for row in [*self._rows.values(), self._overflow]:
            for place, point in enumerate(row.points):
                if point is not None:
                    metric = _METRICS[place]
                    _, points = found.setdefault(metric.name, (metric, []))
                    points.append((self._attributes(row.key, place), point))
        return list(found.values())

    def count(self, record: Record) -> None:
        """One finished request; what no model works at is none of these."""
        facts = genai.FACTS[record.endpoint]
        if not facts.works:
            return
        asked, served = genai.models(record)
        error = genai.error_type(record)
        self._count_server(record, facts.operation, asked, served, error)
        trace = record.trace
        if trace is None or not trace.attempts or (record.company is not None and record.company.joins):
            return
        last = trace.attempts[-1]
        for attempt in trace.attempts:
            failed = attempt.end_reason or (error if attempt is last else "")
            if attempt.ended is not None:
                row = self._row(attempt.backend, facts.operation, asked, served, failed)
                self._count_attempt(row, attempt.ended - attempt.sent, is_inference=facts.generates)
        row = self._row(last.backend, facts.operation, asked, served, "")
        if facts.generates and record.stream and not last.end_reason:
            self._count_stream(row, record, last)
        self._count_tokens(row, record)

    def _count_server(self, record: Record, operation: str, asked: str, served: str, error: str) -> None:
        line, meter = record.timeline, record.meter
        engine = self._engines(record.backend)
        provider = genai.US if engine is None else engine.kind
        if line.done is not None:
            row = self._server_row(provider, operation, asked, served, error)
            row.count(_REQUEST, line.done - line.received)
        if record.outcome.verdict is not Verdict.SERVED or meter.first_token is None:
            return
        row = self._server_row(provider, operation, asked, served, "")
        row.count(_TTFT, meter.first_token - line.received)
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None:
            row.count(_TPOT, tpot_s)

    def _count_attempt(self, row: _Row, took_s: float, *, is_inference: bool) -> None:
        if self._is_current and is_inference:
            row.count(_DURATION, took_s)
        if self._is_legacy or not is_inference:
            row.count(_OLD_DURATION, took_s)

    def _count_stream(self, row: _Row, record: Record, last: TracedAttempt) -> None:
        meter = record.meter
        first, end = meter.first_token, meter.last_token
        if first is None or end is None:
            return
        first_s, gaps = first - last.sent, meter.events - 1
        if first_s >= 0:  # a stream that was resumed has its first token from another call
            self._both(row, _FIRST_CHUNK, _OLD_FIRST_CHUNK, first_s)
        if gaps > 0:
            self._both(row, _PER_CHUNK, _OLD_PER_CHUNK, (end - first) / gaps, gaps)

    def _count_tokens(self, row: _Row, record: Record) -> None:
        prompt, completion, cached = record.usage
        if prompt is not None:
            self._both(row, _INPUT, _OLD_INPUT, prompt)
        if completion is not None:
            self._both(row, _OUTPUT, _OLD_OUTPUT, completion)
        if cached is not None and self._is_current:
            row.count(_CACHED, cached)

    def _both(self, row: _Row, current: int, old: int, value: float, times: int = 1) -> None:
        if self._is_current:
            row.count(current, value, times)
        if self._is_legacy:
            row.count(old, value, times)

    # --- whose they are

    def _row(self, backend: str, operation: str, asked: str, served: str, error: str) -> _Row:
        """Of calls to one engine."""
        engine = self._engines(backend)
        kind = "" if engine is None else engine.kind
        row = self._rows.get((backend, kind, operation, asked, served, error))
        if row is None:
            address: Key = ()
            if engine is not None:
                address = ((genai.PROVIDER, kind), (genai.ADDRESS, engine.address), (genai.PORT, engine.port))
            row = self._new((backend, kind, operation, asked, served, error), address)
        return row

    def _server_row(self, provider: str, operation: str, asked: str, served: str, error: str) -> _Row:
        """Of requests of clients."""
        row = self._rows.get(("", provider, operation, asked, served, error))
        if row is None:
            row = self._new(("", provider, operation, asked, served, error), ((genai.PROVIDER, provider),))
        return row

    def _new(self, whose: tuple[str, str, str, str, str, str], engine: Key) -> _Row:
        if len(self._rows) >= MAX_ROWS:
            return self._overflow
        _, _, operation, asked, served, error = whose
        named = ((genai.REQUEST_MODEL, asked), (genai.RESPONSE_MODEL, served), (genai.ERROR, error))
        key: Key = ((genai.OPERATION, operation), *engine, *[pair for pair in named if pair[1]])
        row = self._rows[whose] = _Row(key)
        return row

    def _attributes(self, key: Key, place: int) -> Key:
        """With those by which older dashboards tell providers and tokens apart."""
        if place >= _OLD_DURATION and self._is_legacy:
            key = (*key, *[(genai.SYSTEM, value) for name, value in key if name == genai.PROVIDER])
        if place >= _OLD_INPUT:
            key = (*key, (genai.COUNTED, "input" if place == _OLD_INPUT else "output"))
        return key
