"""From the bytes of a message to an understood request: large bodies in a thread of their own, within the budget.

Owns the thread and what is taken of the budget for an unpacked body. Small bodies, nearly all, are
understood where they arrive: a change of threads costs more than their parsing.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, ParamSpec, TypeVar

from proxy.live.downstream.budget import COPIES, Budget
from proxy.model.limits import Limits
from proxy.model.request import Request
from proxy.wire import body as bodies
from proxy.wire.headers import Head
from proxy.wire.routes import Route

INLINE_B = bodies.WHOLE_B
"""A body up to this size is parsed on the loop: some milliseconds."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Understood(NamedTuple):
    """A request, its fields and its body as an engine gets it."""

    request: Request
    fields: dict[str, Any]
    body: bytes
    charge_b: int = 0
    """What was taken of the budget for the unpacked body: the caller's to give back."""


class Bodies:
    """One per proxy."""

    def __init__(self, limits: Limits, budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._budget = budget
        self._loop = loop
        self._pool = ThreadPoolExecutor(1, "tidegate-body")
        self._turn = asyncio.Semaphore(1)
        """One after the other: parsing holds the interpreter, so two threads would only take more memory."""

    def configure(self, limits: Limits) -> None:
        """Other limits, for the bodies that come."""
        self._limits = limits

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def understand(self, head: Head, route: Route, body: bytes) -> Understood:
        """What a body says that is large or packed. FaultError for what the route does not take, what is too heavy,
        and where the budget is spent."""
        async with self._turn:
            coding = head.content_encoding
            size_b = min(bodies.decoded_b(body, coding), self._limits.body.size)
            charge_b = COPIES * size_b if coding else 0
            self._budget.take(charge_b)
            try:
                body = await self._apart(bodies.decode, body, coding, self._limits.body.size)
                limits = self._limits.parameters
                request, fields = await self._apart(bodies.read, head, route, body, limits)
            except BaseException:  # whatever ends it, a cancelled client too, gives the charge back; it goes on its way
                self._budget.give(charge_b)
                raise
        return Understood(request, fields, body, charge_b)

    async def _apart(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """In the thread. Whoever is cancelled waits for its end: until then it holds what was taken for it."""
        done = self._loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await asyncio.wait((done,))
            if not done.cancelled():
                done.exception()  # nobody else asks
            raise
