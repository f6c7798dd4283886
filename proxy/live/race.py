"""The attempts of a job that may be hedged: one, or two at once. The first good first byte wins, the other is dropped.

    run ─▶ lane ──good──────────────────────────▶ the winner; a lane beside it is dropped at once
             │ late: hedge ─▶ a second lane ──┘
             └─failed─▶ the other lane goes on; the last one is the winner whatever it brought

Owns the tasks and the connections of both. That there is a second one, where it goes and that one has won are commands
of the scheduler, which holds both permits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from proxy.live import judge
from proxy.live.attempt import Call, Caller
from proxy.live.backends import Backend
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.model.commands import Dispatch
from proxy.model.faults import Fault
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter


class Lane:
    """One attempt, with a stopwatch and a meter of its own."""

    __slots__ = ("backend", "call", "hedge", "relay", "task")

    def __init__(self, backend: Backend, call: Call, relay: Relay, hedge: bool) -> None:
        self.backend = backend
        self.call = call
        self.relay: Relay | None = relay
        """Never None; the type is that of whoever holds an attempt."""
        self.hedge = hedge
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Nobody wants its answer any more: the engine is freed now."""
        if self.relay is not None:
            self.relay.release()
        if self.task is not None:
            self.task.cancel()
        self.let_go()

    def let_go(self) -> None:
        """It is over. What hears of its first token knows its meter, and an ended task its holder: cycles, which only a
        full collection would find."""
        self.call.meter.on_first = None
        self.task = None


class Race:
    """One per job that may be hedged."""

    __slots__ = (
        "_backends",
        "_call",
        "_caller",
        "_driver",
        "_lanes",
        "_new_relay",
        "_news",
        "asked",
        "attempts",
        "calls",
        "hedged",
        "spare",
    )

    def __init__(
        self,
        driver: Driver,
        caller: Caller,
        backends: dict[str, Backend],
        new_relay: Callable[[Call, Backend], Relay],
    ) -> None:
        self._driver = driver
        self._caller = caller
        self._backends = backends
        self._new_relay = new_relay
        self._call: Call | None = None
        """Of the attempt that may be hedged."""
        self._lanes: dict[str, Lane] = {}
        """By backend; at most two."""
        self._news = asyncio.Event()
        """Some lane is done."""
        self.attempts = 0
        """Number of the last one sent."""
        self.asked: set[str] = set()
        """Backends that failed beside another one."""
        self.hedged = False
        """There were two at once."""
        self.calls = 0
        """Times that attempts which failed beside another one were sent to an engine."""
        self.spare: Relay | None = None
        """An engine's own error answer that did not win: the client gets it when nothing better comes."""

    @property
    def is_racing(self) -> bool:
        """Whether two attempts are out."""
        return len(self._lanes) > 1

    async def run(self, call: Call, command: Dispatch) -> Lane:
        """From this attempt on, until one has an answer or the last one failed."""
        self._call = call
        self._start(call, command)
        while True:
            await self._news.wait()
            self._news.clear()
            for lane in list(self._lanes.values()):
                task = lane.task
                if task is None or not task.done() or lane.backend.name not in self._lanes:
                    continue
                task.result()
                if self._is_over(lane):
                    self._lanes.clear()
                    lane.task = None
                    return lane

    def hedge(self, command: Dispatch) -> None:
        """Send the job to this backend too."""
        self.hedged = True
        assert self._call is not None
        received = self._call.timeline.received
        self._start(replace(self._call, meter=Meter(), timeline=Timeline(received)), command)

    def drop(self, backend: str) -> None:
        """The attempt there has lost."""
        lane = self._lanes.pop(backend, None)
        if lane is not None:
            lane.stop()

    def end(self, fault: Fault) -> None:
        """Stop every attempt; what is out ends with `fault`."""
        for lane in self._lanes.values():
            if lane.relay is not None:
                lane.relay.on_fault(fault)
                lane.relay.release()

    def close(self) -> None:
        """Nobody waits any more."""
        for backend in list(self._lanes):
            self.drop(backend)

    # --- inside

    def _start(self, call: Call, command: Dispatch) -> None:
        backend = self._backends[command.backend]
        self.attempts = command.attempt
        call.timeline.released = monotonic()
        lane = self._lanes[backend.name] = Lane(backend, call, self._new_relay(call, backend), command.hedge)
        if call.request.stream:
            call.meter.on_first = lambda: self._driver.first_token(call.job.id, backend.name)
        lane.task = asyncio.ensure_future(self._caller.attempt(call, backend, command.attempt, lane))
        lane.task.add_done_callback(lambda _: self._news.set())

    def _is_over(self, lane: Lane) -> bool:
        """Whether nobody is waited for any more. An error does not win while the other attempt lives."""
        if not self.is_racing:
            return True
        job_id, backend, relay = lane.call.job.id, lane.backend, lane.relay
        assert relay is not None
        fault = judge.fault_of(relay, backend)
        if fault is None and relay.status < 400:
            self._driver.first_byte(job_id, backend.name)  # the scheduler says who has lost
            return True
        relay.release()
        lane.let_go()
        self.calls += relay.calls
        self.asked.add(backend.name)
        if fault is None:
            self.spare, fault = relay, judge.fault_of_answer(relay)
        del self._lanes[backend.name]
        self._driver.lost_one(job_id, fault, backend.name)
        return False
