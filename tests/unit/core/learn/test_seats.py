"""Seats of an engine that does not tell them, and what is learned beside them."""

import random
from collections import deque

import pytest

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.jobs.learning import Learning
from proxy.core.learn.entry import Entry
from proxy.core.learn.seats import SeatWatch
from proxy.core.shown.views import BackendView
from proxy.core.tally import Tally
from proxy.model.backend import BackendSpec
from proxy.model.commands import Finished, Restarted
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, FairnessSettings
from tests.unit.core.one_engine import OneEngine


def sights(watch: SeatWatch, count: int, running: float = 4, waiting: float = 2, **more: object) -> float | None:
    told = None
    for at in range(count):
        known = {"kv_usage": 0.3, "decoding": int(running), "now": float(at)} | more
        told = watch.learn(running, waiting, **known)  # type: ignore[arg-type]
    return told


def test_three_sights_of_the_same_count_are_believed() -> None:
    watch = SeatWatch()
    assert sights(watch, 2) is None
    assert sights(watch, 1) == 4


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("nobody waits", {"waiting": 0}),
        ("it does not tell who waits", {"waiting": None}),
        ("somebody's prefill fills the steps", {"decoding": 3}),
        ("some of them are not ours", {"decoding": 1}),
        ("memory is short", {"kv_usage": 0.97}),
        ("nothing runs", {"running": 0}),
    ],
)
def test_what_else_keeps_requests_waiting_is_no_seat(what: str, changes: dict[str, object]) -> None:
    assert sights(SeatWatch(), 10, **changes) is None, what  # type: ignore[arg-type]


def test_memory_that_is_not_told_is_taken_as_free() -> None:
    assert sights(SeatWatch(), 3, kv_usage=None) == 4


def test_more_running_than_believed_proves_it_wrong() -> None:
    watch = SeatWatch()
    sights(watch, 3)
    assert sights(watch, 1, running=6, waiting=0) is None
    assert sights(watch, 10) is None, "fewer than were seen running are not all that can"
    assert sights(watch, 3, running=6) == 6


def test_it_is_believed_for_a_while_and_renewed_by_every_sight() -> None:
    watch = SeatWatch()
    sights(watch, 3)
    assert watch.learn(4, 0, 0.3, 4, 600.0) == 4
    assert watch.learn(4, 1, 0.3, 4, 601.0) == 4
    assert watch.learn(4, 0, 0.3, 4, 1200.0) == 4
    assert watch.learn(4, 0, 0.3, 4, 1202.0) is None


def test_learned_told_and_configured_seats() -> None:
    engine = OneEngine()
    engine.submit(1, 2, 3)
    engine.first_token(1, 0.1)
    engine.first_token(2, 0.2)
    for _ in range(3):
        assert engine.view().seats is None
        engine.scrape(running=2, waiting=1, kv_usage=0.1)
    assert engine.view().seats == 2
    engine.scrape(running=2, waiting=1, seats=8)
    assert engine.view().seats == 8, "what the engine tells"
    engine.scrape(running=2, waiting=1)
    assert engine.view().seats == 8, "and does not tell every time"
    engine.scheduler.observe(Restarted("a"), engine.now)
    assert engine.view().seats is None, "it may be another engine now"
    fixed = OneEngine(seats=3)
    fixed.scrape(running=2, waiting=1, seats=8)
    fixed.scheduler.observe(Restarted("a"), 0.0)
    assert fixed.view().seats == 3


def late_behind_one(seats: int | None) -> BackendView:
    """Ten seconds after it was sent the only other answer ends, and a tenth later its own begins."""
    engine = OneEngine(seats=seats)
    engine.submit(1)
    engine.first_token(1, 0.1)
    engine.submit(2)
    engine.finish(1, 10.0)
    engine.first_token(2, 10.1)
    engine.finish(2, 11.0)
    return engine.view()


def test_the_wait_for_a_seat_is_no_prefill() -> None:
    one = late_behind_one(seats=1)
    assert (one.samples, one.slow) == (2, 1.0), "the tenth of a second since the seat came free was"
    unknown = late_behind_one(seats=None)
    assert (unknown.samples, unknown.slow) == (1, 1.0), "it may have been a seat that it waited for"
    two = late_behind_one(seats=2)
    assert two.samples == 2
    assert two.slow > 1.5, "there was a seat for it: that is what its prefill took"


def test_one_that_waits_for_a_seat_is_not_late() -> None:
    engine = OneEngine(seats=1)
    engine.submit(1)
    engine.first_token(1, 0.1)
    engine.submit(2)
    engine.now = 50.0
    assert engine.view().backlog_s < 1.0
    engine.scheduler.cancel(2, 50.0)
    assert engine.view().slow == 1.0, "given up after 50 s, none of which were prefill"


PREFILL_S, ANSWER_S = 0.1, 2.0


def played(seats: int | None, rate: float, seconds: float, seed: int = 1, told: int | None = None) -> Backend:
    """An engine whose metrics nobody reads: it computes one prompt after the other whenever a seat is free, and lets
    answers run side by side."""
    rng, learning = random.Random(seed), Learning(Dials(CoreSettings()), FairnessSettings(), Tally())
    backend = Backend(BackendSpec("a", seats=told), 0, HealthSettings())
    waiting: deque[Entry] = deque()
    prefill: tuple[float, Entry] | None = None
    decoding: list[tuple[float, int, Entry]] = []
    now, number, arrives = 0.0, 0, rng.expovariate(rate)
    while now < seconds:
        now = min([arrives, *([prefill[0]] if prefill else []), *(at for at, _, _ in decoding)])
        if now == arrives:
            number += 1
            entry = Entry(Job(number, "m", stream=True), 0.0, now)
            entry.cost, entry.prompt, entry.fresh, entry.kv, entry.streams = PREFILL_S, 1000.0, 1000.0, 1e3, True
            backend.ledger.dispatch(entry, now)
            waiting.append(entry)
            arrives = now + rng.expovariate(rate)
        elif prefill and now == prefill[0]:
            learning.first_token(prefill[1], backend, now)
            decoding.append((now + rng.expovariate(1 / ANSWER_S), number, prefill[1]))
            prefill = None
        else:
            ended = min(decoding)
            decoding.remove(ended)
            learning.finished(ended[2], backend, Finished(0, 1000, 0, 20), now)
        if prefill is None and waiting and (seats is None or len(decoding) < seats):
            prefill = (now + PREFILL_S, waiting.popleft())
    return backend


@pytest.mark.parametrize("seats", [1, 4, 16])
def test_seats_are_found_without_metrics(seats: int) -> None:
    backend = played(seats, rate=9.5, seconds=60)
    assert backend.seats == seats
    assert backend.model.slow == 1.0, "and are not taken for slowness"


@pytest.mark.parametrize("rate", [2.0, 5.0, 9.5, 20.0])
def test_without_a_bound_no_seats_are_found_however_busy(rate: float) -> None:
    for seed in range(4):
        assert played(None, rate, seconds=100, seed=seed).seats is None


def test_seats_that_are_never_all_taken_are_not_found() -> None:
    assert played(64, rate=9.5, seconds=100).seats is None


def test_what_was_told_counts_whatever_is_seen() -> None:
    assert played(4, rate=9.5, seconds=60, told=8).seats == 8


def test_having_been_wrong_more_evidence_is_asked_for() -> None:
    watch = SeatWatch()
    watch.begun(4)
    for _ in range(6):
        assert watch.seats is None
        watch.ended(4, None, 0.1, 0.5, 1.0)
    assert watch.seats == 4
    watch.begun(5)
    assert watch.seats is None
    for _ in range(11):
        watch.ended(5, None, 0.1, 0.5, 2.0)
        assert watch.seats is None
    watch.ended(5, None, 0.1, 0.5, 2.0)
    assert watch.seats == 5


def test_a_prompt_that_takes_as_long_as_predicted_was_not_left_alone() -> None:
    watch = SeatWatch()
    watch.begun(4)
    for _ in range(100):
        watch.ended(4, None, head_s=0.1, spent_s=0.16, now=1.0)
        watch.ended(3, None, head_s=0.1, spent_s=9.0, now=1.0)
    assert watch.seats is None
