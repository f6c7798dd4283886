"""Permits and ids: every attempt has one of each, from its dispatch to its end, whatever else its job has out."""

from proxy.core.jobs.open_job import NOBODY
from proxy.core.jobs.states import HELD, OPEN, OUT
from proxy.model.abilities import Cannot, Lack
from proxy.model.commands import Abort, Dispatch, Failed, Finished, FirstByte, FirstToken, Refused
from proxy.model.faults import Kind
from proxy.model.hedge import Hedge
from tests.unit.core.playing import Play, fault, spec


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
