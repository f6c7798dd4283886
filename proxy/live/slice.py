"""One caller's own part of an answer that several have, complete when it is made."""

import asyncio

from proxy.live.answer import Events, Sink
from proxy.live.relay import Relay
from proxy.model.faults import Fault
from proxy.wire import usage
from proxy.wire.meter import Meter
from proxy.wire.tokens import CountSource
from proxy.wire.usage import NO_USAGE, Usage


class Slice:
    """One caller's part of an answer, as `proxy.live.answer.Answer`."""

    __slots__ = ("_counted", "_relay", "body", "meter")

    def __init__(self, relay: Relay, body: bytes, *, counted: bool = False) -> None:
        """`counted`: its tokens are another's too, who tells them."""
        self._relay = relay
        self._counted = counted
        self.body = body
        self.meter = Meter()

    @property
    def backend(self) -> str:
        """Whose answer it is."""
        return self._relay.backend

    @property
    def status(self) -> int:
        """Of its head."""
        return self._relay.status

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of its head, as the engine sent them."""
        return self._relay.headers

    @property
    def events(self) -> Events | None:
        """It is no stream of events."""
        return None

    @property
    def complete(self) -> bool:
        """It is all there."""
        return True

    @property
    def fault(self) -> Fault | None:
        """Nothing broke off."""
        return None

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        """It does not flow."""
        raise NotImplementedError

    def on_pause(self, paused: bool) -> None:
        """It does not flow."""

    def usage(self) -> Usage:
        """Its own tokens."""
        return NO_USAGE if self._counted else usage.of_body(self.body)

    def token_source(self) -> CountSource:
        """They are those of `usage`."""
        return CountSource.ESTIMATE
