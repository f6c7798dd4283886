"""The cache of answers: for each request what it has to do with it, and what people may do with all of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from proxy.core.cache.versions import Versions
from proxy.live.cache.items import ItemsUse
from proxy.live.cache.memory import Memory
from proxy.live.cache.remote import RemoteCache
from proxy.live.cache.use import CacheUse
from proxy.live.job_builder import BuiltJob
from proxy.live.tokenizers import Tokenizers
from proxy.model.cache import CacheSettings, CacheView
from proxy.model.endpoint import Endpoint
from proxy.model.request import Request
from proxy.model.timeline import Clock
from proxy.wire import cache_key, identity, items
from proxy.wire.body import WHOLE_B
from proxy.wire.cacheable import directives, may_be_kept
from proxy.wire.headers import Head


class ResponseCache:
    """One per proxy. `event_limit_b`: of one event of a stream."""

    def __init__(
        self,
        settings: CacheSettings,
        versions: Versions,
        tokenizers: Tokenizers,
        event_limit_b: int,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        wall: Clock,
        remote: RemoteCache | None = None,
    ) -> None:
        self._memory = Memory(settings, versions, tokenizers, event_limit_b, loop, clock, wall, remote)
        self.versions = versions
        self.remote = remote

    def configure(self, settings: CacheSettings, event_limit_b: int, remote: RemoteCache | None) -> None:
        """As another configuration has it. The second level that was is the caller's to close."""
        self.remote = remote
        self._memory.configure(settings, event_limit_b, remote)

    def use(self, head: Head, request: Request, taken: BuiltJob, fields: Mapping[str, Any], body: bytes) -> CacheUse:
        """What this request has to do with it."""
        memory, whose = self._memory, identity.whose(head)
        wants = directives(head.fields.get(b"cache-control"))
        mode = taken.classified.traffic_class.cache.mode
        if wants.no_store or len(body) > WHOLE_B or not may_be_kept(request, fields, mode):
            return CacheUse(memory, request, taken, whose, wants, None)
        if memory.coalesce_s > 0:
            taken.job.same = None  # those who ask the same wait here: whoever fails then fails alone
        told = dict(fields)
        inputs = items.inputs(request.target, told) if request.endpoint is Endpoint.EMBEDDINGS else None
        if inputs is None:
            digest = cache_key.digest(request, taken.job.model, told, body, head.forward)
            return CacheUse(memory, request, taken, whose, wants, digest)
        digest = cache_key.digest(request, taken.job.model, told, body, head.forward, "input")
        return ItemsUse(memory, request, taken, whose, wants, digest, inputs, body)

    def bump(self, model: str, prompt_name: str) -> int:
        """Void what is kept, of a model, a prompt or all; how often that was done."""
        self.versions.bump(model, prompt_name)
        if self.remote is not None:
            self.remote.share_soon()
        return self.versions.count(model, prompt_name)

    def view(self) -> CacheView:
        """For metrics and people."""
        memory, store = self._memory, self._memory.store
        return CacheView(
            memory.size_b,
            store.used_b,
            store.count,
            store.scopes,
            store.stored,
            store.evicted,
            store.expired,
            store.too_large,
            self.versions.bumps,
            len(memory.flights),
            {} if self.remote is None else dict(self.remote.counts),
        )
