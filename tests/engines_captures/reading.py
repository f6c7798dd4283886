"""Reads a captured answer with the same parser that the proxy uses. Knows nothing of what is in a body."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httptools

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Capture:
    """One answer, framing removed."""

    name: str
    """`engine/scenario`."""
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    pieces: tuple[bytes, ...]
    """The body as the engine cut it into chunks."""
    is_whole: bool
    """The framing says that the answer ended; false where it was cut."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key.lower() == name), b"")

    @property
    def is_stream(self) -> bool:
        return self.status == 200 and self.header(b"content-type").startswith(b"text/event-stream")


class _Reader:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        self.is_whole = True


@cache
def capture(name: str) -> Capture:
    """One capture by `engine/scenario`."""
    raw = (_HERE / f"{name}.http").read_bytes()
    reader = _Reader()
    parser = httptools.HttpResponseParser(reader)
    parser.feed_data(raw)
    return Capture(
        name,
        parser.get_status_code(),
        tuple(reader.headers),
        tuple(reader.pieces),
        reader.is_whole or not reader.pieces,
    )


@cache
def _all() -> tuple[Capture, ...]:
    paths = sorted(_HERE.glob("*/*.http"))
    return tuple(capture(path.relative_to(_HERE).with_suffix("").as_posix()) for path in paths)


def named(wanted: Callable[[Capture], bool]) -> list[str]:
    """The names of the captures for which `wanted` holds; never none, so that no test runs on nothing."""
    names = [found.name for found in _all() if wanted(found)]
    assert names, "no capture fits; is tests/engines_captures whole?"
    return names


STREAMS = named(lambda c: c.is_stream)
ERRORS = named(lambda c: c.status >= 400)
