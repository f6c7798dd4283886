"""Which session comes next, and when: the order of a plan.

Owns the numbers of requests: they count on through all sessions, so that a number means the same request in every run
of a seed.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import NamedTuple

from proxy.bench.asks import Session, Source
from proxy.bench.run_file import Arrivals


class Turn(NamedTuple):
    """A session, and the number of its first request."""

    first: int
    session: Session


class Feeder:
    """Sessions in order, until so many requests are given out; for warming up, others."""

    def __init__(self, source: Source, seed: int, requests: int | None, *, warms_up: bool = False) -> None:
        self._source, self._seed, self._requests, self._warms_up = source, seed, requests, warms_up
        self._number = self._index = 0
        self.is_stopped = False

    def next(self) -> Turn | None:
        """None: there are no more."""
        total = self._source.total
        left = None if self._requests is None else self._requests - self._index
        if self.is_stopped or (left is not None and left <= 0):
            return None
        if total is not None and self._number >= total and not self._warms_up:
            return None
        session = self._source.session(self._seed, -1 - self._number if self._warms_up else self._number)
        if left is not None and len(session.asks) > left:
            session = replace(session, asks=session.asks[:left])
        turn = Turn(self._index, session)
        self._number += 1
        self._index += len(session.asks)
        return turn

    @property
    def is_exhausted(self) -> bool:
        """All was given out that there is, or was wanted."""
        total = self._source.total
        wanted = self._requests is not None and self._index >= self._requests
        return wanted or (total is not None and self._number >= total)


def offsets(arrivals: Arrivals, rng: Random, asks_per_session: float = 1.0) -> Iterator[float]:
    """Seconds from the start at which sessions of an open loop begin, for ever: Poisson, or gamma-distributed pauses of
    the coefficient of variation `cv`."""
    rate = (arrivals.rate_per_s or 1.0) / asks_per_session
    shape = 1.0 if arrivals.process == "poisson" else 1 / (arrivals.cv or 1.0) ** 2
    at = rng.random() / rate
    while True:
        yield at
        at += rng.gammavariate(shape, 1 / (rate * shape))


def mean_asks(source: Source, seed: int) -> float:
    """Requests of a session, so that a rate is one of requests."""
    looked_at = 200 if source.total is None else min(200, source.total)
    return sum(len(source.session(seed, number).asks) for number in range(looked_at)) / max(1, looked_at)
