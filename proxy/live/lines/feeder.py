"""Lines of batches, fed to the scheduler while there is room: a few wait for a place on an engine, all others stay on
the disk.

    store ─read─▶ slices of batches ─turn─▶ out: waiting (at most `ahead`) or on an engine ─▶ results ─write─▶ store

Owns who is out, what comes again, and the results that are not written yet. A disk that is full pauses all of it: what
is out ends, nothing else begins, and what is there is written when it can be.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.core.bulk.turns import QUANTUM, QUANTUM_B, Turns
from proxy.live.batches.closing import line_name, read_lines
from proxy.live.batches.database import StoreFullError
from proxy.live.batches.store import StoreThread
from proxy.live.downstream.connection import Edge
from proxy.live.exchange import Exchange
from proxy.live.lines.call import Ending, LineConnection, LineExchange, ending, message_of
from proxy.live.lines.running import FIRST_PAUSE_S, Out, Ready, Running
from proxy.live.serving import Serving
from proxy.model.batch import LineResult
from proxy.model.timeline import Clock
from proxy.wire import batch_objects
from proxy.wire.batch_lines import body_of

_log = logging.getLogger("tidegate.batches")

_LOOK_S: Final = 0.05
"""How soon is seen that a line has left for an engine, if nothing else happens."""
_WRITE_S: Final = 0.05
"""Results are written together that come within this time."""
FULL_S: Final = 2.0
"""How soon a full disk is tried again."""
_SLICE: Final = 128
"""Lines of a batch that are read at once…"""
_SLICE_B: Final = 4 * 1024 * 1024
"""…and bytes of them."""
_MOST_OUT: Final = 4096
"""Lines that are out at once, on engines too."""
_MOST_OUT_B: Final = 128 * 1024 * 1024
"""Their texts together."""
_AT_ONCE: Final = 8
"""Lines that are begun in one turn of the loop: others have theirs."""


class Feeder:
    """One per proxy. `serving`: what requests are served by now; `exchanges`: all that run; `weight`: a tenant's
    share."""

    def __init__(
        self,
        thread: StoreThread,
        edge: Edge,
        serving: Callable[[], Serving],
        exchanges: set[Exchange],
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        weight: Callable[[str], float],
    ) -> None:
        self._thread = thread
        self._edge = edge
        self._serving = serving
        self._exchanges = exchanges
        self._loop = loop
        self._clock = clock
        self._weight = weight
        self._ahead = thread.store.settings.ahead
        self._attempts = thread.store.settings.attempts
        self._turns = Turns()
        self._turn: Running | None = None
        self._turn_b = 0
        """Bytes of its lines that still go in this turn."""
        self._turn_lines = 0
        self._news = asyncio.Event()
        self._out_b = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None
        self.running: dict[int, Running] = {}
        """Batches by their numbers."""
        self.is_full = False
        """There is no room for results."""
        self.is_stopped = False
        self.retried = self.done = self.failed = self.prompt_tokens = self.completion_tokens = 0

    # --- batches

    def add(self, one: Running) -> None:
        """A batch whose lines may run."""
        self.running[one.batch.number] = one
        self._news.set()

    async def all_done(self, one: Running) -> None:
        """Until each of its lines has a result that is written."""
        while not one.has_all:
            await one.news()

    async def end(self, one: Running) -> None:
        """None of its lines begins any more, those that are out are cut; until what is done is written."""
        one.end()
        self._cut([out.exchange for out in one.out.values()])
        while not one.is_at_rest:
            await one.news()
        self.running.pop(one.batch.number, None)

    def rest(self) -> None:
        """Nothing begins any more, and what waits for an engine is cut; what is on one may come to its end."""
        self.is_stopped = True
        outs = [out.exchange for one in self.running.values() for out in one.out.values()]
        self._cut([exchange for exchange in outs if exchange.waits])

    async def stop(self) -> None:
        """The same, and what is on an engine is cut; what is done is written, if it can be."""
        self.is_stopped = True
        for task in [*self._lines, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._lines, *self._tasks, return_exceptions=True)
        for one in self.running.values():
            await self._write(one)

    async def run(self) -> None:
        """Feed, until cancelled."""
        while True:
            self._news.clear()
            may_be_more = not (self.is_stopped or self.is_full) and self._feed_some()
            wait_s = 0.0 if may_be_more else _LOOK_S if self.running else None
            try:
                await asyncio.wait_for(self._news.wait(), wait_s)
            except TimeoutError:
                await asyncio.sleep(0)

    # --- out

    def _feed_some(self) -> bool:
        """Begin a few lines; whether there may be more."""
        now = self._clock()
        room = min(_AT_ONCE, self._room())
        for _ in range(room):
            one = self._next(now)
            if one is None:
                return False
            self._begin(one, one.next(now))
        return room > 0  # those that went to an engine at once have left room behind

    def _room(self) -> int:
        """How many lines may begin."""
        if self._out_b >= _MOST_OUT_B:
            return 0
        outs = [out for one in self.running.values() for out in one.out.values()]
        return min(_MOST_OUT - len(outs), self._ahead - sum(out.exchange.waits for out in outs))

    def _next(self, now: float) -> Running | None:
        """Whose turn it is, of those that have a line ready; whoever has it goes on for as long as a turn is."""
        for one in self.running.values():
            if one.wants_more(_SLICE // 4):
                one.is_reading = True
                self._do(self._read(one))
        if self._turn is not None and self._turn_b > 0 and self._turn_lines > 0 and self._turn.has_next(now):
            return self._turn
        ready = [(number, one.batch.owner.whose) for number, one in self.running.items() if one.has_next(now)]
        number = self._turns.next(ready)
        self._turn = None if number is None else self.running[number]
        self._turn_b, self._turn_lines = QUANTUM_B, QUANTUM
        return self._turn

    def _begin(self, one: Running, ready: Ready) -> None:
        size_b, owner = len(ready.raw), one.batch.owner
        self._turn_b -= size_b
        self._turn_lines -= 1
        self._turns.went(one.batch.number, owner.whose, size_b, self._weight(owner.tenant))
        self._out_b += size_b
        name = line_name(one.batch.id, ready.line.line)
        connection = LineConnection(self._edge)
        message = message_of(one.batch, ready.line, name, body_of(ready.raw), one.due, one.yields_until)
        exchange = LineExchange(connection, message, self._serving())
        one.out[ready.line.line] = Out(ready, exchange)
        exchange.task = task = self._loop.create_task(exchange.run())
        self._exchanges.add(exchange)
        self._lines.add(task)
        task.add_done_callback(lambda _: self._back(one, ready, exchange, connection, name))

    def _back(self, one: Running, ready: Ready, exchange: LineExchange, connection: LineConnection, name: str) -> None:
        """Its task is over; one that was cancelled before its first step has done nothing at all."""
        assert exchange.task is not None
        self._lines.discard(exchange.task)
        self._exchanges.discard(exchange)
        connection.finished()
        self._out_b -= len(ready.raw)
        self._ended(one, ready, exchange, connection, name)
        del one.out[ready.line.line]
        one.tell()
        self._news.set()

    def _ended(self, one: Running, ready: Ready, exchange: LineExchange, connection: LineConnection, name: str) -> None:
        """Its result, or once more."""
        line, now, fault = ready.line, self._clock(), exchange.ended.fault
        match ending(exchange.ended, connection.status, is_cut=connection.is_cut):
            case Ending.ANSWERED:
                record = batch_objects.answered(name, line.custom_id, connection.status, name, connection.body)
                one.pause_s = FIRST_PAUSE_S
                is_good, usage = connection.status < 400, exchange.usage
            case Ending.AGAIN:
                if not self.is_stopped:
                    one.nobody_had_room(now, None if fault is None else fault.retry_after_s)
                    one.again(ready, now)
                return
            case Ending.FAILED if ready.failures + 1 < self._attempts:
                self.retried += 1
                one.again(ready._replace(failures=ready.failures + 1), now + FIRST_PAUSE_S * 2**ready.failures)
                return
            case _:
                code, text = ("server_error", "No answer came.") if fault is None else (fault.kind.value, fault.message)
                said = connection.body
                if connection.status >= 400 and said and not connection.is_cut:
                    record = batch_objects.answered(name, line.custom_id, connection.status, name, said)
                else:
                    record = batch_objects.unanswered(name, line.custom_id, code, text)
                is_good, usage = False, exchange.usage
        tokens = usage.prompt_tokens or 0, usage.cached_tokens or 0, usage.completion_tokens or 0
        one.unwritten.append(LineResult(line.line, is_good, record, *tokens))
        if self._writing is None:
            self._writing = self._do(self._write_all())

    def _cut(self, exchanges: list[LineExchange]) -> None:
        for exchange in exchanges:
            if exchange.task is not None:
                exchange.task.cancel()

    # --- the disk

    def _do(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self, one: Running) -> None:
        store = self._thread.store
        try:
            lines = await self._thread.run(store.batches.waiting, one.batch.number, one.behind, _SLICE)
            texts = await self._thread.run(read_lines, one.descriptor, lines, _SLICE_B)
            ready = [Ready(line, raw) for line, raw in zip(lines, texts, strict=False)]
            one.read(ready, is_last=not lines)
        finally:
            one.is_reading = False
            one.tell()
            self._news.set()

    async def _write_all(self) -> None:
        """What there is of results, some of them together; until there are none."""
        try:
            while any(one.unwritten for one in self.running.values()):
                await asyncio.sleep(FULL_S if self.is_full else _WRITE_S)
                for one in list(self.running.values()):
                    await self._write(one)
        finally:
            self._writing = None

    async def _write(self, one: Running) -> None:
        results = one.unwritten[:]
        if not results:
            return
        try:
            await self._thread.run(self._thread.store.batches.put, one.batch.number, results)
        except StoreFullError as error:
            if not self.is_full:
                _log.warning("batches pause: %s", error)
            self.is_full = True
            return
        if self.is_full:
            _log.warning("batches go on: there is room again")
            self.is_full = False
        del one.unwritten[: len(results)]
        good = sum(result.is_good for result in results)
        one.done, one.failed = one.done + good, one.failed + len(results) - good
        self.done, self.failed = self.done + good, self.failed + len(results) - good
        self.prompt_tokens += sum(result.prompt_tokens for result in results)
        self.completion_tokens += sum(result.completion_tokens for result in results)
        one.outlook.ended(len(results), self._clock())
        one.tell()
        self._news.set()
