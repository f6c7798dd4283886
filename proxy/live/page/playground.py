"""Requests of the page, given to the data port's own handler: what it shows is what a client gets.

Owns which of them there are, and the one thing that only an operator may ask for: a backend by its name. No socket in
between, no second way through the proxy; an answer, its errors and its accounts are those of the data port.
"""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message

PREFIX: Final = "/play"
PINNED: Final = b"x-tidegate-backend"
"""Header by which the page names the backend that it wants."""
_POSTS: Final = ("/v1/chat/completions",)
_REQUESTS: Final = "/v1/tidegate/requests/"

Handler = Callable[[ClientConnection, Message], Coroutine[Any, Any, None]]
"""Answers a message and goes on with its connection."""


class Playground:
    """One per proxy."""

    def __init__(self, handle: Handler, is_on: Callable[[], bool] = lambda: True) -> None:
        """`is_on`: whether anybody may ask now."""
        self._handle = handle
        self.is_on = is_on

    async def answer(self, connection: ClientConnection, message: Message) -> None:
        """As the data port does, for the same path without our prefix."""
        head = message.head
        assert head is not None
        pin = head.fields.get(PINNED, b"").decode("latin-1")[:256]
        target = head.target[len(PREFIX) :]
        await self._handle(connection, replace(message, head=replace(head, target=target, pin=pin)))


def methods(path: str) -> tuple[str, ...] | None:
    """What may be asked of a path of ours; None: it is none."""
    wanted = path.removeprefix(PREFIX)
    if wanted in _POSTS:
        return ("POST",)
    if wanted == "/v1/models":
        return ("GET",)
    if wanted.startswith(_REQUESTS):
        return ("POST",) if wanted.endswith("/expand") else ("GET",)
    return None
