"""One run of the world in numbers: goodput, latencies, refusals, cache and load, and the same by group.

Owns what counts as good (served, and inside every part of its SLO: a refusal is a failure) and the rows of the tables.
Prints nothing and opens no file.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from proxy.model.outcome import Verdict
from proxy.report.run import Result, SimulatedRun
from proxy.report.stats import Stats
from proxy.workload.arrival import Slo

SIZES = ((1024, "<1k"), (4096, "1k-4k"), (16384, "4k-16k"), (65536, "16k-64k"))
"""Prompt tokens below which a request belongs to a size bucket."""
LARGEST = ">=64k"
MAX_GROUPS = 256
"""Tenants or classes shown; the rest is one group."""
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a latency, seconds; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the requests of a run."""

    requests: int
    good: int
    served: int
    refused: int
    falsely_refused: int
    """Of those: while an engine could have taken them without breaking anybody's promise."""
    failed: int
    cancelled: int
    tokens: int
    """Output tokens offered: what all requests would have got."""
    good_tokens: int
    late_ttft: int
    """Served, with the first token later than promised."""
    late_tpot: int
    late_e2e: int
    ttft: Quantiles
    tpot: Quantiles
    e2e: Quantiles

    @property
    def goodput(self) -> float:
        """Share of the requests that were good."""
        return self.good / self.requests if self.requests else 0.0

    @property
    def token_goodput(self) -> float:
        """Share of the offered output tokens that were good."""
        return self.good_tokens / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class ReportedLoad:
    """One backend."""

    requests: int
    """Attempts that finished."""
    busy: float
    """Share of the run it computed."""
    generation_tokens: int
    prompt_tokens: int
    hit_rate: float
    """Share of the prompt tokens found in its prefix cache."""
    preemptions: int
    turned_away: int = 0
    """Attempts that it answered with 503."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    total: Group
    span_s: float
    """From the first arrival to the last end."""
    hit_rate: float
    hedged: int = 0
    """Requests that were sent to a second backend while the first was at it."""
    computed_tokens: int = 0
    """Prompt tokens that engines set out to compute: none found in a cache, twice for what was sent twice."""
    by_class: dict[str, Group] = field(default_factory=dict)
    by_size: dict[str, Group] = field(default_factory=dict)
    by_tenant: dict[str, Group] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    """By reason."""
    faults: dict[str, int] = field(default_factory=dict)
    """Ends that were neither served nor refused, by kind."""
    backends: dict[str, ReportedLoad] = field(default_factory=dict)

    @property
    def good_tokens_per_s(self) -> float:
        """Output tokens of good requests per second of the run."""
        return self.total.good_tokens / self.span_s if self.span_s else 0.0

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        groups = {name: _groups_as_json(getattr(self, name)) for name in ("by_class", "by_size", "by_tenant")}
        return {
            "total": _group_as_json(self.total),
            "span_s": round(self.span_s, 3),
            "good_tokens_per_s": round(self.good_tokens_per_s, 3),
            "hit_rate": round(self.hit_rate, 5),
            "hedged": self.hedged,
            "computed_tokens": self.computed_tokens,
            **groups,
            "refusals": self.refusals,
            "faults": self.faults,
            "backends": {name: asdict(load) for name, load in self.backends.items()},
        }


def is_good(result: Result) -> bool:
    """Served, and everything promised was kept."""
    if result.outcome is None or result.outcome.verdict is not Verdict.SERVED:
        return False
    slo = result.arrival.slo
    return slo.promises_nothing or not any(_late(result, slo))


def _late(result: Result, slo: Slo) -> tuple[bool, bool, bool]:
    """Whether the first token, the pace and the end of a served request came late."""
    return (
        _exceeds(result.ttft_s, slo.ttft_s),
        _exceeds(result.tpot_s, slo.tpot_s),
        _exceeds(result.e2e_s, slo.e2e_s),
    )


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def report_of(run_of: SimulatedRun) -> Report:
    """The numbers of one run."""
    results = run_of.results
    start = min((r.arrival.at for r in results), default=0.0)
    span = max(run_of.ended_at - start, 0.0)
    queries = sum(s.prefix_queries for s in run_of.engines.values())
    hits = sum(s.prefix_hits for s in run_of.engines.values())
    return Report(
        total=group_of(results),
        span_s=span,
        hit_rate=hits / queries if queries else 0.0,
        hedged=sum(r.hedged for r in results),
        computed_tokens=queries - hits,
        by_class=_by(results, lambda r: r.arrival.traffic_class or "(none)"),
        by_size=_by_size(results),
        by_tenant=_by(results, lambda r: r.arrival.tenant or "(none)"),
        refusals=_count(r.reason for r in results if _verdict(r) is Verdict.SHED),
        faults=_count(r.reason for r in results if _verdict(r) in (Verdict.FAILED, Verdict.CANCELLED)),
        backends={name: _load(stats, span) for name, stats in run_of.engines.items()},
    )


def group_of(results: Sequence[Result]) -> Group:
    """The numbers of some requests."""
    verdicts = Counter(_verdict(r) for r in results)
    served = [r for r in results if _verdict(r) is Verdict.SERVED]
    good = [r for r in served if is_good(r)]
    late = [_late(r, r.arrival.slo) for r in served]
    return Group(
        requests=len(results),
        good=len(good),
        served=len(served),
        refused=verdicts[Verdict.SHED],
        falsely_refused=sum(r.falsely_refused for r in results),
        failed=verdicts[Verdict.FAILED],
        cancelled=verdicts[Verdict.CANCELLED],
        tokens=sum(r.arrival.output_tokens for r in results),
        good_tokens=sum(r.arrival.output_tokens for r in good),
        late_ttft=sum(one[0] for one in late),
        late_tpot=sum(one[1] for one in late),
        late_e2e=sum(one[2] for one in late),
        ttft=quantiles(r.ttft_s for r in served),
        tpot=quantiles(r.tpot_s for r in served),
        e2e=quantiles(r.e2e_s for r in served),
    )


def quantiles(values: Iterable[float | None]) -> Quantiles:
    """Nearest rank: always a value that was measured."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return Quantiles()
    at = [ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95, 0.99)]
    return Quantiles(*at)


def size_bucket(prompt_tokens: int) -> str:
    """The bucket of a prompt."""
    return next((name for below, name in SIZES if prompt_tokens < below), LARGEST)


def _verdict(result: Result) -> Verdict | None:
    return result.outcome.verdict if result.outcome else None


def _by(results: Sequence[Result], key: Callable[[Result], str]) -> dict[str, Group]:
    """Groups by name, at most so many: the largest."""
    sizes = Counter(key(r) for r in results)
    shown = {name for name, _ in sizes.most_common(MAX_GROUPS)}
    members: dict[str, list[Result]] = {}
    for result in results:
        name = key(result)
        members.setdefault(name if name in shown else OTHERS, []).append(result)
    return {name: group_of(members[name]) for name in sorted(members)}


def _by_size(results: Sequence[Result]) -> dict[str, Group]:
    found = _by(results, lambda r: size_bucket(r.arrival.prompt_tokens))
    return {name: found[name] for name in (*(name for _, name in SIZES), LARGEST) if name in found}


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _load(stats: Stats, span_s: float) -> ReportedLoad:
    return ReportedLoad(
        requests=stats.finished,
        busy=round(stats.busy_s / span_s, 4) if span_s else 0.0,
        generation_tokens=stats.generation_tokens,
        prompt_tokens=stats.prompt_tokens,
        hit_rate=round(stats.prefix_hits / stats.prefix_queries, 5) if stats.prefix_queries else 0.0,
        preemptions=stats.preemptions,
        turned_away=stats.turned_away,
    )


def _groups_as_json(groups: dict[str, Group]) -> dict[str, Any]:
    return {name: _group_as_json(group) for name, group in groups.items()}


def _group_as_json(group: Group) -> dict[str, Any]:
    shares = {"goodput": round(group.goodput, 5), "token_goodput": round(group.token_goodput, 5)}
    return shares | asdict(group)
