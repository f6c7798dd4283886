"""The mark that each proxy leaves on a request, `Via` (RFC 9110 §7.6.3), and what it tells: a way that leads back here.

Several proxies in a row are legitimate: each has a name of its own. One that meets its own name ends the loop at the
first return; a row of very many ends too.
"""

from typing import Final

from proxy.model.faults import Fault, FaultError, Kind, internal

MOST: Final = 8
"""Proxies of this kind that a request may have passed."""
_PREFIX: Final = b"tidegate-"


class Hops:
    """One per process."""

    __slots__ = ("_name", "line")

    def __init__(self, unique: str) -> None:
        """`unique`: some characters that no other process has."""
        self._name = _PREFIX + unique.encode()
        self.line = b"via: 1.1 " + self._name + b"\r\n"
        """The header of every request to a backend, behind those that came with it."""

    def check(self, via: bytes) -> None:
        """FaultError when a request with this `Via` was here before, or has come too far."""
        names = [hop.split()[1].lower() for hop in via.split(b",") if len(hop.split()) > 1]
        if self._name in names:
            raise FaultError(_loop("This request was here before: a backend of this proxy leads back to it."))
        if sum(name.startswith(_PREFIX) for name in names) >= MOST:
            raise FaultError(_loop(f"This request has passed {MOST} proxies already; their backends lead in a circle."))


def _loop(text: str) -> Fault:
    return internal(Kind.LOOP, text)
