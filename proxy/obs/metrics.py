"""Prometheus metrics: plain counters on the hot path, turned into series only when somebody scrapes.

Owns names, labels and help texts. Labels come from the configuration or from closed sets, never from user input.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.core.scheduler import Scheduler
from proxy.model.cache import CacheView
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.histogram import Histogram
from proxy.obs.batches import Batches
from proxy.obs.cache_metrics import cache_families
from proxy.obs.families import counter, counters, gauge
from proxy.obs.goodput import Goodput
from proxy.obs.prefix_metrics import prefix_families
from proxy.obs.prompt_metrics import PromptMetrics
from proxy.obs.record import Record, Streaming
from proxy.obs.scheduler_metrics import scheduler_families
from proxy.wire.prompts.lint import PrefixLint

NO_COUNTS: Mapping[str, int] = MappingProxyType({})
NO_PAIRS: Mapping[tuple[str, str], int] = MappingProxyType({})
NO_TIMES: Mapping[str, Histogram] = MappingProxyType({})
_NO_BACKEND = "none"
_NO_CLASS = "none"
_STATUSES = {0: "0", 499: "499"} | {status.value: str(status.value) for status in HTTPStatus}
"""Statuses that may become a label: those that exist, 0 for no answer, 499 for a client that left."""


_HISTOGRAMS = {
    "queue": "From understood to dispatched, or to a window: time held here.",
    "service": "From the last dispatch to the last byte sent.",
    "e2e": "From received to the last byte sent.",
    "ttft": "Streams: from received to the first event with output (not the role, not a comment).",
    "tpot": "Streams: (last token - first token) / (tokens - 1), per request.",
    "itl": "Streams: time between tokens; an event of k tokens counts k, spread over its gap.",
    "event_gap": "Streams: time between events with output, as they came.",
}
"""Attribute of a series → help text; exported as `tidegate_<name>_seconds`."""


class _Series:
    """What is counted per endpoint, class and backend."""

    __slots__ = (
        "cached",
        "completion",
        "e2e",
        "endings",
        "event_gap",
        "itl",
        "prompt",
        "queue",
        "service",
        "silent",
        "tpot",
        "ttft",
    )

    def __init__(self) -> None:
        self.endings: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self.queue = Histogram()
        self.service = Histogram()
        self.ttft = Histogram()
        self.tpot = Histogram()
        self.itl = Histogram()
        self.event_gap = Histogram()
        self.e2e = Histogram()
        self.prompt = self.completion = self.cached = self.silent = 0


class Gauges(NamedTuple):
    """Live numbers read at scrape time."""

    client_connections: int
    refused_connections: int
    upstream_connections: dict[str, int]
    log_lines_lost: dict[str, int]
    """By log."""
    bodies_b: int = 0
    """Memory that bodies take which are being read, sent or repeated; of…"""
    bodies_most_b: int = 0
    """…so much at most…"""
    bodies_refused: int = 0
    """…and requests refused since it was spent."""
    cache: CacheView | None = None
    """None: no answers are kept."""
    lines_stripped: Mapping[str, int] = NO_COUNTS
    """Lines taken out of prompts, by class."""
    messages_cut: Mapping[str, int] = NO_COUNTS
    """Messages cut from conversations, by class."""
    prompt_assembly: Mapping[str, Histogram] = NO_TIMES
    """Seconds in which named prompts were put together."""
    warmed: Mapping[tuple[str, str], int] = NO_PAIRS
    """Requests that warmed caches, by backend and result."""
    short_first: Mapping[str, int] = NO_COUNTS
    """Short answers, requests for more of one, and for one that there is not."""


class Metrics:
    """Counts finished requests and renders `/metrics`."""

    def __init__(
        self,
        scheduler: Scheduler,
        gauges: Callable[[], Gauges],
        now: Callable[[], float],
        lint: PrefixLint | None = None,
    ) -> None:
        self._series: defaultdict[tuple[str, str, str], _Series] = defaultdict(_Series)
        self._faults: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._fallbacks: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._caches: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._goodput = Goodput()
        self._prompts = PromptMetrics()
        self._batches = Batches()
        self._scheduler = scheduler
        self._gauges = gauges
        self._now = now
        self._lint = lint
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Requests(self))
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def count(self, record: Record) -> None:
        """Count one finished request."""
        self._goodput.count(record)
        key = record.endpoint, record.traffic_class or _NO_CLASS, record.backend or _NO_BACKEND
        series = self._series[key]
        if record.company is not None:
            self._batches.count(key, record.company, record)
        outcome, timeline = record.outcome, record.timeline
        status = _STATUSES.get(record.status, "other")
        series.endings[str(outcome.verdict), outcome.end_code, status] += 1
        if outcome.fault is not None:
            self._faults[outcome.fault.source.value, outcome.fault.kind.value] += 1
        if record.fallback:
            self._fallbacks[record.traffic_class, record.fallback] += 1
        if record.cache:
            self._caches[record.traffic_class, record.cache] += 1
        if record.prompt_version:
            self._prompts.count(record)
        done, meter = timeline.done, record.meter
        if timeline.released is not None and timeline.understood is not None:
            waited_until = timeline.released if timeline.gathered is None else timeline.gathered
            series.queue.observe(waited_until - timeline.understood)
            if done is not None:
                series.service.observe(done - timeline.released)
        if done is not None:
            series.e2e.observe(done - timeline.received)
        if meter.first_token is not None:
            series.ttft.observe(meter.first_token - timeline.received)
            tpot_s = meter.tpot_s(record.usage.completion_tokens)
            if tpot_s is not None:
                series.tpot.observe(tpot_s)
            meter.hand_over(series.itl, series.event_gap)
        prompt, completion, cached = record.usage
        series.prompt += prompt or 0
        series.completion += completion or 0
        series.cached += cached or 0
        if cached is None and prompt is not None:
            series.silent += 1

    def silent(self) -> dict[str, int]:
        """Generated answers by backend that told the tokens of the prompt and not those of them that were cached.
        Vectors and rankings have no use for a prefix cache."""
        counts: defaultdict[str, int] = defaultdict(int)
        for (endpoint, _, backend), series in self._series.items():
            if ENDPOINTS[Endpoint(endpoint)].generates:
                counts[backend] += series.silent
        return counts

    def render(self, running: Iterable[Streaming] = ()) -> bytes:
        """The text exposition format, version 0.0.4; with what `running` streams have metered so far: long answers show
        before they end."""
        for endpoint, traffic_class, backend, meter in running:
            series = self._series[endpoint, traffic_class, backend or _NO_BACKEND]
            meter.hand_over(series.itl, series.event_gap)
        return generate_latest(self._registry)

    def families(self) -> Iterator[Metric]:
        """All series of the proxy itself."""
        yield from self._request_families()
        yield from self._batches.families()
        yield from self._goodput.families()
        yield from scheduler_families(self._scheduler, self._now())
        if self._lint is not None:
            yield from prefix_families(self._lint)
        gauges = self._gauges()
        yield gauge("tidegate_client_connections", "Open client connections.", gauges.client_connections)
        yield counter(
            "tidegate_refused_connections", "Client connections refused at the limit.", gauges.refused_connections
        )
        upstream = GaugeMetricFamily(
            "tidegate_upstream_connections", "Open connections to a backend, idle ones included.", labels=["backend"]
        )
        for backend, count in gauges.upstream_connections.items():
            upstream.add_metric([backend], count)
        yield upstream
        yield gauge("tidegate_body_memory_bytes", "Memory taken by request bodies in progress.", gauges.bodies_b)
        yield gauge(
            "tidegate_body_memory_limit_bytes",
            "What they may take at most (limits.memory.bodies).",
            gauges.bodies_most_b,
        )
        yield counter(
            "tidegate_bodies_refused",
            "Requests refused since that memory was spent, or too little.",
            gauges.bodies_refused,
        )
        yield counters(
            "tidegate_prompt_lines_stripped",
            "Lines taken out of prompts (prompts.strip of the class).",
            ("class",),
            [((name,), float(lines)) for name, lines in gauges.lines_stripped.items()],
        )
        yield counters(
            "tidegate_prompt_messages_cut",
            "Messages cut from conversations over their budget (prompts.history).",
            ("class",),
            [((name,), float(count)) for name, count in gauges.messages_cut.items()],
        )
        yield from self._prompts.families(gauges.prompt_assembly)
        yield counters(
            "tidegate_short_first",
            "Short answers given first, requests to expand one, and those for an answer that is not kept (unknown).",
            ("what",),
            [((what,), float(count)) for what, count in gauges.short_first.items()],
        )
        yield counters(
            "tidegate_prompts_warmed",
            "Requests for named prompts to engines that were about to take traffic (warm), by result (ok, failed).",
            ("backend", "result"),
            [(pair, float(count)) for pair, count in gauges.warmed.items()],
        )
        yield counters(
            "tidegate_log_lines_dropped",
            "Log lines that were lost: standard output (access) or error (operational) was not read, full or gone.",
            ("log",),
            [((log,), lost) for log, lost in gauges.log_lines_lost.items()],
        )
        if gauges.cache is not None:
            yield from cache_families(gauges.cache, self._caches)
        yield gauge("tidegate_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        info = GaugeMetricFamily("tidegate_build_info", "Always 1; the version is in the label.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info

    def _request_families(self) -> Iterator[Metric]:
        labels = ["endpoint", "class", "backend"]
        requests = CounterMetricFamily(
            "tidegate_requests",
            "Requests ended, by verdict (served, shed, failed, cancelled), end-code (who and where) and HTTP status.",
            labels=[*labels, "verdict", "end_code", "status"],
        )
        histograms = {
            name: HistogramMetricFamily(f"tidegate_{name}_seconds", text, labels=labels)
            for name, text in _HISTOGRAMS.items()
        }
        tokens = CounterMetricFamily(
            "tidegate_tokens",
            "Tokens as the engines reported them; cached is part of prompt.",
            labels=["backend", "direction"],
        )
        by_backend: defaultdict[tuple[str, str], int] = defaultdict(int)
        for key, series in self._series.items():
            for ending, count in series.endings.items():
                requests.add_metric([*key, *ending], count)
            for name, family in histograms.items():
                histogram: Histogram = getattr(series, name)
                family.add_metric(key, histogram.buckets(), histogram.sum)
            for direction in ("prompt", "completion", "cached"):
                by_backend[key[-1], direction] += getattr(series, direction)
        for pair, total in by_backend.items():
            tokens.add_metric(pair, total)
        yield counters(
            "tidegate_cached_untold",
            "Generated answers whose engine told the tokens of the prompt and not how many of them were cached.",
            ("backend",),
            [((backend,), float(count)) for backend, count in self.silent().items()],
        )
        faults = CounterMetricFamily(
            "tidegate_faults", "Requests that ended in a fault, by whose and what.", labels=["source", "kind"]
        )
        for pair, count in self._faults.items():
            faults.add_metric(pair, count)
        yield from (requests, *histograms.values(), tokens, faults)
        yield counters(
            "tidegate_fallbacks",
            "Requests sent to another model or pool instead of being refused.",
            ("class", "to"),
            self._fallbacks.items(),
        )


class _Requests(Collector):
    """Bridges to the library's registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()

    def describe(self) -> list[Metric]:
        return []
