"""What one look tells of others that wait."""

import pytest

from proxy.core.fleet.demand import Demand
from proxy.core.fleet.forecast import Forecast
from proxy.core.jobs.open_job import OpenJob
from proxy.core.jobs.passing import Passing
from proxy.model.commands import Reason
from proxy.model.request import Job

NOW = 100.0


def waits(work_s: float, tenant: str = "a", pace_s: float | None = 0.1, left_s: float = 2.0) -> OpenJob:
    job = Job(1, "m", tenant=tenant, slo_ttft_s=2.0, slo_tpot_s=pace_s, arrived=NOW - 2.0 + left_s)
    made = OpenJob(job, 1, NOW)
    made.work_s = work_s
    return made


def kept_out(
    reason: Reason, work_s: float, tenant: str = "a", over_share: float = 0.0, pace_s: float = 0.1, tpot_s: float = 0.05
) -> Passing:
    passing = Passing(NOW)
    demand = Demand(Job(2, "m", tenant=tenant), NOW, NOW)
    demand.over_share, demand.tpot_limit, demand.ttft_margin = over_share, pace_s, 1.5
    seen = Forecast()
    seen.reason, seen.ttft, seen.tpot = reason, 1.0, tpot_s
    seen.work = seen.raw = seen.cost = work_s
    passing.kept_out(demand, seen)
    return passing


@pytest.mark.parametrize("reason", [Reason.TPOT, Reason.DUTY])
def test_larger_prompts_are_passed_over_where_a_smaller_one_would_be_in_the_way(reason: Reason) -> None:
    passing = kept_out(reason, 0.4)
    assert passing.over(waits(0.5))
    assert not passing.over(waits(0.2))
    assert not passing.over(waits(0.0)), "nothing is known of it"
    assert not passing.over(waits(0.5, pace_s=0.2)), "it was promised less"
    assert not passing.over(waits(0.5, pace_s=None))


def test_what_keeps_out_a_tenant_over_its_share_keeps_out_no_other() -> None:
    passing = kept_out(Reason.TPOT, 0.4, over_share=1.0)
    assert passing.over(waits(0.5))
    assert not passing.over(waits(0.5, tenant="b"))


def test_too_many_answers_keep_out_smaller_prompts_as_well() -> None:
    assert kept_out(Reason.TPOT, 0.4, tpot_s=0.11).over(waits(0.2))
    assert not kept_out(Reason.TPOT, 0.4, tpot_s=0.09).over(waits(0.2))


def test_who_would_be_late_behind_the_same_prompts_is_passed_over() -> None:
    passing = kept_out(Reason.TTFT, 0.4)  # 0.6 s are ahead of it
    assert passing.over(waits(0.01, left_s=0.9))
    assert not passing.over(waits(0.01, left_s=1.0))
    assert passing.over(waits(0.4, left_s=1.4))


@pytest.mark.parametrize("reason", [Reason.KV, Reason.SEATS])
def test_other_limits_tell_nothing_of_others(reason: Reason) -> None:
    assert not kept_out(reason, 0.4).over(waits(0.5))
