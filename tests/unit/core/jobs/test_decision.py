"""Decisions are values: made, and nothing has happened."""

from proxy.core.jobs.decision import Judged, Send, Shed, Wait
from proxy.core.jobs.open_job import OpenJob
from proxy.core.refusals import draining
from proxy.model.commands import Dispatch, Reason
from proxy.model.request import Job
from tests.unit.core.playing import Play, spec


def test_what_is_decided_is_not_done() -> None:
    play = Play(spec("a", 1))
    decider, state = play.scheduler._decider, play.scheduler._state
    candidates, open_job = state.fleet.catalogue.find("m"), OpenJob(Job(2, "m"), 9, play.now)
    free = decider.new(open_job, candidates, play.now)
    assert isinstance(free.decision, Send)
    assert play.view("a").in_flight == 0
    play.submit(1)
    full = decider.new(open_job, candidates, play.now)
    assert isinstance(full.decision, Wait)
    assert (play.counts.held, play.counts.in_flight) == (0, 1)


def test_each_says_no_more_than_it_was_given() -> None:
    shed = Shed(draining())
    assert (shed.reason, shed.unserved) == (None, False)
    wait = Wait(3.0, Reason.TTFT)
    assert (wait.as_bulk, wait.demoted) == (False, False)
    judged = Judged(shed)
    assert (judged.demand, judged.chosen) == (None, None)


def test_a_send_becomes_a_dispatch_to_the_backend_that_was_chosen() -> None:
    play = Play(spec("a"), spec("b"))
    state = play.scheduler._state
    (sent,) = play.submit(1)
    assert isinstance(sent, Dispatch)
    open_job = state.attempts.open[1]
    demand = state.learning.demand(open_job, play.now)
    send = Send(state.fleet.by_name["b"], demand)
    assert (send.detour, send.victims, send.probe) == (None, None, False)
