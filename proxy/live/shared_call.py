"""One call to an engine that several jobs have: who still waits for it, and what the scheduler is told of it.

Owns the shares. The call belongs to none of the jobs: whoever leaves, it goes on for the others, and ends when nobody
is left. What is sent, and who gets what of the answer, is for those who know: `merged_call`, `single_flight`.
"""

import asyncio
import logging
from dataclasses import replace

from proxy.live import response_check as judge
from proxy.live.answer import Answer
from proxy.live.attempt import Caller, Try
from proxy.live.call import Call
from proxy.live.driver import Driver
from proxy.live.fan_out import Follower
from proxy.live.relay import Relay
from proxy.live.ruling import tell
from proxy.live.upstream.backends import Upstream
from proxy.model.commands import Dispatch, Failed, FirstByte
from proxy.model.faults import Fault, Kind, internal
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter

_log = logging.getLogger("tidegate.shared_call")


class Share:
    """What one job has of a call: wait for `ready`, then look."""

    __slots__ = ("answer", "call", "fault", "is_waiting", "of", "ready", "worked")

    def __init__(self, of: "SharedCall", call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self.of = of
        self.call = call
        self.ready: asyncio.Future[None] = loop.create_future()
        self.answer: Answer | None = None
        """None: it goes again, or is refused, as the scheduler says."""
        self.fault: Fault | None = None
        """Why there is none; None: for no fault of its own."""
        self.is_waiting = True
        """Nobody knows yet what it gets. A future does not tell: whoever waits for it and is cancelled cancels it."""
        self.worked = 0
        """Times that the engine may have worked at it in vain."""

    @property
    def job_id(self) -> int:
        """Whose it is."""
        return self.call.job.id

    def settle(self, answer: Answer | None, fault: Fault | None = None) -> None:
        """That is what it gets."""
        self.answer, self.fault, self.is_waiting = answer, fault, False
        if not self.ready.done():
            self.ready.set_result(None)

    @property
    def relay(self) -> Relay | None:
        """The receiver of the call, for the first that has it."""
        of = self.of
        return of.one.relay if of.one is not None and not of.is_over and of.shares and of.shares[0] is self else None

    def leave(self) -> None:
        """Its job is over; harmless when it has all that it gets."""
        self.of.leave(self)

    def cut(self) -> None:
        """The same, while somebody waits for more of it."""
        answer = self.answer
        self.of.leave(self)
        if isinstance(answer, Follower):
            answer.cut()


class SharedCall:
    """One attempt of several jobs. `out`: where all are that are out, by the ids of their attempts."""

    def __init__(
        self,
        command: Dispatch,
        backend: Upstream,
        caller: Caller,
        driver: Driver,
        loop: asyncio.AbstractEventLoop,
        out: "dict[int, SharedCall]",
    ) -> None:
        self.command = command
        self.id = command.attempt
        self.backend = backend
        self.shares: list[Share] = []
        """Of all that have not left; the first one leads."""
        self.is_over = False
        """The scheduler knows how it ended."""
        self.one: Try | None = None
        """What is out at the moment."""
        self._caller = caller
        self._driver = driver
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._heard = False
        self._out = out
        out[self.id] = self

    def take(self, call: Call) -> Share | None:
        """One job more; None: it is too late for that."""
        share = Share(self, call, self._loop)
        self.shares.append(share)
        if self._task is None:
            self._task = self._loop.create_task(self.run())
            self._task.add_done_callback(self._on_done)
        return share

    async def run(self) -> None:
        """From the call to the last share."""
        raise NotImplementedError

    def leave(self, share: Share) -> None:
        """One job is over, here or for good."""
        if share not in self.shares or self.is_over or not self.needs(share):
            return
        self.shares.remove(share)
        if share.is_waiting:
            share.settle(None)
        self._driver.left(share.job_id)
        if not any(map(self.needs, self.shares)):
            self.give_up()

    @property
    def said(self) -> Try | None:
        """What the engine answered to all of them alike, if there is such a thing."""
        return None

    def needs(self, share: Share) -> bool:
        """Whether the call has something to bring to it still."""
        return share.is_waiting

    def give_up(self) -> None:
        """Nobody waits any more: the engine is freed now."""
        self.stop()

    def abort(self) -> None:
        """The scheduler needs the place for others: each job goes again when it says so."""
        if self.is_over:
            return
        for share in self.shares:
            if not share.is_waiting:  # it has what it gets
                self._driver.left(share.job_id)
            share.settle(None)
        self.stop()

    def over(self) -> None:
        """The scheduler is told, or knows, how it ended."""
        self.is_over = True
        self._out.pop(self.id, None)

    def stop(self) -> None:
        """Nothing more comes of it."""
        self.over()
        if self.one is not None:
            self.one.relay.release()
            self.one.let_go()
        if self._task is not None:
            self._task.cancel()

    # --- for those who carry it out

    async def sent(self, call: Call, pieces: int = 1) -> Try:
        """One attempt, ready to be judged; its answer may be `pieces` times as large as others."""
        relay = self._caller.relay(call, self.backend, None, pieces)
        one = self.one = Try(self.command, call, self.backend, relay, self._driver)
        await self._caller.attempt(one)
        return one

    @staticmethod
    def copied(call: Call) -> Call:
        """The same, with a stopwatch and a meter of its own: whose call it was may leave."""
        return replace(call, timeline=Timeline(call.timeline.received), meter=Meter())

    @staticmethod
    def timed(share: Share, call: Call) -> None:
        """The times of the call are its."""
        ours, theirs = share.call.timeline, call.timeline
        ours.connected, ours.first_byte = theirs.connected, theirs.first_byte
        ours.last_byte = theirs.last_byte

    def begins(self, one: Try) -> None:
        """The first good answer has come."""
        self.backend.heard()
        if not self._heard and one.call.meter.first_token is None:
            self._driver.report(FirstByte(self.id))
        self._heard = True

    def fails(self, one: Try, fault: Fault) -> None:
        """There is no answer for anybody: the scheduler says who goes again."""
        one.relay.release()
        fault = judge.blamed_for(fault, one.call.request.endpoint)
        tell(self.backend, one, fault)
        self.over()
        waiting = [share for share in self.shares if share.is_waiting]
        for share in waiting:
            share.worked += one.relay.calls
            share.settle(None, fault)
        self._driver.report(Failed(self.id, fault, judge.is_repeatable(fault, one.call.request.endpoint)))

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        _log.error("a shared call crashed; this is a bug, please report it", exc_info=error)
        fault = internal(Kind.BUG, "Tidegate failed internally; this is a bug, please report it.")
        for share in self.shares:
            share.settle(None, fault)
        if not self.is_over:
            self.over()
            self._driver.report(Failed(self.id, fault, False))
