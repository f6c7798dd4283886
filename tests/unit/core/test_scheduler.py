"""Permits, models, holding, draining: what the façade answers to submit, finish and cancel."""

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Dispatch, FirstByte, FirstToken
from proxy.model.faults import Kind, Source
from proxy.model.limits import HealthSettings, HoldSettings
from tests.unit.core.playing import Play, gone, only_fault, refused, spec


def test_a_job_goes_at_once_and_its_permit_comes_back() -> None:
    play = Play(spec("a", 1))
    assert gone(play.submit(1)) == [(1, "a", 1)]
    assert play.view("a").in_flight == 1
    assert play.finish(1) == []
    assert play.view("a").in_flight == 0
    assert (play.counts.offered, play.counts.finished) == (1, 1)


@pytest.mark.parametrize(("others", "goes"), [(1, True), (2, True), (3, False)])
def test_permits_bound_what_is_in_flight(others: int, goes: bool) -> None:
    play = Play(spec("a", 3))
    for job_id in range(others):
        play.submit(job_id)
    assert bool(play.submit(99)) is goes
    assert play.counts.held == (not goes)


def test_no_bound_of_ours() -> None:
    play = Play(spec("a"))
    for job_id in range(500):
        assert gone(play.submit(job_id, stream=True))
        play.scheduler.observe(FirstToken(job_id), play.now)
    assert play.view("a").permits is None


def test_the_same_id_twice_is_a_bug_of_the_caller_and_changes_nothing() -> None:
    play = Play(spec("a"))
    play.submit(1)
    with pytest.raises(ValueError, match="already open"):
        play.submit(1)
    assert play.counts.offered == 1


def test_reports_on_a_job_that_is_over_change_nothing() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.finish(1)
    assert play.finish(1) == play.fail(1) == play.cancel(1) == []
    assert play.scheduler.observe(FirstByte(play.attempt(1)), play.now) == []
    counts = play.counts
    assert (counts.finished, counts.refused, counts.cancelled, counts.in_flight) == (1, 0, 0, 0)


def test_reports_on_a_held_job_are_late_ones() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    assert play.finish(2) == play.fail(2) == []
    assert play.counts.held == 1
    assert gone(play.finish(1)) == [(2, "a", 1)]


def test_a_finished_permit_goes_to_the_oldest_held_job() -> None:
    play = Play(spec("a", 1))
    for job_id in (1, 2, 3):
        play.submit(job_id)
    assert gone(play.finish(1)) == [(2, "a", 1)]
    assert gone(play.finish(2)) == [(3, "a", 1)]
    assert play.finish(3) == []


def two_models() -> Play:
    """`a` serves x, `b` serves x and y; both are taken (by jobs 2 and 1), a y (3) and then an x (4) are held."""
    play = Play(spec("a", 1, frozenset("x")), spec("b", 1, frozenset("xy")))
    assert gone(play.submit(1, "y")) == [(1, "b", 1)]
    assert gone(play.submit(2, "x")) == [(2, "a", 1)]
    assert play.submit(3, "y") == play.submit(4, "x") == []
    return play


def test_a_younger_job_goes_when_the_older_does_not_fit() -> None:
    play = two_models()
    assert gone(play.finish(2)) == [(4, "a", 1)]
    assert gone(play.finish(1)) == [(3, "b", 1)]


def test_the_oldest_goes_first_whatever_its_model() -> None:
    play = two_models()
    assert gone(play.finish(1)) == [(3, "b", 1)]
    assert gone(play.finish(3)) == [(4, "b", 1)]


def test_cancel_of_a_job_in_flight_frees_its_permit() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    assert gone(play.cancel(1)) == [(2, "a", 1)]
    assert (play.counts.cancelled, play.counts.in_flight) == (1, 1)


def test_cancel_of_a_held_job_concerns_nobody() -> None:
    play = Play(spec("a", 1))
    for job_id in (1, 2, 3):
        play.submit(job_id, body_bytes=10)
    assert play.cancel(2) == []
    assert (play.counts.held, play.counts.held_bytes) == (1, 10)
    assert gone(play.finish(1)) == [(3, "a", 1)]


def test_leaving_when_the_hold_ends_is_leaving() -> None:
    play = Play(spec("a", 1), hold=HoldSettings(max_wait=1.0))
    for job_id in (1, 2, 3):
        play.submit(job_id)
    play.now += 1
    assert refused(play.cancel(2)) == [(3, Kind.HOLD_TIMEOUT)]
    assert (play.counts.cancelled, play.counts.refused) == (1, 1)


def test_a_full_queue_refuses_with_an_honest_time() -> None:
    play = Play(spec("a", 2), hold=HoldSettings(min_jobs=4, per_in_flight=0))
    for job_id in range(2):
        play.submit(job_id)
    play.later(10)
    for job_id in range(2):
        play.finish(job_id)
        play.submit(10 + job_id)
    for job_id in range(20, 24):
        assert play.submit(job_id) == []
    fault = only_fault(play.submit(99))
    assert (fault.source, fault.kind) == (Source.INTERNAL, Kind.QUEUE_FULL)
    # five jobs to go at two permits of ten seconds each
    assert fault.retry_after_s == pytest.approx(25.0)


@pytest.mark.parametrize(("last", "held"), [(29, True), (30, True), (31, False)])
def test_a_queue_full_of_bytes_refuses(last: int, held: bool) -> None:
    play = Play(spec("a", 1), hold=HoldSettings(bytes=100))
    play.submit(0, body_bytes=10_000)
    play.submit(1, body_bytes=70)
    commands = play.submit(2, body_bytes=last)
    assert commands == [] if held else refused(commands) == [(2, Kind.QUEUE_FULL)]


@pytest.mark.parametrize(("after", "over"), [(29.999, False), (30.0, True), (31.0, True)])
def test_holding_ends(after: float, over: bool) -> None:
    play = Play(spec("a", 1), hold=HoldSettings(max_wait=30.0))
    play.submit(1)
    play.submit(2)
    assert play.scheduler.wakeup_at() == 130.0
    commands = play.later(after)
    assert refused(commands) == ([(2, Kind.HOLD_TIMEOUT)] if over else [])
    assert (play.scheduler.wakeup_at() is None) is over


def test_the_clients_deadline_ends_holding_sooner() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2, deadline=105.0)
    assert play.later(4.9) == []
    fault = only_fault(play.later(0.1))
    assert fault.kind is Kind.HOLD_TIMEOUT
    assert fault.retry_after_s is not None
    assert 1.0 <= fault.retry_after_s <= 60.0


@pytest.mark.parametrize(
    ("deadline", "kinds"), [(99.9, [Kind.HOLD_TIMEOUT]), (100.0, [Kind.HOLD_TIMEOUT]), (100.1, [])]
)
def test_a_job_past_its_deadline_is_refused_at_once(deadline: float, kinds: list[Kind]) -> None:
    play = Play(spec("a"))
    commands = play.submit(1, deadline=deadline)
    assert [kind for _, kind in refused(commands)] == kinds if kinds else gone(commands) == [(1, "a", 1)]


def test_ends_of_holds_come_with_any_call() -> None:
    play = Play(spec("a", 1), spec("b", 1, frozenset("n")), hold=HoldSettings(max_wait=1.0))
    play.submit(1)
    play.submit(2)
    play.now += 1
    first, second = play.submit(3, "n")
    assert refused([first]) == [(2, Kind.HOLD_TIMEOUT)]
    assert gone([second]) == [(3, "b", 1)]


def test_unknown_model() -> None:
    play = Play(spec("a"))
    fault = only_fault(play.submit(1, "mm"))
    assert (fault.kind, fault.param, fault.code) == (Kind.MODEL_NOT_FOUND, "model", "model_not_found")
    assert play.counts.refused == 1


def test_a_model_that_may_still_come() -> None:
    play = Play(spec("a", models=None), health=HealthSettings(probe_interval=7.0))
    fault = only_fault(play.submit(1))
    assert (fault.kind, fault.retry_after_s) == (Kind.NO_BACKEND, 7.0)
    play.probe("a")
    assert gone(play.submit(2)) == [(2, "a", 1)]


def test_a_failed_probe_keeps_the_list() -> None:
    play = Play(spec("a", models=None))
    play.probe("a")
    play.probe("a", ok=False)
    assert play.scheduler.models() == ("m",)
    assert play.view("a").models == {"m"}


def test_models_versions_and_aliases() -> None:
    play = Play(spec("a", models=None, aliases={"gpt": "m"}), spec("b", models=frozenset("n")))
    version = play.scheduler.version
    assert play.scheduler.models() == ("n",)
    assert play.view("a").models is None
    play.probe("a")
    assert play.scheduler.models() == ("gpt", "m", "n")
    assert play.scheduler.version > version
    assert play.scheduler.upstream_model("a", "gpt") == "m"
    assert play.scheduler.upstream_model("a", "m") == "m"
    assert play.scheduler.upstream_model("b", "gpt") == "gpt"


def test_a_new_backend_for_a_model_takes_held_jobs() -> None:
    play = Play(spec("a", 1), spec("b", 1, None))
    play.submit(1)
    play.submit(2)
    assert gone(play.probe("b")) == [(2, "b", 1)]


def test_held_jobs_of_a_model_that_is_gone_are_refused() -> None:
    play = Play(spec("a", 1, None))
    play.probe("a")
    play.submit(1)
    play.submit(2)
    assert refused(play.probe("a", models=["other"])) == [(2, Kind.MODEL_NOT_FOUND)]
    assert play.finish(1) == []


def test_draining_refuses_held_and_new_jobs_and_lets_the_rest_finish() -> None:
    play = Play(spec("a", 1), spec("b", 1))
    for job_id in (1, 2, 3, 4):
        play.submit(job_id)
    assert refused(play.scheduler.refuse_new()) == [(3, Kind.DRAINING), (4, Kind.DRAINING)]
    assert refused(play.submit(5)) == [(5, Kind.DRAINING)]
    assert play.scheduler.wakeup_at() is None
    play.finish(1)
    ((job_id, _, attempt),) = gone(play.fail(2))
    assert (job_id, attempt) == (2, 2)
    assert play.finish(2) == []
    assert play.counts.in_flight == 0


def test_a_retry_that_would_have_to_wait_is_not_held_while_draining() -> None:
    play = Play(spec("a", 1), spec("b", 1))
    play.submit(1)
    play.submit(2)
    play.scheduler.refuse_new()
    assert refused(play.fail(1)) == [(1, Kind.ERROR_STATUS)]


def test_two_backends_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Play(spec("a"), spec("a"))


def test_the_view_of_a_backend() -> None:
    play = Play(spec("a", 2, pool="fast"))
    play.submit(1)
    play.now += 3
    play.finish(1)
    play.submit(2)
    view = play.view("a")
    assert (view.pool, view.in_flight, view.permits, view.state) == ("fast", 1, 2, HealthState.HEALTHY)
    assert (view.service_s, view.share, view.ejected_until, view.busy) == (3.0, 1.0, None, 0)


def test_same_seed_same_commands() -> None:
    def log(seed: int) -> list[str]:
        play = Play(spec("a", 3), spec("b", 3), spec("c", 3), seed=seed)
        return [c.backend for job_id in range(9) for c in play.submit(job_id) if isinstance(c, Dispatch)]

    assert log(5) == log(5)
    assert len({tuple(log(seed)) for seed in range(8)}) > 1
