"""Engines whose answers come in one piece: a queue is told from a large batch by short answers alone."""

import random
from heapq import heappop, heappush

import pytest

from proxy.core.learn.entry import Entry
from proxy.core.learn.one_piece import OnePiece
from proxy.model.request import Job


def played(places: int | None, ends: int, spread: float, seed: int = 1) -> OnePiece:
    """An engine of so many places (None: any number) that everybody wants to send something; answers take a tenth of a
    second per token, lognormally many."""
    rng, known = random.Random(seed), OnePiece()
    queue: list[tuple[Entry, int]] = []
    running: list[tuple[float, int, Entry, int]] = []
    now, number = 0.0, 0
    for _ in range(ends):
        while known.has_room():
            number += 1
            entry = Entry(Job(number, "m"), 0.0, now)
            known.sent(entry)
            queue.append((entry, max(1, round(100 * rng.lognormvariate(0.0, spread)))))
        while queue and (places is None or len(running) < places):
            entry, tokens = queue.pop(0)
            heappush(running, (now + tokens / 10, entry.place, entry, tokens))
        now, _, entry, tokens = heappop(running)
        known.ended(entry, tokens)
        known.left()
    return known


@pytest.mark.parametrize("places", [1, 8, 32])
@pytest.mark.parametrize("seed", range(3))
def test_a_queue_is_seen_and_shortened(places: int, seed: int) -> None:
    cap = played(places, 3000, spread=0.8, seed=seed).cap
    assert places <= cap <= max(8.0, 2.0 * places)


@pytest.mark.parametrize("spread", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_an_engine_that_takes_everything_is_sent_everything(spread: float, seed: int) -> None:
    assert played(None, 1500, spread, seed).cap >= 512


def test_where_all_are_equally_long_nothing_is_bounded_for_long() -> None:
    assert played(8, 3000, spread=0.0).cap >= 512


def test_metrics_tell_at_once() -> None:
    known = OnePiece()
    known.inside, known.denied = 64, True
    known.told(8.0, 56.0)
    assert known.cap == 10.0
    known.inside, known.denied = 10, True
    known.told(10.0, 0.0)
    assert known.cap == 20.0


def test_metrics_of_something_else_tell_nothing() -> None:
    known = OnePiece()
    known.inside = 64
    known.told(2.0, 8.0)
    assert known.cap == 64.0


def test_below_what_it_may_have_nothing_changes() -> None:
    known = OnePiece()
    for number in range(500):
        entry = Entry(Job(number, "m"), 0.0, 0.0)
        known.sent(entry)
        known.ended(entry, 10)
        known.left()
    assert known.cap == 64.0
