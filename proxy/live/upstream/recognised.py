"""Whole answers of one connection whose head came before: told without a parser, as the parser would have told them.

Learned at the second sight, so that answers that all differ cost a look, and soon none. A date differs once a second.
"""

from typing import Final

from proxy.wire.known_head import KnownHead, head_of

_LENGTH: Final = b"content-length"
_GOOD: Final = b"HTTP/1.1 200 "
_VAIN_MAX: Final = 8
"""Answers in a row that nothing was like, before we stop to expect any."""


class RecognisedAnswers:
    """One per connection."""

    __slots__ = ("_at", "_headers", "_is_known", "_like", "_vain")

    def __init__(self) -> None:
        self._like: KnownHead | None = None
        """Of the last one that was parsed,"""
        self._is_known = False
        """… and whether it came twice."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._at = 0
        """Place of the length among them."""
        self._vain = 0

    def body_at(self, data: bytes) -> int:
        """Where the body of a whole answer begins; 0: it is for the parser."""
        like = self._like
        if not self._is_known or like is None:
            return 0
        start = like.body_at(data)
        if start:
            self._vain = 0
        return start

    def headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """Those of the answer that was recognised, with a body of so many bytes."""
        headers = self._headers[:]
        headers[self._at] = headers[self._at][0], b"%d" % length
        return headers

    def learn(self, data: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """`data` was one whole answer, after which the connection is kept."""
        if self._vain > _VAIN_MAX:
            return
        like = head_of(data) if data.startswith(_GOOD) else None
        before, self._like = self._like, like
        self._is_known = before is not None and like is not None and before.is_like(like)
        if not self._is_known:
            self._vain += 1
            return
        self._headers = headers[:]
        for at in range(len(headers)):
            if headers[at][0].lower() == _LENGTH:
                self._at = at
