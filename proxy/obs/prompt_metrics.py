"""Requests by named prompt and version, so that versions can be compared."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.model.histogram import Histogram
from proxy.obs.families import counters
from proxy.obs.record import Record

_LABELS = ("prompt", "version")
_HISTOGRAMS = {
    "ttft": "Streams with a named prompt: from received to the first event with output.",
    "e2e": "Requests with a named prompt: from received to the last byte sent.",
}


class _Version:
    __slots__ = ("e2e", "endings", "tokens", "ttft")

    def __init__(self) -> None:
        self.endings: defaultdict[str, int] = defaultdict(int)
        self.tokens = {"prompt": 0, "completion": 0, "cached": 0}
        self.ttft = Histogram()
        self.e2e = Histogram()


class PromptMetrics:
    """Names and versions are those of the configuration: bounded."""

    def __init__(self) -> None:
        self._versions: defaultdict[str, _Version] = defaultdict(_Version)

    def count(self, record: Record) -> None:
        """One finished request that has a named prompt."""
        version, timeline, usage = self._versions[record.prompt_version], record.timeline, record.usage
        version.endings[str(record.outcome.verdict)] += 1
        version.tokens["prompt"] += usage.prompt_tokens or 0
        version.tokens["completion"] += usage.completion_tokens or 0
        version.tokens["cached"] += usage.cached_tokens or 0
        if timeline.done is not None:
            version.e2e.observe(timeline.done - timeline.received)
        if record.meter.first_token is not None:
            version.ttft.observe(record.meter.first_token - timeline.received)

    def families(self, assembly: Mapping[str, Histogram]) -> Iterator[Metric]:
        """`assembly`: seconds in which each version was put together."""
        versions = [(_labels(label), version) for label, version in self._versions.items()]
        yield counters(
            "tidegate_prompt_requests",
            "Requests with a named prompt, by its version and how they ended.",
            (*_LABELS, "verdict"),
            [((*key, ending), float(n)) for key, one in versions for ending, n in one.endings.items()],
        )
        yield counters(
            "tidegate_prompt_tokens",
            "Tokens of requests with a named prompt, as the engines reported them; cached is part of prompt.",
            (*_LABELS, "direction"),
            [((*key, direction), float(n)) for key, one in versions for direction, n in one.tokens.items()],
        )
        for name, text in _HISTOGRAMS.items():
            histograms = [(key, getattr(one, name)) for key, one in versions]
            yield _histogram(f"tidegate_prompt_{name}_seconds", text, histograms)
        yield _histogram(
            "tidegate_prompt_assembly_seconds",
            "Time in which a named prompt was put in front of a request.",
            [(_labels(label), histogram) for label, histogram in assembly.items()],
        )


def _labels(label: str) -> tuple[str, str]:
    name, _, version = label.partition("@")
    return name, version


def _histogram(name: str, text: str, histograms: list[tuple[tuple[str, str], Histogram]]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=_LABELS)
    for key, histogram in histograms:
        family.add_metric(key, histogram.buckets(), histogram.sum)
    return family
