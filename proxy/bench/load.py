"""The load of one cell: a closed loop of clients, or arrivals that wait for nobody; warm-up before, measurement after.

Owns when a request is due. A closed loop's request is due when its client is free, one of an open loop when the plan
says so, and a later one of a session so long after the answer before it.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Final, Literal

from proxy.bench.asks import Source
from proxy.bench.details import Side
from proxy.bench.feeder import Feeder, Turn, mean_asks, offsets
from proxy.bench.lag import LagWatch
from proxy.bench.player import Player
from proxy.bench.run_file import Client, Warmup
from proxy.bench.spec import Finished, LoadSpec
from proxy.bench.text import rng_of

OPEN_MAX: Final = 20_000
"""Requests under way at once; an open loop that would have more has failed to find an answer, and ends."""
_FILLING: Final = 8
"""Clients that fill caches where the load is no closed loop."""
Phase = Literal["filling", "warming up", "measuring", "ending"]


class Load:
    """One per cell. `run`, then it is over; cancelled, it says by `cut_short` how far it came."""

    def __init__(self, spec: LoadSpec, source: Source, player: Player, watch: LagWatch) -> None:
        self._spec, self._source, self._player, self._watch = spec, source, player, watch
        self._done = {side: frozenset(numbers) for side, numbers in spec.done.items()}
        self._sides: tuple[Side, ...] = tuple(spec.targets)
        self._feeder = Feeder(source, spec.seed, spec.requests)
        self._until: float | None = None
        self._notes: list[str] = []
        self._warmup = Warmup()
        self.phase: Phase = "warming up"

    async def run(self) -> Finished:
        """All of it."""
        self._warmup = warmup = await self._warm()
        self.phase = "measuring"
        self._watch.start()
        start = time.monotonic()
        self._until = None if self._spec.duration_s is None else start + self._spec.duration_s
        if self._spec.arrivals.process == "closed":
            await self._closed(self._feeder, self._spec.arrivals.concurrency or 1, recorded=True)
        else:
            await self._open(self._feeder, start)
        client = self._watch.told()
        self._watch.stop()
        await self._player.settle()
        self.phase = "ending"
        whole = self._spec.duration_s is not None or self._feeder.is_exhausted
        return Finished(client=client, warmup=warmup, whole=whole, notes=self._notes)

    def cut_short(self) -> Finished:
        """What there is of one that was stopped."""
        measured = self.phase == "measuring"
        client = self._watch.told() if measured else Client()
        return Finished(client=client, warmup=self._warmup, whole=False, notes=self._notes)

    async def _warm(self) -> Warmup:
        began = time.monotonic()
        clients = self._spec.arrivals.concurrency or _FILLING
        sent = 0
        if self._spec.fills_caches:
            self.phase = "filling"
            await self._closed(Feeder(self._source, self._spec.seed, self._spec.requests), clients, recorded=False)
            sent = self._player.sent
        if self._spec.warmup:
            self.phase = "warming up"
            feeder = Feeder(self._source, self._spec.seed, self._spec.warmup, warms_up=True)
            await self._closed(feeder, min(clients, self._spec.warmup), recorded=False)
            sent = self._player.sent
        failed, self._player.sent, self._player.failed = self._player.failed, 0, 0
        return Warmup(requests=sent, failed=failed, seconds=round(time.monotonic() - began, 3))

    # closed loop

    async def _closed(self, feeder: Feeder, clients: int, *, recorded: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(clients):
                tasks.create_task(self._client(feeder, recorded))

    async def _client(self, feeder: Feeder, recorded: bool) -> None:
        while not self._is_over() and (turn := feeder.next()) is not None:
            await self._session(turn, time.monotonic(), recorded)

    def _is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    # open loop

    async def _open(self, feeder: Feeder, start: float) -> None:
        moments = self._moments()
        last = min((self._done.get(side, frozenset()) for side in self._sides), key=len)
        shift: float | None = None
        async with asyncio.TaskGroup() as tasks:
            while (turn := feeder.next()) is not None:
                at = turn.session.at
                offset = next(moments) if at is None or self._spec.arrivals.process != "trace" else at
                if last and turn.first in last:
                    continue
                if shift is None:
                    shift = offset if last else 0.0
                due = start + offset - shift
                if self._until is not None and due >= self._until:
                    return
                await _until(due)
                if self._player.open >= OPEN_MAX:
                    self._notes.append(f"ended early: {OPEN_MAX:,} requests were under way at once")
                    return
                tasks.create_task(self._session(turn, due, True))

    def _moments(self) -> Iterator[float]:
        arrivals = self._spec.arrivals
        return offsets(arrivals, rng_of("arrivals", self._spec.seed), mean_asks(self._source, self._spec.seed))

    # sessions

    async def _session(self, turn: Turn, due: float, recorded: bool) -> None:
        """Its requests, one after the other; of a pair both, the first in turns."""
        for position, ask in enumerate(turn.session.asks):
            number = turn.first + position
            if recorded and all(number in self._done.get(side, ()) for side in self._sides):
                continue
            if position and ask.gap_s:
                due = time.monotonic() + ask.gap_s
                if self._until is not None and due >= self._until and recorded:
                    return
                await _until(due)
            elif position:
                due = time.monotonic()
            for at, side in enumerate(self._order(number)):
                if recorded and number in self._done.get(side, ()):
                    continue
                await self._player.play(number, ask, side, time.monotonic() if at else due, recorded=recorded)
            if recorded and self._is_over():
                return

    def _order(self, number: int) -> tuple[Side, ...]:
        """The second of a pair is sent when the first is over; which is first is drawn."""
        if len(self._sides) == 1 or rng_of("order", self._spec.seed, number).random() < 0.5:
            return self._sides
        return self._sides[::-1]


async def _until(due: float) -> None:
    wait = due - time.monotonic()
    if wait > 0:
        await asyncio.sleep(wait)
