"""Form uploads (audio, image edits): which model they name, and the same form with another one.

A form is looked at by the heads of its parts; of files nothing is read but where they end. What engines would read
otherwise than we do is refused: they would serve another model than the one that was asked for here.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.model.faults import FaultError, Kind, downstream

PARTS_MAX: Final = 256
_PART_HEAD_B: Final = 8192
_VALUE_B: Final = 4096
"""Of a value that may be a model's name; a longer one is none."""
_PROTECTED: Final = re.compile(rb"\\(.)")
_PARAMETER: Final = re.compile(rb';\s*([A-Za-z0-9_*-]+)\s*=\s*("(?:\\.|[^"\\])*"|[^;\s]*)')


class Span:
    """Where in a form the name of the model stands: bytes [start, end)."""

    __slots__ = ("end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end


def model_span(content_type: bytes, body: bytes) -> Span | None:
    """Of the field `model`; None: the form names none, or it is no form. FaultError where it names two, or has more
    parts than anybody looks at."""
    boundary = boundary_of(content_type)
    if not boundary:
        return None
    found: Span | None = None
    for start, end in _parts(body, b"\r\n--" + boundary):
        blank = body.find(b"\r\n\r\n", start, min(end, start + _PART_HEAD_B))
        if blank < 0 and end - start > _PART_HEAD_B:
            text = f"A part of the form has more than {_PART_HEAD_B} bytes of headers."
            raise FaultError(downstream(Kind.INVALID, text))
        if blank < 0 or not _is_model_field(body[start:blank]):
            continue
        if found is not None:
            raise FaultError(downstream(Kind.INVALID, "The form has more than one `model`.", param="model"))
        found = Span(blank + 4, min(end, blank + 4 + _VALUE_B))
    return found


def with_model(content_type: bytes, body: bytes, name: str) -> tuple[memoryview, bytes, memoryview] | None:
    """The form in three pieces, the second its new model; files are not copied. None: it names no model."""
    span = model_span(content_type, body)
    if span is None:
        return None
    whole = memoryview(body)
    return whole[: span.start], name.encode(), whole[span.end :]


def boundary_of(content_type: bytes) -> bytes:
    """Between the parts of a form; empty: it is none."""
    at = content_type.lower().find(b"boundary=")
    if at < 0:
        return b""
    value = content_type[at + len(b"boundary=") :]
    if value.startswith(b'"'):
        return value[1:].split(b'"', 1)[0]
    return value.split(b";", 1)[0].strip()


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """[start, end) of each. A delimiter starts a line: a file that holds it inside a line is not cut there."""
    first = delimiter[2:]
    start = len(first) if body.startswith(first) else _after(body, delimiter, 0)
    count = 0
    while start >= 0 and not body.startswith(b"--", start):
        count += 1
        if count > PARTS_MAX:
            raise FaultError(downstream(Kind.INVALID, f"The form has more than {PARTS_MAX} parts."))
        following = _after(body, delimiter, start)
        yield start, len(body) if following < 0 else following - len(delimiter)
        start = following


def _after(body: bytes, delimiter: bytes, position: int) -> int:
    at = body.find(delimiter, position)
    return at if at < 0 else at + len(delimiter)


def _is_model_field(head: bytes) -> bool:
    """Whether the part is the field `model`, as forms are read: parameters by name whatever their case, the last of a
    name counts, and what has a file's name is a file."""
    named, filename = disposition(head)
    return filename is None and named == b"model"


def disposition(head: bytes) -> tuple[bytes, bytes | None]:
    """The name of a part, and of the file that it is; None: it is none."""
    named, filename = b"", None
    for line in head.split(b"\r\n"):
        if line[:20].lower() == b"content-disposition:":
            for parameter in _PARAMETER.finditer(line):
                key, value = parameter.group(1).lower(), parameter.group(2)
                plain = unquote_to_bytes(value.strip(b'"').rpartition(b"'")[2]) if key.endswith(b"*") else _plain(value)
                if key.startswith(b"filename"):
                    filename = plain
                if key in (b"name", b"name*"):
                    named = plain
    return named, filename


def _plain(value: bytes) -> bytes:
    """Without its quotes and what they protect."""
    return _PROTECTED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
