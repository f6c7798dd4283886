"""Windows and shared calls as they were, not as they were configured: how long jobs waited for others, with how many
they went, why windows closed, and what that saved.

Owns these counts. A call is counted with its first job, what it saves with each of the others.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from proxy.model.histogram import Histogram
from proxy.model.windows import Company
from proxy.obs.families import counters
from proxy.obs.record import Record

_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Upper bounds, jobs."""
_LABELS: Final = ("endpoint", "class", "backend")

Key = tuple[str, str, str]


class _Counts:
    """Of one endpoint, class and backend."""

    def __init__(self) -> None:
        self.waits = Histogram()
        self.sizes = [0] * (len(_SIZES) + 1)
        self.jobs = self.tokens = self.merged = self.joined = 0

    def sized(self, jobs: int) -> None:
        """One more call."""
        self.jobs += jobs
        at = 0
        while at < len(_SIZES) and jobs > _SIZES[at]:
            at += 1
        self.sizes[at] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as the exposition format wants them."""
        total, out = 0, []
        for bound, count in zip((*map(str, _SIZES), "+Inf"), self.sizes, strict=True):
            total += count
            out.append((bound, float(total)))
        return out


class Batches:
    """One per proxy."""

    def __init__(self) -> None:
        self._counts: defaultdict[Key, _Counts] = defaultdict(_Counts)
        self._closed: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)

    def count(self, key: Key, company: Company, record: Record) -> None:
        """One job that was in company, or waited for some."""
        counts = self._counts[key]
        if company.waited_s is not None:
            counts.waits.observe(company.waited_s)
        if company.joins:
            counts.joined += 1
            return
        if company.jobs > 1:
            counts.tokens += record.usage.prompt_tokens or 0
        if not company.leads:
            counts.merged += 1
            return
        counts.sized(company.jobs)
        if company.closed is not None:
            self._closed[(*key, company.closed.value)] += 1

    def families(self) -> Iterator[Metric]:
        """All of it."""
        waits = HistogramMetricFamily(
            "tidegate_window_seconds", "Time in a window, waiting for others to go with.", labels=_LABELS
        )
        sizes = HistogramMetricFamily("tidegate_batch_jobs", "Requests that went as one call.", labels=_LABELS)
        for key, counts in self._counts.items():
            waits.add_metric(key, counts.waits.buckets(), counts.waits.sum)
            sizes.add_metric(key, counts.buckets(), counts.jobs)
        yield from (waits, sizes)
        yield counters(
            "tidegate_windows_closed",
            "Windows closed, by why: full, tokens, age, deadline, idle (a backend was free).",
            (*_LABELS, "reason"),
            self._closed.items(),
        )
        yield counters(
            "tidegate_merged_tokens",
            "Prompt tokens of requests that went with others.",
            _LABELS,
            [(key, counts.tokens) for key, counts in self._counts.items()],
        )
        yield counters(
            "tidegate_calls_saved",
            "Requests that no call of their own was made for: merged into another's, or answered by it.",
            (*_LABELS, "how"),
            [
                ((*key, how), number)
                for key, counts in self._counts.items()
                for how, number in (("merged", counts.merged), ("shared", counts.joined))
            ],
        )
