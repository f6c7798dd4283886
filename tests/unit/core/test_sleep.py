"""Engines that sleep: those that must be woken get nothing, those that wake by themselves have to load first."""

from proxy.model.commands import Load, Probed, Restarted
from proxy.model.faults import Kind
from proxy.model.limits import HoldSettings
from tests.unit.core.playing import Play, gone, refused, spec


class Bed(Play):
    """Two engines."""

    def __init__(self, *names: str) -> None:
        hold = HoldSettings(max_wait=5.0)
        super().__init__(*(spec(name) for name in names or ("a", "b")), policy="round_robin", hold=hold)

    def sleep(self, name: str, asleep: bool = True) -> list[tuple[int, str, int]]:
        return gone(self.scheduler.observe(Load(name, asleep=asleep), self.now))


def test_a_sleeping_engine_gets_nothing_and_a_woken_one_at_once() -> None:
    bed = Bed()
    bed.sleep("a")
    assert {gone(bed.submit(n))[0][1] for n in range(6)} == {"b"}
    bed.sleep("a", asleep=False)
    assert {gone(bed.submit(n))[0][1] for n in range(10, 16)} == {"a", "b"}


def test_a_scrape_that_does_not_tell_wakes_nobody() -> None:
    bed = Bed()
    bed.sleep("a")
    bed.scheduler.observe(Load("a", running=0), bed.now)
    bed.probe("a")
    assert {gone(bed.submit(n))[0][1] for n in range(6)} == {"b"}


def test_another_engine_in_its_place_is_awake() -> None:
    for report in (Restarted("a"), Probed("a", ok=False, reached=False)):
        bed = Bed()
        bed.sleep("a")
        bed.sleep("a")
        bed.scheduler.observe(report, bed.now)
        bed.probe("a")
        assert {gone(bed.submit(n))[0][1] for n in range(6)} == {"a", "b"}
        bed.sleep("a")
        assert {gone(bed.submit(n))[0][1] for n in range(10, 16)} == {"b"}


def test_where_all_sleep_requests_wait_until_one_wakes() -> None:
    bed = Bed()
    bed.sleep("a")
    bed.sleep("b")
    assert bed.submit(1) == bed.submit(2) == []
    assert sorted(bed.sleep("b", asleep=False)) == [(1, "b", 1), (2, "b", 1)]


def test_and_not_for_ever() -> None:
    bed = Bed("a")
    bed.sleep("a")
    assert bed.submit(1) == []
    assert refused(bed.later(5.1)) == [(1, Kind.HOLD_TIMEOUT)]


def test_whose_attempt_is_left_alone() -> None:
    bed = Bed("a")
    bed.submit(1)
    assert not bed.scheduler.sleeps_on(1)
    bed.sleep("a")
    assert bed.scheduler.sleeps_on(1)
    bed.finish(1)
    assert not bed.scheduler.sleeps_on(1)


def test_what_was_cached_is_forgotten() -> None:
    for report in (Load("a", asleep=True), Load("a", unloaded=True)):
        bed = Bed("a")
        chain = (11, 22, 33)
        bed.submit(1, prefix=chain, prompt_tokens=400)
        bed.finish(1)
        backend = bed.scheduler._fleet.by_name["a"]
        assert bed.scheduler._fleet.prefixes.best_holders(chain)
        bed.scheduler.observe(report, bed.now)
        assert not bed.scheduler._fleet.prefixes.best_holders(chain)
        assert backend.asleep is bool(report.asleep)


def test_an_engine_that_wakes_by_itself_is_asked_and_has_to_load() -> None:
    bed = Bed("a")
    loads = bed.scheduler._fleet.by_name["a"].loads
    bed.scheduler.observe(Load("a", unloaded=True), bed.now)
    assert loads.wait_s("m", bed.now) > 0.0
    assert gone(bed.submit(1)) == [(1, "a", 1)]
    bed.finish(1)
    bed.scheduler.observe(Load("a", unloaded=False), bed.now)
    assert loads.wait_s("m", bed.now) == loads.wait_s("any", bed.now) == 0.0
