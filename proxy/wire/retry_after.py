"""When an answer says that its sender wants to be asked again: `retry-after-ms`, else `retry-after`.

Owns reading these two (RFC 9110 §10.2.3: whole seconds, or a date; the OpenAI SDKs: milliseconds, fractions).
"""

import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,6})?\Z")


def retry_after_s(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Seconds from now; None: it does not say, or nothing that can be read."""
    wanted = {b"retry-after-ms", b"retry-after", b"date"}
    found = {lower: value.strip() for name, value in headers if (lower := name.lower()) in wanted}
    milliseconds = _number(found.get(b"retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = found.get(b"retry-after")
    seconds = _number(value)
    return _until(value, found.get(b"date")) if seconds is None else seconds


def _number(value: bytes | None) -> float | None:
    return float(value) if value and _NUMBER.match(value) else None


def _until(date: bytes | None, now: bytes | None) -> float | None:
    """Of a date, by the sender's own clock."""
    if date is None or now is None:
        return None
    try:
        wanted, sent = (parsedate_to_datetime(text.decode("latin-1")) for text in (date, now))
        return max(0.0, (wanted - sent).total_seconds())
    except (ValueError, TypeError):
        return None
