"""The one stage of chunks that need nothing: each one plain event that leaves as it came, counted by looking at bytes.

Owns what such events look like: most differ from the one before in their text alone.
"""

import re
from typing import Final

from proxy.wire import sse
from proxy.wire.choices import Choices, finishes
from proxy.wire.event import Event
from proxy.wire.meter import GOES_ON, Meter
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.stages import counted

_TEXT: Final = re.compile(rb'"(?:content|text|reasoning_content|reasoning)": ?"([^"\\\r\n]+)"')
_CONTENT: Final = b'"content":"'
_UNPLAIN: Final = re.compile(rb"[\\\r\n]")
_QUOTE: Final = 34
_LF: Final = 10
_CR: Final = 13
_VAIN_MAX: Final = 8
"""Events that nothing was like, before we stop to expect any."""


class StraightWay:
    """Of one stream, as long as nothing is kept back in it."""

    __slots__ = ("_choices", "_head", "_meter", "_rest", "_tokens", "_undoes", "_vain")

    def __init__(self, choices: Choices, meter: Meter, tokens: TokenRechunker | None, *, undoes: bool) -> None:
        """`undoes`: events with usage, or with the end of a text, need something."""
        self._choices = choices
        self._meter = meter
        self._tokens = tokens
        self._undoes = undoes
        self._head = self._rest = b""
        """An event that went straight on, before and behind its text: what the next one most likely looks like."""
        self._vain = 0

    def pass_on(self, data: bytes, now: float) -> bytes | None:
        """What goes out for `data` when it is one plain event; often itself. None: it has to go the long way."""
        tokens = self._tokens
        if self._is_like_the_last(data):
            self._vain = 0
            if tokens is not None and not tokens.counts_one(data):
                return _joined(counted(Event(data), tokens, self._meter, now))
            self._meter.goes_on(now)
            return data
        if not self._is_plain(data):
            return None
        event = Event(data)
        self.saw(event)
        if self._vain < _VAIN_MAX:
            self._learn(data)
        if tokens is not None:
            return _joined(counted(event, tokens, self._meter, now))
        self._meter.saw(event, now)
        return data

    def saw(self, event: Event) -> None:
        """An event passed, this way or the long one: where it ends a text, the next one is not like those before."""
        if self._choices.saw(event):
            self._head = b""

    def _is_like_the_last(self, event: bytes) -> bool:
        """Whether its text alone is another one. A quote would end the text, a line end the event, `\\"` do neither."""
        head, rest = self._head, self._rest
        if not head or not event.startswith(head) or not event.endswith(rest):
            return False
        text = event[len(head) : len(event) - len(rest)]
        if not text or text.endswith(b"\\"):
            return False
        return not (_QUOTE in text or _LF in text or _CR in text)

    def _is_plain(self, event: bytes) -> bool:
        if not sse.is_plain(event) or event.find(b'"error"') >= 0 or event.find(b'"abort"') >= 0:
            return False
        return not self._undoes or (event.find(b'"usage"') < 0 and not finishes(event))

    def _learn(self, event: bytes) -> None:
        """An event of output that goes on: the next one may be like it."""
        if self._meter.last_token is None or event.find(GOES_ON) < 0:
            return
        start = event.find(_CONTENT) + len(_CONTENT)
        end = event.find(b'"', start)
        if start < len(_CONTENT) or end <= start or _UNPLAIN.search(event, start, end) is not None:
            found = _TEXT.search(event)
            if found is None:
                return
            start, end = found.start(1), found.end(1)
        self._vain += 1
        self._head, self._rest = event[:start], event[end:]


def _joined(pieces: list[bytes]) -> bytes:
    """A plain event, or the events of one token each that it became."""
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
