"""Streams of lines, each a JSON object, as Ollama writes them: split on bytes, never read line by line.

Owns line borders. A line is passed on as the bytes it came in, its end included; empty lines are removed. The bounds
are those of events: `sse.EventSplitter`.
"""

import orjson

from proxy.wire.sse import EventSplitter


class LineSplitter(EventSplitter):
    """Bytes in any split → whole lines as raw bytes, each with its line end."""

    __slots__ = ()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. FaultError when one grows over the limit, or large ones of all streams over
        what they share."""
        if self._taken_b and not self._buffer:
            self.give_back()
        buffer = self._buffer
        seam = len(buffer)
        buffer += data
        end = buffer.rfind(b"\n", seam)
        if end < 0:
            self._check_pending()
            return []
        whole = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        self._check_pending()
        lines = whole.splitlines(keepends=True) if whole.find(b"\r") < 0 else _split(whole)
        self._check_size(max(map(len, lines)) - 1)
        return [line for line in lines if not line.isspace()]

    def rest(self) -> list[bytes]:
        """At the end of the stream: a last line without its end, if it is whole."""
        line = bytes(self._buffer)
        self._buffer.clear()
        if not line.lstrip().startswith(b"{"):
            return []
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            return []
        return [line + b"\n"]


def _split(whole: bytes) -> list[bytes]:
    """A lone CR ends no line."""
    return [line + b"\n" for line in whole.split(b"\n")[:-1]]
