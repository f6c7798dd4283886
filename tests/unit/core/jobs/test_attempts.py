"""Permits and ids: every attempt has one of each, from its dispatch to its end, whatever else its job has out."""

from proxy.config.plain import read
from proxy.core.jobs.open_job import NOBODY
from proxy.core.jobs.states import HELD, OPEN, OUT
from proxy.model.abilities import Cannot, Lack
from proxy.model.commands import Abort, Dispatch, Failed, Finished, FirstByte, FirstToken, Refuse, Refused
from proxy.model.faults import Kind
from proxy.model.hedge import Hedge
from proxy.model.scheduling import SchedulingSettings
from tests.unit.core.playing import Play, fault, gone, spec


def test_no_id_is_given_twice() -> None:
    play = Play(spec("a"), spec("b"))
    ids = []
    for job_id in (5, 3, 5, 4):
        (first,) = play.submit(job_id)
        (again,) = play.fail(job_id)
        assert isinstance(first, Dispatch)
        assert isinstance(again, Dispatch)
        assert (first.jobs, first.number, again.jobs, again.number) == ((job_id,), 1, (job_id,), 2)
        ids += [first.attempt, again.attempt]
        play.finish(job_id)
    assert ids == sorted(set(ids))


def test_what_is_said_of_an_attempt_that_is_over_is_not_said_of_the_next_one_on_the_same_backend() -> None:
    """A backend's name was all that told two attempts of a job apart."""
    play = Play(spec("a"))
    play.submit(1)
    first, core = play.attempt(1), play.scheduler
    open_job, candidates = core._attempts.open[1], core._fleet.catalogue.find("m")
    assert candidates is not None
    core._attempts.preempt(open_job, play.now)
    core._held.backfill.add(open_job, candidates, NOBODY, play.now)
    (again,) = core._waiting.feed_all(play.now)
    assert isinstance(again, Dispatch)
    assert again.backend == "a"
    for late in (FirstByte(first), FirstToken(first), Failed(first, fault(), True), Finished(first)):
        assert play.scheduler.observe(late, play.now) == []
    play.scheduler.observe(Refused(first, Cannot(Lack.TOOLS, None)), play.now)
    assert (play.counts.in_flight, play.counts.finished, play.view("a").in_flight) == (1, 0, 1)
    play.finish(1)
    assert (play.counts.in_flight, play.counts.finished) == (0, 1)


def test_who_goes_on_with_an_answer_is_never_hedged() -> None:
    """Two of them could not both go on with the same text."""
    play = Play(spec("a"), spec("b"), spec("c"))
    play.submit(1, stream=True, hedge=Hedge(0.0, 0.3, 0.5))
    play.scheduler.observe(FirstToken(play.attempt(1)), play.now)
    (resumed,) = play.fail(1, fault(Kind.CUT))
    assert isinstance(resumed, Dispatch)
    assert play.later(5.0) == []
    assert play.counts.late == 0


SAME = {"same": b"q", "tenant": "t"}


def test_who_asks_the_same_gets_the_answer_that_is_on_its_way() -> None:
    play = Play(spec("a", 1), spec("b"))
    (first,) = play.submit(1, **SAME)
    (joined,) = play.submit(2, **SAME)
    assert isinstance(first, Dispatch)
    assert isinstance(joined, Dispatch)
    assert (joined.jobs, joined.attempt, joined.backend) == ((2,), first.attempt, first.backend)
    assert (play.counts.in_flight, play.view("a").in_flight, play.view("b").in_flight) == (2, 1, 0)
    play.scheduler.observe(Finished(first.attempt, 10, 0, 5), play.now)
    assert (play.counts.finished, play.counts.joined, play.view("a").in_flight) == (2, 1, 0)
    (after,) = play.submit(3, **SAME)
    assert isinstance(after, Dispatch)
    assert after.attempt != first.attempt


def test_nobody_shares_an_answer_with_another_tenant_or_another_question() -> None:
    play = Play(spec("a"))
    play.submit(1, **SAME)
    play.submit(2, **(SAME | {"tenant": "u"}))
    play.submit(3, **(SAME | {"same": b"r"}))
    play.submit(4)
    assert play.view("a").in_flight == 4


def test_a_leader_that_leaves_hands_over() -> None:
    play = Play(spec("a", 1))
    for job_id in (1, 2, 3):
        play.submit(job_id, **SAME)
    assert play.cancel(1) == []
    assert play.view("a").in_flight == 1
    attempt = play.scheduler._attempts.out[play.attempt(2)]
    assert [one.job.id for one in attempt.open_jobs] == [2, 3]
    assert gone(play.submit(4, **SAME)) == [(4, "a", 1)]
    for job_id in (3, 2, 4):
        play.cancel(job_id)
    assert (play.view("a").in_flight, play.counts.in_flight, play.counts.cancelled) == (0, 0, 4)


def test_an_attempt_that_fails_is_followed_by_one_for_all_who_shared_it() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1, **SAME)
    play.submit(2, **SAME)
    first, second = play.fail(1)
    assert isinstance(first, Dispatch)
    assert isinstance(second, Dispatch)
    assert (first.jobs, second.jobs, first.attempt == second.attempt) == ((1,), (2,), True)
    assert [one.fault.kind for one in play.fail(1, repeatable=False) if isinstance(one, Refuse)] == [
        Kind.ERROR_STATUS,
        Kind.ERROR_STATUS,
    ]
    assert play.counts.in_flight == 0


def test_who_goes_on_with_an_answer_shares_it_with_nobody_new() -> None:
    """It lacks its beginning."""
    play = Play(spec("a"), spec("b"))
    play.submit(1, stream=True, **SAME)
    play.scheduler.observe(FirstToken(play.attempt(1)), play.now)
    play.fail(1, fault(Kind.CUT))
    play.submit(2, stream=True, **SAME)
    assert play.attempt(1) != play.attempt(2)


def test_only_the_leader_pays_for_an_answer_that_is_shared() -> None:
    limits = read(SchedulingSettings, {"tenants": [{"tenant": "*", "tokens_per_minute": 100_000}]})
    play = Play(spec("a"), scheduling=limits)
    play.submit(1, **SAME)
    play.submit(2, **SAME)
    play.scheduler.observe(Finished(play.attempt(1), 5000, 0, 1000), play.now)
    quota = play.scheduler.quota("t", play.now)
    assert quota is not None
    assert quota.tokens is not None
    assert quota.tokens.left == 94_000


def test_a_shared_attempt_is_not_hedged() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1, hedge=Hedge(0.0, 0.3, 0.5), **SAME)
    play.submit(2, hedge=Hedge(0.0, 0.3, 0.5), **SAME)
    assert play.later(5.0) == []


def test_a_job_is_held_or_out_or_being_decided() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    one, two = (play.scheduler._attempts.open[job_id] for job_id in (1, 2))
    assert (one.state, two.state) == (OUT, HELD)
    play.finish(1)
    assert two.state == OUT
    abort = play.scheduler._attempts.preempt(two, play.now)
    assert isinstance(abort, Abort)
    assert abort.jobs == (2,)
    assert (two.state, two.attempts, two.sent) == (OPEN, [], 0)
