"""Numbers and names of a status as people read them in a terminal.

Owns that nothing of a document is believed: a value of another type is none, and a name cannot move the cursor.
"""

import math
import time
from collections.abc import Mapping
from typing import Any, Final

ABSENT: Final = "\N{EN DASH}"
_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_LONGEST: Final = 200
"""Characters of a name or a sentence."""
_NOTHING: Final[Mapping[str, Any]] = {}
_SIZES: Final = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))

# --- what a document holds


def number(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        known = float(value)
    except OverflowError:
        return None
    return known if math.isfinite(known) else None


def amount(value: object) -> float:
    """The same; none is 0."""
    return number(value) or 0.0


def inner(document: object, *names: str) -> Mapping[str, Any]:
    """The object in it under these names; empty where there is none."""
    found = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _NOTHING


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of an array."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The lines of an array, fit to be shown."""
    return [plain(one) for one in value] if isinstance(value, list) else []


def plain(value: object) -> str:
    """A name, fit to be shown in one line: what is not printable (controls, escapes, what turns the direction of text)
    becomes U+FFFD."""
    text = "" if value is None else value if isinstance(value, str) else str(value)
    shown = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in shown)


def lines(text: str) -> str:
    """Text of several lines, each fit to be shown."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


# --- numbers


def seconds(value: object) -> str:
    """A duration, three digits at most."""
    known = number(value)
    if known is None:
        return ABSENT
    size = abs(known)
    if size < 0.0005:
        return "0 ms" if size == 0 else "< 1 ms"
    if size < 0.00995:
        return f"{known * 1e3:.1f} ms"
    if size < 0.9995:
        return f"{known * 1e3:.0f} ms"
    if size < 99.95:
        return f"{known:.2f} s" if size < 9.995 else f"{known:.1f} s"
    if size < 5400:
        return f"{known / 60:.0f} min"
    return f"{known / 3600:.1f} h" if size < 172_800 else f"{known / 86_400:.0f} d"


def whole(value: object) -> str:
    """A count, all of its digits."""
    known = number(value)
    return ABSENT if known is None else f"{known:,.0f}"


def short(value: object) -> str:
    """A count in few characters."""
    known = number(value)
    if known is None:
        return ABSENT
    for name, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(known) >= size * (10 if name == "k" else 1):
            scaled = known / size
            return f"{scaled:.0f}{name}" if abs(scaled) >= 100 else f"{scaled:.1f}{name}"
    return f"{known:,.0f}"


def rate(value: object) -> str:
    """So many per second."""
    known = number(value)
    if known is None or known == 0:
        return ABSENT if known is None else "0"
    return f"{known:.1f}" if abs(known) < 9.95 else short(known)


def percent(value: object) -> str:
    """A share. What is not quite all, or nothing, is never shown as such."""
    known = number(value)
    if known is None:
        return ABSENT
    shown = known * 100
    if shown in (0.0, 100.0):
        return f"{shown:.0f} %"
    if 99.9 < shown < 100:
        return f"{min(shown, 99.99):.2f} %"
    return f"{shown:.2f} %" if abs(shown) < 0.1 else f"{shown:.1f} %" if abs(shown) < 1000 else f"{shown:,.0f} %"


def times(value: object) -> str:
    """A factor."""
    known = number(value)
    return ABSENT if known is None else f"{known:.{int(known < 100)}f}{_TIMES}"


def size(value: object) -> str:
    """Bytes."""
    known = number(value)
    if known is None:
        return ABSENT
    for name, unit in _SIZES:
        if known >= unit:
            return f"{known / unit:.1f} {name}"
    return f"{known:.0f} B"


def clock(value: object, *, day: bool = False) -> str:
    """A moment, Unix seconds, in the time zone of whoever looks."""
    known = number(value)
    if known is None:
        return ABSENT
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S" if day else "%H:%M:%S", time.localtime(known))
    except (OverflowError, ValueError, OSError):
        return ABSENT
