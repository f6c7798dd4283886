"""Metrics in Prometheus' text format, as far as we read them: some series by name, the rest is not parsed."""

import re
from math import isfinite
from typing import Final, NamedTuple

_MAX_SERIES: Final = 1024
_SAMPLE: Final = re.compile(rb'(?:\{(?P<labels>(?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\})?[ \t]+(?P<value>[^ \t\r\n]+)')
_LABEL: Final = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One line."""

    labels: bytes
    """Between the braces, as written."""
    value: float


def samples(text: bytes, name: bytes) -> list[Sample]:
    """Of one metric, found by its name at a line's beginning; at most 1,024."""
    found: list[Sample] = []
    at = 0 if text.startswith(name) else _next(text, name, 0)
    while at >= 0 and len(found) < _MAX_SERIES:
        at += len(name)
        match = _SAMPLE.match(text, at)
        value = number(match["value"]) if match else None
        if match and value is not None:
            found.append(Sample(match["labels"] or b"", value))
        at = _next(text, name, at)
    return found


def _next(text: bytes, name: bytes, start: int) -> int:
    at = text.find(b"\n" + name, start)
    return at + 1 if at >= 0 else -1


def labels_of(sample: Sample) -> dict[bytes, bytes]:
    """Its labels; escapes in values stay as written."""
    return dict(_LABEL.findall(sample.labels))


def number(text: bytes) -> float | None:
    """A finite number that is not negative; None for anything else."""
    try:
        value = float(text) if b"_" not in text else -1.0  # a spelling of Python's alone
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def total(text: bytes, *names: bytes) -> float | None:
    """Over all series of the first of these metrics that is there (an engine may have several ranks)."""
    for name in names:
        found = samples(text, name)
        if found:
            return sum(sample.value for sample in found)
    return None


def mean(text: bytes, *names: bytes) -> float | None:
    """The same, divided by their count."""
    for name in names:
        found = samples(text, name)
        if found:
            return sum(sample.value for sample in found) / len(found)
    return None
