"""Several requests in one array call, and each caller's own answer out of it.

    all ─▶ one call ─good────────────────▶ everybody's slice
              ├─ more inputs than it takes ─▶ the scheduler remembers, and sends fewer
              ├─ an input that it dislikes ─▶ without that one, or in two halves, until the bad one is alone
              ├─ not one entry per input ───▶ each alone
              └─ it failed ────────────────▶ the scheduler says who goes again

Owns the order of these calls, one after the other on the one permit. Who is left alone gets the engine's own words.
"""

import asyncio
from typing import Final

from proxy.engines import batch_refusals
from proxy.live import response_check as judge
from proxy.live.attempt import Caller, Try
from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.live.ruling import heeded, tell
from proxy.live.shared_call import Share, SharedCall
from proxy.live.slice import Slice
from proxy.live.upstream.backends import Upstream
from proxy.model.abilities import Lack
from proxy.model.commands import Dispatch, Failed, Finished, Part, Refused
from proxy.model.faults import Fault, Kind, Source, upstream
from proxy.wire import batching
from proxy.wire.slicing import Asked, MismatchError, slices

_OF_AN_INPUT: Final = frozenset({400, 413, 422, 500})
"""Statuses that may mean one of several inputs, or how many there are."""
_LEAST_PIECES: Final = 16
"""Of the buffer for one answer: what several have together is larger."""
_NOBODYS: Final = upstream(Kind.NONSENSE, "The engine's answer to several requests could not be told apart.")

_EACH_ALONE: Final = Fault(Source.DOWNSTREAM, Kind.INVALID, "The engine takes these requests one by one only.")
_TOO_MANY: Final = Fault(Source.DOWNSTREAM, Kind.INVALID, "The engine does not take so many inputs in one call.")

Chunk = list[Share]


class MergedCall(SharedCall):
    """One per attempt whose jobs are several."""

    def __init__(
        self,
        command: Dispatch,
        backend: Upstream,
        caller: Caller,
        driver: Driver,
        loop: asyncio.AbstractEventLoop,
        out: dict[int, SharedCall],
    ) -> None:
        super().__init__(command, backend, caller, driver, loop, out)
        self._served: list[Part] = []
        """Whose answers are told, also those of callers that have left since."""
        self._ok = False
        self.calls = 0
        """Sent to the engine."""
        self._fewest = 0
        """Inputs of the smallest call that it did not answer; 0: there was none."""
        self._is_bad = False
        """One of the requests was refused by itself."""

    async def run(self) -> None:
        todo = [self.shares[:]]
        while todo and not self.is_over:
            chunk = [share for share in todo.pop() if share.is_waiting]
            if chunk:
                one = await self._called(chunk)
                todo.extend(self._after(one, chunk)[::-1])
        if not self.is_over:
            self._settle()

    def give_up(self) -> None:
        """Those that wait have left; those that have their answers are accounted."""
        if self._served:
            self._settle()
        self.stop()

    # --- calls

    async def _called(self, chunk: Chunk) -> Try:
        self.calls += 1
        call = self.copied(chunk[0].call)
        if len(chunk) > 1:
            call.body = batching.merged(call.request.endpoint, call.body, [_part(share) for share in chunk])
        one = await self.sent(call, max(_LEAST_PIECES, len(chunk)))
        for share in chunk:
            self.timed(share, call)
        return one

    def _after(self, one: Try, chunk: Chunk) -> list[Chunk]:
        """What is to be sent because of what came; who has an answer now has been told."""
        fault, relay = heeded(one), one.relay
        if self.is_over:
            return []
        if fault is None and relay.complete:
            if len(chunk) == 1:
                return self._alone(one, chunk[0])
            return self._divided(relay, chunk) if relay.status < 300 else self._refused(one, chunk)
        if len(chunk) > 1 and relay.complete and _may_be_an_input(one, fault):
            return self._refused(one, chunk)
        if fault is None:  # larger than anything that is kept
            relay.release()
            fault = _NOBODYS
            if len(chunk) > 1:
                return [[share] for share in chunk]
        self._broken(one, chunk, fault)
        return []

    def _alone(self, one: Try, share: Share) -> list[Chunk]:
        """The engine's own words to one request, an error too."""
        relay, call = one.relay, share.call
        if judge.lack_of(relay, self.backend, call.job) is not None:
            return []  # the scheduler hears of it when the job goes again
        self._is_bad = self._is_bad or relay.status >= 400
        self._gets(share, relay, relay.status < 400)
        return []

    def _divided(self, relay: Relay, chunk: Chunk) -> list[Chunk]:
        endpoint = chunk[0].call.request.endpoint
        asked = [Asked(_part(share), share.call.request.id) for share in chunk]
        try:
            bodies = slices(endpoint, relay.body, asked, self._sent_id(chunk))
        except MismatchError as error:
            self.backend.warn(f"Backend {self.backend.name} answers arrays of {endpoint} wrongly: {error}.")
            self._not_together(chunk)
            return [[share] for share in chunk]
        for share, body in zip(chunk, bodies, strict=True):
            self._gets(share, Slice(relay, body), True)
        return []

    def _sent_id(self, chunk: Chunk) -> str:
        request_id, number = chunk[0].call.request.id, self.command.number
        return request_id if number < 2 else f"{request_id}-{number}"

    def _gets(self, share: Share, answer: "Relay | Slice", ok: bool) -> None:
        if not share.is_waiting:  # it has left meanwhile
            return
        if self.one is not None and not self._served:
            self.begins(self.one)
        used = answer.usage()
        self._served.append(Part(share.job_id, used.prompt_tokens, used.completion_tokens))
        self._ok = self._ok or ok
        share.settle(answer)

    # --- what is sent instead

    def _refused(self, one: Try, chunk: Chunk) -> list[Chunk]:
        """All together were refused: fewer, or without the bad one."""
        relay = one.relay
        lack = judge.lack_of(relay, self.backend, chunk[0].call.job)
        if lack is not None and lack.lack is Lack.ENDPOINT:
            self._driver.report(Refused(self.id, lack))
            self._broken(one, chunk, judge.fault_of_lack(lack, relay))
            return []
        if relay.status not in _OF_AN_INPUT:
            return self._all_alike(relay, chunk)
        self._not_together(chunk)
        said = batch_refusals.of(relay.status, relay.body, _inputs(chunk))
        relay.release()
        if said.too_large and not self._served and self.calls == 1:
            self._settle_as(Failed(self.id, _TOO_MANY, True, too_many=True, cap=said.cap))
            return []
        if said.guilty is not None:
            guilty = _owner(chunk, said.guilty)
            return [[share for share in chunk if share is not guilty], [guilty]]
        return _halves(chunk)

    def _all_alike(self, relay: Relay, chunk: Chunk) -> list[Chunk]:
        """What is said of none of the inputs is said to everybody: of a key, or of the path."""
        for share in chunk:
            self._gets(share, Slice(relay, relay.body), False)
        return []

    def _not_together(self, chunk: Chunk) -> None:
        inputs = _inputs(chunk)
        self._fewest = min(self._fewest or inputs, inputs)

    # --- the end

    def _broken(self, one: Try, chunk: Chunk, fault: Fault) -> None:
        """It failed with these; who has an answer keeps it, and the others go again."""
        if self._served:
            one.relay.release()
            tell(self.backend, one, fault)
            self._settle()
        else:
            self.fails(one, fault)

    def _settle_as(self, report: Failed) -> None:
        """Nobody got anything, through no fault of the engine: the scheduler says how they go again."""
        self.over()
        for share in self.shares:
            if share.is_waiting:
                share.settle(None)
        self._driver.report(report)

    def _settle(self) -> None:
        """Each by its own tokens; who got nothing goes again, alone."""
        if not self._served:
            self._settle_as(Failed(self.id, _EACH_ALONE, True))
            return
        self.over()
        waiting = [share for share in self.shares if share.is_waiting]
        for share in waiting:
            share.settle(None)
        missing = tuple([share.job_id for share in waiting])
        prompt, output = (
            _told([part.prompt_tokens for part in self._served]),
            _told([part.output_tokens for part in self._served]),
        )
        refused = 0 if self._is_bad or missing else self._fewest
        served = tuple(self._served)
        report = Finished(self.id, prompt, None, output, self._ok, served, missing, self.calls, refused)
        self._driver.ended_all([part.job_id for part in self._served], report)


def _part(share: Share) -> batching.Part:
    part = share.call.part
    assert part is not None  # else its job had no key for a window
    return part


def _inputs(chunk: Chunk) -> int:
    return sum([len(_part(share).inputs) for share in chunk])


def _owner(chunk: Chunk, place: int) -> Share:
    """Whose the input at this place is."""
    for share in chunk:
        place -= len(_part(share).inputs)
        if place < 0:
            return share
    return chunk[-1]


def _halves(chunk: Chunk) -> list[Chunk]:
    middle = len(chunk) // 2
    return [chunk[:middle], chunk[middle:]]


def _may_be_an_input(one: Try, fault: Fault | None) -> bool:
    """Whether it is the client's mistake: then it may be that of one of them."""
    if fault is None:
        return True
    return one.relay.status == 500 and one.backend.dialect.answers_500_to_bad_requests


def _told(counts: list[int | None]) -> int | None:
    """Their sum; None where none was told."""
    told = [count for count in counts if count is not None]
    return sum(told) if told else None
