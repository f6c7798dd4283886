"""One batch that runs: which line is next, what comes again, and when it is at rest."""

from typing import Any, cast

from proxy.live.lines.running import FIRST_PAUSE_S, LONGEST_PAUSE_S, Out, Ready, Running
from proxy.model.batch import Batch, BatchLine, Owner
from tests.unit.live.batches.folder import result


def ready(number: int) -> Ready:
    return Ready(BatchLine(b"h", number, 0, 1, f"c{number}"), b"x")


def one() -> Running:
    batch = Batch(
        number=1, id="b", owner=Owner(b""), endpoint="", input_file="", window="", created=0, expires=9, total=3
    )
    return Running(batch, -1, 9.0, 0.0)


def test_lines_go_in_their_order_and_those_that_come_again_first() -> None:
    running = one()
    assert running.wants_more(1)
    assert not running.has_next(0.0)
    running.read([ready(1), ready(2)], is_last=False)
    running.read([ready(3)], is_last=True)
    assert running.behind == (b"h", 3)
    assert running.next(0.0).line.line == 1
    running.again(ready(1), 5.0)
    assert [running.next(0.0).line.line, running.next(6.0).line.line, running.next(6.0).line.line] == [2, 1, 3]
    assert running.has_all


def test_nobody_has_room_for_longer_and_longer() -> None:
    running = one()
    running.read([ready(1)], is_last=True)
    running.nobody_had_room(0.0, None)
    running.nobody_had_room(0.1, None)
    assert running.pause_until == FIRST_PAUSE_S
    assert not running.has_next(0.1)
    assert running.has_next(FIRST_PAUSE_S)
    now = 0.0
    for _ in range(20):
        now = running.pause_until
        running.nobody_had_room(now, None)
    assert running.pause_until - now == LONGEST_PAUSE_S
    running = one()
    running.nobody_had_room(0.0, 20.0)
    assert running.pause_until == 20.0, "as long as it was told to"
    running.nobody_had_room(20.0, 70_000.0)
    assert running.pause_until == 20.0 + LONGEST_PAUSE_S, "a quota may be changed before the day is over"


def test_at_rest_when_nothing_is_on_its_way() -> None:
    running = one()
    running.read([ready(1)], is_last=False)
    running.out[2] = Out(ready(2), cast(Any, None))
    running.end()
    running.again(ready(2), 0.0)
    running.read([ready(3)], is_last=False)
    assert not running.has_next(0.0)
    assert not running.is_at_rest
    del running.out[2]
    running.unwritten.append(result(2))
    assert not running.is_at_rest
    running.unwritten.clear()
    assert running.is_at_rest


def test_what_is_shown() -> None:
    running = one()
    running.done = 1
    view = running.view(4.0)
    assert (view.total, view.done, view.failed, view.running, view.left_s) == (3, 1, 0, 0, 5.0)


def test_lines_yield_until_those_before_them_should_have_gone() -> None:
    running = one()
    running.due = 4000.0
    assert running.yields_until == 1000.0, "a third of three quarters of the window"
    running.out[1] = Out(ready(1), cast(Any, None))
    assert running.yields_until == 2000.0
    running.done = 2
    assert running.yields_until == 3000.0
