"""Seats of an engine that does not tell them, and what is learned beside them."""

import pytest

from proxy.core.seats import SeatWatch
from proxy.model.commands import Restarted
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


@pytest.mark.parametrize(("seats", "samples", "slow"), [(1, 1, 1.0), (None, 2, 1.5)])
def test_the_wait_for_a_seat_is_no_prefill(seats: int | None, samples: int, slow: float) -> None:
    engine = OneEngine(seats=seats)
    engine.submit(1)
    engine.first_token(1, 0.1)
    engine.submit(2)
    engine.finish(1, 10.0)
    engine.first_token(2, 10.1)
    engine.finish(2, 11.0)
    assert engine.view().samples == samples
    assert (engine.view().slow > slow) is (seats is None)


def test_one_that_waits_for_a_seat_is_not_late() -> None:
    engine = OneEngine(seats=1)
    engine.submit(1)
    engine.first_token(1, 0.1)
    engine.submit(2)
    engine.now = 50.0
    assert engine.view().backlog_s < 1.0
    engine.scheduler.cancel(2, 50.0)
    assert engine.view().slow == 1.0, "given up after 50 s, none of which were prefill"
