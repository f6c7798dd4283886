"""Another configuration while jobs are out and held: nothing learned is lost, nobody is forgotten, nothing leaks."""

from dataclasses import replace

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.backend import BackendSpec
from proxy.model.commands import Command, Dispatch, Finished, FirstToken, Flowed, Load, Probed, Refuse, Restarted
from proxy.model.fallback import FallbackStep
from proxy.model.faults import Kind
from proxy.model.limits import HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import AdmissionSettings, CoreSettings, FairnessSettings, SchedulingSettings
from proxy.model.tenants import TenantSettings
from tests.unit.core.playing import Play, fault, gone, refused, spec

PLAIN = CoreSettings(scheduling=SchedulingSettings(policy="least_outstanding"))


def changed(play: Play, *specs: BackendSpec, settings: CoreSettings = PLAIN) -> list[Command]:
    return play.scheduler.reconfigure(specs, settings, play.now)


def scheduling(**more: object) -> CoreSettings:
    return replace(PLAIN, scheduling=replace(PLAIN.scheduling, **more))  # type: ignore[arg-type]


def names(play: Play) -> list[tuple[str, bool]]:
    return [(view.name, view.leaving) for view in play.scheduler.backends(play.now)]


# ---- who comes, who leaves


def test_who_waited_goes_to_a_backend_that_comes() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    assert play.submit(2) == []
    assert gone(changed(play, spec("a", 1), spec("b", 1))) == [(2, "b", 1)]


@pytest.mark.parametrize("first", ["b", "c"])
def test_who_waited_goes_to_those_that_have_answered_before_they_come(first: str) -> None:
    """Their models are asked of them, and none of those is configured any more that were there."""
    play = Play(spec("a", 1))
    play.submit(1)
    assert play.submit(2) == []
    comes = [BackendSpec(name, max_concurrency=1) for name in ("b", "c")]
    heard = [Probed(name, ok=True, models=frozenset({"m"} if name == first else {"other"})) for name in ("b", "c")]
    assert gone(play.scheduler.reconfigure(comes, PLAIN, play.now, heard)) == [(2, first, 1)]


def test_who_waits_for_those_that_have_not_answered_is_told() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    silent = BackendSpec("b", max_concurrency=1)
    commands = play.scheduler.reconfigure([silent], PLAIN, play.now, [Probed("b", ok=False, reached=False)])
    assert refused(commands) == [(2, Kind.NO_BACKEND)]


def test_who_leaves_gets_nothing_new_and_is_forgotten_with_its_last_attempt() -> None:
    play = Play(spec("a"), spec("b"))
    assert sorted(c[1] for c in gone([*play.submit(1), *play.submit(2)])) == ["a", "b"]
    assert changed(play, spec("b")) == []
    assert names(play) == [("b", False), ("a", True)]
    assert {c[1] for c in gone([c for n in range(3, 9) for c in play.submit(n)])} == {"b"}
    (job_id,) = [n for n in (1, 2) if play.scheduler._attempts.open[n].attempts[0].backend.name == "a"]
    play.finish(job_id)
    assert names(play) == [("b", False)]
    assert "a" not in play.scheduler._fleet.by_name


def test_who_has_nothing_out_is_forgotten_at_once() -> None:
    play = Play(spec("a"), spec("b"))
    changed(play, spec("b"))
    assert names(play) == [("b", False)]


def test_what_fails_there_goes_on_elsewhere() -> None:
    play = Play(spec("a"))
    play.submit(1)
    changed(play, spec("b"))
    assert gone(play.fail(1)) == [(1, "b", 2)]
    assert names(play) == [("b", False)]


def test_a_client_that_leaves_is_the_last_attempt_too() -> None:
    play = Play(spec("a"), spec("b"))
    play.submit(1)
    play.submit(2)
    changed(play, spec("c"))
    play.cancel(1)
    play.cancel(2)
    assert names(play) == [("c", False)]


def test_who_comes_back_in_time_is_the_one_it_was() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    before = play.scheduler._fleet.by_name["a"]
    changed(play, spec("b", 1))
    changed(play, spec("a", 1), spec("b", 1))
    assert play.scheduler._fleet.by_name["a"] is before
    assert play.view("a").in_flight == 1
    assert not play.view("a").leaving


# ---- another engine under the same name


@pytest.mark.parametrize("new", [{"url": "http://b"}, {"models": frozenset({"other"})}], ids=["url", "models"])
def test_another_engine_under_a_name_is_another_backend(new: dict[str, object]) -> None:
    known = replace(spec("a"), url="http://a")
    play = Play(known)
    play.submit(1)
    before = play.scheduler._fleet.by_name["a"]
    before.record.add((1, 2, 3))
    before.took(3.0)
    changed(play, replace(known, **new))  # type: ignore[arg-type]
    after = play.scheduler._fleet.by_name["a"]
    assert after is not before
    assert (after.service_s, after.in_flight, after.share) == (None, 0, 0.1)
    assert names(play) == [("a", False)], "one name, one view"
    play.finish(1)
    assert play.scheduler._fleet.leaving == []
    assert play.scheduler._fleet.by_name["a"] is after
    assert play.scheduler.knows("a")


def test_more_models_or_an_alias_are_the_same_engine() -> None:
    known = replace(spec("a"), url="http://a")
    play = Play(known)
    before = play.scheduler._fleet.by_name["a"]
    changed(play, replace(known, models=(known.models or frozenset()) | {"n"}, aliases={"x": "m"}))
    assert play.scheduler._fleet.by_name["a"] is before


def test_whoever_left_a_name_that_is_free_again_is_known_by_it_to_the_end() -> None:
    known = replace(spec("a"), url="http://a")
    play = Play(known, spec("z"))
    play.submit(1)
    play.submit(2)
    changed(play, replace(known, url="http://b"), spec("z"))
    changed(play, spec("z"))
    assert names(play) == [("z", False), ("a", True)]
    assert play.scheduler.knows("a")
    play.finish(1)
    play.finish(2)
    assert names(play) == [("z", False)]
    assert not play.scheduler.knows("a")
    assert play.scheduler.upstream_model("a", "m") == "m"


def test_who_comes_starts_slowly_and_who_was_there_does_not() -> None:
    play = Play(spec("a"))
    changed(play, spec("a"), spec("b"))
    assert (play.view("a").share, play.view("b").share) == (1.0, 0.1)
    play.later(60.0)
    play.submit(1)
    assert play.view("b").share == 1.0


@pytest.mark.parametrize(
    "report",
    [Probed("a", True), Load("a", running=1.0), Flowed("a", 1.0, 9.0), Restarted("a")],
    ids=lambda r: type(r).__name__,
)
def test_what_is_told_of_who_was_forgotten_is_late(report: object) -> None:
    play = Play(spec("a"), spec("b"))
    changed(play, spec("b"))
    assert play.scheduler.observe(report, play.now) == []  # type: ignore[arg-type]
    assert names(play) == [("b", False)]


def test_an_ejection_of_who_leaves_is_over_with_it() -> None:
    play = Play(spec("a"), spec("b"))
    play.fail_until_ejected("a", 10)
    assert play.view("a").state is HealthState.EJECTED
    changed(play, spec("b"))
    assert play.later(60.0) == []
    changed(play, spec("b"), spec("a"))
    assert play.view("a").state is HealthState.HEALTHY, "it is another one"


# ---- who waits


def test_who_waited_for_nobody_any_more_is_refused() -> None:
    play = Play(spec("a", 1), spec("b", 1, frozenset("n")))
    play.submit(1)
    play.submit(2)
    assert refused(changed(play, spec("b", 1, frozenset("n")))) == [(2, Kind.MODEL_NOT_FOUND)]
    assert play.counts.held == 0


def test_or_goes_another_way_if_it_has_one() -> None:
    play = Play(spec("a", 1), spec("b", 1, frozenset("n")))
    play.submit(1)
    ways = (FallbackStep("m", frozenset(), ""), FallbackStep("n", frozenset(), "model:n"))
    play.scheduler.submit(Job(2, "m", fallbacks=ways), play.now)
    assert play.counts.held == 1
    (sent,) = changed(play, spec("b", 1, frozenset("n")))
    assert isinstance(sent, Dispatch)
    assert (sent.jobs, sent.backend, sent.way) == ((2,), "b", ways[1])


def test_labels_that_nobody_has_any_more_are_nobody() -> None:
    play = Play(spec("a", 1, labels=frozenset("g")))
    play.submit(1)
    play.submit(2, require=frozenset("g"))
    assert refused(changed(play, spec("a", 1))) == [(2, Kind.NO_BACKEND)]


def test_nobody_waits_for_longer_than_is_allowed_now() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.submit(2)
    play.later(3.0)
    assert changed(play, spec("a", 1), settings=replace(PLAIN, hold=HoldSettings(max_wait=5.0))) == []
    assert play.later(1.9) == []
    assert refused(play.later(0.2)) == [(2, Kind.HOLD_TIMEOUT)]


def test_smaller_bounds_send_nobody_away_and_let_nobody_more_in() -> None:
    play = Play(spec("a", 1), hold=HoldSettings(min_jobs=4, per_in_flight=0))
    for number in range(4):
        play.submit(number)
    tight = replace(PLAIN, hold=HoldSettings(min_jobs=1, per_in_flight=0))
    assert changed(play, spec("a", 1), settings=tight) == []
    assert play.counts.held == 3
    assert refused(play.submit(9)) == [(9, Kind.QUEUE_FULL)]


# ---- what is learned, and what is said


def test_what_was_learned_of_a_backend_stays() -> None:
    play = Play(spec("a"))
    for number in range(20):
        play.submit(number, prompt_tokens=1000, stream=True, prefix=(1, 2, 3))
        play.now += 0.5
        play.scheduler.observe(FirstToken(play.attempt(number)), play.now)
        play.now += 1.0
        play.scheduler.observe(Finished(play.attempt(number), 1000, None, 50), play.now)
    before = play.view("a")
    changed(play, spec("b"), spec("a", labels=frozenset("g")))
    assert replace(play.view("a"), prefix_cap=before.prefix_cap) == before
    assert before.samples == 20
    assert before.prefix_blocks == 3


def test_fewer_permits_let_nobody_in_until_enough_came_back() -> None:
    play = Play(spec("a", 3))
    for number in range(3):
        play.submit(number)
    play.submit(3)
    assert changed(play, spec("a", 1)) == []
    assert play.finish(0) == play.finish(1) == []
    assert gone(play.finish(2)) == [(3, "a", 1)]


def test_names_that_a_probe_found_stay_and_aliases_change() -> None:
    play = Play(spec("a", models=None, aliases={"x": "m"}))
    play.probe("a", models=["m"])
    assert play.scheduler.models() == ("m", "x")
    version = play.scheduler.version
    changed(play, spec("a", models=None, aliases={"y": "m"}), spec("b", models=frozenset("z")))
    assert play.scheduler.models() == ("m", "y", "z")
    assert play.scheduler.version > version
    assert play.scheduler.upstream_model("a", "y") == "m"
    changed(play, spec("a", models=frozenset("q")))
    assert play.scheduler.models() == ("q",)
    changed(play, spec("a", models=None))
    assert play.scheduler.models() == ("m",), "as it was found"


def test_what_is_said_counts_instead_of_what_was_learned_and_the_reverse() -> None:
    play = Play(spec("a", kv_tokens=1000, seats=4))
    changed(play, spec("a", kv_tokens=2000, seats=8))
    assert (play.view("a").kv_tokens, play.view("a").seats) == (2000, 8)
    changed(play, spec("a"))
    assert (play.view("a").kv_tokens, play.view("a").seats) == (None, None)
    play.scheduler.observe(Load("a", running=1.0, waiting=0.0, kv_tokens=3000.0, seats=16.0), play.now)
    assert (play.view("a").kv_tokens, play.view("a").seats) == (3000.0, 16.0)


@pytest.mark.parametrize("first", ["learned", "off"])
def test_who_learns_how_many_it_takes_knows_who_is_there(first: str) -> None:
    other = "off" if first == "learned" else "learned"
    modes = {mode: scheduling(admission=AdmissionSettings(concurrency=mode)) for mode in (first, other)}  # type: ignore[arg-type]
    play = Play(spec("a"), scheduling=modes[first].scheduling)
    for number in range(4):
        play.submit(number, stream=True)
    play.scheduler.observe(FirstToken(play.attempt(0)), play.now)
    changed(play, spec("a"), settings=modes[other])
    backend = play.scheduler._fleet.by_name["a"]
    assert backend.concurrency._open == (4 if backend.concurrency.learns else 0)
    for number in range(4):
        play.now += 1.0
        play.finish(number)
    assert backend.concurrency._open == 0
    changed(play, spec("a"), settings=modes[first])
    assert gone(play.submit(9)) == [(9, "a", 1)]
    assert play.view("a").in_flight == 1


def test_a_backend_in_another_pool_learns_with_it() -> None:
    play = Play(spec("a", pool="p"), spec("b", pool="q"))
    changed(play, spec("a", pool="q"), spec("b", pool="q"))
    assert [(pool.name) for pool in play.scheduler.pools(play.now)] == ["q"]
    one, other = play.scheduler._fleet.backends
    assert one.pool is other.pool
    assert one.model.pool is other.model.pool


def test_other_retries_and_another_policy_hold_from_now_on() -> None:
    play = Play(spec("a"), spec("b"), spec("c"), retries=RetrySettings(attempts=3))
    play.submit(1)
    alone = replace(scheduling(policy="round_robin"), retries=RetrySettings(attempts=1))
    changed(play, spec("a"), spec("b"), spec("c"), settings=alone)
    assert refused(play.fail(1, fault(Kind.ERROR_STATUS))) == [(1, Kind.ERROR_STATUS)]
    assert [c[1] for n in range(2, 5) for c in gone(play.submit(n))] == ["a", "b", "c"]


# ---- tenants


def limited(**limits: int) -> CoreSettings:
    return scheduling(tenants=(TenantSettings(tenant="0000000a", **limits),))  # type: ignore[arg-type]


def test_what_a_tenant_has_used_counts_under_another_limit() -> None:
    play = Play(spec("a"), scheduling=limited(requests_per_minute=3).scheduling)
    for number in range(2):
        assert gone(play.submit(number, tenant="0000000a"))
    changed(play, spec("a"), settings=limited(requests_per_minute=4, max_concurrent=9))
    assert gone([*play.submit(2, tenant="0000000a"), *play.submit(3, tenant="0000000a")])
    assert refused(play.submit(4, tenant="0000000a")) == [(4, Kind.QUOTA)]
    view = play.scheduler.quota("0000000a", play.now)
    assert view is not None
    assert view.concurrent == 4


def test_jobs_of_before_a_limit_give_nothing_back_that_they_did_not_take() -> None:
    play = Play(spec("a", 1))
    play.submit(1, tenant="0000000a")
    play.submit(2, tenant="0000000a")
    changed(play, spec("a", 1), settings=limited(max_concurrent=2, requests_per_minute=5))
    play.cancel(2)
    play.finish(1)
    view = play.scheduler.quota("0000000a", play.now)
    assert view is not None
    assert (view.concurrent, view.requests and view.requests.left) == (0, 5)


def test_what_was_not_taken_is_not_given_back() -> None:
    play = Play(spec("a", 1), scheduling=limited(max_concurrent=9).scheduling)
    play.submit(1)
    play.submit(2, tenant="0000000a")
    changed(play, spec("a", 1), settings=limited(max_concurrent=9, requests_per_minute=5))
    play.submit(3, tenant="0000000a")
    play.cancel(2)
    view = play.scheduler.quota("0000000a", play.now)
    assert view is not None
    assert view.requests is not None
    assert view.requests.left == 4


def test_a_limit_that_is_gone_is_settled_by_those_it_was_taken_for() -> None:
    play = Play(spec("a"), scheduling=limited(max_concurrent=2).scheduling)
    play.submit(1, tenant="0000000a")
    changed(play, spec("a"))
    assert play.scheduler.quota("0000000a", play.now) is None
    play.finish(1)
    changed(play, spec("a"), settings=limited(max_concurrent=2))
    view = play.scheduler.quota("0000000a", play.now)
    assert view is not None
    assert view.concurrent == 0


def test_what_each_tenant_was_served_stays() -> None:
    play = Play(spec("a"))
    for number, tenant in enumerate(["x", "x", "y"]):
        play.submit(number, tenant=tenant, prompt_tokens=1000)
    before = play.scheduler.tenants(play.now)
    other = FairnessSettings(half_life=5.0, weights={"x": 2.0})
    changed(play, spec("a"), settings=scheduling(fairness=other))
    assert play.scheduler.tenants(play.now) == pytest.approx(before)
    assert play.scheduler.tenants(play.now + 5.0) == pytest.approx({name: s / 2 for name, s in before.items()})
    changed(play, spec("a"), settings=scheduling(fairness=FairnessSettings(half_life=0.0)))
    assert play.scheduler.tenants(play.now) == {}


# ---- what cannot be


@pytest.mark.parametrize(
    ("specs", "settings", "error"),
    [
        ([spec("b"), spec("b")], PLAIN, ValueError),
        ([spec("b")], scheduling(policy="none such"), KeyError),
    ],
)
def test_what_cannot_be_changes_nothing(
    specs: list[BackendSpec], settings: CoreSettings, error: type[Exception]
) -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    with pytest.raises(error):
        changed(play, *specs, settings=settings)
    assert names(play) == [("a", False)]
    assert isinstance(play.submit(2, "b")[0], Refuse)


def test_while_draining_it_may_still_change() -> None:
    play = Play(spec("a", 1))
    play.submit(1)
    play.scheduler.refuse_new()
    changed(play, spec("b"))
    assert refused(play.submit(2)) == [(2, Kind.DRAINING)]
    play.finish(1)
    assert names(play) == [("b", False)]


def test_another_order_holds_from_the_next_request() -> None:
    play = Play(spec("a", order=1), spec("b"))
    assert gone(play.submit(1))[0][1] == "b"
    assert changed(play, spec("a"), spec("b", order=1)) == []
    assert gone(play.submit(2))[0][1] == "a"


def test_who_reads_a_kept_answer_keeps_its_backend_known() -> None:
    """It takes no permit, and is out all the same: its stream must not be cut."""
    play = Play(spec("a"), spec("b"))
    (out,) = play.submit(1, is_free=True)
    assert isinstance(out, Dispatch)
    left = "b" if out.backend == "a" else "a"
    play.scheduler.reconfigure([spec(left)], PLAIN, play.now)
    assert play.scheduler.knows(out.backend)
    play.scheduler.observe(Finished(out.attempt), play.now)
    assert not play.scheduler.knows(out.backend)
