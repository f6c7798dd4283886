"""One set of limits: what is short, what is taken, and what comes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.plain import read
from proxy.core.tenancy.accounts import Account, Ask, Holding
from proxy.core.tenancy.buckets import DAY_S, Days
from proxy.model.tenants import Ceilings

EVERY = {
    "requests_per_minute": 1000,
    "tokens_per_minute": 100_000,
    "input_tokens_per_minute": 100_000,
    "output_tokens_per_minute": 100_000,
    "tokens_per_day": 100_000,
    "max_concurrent": 100,
    "max_streams": 100,
}


def account(**limits: Any) -> Account:
    return Account(read(Ceilings, limits), Days(), 0.0)


def left(of: Account, now: float = 0.0) -> tuple[int, ...]:
    view = of.view(now)
    found = (view.requests, view.tokens, view.input_tokens, view.output_tokens, view.day_tokens)
    return tuple(allowance.left for allowance in found if allowance is not None)


def test_what_is_used_above_what_was_expected_is_used_when_it_is_known() -> None:
    one = account(tokens_per_minute=60)
    Holding(one, Ask(5, 5), 0.0).used(10, 20, 60.0)
    assert one.tokens is not None
    assert one.tokens.left(60.0) == 40, "the minute between filled it up first"


@pytest.mark.parametrize(("room", "short"), [(1, False), (0, True)])
def test_requests_at_the_limit(room: int, short: bool) -> None:
    one = account(requests_per_minute=3)
    for _ in range(3 - room):
        Holding(one, Ask(1, 1), 0.0)
    found = one.shortage(Ask(1, 1), 0.0)
    assert (found is not None) is short
    if found is not None:
        assert found[:6] == ("requests", 3, 3, 1, 20.0, "minute")


@pytest.mark.parametrize(("prompt", "answer", "short"), [(899, 100, False), (900, 100, False), (900, 101, True)])
@pytest.mark.parametrize(("limit", "per"), [("tokens_per_minute", "minute"), ("tokens_per_day", "day")])
def test_tokens_at_the_limit(prompt: int, answer: int, short: bool, limit: str, per: str) -> None:
    one = account(**{limit: 2000})
    Holding(one, Ask(900, 100), 0.0)
    found = one.shortage(Ask(prompt, answer), 0.0)
    assert (found is not None) is short
    if found is not None:
        assert (found.what, found.limit, found.used, found.wanted, found.per) == ("tokens", 2000, 1000, 1001, per)
        assert found.wait_s == pytest.approx(DAY_S if per == "day" else 1 * 60 / 2000)


@pytest.mark.parametrize(
    ("limit", "what", "ask", "never"),
    [
        ("input_tokens_per_minute", "input tokens", Ask(101, 0), True),
        ("input_tokens_per_minute", "input tokens", Ask(60, 1000), False),
        ("output_tokens_per_minute", "output tokens", Ask(1000, 60), False),
        ("output_tokens_per_minute", "output tokens", Ask(1000, 5000), False),
        ("tokens_per_minute", "tokens", Ask(101, 0), True),
        ("tokens_per_day", "tokens", Ask(101, 0), True),
        ("tokens_per_day", "tokens", Ask(60, 5000), False),
    ],
)
def test_prompts_and_answers_are_told_apart(limit: str, what: str, ask: Ask, never: bool) -> None:
    one = account(**{limit: 100})
    if not never:
        assert one.shortage(ask, 0.0) is None, "with all of it there, even a long answer is begun"
    Holding(one, Ask(50, 50), 0.0)
    found = one.shortage(ask, 0.0)
    assert found is not None
    assert (found.what, found.wait_s is None) == (what, never)


@pytest.mark.parametrize(
    ("limit", "what"), [("max_concurrent", "concurrent requests"), ("max_streams", "concurrent streams")]
)
def test_at_once(limit: str, what: str) -> None:
    one = account(**{limit: 2})
    first, _ = Holding(one, Ask(1, 1, True), 0.0), Holding(one, Ask(1, 1, True), 0.0)
    found = one.shortage(Ask(1, 1, True), 0.0)
    assert found is not None
    assert found[:6] == (what, 2, 2, 1, 1.0, "")
    assert (one.shortage(Ask(1, 1, False), 0.0) is None) is (limit == "max_streams")
    first.used(5, 5, 0.0)
    assert one.shortage(Ask(1, 1, True), 0.0) is None


@pytest.mark.parametrize(
    ("how", "prompt", "answer"),
    [
        (lambda held: held.used(110.0, 20.0, 0.0), 110, 20),
        (lambda held: held.used(110.0, None, 0.0), 110, 50),
        (lambda held: held.used(None, 20.0, 0.0), 100, 20),
        (lambda held: held.used(None, None, 0.0), 100, 50),
        (lambda held: held.used(0.0, 0.0, 0.0), 0, 0),
        (lambda held: held.cut(7.0), 100, 7),
        (lambda held: held.cut(80.0), 100, 80),
        (lambda held: held.cut(None), 100, 50),
    ],
)
def test_every_ending_settles_every_limit(how: Any, prompt: int, answer: int) -> None:
    one = account(**EVERY)
    held = Holding(one, Ask(100, 50, True), 0.0)
    assert (one.concurrent, one.streams) == (1, 1)
    how(held)
    both = 100_000 - prompt - answer
    assert left(one) == (999, both, 100_000 - prompt, 100_000 - answer, both)
    assert (one.concurrent, one.streams) == (0, 0)


def test_what_was_refused_costs_nothing() -> None:
    one = account(**EVERY)
    Holding(one, Ask(100, 50), 0.0).unused()
    assert left(one) == (1000, 100_000, 100_000, 100_000, 100_000)
    assert one.concurrent == 0


def test_an_answer_longer_than_the_limit_is_a_debt_when_it_has_come() -> None:
    one = account(tokens_per_minute=1000)
    Holding(one, Ask(1000, 5000), 0.0).used(1000, 500, 0.0)
    assert one.tokens is not None
    assert one.tokens.left(0.0) == -500


def test_limits_may_change_while_a_job_is_open() -> None:
    one = account(**EVERY)
    held = Holding(one, Ask(100, 50, True), 0.0)
    one.configure(read(Ceilings, {"tokens_per_minute": 1000}), 0.0)
    held.used(100, 20, 0.0)
    assert left(one) == (880,)
    assert (one.concurrent, one.streams) == (0, 0)
    assert one.view(0.0).max_streams is None


ENDINGS = st.sampled_from(["served", "untold", "refused", "cut", "left", "error"])


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 3.0),
            st.integers(1, 300),
            st.integers(0, 300),
            ENDINGS,
            st.integers(0, 400),
            st.integers(0, 9),
        ),
        min_size=1,
        max_size=120,
    )
)
def test_whatever_becomes_of_jobs_the_sums_are_right(jobs: list[tuple[float, int, int, str, int, int]]) -> None:
    """Random lives: admitted, held for a while, ended in any way; what is used is what was used, in every limit."""
    one, now = account(**{**EVERY, "tokens_per_day": 1_000_000}), 0.0
    open_: list[tuple[float, Holding, Ask, str, int]] = []
    used = 0.0
    for gap, prompt, answer, ending, really, lasts in [*jobs, (1000.0, 1, 0, "refused", 0, 0)]:
        now += gap
        for entry in [entry for entry in open_ if entry[0] <= now]:
            open_.remove(entry)
            used += _ended(entry[1], entry[2], entry[3], entry[4], now)
        ask = Ask(prompt, answer, ending != "untold")
        if one.shortage(ask, now) is None:
            open_.append((now + lasts, Holding(one, ask, now), ask, ending, really))
    for _, held, ask, ending, really in open_:
        used += _ended(held, ask, ending, really, now)
    assert (one.concurrent, one.streams) == (0, 0)
    assert one.day is not None
    assert one.day.used(now) == pytest.approx(used, abs=1e-6)
    assert left(one, now + 1e6)[:4] == (1000, 100_000, 100_000, 100_000), (
        "after a while all is there again, and no more"
    )


def _ended(held: Holding, ask: Ask, ending: str, really: int, now: float) -> float:
    if ending == "served":
        held.used(float(really), float(really), now)
        return 2.0 * really
    if ending == "cut":
        held.cut(float(really))
        return ask.prompt + really
    if ending == "refused":
        held.unused()
        return 0.0
    if ending == "error":
        held.used(0.0, 0.0, now)
        return 0.0
    if ending == "left":
        held.cut(None)
    else:
        held.used(None, None, now)
    return ask.prompt + ask.answer
