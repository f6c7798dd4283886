"""What an answer is to whoever writes it down: a head, then a whole body, bytes as they come, or events; and its usage.

Owns the interface alone. The relay of an attempt is one; whatever else has an answer (a memory of one) is another.
"""

import asyncio
from typing import Protocol

from proxy.model.faults import Fault
from proxy.wire.meter import Meter
from proxy.wire.tokens import CountSource
from proxy.wire.usage import Usage


class Sink(Protocol):
    """The client's side of a flowing answer."""

    def send(self, data: bytes) -> None:
        """Write some body bytes."""

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """Write some body bytes that are one chunk; `chunk`: with its framing."""


class Events(Protocol):
    """How far a stream of events is."""

    @property
    def saw_done(self) -> bool:
        """`[DONE]` has passed."""

    @property
    def saw_error(self) -> bool:
        """An error of the engine has."""

    @property
    def unsent_error(self) -> bytes:
        """That error, as long as it was kept back for another backend to go on; else empty."""

    @property
    def has_ended(self) -> bool:
        """Whether the text is complete, `[DONE]` or not."""

    @property
    def last_event(self) -> bytes:
        """The last event with data; empty: none yet."""


class Answer(Protocol):
    """Complete when it is first looked at, or flowing: then it is `start`ed."""

    @property
    def backend(self) -> str:
        """Whose answer it is."""

    @property
    def status(self) -> int:
        """Of its head."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of its head, as the engine sent them."""

    @property
    def events(self) -> Events | None:
        """None: it is no stream of events."""

    @property
    def complete(self) -> bool:
        """It is all there."""

    @property
    def body(self) -> bytes:
        """As far as it is there and not passed on."""

    @property
    def fault(self) -> Fault | None:
        """Why it broke off."""

    @property
    def meter(self) -> Meter:
        """When its tokens passed."""

    def start(self, sink: Sink) -> "asyncio.Future[None]":
        """Pass on what is there and all that follows; done at its end."""

    def on_pause(self, paused: bool) -> None:
        """The client takes no more for now, or does again."""

    def usage(self) -> Usage:
        """Token counts, as far as they were told."""

    def token_source(self) -> CountSource:
        """How the tokens were counted that passed so far."""
