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
MAX_POINTS: Final = 2000
"""Of one metric; what would be more is one point, as the SDKs do it."""
_OVERFLOW: Final = (("otel.metric.overflow", "true"),)

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN: Final = (*(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),)
_PER_TOKEN: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_TOKENS: Final = (
    *(1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0),
    *(16777216.0, 67108864.0),
)
"""The buckets that the conventions ask for."""

Key = tuple[tuple[str, str | int], ...]
"""Attributes."""


class Metric(NamedTuple):
    """One metric. Without bounds it is a counter."""

    name: str
    unit: str
    about: str
    bounds: tuple[float, ...]


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
        self.low = min(self.low, value)
        self.high = max(self.high, value)


class _Counted:
    """One metric and its points."""

    def __init__(self, name: str, unit: str, about: str, bounds: tuple[float, ...] = ()) -> None:
        self.metric = Metric(name, unit, about, bounds)
        self._points: dict[Key, Point] = {}

    def count(self, key: Key, value: float, times: int = 1) -> None:
        point = self._points.get(key)
        if point is None:
            if len(self._points) >= MAX_POINTS:
                key = _OVERFLOW
            point = self._points.setdefault(key, Point(len(self.metric.bounds) + 1))
        point.count(value, self.metric.bounds, times)

    def points(self) -> list[tuple[Key, Point]]:
        """As they are; another thread may go on counting."""
        return list(self._points.items())


class GenAiMetrics:
    """One per proxy. `count` each finished request."""

    def __init__(self, engines: Engines, semconv: str) -> None:
        """`semconv`: `current`, `legacy` or `both`."""
        self._engines = engines
        self._is_current = semconv != LEGACY
        self._is_legacy = semconv != CURRENT
        seconds, tokens = "s", "{token}"
        client, server = "gen_ai.client", "gen_ai.server"
        inference = f"{client}.inference"
        self._duration = _Counted(f"{inference}.duration", seconds, "Duration of one call to an engine.", _SECONDS)
        self._first_chunk = _Counted(
            f"{inference}.time_to_first_chunk", seconds, "From the call to the first event with output.", _SECONDS
        )
        self._per_chunk = _Counted(
            f"{inference}.time_per_output_chunk",
            seconds,
            "Between events with output; those of one stream count with their mean.",
            _SECONDS,
        )
        self._input = _Counted(f"{inference}.usage.input_tokens", tokens, "Input tokens, cached ones included.")
        self._output = _Counted(f"{inference}.usage.output_tokens", tokens, "Output tokens.")
        self._cached = _Counted(
            f"{inference}.usage.cache_read.input_tokens", tokens, "Input tokens that an engine found in its cache."
        )
        self._operation = _Counted(
            f"{client}.operation.duration", seconds, "Duration of one call to an engine.", _SECONDS
        )
        self._old_first_chunk = _Counted(
            f"{client}.operation.time_to_first_chunk",
            seconds,
            "From the call to the first event with output.",
            _SECONDS,
        )
        self._old_per_chunk = _Counted(
            f"{client}.operation.time_per_output_chunk",
            seconds,
            "Between events with output; those of one stream count with their mean.",
            _SECONDS,
        )
        self._old_usage = _Counted(f"{client}.token.usage", tokens, "Tokens of one call, input or output.", _TOKENS)
        self._request = _Counted(
            f"{server}.request.duration", seconds, "From the request to the last byte of its answer.", _SECONDS
        )
        self._first_token = _Counted(
            f"{server}.time_to_first_token", seconds, "From the request to its first token.", _FIRST_TOKEN
        )
        self._per_token = _Counted(
            f"{server}.time_per_output_token", seconds, "Per output token after the first.", _PER_TOKEN
        )

    def all(self) -> list[tuple[Metric, list[tuple[Key, Point]]]]:
        """Every metric that has been counted, with its points."""
        found = (
            *(self._duration, self._first_chunk, self._per_chunk, self._input, self._output, self._cached),
            *(self._operation, self._old_first_chunk, self._old_per_chunk, self._old_usage),
            *(self._request, self._first_token, self._per_token),
        )
        return [(one.metric, points) for one in found if (points := one.points())]

    def count(self, record: Record) -> None:
        """One finished request; what no model works at is none of these."""
        if not genai.is_work(record):
            return
        asked, served = genai.models(record)
        operation = genai.operation(record)
        self._count_server(record, operation, asked, served)
        trace = record.trace
        if trace is None or not trace.attempts or (record.company is not None and record.company.joins):
            return
        for attempt in trace.attempts:
            self._count_attempt(record, attempt, self._key(attempt.backend, operation, asked, served))
        last = trace.attempts[-1]
        key = self._key(last.backend, operation, asked, served)
        if genai.generates(record):
            self._count_stream(record, last, key)
        self._count_tokens(record, key)

    def _key(self, backend: str, operation: str, asked: str, served: str) -> Key:
        engine = self._engines(backend)
        attributes: list[tuple[str, str | int]] = [(genai.OPERATION, operation)]
        if engine is not None:
            attributes += (
                (genai.PROVIDER, engine.kind),
                (genai.ADDRESS, engine.address),
                (genai.PORT, engine.port),
            )
        return _with_models(attributes, asked, served)

    def _count_server(self, record: Record, operation: str, asked: str, served: str) -> None:
        line, meter = record.timeline, record.meter
        engine = self._engines(record.backend)
        provider = genai.US if engine is None else engine.kind
        key = _with_models([(genai.OPERATION, operation), (genai.PROVIDER, provider)], asked, served)
        if line.done is not None:
            self._request.count(_with_error(key, genai.error_type(record)), line.done - line.received)
        if record.outcome.verdict is not Verdict.SERVED or meter.first_token is None:
            return
        self._first_token.count(key, meter.first_token - line.received)
        tpot_s = meter.tpot_s(record.usage.completion_tokens)
        if tpot_s is not None:
            self._per_token.count(key, tpot_s)

    def _count_attempt(self, record: Record, attempt: TracedAttempt, key: Key) -> None:
        if attempt.ended is None:
            return
        trace = record.trace
        is_last = trace is not None and attempt is trace.attempts[-1]
        failed = attempt.end_reason or (genai.error_type(record) if is_last else "")
        key, took_s = _with_error(key, failed), attempt.ended - attempt.sent
        inference = genai.generates(record)
        if self._is_current and inference:
            self._duration.count(key, took_s)
        if self._is_legacy:
            self._operation.count(_as_before(key), took_s)
        elif not inference:
            self._operation.count(key, took_s)

    def _count_stream(self, record: Record, last: TracedAttempt, key: Key) -> None:
        meter = record.meter
        first, end = meter.first_token, meter.last_token
        if not record.stream or first is None or end is None or last.end_reason:
            return
        first_s, gaps = first - last.sent, meter.events - 1
        for wanted, first_chunk, per_chunk, one in (
            (self._is_current, self._first_chunk, self._per_chunk, key),
            (self._is_legacy, self._old_first_chunk, self._old_per_chunk, _as_before(key)),
        ):
            if wanted and first_s >= 0:  # a stream that was resumed has its first token from another call
                first_chunk.count(one, first_s)
            if wanted and gaps > 0:
                per_chunk.count(one, (end - first) / gaps, gaps)

    def _count_tokens(self, record: Record, key: Key) -> None:
        usage = record.usage
        if self._is_current:
            for counted, tokens in (
                (self._input, usage.prompt_tokens),
                (self._output, usage.completion_tokens),
                (self._cached, usage.cached_tokens),
            ):
                if tokens:
                    counted.count(key, tokens)
        if self._is_legacy:
            old = _as_before(key)
            for kind, tokens in (("input", usage.prompt_tokens), ("output", usage.completion_tokens)):
                if tokens is not None:
                    self._old_usage.count((*old, (genai.COUNTED, kind)), tokens)


def _with_models(attributes: list[tuple[str, str | int]], asked: str, served: str) -> Key:
    if asked:
        attributes.append((genai.REQUEST_MODEL, asked))
    if served:
        attributes.append((genai.RESPONSE_MODEL, served))
    return tuple(attributes)


def _with_error(key: Key, error: str) -> Key:
    return (*key, (genai.ERROR, error)) if error else key


def _as_before(key: Key) -> Key:
    """With the attribute by which older dashboards tell providers apart."""
    return (*key, *[(genai.SYSTEM, value) for name, value in key if name == genai.PROVIDER])
