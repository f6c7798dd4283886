"""Bulk beside requests that somebody waits for."""

from proxy.core.learn.entry import Entry
from proxy.core.learn.yielding import Yielding
from proxy.model.request import Job


def job(*, bulk: bool) -> Entry:
    entry = Entry(Job(1, "m"), 0.0, 0.0)
    entry.bulk = bulk
    return entry


def fill(known: Yielding, most: int = 1000) -> int:
    sent = 0
    while sent < most and known.has_room(0):
        known.sent(job(bulk=True))
        sent += 1
    return sent


def beside_a_chat() -> Yielding:
    known = Yielding()
    known.sent(job(bulk=False))
    return known


def turn_over(known: Yielding, count: int, now: float) -> None:
    for _ in range(count):
        known.left(job(bulk=True), now)
        fill(known)


def test_alone_it_may_have_everything() -> None:
    assert fill(Yielding()) == 1000


def test_beside_a_chat_it_begins_with_little_and_doubles_while_nobody_minds() -> None:
    known = beside_a_chat()
    assert fill(known) == 8
    turn_over(known, 8, 1.0)
    assert known.inside == 16


def test_somebody_who_is_late_takes_a_part_back_once_for_one_cause() -> None:
    known = beside_a_chat()
    known.cap = 100.0
    fill(known)
    known.late(10.0)
    known.late(10.5)
    assert known.cap == 85.0
    known.late(14.0)
    assert known.cap < 85.0


def test_near_what_was_too_much_it_comes_back_slowly() -> None:
    known = beside_a_chat()
    known.cap = 100.0
    fill(known)
    known.late(0.0)
    turn_over(known, 10, 1.0)
    assert known.cap == 85.0, "at rest"
    turn_over(known, 60, 5.0)
    middle = known.cap
    assert 94.0 < middle < 98.0
    turn_over(known, 40, 5.0)
    assert known.cap - middle < 2.5


def test_a_queue_in_the_engine_keeps_it_away() -> None:
    known = beside_a_chat()
    known.sent(job(bulk=True))
    assert known.has_room(1)
    assert not known.has_room(2)


def test_one_may_always_be_there() -> None:
    known = beside_a_chat()
    for at in range(0, 100, 10):
        fill(known)
        known.late(float(at))
    assert known.cap >= 1.0
    assert Yielding().has_room(1000)


def test_long_after_the_last_chat_nobody_is_there() -> None:
    known = beside_a_chat()
    known.left(job(bulk=False), 0.0)
    fill(known)
    assert known.inside == 8
    turn_over(known, 100, 1.0)
    assert known.alone
    assert fill(known) > 900


def test_lateness_without_bulk_has_other_causes() -> None:
    known = beside_a_chat()
    known.late(1.0)
    assert known.cap == 8.0
