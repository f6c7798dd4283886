"""The status once a second to everybody who watches (server-sent events), made once for all of them.

    joins ──▶ `status`: all of it ──every second──▶ `change`: a merge patch (RFC 7396), with the decisions that are new
                  ▲                                    │ its connection takes no more: left out
                  └────── when it takes bytes again ◀──┘

Owns who watches and what they know. Nothing runs while nobody does. A viewer has no queue of its own: what its
connection has not taken is bounded by the connection's buffer, and what was left out is made good by the whole.
"""

import asyncio
from typing import Any, Final, Protocol

import orjson

from proxy.live.downstream.connection import ClientConnection
from proxy.model.timeline import Clock
from proxy.obs.merge_patch import difference

EVERY_S: Final = 1.0
SHARE: Final = 0.02
"""Of the loop's time that statuses may take: those of a thousand backends come less often,"""
SELDOM_S: Final = 5.0
"""but not less often than this."""
MOST_VIEWERS: Final = 100
LAST: Final = 50
"""Decisions that a newcomer is told,"""
_NEW: Final = 20
"""and of those within a second: nobody reads more."""
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Shown(Protocol):
    """What is watched."""

    def now(self) -> dict[str, Any]:
        """All of it but the decisions, whose last number is its `decisions_seq`."""

    def backends(self) -> dict[str, Any]:
        """Of the same, the backends alone."""

    def decisions(self, since: int, most: int) -> dict[str, Any]:
        """The newest that came after this number, the newest first."""

    def past(self) -> dict[str, Any]:
        """What newcomers want to know of the last minutes."""


class Feed:
    """One per proxy."""

    def __init__(self, shown: Shown, loop: asyncio.AbstractEventLoop, clock: Clock, most: int = MOST_VIEWERS) -> None:
        self._shown = shown
        self._clock = clock
        self._loop = loop
        self._most = most
        self._viewers: dict[ClientConnection, bool] = {}
        """… and whether they know all up to the last event."""
        self._timer: asyncio.TimerHandle | None = None
        self._known: dict[str, Any] = {}
        """What viewers know that are not behind."""
        self._number = 0
        self.made = 0
        """Statuses that were made for viewers."""

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        """Nobody else may watch."""
        return len(self._viewers) >= self._most

    async def watch(self, connection: ClientConnection) -> None:
        """Answers with events until the client leaves."""
        connection.begin(200, list(_HEADERS), None)
        self._viewers[connection] = False
        try:
            if self._timer is None:
                self._known = self._made()
                self._timer = self._loop.call_later(EVERY_S, self._tick)
            connection.send(b"retry: 1000\n\n" + self._whole())
            self._viewers[connection] = True
            await self._loop.create_future()  # the connection's end cancels it
        finally:
            connection.finished()
            del self._viewers[connection]
            if not self._viewers and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _tick(self) -> None:
        began = self._clock()
        try:
            self._tell()
        finally:
            took_s = self._clock() - began
            self._timer = self._loop.call_later(max(EVERY_S, min(SELDOM_S, took_s / SHARE)), self._tick)

    def _tell(self) -> None:
        before, after = self._known, self._made()
        self._known = after
        self._number += 1
        patch = difference(before, after)
        if after["decisions_seq"] > before["decisions_seq"]:
            patch.update(self._shown.decisions(before["decisions_seq"], _NEW))
        change = _event(b"change", self._number, patch)
        whole = b""
        for connection, knows in list(self._viewers.items()):
            if connection.write_paused:
                self._viewers[connection] = False
            elif knows:
                connection.send(change)
            else:
                whole = whole or self._whole()
                connection.send(whole)
                self._viewers[connection] = True

    def _whole(self) -> bytes:
        """All that viewers know now, and what newcomers lack."""
        data = {**self._known, **self._shown.decisions(0, LAST), "past": self._shown.past()}
        return _event(b"status", self._number, data)

    def _made(self) -> dict[str, Any]:
        self.made += 1
        return self._shown.now()


def _event(name: bytes, number: int, data: dict[str, Any]) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (name, number, orjson.dumps(data))
