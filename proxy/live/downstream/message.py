"""What a client connection hands over: one request as it was read."""

from dataclasses import dataclass

from proxy.live.downstream.upload import Upload
from proxy.model.faults import Fault
from proxy.wire.headers import Head


@dataclass(slots=True, init=False)
class Message:
    """One request as read: head checked, body whole; or the fault that ended the reading, with the head of whoever may
    not come in."""

    head: Head | None
    body: bytes
    keep_alive: bool
    http10: bool
    fault: Fault | None = None
    """A handshake that may become a tunnel is the fault that it is otherwise, with its head, and what followed it as
    its body."""
    charge_b: int = 0
    """What was taken of the budget for its body."""
    target: bytes = b""
    """Of a request without a checked head, as far as it was read: whose API was asked."""
    upload: Upload | None = None
    """Where its body comes, piece by piece; None: `body` is all of it."""

    def __init__(
        self,
        head: Head | None,
        body: bytes,
        keep_alive: bool,
        http10: bool,
        fault: Fault | None = None,
        charge_b: int = 0,
        target: bytes = b"",
        upload: Upload | None = None,
    ) -> None:
        self.head = head
        self.body = body
        self.keep_alive = keep_alive
        self.http10 = http10
        self.fault = fault
        self.charge_b = charge_b
        self.target = target
        self.upload = upload
