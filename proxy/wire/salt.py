"""What keeps an engine's prefix cache apart by tenant: a word in the body that nobody else can say.

Owns that word and its place. A client's own is replaced, however it is spelled: with it one tenant could find out by
time what another one asks.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from proxy.wire import identity, splice

_FIELD: Final = "cache_salt"
_PERSON: Final = b"tidegate-salt"


def salted(body: bytes, headers: Sequence[tuple[bytes, bytes]], tenant: str = "") -> bytes:
    """`body`, a JSON object, with the salt of whoever sent it: of the named `tenant`, else by the API key in
    `headers`."""
    whose = identity.whose_of(tenant, {name.lower(): value for name, value in headers})
    word = hashlib.blake2b(whose, digest_size=16, person=_PERSON).hexdigest()
    return splice.with_first(splice.without_key(body, _FIELD), _FIELD, word)
