"""The text of a configuration file: reading it within bounds, and showing one line of it without its secrets."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

MAX_FILE_BYTES = 1 << 20
MAX_LINE_CHARACTERS = 2000
"""A longer line is not shown."""

STDIN: Literal["-"] = "-"

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_SECRET_KEY = re.compile(r"key|token\b|secret|passw|credential|auth|bearer|api.?[ky]", re.IGNORECASE)
_SECRET_ON_LINE = re.compile(
    r"""(?:api.?k\w*["']?\s*[:=]?|(?:token|secret|passw|credential|auth|bearer)[\w.-]*["']?\s*[:=])\s*([^\s,}].*)""",
    re.IGNORECASE,
)
_SECRET_ABOVE = re.compile(
    r"""(?:api.?k|token|secret|passw|credential|auth|bearer)[\w.-]*["']?\s*:\s*[|>]?[-+0-9]*\s*$""", re.IGNORECASE
)
_SECRET_SHAPE = re.compile(
    r"""\b(?:sk|pk|hf|gsk|nvapi|xai|ghp|AKIA|eyJ)[-_A-Za-z0-9.]{12,}|(?<=//)[^\s@"']*(?=@)|[^\s/:@"']+:(?!//)[^\s@"']+(?=@)"""
)
_REFERENCE = re.compile(r"""["']?\$\{[^}]*\}["']?""")


class Position(NamedTuple):
    """A place in the file; both count from 1."""

    line: int
    column: int


class Span(NamedTuple):
    """From the first character to the one after the last."""

    start: Position
    end: Position


class UnreadableError(Exception):
    """The file is not text this loader takes; the message says why."""

    def __init__(self, message: str, hint: str = "", position: Position = Position(1, 1)) -> None:  # noqa: B008
        super().__init__(message)
        self.message, self.hint, self.position = message, hint, position


def read_text(path: Path | Literal["-"]) -> str:
    """The text of a file, or of standard input. Raises UnreadableError."""
    try:
        if path == STDIN:
            return _decoded(_bounded(sys.stdin.buffer))
        with Path(path).open("rb") as file:
            return _decoded(_bounded(file))
    except FileNotFoundError:
        raise UnreadableError("there is no such file", "`tidegate init` writes one") from None
    except IsADirectoryError:
        raise UnreadableError("is a directory", "name the YAML file in it") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {(error.strerror or 'input/output error').lower()}") from None
    except ValueError:  # a NUL byte in the path
        raise UnreadableError("is not a path") from None


def looks_secret(key: str) -> bool:
    """Whether the value of such a key must not be shown, misspelt names of secrets included."""
    return _SECRET_KEY.search(key) is not None


def masked_line(lines: Sequence[str], number: int, secrets: Iterable[Span], *, understood: bool) -> str:
    """Line `number` with every character of a secret replaced by `*`, so that columns stay true.

    Where the text was not understood as YAML, all that may be a secret counts as one. Empty for an overlong line.
    """
    line = lines[number - 1] if 1 <= number <= len(lines) else ""
    if len(line) > MAX_LINE_CHARACTERS:
        return ""
    spans = [*_spans_on_line(number, len(line), secrets), *(match.span() for match in _SECRET_SHAPE.finditer(line))]
    if not understood:
        spans += _guessed(line, _line_above(lines, number))
    masked = list(line)
    for start, end in spans:
        masked[start:end] = "*" * len(masked[start:end])
    return "".join(masked)


def split_lines(text: str) -> list[str]:
    """Lines as YAML counts them; the text holds none of the rarer line ends."""
    return re.split(r"\r\n|\r|\n", text)


def masked_text(text: str) -> str:
    """A piece of a message without what has the shape of a key or of a URL's password."""
    return _SECRET_SHAPE.sub("***", text)


def _bounded(file: BinaryIO) -> bytes:
    data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
    return data


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8-sig", "replace")
        raise UnreadableError("is not UTF-8", "save the file as UTF-8", _end_of(good)) from None
    if bad := _FORBIDDEN.search(text):
        name = f"U+{ord(bad[0]):04X}"
        raise UnreadableError(f"holds the control character {name}", "remove it", _end_of(text[: bad.start()]))
    return text


def _end_of(text: str) -> Position:
    lines = split_lines(text)
    return Position(len(lines), len(lines[-1]) + 1)


def _spans_on_line(number: int, width: int, spans: Iterable[Span]) -> Iterable[tuple[int, int]]:
    for start, end in spans:
        if start.line <= number <= end.line:
            first = start.column - 1 if number == start.line else 0
            last = end.column - 1 if number == end.line else width
            yield first, last


def _line_above(lines: Sequence[str], number: int) -> str:
    above = next((text for text in reversed(lines[: number - 1]) if text.strip()), "")
    return above[-MAX_LINE_CHARACTERS:]


def _guessed(line: str, above: str) -> Iterator[tuple[int, int]]:
    if _SECRET_ABOVE.search(above):
        yield 0, len(line)
    if (match := _SECRET_ON_LINE.search(line)) and not _REFERENCE.match(match[1]):
        yield match.span(1)
