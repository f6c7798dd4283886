"""One attempt for all who ask the same at the same time, where the answer can only be the same.

Owns who gets what of it: an answer in one piece everybody gets as it is; one that flows everybody gets from its
beginning on, whenever it came.
"""

import asyncio
from typing import Final

from proxy.live import response_check as judge
from proxy.live.attempt import Caller, Try
from proxy.live.call import Call
from proxy.live.driver import Driver
from proxy.live.fan_out import FanOut, Follower, Room
from proxy.live.ruling import heeded
from proxy.live.shared_call import Share, SharedCall
from proxy.live.slice import Slice
from proxy.live.upstream.backends import Upstream
from proxy.model.commands import Dispatch, Failed, Finished, Refused
from proxy.model.endpoint import ENDPOINTS
from proxy.model.faults import Fault

KEPT_B: Final = 256 << 10
"""Of a flowing answer, for those who come late; and for each client that is slower than the others."""


class SingleFlight(SharedCall):
    """One per attempt of a job whose question others may have too. `foresees`: the scheduler wants to hear of first
    tokens."""

    def __init__(
        self,
        command: Dispatch,
        backend: Upstream,
        caller: Caller,
        driver: Driver,
        loop: asyncio.AbstractEventLoop,
        out: dict[int, SharedCall],
        foresees: bool,
        room: Room,
    ) -> None:
        super().__init__(command, backend, caller, driver, loop, out)
        self._foresees = foresees
        self._room = room
        self._fan: FanOut | None = None

    def take(self, call: Call) -> Share | None:
        if self._fan is None:
            return super().take(call)
        follower = self._fan.follow(self._loop)
        if follower is None:
            return None
        share = super().take(call)
        assert share is not None
        share.settle(follower)
        return share

    def needs(self, share: Share) -> bool:
        """As long as it flows."""
        return True

    @property
    def said(self) -> Try | None:
        """Its one attempt."""
        return self.one

    def leave(self, share: Share) -> None:
        if self._fan is not None and isinstance(share.answer, Follower):
            self._fan.leave(share.answer)
        super().leave(share)

    def stop(self) -> None:
        if self._fan is not None:
            self._fan.forget()
        super().stop()

    async def run(self) -> None:
        one = await self._asked(self.copied(self.shares[0].call))
        if self.is_over:
            return
        for share in self.shares:
            self.timed(share, one.call)
        fault = self._judged(one)
        if fault is not None:
            self.fails(one, fault)
            return
        self.begins(one)
        if one.relay.complete and one.relay.stream is None:
            self._whole(one)
        else:
            await self._flowing(one)

    # --- inside

    async def _asked(self, call: Call) -> Try:
        if call.request.stream and self._foresees:
            call.meter.on_first = self._on_first_token
        return await self.sent(call)

    def _on_first_token(self) -> None:
        if self.one is not None:
            self.one.tell_first_token()

    def _judged(self, one: Try) -> Fault | None:
        fault, relay = heeded(one), one.relay
        lack = judge.lack_of(relay, self.backend, one.call.job)
        if lack is None:
            return fault
        self._driver.report(Refused(self.id, lack))
        return judge.fault_of_lack(lack, relay)

    def _whole(self, one: Try) -> None:
        """Everybody gets the same, under its own name."""
        relay = one.relay
        body, sent = relay.body, one.call.request.id.encode()
        for i, share in enumerate(self.shares):
            own = body.replace(sent, share.call.request.id.encode())
            share.settle(Slice(relay, own, counted=i > 0))
        self._ends(one, None if relay.status < 400 else judge.fault_of_answer(relay))

    async def _flowing(self, one: Try) -> None:
        relay = one.relay
        fan = self._fan = FanOut(relay, KEPT_B, self._room)
        for share in self.shares:
            follower = fan.follow(self._loop)
            share.settle(follower)
        await relay.start(fan)
        fault = relay.fault or judge.fault_of_end(relay, one.call.request.endpoint)
        self._ends(one, fault)
        fan.end(relay.fault)
        relay.release()

    def _ends(self, one: Try, fault: Fault | None) -> None:
        """All of it has come."""
        self.over()
        jobs = [share.job_id for share in self.shares]
        endpoint = one.call.request.endpoint
        if fault is not None and one.relay.status < 400:
            self._driver.report(Failed(self.id, judge.blamed_for(fault, endpoint), False))
            return
        used = one.relay.usage()
        ok = fault is None and one.relay.status < 400 and ENDPOINTS[endpoint].works
        report = Finished(self.id, used.prompt_tokens, used.cached_tokens, used.completion_tokens, ok)
        self._driver.ended_all(jobs, report)
