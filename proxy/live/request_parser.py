"""From a message to an understood request: its route, room in memory for it, its body.

Owns what is checked of a request before it becomes a job. A body that is large or packed goes to a thread (`bodies`).
"""

from typing import Any

from proxy.core.refusals import short_of_memory
from proxy.engines.routes import offers
from proxy.live.background.memory import MemoryGuard
from proxy.live.downstream.bodies import INLINE_B, Bodies, Understood
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.limits import Limits
from proxy.model.request import Request
from proxy.wire import body as bodies
from proxy.wire import routes
from proxy.wire.headers import Head
from proxy.wire.hops import Hops
from proxy.wire.routes import Route


class RequestParser:
    """One per proxy. `forwarded`: more paths to pass than the listed ones."""

    def __init__(
        self,
        limits: Limits,
        memory: MemoryGuard,
        apart: Bodies,
        hops: Hops,
        backends: dict[str, Upstream],
        forwarded: tuple[str, ...] = (),
    ) -> None:
        self._limits = limits
        self._memory = memory
        self._apart = apart
        self._hops = hops
        self._backends = backends
        self._forwarded = forwarded

    def check_hops(self, head: Head) -> None:
        """FaultError when it was here before."""
        via = head.fields.get(b"via")
        if via is not None:
            self._hops.check(via)

    def route(self, head: Head) -> Route:
        """Where it goes. FaultError where no engine here has such a route, or not for this method."""
        found = routes.route(head.target, self._forwarded)
        if found.plain and not self._is_offered(found.plain):
            if not routes.is_listed(found.plain, self._forwarded):
                raise routes.unknown(found.plain)
            found = found._replace(plain="")
        if head.method not in found.methods:
            allowed = ", ".join(sorted(found.methods))
            raise FaultError(downstream(Kind.METHOD, f"{head.method} is not allowed here; use {allowed}."))
        return found

    def check_room(self, head: Head, body: bytes) -> None:
        """FaultError when there may be no memory to work on it."""
        if self._memory.is_full:
            raise FaultError(short_of_memory())
        unpacked_b = min(bodies.decoded_b(body, head.content_encoding), self._limits.body.size)
        if not self._memory.has_room(unpacked_b):
            raise FaultError(short_of_memory())

    @staticmethod
    def takes_long(head: Head, body: bytes) -> bool:
        """Whether it is to be parsed apart."""
        return len(body) > INLINE_B or bool(head.content_encoding)

    def parse(self, head: Head, found: Route, body: bytes) -> tuple[Request, dict[str, Any]]:
        """The request and its fields. FaultError for what the route does not take."""
        return bodies.read(head, found, body, self._limits.parameters)

    async def parse_apart(self, head: Head, found: Route, body: bytes) -> Understood:
        """The same, not on the loop, and the body unpacked."""
        return await self._apart.understand(head, found, body)

    def refuses_bulk(self) -> bool:
        """Whether what there is of memory is for others."""
        return self._memory.is_tight

    def _is_offered(self, path: str) -> bool:
        """Whether any engine here may be asked for it."""
        return any(offers(backend.kind, path) for backend in self._backends.values())
