"""What counts as good, and the numbers of a run."""

import pytest

from proxy.model.faults import Kind, internal
from proxy.model.outcome import SERVED, Outcome, Phase, Verdict, failed_with
from proxy.report.report import LARGEST, Quantiles, is_good, quantiles, report_of, size_bucket
from proxy.report.run import Result, SimulatedRun
from proxy.report.stats import Stats
from proxy.workload.arrival import Arrival, Slo

SLO = Slo(ttft_s=1.0, tpot_s=0.1, e2e_s=5.0)
SHED = failed_with(internal(Kind.QUEUE_FULL, "full"), Phase.QUEUE)


def result(
    first: float | None = 0.5,
    done: float = 1.0,
    outcome: Outcome = SERVED,
    slo: Slo = SLO,
    tokens: int = 11,
    **more: str,
) -> Result:
    arrival = Arrival(10.0, 100, tokens, slo=slo, **more)  # type: ignore[arg-type]
    return Result(arrival, outcome, first_token_at=None if first is None else 10.0 + first, done_at=10.0 + done)


@pytest.mark.parametrize(
    ("one", "good"),
    [
        (result(), True),
        (result(first=1.0, done=2.0), True),
        (result(first=1.1, done=1.2), False),
        (result(first=0.5, done=1.6), False),
        (result(first=0.5, done=1.6, tokens=1), True),
        (result(first=0.5, done=5.1, tokens=400), False),
        (result(first=9.0, done=99.0, slo=Slo()), True),
        (result(first=None, outcome=SHED), False),
        (result(outcome=SHED, slo=Slo()), False),
        (result(outcome=Outcome(Verdict.CANCELLED, "CS")), False),
    ],
)
def test_good_is_served_and_every_promise_kept(one: Result, good: bool) -> None:
    assert is_good(one) is good


def test_refusals_count_as_failures_and_all_add_up() -> None:
    refused = result(first=None, outcome=SHED, tenant="t", traffic_class="bulk")
    refused.reason = "duty"
    late = result(first=2.0, done=2.5)
    played = SimulatedRun([result(), refused, late], ended_at=20.0)
    played.engines = {"a": Stats(prefix_queries=100, prefix_hits=25, busy_s=5.0, finished=2)}
    report = report_of(played)
    total = report.total
    assert (total.requests, total.good, total.served, total.refused, total.late_ttft) == (3, 1, 2, 1, 1)
    assert total.goodput == pytest.approx(1 / 3)
    assert (total.tokens, total.good_tokens) == (33, 11)
    assert report.refusals == {"duty": 1}
    assert report.span_s == 10.0
    assert report.good_tokens_per_s == pytest.approx(1.1)
    assert (report.hit_rate, report.backends["a"].busy) == (0.25, 0.5)
    assert {name: g.requests for name, g in report.by_class.items()} == {"(none)": 2, "bulk": 1}
    assert {name: g.requests for name, g in report.by_tenant.items()} == {"(none)": 2, "t": 1}
    assert total.ttft == Quantiles(0.5, 2.0, 2.0), "of the served ones"


def test_quantiles_are_values_that_were_measured() -> None:
    assert quantiles([]) == Quantiles()
    assert quantiles([None, 3.0]) == Quantiles(3.0, 3.0, 3.0)
    assert quantiles(float(i) for i in range(1, 101)) == Quantiles(50.0, 95.0, 99.0)


def test_size_buckets() -> None:
    sizes = [size_bucket(n) for n in (1, 1023, 1024, 16_383, 16_384, 65_536)]
    assert sizes == ["<1k", "<1k", "1k-4k", "4k-16k", "16k-64k", LARGEST]


def test_a_flood_of_tenants_is_bounded() -> None:
    played = SimulatedRun([result(tenant=f"t{i}") for i in range(1000)], ended_at=20.0)
    groups = report_of(played).by_tenant
    assert len(groups) == 257
    assert sum(group.requests for group in groups.values()) == 1000


def test_a_run_of_nothing() -> None:
    report = report_of(SimulatedRun([]))
    assert (report.total.goodput, report.total.token_goodput, report.hit_rate) == (0.0, 0.0, 0.0)
