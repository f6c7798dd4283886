"""How an engine forms its batches, by when first tokens come."""

from proxy.core.learn.batching import Batching
from proxy.core.learn.entry import Entry
from proxy.model.request import Job


class Engine:
    """Says of itself what an engine shows."""

    def __init__(self) -> None:
        self.known = Batching()
        self.now = 0.0

    def sent(self, count: int = 1) -> list[Entry]:
        entries = [Entry(Job(0, "m", stream=True), self.now, self.now) for _ in range(count)]
        for entry in entries:
            entry.cost = 0.02
            self.known.sent()
        return entries

    def begin(self, *entries: Entry) -> None:
        for entry in entries:
            self.known.began(entry, self.now)

    def end(self, count: int = 1) -> None:
        for _ in range(count):
            self.known.left(True, self.now)

    def batches(self, count: int, takes: int) -> None:
        """One after the other, while as many again wait for the next."""
        waiting = self.sent(takes)
        for _ in range(count):
            self.now += 0.1
            self.begin(*waiting[:takes])
            waiting = waiting[takes:] + self.sent(takes)
            self.now += 1.0
            self.end(takes)


def test_an_engine_that_lets_nobody_join_is_static() -> None:
    engine = Engine()
    engine.batches(3, 4)
    assert not engine.known.static
    engine.batches(3, 4)
    assert engine.known.static
    assert engine.known.is_closed


def test_one_that_joins_proves_the_contrary() -> None:
    engine = Engine()
    for _ in range(20):
        first, second = engine.sent(2)
        engine.now += 0.1
        engine.begin(first)
        engine.now += 0.2
        engine.begin(second)
        engine.now += 1.0
        engine.end(2)
    assert not engine.known.static


def test_who_did_not_wait_for_long_says_nothing() -> None:
    """Prompts are computed one after the other by every engine."""
    engine = Engine()
    for _ in range(50):
        first, second = engine.sent(2)
        first.cost = second.cost = 1.0
        engine.now += 1.0
        engine.begin(first)
        engine.now += 0.1
        engine.end()
        engine.now += 0.9
        engine.begin(second)
        engine.end()
    assert not engine.known.static


def test_one_request_at_a_time_is_serial() -> None:
    engine = Engine()
    waiting = engine.sent(6)
    for _ in range(5):
        engine.now += 0.1
        engine.begin(waiting.pop(0))
        engine.now += 1.0
        engine.end()
    assert engine.known.serial


def static() -> Engine:
    engine = Engine()
    engine.batches(6, 4)
    for _ in range(4):
        engine.known.left(False, engine.now)
    assert engine.known.is_closed
    return engine


def test_the_largest_batch_is_found() -> None:
    engine = static()
    engine.known.most = 32
    entries = engine.sent(32)
    engine.now += 0.1
    engine.begin(*entries)
    engine.end(32)
    assert engine.known.most == 64
    entries = engine.sent(64)
    engine.now += 0.1
    engine.begin(*entries[:40])
    engine.now += 1.0
    engine.end(40)
    assert engine.known.most == 40


def test_an_engine_that_takes_up_the_first_alone_is_sent_all_as_they_come() -> None:
    engine = static()
    for _ in range(3):
        first, *others = engine.sent(4)
        engine.now += 0.1
        engine.begin(first)
        engine.now += 1.0
        engine.end()
        engine.now += 0.1
        engine.begin(*others)
        engine.now += 1.0
        engine.end(3)
    assert engine.known.static
    assert not engine.known.is_closed


def test_now_and_then_one_is_sent_to_see_whether_it_joins() -> None:
    engine = static()
    opened = 0
    for _ in range(64):
        (entry,) = engine.sent()
        engine.now += 0.1
        engine.begin(entry)
        if not engine.known.is_closed:
            opened += 1
            (guest,) = engine.sent()
            assert engine.known.is_closed
            engine.now += 1.0
            engine.end()
            engine.now += 0.1
            engine.begin(guest)
        engine.now += 1.0
        engine.end()
    assert opened == 2
    assert engine.known.static


def test_and_another_engine_is_another_engine() -> None:
    engine = static()
    engine.known.forget()
    assert not engine.known.is_closed
