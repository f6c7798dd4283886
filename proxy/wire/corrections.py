"""What is put right in the answer of an engine that does not write it as OpenAI does: words for the end of a text, the
two names of the field for thoughts, and counts that are none.

Owns these edits, of events and of whole bodies alike. Where nothing is to be put right, bytes stay as they came.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from proxy.wire.event import Event

_REASON: Final = re.compile(rb'("finish_reason"\s*:\s*)"([a-z_]{1,32})"')
"""Never inside a text: in a JSON string a quote is escaped."""
_ZEROS: Final = re.compile(
    rb'("usage"\s*:\s*)\{\s*"prompt_tokens"\s*:\s*0\s*,\s*"completion_tokens"\s*:\s*0\s*,\s*"total_tokens"\s*:\s*0\s*\}'
)
"""As above."""
_THOUGHTS: Final = b'"reasoning'
_FIELDS: Final = ("reasoning", "reasoning_content")
_PLACES: Final = ("delta", "message")


class Corrections:
    """Of one engine's answers to one class of requests."""

    __slots__ = ("_both", "_reasons", "_zeros")

    def __init__(self, finish_reasons: Mapping[str, str], *, both: bool = False, zeros: bool = False) -> None:
        """`finish_reasons`: the engine's word → OpenAI's; `both`: thoughts are told under both names; `zeros`: a usage
        of zeros is none."""
        self._zeros = zeros
        self._reasons = {old.encode(): new.encode() for old, new in finish_reasons.items()}
        self._both = both

    def of_event(self, event: Event) -> Event:
        """Itself, where nothing is wrong with it."""
        raw = event.raw
        if self._reasons:
            raw = _REASON.sub(self._reason, raw)
        if self._zeros:
            raw = _ZEROS.sub(rb"\1null", raw)
        if self._both and _THOUGHTS in raw:
            fields = Event(raw).fields
            if fields is not None and _doubled(fields):
                raw = b"data: " + orjson.dumps(fields) + b"\n\n"
        return event if raw == event.raw else Event(raw)

    def of_body(self, body: bytes) -> bytes:
        """The same for a whole answer."""
        if self._reasons:
            body = _REASON.sub(self._reason, body)
        if self._both and _THOUGHTS in body:
            try:
                fields = orjson.loads(body)
            except orjson.JSONDecodeError:
                return body
            if isinstance(fields, dict) and _doubled(fields):
                return orjson.dumps(fields)
        return body

    def _reason(self, found: "re.Match[bytes]") -> bytes:
        new = self._reasons.get(found.group(2))
        return found.group(0) if new is None else b'%b"%b"' % (found.group(1), new)


def _doubled(fields: dict[str, Any]) -> bool:
    """Whether thoughts were told under one name, and now are under both."""
    changed = False
    choices = fields.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        for place in _PLACES:
            part = choice.get(place) if isinstance(choice, dict) else None
            if not isinstance(part, dict):
                continue
            for one, other in (_FIELDS, _FIELDS[::-1]):
                if isinstance(part.get(one), str) and part.get(other) is None:
                    part[other] = part[one]
                    changed = True
    return changed
