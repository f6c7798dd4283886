"""Which texts of a stream have begun and which have ended: with several choices or prompts each ends on its own.

Owns this book of one stream; reads only what cannot be told from a look at the bytes.
"""

from typing import Any, Final

from proxy.wire.event import Event

_FINISH: Final = b'"finish_reason":'
_NULL: Final = (b"null", b" null", b'""', b' ""', b'"null"', b' "null"')
_GOES_ON: Final = (None, "", "null")
"""Finish reasons of texts that go on, as engines write them."""
_INDEX: Final = b'"index":'
_ZERO: Final = (b"0,", b"0}", b" 0,", b" 0}")
_MOST: Final = 4096
"""Texts told apart, 32 times the default limit of `n`; those beyond are one."""


class Choices:
    """One per stream, fed with events as the engine sent them."""

    __slots__ = ("_finished", "_seen")

    def __init__(self) -> None:
        self._seen = 0
        self._finished = 0
        """Bits by index."""

    def saw(self, event: Event) -> bool:
        """An event passed; whether it may have ended a text. Not needed for events that differ in their text alone from
        one before that ended none, as long as none has ended since."""
        ends = finishes(event.raw)
        if not ends and _is_of_the_first(event.raw):
            self._seen |= 1
            self._finished &= -2
        elif ends or event.raw.find(b'"choices"') >= 0:
            self._read(event)
        return ends

    @property
    def have_ended(self) -> bool:
        """Whether there are any and each has a finish reason."""
        return self._seen != 0 and self._seen == self._finished

    def _read(self, event: Event) -> None:
        choices = event.object.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                bit = 1 << _index(choice.get("index"))
                self._seen |= bit
                if choice.get("finish_reason") not in _GOES_ON:
                    self._finished |= bit
                else:  # texts one after the other under one index
                    self._finished &= ~bit


def finishes(event: bytes) -> bool:
    """Whether an event may hold a finish reason: exact when it holds one choice. Text cannot look like the field:
    inside a JSON string every quote is escaped."""
    at = event.find(_FINISH)
    return at >= 0 and not (event.startswith(_NULL, at + len(_FINISH)) and event.find(_FINISH, at + 1) < 0)


def _is_of_the_first(event: bytes) -> bool:
    """Whether all indices in it, those of tool calls too, are 0."""
    at = event.find(_INDEX)
    if at < 0:
        return event.find(b'"choices":[{') >= 0
    while at >= 0:
        if not event.startswith(_ZERO, at + len(_INDEX)):
            return False
        at = event.find(_INDEX, at + 1)
    return True


def _index(value: Any) -> int:
    return min(value, _MOST) if type(value) is int and value >= 0 else 0
