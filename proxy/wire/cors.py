"""Answers that a browser lets a page of another origin read (Fetch standard, CORS).

Owns the headers. No answer ever allows credentials (cookies); API keys travel in a header of their own, which a
preflight asks for by name.
"""

import re
from collections.abc import Sequence
from typing import Final

_TOKEN: Final = re.compile(rb"[a-z0-9-]{1,64}\Z")
_MAX_NAMES: Final = 64
_EXPOSED: Final = (
    b"age, retry-after, retry-after-ms, server-timing, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    b"x-ratelimit-reset-tokens, x-request-id, x-should-retry, x-tidegate-cache, x-tidegate-expandable, "
    b"x-tidegate-history, x-tidegate-model, x-tidegate-prompt, x-tidegate-route, x-tidegate-structured, "
    b"x-tidegate-truncated"
)
"""What SDKs and pages read; a browser hides any other header."""


class Cors:
    """Which origins there are; none: nothing is ever said."""

    __slots__ = ("_any", "_max_age", "_origins")

    def __init__(self, origins: Sequence[str] = (), max_age_s: float = 0.0) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any = "*" in origins
        self._max_age = b"%d" % max_age_s

    def headers(self, origin: bytes) -> list[tuple[bytes, bytes]]:
        """For every answer to a page of `origin`; empty: not asked by a browser."""
        if not self._origins:
            return []
        varies = [] if self._any else [(b"vary", b"origin")]
        if not self.allows(origin):
            return varies
        allowed = b"*" if self._any else origin
        return [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _EXPOSED), *varies]

    def preflight(self, origin: bytes, wanted: bytes) -> list[tuple[bytes, bytes]]:
        """More, for the question whether a request with the headers `wanted` may be sent."""
        if not self.allows(origin):
            return []
        names = [name for part in wanted.split(b",")[:_MAX_NAMES] if _TOKEN.match(name := part.strip().lower())]
        allowed = [(b"access-control-allow-headers", b", ".join(names))] if names else []
        return [
            (b"access-control-allow-methods", b"GET, POST"),
            *allowed,
            (b"access-control-max-age", self._max_age),
        ]

    def allows(self, origin: bytes) -> bool:
        """Whether pages of it may read what is answered."""
        return bool(origin) and (self._any or origin in self._origins)
