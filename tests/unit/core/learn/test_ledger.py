"""The books of one backend: sums, integrals, what late or lying metrics may do."""

import random
from math import nan

import pytest

from proxy.core.learn.entry import Entry
from proxy.core.learn.ledger import Ledger
from proxy.model.request import Job


def entry(cost: float = 1.0, streams: bool = True, at: float = 0.0, tpot: float | None = None) -> Entry:
    made = Entry(Job(1, "m"), 0.0, at)
    made.cost, made.work, made.fresh, made.kv, made.answer = cost, cost, 100 * cost, 1000.0, 50.0
    made.streams, made.tpot_limit = streams, tpot
    return made


def sent(ledger: Ledger, now: float, **how: object) -> Entry:
    made = entry(at=now, **how)  # type: ignore[arg-type]
    ledger.dispatch(made, now)
    return made


def test_backlog_is_what_is_pending_less_what_is_done_of_the_first() -> None:
    ledger = Ledger()
    sent(ledger, 10.0, cost=2.0)
    sent(ledger, 10.0, cost=3.0)
    assert ledger.backlog(10.0)[0] == 5.0
    assert ledger.backlog(11.0)[0] == 4.0
    assert ledger.backlog(60.0)[0] == pytest.approx(3.2)  # never more than nine tenths of the first
    assert ledger.backlog(60.0)[1:] == (2.0, 50.0)


def test_a_prefill_takes_from_when_the_engine_was_free_for_it() -> None:
    ledger = Ledger()
    first, second = sent(ledger, 10.0), sent(ledger, 11.0)
    assert ledger.first_token(first, 13.0) == 3.0
    assert ledger.first_token(second, 14.5) == 1.5
    assert ledger.first_token(second, 15.0) is None
    third = sent(ledger, 20.0)
    assert ledger.first_token(third, 20.5) == 0.5


def test_a_prefill_behind_one_that_tells_nothing_teaches_nothing() -> None:
    ledger = Ledger()
    silent, second = sent(ledger, 10.0, streams=False), sent(ledger, 10.0)
    assert ledger.first_token(second, 13.0) is None
    assert silent.first_at == 11.0
    assert ledger.decoding == 2


def test_a_first_token_of_one_that_was_not_expected_to_tell_is_no_news() -> None:
    ledger = Ledger()
    silent = sent(ledger, 10.0, streams=False)
    assert ledger.first_token(silent, 12.0) is None
    assert (ledger.decoding, silent.first_at) == (1, 11.0)


def test_the_tightest_promise_leaves_with_its_job() -> None:
    ledger = Ledger()
    jobs = [sent(ledger, 0.0, tpot=limit) for limit in (0.1, 0.04, None, 0.04)]
    assert ledger.tightest == 0.04
    ledger.end(jobs[1], 1.0)
    assert ledger.tightest == 0.04
    ledger.end(jobs[3], 1.0)
    assert ledger.tightest == 0.1
    ledger.end(jobs[0], 1.0)
    assert ledger.tightest is None


def test_duty_fades() -> None:
    ledger = Ledger()
    sent(ledger, 0.0, cost=15.0)
    assert ledger.duty.at(0.0) == pytest.approx(0.5)
    assert ledger.duty.at(30.0) == pytest.approx(0.5 / 2.71828, rel=1e-4)


def test_duty_is_no_more_than_the_time_in_which_a_prompt_was_under_way() -> None:
    ledger = Ledger()
    for tenth in range(600):
        late = sent(ledger, 0.1 * tenth, cost=1.0)
        ledger.first_token(late, 0.1 * tenth + 0.02)
    assert ledger.duty.at(60.0) == pytest.approx(0.2 * (1 - 2.71828**-2), rel=0.02)


def test_what_still_waits_counts_for_duty_as_predicted() -> None:
    ledger = Ledger()
    first, second = sent(ledger, 0.0, cost=30.0), sent(ledger, 0.0, cost=15.0)
    ledger.first_token(first, 0.3)
    assert ledger.duty.at(0.3) == pytest.approx(0.5 + 0.01, rel=0.01)
    ledger.end(second, 0.6)
    assert ledger.duty.at(0.6) == pytest.approx(0.02, rel=0.02)


def test_what_is_computed_together_takes_less_than_its_sum() -> None:
    ledger = Ledger()
    assert ledger.realised() == 1.0
    for second in range(100):
        batch = [sent(ledger, second) for _ in range(10)]
        for one in batch:
            one.seconds = 0.5
            ledger.first_token(one, second + 0.2)
            ledger.end(one, second + 0.5)
    assert ledger.realised() == pytest.approx(0.1, rel=0.02)


def test_an_engine_with_little_to_do_takes_what_was_predicted() -> None:
    ledger = Ledger()
    for second in range(100):
        one = sent(ledger, second)
        one.seconds = 0.1
        ledger.first_token(one, second + 0.2)
        ledger.end(one, second + 0.5)
    assert ledger.realised() == 1.0


def test_what_was_around_an_answer() -> None:
    ledger = Ledger()
    mine = sent(ledger, 0.0)
    ledger.first_token(mine, 1.0)
    other = sent(ledger, 3.0)
    ledger.first_token(other, 5.0)
    decoding, kv, work_s = ledger.around(mine, 9.0) or (0, 0, 0)
    assert decoding == pytest.approx((4 * 1 + 4 * 2) / 8)
    assert kv == pytest.approx((2 * 1000 + 6 * 2000) / 8)
    assert work_s == pytest.approx(other.work)


def test_it_returns_to_zero_after_any_life() -> None:
    rng, ledger, now = random.Random(5), Ledger(), 0.0
    out: list[Entry] = []
    for _ in range(3000):
        now += rng.random()
        if rng.random() < 0.45:
            streams = rng.random() < 0.7
            out.append(sent(ledger, now, cost=rng.random(), streams=streams, tpot=rng.choice([None, 0.1, 0.2])))
        elif out:
            one = rng.choice(out)
            if rng.random() < 0.5:
                ledger.first_token(one, now)
            else:
                out.remove(one)
                ledger.end(one, now)
    for one in out:
        ledger.end(one, now)
    assert (ledger.promised, ledger.promised_answers) == (0, 0)
    assert (ledger.kv, ledger.decoding, ledger.pending_s, ledger.pending) == (0, 0, 0, {})
    assert ledger.pending_fresh == ledger.pending_bulk_s == 0
    assert ledger.tightest is None


def test_requests_of_others_count_until_their_news_are_old() -> None:
    ledger = Ledger()
    sent(ledger, 0.0)
    for at in range(0, 50, 5):
        assert ledger.reconcile(4.0, 2.0, float(at))
    assert ledger.foreign(46.0) == (4.0, 1.0)
    assert 0 < sum(ledger.foreign(55.0)) < 5
    assert ledger.foreign(70.0) == (0.0, 0.0)
    assert not ledger.has_foreign


def test_a_scrape_of_our_own_requests_shows_nobody_else() -> None:
    ledger = Ledger()
    ledger.reconcile(0, 0, 0.0)
    jobs = [sent(ledger, 1.0) for _ in range(3)]
    ledger.end(jobs[0], 2.0)  # the engine's answer may be older than that
    ledger.reconcile(3, 0, 2.0)
    assert not ledger.has_foreign


@pytest.mark.parametrize(("running", "waiting"), [(nan, 0), (-1, 0), (0, 1e30), (float("inf"), 1)])
def test_nonsense_is_counted_and_ignored(running: float, waiting: float) -> None:
    ledger = Ledger()
    assert not ledger.reconcile(running, waiting, 0.0)
    assert (ledger.scrapes_ignored, ledger.foreign(0.0)) == (1, (0.0, 0.0))


def test_what_prefills_do_to_the_pace_is_known_soon_and_forgotten_soon() -> None:
    ledger = Ledger()
    prefill = sent(ledger, 100.0, cost=30.0)
    prefill.work = 30.0
    assert ledger.prefilling(100.0) == 0.0
    assert ledger.prefilling(105.0) > 0.6
    ledger.first_token(prefill, 130.0)
    assert ledger.prefilling(130.0) > 0.99
    assert ledger.prefilling(140.0) < 0.2
