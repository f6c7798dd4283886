"""`/metrics` with vLLM 0.33's names, and the latencies behind its histograms.

Owns names, labels and buckets. The numbers are the engine's; times are ours, not the engine's faster clock.
"""

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.sim.engine.sequence import Emitted
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.settings import SimSettings

FIRST_TOKEN_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0),
    *(2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
TOKEN_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)

FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


class Latencies:
    """Histograms and counters that are fed request by request."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"engine": "0", "model_name": model}
        self.first_token = self._histogram("time_to_first_token_seconds", "time to first token", FIRST_TOKEN_S)
        self.between = self._histogram("inter_token_latency_seconds", "inter-token latency", TOKEN_S)
        self.per_token = self._histogram("request_time_per_output_token_seconds", "time per output token", TOKEN_S)
        self.whole = self._histogram("e2e_request_latency_seconds", "end-to-end request latency", REQUEST_S)
        self.queued = self._histogram("request_queue_time_seconds", "time in WAITING phase", REQUEST_S)
        self.prefill = self._histogram("request_prefill_time_seconds", "time in PREFILL phase", REQUEST_S)
        self.decode = self._histogram("request_decode_time_seconds", "time in DECODE phase", REQUEST_S)
        self.inference = self._histogram("request_inference_time_seconds", "time in RUNNING phase", REQUEST_S)
        self.prompt_tokens = self._histogram("request_prompt_tokens", "prefill tokens", TOKENS)
        self.generation_tokens = self._histogram("request_generation_tokens", "generation tokens", TOKENS)
        self._success = Counter(
            "vllm:request_success",
            "Count of successfully processed requests.",
            ("engine", "finished_reason", "model_name"),
            registry=self.registry,
        )
        for reason in FINISH_REASONS:
            self._success.labels(finished_reason=reason, **self._labels)

    def succeeded(self, reason: str) -> None:
        """Count a finished request; a tool call is a stop for the engine."""
        finished_reason = reason if reason in FINISH_REASONS else "stop"
        self._success.labels(finished_reason=finished_reason, **self._labels).inc()

    def watch(
        self, driver: EngineDriver, reasons: Sequence[str], wanted: Sequence[tuple[int, int, tuple[int, ...]]]
    ) -> "ScrapeWatch":
        """Observe the requests of one Run, which starts now."""
        return ScrapeWatch(self, driver, reasons, [prompt for prompt, _, _ in wanted])

    def _histogram(self, name: str, what: str, buckets: Sequence[float]) -> Histogram:
        histogram = Histogram(
            f"vllm:{name}",
            f"Histogram of {what}.",
            ("engine", "model_name"),
            buckets=buckets,
            registry=self.registry,
        )
        return histogram.labels(**self._labels)


class ScrapeWatch:
    """From what the engine emits to latencies."""

    def __init__(
        self, latencies: Latencies, driver: EngineDriver, reasons: Sequence[str], prompts: Sequence[int]
    ) -> None:
        self._latencies = latencies
        self._speed = driver.speed
        self._arrived = driver.now()
        self._reasons = reasons
        self._prompts = prompts
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}
        self._tokens: dict[int, int] = {}

    def note(self, index: int, emitted: Emitted) -> None:
        """One emission of the request at `index`."""
        seen = self._latencies
        if index not in self._first:
            self._first[index] = emitted.at
            seen.first_token.observe(self._seconds(self._arrived, emitted.at))
        elif emitted.tokens:
            seen.between.observe(self._seconds(self._last[index], emitted.at) / emitted.tokens)
        self._last[index] = emitted.at
        self._tokens[index] = self._tokens.get(index, 0) + emitted.tokens
        if emitted.finished:
            self._finished(index, emitted)

    def _finished(self, index: int, emitted: Emitted) -> None:
        seen, first, tokens = self._latencies, self._first[index], self._tokens[index]
        decode = self._seconds(first, emitted.at)
        seen.whole.observe(self._seconds(self._arrived, emitted.at))
        seen.queued.observe(self._seconds(self._arrived, emitted.scheduled_at))
        seen.prefill.observe(self._seconds(emitted.scheduled_at, first))
        seen.decode.observe(decode)
        seen.inference.observe(self._seconds(emitted.scheduled_at, emitted.at))
        if tokens > 1:
            seen.per_token.observe(decode / (tokens - 1))
        seen.prompt_tokens.observe(self._prompts[index])
        seen.generation_tokens.observe(tokens)
        seen.succeeded(self._reasons[index])

    def _seconds(self, start: float, end: float) -> float:
        return max(0.0, end - start) / self._speed


class Exposition:
    """The text of `/metrics`."""

    def __init__(self, settings: SimSettings, driver: EngineDriver, latencies: Latencies) -> None:
        self._settings = settings
        self._driver = driver
        self._registry = latencies.registry
        self._labels = {"engine": "0", "model_name": settings.models[0]}
        self._registry.register(self)

    def text(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client: what the engine knows at this moment."""
        engine = self._driver.engine
        stats = engine.stats
        yield self._gauge("num_requests_running", "Number of requests in model execution batches.", engine.running)
        yield self._gauge("num_requests_waiting", "Number of requests waiting to be processed.", engine.waiting)
        yield self._gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", engine.kv_usage)
        yield self._counter("prefix_cache_queries", "Prefix cache queries, in tokens.", stats.prefix_queries)
        yield self._counter("prefix_cache_hits", "Prefix cache hits, in tokens.", stats.prefix_hits)
        yield self._counter("num_preemptions", "Cumulative number of preemptions.", stats.preemptions)
        yield self._counter("prompt_tokens", "Number of prefill tokens processed.", stats.prompt_tokens)
        yield self._counter("generation_tokens", "Number of generation tokens processed.", stats.generation_tokens)
        yield self._cache_config()

    def _cache_config(self) -> Metric:
        spec = self._settings.spec
        labels = {
            "block_size": str(spec.block_tokens),
            "cache_dtype": "auto",
            "enable_prefix_caching": str(spec.prefix_caching),
            "engine": "0",
            "kv_cache_max_concurrency": str(spec.kv_tokens / spec.max_model_len),
            "kv_cache_size_tokens": str(spec.kv_blocks * spec.block_tokens),
            "num_gpu_blocks": str(spec.kv_blocks),
        }
        family = GaugeMetricFamily(
            "vllm:cache_config_info", "Information of the LLMEngine CacheConfig", labels=list(labels)
        )
        family.add_metric(list(labels.values()), 1.0)
        return family

    def _gauge(self, name: str, what: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", what, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _counter(self, name: str, what: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", what, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family
