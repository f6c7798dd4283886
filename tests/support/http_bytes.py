"""HTTP/1.1 on bytes, for both ends of the test bed: just enough to split messages, and strict about what it accepts.

Refuses to be lenient: an answer of the proxy that needs a forgiving parser is a failed test.
"""

from dataclasses import dataclass, field

HeaderList = list[tuple[str, str]]


class BadMessageError(AssertionError):
    """The peer sent something that is not HTTP/1.1."""


@dataclass
class Head:
    """A start line and its header fields."""

    start: str
    fields: HeaderList = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The first value of a field."""
        return next(iter(self.all(name)), None)


def split_head(buffer: bytes) -> tuple[Head, int] | None:
    """The head at the start of `buffer` and its length; None while it is incomplete."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    lines = buffer[:end].decode("latin-1").split("\r\n")
    return Head(lines[0], [_field(line) for line in lines[1:]]), end + 4


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise BadMessageError(f"bad header line {line!r}")
    if any(ord(char) < 0x20 and char != "\t" for char in value):
        raise BadMessageError(f"control character in header line {line!r}")
    return name, value.strip()


class ChunkedDecoder:
    """Takes bytes, gives body bytes; `done` after the last chunk and its trailers."""

    def __init__(self) -> None:
        self.done = False
        self.chunks: list[bytes] = []
        self.rest = b""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while not self.done and self._next_chunk():
            pass

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def _next_chunk(self) -> bool:
        line_end = self._buffer.find(b"\r\n")
        if line_end < 0:
            return False
        size = int(bytes(self._buffer[:line_end]).split(b";")[0], 16)
        if size == 0:
            return self._trailers(line_end + 2)
        start, end = line_end + 2, line_end + 2 + size
        if len(self._buffer) < end + 2:
            return False
        if self._buffer[end : end + 2] != b"\r\n":
            raise BadMessageError("chunk without CRLF")
        self.chunks.append(bytes(self._buffer[start:end]))
        del self._buffer[: end + 2]
        return True

    def _trailers(self, start: int) -> bool:
        if self._buffer[start : start + 2] == b"\r\n":
            end = start + 2
        else:
            last = self._buffer.find(b"\r\n\r\n", start)
            if last < 0:
                return False
            end = last + 4
        self.rest = bytes(self._buffer[end:])
        self.done = True
        return False


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def head_bytes(start: str, fields: HeaderList) -> bytes:
    """A head as it goes over the wire."""
    lines = [start, *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
