"""A client without manners: sends a request or a part of one, reads or does not, and leaves as it likes."""

import contextlib
import itertools
import zlib
from collections.abc import Iterator

from tests.soak.clients import PATH, chunked
from tests.support.raw_client import RawConnection, request_bytes

_SEND_S = 0.2
"""Nobody here waits long for a proxy that reads nothing behind a request that it works on."""
PADS = {"small": 0, "large": 400_000, "off-loop": 1_200_000}


class Guest:
    """One connection and what was said on it."""

    def __init__(self, address: tuple[str, int], numbers: Iterator[int], receive_b: int | None) -> None:
        self._connection = RawConnection(address, receive_b)
        self._connection.socket.settimeout(_SEND_S)
        self._numbers = numbers
        self._left_b = b""
        self._pending = ""
        self.said: list[str] = []
        """Ids of the requests that were begun, in order."""
        self.whole: list[str] = []
        """Of those that were sent to the last byte."""
        self.got = b""
        self.is_gone = False

    def say(self, request: tuple[str, bytes], cut: float) -> None:
        """Sends the first part of a request: `cut` of it."""
        self._pending, wire = request
        self.said.append(self._pending)
        at = round(cut * len(wire))
        self._left_b = wire[at:]
        self._send(wire[:at])

    def say_the_rest(self) -> None:
        """What was left of it."""
        rest, self._left_b = self._left_b, b""
        self._send(rest)

    def read(self, most_b: int) -> None:
        """What is there, without waiting for it."""
        self._connection.socket.settimeout(0.002)
        try:
            self.got += self._connection.socket.recv(most_b)
        except OSError:
            pass
        finally:
            self._connection.socket.settimeout(_SEND_S)

    def leave(self, way: str) -> None:
        """`close`, `reset` or `half_close`: after that it neither sends nor reads."""
        self.is_gone = True
        with contextlib.suppress(OSError):  # the proxy was faster
            getattr(self._connection, way)()

    def close(self) -> None:
        """The socket itself."""
        self._connection.close()

    @property
    def surely_served(self) -> list[str]:
        """Requests that the proxy has read for certain: they were sent whole, and an answer came."""
        return self.said[:1] if self.got and self.whole[:1] == self.said[:1] else []

    def _send(self, data: bytes) -> None:
        if data and self._connection.send(data) and not self._left_b:
            self.whole.append(self._pending)


def request(
    numbers: Iterator[int], model: str, way: str, *, stream: bool, size: str, form: str, traffic_class: str
) -> tuple[str, bytes]:
    """Its id and its bytes; `form`: how the body is framed or packed."""
    name = f"life-{next(numbers)}"
    fields = [("x-fake", way), ("x-request-id", name), ("x-tidegate-class", traffic_class)]
    body = {"model": model, "messages": [{"role": "user", "content": "x" * PADS[size]}], "stream": stream}
    body |= {"temperature": 0}  # else no stream is resumed
    wire = request_bytes("POST", PATH, body, fields)
    if form == "chunked":
        return name, chunked(wire)
    if form == "gzip":
        packed = zlib.compressobj(1, wbits=31)
        data = packed.compress(wire.partition(b"\r\n\r\n")[2]) + packed.flush()
        json = [("content-type", "application/json"), ("content-encoding", "gzip")]
        return name, request_bytes("POST", PATH, data, [*fields, *json])
    if form == "1.0":
        return name, wire.replace(b" HTTP/1.1", b" HTTP/1.0", 1)
    return name, wire


def numbers() -> Iterator[int]:
    """Of requests, in one test."""
    return itertools.count(1)
