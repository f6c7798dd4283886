"""Whose fault it was: what may be the body's counts against a backend only when another one serves the body."""

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Finished, Refuse
from proxy.model.faults import Blame, Fault, Kind, Retry, upstream
from proxy.model.limits import HealthSettings, RetrySettings
from tests.unit.core.playing import Play, gone, spec

EAGER = HealthSettings(consecutive_failures=1, panic_threshold=0)
PLENTY = RetrySettings(budget_min_per_s=1000)


def said(blame: Blame, kind: Kind = Kind.ERROR_STATUS) -> Fault:
    return upstream(kind, "it said so", Retry.SAFE, blame=blame)


def two_attempts(play: Play, job_id: int, blame: Blame, kind: Kind = Kind.ERROR_STATUS) -> tuple[str, str]:
    ((_, first, _),) = gone(play.submit(job_id))
    ((_, second, _),) = gone(play.fail(job_id, said(blame, kind)))
    return first, second


@pytest.mark.parametrize("blame", [Blame.LIKELY, Blame.UNPROVEN])
def test_what_another_backend_serves_was_the_backends_fault(blame: Blame) -> None:
    play = Play(spec("a"), spec("b"), health=EAGER)
    first, second = two_attempts(play, 1, blame)
    assert play.view(first).state is HealthState.HEALTHY, "not known yet"
    play.finish(1)
    assert (play.view(first).state, play.view(second).state) == (HealthState.EJECTED, HealthState.HEALTHY)


@pytest.mark.parametrize("blame", [Blame.LIKELY, Blame.UNPROVEN])
def test_what_two_backends_say_is_the_bodys(blame: Blame) -> None:
    play = Play(*(spec(name) for name in "abc"), health=EAGER)
    two_attempts(play, 1, blame)
    play.fail(1, said(blame))
    play.finish(1)
    assert all(play.view(name).state is HealthState.HEALTHY for name in "abc")


@pytest.mark.parametrize("blame", [Blame.LIKELY, Blame.UNPROVEN])
def test_what_another_backend_calls_a_mistake_is_the_bodys(blame: Blame) -> None:
    play = Play(spec("a"), spec("b"), health=EAGER)
    first, _ = two_attempts(play, 1, blame)
    play.scheduler.observe(Finished(play.attempt(1), ok=False), play.now)
    assert play.view(first).state is HealthState.HEALTHY


@pytest.mark.parametrize(
    ("blame", "state"), [(Blame.LIKELY, HealthState.EJECTED), (Blame.UNPROVEN, HealthState.HEALTHY)]
)
def test_without_a_second_opinion_only_what_is_likely_counts(blame: Blame, state: HealthState) -> None:
    broke = RetrySettings(attempts=1)
    play = Play(spec("a"), spec("b"), health=EAGER, retries=broke)
    ((_, first, _),) = gone(play.submit(1))
    fault = said(blame)
    assert play.fail(1, fault) == [Refuse(1, fault)]
    assert play.view(first).state is state


def test_mistakes_neither_accuse_nor_acquit() -> None:
    play = Play(spec("a"), spec("b"), policy="round_robin", health=HealthSettings(panic_threshold=0), retries=PLENTY)
    job_id = 0
    while play.view("a").state is HealthState.HEALTHY:
        job_id += 1
        assert job_id < 100, "an engine that fails all good requests is ejected, whatever comes between"
        ((_, backend, _),) = gone(play.submit(job_id))
        if job_id % 3:
            play.scheduler.observe(Finished(play.attempt(job_id), ok=False), play.now)
        elif backend == "a":
            gone(play.fail(job_id, said(Blame.LIKELY)))
            play.finish(job_id)
        else:
            play.finish(job_id)
    assert play.view("b").state is HealthState.HEALTHY


def test_who_refuses_the_operators_key_leaves_as_soon_as_another_one_serves() -> None:
    play = Play(spec("a"), spec("b"), retries=RetrySettings(attempts=1, budget_ratio=0, budget_min_per_s=0))
    first, second = two_attempts(play, 1, Blame.UNPROVEN, Kind.MISCONFIGURED)
    play.finish(1)
    assert play.view(first).state is HealthState.EJECTED
    assert play.view(first).misconfigured == 1
    assert {gone(play.submit(job_id))[0][1] for job_id in range(2, 20)} == {second}
    assert play.counts.retries == 0


def test_a_body_that_every_backend_forbids_ejects_nobody() -> None:
    play = Play(*(spec(name) for name in "abc"))
    for job_id in range(30):
        commands = play.submit(job_id)
        while not isinstance(commands[0], Refuse):
            commands = play.fail(job_id, said(Blame.UNPROVEN, Kind.MISCONFIGURED))
    assert all(play.view(name).state is HealthState.HEALTHY for name in "abc")
