"""Bulk that waits: until when, who goes first, and what is not worth beginning."""

import random
from dataclasses import replace

import pytest

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Abort, Command, Dispatch, Finished, FirstToken, Reason, Refuse
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, SchedulingSettings
from tests.support.attempts import attempt_of

NOW = 100.0
SETTINGS = {"policy": "goodput", "admission": {"mode": "enforce", "probes": 0}}
LEAST_S = 0.02 + 0.02 + 0.11 + 128 * 0.0206
"""About what a bulk job of `job` takes alone by the first guess: prefill, and 128 tokens."""


def scheduler(**spec: object) -> Scheduler:
    """One engine that enforces, with one seat, which a job has for as long as nobody ends it."""
    made = Scheduler(
        [BackendSpec("a", **{"models": frozenset({"m"}), "seats": 1, **spec})],  # type: ignore[arg-type]
        retries=RetrySettings(),
        hold=HoldSettings(min_jobs=1000),
        health=HealthSettings(),
        rng=random.Random(1),
        scheduling=read(SchedulingSettings, SETTINGS),
    )
    assert isinstance(made.submit(job(1), NOW)[0], Dispatch)
    return made


def job(number: int, **more: object) -> Job:
    return Job(number, "m", prompt_tokens=1000, bulk=True, stream=True, **more)  # type: ignore[arg-type]


def reasons(commands: list[Command]) -> list[tuple[int, Reason | None]]:
    return [(c.job_id, c.reason) for c in commands if isinstance(c, Refuse)]


def test_what_cannot_be_complete_in_time_even_alone_is_refused_at_once() -> None:
    assert reasons(scheduler().submit(job(2, done_by=NOW + 1.0), NOW)) == [(2, Reason.DEADLINE)]


def test_it_waits_as_long_as_it_could_still_be_complete_in_time() -> None:
    one = scheduler()
    assert one.submit(job(2, done_by=NOW + 10.0), NOW) == []
    last_chance = NOW + 10.0 - LEAST_S
    assert reasons(one.tick(last_chance - 1.0)) == []
    assert reasons(one.tick(last_chance + 1.0)) == [(2, Reason.DEADLINE)]


def test_without_a_deadline_it_waits_as_long_as_anything_may() -> None:
    one = scheduler()
    assert one.submit(job(2), NOW) == []
    assert reasons(one.tick(NOW + 599.0)) == []
    assert reasons(one.tick(NOW + 601.0)) == [(2, Reason.SEATS)]


def with_a_chat_a_line_and_bulk(seats: int = 3, mode: str = "enforce") -> Scheduler:
    """Has a chat, a line whose prompt already costs chats all that lines may, and other bulk."""
    made = Scheduler(
        [BackendSpec("a", models=frozenset({"m"}), seats=seats)],
        retries=RetrySettings(),
        hold=HoldSettings(min_jobs=1000),
        health=HealthSettings(),
        rng=random.Random(1),
        scheduling=read(SchedulingSettings, {"policy": "goodput", "admission": {"mode": mode, "probes": 0}}),
    )
    sent = [
        *made.submit(Job(1, "m", prompt_tokens=1000, stream=True), NOW),
        *made.submit(Job(2, "m", prompt_tokens=30_000, bulk=True, stream=True, yields_until=NOW + 500.0), NOW),
    ]
    for number in (1, 2):
        made.observe(FirstToken(attempt_of(made, number)), NOW)
    sent += made.submit(job(3), NOW)
    assert [type(command) for command in sent] == [Dispatch] * 3
    made.observe(FirstToken(attempt_of(made, 3)), NOW)
    return made


@pytest.mark.parametrize(("yields_until", "goes"), [(NOW + 500.0, 5), (NOW, 4), (None, 4)])
def test_a_line_that_yields_is_passed_by_bulk_behind_it(yields_until: float | None, goes: int) -> None:
    one = with_a_chat_a_line_and_bulk()
    assert one.submit(job(4, done_by=NOW + 300.0, yields_until=yields_until), NOW) == []
    assert one.submit(job(5, done_by=NOW + 400.0), NOW) == []
    sent = one.observe(Finished(attempt_of(one, 3), 1000, 0, 10), NOW + 1.0)
    assert [command.jobs for command in sent if isinstance(command, Dispatch)] == [(goes,)]


@pytest.mark.parametrize("mode", ["enforce", "auto"])
def test_a_line_that_yields_goes_when_its_time_has_come_and_not_before(mode: str) -> None:
    """Also where nothing is enforced yet, as nobody is refused by it."""
    one = with_a_chat_a_line_and_bulk(4, mode)
    assert one.submit(job(4, done_by=NOW + 300.0, yields_until=NOW + 5.0), NOW) == []
    assert one.tick(NOW + 4.0) == []
    assert [command.jobs for command in one.tick(NOW + 6.0) if isinstance(command, Dispatch)] == [(4,)]


@pytest.mark.parametrize("mode", ["enforce", "auto"])
def test_no_other_limit_hides_that_a_line_yields(mode: str) -> None:
    """All seats are taken, which is not enforced yet either."""
    one = with_a_chat_a_line_and_bulk(3, mode)
    assert one.submit(job(4, done_by=NOW + 300.0, yields_until=NOW + 500.0), NOW) == []


def test_one_with_a_seat_in_time_goes() -> None:
    one = scheduler()
    one.submit(job(2, done_by=NOW + 10.0), NOW)
    one.observe(FirstToken(attempt_of(one, 1)), NOW + 1.0)
    (sent,) = one.observe(Finished(attempt_of(one, 1), 1000, 0, 10), NOW + 2.0)
    assert (type(sent), sent.jobs) == (Dispatch, (2,))


@pytest.mark.parametrize(("jobs", "ttft_s", "aborted"), [(1, 0.7, []), (1, 0.5, []), (2, 0.65, [2]), (2, 0.5, [])])
def test_only_bulk_that_is_not_begun_makes_room_and_only_if_that_helps(
    jobs: int, ttft_s: float, aborted: list[int]
) -> None:
    """The first in line is being computed: to give it up would waste that."""
    one = scheduler(seats=None)
    for number in range(2, jobs + 1):
        one.submit(job(number), NOW)
    commands = one.submit(Job(9, "m", prompt_tokens=2000, stream=True, slo_ttft_s=ttft_s), NOW)
    assert [c.jobs[0] for c in commands if isinstance(c, Abort)] == aborted
    assert [c.jobs[0] for c in commands if isinstance(c, Dispatch)] == ([9] if ttft_s > 0.6 else [])


@pytest.mark.parametrize(("listed", "aborted"), [("mn", [2]), ("m", [])])
def test_bulk_that_nobody_serves_any_more_is_not_sent_back(listed: str, aborted: list[int]) -> None:
    one = scheduler(seats=None, models=None, any_model=True)
    assert isinstance(one.submit(replace(job(2), model="n"), NOW)[0], Dispatch)
    spec = BackendSpec("a", models=frozenset(listed))
    settings = CoreSettings(hold=HoldSettings(min_jobs=1000), scheduling=read(SchedulingSettings, SETTINGS))
    assert one.reconfigure([spec], settings, NOW) == []
    commands = one.submit(Job(9, "m", prompt_tokens=2000, stream=True, slo_ttft_s=0.65), NOW)
    assert [c.jobs[0] for c in commands if isinstance(c, Abort)] == aborted


def crowded(residents: int) -> Scheduler:
    """One engine with so many seats, on all of which there is decoding for nobody who was promised anything."""
    one = scheduler(seats=residents)
    one.observe(FirstToken(1), NOW)
    for number in range(2, residents + 1):
        now = NOW + 2.0 * number
        assert isinstance(one.submit(job(number), now)[0], Dispatch)
        one.observe(FirstToken(number), now + 0.2)
    return one


def test_those_who_would_be_late_do_not_keep_out_those_behind_who_would_not() -> None:
    """However many of them wait: an engine must not stand half empty for that."""
    one, now = crowded(16), NOW + 60.0
    for number in range(100, 140):
        assert one.submit(job(number, done_by=now + 3.4), now) == []
    assert one.submit(job(200, done_by=now + 30.0), now) == []
    commands = one.observe(Finished(1, 1000, 0, 3000), now + 0.1)
    assert [c.jobs[0] for c in commands if isinstance(c, Dispatch)] == [200]


def test_the_sooner_due_goes_first_though_it_came_later() -> None:
    one = scheduler()
    one.submit(job(2, done_by=NOW + 60.0), NOW)
    one.submit(job(3, done_by=NOW + 20.0), NOW + 1.0)
    one.observe(FirstToken(1), NOW + 1.5)
    commands = one.observe(Finished(1, 1000, 0, 10), NOW + 2.0)
    assert [c.jobs[0] for c in commands if isinstance(c, Dispatch)] == [3]


def chat(number: int, tokens: int, ttft_s: float) -> Job:
    return Job(number, "m", prompt_tokens=tokens, stream=True, slo_ttft_s=ttft_s, slo_tpot_s=0.1)


@pytest.mark.parametrize("large", [1, 16, 300])
def test_large_prompts_that_would_slow_down_answers_do_not_keep_out_what_fits_behind_them(large: int) -> None:
    """However many of them wait: each would be looked at in vain, while the engine stands half empty."""
    one, now = scheduler(seats=2), NOW + 40.0
    one.observe(FirstToken(attempt_of(one, 1)), NOW + 0.2)
    one.observe(Finished(attempt_of(one, 1), 1000, 0, 3000), now)
    for number in (2, 3):
        assert isinstance(one.submit(chat(number, 10, 9.0), now)[0], Dispatch)
        one.observe(FirstToken(attempt_of(one, number)), now + 0.1)
    for number in range(100, 100 + large):
        assert one.submit(chat(number, 25_000, 15.0), now + 0.2) == []
    assert one.submit(chat(9, 1000, 16.0), now + 0.4) == []
    commands = one.observe(Finished(attempt_of(one, 2), 10, 0, 20), now + 0.6)
    assert [c.jobs[0] for c in commands if isinstance(c, Dispatch)] == [9]


SPEC = BackendSpec("a", models=frozenset({"m"}), kv_tokens=26_000)


def with_a_large_one_waiting(ttft_s: float, **admission: object) -> tuple[Scheduler, float]:
    """Beside one that is there it finds no memory; since when it waits."""
    one, now = scheduler(seats=None, kv_tokens=26_000), NOW + 40.0
    one.observe(FirstToken(attempt_of(one, 1)), NOW + 0.2)
    one.observe(Finished(attempt_of(one, 1), 1000, 0, 3000), now)
    settings = {**SETTINGS, "admission": {"mode": "enforce", "probes": 0, **admission}}
    core = CoreSettings(hold=HoldSettings(min_jobs=1000), scheduling=read(SchedulingSettings, settings))
    one.reconfigure([SPEC], core, now)
    assert isinstance(one.submit(chat(2, 10, 9.0), now)[0], Dispatch)
    one.observe(FirstToken(attempt_of(one, 2)), now + 0.1)
    assert one.submit(chat(100, 25_000, ttft_s), now + 0.2) == []
    return one, now + 0.2


def seconds_until_refused(one: Scheduler, now: float) -> int:
    """Looked at once a second."""
    return next(second for second in range(1, 600) if reasons(one.tick(now + second)))


@pytest.mark.parametrize(("ttft_s", "least_s", "most_s"), [(20, 13, 20), (45, 38, 45), (90, 83, 90), (600, 120, 121)])
def test_a_large_prompt_waits_as_long_as_its_own_promise_allows(ttft_s: float, least_s: int, most_s: int) -> None:
    """Not as long as one may that waits for a permit: what is promised more time takes more of it."""
    assert least_s <= seconds_until_refused(*with_a_large_one_waiting(ttft_s)) <= most_s


@pytest.mark.parametrize("max_hold", [10, 50])
def test_the_operator_bounds_how_long_a_promise_is_waited_for(max_hold: int) -> None:
    assert seconds_until_refused(*with_a_large_one_waiting(90.0, max_hold=f"{max_hold}s")) in (max_hold, max_hold + 1)


def test_a_large_prompt_goes_when_there_is_room_after_the_time_of_a_permit() -> None:
    one, now = with_a_large_one_waiting(90.0)
    assert reasons(one.tick(now + 45.0)) == []
    commands = one.observe(Finished(attempt_of(one, 2), 10, 0, 900), now + 46.0)
    assert [c.jobs[0] for c in commands if isinstance(c, Dispatch)] == [100]


def test_a_reload_takes_no_time_from_what_waits_for_its_promise() -> None:
    one, now = with_a_large_one_waiting(90.0)
    core = CoreSettings(hold=HoldSettings(max_wait=5.0), scheduling=read(SchedulingSettings, SETTINGS))
    one.reconfigure([SPEC], core, now + 1.0)
    assert seconds_until_refused(one, now) >= 83


def behind_a_long_prompt(others: int) -> list[Command]:
    """What becomes of one that waits for its first token until its time is over, while so many others still may."""
    one, now = scheduler(seats=None), NOW + 40.0
    one.observe(FirstToken(attempt_of(one, 1)), NOW + 0.2)
    one.observe(Finished(attempt_of(one, 1), 1000, 0, 3000), now)
    assert isinstance(one.submit(late(2, 20_000, 60.0), now)[0], Dispatch)
    assert one.submit(late(3, 1000, 1.0), now) == []
    for number in range(4, 4 + others):
        assert one.submit(late(number, 1000, 2.0), now) == []
    return [command for step in range(1, 5) for command in one.tick(now + 0.25 * step)]


def late(number: int, tokens: int, ttft_s: float) -> Job:
    return Job(number, "m", prompt_tokens=tokens, stream=True, slo_ttft_s=ttft_s)


def test_who_is_late_while_nobody_else_waits_is_not_refused() -> None:
    assert [c.jobs[0] for c in behind_a_long_prompt(0) if isinstance(c, Dispatch)] == [3]


def test_who_is_late_while_others_wait_gives_way_to_them() -> None:
    assert reasons(behind_a_long_prompt(1)) == [(3, Reason.TTFT)]
