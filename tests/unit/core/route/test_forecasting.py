"""What is foreseen of a job on a backend, and which limit it would break."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand, mean_length
from proxy.core.learn.entry import Entry
from proxy.core.route.forecasting import (
    foresee,
    least_s,
    open_entry,
    predicted_tpot,
    seat_wait_s,
)
from proxy.core.route.limits import judge
from proxy.core.route.residents import residents_tpot
from proxy.model.backend import BackendSpec
from proxy.model.commands import Reason
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings


def backend(**spec: object) -> Backend:
    made = Backend(BackendSpec("a", **spec), 0, HealthSettings())  # type: ignore[arg-type]
    made.model.prefill, made.model.decode = [0.02, 0.6, 0.4, 0.0], [0.01, 0.004, 0.014, 0.8]
    made.model.samples = 10**6
    return made


def demand(prompt: float = 1000.0, answer: float = 100.0, now: float = 10.0, **job: object) -> Demand:
    made = Demand(Job(1, "m", **job), now, now)  # type: ignore[arg-type]
    made.prompt, made.answer, made.answer_high = prompt, answer, 2 * answer
    made.bind(Dials(CoreSettings()))
    return made


def occupied(
    where: Backend,
    count: int,
    answer: float = 100.0,
    tpot: float | None = None,
    prompt: float = 100.0,
    begun: bool = True,
) -> None:
    """So many short requests that decode there since long ago, or have not `begun`."""
    for _ in range(count):
        resident = demand(prompt, answer, now=0.0, slo_tpot_s=tpot)
        foresee(where, resident)
        entry = Entry(resident.job, 0.0, 0.0)
        open_entry(entry, where, resident)
        entry.streams = True
        entry.work = 0.0
        where.ledger.dispatch(entry, 0.0)
        if begun:
            where.ledger.first_token(entry, 0.0)
        where.in_flight += 1


def judged(where: Backend, what: Demand) -> Reason | None:
    foresee(where, what)
    return judge(where, what)


def test_an_idle_backend_takes_everything() -> None:
    assert judged(backend(), demand(prompt=1e6, slo_ttft_s=0.001, slo_tpot_s=0.0001, done_by=10.001)) is None


def test_who_cannot_be_complete_in_time_does_not_begin() -> None:
    one = backend()
    occupied(one, 20)
    what = demand(answer=100.0)
    foresee(one, what)
    needs = one.forecast.ttft + mean_length(100.0, 200.0) * predicted_tpot(one, what)
    assert judged(one, demand(answer=100.0, bulk=True, done_by=10.0 + 0.99 * needs)) is Reason.DEADLINE
    assert judged(one, demand(answer=100.0, bulk=True, done_by=10.0 + 1.01 * needs)) is None


def test_what_clears_in_a_moment_comes_before_the_deadline_that_does_not() -> None:
    """Else those behind would be looked at on an engine that takes nobody now, and while pools are learning, where a
    deadline keeps nobody waiting, all of them would go there."""
    one = backend()
    occupied(one, 20)
    occupied(one, 3, prompt=5000.0, begun=False)
    assert judged(one, demand(answer=100.0, bulk=True, done_by=11.0)) is Reason.DUTY


@pytest.mark.parametrize(("high", "mean"), [(100.0, 100.0), (147.0, 104.6), (236.0, 125.2), (1e6, 164.9)])
def test_the_mean_is_above_the_median_by_as_much_as_lengths_spread(high: float, mean: float) -> None:
    assert mean_length(100.0, high) == pytest.approx(mean, rel=1e-3)


@given(prompt=st.floats(1, 1e5), answer=st.floats(1, 1e4), others=st.integers(0, 30))
def test_nobody_is_faster_than_alone(prompt: float, answer: float, others: int) -> None:
    one = backend()
    occupied(one, others)
    what = demand(prompt, answer)
    foresee(one, what)
    assert 0 < least_s(one, what) <= one.forecast.ttft + answer * predicted_tpot(one, what) + 1e-9


def test_a_long_prefill_is_not_put_beside_those_whose_pace_it_would_break() -> None:
    one = backend()
    occupied(one, 5, tpot=0.04)
    assert judged(one, demand(prompt=500.0, now=0.1)) is None
    assert judged(one, demand(prompt=30_000.0, now=0.1)) is Reason.TPOT


def worked(where: Backend, seconds: int) -> None:
    """A second of prefill after the other until now, 110, none of them still to come."""
    for second in range(110 - seconds, 110):
        entry = Entry(Job(99, "m"), 0.0, second)
        entry.work, entry.cost, entry.streams = 1.0, 1.0, True
        where.ledger.dispatch(entry, second)
        where.ledger.first_token(entry, second + 1.0)
        where.ledger.end(entry, second + 1.0)


@pytest.mark.parametrize(("tpot", "waits"), [(0.5, True), (None, False)])
def test_duty_keeps_nobody_waiting_where_nothing_is_promised(tpot: float | None, waits: bool) -> None:
    one = backend()
    occupied(one, 3, tpot=tpot)
    worked(one, 100)
    assert one.ledger.duty.at(110.0) > 0.9
    assert judged(one, demand(now=110.0)) is (Reason.DUTY if waits else None)
    assert judged(one, demand(now=110.0, slo_tpot_s=1.0)) is Reason.DUTY
    assert judged(one, demand(now=110.0, bulk=True)) is (Reason.DUTY if waits else None)


@pytest.mark.parametrize(("seats", "waits"), [(100, True), (None, False)])
def test_duty_keeps_even_those_waiting_behind_prompts_that_wait(seats: int | None, waits: bool) -> None:
    """Where nobody told how many run at once, the queue has a bound of its own."""
    one = backend(seats=seats)
    worked(one, 100)
    ahead = demand(prompt=5000.0, now=110.0)
    foresee(one, ahead)
    entry = Entry(ahead.job, 0.0, 110.0)
    open_entry(entry, one, ahead)
    entry.streams = True
    one.ledger.dispatch(entry, 110.0)
    one.in_flight += 1
    assert judged(one, demand(now=110.0)) is (Reason.DUTY if waits else None)


def test_the_shorter_their_answers_the_more_a_prefill_hurts() -> None:
    def pace(answer: float) -> float:
        one = backend()
        occupied(one, 5, answer, tpot=0.04)
        what = demand(prompt=8000.0)
        foresee(one, what)
        return residents_tpot(one, predicted_tpot(one, what))

    assert pace(50.0) > pace(200.0) > pace(1000.0)


def test_the_dearer_a_chat_the_more_a_prefill_beside_it_counts() -> None:
    one = backend()
    occupied(one, 5, 50.0, tpot=0.04)
    what = demand(prompt=8000.0)
    foresee(one, what)
    tpot = predicted_tpot(one, what)
    own = residents_tpot(one, tpot) - tpot
    assert own > 0.0
    assert residents_tpot(one, tpot, 3.0) - tpot == pytest.approx(3.0 * own)


def test_answers_nobody_made_a_promise_for_do_not_soften_it() -> None:
    one, other = backend(), backend()
    occupied(one, 5, 50.0, tpot=0.04)
    occupied(other, 5, 50.0, tpot=0.04)
    occupied(other, 5, 5000.0, prompt=1.0)
    what = demand(prompt=8000.0)
    for where in (one, other):
        foresee(where, what)
    assert residents_tpot(other, predicted_tpot(other, what)) > residents_tpot(one, predicted_tpot(one, what))


def test_prompts_that_only_wait_for_a_step_slow_nobody_down() -> None:
    """Where some prompt always waits, that one is there says nothing: its work does."""

    def pace(work: float) -> float:
        one = backend()
        occupied(one, 50)
        for tenth in range(600):
            entry = Entry(Job(99, "m"), 0.0, 0.1 * tenth)
            entry.cost, entry.work, entry.streams = work, work, True
            one.ledger.dispatch(entry, 0.1 * tenth)
            one.ledger.first_token(entry, 0.1 * tenth + 0.06)
            one.ledger.end(entry, 0.1 * tenth + 0.06)
        what = demand(now=60.0)
        foresee(one, what)
        return predicted_tpot(one, what)

    quiet = backend()
    occupied(quiet, 50)
    foresee(quiet, demand(now=60.0))
    alone = predicted_tpot(quiet, demand(now=60.0))
    assert pace(0.001) == pytest.approx(alone, rel=0.05)
    assert pace(0.05) == pytest.approx(alone / (1 - 0.8 * 0.5), rel=0.05)


def test_prompts_that_are_still_computed_will_decode_too() -> None:
    """In an onset from idle nothing decodes yet, and everything looks fast."""
    begun, onset = backend(), backend()
    occupied(begun, 30)
    occupied(onset, 30, begun=False)
    foresee(begun, demand())
    foresee(onset, demand())
    assert predicted_tpot(onset, demand()) >= predicted_tpot(begun, demand())


@pytest.mark.parametrize(("waiting", "seats_s"), [(4, 0.5), (5, 1.0), (8, 2.5)])
def test_seats_come_free_one_after_the_other(waiting: int, seats_s: float) -> None:
    one = backend(seats=4)
    one.took(99.0, 2.0)
    assert seat_wait_s(one, waiting) == pytest.approx(seats_s)


def test_what_promises_nothing_has_all_time() -> None:
    assert demand().rest_s == inf
    assert not demand(done_by=20.0).promises
    assert demand(done_by=25.0).rest_s == 15.0
