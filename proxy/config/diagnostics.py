"""What is wrong with a configuration, and how it is shown: as text, as JSON, as GitHub annotations.

Owns the shape of a diagnostic; finds none. The text of a diagnostic holds no secret when it arrives here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Literal

Format = Literal["text", "json", "github"]
FORMATS: tuple[Format, ...] = ("text", "json", "github")

_MAX_LINE_SHOWN = 160
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;34m", "hint": "\x1b[36m"}
_PLAIN = "\x1b[0m"


class Severity(StrEnum):
    """An error keeps the proxy from starting, a warning does not; a note says what was not looked at."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, at one place."""

    severity: Severity
    file: str
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    path: str
    """The option, such as `backends[1].weight`; empty for the file as a whole."""
    message: str
    hint: str = ""
    source: str = ""
    """The line of the file, its secrets masked."""


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether one of them keeps the proxy from starting."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def render(diagnostics: Sequence[Diagnostic], shape: Format, *, colour: bool = False) -> str:
    """All diagnostics in one of the formats, ending in a newline unless there is nothing to say."""
    if shape == "json":
        return json.dumps([asdict(d) for d in diagnostics], indent=2, ensure_ascii=True) + "\n"
    if shape == "github":
        return "".join(f"{_github(d)}\n" for d in diagnostics)
    return "".join(f"{_text(d, colour)}\n" for d in diagnostics)


def _text(diagnostic: Diagnostic, colour: bool) -> str:
    d = diagnostic
    kind = "" if d.severity is Severity.ERROR else _painted(f"{d.severity}: ", d.severity.value, colour)
    message = _painted(d.message, d.severity.value, colour)
    hint = _painted(f"; {d.hint}", "hint", colour) if d.hint else ""
    path = f"{_one_line(d.path)}: " if d.path else ""
    return f"{_one_line(d.file)}:{d.line}:{d.column}: {kind}{path}{message}{hint}{_excerpt(d)}"


def _excerpt(diagnostic: Diagnostic) -> str:
    """The source line with a caret under the column; a long line is cut around it."""
    if not diagnostic.source.strip():
        return ""
    at = diagnostic.column - 1
    start = max(0, at - _MAX_LINE_SHOWN // 2) if len(diagnostic.source) > _MAX_LINE_SHOWN else 0
    line = _one_line(diagnostic.source[start : start + _MAX_LINE_SHOWN], keep="\t")
    margin = "".join("\t" if c == "\t" else " " for c in line[: at - start])
    return f"\n    {line}\n    {margin}^"


def _painted(text: str, kind: str, colour: bool) -> str:
    return f"{_COLOURS[kind]}{_one_line(text)}{_PLAIN}" if colour else _one_line(text)


def _one_line(text: str, keep: str = "") -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in keep else "�" for c in text)


def _github(diagnostic: Diagnostic) -> str:
    d = diagnostic
    place = f"file={_property(d.file)},line={d.line},col={d.column}"
    text = f"{d.path}: {d.message}" if d.path else d.message
    command = "notice" if d.severity is Severity.NOTE else d.severity.value
    return f"::{command} {place}::{_data(f'{text}; {d.hint}' if d.hint else text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
