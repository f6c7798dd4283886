"""A head that came before on a connection, known again by its bytes: nothing need be parsed that was parsed already.

Owns what "the same head" means: every byte but for the digits of its one Content-Length, with the whole body behind it
in the same read and nothing after that. A head that may say more about where its body ends is never known: that is the
parser's, every time.
"""

from typing import Final

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length"
_FIELD: Final = b"\r\ncontent-length:"
_NEVER: Final[tuple[bytes, ...]] = (b"transfer-encoding", b"expect", b"upgrade")
_SPACE: Final = 32
_CR: Final = 13
_ZERO: Final = 48
_DIGITS_MAX: Final = 7
"""A body of ten megabytes and more costs far more than its head."""
SPARE_B: Final = _DIGITS_MAX
"""By so much a head that is known may be longer than the one that it was learned from."""


class KnownHead:
    """What stands before the digits of the length, and from there to the body."""

    __slots__ = ("_before", "_behind", "_start", "size_b")

    def __init__(self, before: bytes, behind: bytes) -> None:
        self._before = before
        self._behind = behind
        self._start = len(before)
        self.size_b = len(before) + len(behind) + 1
        """With a digit."""

    def body_at(self, data: bytes) -> int:
        """Where the body begins, if `data` is this head, all of its body and nothing else; 0: it is not."""
        if not data.startswith(self._before):
            return 0
        at, size = self._start, len(data)
        length, most = 0, min(size, at + _DIGITS_MAX)
        while at < most:
            digit = data[at] - _ZERO
            if digit < 0 or digit > 9:
                break
            length = length * 10 + digit
            at += 1
        if not length or data[self._start] == _ZERO:
            return 0
        behind = self._behind
        start = at + len(behind)
        return start if start + length == size and data[at:start] == behind else 0

    def is_like(self, other: "KnownHead") -> bool:
        """Whether they are the same."""
        return self._before == other._before and self._behind == other._behind


def head_of(data: bytes) -> KnownHead | None:
    """The head with which `data` begins, to know it again; None: its body is not all the rest of `data`, or it may mean
    more than its bytes show. `data` was read by a parser, which found one whole message in it."""
    end = data.find(_END) + len(_END)
    if end < len(_END):
        return None
    head = data[:end]
    lower = head.lower()
    at = lower.find(_FIELD)
    if at < 0 or lower.count(_LENGTH) != 1 or head.count(b"\n") != head.count(b"\r\n"):
        return None
    for name in _NEVER:
        if lower.find(name) >= 0:
            return None
    at += len(_FIELD)
    while head[at] == _SPACE:
        at += 1
    digits = at
    while head[digits] != _CR:
        digits += 1
    known = KnownHead(head[:at], head[digits:])
    return known if known.body_at(data) == end else None
