"""What an error says of an array that an engine was sent: too many inputs, or which one is bad.

Owns the words, of all engines: one that was not recognised speaks as one of them, too. Believed is only what fits the
call that was answered.
"""

import json
import re
from typing import Any, Final, NamedTuple

_MAX_B: Final = 64 << 10
_MAX_CHARS: Final = 512
_COUNTED: Final = r"(?:batch|array|list|inputs?|texts?|documents?|items?|prompts?|sequences?)"
_MOST: Final = r"(?:max(?:imum)?|at most|up to|no more than)"
_CAP: Final = re.compile(
    rf".{{0,160}}?{_COUNTED}\b[^.;]{{0,80}}?(?:{_MOST}|limit|exceeds?)\b[^0-9.;]{{0,60}}(\d+)"
    rf"|.{{0,80}}?{_MOST}\b[^0-9.;]{{0,20}}(\d+) {_COUNTED}\b",
    re.IGNORECASE | re.DOTALL,
)
"""TEI: `batch size 40 > maximum allowed batch size 32`. Pydantic: `List should have at most 2048 items`. OpenAI:
`array too long. Expected an array with maximum length 2048`, in two sentences. Cohere: `at most 96`."""
_OF_TOKENS: Final = re.compile(r"tokens?\b|context length", re.IGNORECASE)
_PLACE: Final = re.compile(r"\b(?:input|prompt|documents?|texts?|text_[12]|inputs)[\[.](\d+)\b")
_TOO_MANY: Final = frozenset({400, 413, 422})


class ArrayRefusal(NamedTuple):
    """Why an engine did not take an array."""

    cap: int | None = None
    """Inputs that it takes at most."""
    too_large: bool = False
    """It said so by the status alone: fewer may do."""
    guilty: int | None = None
    """Which input it did not like."""


NOTHING_SAID: Final = ArrayRefusal()


def of(status: int, body: bytes, sent: int) -> ArrayRefusal:
    """Read from the error to a call with `sent` inputs."""
    if status not in _TOO_MANY:
        return NOTHING_SAID
    texts = _texts(body[:_MAX_B])
    caps = [cap for cap in map(_cap, texts) if cap is not None and 0 < cap < sent]
    if caps:
        return ArrayRefusal(cap=caps[0], too_large=True)
    places = [int(found.group(1)) for found in map(_PLACE.search, texts) if found is not None]
    guilty = next((place for place in places if place < sent), None)
    return ArrayRefusal(too_large=status == 413, guilty=guilty)


def _cap(text: str) -> int | None:
    said = text.replace("too long. ", "too long: ")
    match = _CAP.match(said)
    if match is None or _OF_TOKENS.search(said) is not None:
        return None
    digits = match.group(1) or match.group(2)
    return int(digits) if len(digits) < 10 else None


def _texts(body: bytes) -> list[str]:
    """Where engines say such things: messages, and the names of what they are about."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return [body[:_MAX_CHARS].decode("utf-8", "replace")]
    error = fields.get("error", fields.get("detail", fields)) if isinstance(fields, dict) else fields
    return [text[:_MAX_CHARS] for text in _said(error)]


def _said(error: Any) -> list[str]:
    if isinstance(error, str):
        return [error]
    if isinstance(error, list):  # pydantic's
        return [text for entry in error[:8] if isinstance(entry, dict) for text in (*_said(entry), _dotted(entry))]
    if not isinstance(error, dict):
        return []
    named = [error.get("message"), error.get("msg"), error.get("error"), error.get("param")]
    return [text for text in named if isinstance(text, str)]


def _dotted(entry: dict[str, Any]) -> str:
    """`loc`, without the names of types: `input.3`."""
    place = entry.get("loc")
    steps = place if isinstance(place, list) else []
    return ".".join(str(step) for step in steps if not (isinstance(step, str) and "[" in step))
