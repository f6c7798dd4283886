"""The table of limits: complete, in order, and each with words, documentation and a time at which it gives way."""

import re
from collections.abc import Callable
from math import inf
from pathlib import Path

import pytest

import proxy.obs
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.learn.entry import Entry
from proxy.core.refusals import overloaded
from proxy.core.route.forecasting import foresee, open_entry
from proxy.core.route.limits import LIMITS, Limit, clears_in_s, judge, large_with_time, limit_of
from proxy.model.commands import Reason
from tests.unit.core.route.test_forecasting import backend, demand, occupied

_ROW = re.compile(r"^\| `([a-z]+)` \| ([^|]+) \|$", re.MULTILINE)
_NO_LIMIT = {Reason.QUOTA, Reason.QUEUE}
"""Of a tenant, and of the hold: no backend is asked about them."""


def asked(**job: object) -> Demand:
    return demand(prompt=2000.0, **job)  # type: ignore[arg-type]


def _late() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 3, prompt=20_000.0, begun=False)
    return one, asked(slo_ttft_s=0.5)


def _slow() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 30)
    return one, asked(slo_tpot_s=0.001)


def _slow_for_others() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 3, tpot=0.002)
    return one, asked()


def _bulk_in_line() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 3, prompt=20_000.0, begun=False)
    return one, asked(bulk=True)


def _busy_reading() -> tuple[Backend, Demand]:
    one = backend()
    for _ in range(3):
        long = demand(prompt=60_000.0, now=10.0)
        foresee(one, long)
        entry = Entry(long.job, 10.0, 10.0)
        open_entry(entry, one, long)
        one.ledger.dispatch(entry, 10.0)
        one.in_flight += 1
    return one, asked(slo_ttft_s=1e6)


def _full_memory() -> tuple[Backend, Demand]:
    one = backend(kv_tokens=4000)
    occupied(one, 1, prompt=3000.0)
    return one, asked()


def _full_seats() -> tuple[Backend, Demand]:
    one = backend(seats=4)
    occupied(one, 4)
    return one, asked()


def _never_whole() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 4)
    return one, asked(done_by=10.001)


def _felt() -> tuple[Backend, Demand]:
    one = backend()
    occupied(one, 1)
    line = asked(bulk=True, yields_until=1e6)
    for _ in range(8):
        foresee(one, line)
        entry = Entry(line.job, 10.0, 10.0)
        open_entry(entry, one, line)
        one.ledger.dispatch(entry, 10.0)
        one.ledger.first_token(entry, 10.0)
    one.in_flight += 8
    return one, asked(bulk=True, yields_until=1e6)


BROKEN = {
    Reason.TTFT: [_late],
    Reason.TPOT: [_slow, _slow_for_others],
    Reason.DUTY: [_bulk_in_line, _busy_reading],
    Reason.KV: [_full_memory],
    Reason.SEATS: [_full_seats],
    Reason.DEADLINE: [_never_whole],
    Reason.YIELD: [_felt],
}


def test_every_reason_is_a_limit_or_none_of_a_backend() -> None:
    reasons = [limit.reason for limit in LIMITS]
    assert len(reasons) == len(set(reasons))
    assert set(reasons) == set(Reason) - _NO_LIMIT == set(BROKEN)


@pytest.mark.parametrize("reason", _NO_LIMIT)
def test_what_is_no_limit_of_a_backend_has_none(reason: Reason) -> None:
    assert limit_of(reason) is None


@pytest.mark.parametrize(("reason", "made"), [(reason, made) for reason, some in BROKEN.items() for made in some])
def test_each_limit_breaks_and_gives_way(reason: Reason, made: Callable[[], tuple[Backend, Demand]]) -> None:
    one, what = made()
    foresee(one, what)
    assert judge(one, what) is reason is one.forecast.reason
    assert 0.0 <= clears_in_s(one, what) < inf
    assert clears_in_s(one, what) > 0.0 or what.bulk, "bulk is looked at whenever something ends"
    idle = backend()
    foresee(idle, what)
    assert judge(idle, what) is None
    assert clears_in_s(idle, what) == 0.0


def test_of_two_the_first_in_the_table_is_the_reason() -> None:
    one = backend(seats=4, kv_tokens=4000)
    occupied(one, 4, prompt=900.0)
    what = asked()
    foresee(one, what)
    assert judge(one, what) is Reason.KV


def test_the_first_token_is_in_time_again_when_the_backlog_is_that_much_shorter() -> None:
    one, what = _late()
    foresee(one, what)
    judge(one, what)
    in_time_s = one.forecast.ttft - clears_in_s(one, what)
    assert what.ttft_margin * in_time_s == pytest.approx(what.ttft_left)


def test_who_waits_for_a_place_waits_for_the_next_request_to_end() -> None:
    one, what = _full_seats()
    one.service_s = 8.0
    foresee(one, what)
    judge(one, what)
    assert clears_in_s(one, what) == 2.0
    one.service_s = 1e6
    assert clears_in_s(one, what) == 60.0


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.reason.value)
def test_each_has_words_for_the_client(limit: Limit) -> None:
    fault = overloaded(limit.reason, 3.0)
    assert fault.message == f"Refused, since {limit.words}; try again in 3 s."
    assert fault.code == f"overloaded_{limit.reason.value}"


def test_the_documentation_of_metrics_tells_of_every_reason_in_order() -> None:
    text = (Path(proxy.obs.__file__).parent / "README.md").read_text()
    rows = _ROW.findall(text.split("## Reasons")[1].split("\n## ")[0])
    assert rows[: len(LIMITS)] == [(limit.reason.value, limit.doc) for limit in LIMITS]
    assert [name for name, _ in rows] == [reason.value for reason in Reason]


def test_who_was_held_goes_only_with_the_room_that_those_before_needed() -> None:
    one, late = _late()
    foresee(one, late)
    late.ttft_left = late.ttft_margin * one.forecast.ttft + 0.05
    assert judge(one, late) is not Reason.TTFT
    one.pool.overrun_s = 0.1
    assert judge(one, late) is not Reason.TTFT, "nobody else is judged by it"
    late.held = True
    assert judge(one, late) is Reason.TTFT
    late.ttft_left = inf
    assert judge(one, late) is not Reason.TTFT


def test_the_room_that_held_requests_need_leaves_half_of_a_promise() -> None:
    """After a bad minute it may be more than all that was promised: then nobody would go, and it never shrink."""
    one, late = _late()
    foresee(one, late)
    late.held, one.pool.overrun_s = True, 1000.0
    needed_s = late.ttft_margin * one.forecast.ttft
    late.waited, late.ttft_left = 0.0, 2.1 * needed_s
    assert judge(one, late) is not Reason.TTFT
    late.waited, late.ttft_left = 0.4 * needed_s, 1.7 * needed_s
    assert judge(one, late) is Reason.TTFT


@pytest.mark.parametrize(
    ("prompt", "left_s", "waits"),
    [
        pytest.param(40_000.0, 30.0, True, id="large, with time"),
        pytest.param(40_000.0, 19.0, False, id="large, half of its promise is gone"),
        pytest.param(40_000.0, inf, False, id="large, and promised no time"),
        pytest.param(2_000.0, 30.0, False, id="small"),
    ],
)
def test_only_large_prompts_with_time_wait_for_others_while_nobody_is_sure(
    prompt: float, left_s: float, waits: bool
) -> None:
    one = backend()
    occupied(one, 3, tpot=0.002)
    job = demand(prompt=prompt)
    job.ttft_left, job.waited = left_s, max(0.0, 40.0 - left_s)
    foresee(one, job)
    assert judge(one, job) is Reason.TPOT
    assert large_with_time(one, job) is waits


def test_a_large_prompt_that_slows_down_nobody_waits_for_nobody() -> None:
    one = backend()
    job = demand(prompt=40_000.0)
    job.ttft_left = 60.0
    foresee(one, job)
    assert judge(one, job) is None
    assert not large_with_time(one, job)


def test_a_line_is_kept_from_an_engine_that_is_idle_between_two_chats_but_not_when_it_is_late() -> None:
    one, line = _felt()
    one.in_flight = 0
    foresee(one, line)
    assert judge(one, line) is Reason.YIELD
    late = asked(bulk=True, yields_until=1.0)
    foresee(one, late)
    assert judge(one, late) is None
