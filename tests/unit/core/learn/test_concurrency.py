"""How much an engine is sent of which nobody told how many requests it runs."""

from proxy.core.learn.concurrency import Concurrency
from proxy.core.learn.entry import Entry
from proxy.model.request import Job


class Engine:
    """Begins with what it is sent, in that order, whenever it is told to; everybody wants to send it something."""

    def __init__(self, *, stream: bool = True, bulk: bool = False) -> None:
        self.known = Concurrency(learns=True)
        self.now = 0.0
        self.queue: list[Entry] = []
        self.running: list[Entry] = []
        self._stream, self._bulk, self._count = stream, bulk, 0

    def send(self, *, stream: bool | None = None, bulk: bool | None = None) -> Entry | None:
        streams = self._stream if stream is None else stream
        is_bulk = self._bulk if bulk is None else bulk
        if not self.known.has_room(streams=streams, bulk=is_bulk):
            return None
        self._count += 1
        entry = Entry(Job(self._count, "m", stream=streams), 0.0, self.now)
        entry.streams, entry.bulk = streams, is_bulk
        self.known.sent(entry, self.now)
        self.queue.append(entry)
        return entry

    def fill(self) -> int:
        sent = 0
        while sent < 5000 and self.send() is not None:
            sent += 1
        return sent

    def begin(self, count: int) -> None:
        """A step of the engine, after which each place in its queue is filled again."""
        for _ in range(min(count, len(self.queue))):
            entry = self.queue.pop(0)
            self.running.append(entry)
            if entry.streams:
                self.known.began(entry, self.now)
            self.fill()

    def end(self, entry: Entry, tokens: int = 100) -> None:
        self.known.ended(entry, tokens, self.now)
        self.known.left(entry, self.now)
        (self.running if entry in self.running else self.queue).remove(entry)


def test_at_first_a_few_are_sent_and_the_others_wait_here() -> None:
    engine = Engine()
    assert engine.fill() == 21
    assert engine.known.queued == 21


def test_an_engine_that_begins_with_all_it_has_is_sent_more_and_more() -> None:
    engine = Engine()
    engine.fill()
    for _ in range(4):
        engine.now += 0.05
        engine.begin(len(engine.queue))
    assert len(engine.running) > 300
    assert engine.known.reserve > 100


def test_one_that_begins_with_one_whenever_another_ends_is_left_with_a_few() -> None:
    engine = Engine()
    engine.fill()
    engine.begin(8)
    for _ in range(40):
        engine.now += 0.3
        engine.end(engine.running[0])
        engine.begin(1)
    assert len(engine.running) == 8
    assert engine.known.queued == 3


def test_an_engine_that_has_grown_is_noticed() -> None:
    engine = Engine()
    engine.fill()
    for _ in range(60):
        engine.now += 0.3
        engine.begin(1)
    assert engine.known.reserve == 3
    for _ in range(3):
        engine.now += 0.3
        engine.begin(len(engine.queue))
    assert engine.known.reserve > 20


def test_whoever_begins_shows_that_those_before_have_begun() -> None:
    engine = Engine()
    engine.fill()
    engine.known.began(engine.queue[15], 0.1)
    assert engine.known.queued == 5


def test_those_that_are_lost_or_withdrawn_leave_their_places() -> None:
    engine = Engine()
    engine.fill()
    for entry in list(engine.queue):
        engine.known.left(entry, 0.1)
    assert engine.known.queued == 0
    assert engine.known.has_room(streams=True, bulk=False)


def test_an_idle_engine_takes_whatever_was_learnt() -> None:
    engine = Engine(stream=False)
    engine.known.one_piece.cap = 0.0
    assert engine.fill() == 1


def test_where_it_was_told_nothing_is_learnt() -> None:
    known = Concurrency(learns=False)
    entry = Entry(Job(1, "m"), 0.0, 0.0)
    for _ in range(1000):
        assert known.has_room(streams=True, bulk=True)
        known.sent(entry, 0.0)
    assert known.queued == 0


def test_streams_tell_for_answers_in_one_piece_among_them() -> None:
    engine = Engine()
    for number in range(60):
        engine.send(stream=number % 2 == 0)
        if number < 30:
            engine.begin(1)
    assert engine.send(stream=False) is None
    assert engine.known.one_piece.inside < engine.known.one_piece.cap


def test_the_rate_is_known_after_a_second() -> None:
    engine = Engine()
    engine.fill()
    assert engine.known.rate(0.5) == 0.0
    for _ in range(100):
        engine.now += 0.1
        engine.begin(1)
    assert 8.0 < engine.known.rate(engine.now) < 12.0


def test_metrics_that_tell_of_other_things_are_not_believed() -> None:
    engine = Engine(stream=False)
    engine.fill()
    engine.known.told(4.0, 8.0)
    assert engine.known.one_piece.cap == 64.0
    engine.known.told(8.0, 56.0)
    assert engine.known.one_piece.cap == 10.0
