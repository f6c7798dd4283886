"""Spans and metrics as OTLP over HTTP, by the SDK of OpenTelemetry: the only module that knows it.

Owns the translation and the exporters. The SDK is an extra: it is imported when a receiver is made, and its own log
lines stay here, since they would say every failure again and again.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from proxy.obs.genai_metrics import Key, Metric, Point
from proxy.obs.spans import CLIENT, SERVER, Span
from proxy.obs.telemetry import Counted

SCOPE: Final = "tidegate"
_MAX_REASON: Final = 200
"""Characters of what the SDK says."""
_NAMED: Final = logging.getLogger("opentelemetry")


class _LastWord(logging.Handler):
    """Why the SDK could not send, as it says it itself."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().partition("\n")[0]
        if self.said and "max retries" in text:  # what it retried for says more
            return
        self.said = text if text.isprintable() else ascii(text)

    def take(self) -> str:
        """The last word, once."""
        said, self.said = self.said, ""
        return said[:_MAX_REASON] or "it did not say why"


class Otlp:
    """One receiver of OTLP over HTTP. RuntimeError where the SDK is not installed."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        service: str,
        version: str,
        instance: str,
        timeout_s: float,
        started_ns: int,
    ) -> None:
        """`endpoint`: its base URL; `instance`: tells several proxies of one service apart."""
        try:
            from opentelemetry.exporter.otlp.proto.http import Compression
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.metrics import export as metrics
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import ReadableSpan
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
            from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
        except ImportError as error:
            raise RuntimeError("telemetry needs the packages of OpenTelemetry: pip install 'tidegate[otel]'") from error
        self._metrics: Any = metrics
        self._readable: Any = ReadableSpan
        self._context: Any = SpanContext
        self._sampled: Any = TraceFlags(TraceFlags.SAMPLED)
        self._state: Any = TraceState
        self._unset: Any = Status(StatusCode.UNSET)
        self._failed: Any = Status(StatusCode.ERROR)
        self._kinds: Any = {SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT}
        self._internal: Any = SpanKind.INTERNAL
        self._scope: Any = InstrumentationScope(SCOPE, version)
        self._resource: Any = Resource.create(
            {"service.name": service, "service.version": version, "service.instance.id": instance}
        )
        base, shared = endpoint.rstrip("/"), {"headers": dict(headers), "timeout": timeout_s}
        self._spans_out: Any = OTLPSpanExporter(f"{base}/v1/traces", compression=Compression.Gzip, **shared)
        self._metrics_out: Any = OTLPMetricExporter(f"{base}/v1/metrics", compression=Compression.Gzip, **shared)
        self._started_ns = started_ns
        self._is_closed = False
        self._last_word = _LastWord()
        _NAMED.addHandler(self._last_word)
        _NAMED.propagate = False

    def send_spans(self, spans: list[Span]) -> str:
        """Why the collector did not take them; empty: it did."""
        return self._sent(self._spans_out.export([self._readable_of(span) for span in spans]))

    def send_metrics(self, metrics: Counted, now_ns: int) -> str:
        """The same, of totals at this moment."""
        made = [self._metric(metric, points, now_ns) for metric, points in metrics]
        kinds = self._metrics
        scoped = kinds.ScopeMetrics(scope=self._scope, metrics=made, schema_url="")
        whole = kinds.ResourceMetrics(resource=self._resource, scope_metrics=[scoped], schema_url="")
        return self._sent(self._metrics_out.export(kinds.MetricsData(resource_metrics=[whole])))

    def close(self) -> None:
        """What is being sent is not tried again."""
        if not self._is_closed:
            self._is_closed = True
            self._spans_out.shutdown()
            self._metrics_out.shutdown()
            _NAMED.removeHandler(self._last_word)

    def _sent(self, result: Any) -> str:
        return "" if result.name == "SUCCESS" else self._last_word.take()

    def _readable_of(self, span: Span) -> Any:
        remote = span.kind == SERVER
        return self._readable(
            name=_clean(span.name),
            context=self._context_of(span, span.span_id),
            parent=self._context_of(span, span.parent_id, is_remote=remote) if span.parent_id else None,
            resource=self._resource,
            attributes={name: _clean(value) for name, value in span.attributes.items()},
            kind=self._kinds.get(span.kind, self._internal),
            status=self._failed if span.error else self._unset,
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )

    def _context_of(self, span: Span, span_id: str, *, is_remote: bool = False) -> Any:
        state = self._state.from_header([span.state]) if span.state else self._state()
        return self._context(int(span.trace_id, 16), int(span_id, 16), is_remote, self._sampled, state)

    def _metric(self, metric: Metric, points: list[tuple[Key, Point]], now_ns: int) -> Any:
        kinds = self._metrics
        cumulative = kinds.AggregationTemporality.CUMULATIVE
        data = (
            kinds.Histogram([self._bucketed(metric, key, point, now_ns) for key, point in points], cumulative)
            if metric.bounds
            else kinds.Sum([self._number(key, point, now_ns) for key, point in points], cumulative, is_monotonic=True)
        )
        return kinds.Metric(metric.name, metric.about, metric.unit, data)

    def _bucketed(self, metric: Metric, key: Key, point: Point, now_ns: int) -> Any:
        counts = list(point.counts)
        return self._metrics.HistogramDataPoint(
            attributes={name: _clean(value) for name, value in key},
            start_time_unix_nano=self._started_ns,
            time_unix_nano=now_ns,
            count=sum(counts),
            sum=point.total,
            bucket_counts=counts,
            explicit_bounds=metric.bounds,
            min=point.low,
            max=point.high,
        )

    def _number(self, key: Key, point: Point, now_ns: int) -> Any:
        return self._metrics.NumberDataPoint(
            attributes={name: _clean(value) for name, value in key},
            start_time_unix_nano=self._started_ns,
            time_unix_nano=now_ns,
            value=int(point.total),
        )


def _clean(value: Any) -> Any:
    """A text that can be encoded: one that cannot would cost its whole batch."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()
