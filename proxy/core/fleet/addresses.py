"""Which addresses stand behind a name: who joins and who leaves, by what lookups say of it.

    unknown ──in a lookup──> known ──not in GONE_AFTER lookups one after the other──> gone
                               ^──in one again──┘

Owns that, and the bound. A lookup that fails or finds nothing says nothing of those that are known: whether they work
is seen by asking them. Order: who was first stays in front.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

MAX_ADDRESSES: Final = 64
"""Of one name; more are left out, the last in order of writing."""
GONE_AFTER: Final = 2
"""Lookups one after the other in which an address is not. One may be of a server that lags behind."""


class Member(NamedTuple):
    """An address that is known."""

    address: str
    missed: int = 0
    """Lookups one after the other in which it was not."""


class Addresses(NamedTuple):
    """What is known of one name."""

    members: tuple[Member, ...] = ()
    trouble: str = ""
    """Why the last lookup found none; empty: it found some."""
    left_out: int = 0
    """Addresses in the last lookup for which there is no room."""

    def known(self) -> tuple[str, ...]:
        """Those that stand behind it, as far as anybody knows."""
        return tuple([member.address for member in self.members])


def looked_up(before: Addresses, found: Iterable[str]) -> Addresses:
    """After a lookup that found these; none of them: as after one that failed."""
    seen = set(found)
    if not seen:
        return failed(before, "it has no addresses")
    stay = [Member(one.address, 0 if one.address in seen else one.missed + 1) for one in before.members]
    stay = [one for one in stay if one.missed < GONE_AFTER]
    new = sorted(seen - {one.address for one in stay})
    room = MAX_ADDRESSES - len(stay)
    return Addresses((*stay, *[Member(address) for address in new[:room]]), "", max(0, len(new) - room))


def failed(before: Addresses, why: str) -> Addresses:
    """After a lookup that failed: whoever is known stays."""
    return Addresses(before.members, why, before.left_out)
