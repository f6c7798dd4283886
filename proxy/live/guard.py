"""Who may ask the admin port: with a key whoever shows it, without one anybody, but for changes.

Owns the ways in which the key may be shown, and that it goes no further: to no engine, and into no explanation.
"""

import binascii
from base64 import b64decode
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

import orjson

from proxy.live.page.console import Answer
from proxy.wire import identity
from proxy.wire.headers import Head

_PROBES: Final = frozenset({"/livez", "/readyz"})
_CHANGES_NOTHING: Final = frozenset({"/explain"})
"""Of what is asked by POST."""
_JSON: Final = b"application/json"
_KEY: Final = b"x-tidegate-admin-key"
"""Instead of `authorization`, which on /explain is that of the request in question."""
_CHALLENGES: Final = (
    (b"www-authenticate", b'Bearer realm="tidegate admin"'),
    (b"www-authenticate", b'Basic realm="tidegate admin", charset="UTF-8"'),
)
"""The second is for browsers, which ask people then: the key is the password, whatever the name."""


class Guard:
    """Of one configuration. `key`: empty: there is none."""

    def __init__(self, key: str) -> None:
        self._digest = sha256(key.encode()).digest() if key else b""

    def lets_in(self, head: Head, path: str, peer: str, *, is_page: bool = False) -> bool:
        """Whether who asks so from the address `peer` may; `is_page`: something of the page, which has a rule of its
        own where there is no key. Takes the key out of `head`."""
        if not self._digest:
            reads = is_page or head.method in ("GET", "HEAD") or path in _CHANGES_NOTHING
            return reads or _is_this_machine(peer)
        if path in _PROBES:
            return True
        shown = head.fields.get(_KEY)
        if shown is None:
            shown = _password(head.fields.get(b"authorization", b"")) or identity.key(head.fields)
            head.fields = {name: value for name, value in head.fields.items() if name not in identity.CREDENTIALS}
            head.forward = [header for header in head.forward if header[0].lower() not in identity.CREDENTIALS]
        return compare_digest(sha256(shown).digest(), self._digest)

    def refusal(self) -> Answer:
        """What is said to whom it does not."""
        if self._digest:
            return Answer(401, _JSON, orjson.dumps({"error": "This port asks for its admin_key."}), _CHALLENGES)
        told = "Only this machine itself may change anything here; others may with an admin_key."
        return Answer(403, _JSON, orjson.dumps({"error": told}))


def _password(authorization: bytes) -> bytes:
    """Of `Basic`; empty where it is none."""
    scheme, _, rest = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return b64decode(rest.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _is_this_machine(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
