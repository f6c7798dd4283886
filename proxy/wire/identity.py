"""Who asks, as a request's head says it: which API key it shows, and what a tenant is called that nobody has named.

    authorization: Bearer KEY ──none──▶ x-api-key ──none──▶ api-key        the first that is there counts, alone

Owns that order and the digests. Whether the key is anybody's is not known here. A key in the query string is none: it
would be in every log on its way.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from proxy.wire.headers import Head

CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""Headers that hold a key."""
_NAMED: Final = b"tidegate tenant "


def key(headers: Mapping[bytes, bytes]) -> bytes:
    """The API key that a request shows (names in lower case); empty: none. An `authorization` of another scheme is
    somebody else's, and passed over."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, rest = value.partition(b" ")
        if scheme.lower() == b"bearer" and (bearer := rest.strip()):
            return bearer
    return headers.get(b"x-api-key", b"").strip() or headers.get(b"api-key", b"").strip()


def tenant(head: Head) -> str:
    """Whose a request is: the name of its tenant, else the first 8 hex digits of the SHA-256 of its API key; empty
    without one."""
    if head.tenant:
        return head.tenant
    shown = _shown(head.fields)
    return digits(shown) if shown else ""


def whose(head: Head) -> bytes:
    """A digest that nobody else can have: of the tenant, else of the whole API key; empty without one."""
    return whose_of(head.tenant, head.fields)


def whose_of(name: str, headers: Mapping[bytes, bytes]) -> bytes:
    """The same of a tenant's name, empty for who has none, and headers."""
    if name:
        return hashlib.sha256(_NAMED + name.encode()).digest()
    shown = _shown(headers)
    return _digest(shown) if shown else b""


@lru_cache(maxsize=1024)
def _digest(shown: bytes) -> bytes:
    return hashlib.sha256(shown).digest()


@lru_cache(maxsize=1024)
def digits(shown: bytes) -> str:
    """What who shows this is called."""
    return hashlib.sha256(shown).hexdigest()[:8]


def _shown(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What tells clients apart where nobody is asked for a key: whatever they say."""
    value = headers.get(b"authorization")
    return (None if value is None else _credential(value)) or headers.get(b"x-api-key")


@lru_cache(maxsize=1024)
def _credential(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else value.strip()
