"""Quantities that carry their unit in the configuration: `250ms`, `8MiB`.

Owns the spelling of durations and sizes, nothing about what they limit.
"""

import re
from typing import Any

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

_DURATION_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS_B = {
    "B": 1,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
}

_QUANTITY = re.compile(r"(-?(?:[0-9]{1,32}(?:\.[0-9]{0,32})?|\.[0-9]{1,32}))([A-Za-z]{0,16})", re.ASCII)


def parse_duration_s(text: Any) -> Any:
    """`"250ms"` → 0.25 s. Raises ValueError for a missing or unknown unit or a negative value."""
    return _parse(text, _DURATION_UNITS_S, "a duration", "250ms, 5s, 2m")


def parse_size_b(text: Any) -> Any:
    """`"8MiB"` → 8388608 bytes. Raises ValueError for a missing or unknown unit or a negative value."""
    return int(_parse(text, _SIZE_UNITS_B, "a size", "64KiB, 8MiB, 1GiB"))


def format_duration(value_s: float) -> str:
    """0.25 → `"250ms"`, in the largest unit that keeps it a whole number; a single day has 24h."""
    days = {"d": 86400.0} if value_s > 86400.0 else {}
    return _format(value_s, {"s": 1.0, "m": 60.0, "h": 3600.0, **days}, "ms", 1e-3)


def format_size(value_b: float) -> str:
    """8388608 → `"8MiB"`, in the largest binary unit that keeps it a whole number."""
    return _format(value_b, {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}, "B", 1)


def readable_size(value_b: float) -> str:
    """15139759718 → `"14.1 GiB"`, to four digits in the largest unit that is not above the value: for people."""
    units = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
    name, size = next(((name, size) for name, size in units if value_b >= size), ("B", 1))
    return f"{value_b / size:.4g} {name}"


def _parse(text: Any, units: dict[str, float] | dict[str, int], what: str, examples: str) -> float:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"must be {what} with a unit, such as {examples}")
    if not isinstance(text, str):
        if text == 0:
            return 0.0
        raise ValueError(f"{text} has no unit; write {what} such as {examples}")
    if text == "0":
        return 0.0
    match = _QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"must be {what} with a unit, such as {examples}")
    number, unit = match.groups()
    if unit not in units:
        known = ", ".join(units)
        raise ValueError(f"unknown unit {unit!r}; known: {known}" if unit else f"{number} has no unit; known: {known}")
    value = float(number)
    if number.startswith("-") or value >= 1e15:
        raise ValueError("must be neither negative nor infinite")
    return value * units[unit]


def _format(value: float, units: dict[str, float] | dict[str, int], base: str, base_size: float) -> str:
    chosen, size = base, base_size
    for unit, unit_size in units.items():
        if value and value % unit_size == 0:
            chosen, size = unit, unit_size
    return f"{value / size:.10g}{chosen}"
