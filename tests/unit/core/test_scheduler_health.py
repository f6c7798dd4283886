"""Ejection, probation, panic and pressure as the traffic sees them."""

from dataclasses import replace

import pytest

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Dispatch
from proxy.model.faults import Kind, downstream
from proxy.model.limits import HealthSettings
from tests.unit.core.playing import Play, fault, gone, spec

QUICK = HealthSettings(consecutive_failures=5, eject=5.0, slow_start=0)


def states(play: Play) -> str:
    return "".join(view.state.value[0] for view in play.scheduler.backends(play.now))


def served_by(play: Play, first_id: int, count: int) -> set[str]:
    """The backends that get so many jobs, one after the other, all answered."""
    seen = set()
    for job_id in range(first_id, first_id + count):
        ((_, backend, _),) = gone(play.submit(job_id))
        seen.add(backend)
        play.finish(job_id)
    return seen


@pytest.mark.parametrize(("failures", "state"), [(4, HealthState.HEALTHY), (5, HealthState.EJECTED)])
def test_failures_in_a_row_eject(failures: int, state: HealthState) -> None:
    play = Play(*(spec(n) for n in "abc"), policy="round_robin", health=QUICK)
    play.fail_until_ejected("a", 1, failures)
    assert play.view("a").state is state
    assert play.counts.ejections == (state is HealthState.EJECTED)
    expected = {"b", "c"} if state is HealthState.EJECTED else {"a", "b", "c"}
    assert served_by(play, 5000, 6) == expected


@pytest.mark.parametrize(
    "cause", [fault(Kind.BUSY), downstream(Kind.LEFT, "gone"), downstream(Kind.WRITE_STALL, "slow")]
)
def test_what_is_not_the_backends_failure_never_ejects(cause: object) -> None:
    play = Play(spec("a"), spec("b"), health=QUICK)
    for job_id in range(60):
        play.submit(job_id)
        play.fail(job_id, cause, repeatable=False)
    assert states(play) == "hh"


def ejected(**more: object) -> Play:
    play = Play(*(spec(n) for n in "abc"), policy="round_robin", health=replace(QUICK, **more))
    play.fail_until_ejected("a", 1)
    return play


@pytest.mark.parametrize(("after", "state"), [(4.999, "e"), (5.0, "p"), (6.0, "p")])
def test_an_ejection_lasts_its_time(after: float, state: str) -> None:
    play = ejected()
    assert play.scheduler.wakeup_at() == play.view("a").ejected_until == play.now + 5
    play.later(after)
    assert states(play)[0] == state


def test_a_good_probe_does_not_shorten_an_ejection() -> None:
    play = ejected()
    play.later(4.9)
    play.probe("a")
    assert states(play)[0] == "e"
    play.later(0.1)
    play.probe("a")
    assert states(play)[0] == "h"


def test_a_failed_probe_on_probation_ejects_for_longer() -> None:
    play = ejected()
    play.later(5)
    play.probe("a", ok=False)
    assert play.view("a").ejected_until == play.now + 10
    assert play.counts.ejections == 2


def trial_of(play: Play, first_id: int = 9000) -> int:
    """Submits until `a` gets its trial; the others stay in flight."""
    for job_id in range(first_id, first_id + 10):
        if gone(play.submit(job_id))[0][1] == "a":
            return job_id
    raise AssertionError("no trial")


def test_one_trial_at_a_time() -> None:
    play = ejected()
    play.later(5)
    trial = trial_of(play)
    assert served_by(play, 6000, 9) == {"b", "c"}
    play.finish(trial)
    assert states(play) == "hhh"
    assert served_by(play, 7000, 9) == {"a", "b", "c"}


def test_a_failed_trial_ejects_again() -> None:
    play = ejected()
    play.later(5)
    play.fail(trial_of(play), repeatable=False)
    assert play.view("a").ejected_until == play.now + 10


@pytest.mark.parametrize("how", ["cancel", "busy", "downstream"])
def test_a_trial_that_says_nothing_makes_room_for_another(how: str) -> None:
    play = ejected()
    play.later(5)
    trial = trial_of(play)
    if how == "cancel":
        play.cancel(trial)
    else:
        play.fail(trial, fault(Kind.BUSY) if how == "busy" else downstream(Kind.LEFT, "gone"), repeatable=False)
    assert states(play)[0] == "p"
    if how == "busy":
        play.later(1)  # it is left alone for a moment
    play.finish(trial_of(play, 9500))
    assert states(play)[0] == "h"


def test_the_next_trial_may_be_a_held_job() -> None:
    play = Play(spec("a", 1), spec("b", 1), health=QUICK)
    for _ in range(5):
        play.probe("a", ok=False)
    for job_id in (1, 2):
        play.submit(job_id)
    assert gone(play.later(5)) == [(2, "a", 1)]
    play.submit(3)
    assert gone(play.cancel(2)) == [(3, "a", 1)]
    assert states(play) == "ph"


def test_attempts_from_before_the_ejection_decide_nothing() -> None:
    play = Play(*(spec(n) for n in "abc"), policy="round_robin", health=QUICK)
    early = [job_id for job_id in range(8000, 8030) if gone(play.submit(job_id))[0][1] == "a"]
    play.fail_until_ejected("a", 1)
    play.fail(early[0], repeatable=False)
    assert play.counts.ejections == 1
    play.later(5)
    play.fail(early[1], repeatable=False)
    play.finish(early[2])
    assert states(play)[0] == "p"
    play.probe("a")
    for job_id in early[3:]:
        play.fail(job_id, repeatable=False)
    assert states(play) == "hhh"


def test_after_its_return_it_starts_slowly() -> None:
    play = ejected(slow_start=10.0)
    play.later(5)
    play.probe("a")
    assert play.view("a").share == pytest.approx(0.1)
    play.later(5)
    assert play.view("a").share == pytest.approx(0.55)
    play.later(5)
    assert play.view("a").share == 1.0


def test_failed_probes_eject_without_traffic_and_an_ok_one_starts_anew() -> None:
    play = Play(spec("a"), spec("b"), health=QUICK)
    for _ in range(4):
        play.probe("a", ok=False)
    play.probe("a")
    for _ in range(4):
        play.probe("a", ok=False)
    assert states(play) == "hh"
    play.probe("a", ok=False)
    assert states(play) == "eh"


def test_the_last_backend_is_never_ejected() -> None:
    play = Play(spec("a"), spec("b"), health=QUICK)
    for _ in range(50):
        play.probe("a", ok=False)
        play.probe("b", ok=False)
    assert states(play) == "eh"
    assert served_by(play, 1, 5) == {"b"}


def test_a_single_backend_stays_in() -> None:
    play = Play(spec("a"), health=QUICK)
    for job_id in range(50):
        play.submit(job_id)
        play.fail(job_id, repeatable=False)
    assert states(play) == "h"
    assert gone(play.submit(99)) == [(99, "a", 1)]


def test_a_backend_may_be_out_for_one_model_and_still_be_the_last_of_another() -> None:
    play = Play(spec("a", models=frozenset("xy")), spec("b", models=frozenset("x")), health=QUICK)
    for _ in range(5):
        play.probe("a", ok=False)
    assert states(play) == "eh"
    assert gone(play.submit(1, "x")) == [(1, "b", 1)]
    assert gone(play.submit(2, "y")) == [(2, "a", 1)]


def test_below_the_panic_threshold_all_are_tried() -> None:
    play = Play(*(spec(n) for n in "abcd"), policy="round_robin", health=QUICK)
    for name in "ab":
        for _ in range(5):
            play.probe(name, ok=False)
    assert served_by(play, 100, 8) == {"c", "d"}
    for _ in range(5):
        play.probe("c", ok=False)
    assert states(play) == "eeeh"
    assert served_by(play, 200, 8) == {"a", "b", "c", "d"}


def test_panic_lets_held_jobs_go() -> None:
    play = Play(*(spec(n, 1) for n in "abcd"), health=QUICK)
    for name in "ab":
        for _ in range(5):
            play.probe(name, ok=False)
    for job_id in range(1, 5):
        play.submit(job_id)
    assert play.counts.held == 2
    commands = [c for _ in range(5) for c in play.probe("c", ok=False)]
    assert {(job_id, name) for job_id, name, _ in gone(commands)} <= {(3, "a"), (3, "b"), (4, "a"), (4, "b")}
    assert play.counts.held == 0


def test_a_returning_backend_takes_one_held_job_as_its_trial() -> None:
    play = Play(spec("a", 5), spec("b", 1), health=QUICK)
    for _ in range(5):
        play.probe("a", ok=False)
    for job_id in range(1, 5):
        play.submit(job_id)
    assert play.counts.held == 3
    assert gone(play.later(5)) == [(2, "a", 1)]
    assert gone(play.finish(2)) == [(3, "a", 1), (4, "a", 1)]


def test_a_job_whose_hold_ends_when_a_backend_returns_goes() -> None:
    play = Play(spec("a", 1), spec("b", 1), health=replace(QUICK, eject=30.0))
    for _ in range(5):
        play.probe("a", ok=False)
    play.submit(1)
    play.submit(2)
    assert gone(play.later(30)) == [(2, "a", 1)]


def test_but_not_when_its_client_has_given_up() -> None:
    play = Play(spec("a", 1), spec("b", 1), health=replace(QUICK, eject=30.0))
    for _ in range(5):
        play.probe("a", ok=False)
    play.submit(1)
    play.submit(2, deadline=130.0)
    (command,) = play.later(30)
    assert not isinstance(command, Dispatch)


def test_a_silent_backend_is_not_ejected_and_serves_from_its_first_answer() -> None:
    play = Play(spec("a", models=None), spec("b"), health=QUICK)
    for _ in range(50):
        play.probe("a", ok=False)
    assert states(play) == "hh"
    play.probe("a")
    assert served_by(play, 1, 20) == {"a", "b"}
