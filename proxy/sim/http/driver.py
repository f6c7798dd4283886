"""Runs the modelled engine on the event loop's clock.

Owns one timer and who waits for which request. The engine decides; nothing here does.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Emitted, SimRequest
from proxy.sim.engine.spec import EngineSpec


class EngineDriver:
    """The engine's time is the loop's, `speed` times as fast, from the start of the driver."""

    def __init__(self, engine: Engine, speed: float = 1.0) -> None:
        self.engine = engine
        self.speed = speed
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._runs: dict[int, EngineRun] = {}
        self._last_id = 0

    def now(self) -> float:
        """Seconds of the engine."""
        return (self._loop.time() - self._origin) * self.speed

    def run(self, prompts: Sequence[tuple[int, int, tuple[int, ...]]]) -> "EngineRun":
        """Submit (prompt tokens, output tokens, prefix hashes) together, when the Run is entered."""
        requests = []
        for prompt_tokens, output_tokens, hashes in prompts:
            self._last_id += 1
            requests.append(SimRequest(self._last_id, prompt_tokens, output_tokens, hashes))
        return EngineRun(self, requests)

    def submit(self, run: "EngineRun", requests: Sequence[SimRequest]) -> None:
        """For Run: start these."""
        now = self.now()
        for request in requests:
            self._runs[request.id] = run
            self.engine.submit(request, now)
        self._arm()

    def cancel(self, ids: Sequence[int]) -> None:
        """For Run: end these now."""
        now = self.now()
        for request_id in ids:
            self._runs.pop(request_id, None)
            self.engine.cancel(request_id, now)
        self._arm()

    def change_spec(self, spec: EngineSpec) -> None:
        """Other times per step from the next step on."""
        self.engine.change_spec(spec, self.now())
        self._fire()

    def close(self) -> None:
        """No more timers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self.close()
        at = self.engine.next_event_at()
        if at is not None:
            self._timer = self._loop.call_at(self._origin + at / self.speed, self._fire)

    def _fire(self) -> None:
        for emitted in self.engine.advance(self.now()):
            run = self._runs.pop(emitted.id, None) if emitted.finished else self._runs.get(emitted.id)
            if run is not None:
                run.put(emitted)
        self._arm()


class EngineRun:
    """The requests of one HTTP request. Leaving the block cancels what has not finished."""

    def __init__(self, driver: EngineDriver, requests: Sequence[SimRequest]) -> None:
        self._driver = driver
        self._requests = requests
        self._first_id = requests[0].id
        self._unfinished = {request.id for request in requests}
        self._queue: asyncio.Queue[Emitted] = asyncio.Queue()
        """Bounded by the tokens that were asked for."""

    async def __aenter__(self) -> Self:
        self._driver.submit(self, self._requests)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unfinished:
            self._driver.cancel(sorted(self._unfinished))

    def put(self, emitted: Emitted) -> None:
        """For the driver."""
        if emitted.finished:
            self._unfinished.discard(emitted.id)
        self._queue.put_nowait(emitted)

    async def next(self) -> tuple[int, Emitted] | None:
        """(position of the request, what happened to it); None when all have finished."""
        if not self._unfinished and self._queue.empty():
            return None
        emitted = await self._queue.get()
        return emitted.id - self._first_id, emitted
