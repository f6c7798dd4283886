"""One line of a batch, sent the way that every request goes: the same parser, job, cache, accounts and log.

    line ─▶ Message ─▶ LineExchange ─▶ LineConnection: an answer, kept instead of written to a socket

Owns what stands in for a client, and what an ending means for the line: its result, or once more.
"""

import asyncio
from enum import Enum
from typing import Final

from proxy.live.downstream.connection import ClientConnection, Edge
from proxy.live.downstream.message import Message
from proxy.live.exchange import Exchange
from proxy.live.serving import Serving
from proxy.model.batch import Batch, BatchLine
from proxy.model.classes import BULK_CLASS
from proxy.model.faults import NOT_REACHED, Kind, Source, downstream
from proxy.model.outcome import Outcome, Phase, Verdict, failed_with
from proxy.wire.headers import Head
from proxy.wire.usage import NO_USAGE, Usage

LARGEST_B: Final = 64 * 1024 * 1024
"""Of an answer."""
_JSON: Final = b"application/json"
_NOT_KEPT: Final = b"no-store, no-cache"
_TRANSIENT: Final = frozenset({Kind.BUSY, *NOT_REACHED})
"""Of an engine that has not begun."""
_NOT_BEGUN: Final = failed_with(downstream(Kind.LEFT, "It was taken back."), Phase.READ)


class LineConnection(ClientConnection):
    """Stands where a client's connection stands, and keeps the answer."""

    __slots__ = ("_parts", "_size_b", "is_cut", "status")

    def __init__(self, edge: Edge) -> None:
        super().__init__(edge)
        self._parts: list[bytes] = []
        self._size_b = 0
        self.status = 0
        """Of the answer; 0: there is none yet."""
        self.is_cut = False
        """It broke off, or was too large."""

    @property
    def head_sent(self) -> bool:
        return self.status != 0

    @property
    def body(self) -> bytes:
        """Of the answer."""
        return b"".join(self._parts)

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self._parts, self._size_b = [body], len(body)

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], length: int | None) -> None:
        self.status = status

    def send(self, data: bytes) -> None:
        self.send_chunk(data, data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        self.sent = True
        self._size_b += len(data)
        if self._size_b > LARGEST_B:
            self.abort()
        else:
            self._parts.append(data)

    def end(self) -> None:
        return

    def abort(self) -> None:
        self.is_cut = True
        self._parts = []


class LineExchange(Exchange):
    """A line's request, whose ending is remembered."""

    __slots__ = ("ended", "task", "usage")

    def __init__(self, connection: ClientConnection, message: Message, serving: Serving) -> None:
        super().__init__(connection, message, serving)
        self.ended: Outcome = _NOT_BEGUN
        self.usage: Usage = NO_USAGE
        self.task: asyncio.Task[None] | None = None
        """What runs it."""

    def settle(self, outcome: Outcome) -> None:
        self.ended = outcome
        self.usage = self._usage()[0]
        super().settle(outcome)

    @property
    def waits(self) -> bool:
        """No engine has it."""
        return self._job is None or self._job.phase is Phase.QUEUE


class Ending(Enum):
    """What comes of an attempt at a line."""

    ANSWERED = "answered"
    """Its result, good or bad."""
    AGAIN = "again"
    """Nobody has begun: that was no attempt."""
    FAILED = "failed"
    """An engine, or we, have failed: once more, within its budget."""


def ending(outcome: Outcome, status: int, *, is_cut: bool) -> Ending:
    """What an outcome means for the line."""
    fault = outcome.fault
    if fault is None:
        return Ending.FAILED if is_cut or not status else Ending.ANSWERED
    if outcome.verdict in (Verdict.SHED, Verdict.CANCELLED) or fault.kind in _TRANSIENT:
        return Ending.AGAIN
    if fault.source is Source.DOWNSTREAM and status:
        return Ending.ANSWERED
    return Ending.FAILED


def message_of(batch: Batch, line: BatchLine, name: str, body: bytes, due: float, yields_until: float) -> Message:
    """The request of a line, which is of use until `due` (monotonic seconds), and goes only where
    nobody feels it until `yields_until`. Clients' keys are not kept in the store,
    so that whoever has only a key keeps no answers in the cache: it could not be told whose they are."""
    owner = batch.owner
    fields = {b"content-type": _JSON}
    if owner.whose and not owner.is_named:
        fields[b"cache-control"] = _NOT_KEPT
    head = Head(
        method="POST",
        target=batch.endpoint.encode(),
        host=b"",
        request_id=name,
        forward=[(b"content-type", _JSON)],
        content_type=_JSON,
        content_encoding=b"",
        expects_continue=False,
        origin=b"",
        client_attempt=0,
        client_timeout_s=None,
        traffic_class=BULK_CLASS,
        fields=fields,
        tenant=owner.tenant,
        due=due,
        yields_until=yields_until,
    )
    return Message(head, body, True, False)
