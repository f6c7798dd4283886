"""Which API key is whose: one table of the digests of all of them.

Owns the look-up, by the whole SHA-256 of what was shown. It takes as long for a key as for none, and compares with no
key after another: what a clock could tell is where in the table a digest would stand, and nobody can choose digests.
"""

from collections.abc import Iterable
from math import inf
from typing import Final, NamedTuple

from proxy.model.tenants import TenantSettings

_PREFIX: Final = "sha256:"


class Holder(NamedTuple):
    """Who has a key."""

    tenant: str
    id: str
    """What people call the key; may be empty."""
    expires: float
    """Seconds since 1970."""


class KeyTable:
    """All keys of one configuration."""

    __slots__ = ("_holders",)

    def __init__(self, tenants: Iterable[TenantSettings] = ()) -> None:
        self._holders = {
            bytes.fromhex(key.digest.removeprefix(_PREFIX)): Holder(
                entry.tenant, key.id, inf if key.expires is None else key.expires
            )
            for entry in tenants
            for key in entry.keys
        }

    def __len__(self) -> int:
        return len(self._holders)

    def find(self, digest: bytes) -> Holder | None:
        """By 32 bytes; None: nobody's. Whether it has expired is the caller's to see."""
        return self._holders.get(digest)
