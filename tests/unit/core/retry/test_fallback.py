"""Another model or pool instead of a refusal: when it is taken, and when it is not."""

import random
from dataclasses import replace
from typing import Any

import pytest

from proxy.core.scheduler import Scheduler
from proxy.model.commands import Command, Dispatch, FirstToken, Probed, Reason, Refuse
from proxy.model.fallback import FallbackStep
from proxy.model.faults import CONTEXT_TOO_LONG, Fault, Kind, Source
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from tests.unit.core.playing import Play, fault, spec

SMALL = FallbackStep("small", frozenset(), "model:small")
TINY = FallbackStep("tiny", frozenset(), "model:tiny")
NO_HOLD = HoldSettings(min_jobs=0, per_in_flight=0)


def big(permits: int | None = 1) -> Any:
    return spec("big", permits, frozenset({"m"}))


def small(permits: int | None = 1, model: str = "small") -> Any:
    return spec(model, permits, frozenset({model}))


def only(commands: list[Command]) -> Command:
    (command,) = commands
    return command


def sent(commands: list[Command]) -> tuple[str, FallbackStep | None]:
    command = only(commands)
    assert isinstance(command, Dispatch), command
    return command.backend, command.way


def test_it_is_tried_when_the_queue_is_full_and_at_once() -> None:
    play = Play(big(), small(), hold=NO_HOLD)
    assert sent(play.submit(1, fallbacks=(SMALL,))) == ("big", None)
    assert sent(play.submit(2, fallbacks=(SMALL,))) == ("small", SMALL)
    refused = only(play.submit(3, fallbacks=(SMALL,)))
    assert isinstance(refused, Refuse)
    assert (refused.fault.kind, refused.reason) == (Kind.QUEUE_FULL, Reason.QUEUE)
    counts = play.scheduler.counts(play.now)
    assert (counts.offered, counts.refused, counts.in_flight) == (3, 1, 2)


def test_ways_are_tried_in_order_and_those_nobody_serves_are_passed_by() -> None:
    play = Play(big(), small(), small(model="tiny"), hold=NO_HOLD)
    fallbacks = (FallbackStep("gone", frozenset(), "model:gone"), SMALL, TINY)
    taken = [sent(play.submit(number, fallbacks=fallbacks))[0] for number in range(3)]
    assert taken == ["big", "small", "tiny"]


def test_it_comes_after_the_hold() -> None:
    play = Play(big(), small())
    play.submit(1)
    assert play.submit(2, fallbacks=(SMALL,)) == [], "held first"
    assert sent(play.finish(1)) == ("big", None)
    assert play.submit(3, fallbacks=(SMALL,)) == []
    assert sent(play.later(31.0)) == ("small", SMALL)
    assert play.scheduler.counts(play.now).held == 0


def test_what_promises_a_first_token_is_held_only_so_long_that_it_can_be_kept_elsewhere() -> None:
    play = Play(big(), small())
    play.submit(1)
    assert play.submit(2, fallbacks=(SMALL,), slo_ttft_s=2.0) == []
    assert play.later(0.5) == []
    assert sent(play.later(1.49)) == ("small", SMALL)
    play.submit(3, "small")
    impossible = only(play.submit(4, fallbacks=(SMALL,), slo_ttft_s=0.001))
    assert isinstance(impossible, Refuse), "neither held nor sent"


def test_a_deadline_that_has_passed_is_no_reason_to_send_it_elsewhere() -> None:
    play = Play(big(), small())
    play.submit(1)
    assert play.submit(2, fallbacks=(SMALL,), deadline=play.now + 5.0) == []
    refused = only(play.later(6.0))
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.DEADLINE


def test_a_model_that_nobody_serves_goes_on_as_the_other_one_and_waits_there() -> None:
    play = Play(small())
    assert sent(play.submit(1, "gone", fallbacks=(SMALL,))) == ("small", SMALL)
    assert play.submit(2, "gone", fallbacks=(SMALL,)) == [], "held for it like any other"
    assert sent(play.finish(1)) == ("small", SMALL)
    unserved = only(play.submit(3, "gone", fallbacks=(TINY,)))
    assert isinstance(unserved, Refuse)
    assert '"gone"' in unserved.fault.message, "what was asked for, not what was tried"


def test_a_pool_instead_of_another() -> None:
    first, spare = frozenset({"pool=first"}), frozenset({"pool=spare"})
    way = FallbackStep("m", spare, "pool:spare")
    play = Play(spec("a", 1, labels=first), spec("b", 1, labels=spare), hold=NO_HOLD)
    assert sent(play.submit(1, require=first, fallbacks=(way,))) == ("a", None)
    assert sent(play.submit(2, require=first, fallbacks=(way,))) == ("b", way)
    assert isinstance(only(play.submit(3, require=first)), Refuse)
    alone = Play(spec("b", labels=spare))
    assert sent(alone.submit(1, require=first, fallbacks=(way,))) == ("b", way), "no backend has the first labels"


def test_an_attempt_that_fails_before_anything_was_seen_goes_elsewhere_within_the_bounds() -> None:
    play = Play(big(), small(), small(model="tiny"))
    play.submit(1, fallbacks=(SMALL, TINY))
    assert sent(play.fail(1, fault(Kind.BUSY, retry_after_s=5.0)))[0] == "small"
    assert sent(play.fail(1, fault(Kind.BUSY, retry_after_s=5.0)))[0] == "tiny"
    ended = only(play.fail(1, fault(Kind.BUSY)))
    assert isinstance(ended, Refuse), "each way is tried once"


@pytest.mark.parametrize("why", ["seen", "not repeatable"])
def test_an_attempt_that_fails_otherwise_does_not(why: str) -> None:
    play = Play(big(), small())
    play.submit(1, stream=True, fallbacks=(SMALL,))
    if why == "seen":
        play.scheduler.observe(FirstToken(play.attempt(1)), play.now)
    commands = play.fail(1, fault(Kind.BUSY, retry_after_s=5.0), repeatable=why != "not repeatable")
    assert isinstance(only(commands), Refuse)


@pytest.mark.parametrize("kind", [Kind.CONNECT, Kind.CONNECT_TIMEOUT, Kind.BUSY, Kind.ERROR_STATUS, Kind.RESET])
def test_a_first_choice_that_fails_is_served_otherwise_without_any_budget(kind: Kind) -> None:
    budget = RetrySettings(attempts=1, budget_ratio=0, budget_min_per_s=0)
    play = Play(big(), small(), retries=budget, health=HealthSettings(consecutive_failures=10**6, min_samples=10**6))
    for job_id in range(20):
        command = only(play.submit(job_id, fallbacks=(SMALL,)))
        assert isinstance(command, Dispatch)
        if command.way is None:
            assert sent(play.fail(job_id, fault(kind)))[0] == "small"
        play.finish(job_id)
    assert play.counts.retries == 0


def test_a_model_whose_backends_are_all_away_or_ejected_is_served_otherwise_at_once() -> None:
    play = Play(big(), small())
    play.scheduler.observe(Probed("big", ok=False, reached=False), play.now)
    assert sent(play.submit(1, fallbacks=(SMALL,)))[0] == "small"


def test_who_waits_when_the_last_backend_goes_away_is_served_otherwise() -> None:
    play = Play(big(), small())
    play.submit(1)
    assert play.submit(2) == []
    assert play.submit(3, fallbacks=(SMALL,)) == []
    (waiting,) = play.scheduler.observe(Probed("big", ok=False, reached=False), play.now)
    assert isinstance(waiting, Dispatch)
    assert (waiting.jobs[0], waiting.backend) == (3, "small")
    assert play.counts.held == 1


def test_a_failed_fallback_is_repeated_as_what_it_is_now() -> None:
    play = Play(big(), small(), spec("small2", 1, frozenset({"small"})), hold=NO_HOLD)
    play.submit(1)
    backend, way = sent(play.submit(2, fallbacks=(SMALL,)))
    again, still = sent(play.fail(2))
    assert {backend, again} == {"small", "small2"}
    assert way == still == SMALL


def test_drain_refuses_and_falls_back_to_nothing() -> None:
    play = Play(big(), small())
    play.submit(1)
    play.submit(2, fallbacks=(SMALL,))
    refused = only(play.scheduler.refuse_new())
    assert isinstance(refused, Refuse)
    assert isinstance(only(play.submit(3, fallbacks=(SMALL,))), Refuse)


def test_explained_and_not_changed() -> None:
    play = Play(big(), small(), policy="goodput")
    play.submit(1)
    told = play.scheduler.explain(Job(2, "gone", fallbacks=(SMALL,)), play.now)
    assert (told.outcome, told.backend, told.fallback) == ("fallback", "small", "model:small")
    assert play.scheduler.explain(Job(2, "gone"), play.now).outcome == "unserved"
    assert play.scheduler.explain(Job(2, "m", fallbacks=(SMALL,)), play.now).outcome == "hold"
    assert play.scheduler.counts(play.now).offered == 1


def test_a_promise_that_cannot_be_kept_is_kept_elsewhere_when_admission_enforces() -> None:
    enforcing = SchedulingSettings(admission=AdmissionSettings(mode="enforce", probes=0.5))
    core = Scheduler(
        [big(None), small(None)],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=random.Random(1),
        scheduling=enforcing,
    )
    core.submit(Job(1, "m", stream=True, prompt_tokens=200_000), 0.0)
    commands = core.submit(Job(2, "m", stream=True, prompt_tokens=100, slo_ttft_s=0.5, fallbacks=(SMALL,)), 0.0)
    for tenth in range(1, 10):
        commands += core.tick(tenth / 10)
    assert sent(commands) == ("small", SMALL)
    assert core.counts(1.0).refusals == {}
    hopeless = Job(3, "m", stream=True, prompt_tokens=100, slo_ttft_s=1e-6, fallbacks=(SMALL,))
    core.submit(Job(4, "small", stream=True, prompt_tokens=200_000), 1.0)
    refused = only(core.submit(hopeless, 1.0))
    assert isinstance(refused, Refuse), "would-be refusals that have a way are never sent as probes"
    assert refused.reason is Reason.TTFT


@pytest.mark.parametrize(
    ("cause", "failure"),
    [
        ("unreachable", fault(Kind.CONNECT)),
        ("busy", fault(Kind.BUSY, retry_after_s=40.0)),
        ("error", fault(Kind.RESET)),
        ("context", Fault(Source.UPSTREAM, Kind.CANNOT, "too long", code=CONTEXT_TOO_LONG)),
    ],
)
def test_a_way_is_taken_for_the_causes_that_it_names(cause: str, failure: Fault) -> None:
    for named in ("unreachable", "busy", "error", "context"):
        play = Play(big(), small(), hold=NO_HOLD)
        play.submit(1, fallbacks=(replace(SMALL, on=frozenset({named})),))
        command = only(play.fail(1, failure))
        assert isinstance(command, Dispatch) is (cause == named)


def test_what_is_refused_here_takes_every_way() -> None:
    play = Play(big(), small(), hold=NO_HOLD)
    play.submit(1)
    assert sent(play.submit(2, fallbacks=(replace(SMALL, on=frozenset()),)))[0] == "small"
