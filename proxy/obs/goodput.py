"""Goodput: which requests, and how many of their tokens, kept what was promised.

Owns what "kept" means. A job that was promised nothing keeps it by being served. Refusals and failures count as not
kept; requests that were wrong in themselves are no jobs and do not count.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from prometheus_client.metrics_core import Metric

from proxy.model.classes import NOTHING_PROMISED
from proxy.model.faults import Kind
from proxy.model.outcome import Outcome, Verdict
from proxy.obs.families import counters, gauges
from proxy.obs.rates import Rates
from proxy.obs.record import Record

KEPT, LATE = "kept", "late"
CACHED: Final = "cached"
"""Answered from memory: a source of its own, no merit of any engine."""
_RESULTS: Final = {Verdict.SHED: "refused", Verdict.FAILED: "failed", Verdict.CANCELLED: "left"}
RESULTS = (KEPT, LATE, "refused", "failed", "left", CACHED)


class ClassGoodput(NamedTuple):
    """What one class has come to since the start."""

    ended: dict[str, int]
    """Jobs by result."""
    missed: dict[str, int]
    """Served jobs that missed a promise, by which one."""
    throughput_tokens: int
    goodput_tokens: int
    cached_tokens: int
    attainment: float | None
    """None: none has ended yet that counts."""


class Goodput:
    """Counts by class, and renders itself."""

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._promised: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._missed: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._tokens: defaultdict[str, int] = defaultdict(int)
        self._good_tokens: defaultdict[str, int] = defaultdict(int)
        self._kept_tokens: defaultdict[str, int] = defaultdict(int)
        """Of answers from memory, which no engine made again."""
        self.rates: dict[str, Rates] = {}
        """Of the last minutes, by class."""

    def count(self, record: Record) -> None:
        """One finished request."""
        name = record.traffic_class
        if not name or _is_wrong(record.outcome):
            return
        tokens = record.usage.completion_tokens or 0
        rates = self.rates.get(name)
        if rates is None:
            rates = self.rates[name] = Rates()
        done = record.timeline.done or record.timeline.received
        if record.is_from_memory:
            rates.count(done, 0, 0)
            self._requests[name, CACHED] += 1
            self._kept_tokens[name] += tokens
            return
        self._tokens[name] += tokens
        if record.outcome.verdict is not Verdict.SERVED:
            rates.count(done, tokens, 0)
            self._requests[name, _RESULTS[record.outcome.verdict]] += 1
            return
        missed = 0 if record.promise is NOTHING_PROMISED else self._judge(name, record)
        self._requests[name, LATE if missed else KEPT] += 1
        good = 0 if missed else tokens
        self._good_tokens[name] += good
        rates.count(done, tokens, good)

    def shown(self) -> dict[str, "ClassGoodput"]:
        """The counters of every class that had a job, for people."""
        attained = {key[0]: share for key, share in self._attainment()}
        names = sorted({name for name, _ in self._requests})
        return {
            name: ClassGoodput(
                {result: self._requests[name, result] for result in RESULTS if (name, result) in self._requests},
                {promise: count for (missed_by, promise), count in self._missed.items() if missed_by == name},
                self._tokens.get(name, 0),
                self._good_tokens.get(name, 0),
                self._kept_tokens.get(name, 0),
                attained.get(name),
            )
            for name in names
        }

    def _judge(self, name: str, record: Record) -> int:
        """How many promises a served request missed."""
        missed = 0
        for promise, actual, limit in promises_of(record):
            self._promised[name, promise] += 1
            if actual > limit:
                self._missed[name, promise] += 1
                missed += 1
        return missed

    def first_tokens(self) -> tuple[int, int]:
        """Served streams that were promised a time to first token; of them those that missed it."""
        promised, missed = (
            sum(count for (_, promise), count in of.items() if promise == "ttft")
            for of in (self._promised, self._missed)
        )
        return promised, missed

    def families(self) -> Iterator[Metric]:
        """All series."""
        by_class = ("class",)
        yield counters(
            "tidegate_slo_requests",
            "Jobs ended, by result: kept (served within all promises), late, refused, failed, left; or cached.",
            ("class", "result"),
            self._requests.items(),
        )
        yield counters(
            "tidegate_slo_missed",
            "Served jobs that missed a promise, by which one.",
            ("class", "promise"),
            self._missed.items(),
        )
        yield counters(
            "tidegate_slo_promised",
            "Served jobs to which something was promised that they can tell, by which promise.",
            ("class", "promise"),
            self._promised.items(),
        )
        yield counters(
            "tidegate_throughput_tokens",
            "Output tokens of all jobs.",
            by_class,
            [((name,), count) for name, count in self._tokens.items()],
        )
        yield counters(
            "tidegate_goodput_tokens",
            "Output tokens of jobs that kept what was promised.",
            by_class,
            [((name,), self._good_tokens[name]) for name in self._tokens],
        )
        yield counters(
            "tidegate_cached_tokens",
            "Output tokens of answers from memory, in none of the other counts.",
            by_class,
            [((name,), count) for name, count in self._kept_tokens.items()],
        )
        yield gauges(
            "tidegate_goodput_ratio",
            "Goodput tokens as a share of throughput tokens, since the start.",
            by_class,
            [((name,), self._good_tokens[name] / count) for name, count in self._tokens.items() if count],
        )
        yield gauges(
            "tidegate_slo_attainment",
            "Share of jobs that kept what was promised, since the start; those whose client left do not count.",
            by_class,
            self._attainment(),
        )
        yield gauges(
            "tidegate_slo_promise_attainment",
            "Share of served jobs that kept a promise, of those that can tell, since the start.",
            ("class", "promise"),
            [(key, 1 - self._missed.get(key, 0) / count) for key, count in self._promised.items()],
        )

    def _attainment(self) -> Iterator[tuple[tuple[str, ...], float]]:
        for name in sorted({name for name, _ in self._requests}):
            ended = sum(self._requests.get((name, result), 0) for result in (KEPT, LATE, "refused", "failed"))
            if ended:
                yield (name,), self._requests.get((name, KEPT), 0) / ended


def promises_of(record: Record) -> list[tuple[str, float, float]]:
    """What a served request can tell of its promises: name, what it was and what it may be, seconds. An answer in one
    piece has no first token, and can only miss what is promised for the whole of it."""
    promise, meter, tokens = record.promise, record.meter, record.usage.completion_tokens
    received, done = record.timeline.received, record.timeline.done
    ttft_s = None if meter.first_token is None else meter.first_token - received
    took_s = None if done is None else done - received
    is_short = not promise.e2e_tokens or (tokens is not None and tokens <= promise.e2e_tokens)
    checks = (
        ("ttft", ttft_s, promise.ttft_s),
        ("tpot", meter.tpot_s(tokens), promise.tpot_s),
        ("e2e", took_s if is_short else None, promise.e2e_s),
        ("deadline", took_s, promise.deadline_s),
    )
    return [(name, actual, limit) for name, actual, limit in checks if actual is not None and limit is not None]


def missed_promises(record: Record) -> list[str]:
    """Which promises a served request missed."""
    return [name for name, actual, limit in promises_of(record) if actual > limit]


def _is_wrong(outcome: Outcome) -> bool:
    """Refused for what it is, by us or by the engine."""
    return outcome.fault is not None and outcome.fault.kind in (Kind.INVALID, Kind.MODEL_NOT_FOUND, Kind.NOT_KEPT)
