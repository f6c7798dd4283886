"""The client's address as engines are told it: `X-Forwarded-For`, or `Forwarded` (RFC 7239).

A list that grows at its end by whoever the connection came from. What a client itself puts in front is a claim, and
kept only where a proxy in front is trusted to have checked it.
"""

from typing import Final

X_FORWARDED_FOR: Final = "x-forwarded-for"
FORWARDED: Final = "forwarded"
SAID_MAX_B: Final = 2048
"""Of what proxies in front say; of a longer list the beginning is left out, for its end is what was checked."""


def extended(name: str, said: bytes | None, peer: str) -> bytes:
    """The value of header `name`: what was said before, and the address `peer`. Empty: nobody knows of any address."""
    own = b"" if not peer else _node(peer) if name == FORWARDED else peer.encode()
    before = b"" if said is None else _bounded(said.strip())
    return b", ".join(part for part in (before, own) if part)


def _node(peer: str) -> bytes:
    """RFC 7239 §6: an IPv6 address is in brackets, and so in quotes."""
    return f'for="[{peer}]"'.encode() if ":" in peer else b"for=" + peer.encode()


def _bounded(said: bytes) -> bytes:
    """ASCII, not too long, and whole entries."""
    if not said.isascii():
        return b""
    if len(said) <= SAID_MAX_B:
        return said
    return said[-SAID_MAX_B:].partition(b",")[2].strip()
