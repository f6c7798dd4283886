"""Second attempts beside late ones: when, where, at whose cost, and what becomes of both."""

from proxy.model.commands import Abort, Dispatch, Failed, Finished, FirstByte, FirstToken, Refuse
from proxy.model.faults import Kind
from proxy.model.hedge import Hedge
from proxy.model.limits import RetrySettings
from proxy.model.request import Job
from tests.unit.core.playing import Play, fault, spec

FIXED = Hedge(0.0, 0.3, 0.5)
P90 = Hedge(0.9, 0.0, 0.5)


def played(*names: str, **settings) -> Play:
    return Play(*(spec(name) for name in names or ("a", "b")), **settings)


def sent(play: Play, job_id: int, hedge: Hedge | None = FIXED, **fields) -> str:
    (command,) = play.submit(job_id, hedge=hedge, stream=True, **fields)
    assert isinstance(command, Dispatch)
    return command.backend


def test_a_late_attempt_gets_a_second_one_elsewhere():
    play = played()
    first = sent(play, 1)
    assert play.scheduler.wakeup_at() == play.now + 0.3
    assert play.later(0.29) == []
    second = "b" if first == "a" else "a"
    (hedge,) = play.later(0.01)
    expected = Dispatch((1,), second, play.attempt(1, second), 2, hedge=True, in_flight=1, ttft_s=hedge.ttft_s)
    assert hedge == expected
    assert hedge.ttft_s > 0
    assert [play.view(name).in_flight for name in "ab"] == [1, 1]
    counts = play.counts
    assert (counts.in_flight, counts.hedging, counts.hedges, counts.late, counts.retries) == (1, 1, 1, 1, 0)
    assert play.later(10) == [], "never a third one"


def test_when_it_would_be_late_can_be_asked():
    play = played()
    for hedge, bulk, after_s in ((FIXED, False, 0.3), (P90, False, None), (None, False, None), (FIXED, True, None)):
        job = Job(1, "m", stream=True, hedge=hedge, bulk=bulk)
        assert play.scheduler.explain(job, play.now).hedge_after_s == after_s


def test_whoever_begins_first_wins_and_the_other_permit_comes_back_at_once():
    for winner in (0, 1):
        play = played()
        first = sent(play, 1)
        both = [first, "b" if first == "a" else "a"]
        play.later(0.3)
        loser = both[1 - winner]
        won, lost = play.attempt(1, both[winner]), play.attempt(1, loser)
        assert play.scheduler.observe(FirstToken(won), play.now) == [Abort((1,), lost, loser)]
        assert play.view(loser).in_flight == 0
        assert (play.counts.hedging, play.counts.hedges_won) == (0, winner)
        assert play.scheduler.observe(Failed(lost, fault(), True), play.now) == [], "the loser's end is no news"
        assert play.scheduler.observe(Finished(won), play.now) == []
        assert (play.counts.finished, play.counts.in_flight) == (1, 0)
        assert play.counts.hedge_tokens > 0


def test_one_of_two_that_fails_leaves_the_other_alone():
    for dying in (0, 1):
        play = played("a", "b", "c")
        first = sent(play, 1)
        (hedge,) = play.later(0.3)
        both = [first, hedge.backend]
        assert play.scheduler.observe(Failed(play.attempt(1, both[dying]), fault(Kind.RESET), True), play.now) == []
        assert play.view(both[dying]).in_flight == 0
        assert play.view(both[dying]).failures_in_a_row == 1
        assert (play.counts.in_flight, play.counts.hedging) == (1, 0)
        (refusal,) = play.scheduler.observe(Failed(play.attempt(1), fault(Kind.CUT), False), play.now)
        assert isinstance(refusal, Refuse)
        assert play.counts.in_flight == 0


def test_when_both_failed_the_next_attempt_counts_all_of_them():
    play = played("a", "b", "c")
    first = sent(play, 1)
    (hedge,) = play.later(0.3)
    play.scheduler.observe(Failed(play.attempt(1, first), fault(), True), play.now)
    (again,) = play.scheduler.observe(Failed(hedge.attempt, fault(), True), play.now)
    assert isinstance(again, Dispatch)
    assert again.number == 3
    assert again.backend not in {first, hedge.backend}
    assert play.later(5) == [], "no attempt is left for a hedge"


def test_a_client_that_leaves_frees_both():
    play = played()
    sent(play, 1)
    play.later(0.3)
    assert play.cancel(1) == []
    assert [play.view(name).in_flight for name in "ab"] == [0, 0]
    assert (play.counts.hedging, play.counts.cancelled) == (0, 1)


def test_held_jobs_get_the_permit_of_the_loser():
    play = Play(spec("a", 1), spec("b", 1))
    first = sent(play, 1)
    (hedge,) = play.later(0.3)
    assert play.submit(2) == []
    late = play.attempt(1, first)
    commands = play.scheduler.observe(FirstByte(hedge.attempt), play.now)
    abort, sent_now = commands
    assert abort == Abort((1,), late, first)
    assert sent_now == Dispatch((2,), first, play.attempt(2), 1, held_s=0.0, in_flight=1, ttft_s=sent_now.ttft_s)


def test_nobody_is_hedged_without_a_rule_after_its_first_byte_or_for_bulk():
    play = played()
    sent(play, 1, None)
    assert play.scheduler.wakeup_at() is None, "no timer for those that are not hedged"
    sent(play, 2)
    play.scheduler.observe(FirstByte(play.attempt(2)), play.now)
    sent(play, 3, bulk=True)
    sent(play, 4, deadline=play.now + 60)
    play.scheduler.observe(Finished(play.attempt(4)), play.now)
    assert play.later(5) == []
    assert play.counts.late == 0


def test_what_is_reported_in_the_moment_it_is_late_is_not_late():
    play = played()
    sent(play, 1)
    play.now += 2.0
    assert play.scheduler.observe(FirstToken(play.attempt(1)), play.now) == []
    assert play.counts.hedges == 0


def test_attempts_bound_hedges_too():
    play = played(retries=RetrySettings(attempts=1))
    sent(play, 1)
    assert play.later(5) == []


def test_there_must_be_somebody_else_who_is_healthy_and_has_room():
    play = played("a")
    sent(play, 1)
    assert play.later(0.3) == []
    assert play.counts.hedges_alone == 1
    assert play.scheduler.wakeup_at() > play.now, "looked at again"
    play = Play(spec("a", 1), spec("b", 1))
    sent(play, 1)
    sent(play, 2, None)
    assert play.later(0.3) == []
    play = played()
    play.fail_until_ejected("b", 10)
    while sent(play, 1) == "b":
        play.finish(1)
    assert play.view("b").state.value == "ejected"
    assert play.later(0.3) == []


def test_a_late_attempt_is_looked_at_again_when_as_much_time_has_passed_once_more():
    play = Play(spec("a", 1), spec("b", 1))
    sent(play, 1)
    sent(play, 2, None)
    assert play.later(0.3) == []
    assert play.scheduler.wakeup_at() == play.now + 0.3
    play.finish(2)
    (hedge,) = play.later(0.3)
    assert hedge.hedge


def test_the_budget_is_a_share_of_the_requests_of_the_class():
    play = played(policy="round_robin")
    rule = FIXED._replace(budget=0.05)
    for job_id in range(100):
        sent(play, job_id, rule)
        for command in play.later(0.3):
            assert command.hedge
        play.cancel(job_id)
    assert play.counts.hedges == 6, "one in advance and one for twenty"
    assert play.counts.hedges_unpaid == 94


def test_an_idle_night_saves_up_no_storm():
    play = played(*(f"b{n}" for n in range(24)), policy="round_robin")
    for job_id in range(400):
        sent(play, job_id)
        play.finish(job_id)
    for job_id in range(1000, 1012):
        sent(play, job_id, FIXED._replace(budget=0.001))
    assert sum(command.hedge for command in play.later(0.3)) == 10


def test_learned_limits_need_experience_and_follow_the_size_of_the_prompt():
    play = played(policy="goodput")
    for job_id in range(300):
        big = job_id % 2
        sent(play, job_id, P90, prompt_tokens=10_000 if big else 100)
        if job_id < 50:
            assert play.scheduler.wakeup_at() is None
        play.now += 1.0 + job_id % 5 / 10 if big else 0.1 + job_id % 5 / 100
        play.scheduler.observe(FirstToken(play.attempt(job_id)), play.now)
        play.scheduler.observe(Finished(play.attempt(job_id), 10_000 if big else 100, 0, 5), play.now)
    waits = []
    for job_id, tokens in ((1000, 100), (1001, 10_000)):
        sent(play, job_id, P90, prompt_tokens=tokens)
        waits.append(play.scheduler.wakeup_at() - play.now)
        play.cancel(job_id)
    assert 0.09 < waits[0] < 0.4
    assert 0.9 < waits[1] < 4.0


def test_a_hedge_is_not_paid_by_its_tenant():
    play = played()
    sent(play, 1, tenant="t")
    before = play.scheduler.tenants(play.now)["t"]
    play.later(0.3)
    assert play.counts.hedges == 1
    assert play.scheduler.tenants(play.now)["t"] <= before


def test_the_second_attempt_goes_to_those_whose_turn_it_is():
    for orders, both in (
        ({"a": 0, "b": 1, "c": 0}, {"a", "c"}),
        ({"a": 0, "b": 2, "c": 1}, {"a", "c"}),
        ({"a": 0, "b": 1, "c": 2}, {"a", "b"}),
    ):
        play = Play(*(spec(name, order=order) for name, order in orders.items()))
        first = sent(play, 1)
        (hedge,) = play.later(0.3)
        assert {first, hedge.backend} == both
