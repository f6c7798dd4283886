"""How promises and a tenant's share become limits."""

from math import inf

import pytest

from proxy.core.dials import Dials
from proxy.core.fleet.demand import Demand, mean_length
from proxy.core.learn.sessions import Session
from proxy.model.request import Job
from proxy.model.scheduling import BackfillSettings, CoreSettings, SchedulingSettings


def bound(job: Job, over_share: float = 0.0, now: float = 3.0) -> Demand:
    demand = Demand(job, 1.0, now)
    demand.over_share = over_share
    demand.answer, demand.answer_high = 100.0, 400.0
    demand.bind(Dials(CoreSettings()))
    return demand


def test_a_promise_counts_from_the_arrival() -> None:
    demand = bound(Job(1, "m", slo_ttft_s=5.0, slo_tpot_s=0.05))
    assert (demand.ttft_left, demand.tpot_limit) == (3.0, 0.05)
    assert demand.promised
    assert demand.promises


def test_who_is_promised_nothing_can_not_be_late() -> None:
    demand = bound(Job(1, "m"))
    assert (demand.ttft_left, demand.tpot_limit, demand.rest_s) == (inf, None, inf)
    assert not demand.promises


def test_bulk_promises_nothing_about_time_whatever_it_says() -> None:
    demand = bound(Job(1, "m", bulk=True, slo_ttft_s=5.0, slo_tpot_s=0.05, done_by=20.0))
    assert (demand.ttft_left, demand.tpot_limit, demand.rest_s) == (inf, None, 17.0)
    assert not demand.promised


def test_the_price_of_a_chat_concerns_what_bulk_takes_from_it() -> None:
    dials = Dials(CoreSettings(scheduling=SchedulingSettings(backfill=BackfillSettings(chat_price=3.0))))
    chat, bulk = Demand(Job(1, "m"), 0.0, 0.0), Demand(Job(2, "m", bulk=True), 0.0, 0.0)
    for one in (chat, bulk):
        one.bind(dials)
    assert (chat.beside_price, bulk.beside_price) == (1.0, 3.0)


def test_a_tenant_over_its_share_gets_wider_margins() -> None:
    job = Job(1, "m", slo_ttft_s=5.0, slo_tpot_s=0.05)
    fair, greedy = bound(job), bound(job, over_share=1.0)
    assert fair.ttft_margin < greedy.ttft_margin < 1.5 * fair.ttft_margin
    assert fair.tpot_margin < greedy.tpot_margin
    assert fair.duty_limit > greedy.duty_limit


def test_what_the_engine_counted_goes_before_an_estimate() -> None:
    demand = Demand(Job(1, "m", prefix=tuple(range(12))), 0.0, 0.0)
    session = Session(None, 0.0)
    demand.goes_on(session)
    assert demand.prompt == 1.0, "nothing was counted yet"
    session.prompt, session.blocks = 1050.0, 10
    demand.goes_on(session)
    assert demand.prompt == pytest.approx(1250.0)


@pytest.mark.parametrize(("median", "high"), [(100.0, 100.0), (100.0, 400.0), (1.0, 1e9)])
def test_the_mean_lies_above_the_median_and_within_reason(median: float, high: float) -> None:
    assert median <= mean_length(median, high) <= 2.0 * median
