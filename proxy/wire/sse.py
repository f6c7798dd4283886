"""Server-sent events on bytes: split, inspect, and drop what crashes clients. Never text.

Owns event borders. An event is passed on as the bytes it came in, except that
- CR and CRLF line ends become LF (the three are equal by the SSE standard, WHATWG HTML §9.2.6),
- a byte order mark at the start of the stream is removed (it is no part of the first field's name, same standard),
- `id:` and `retry:` fields and events without data are removed, comments end in one newline (CLIENTS: openai-python
  crashes on a blank line after an `id:` and on events without data), `data: null` (llama.cpp, prompt arrays) too.
"""

from typing import Any, Final

from proxy.model.faults import FaultError, Kind, internal
from proxy.wire.allowance import AllowanceHeaders

DONE: Final = b"[DONE]"
_BOM: Final = b"\xef\xbb\xbf"
FREE_B: Final = 1024 * 1024
"""Of an event, before it takes from what all streams share; larger ones are taken for output, unread."""
_STEP_B: Final = 256 * 1024
_DROPPED_FIELDS: Final[tuple[bytes, ...]] = (b"id:", b"retry:", b"id\n", b"retry\n")


class EventSplitter:
    """Bytes in any split → whole events as raw bytes, each with its terminating blank line."""

    __slots__ = ("_allowance", "_at_start", "_buffer", "_limit_b", "_skip_lf", "_taken_b")

    def __init__(self, limit_b: int, allowance: AllowanceHeaders | None = None) -> None:
        """`allowance`: what large events of all streams share; who gives one calls `give_back` in the end."""
        self._limit_b = limit_b
        self._allowance = allowance
        self._taken_b = 0
        self._buffer = bytearray()
        self._at_start = True
        self._skip_lf = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes. FaultError when one grows over the limit (its blank line not counted), or
        large ones of all streams over what they share."""
        if self._taken_b and not self._buffer:  # more is read: what came out before has left for the client
            self.give_back()
        if self._skip_lf or data.find(b"\r") >= 0:
            data = self._normalised(data)
        if self._at_start:
            data = self._without_bom(data)
        buffer = self._buffer
        if not buffer:
            data = data.lstrip(b"\n")
        seam = max(0, len(buffer) - 1)
        buffer += data
        end = buffer.rfind(b"\n\n", seam)
        if end < 0:
            self._check_pending()
            return []
        whole = bytes(buffer[:end])
        del buffer[: end + 2]
        self._check_pending()
        events = [event.strip(b"\n") for event in whole.split(b"\n\n")]
        self._check_size(max(map(len, events)))
        return [event + b"\n\n" for event in events if event]

    @property
    def is_between_events(self) -> bool:
        """Whether every byte fed so far has come out as part of a whole event, and nothing is to be given back."""
        return not self._buffer and not self._taken_b

    def give_back(self) -> None:
        """No large event is held here any more. Harmless when repeated."""
        if self._allowance is not None:
            self._allowance.give_back(self._taken_b)
        self._taken_b = 0

    def _check_pending(self) -> None:
        buffer = self._buffer
        pending_b = len(buffer)
        self._check_size(pending_b - buffer.endswith(b"\n"))
        if self._allowance is not None and pending_b > FREE_B + self._taken_b:
            step_b = max(_STEP_B, pending_b - FREE_B - self._taken_b)
            self._allowance.take(step_b)
            self._taken_b += step_b

    def _check_size(self, size_b: int) -> None:
        if size_b > self._limit_b:
            raise FaultError(internal(Kind.EVENT_TOO_LARGE, f"One stream event is larger than {self._limit_b} bytes."))

    def _normalised(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._skip_lf and data[:1] == b"\n":
            data = data[1:]
        self._skip_lf = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, data: bytes) -> bytes:
        data = bytes(self._buffer) + data
        self._buffer.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):  # may still become one
            self._buffer += data
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)


def is_plain(data: bytes) -> bool:
    """Whether `data` is exactly one whole event of one JSON `data:` line: the fast path, forwarded as it is."""
    return (
        data.startswith(b"data: {")
        and data.endswith(b"}\n\n")
        and data.find(b"\n") == len(data) - 2
        and data.find(b"\r") < 0
    )


def says_error(fields: dict[str, Any]) -> bool:
    """Whether the fields of an event are an error object: nested (most engines), or flat (SGLang, Anthropic)."""
    return bool(fields.get("error")) or "error" in (fields.get("object"), fields.get("type"))


def payload(event: bytes) -> bytes | None:
    """The data of an event, multi-line data joined by newlines; None when it has none."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
        return event[6:-2]
    lines = []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            lines.append(value[1:] if value[:1] == b" " else value)
    return b"\n".join(lines) if lines else None


def cleaned(event: bytes) -> bytes:
    """The event as a client may see it; empty when nothing of it may."""
    if event.startswith(b"data: {") and event.find(b"\n") == len(event) - 2:
        return event
    data = payload(event)
    if data is None or data.strip() in (b"", b"null"):
        return b"".join(line + b"\n" for line in event.split(b"\n") if line.startswith(b":"))
    kept = [line for line in event[:-2].split(b"\n") if not (line + b"\n").startswith(_DROPPED_FIELDS)]
    return b"\n".join(kept) + b"\n\n"
