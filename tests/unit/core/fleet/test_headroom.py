"""Which backends bulk leaves to those who wait for a first token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.headroom import DEMAND_S, Headroom, backends_needed, speed_s
from proxy.core.route.forecasting import disturbs, foresee, least_s
from proxy.core.route.limits import judge
from proxy.model.backend import BackendSpec
from proxy.model.commands import Reason
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings

FAST = ([0.01, 0.3, 0.2, 0.0], [0.005, 0.004, 0.014, 0.5])
SLOW = ([0.02, 0.6, 0.4, 0.0], [0.011, 0.004, 0.014, 0.8])


def backend(index: int, costs: tuple[list[float], list[float]], **spec: object) -> Backend:
    made = Backend(BackendSpec(f"b{index}", **spec), index, HealthSettings())  # type: ignore[arg-type]
    made.model.prefill, made.model.decode = list(costs[0]), list(costs[1])
    made.model.samples = 10_000
    return made


def fleet() -> tuple[Backend, ...]:
    """Two slow ones, then two fast ones."""
    return (backend(0, SLOW), backend(1, SLOW), backend(2, FAST), backend(3, FAST))


def chat(now: float, prompt: float = 1000.0) -> Demand:
    demand = Demand(Job(1, "m", slo_ttft_s=0.2, slo_tpot_s=0.04), now, now)
    demand.prompt, demand.answer, demand.answer_high = prompt, 200.0, 400.0
    demand.bind(Dials(CoreSettings()))
    return demand


def bulk(now: float, prompt: float = 8000.0, arrived: float | None = None) -> Demand:
    demand = Demand(Job(2, "m", bulk=True), now if arrived is None else arrived, now)
    demand.prompt, demand.answer, demand.answer_high = prompt, 500.0, 900.0
    demand.bind(Dials(CoreSettings()))
    demand.patience_s = 60.0
    return demand


def asked(reserve: Headroom, demand: Demand, usable: tuple[Backend, ...]) -> None:
    home = reserve.home(demand, usable)
    foresee(home, demand)
    reserve.asked(demand, home)


def kept(
    chats_per_s: float, bulk_per_s: float, usable: tuple[Backend, ...], waited: float = 30.0, seconds: int = 60
) -> list[int]:
    """The numbers of the backends kept from bulk that has `waited`, after so many seconds of such traffic."""
    reserve = Headroom()
    events = [(i / chats_per_s, True) for i in range(int(seconds * chats_per_s))] if chats_per_s else []
    events += [(i / bulk_per_s, False) for i in range(int(seconds * bulk_per_s))] if bulk_per_s else []
    for now, is_chat in sorted(events):
        asked(reserve, chat(now) if is_chat else bulk(now), usable)
    demand = bulk(float(seconds), arrived=seconds - waited)
    reserve.bind(demand, usable)
    return sorted(b.index for b in demand.kept)


def test_the_fastest_are_kept_as_many_as_are_needed() -> None:
    assert kept(1.0, 1.0, fleet()) == [2]
    assert kept(15.0, 1.0, fleet()) == [2, 3]


def test_no_more_than_their_share_where_there_is_too_little_for_both() -> None:
    assert kept(40.0, 1.0, fleet()) == [0, 2, 3]
    assert kept(20.0, 8.0, fleet()) == [2]


def test_the_next_one_is_lent_to_bulk_that_has_waited() -> None:
    assert kept(9.0, 1.0, fleet(), waited=17.0) == [2, 3]
    assert kept(9.0, 1.0, fleet(), waited=19.0) == [2]
    assert kept(1.0, 1.0, fleet(), waited=0.0) == [2], "of which promises need less than half"
    assert kept(20.0, 8.0, fleet(), waited=0.0) == [2], "where there is too little for both"


@pytest.mark.parametrize("seconds", [3, 10, 60])
def test_what_is_needed_is_known_as_soon_as_it_is_asked_for(seconds: int) -> None:
    assert kept(15.0, 1.0, fleet(), seconds=seconds) == [2, 3]


@pytest.mark.parametrize("rates", [(0.0, 2.0), (5.0, 0.0), (0.01, 5.0)])
def test_nothing_is_kept_without_both_kinds_of_traffic(rates: tuple[float, float]) -> None:
    assert kept(*rates, fleet()) == []


@given(chats=st.floats(0.1, 30), jobs=st.floats(0.1, 10), count=st.integers(1, 4))
def test_never_all_and_always_the_fastest(chats: float, jobs: float, count: int) -> None:
    usable = fleet()[:count]
    held = kept(chats, jobs, usable)
    assert len(held) < len(usable)
    assert held == sorted(b.index for b in sorted(usable, key=speed_s)[: len(held)])


def test_what_nobody_asks_for_any_more_is_given_back() -> None:
    reserve, usable = Headroom(), fleet()
    for i in range(300):
        asked(reserve, chat(i / 5), usable)
        asked(reserve, bulk(i / 5), usable)
    for i in range(300):
        asked(reserve, bulk(60.0 + i / 5 * 2 * DEMAND_S / 10), usable)
    demand = bulk(60.0 + 60 * 2 * DEMAND_S / 10)
    reserve.bind(demand, usable)
    assert not demand.kept


def test_a_backend_that_comes_or_goes_is_seen_at_once() -> None:
    reserve, usable = Headroom(), fleet()
    for i in range(300):
        asked(reserve, chat(i / 5), usable)
        asked(reserve, bulk(i / 5), usable)
    demand = bulk(60.0)
    reserve.bind(demand, usable)
    gone = max(demand.kept, key=lambda b: b.index)
    left = tuple(b for b in usable if b is not gone)
    reserve.bind(demand, left)
    assert demand.kept <= frozenset(left)


def kept_ask(now: float, slack_s: float, keeps: Backend, **more: float) -> Demand:
    demand = bulk(now, **more)
    demand.kept, demand.kept_slack_s = frozenset({keeps}), slack_s
    foresee(keeps, demand)
    return demand


def test_bulk_stays_away_from_what_is_kept_even_where_it_is_idle() -> None:
    one = backend(0, FAST)
    assert judge(one, kept_ask(10.0, 0.05, one)) is Reason.DUTY


def test_bulk_whose_prefill_others_have_the_time_for_may_come() -> None:
    one = backend(0, FAST)
    assert judge(one, kept_ask(10.0, 5.0, one)) is None


def test_bulk_that_has_waited_long_takes_an_idle_one() -> None:
    one = backend(0, FAST)
    assert judge(one, kept_ask(10.0 + 59.0, 0.05, one, arrived=10.0)) is Reason.DUTY
    assert judge(one, kept_ask(10.0 + 61.0, 0.05, one, arrived=10.0)) is None
    one.in_flight = 1
    assert judge(one, kept_ask(10.0 + 61.0, 0.05, one, arrived=10.0)) is Reason.DUTY


@pytest.mark.parametrize(("times", "stays_away"), [(4.5, False), (5.5, True)])
def test_bulk_that_has_hardly_any_time_left_may_come(times: float, stays_away: bool) -> None:
    one = backend(0, FAST)
    demand = kept_ask(10.0, 0.05, one)
    demand.rest_s = times * least_s(one, demand)
    assert disturbs(one, demand) is stays_away


def test_half_of_the_seats_are_left_free() -> None:
    one = backend(0, FAST, seats=4)
    one.in_flight = 1
    assert not disturbs(one, kept_ask(10.0, 5.0, one))
    one.in_flight = 2
    assert disturbs(one, kept_ask(10.0, 5.0, one))


@given(prompt=st.floats(1, 1e5), answer=st.floats(1, 5000), seats=st.sampled_from([None, 1, 16, 256]))
def test_what_a_job_needs_is_positive_and_grows_with_it(prompt: float, answer: float, seats: int | None) -> None:
    one = backend(0, SLOW, seats=seats)

    def need(factor: float) -> float:
        demand = chat(0.0, prompt * factor)
        demand.answer = answer * factor
        foresee(one, demand)
        return backends_needed(demand, one)

    assert 0 < need(1.0) < need(2.0)
