"""How a log line says which beginning a prompt shares with others, and nothing else of it.

    512-byte blocks   1 2 3 … 16   18 20 … 32   36 40 … 64   72 …     (8 in each octave)
    digests           4 characters each, at these borders only

Owns the borders and the digests. A block's number stands for the whole prompt up to its end (`wire.prompt`), and is
keyed by the process; its digest is keyed once more, by random bytes that are nowhere else and are gone with it. Equal
digests at one place mean equal beginnings, of one tenant and model, within one run of the proxy; what was said cannot
be found out by trying texts.
"""

import hashlib
from base64 import urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from proxy.wire.prompt import BLOCK_B, MAX_BLOCKS

BORDER_B: Final = BLOCK_B
"""Bytes of a prompt's JSON in each block."""
DIGEST_CHARS: Final = 4
_DIGEST_B: Final = 3
_IN_AN_OCTAVE: Final = 8
KEY_B: Final = 16


def _borders() -> tuple[int, ...]:
    found = list(range(1, 2 * _IN_AN_OCTAVE + 1))
    while found[-1] < MAX_BLOCKS:
        found.append(found[-1] + max(1, (1 << (found[-1].bit_length() - 1)) // _IN_AN_OCTAVE))
    return tuple(found)


BORDERS: Final = _borders()
"""Blocks; a shared beginning is known to a ninth of its length, and a line has at most 80 of them."""


class PrefixDigests:
    """One per process."""

    def __init__(self, key: bytes) -> None:
        """`key`: random, `KEY_B` bytes."""
        self._key = key

    def of(self, prefix: Sequence[int]) -> str:
        """Of the numbers of a prompt's blocks; empty: it is shorter than one."""
        key = self._key
        digests = [
            hashlib.blake2b((prefix[border - 1]).to_bytes(8, "little", signed=True), digest_size=_DIGEST_B, key=key)
            for border in BORDERS[: bisect_right(BORDERS, len(prefix))]
        ]
        return urlsafe_b64encode(b"".join([one.digest() for one in digests])).decode()
