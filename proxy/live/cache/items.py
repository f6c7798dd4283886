"""Embeddings: each input for itself from memory, and only those that are not there from an engine.

Owns the putting together. What the engine is asked for is a request of its own, with fewer inputs; the client sees one
answer.
"""

import asyncio
from typing import Any, Final

from proxy.core.cache.store import Entry
from proxy.live.answer import Answer
from proxy.live.cache.memory import Memory
from proxy.live.cache.use import HIT, CacheUse
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob
from proxy.live.relay import Relay
from proxy.live.replay import Replay
from proxy.model.faults import FaultError, Kind, upstream
from proxy.model.request import Request
from proxy.wire import cache_key, items
from proxy.wire.cacheable import Directives
from proxy.wire.items import Item
from proxy.wire.kept import Kept
from proxy.wire.usage import Usage

_AFAR_MOST: Final = 32
"""Inputs of a request that the second level is asked for."""


class ItemsUse(CacheUse):
    """Of one request for embeddings."""

    __slots__ = ("_body", "_digests", "_found", "_inputs", "_places")

    def __init__(
        self,
        memory: Memory,
        request: Request,
        taken: BuiltJob,
        whose: bytes,
        wants: Directives,
        digest: bytes | None,
        inputs: list[Any],
        body: bytes,
    ) -> None:
        """`digest`: of all that the request says beside its inputs."""
        super().__init__(memory, request, taken, whose, wants, digest)
        self._inputs = inputs
        self._body = body
        self._digests = [] if digest is None else [items.digest(digest, one) for one in inputs]
        self._found: dict[int, Entry] = {}
        """By place."""
        self._places = list(range(len(inputs)))
        """Places of those that an engine is asked for."""

    async def answer(self, job: JobLoop) -> Answer:
        if self._digest is None:
            return await super().answer(job)
        if not self._wants.no_cache:
            self._look()
            if len(self._found) < len(self._inputs):
                await self._look_afar()
        missing = [place for place in range(len(self._inputs)) if place not in self._found]
        if not missing:
            return self._all()
        self._insists()
        if not self._found or not self._has_room(len(missing)):
            return await self._asked(job)
        self._places = missing
        wanted = [self._inputs[place] for place in missing]
        job.ask_only(items.only(self._body, wanted), wanted)
        answer = await self._asked(job)
        return await self._joined(answer, self._receiver()) if answer.status == 200 else answer

    # --- looking

    def _key_of(self, place: int) -> bytes:
        stamp = self._memory.versions.stamp(self._taken.job.model, self.prompt_version)
        return cache_key.key(self._digests[place], self._scope, stamp)

    def _look(self) -> None:
        for place in range(len(self._inputs)):
            entry = self._memory.get(self._scope, self._key_of(place), self._wants.max_age_s)
            if entry is not None:
                self._found[place] = entry

    async def _look_afar(self) -> None:
        remote = self._memory.remote
        missing = [place for place in range(len(self._inputs)) if place not in self._found][:_AFAR_MOST]
        if remote is None or not remote.is_there:
            return
        keys = [self._key_of(place) for place in missing]
        for place, key, answer in zip(missing, keys, await asyncio.gather(*map(remote.get, keys)), strict=True):
            entry = None if answer is None else self._memory.put(self._scope, key, answer)
            if entry is not None:
                self._found[place] = entry

    def _has_room(self, missing: int) -> bool:
        """Whether so many more, as large as those that are there, can be held until they are put together."""
        size_b = max(entry.size_b for entry in self._found.values())
        return 2 * missing * size_b < min(self._memory.taps.left_b, len(self._inputs) * self._memory.entry_b)

    @property
    def _most_b(self) -> int:
        return len(self._inputs) * self._memory.entry_b

    # --- giving

    def _all(self) -> Replay:
        self.said = HIT
        self._age_s = max(self._memory.age_s(entry) for entry in self._found.values())
        found = [self._item(self._found[place]) for place in range(len(self._inputs))]
        self.replay = Replay(items.joined(found), _usage(found))
        return self.replay

    async def _joined(self, answer: Answer, relay: Relay | None) -> Replay:
        """What the engine made and what was there. FaultError where it made something else."""
        if not answer.complete:
            await answer.start(_Nowhere())
            if answer.fault is not None:
                raise FaultError(answer.fault)
        tapped = None if relay is None or relay.tap is None else relay.tap.seen()
        made = items.read(answer.body or tapped or b"", [self._inputs[place] for place in self._places])
        if made is None:
            raise FaultError(upstream(Kind.NONSENSE, f"Backend {answer.backend} did not answer with embeddings."))
        by_place = dict(zip(self._places, made, strict=True))
        together = [by_place.get(place) or self._item(self._found[place]) for place in range(len(self._inputs))]
        replay = Replay(items.joined(together), _usage(together))
        replay.backend = answer.backend
        return replay

    @staticmethod
    def _item(entry: Entry) -> Item:
        answer: Kept = entry.value
        return Item(answer.body, answer.usage.prompt_tokens)

    # --- keeping

    def _keep(self, relay: Relay | None) -> Entry | None:
        answer = self._read(relay)
        made = None if answer is None else items.read(answer.body, [self._inputs[place] for place in self._places])
        if answer is None or made is None:
            return None
        for place, item in zip(self._places, made, strict=True):
            one = Kept(item.body, False, False, answer.made, Usage(item.tokens), answer.maker)
            self._memory.put(self._scope, self._key_of(place), one)
            if self._memory.remote is not None:
                self._memory.remote.put_soon(self._key_of(place), one, self._memory.ttl_s, b"")
        return None


class _Nowhere:
    """What passes is held by the tap."""

    def send(self, data: bytes) -> None:
        """Not sent: the client gets all of it together."""

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """Neither."""


def _usage(found: list[Item]) -> Usage:
    counts = [item.tokens for item in found]
    return Usage(None if None in counts else sum(count for count in counts if count is not None))
