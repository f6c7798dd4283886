"""All backends together: who is in, out, away, full, on trial or coming back."""

from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.health import HealthState
from proxy.model.backend import BackendSpec
from proxy.model.commands import Load, Probed
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.limits import HealthSettings

ILL = upstream(Kind.ERROR_STATUS, "500")
AWAY = upstream(Kind.CONNECT, "refused", Retry.SAFE)
QUICK = HealthSettings(consecutive_failures=1, eject=5.0, panic_threshold=0.0, slow_start=10.0)


def fleet(*names: str, health: HealthSettings = QUICK) -> Fleet:
    return Fleet([BackendSpec(name, models=frozenset({"m"})) for name in names], health)


def usable(one: Fleet) -> list[str]:
    candidates = one.catalogue.find("m")
    assert candidates is not None
    return [backend.name for backend in candidates.open]


def test_who_fails_is_out_until_its_time_is_over_and_a_trial_decides() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    assert one.failed(a, a.health.era, ILL, 100.0)
    assert (usable(one), one.ejections) == (["b"], 1)
    assert not one.advance(104.9)
    assert one.advance(105.0)
    assert usable(one) == ["a", "b"]
    one.trial_began(a)
    assert usable(one) == ["b"], "one trial at a time"
    assert one.served(a, a.health.era, 106.0)
    assert a.health.state is HealthState.HEALTHY
    assert one.ramping == [a]


def test_what_began_before_an_ejection_says_nothing_of_what_comes_after() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    era = a.health.era
    one.failed(a, era, ILL, 100.0)
    one.advance(105.0)
    assert not one.failed(a, era, ILL, 106.0)
    assert not one.served(a, era, 106.0)
    assert a.health.state is HealthState.PROBATION


def test_the_last_one_is_never_taken_out_for_failing() -> None:
    one = fleet("a")
    (a,) = one.backends
    assert not one.failed(a, a.health.era, ILL, 100.0)
    assert usable(one) == ["a"]


def test_who_is_not_there_is_away_at_once_and_back_when_it_is_reached() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    assert one.failed(a, a.health.era, AWAY, 100.0)
    assert usable(one) == ["b"]
    assert not one.probed(a, Probed("a", False, reached=False), 101.0), "no news"
    assert one.probed(a, Probed("a", True), 102.0)
    assert usable(one) == ["a", "b"]


def test_who_is_full_of_others_requests_is_left_alone_for_a_moment() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    one.failed(a, a.health.era, upstream(Kind.BUSY, "full", retry_after_s=3.0), 100.0)
    assert usable(one) == ["b"]
    assert a.shut_until == 103.0
    assert one.advance(103.0)
    assert usable(one) == ["a", "b"]
    assert a.limit == 1, "one tries first"


def test_who_sleeps_is_out_until_it_wakes() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    assert not one.told(a, Load("a", asleep=True))
    assert usable(one) == ["b"]
    assert one.told(a, Load("a", asleep=False))
    assert usable(one) == ["a", "b"]


def test_a_slow_start_grows_and_ends() -> None:
    one = fleet("a", "b")
    a, _ = one.backends
    one.failed(a, a.health.era, ILL, 100.0)
    one.advance(105.0)
    one.probed(a, Probed("a", True), 105.0)
    shares = []
    for now in (105.0, 110.0, 115.0):
        one.refresh_shares(now)
        shares.append(round(a.share, 2))
    assert shares == [0.1, 0.55, 1.0]
    assert one.ramping == []


def test_holders_of_a_prefix_are_found_by_their_numbers() -> None:
    one = fleet("a", "b", "c")
    a, _, c = one.backends
    a.record.add((1, 2))
    c.record.add((1, 2, 3))
    assert one.holders((1, 2, 3), 8, one.backends) == [c]
    assert one.holders((1, 2), 8, one.backends) == [a, c]
    assert one.holders((1, 2), 1, one.backends) == [a]
    assert one.holders((1, 2), 8, (c,)) == [c]


def test_timers_of_who_is_forgotten_are_none() -> None:
    one = fleet("a", "b")
    a, b = one.backends
    one.failed(a, a.health.era, ILL, 100.0)
    one.failed(b, b.health.era, upstream(Kind.BUSY, "full", retry_after_s=3.0), 100.0)
    specs = [BackendSpec("c", models=frozenset({"m"}))]
    assert one.change(specs, QUICK, 0.0, learns_concurrency=True) == [a, b]
    assert one.forget_idle() == [a, b]
    assert not one.advance(1000.0)
    assert usable(one) == ["c"]


def test_other_bounds_of_health_hold_from_now_on() -> None:
    one = fleet("a", "b", health=HealthSettings(panic_threshold=0.0))
    a, _ = one.backends
    specs = [backend.spec for backend in one.backends]
    one.change(specs, QUICK, 0.0, learns_concurrency=True)
    assert one.failed(a, a.health.era, ILL, 100.0)
    assert usable(one) == ["b"]
    one.change(specs, HealthSettings(panic_threshold=1.0), 0.0, learns_concurrency=True)
    assert usable(one) == ["a", "b"], "panic"


def test_candidates_of_the_same_backends_keep_what_they_know() -> None:
    one = fleet("a", "b")
    before = one.catalogue.find("m")
    one.change([backend.spec for backend in one.backends], QUICK, 0.0, learns_concurrency=True)
    assert one.catalogue.find("m") is before
