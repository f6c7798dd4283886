"""The life of each batch, from the file that it is made of to the files that it leaves: one coroutine for each.

    validating ─▶ in_progress ─▶ finalizing ─▶ completed | expired          a restart begins where the state says
         └──────────┴─ cancelling ─▶ cancelled

Owns these lives, and the removal of what is old. A disk that is full, or fails, delays a life and ends none.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from typing import Final

from proxy.live.batches.closing import Closing
from proxy.live.batches.database import StoreFullError
from proxy.live.batches.store import StoreThread
from proxy.live.batches.validation import Validation
from proxy.live.lines.feeder import FULL_S, Feeder
from proxy.live.lines.running import Running
from proxy.model.batch import ENDED, Batch, BatchesView, BatchState
from proxy.model.timeline import Clock

_log = logging.getLogger("tidegate.batches")

_SWEEP_S: Final = 60.0
_NOTE_S: Final = 15.0
"""A forecast is judged by what it said so often."""
_OUTLIVES: Final = (sqlite3.Error, OSError, StoreFullError)


class Life:
    """Of one batch."""

    __slots__ = ("batch", "cancelled", "over", "running", "task")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.cancelled = asyncio.Event()
        self.over = asyncio.Event()
        """Its window is."""
        self.running: Running | None = None
        self.task: asyncio.Task[None] | None = None


class Keeper:
    """One per proxy. `wall`: seconds since 1970, which no jump of the clock moves."""

    def __init__(
        self, thread: StoreThread, feeder: Feeder, wall: Clock, clock: Clock, follow: Callable[[], None]
    ) -> None:
        """`follow`: called once a minute, for the clock on the wall to be followed."""
        self._thread = thread
        self._store = thread.store
        self._feeder = feeder
        self._wall = wall
        self._clock = clock
        self._follow = follow
        self._lives: dict[int, Life] = {}
        self._states: dict[str, int] = {}
        self._errors: list[float] = []
        """Of forecasts, of the batches that were done last."""

    def changed(self, batch: Batch) -> None:
        """A client made or cancelled it."""
        life = self._lives.get(batch.number)
        if life is None:
            life = self._lives[batch.number] = Life(batch)
            life.task = asyncio.get_running_loop().create_task(self._live(life))
        if batch.state is BatchState.CANCELLING:
            life.cancelled.set()

    def eta_s(self, number: int) -> float | None:
        """Seconds until its last line has its result; None: nobody knows."""
        life = self._lives.get(number)
        running = None if life is None else life.running
        return None if running is None else running.outlook.eta_s(running.left, self._clock())

    async def begin(self) -> None:
        """Whatever had not ended goes on."""
        for batch in await self._thread.run(self._store.batches.unfinished):
            self.changed(batch)
        self._states = await self._thread.run(self._store.batches.states)

    async def run(self) -> None:
        """Remove what is old, each minute, until cancelled."""
        while True:
            try:
                await self._sweep()
            except _OUTLIVES as error:
                _log.warning("the store could not be tidied: %s", error)
            for _ in range(int(_SWEEP_S / _NOTE_S)):
                await asyncio.sleep(_NOTE_S)
                now = self._clock()
                for running in self._feeder.running.values():
                    running.outlook.note(running.left, now)
            self._follow()

    async def stop(self) -> None:
        """Every life stays where it is."""
        tasks = [life.task for life in self._lives.values() if life.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def view(self) -> BatchesView:
        """All that there is."""
        feeder, now, files = self._feeder, self._clock(), self._store.files
        lives = [life.batch for life in self._lives.values()]
        running = list(feeder.running.values())
        out = sum(len(one.out) for one in running)
        return BatchesView(
            dict(self._states),
            sum(one.left for one in running) - out,
            out,
            feeder.done,
            feeder.failed,
            feeder.retried,
            feeder.prompt_tokens,
            feeder.completion_tokens,
            max((self._wall() - batch.created for batch in lives), default=0.0),
            files.count,
            files.used_b,
            files.size_b,
            feeder.is_full,
            sum(self._errors) / len(self._errors) if self._errors else None,
            tuple(one.view(now) for one in running),
        )

    # --- a life

    async def _live(self, life: Life) -> None:
        while life.batch.state not in ENDED:
            try:
                await self._step(life)
                self._states = await self._thread.run(self._store.batches.states)
            except _OUTLIVES as error:
                _log.warning("batch %s waits: %s", life.batch.id, error)
                await asyncio.sleep(FULL_S)
        del self._lives[life.batch.number]
        batch = life.batch
        _log.info(
            "batch %s is %s: %d of %d done, %d failed", batch.id, batch.state, batch.done, batch.total, batch.failed
        )
        await self._clear(batch.number)

    async def _step(self, life: Life) -> None:
        match life.batch.state:
            case BatchState.VALIDATING:
                await self._validate(life)
            case BatchState.IN_PROGRESS:
                await self._run(life)
            case BatchState.FINALIZING:
                has_all = life.batch.left <= 0
                await self._close(life, BatchState.COMPLETED if has_all else BatchState.EXPIRED)
            case _:
                await self._close(life, BatchState.CANCELLED)

    async def _validate(self, life: Life) -> None:
        validation = await self._thread.run(Validation, self._store, life.batch)
        try:
            while not life.cancelled.is_set() and await self._thread.run(validation.step):
                pass
            if not life.cancelled.is_set():
                await self._thread.run(validation.finish, self._wall())
        finally:
            self._thread.later(validation.close)
        await self._look(life)

    async def _run(self, life: Life) -> None:
        batch, now = life.batch, self._clock()
        left_s = min(batch.expires - self._wall(), batch.expires - batch.created)
        opened = await self._thread.run(self._store.open_file, batch.owner.whose, batch.input_file)
        if opened is None:
            _log.error("batch %s: its input file is not there any more", batch.id)
        else:
            running = life.running = Running(batch, opened[0], now + left_s, now)
            try:
                await self._until_over(life, running, left_s)
            finally:
                life.running = None
                self._thread.later(lambda: os.close(running.descriptor))
        await self._thread.run(self._store.batches.move, batch.number, BatchState.FINALIZING, self._wall())
        await self._look(life)

    async def _until_over(self, life: Life, running: Running, left_s: float) -> None:
        """Until all lines have their results, the window is over or a client cancels it; nothing of it is out then."""
        self._feeder.add(running)
        waits = [
            asyncio.ensure_future(self._feeder.all_done(running)),
            asyncio.ensure_future(life.cancelled.wait()),
            asyncio.ensure_future(life.over.wait()),
        ]
        try:
            await asyncio.wait(waits, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        error = running.outlook.error(self._clock()) if running.has_all else None
        if error is not None:
            self._errors = [*self._errors, error][-16:]
        await self._feeder.end(running)

    async def _close(self, life: Life, after: BatchState) -> None:
        closing = Closing(self._store, life.batch, after)
        try:
            while await self._thread.run(closing.step):
                pass
            await self._thread.run(closing.finish, self._wall())
        finally:
            self._thread.later(closing.drop)
        await self._look(life)

    async def _look(self, life: Life) -> None:
        """What it is now, whoever changed it."""
        life.batch = await self._thread.run(self._store.batches.get, life.batch.number)

    # --- what is old

    async def _clear(self, number: int) -> None:
        has_more = True
        while has_more:
            has_more = await self._thread.run(self._store.batches.clear, number)

    async def _sweep(self) -> None:
        now, keep_s = self._wall(), self._store.settings.keep
        count = 1
        while count:
            count = await self._thread.run(self._store.files.sweep, now, keep_s)
        await self._thread.run(self._store.batches.sweep, now, keep_s)
        for number in await self._thread.run(self._store.batches.leftovers):
            await self._clear(number)
        self._states = await self._thread.run(self._store.batches.states)
