"""One event of a stream: its bytes, and what they say, read at most once however many ask."""

from typing import Any

import orjson

from proxy.wire import deltas, sse
from proxy.wire.deltas import Fields

_NOTHING: Fields = {}


class Event:
    """A whole event, clean (`sse.cleaned`), or a line of JSON. Who changes its fields is the last to ask for them."""

    __slots__ = ("_data", "_is_broken", "_is_read", "_object", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        """As it is written, with its blank line."""
        self._data: bytes | None = None
        self._object: Fields | None = None
        self._is_read = False
        self._is_broken = False
        """No JSON to the letter, and not yet read more leniently."""

    @property
    def data(self) -> bytes:
        """Its data, several lines joined; empty when it has none."""
        data = self._data
        if data is None:
            data = sse.payload(self.raw) or _line(self.raw)
            if len(self.raw) <= sse.FREE_B:  # a picture is not held twice
                self._data = data
        return data

    @property
    def object(self) -> Fields:
        """The JSON object that it holds; empty when it is none to the letter."""
        if not self._is_read:
            self._read()
        found = self._object
        return _NOTHING if found is None or type(found) is deltas.Lenient else found

    @property
    def is_object(self) -> bool:
        """Whether it holds a JSON object, to the letter."""
        return self.object is not _NOTHING

    @property
    def fields(self) -> Fields | None:
        """The same, or None; lone surrogates and NaN, which engines do send, are kept."""
        if not self._is_read:
            self._read()
        if self._is_broken:
            self._is_broken = False
            self._object = deltas.load_leniently(self.data)
        return self._object

    @property
    def is_error(self) -> bool:
        """Whether it is an engine's error after a 200: named so, or JSON that says so at its top level.

        Text that a model wrote cannot look like it: inside a JSON string every quote is escaped.
        """
        raw = self.raw
        if len(raw) <= sse.FREE_B and raw.find(b'"error"') >= 0 and sse.says_error(self.object):
            return True
        return raw.startswith(b"event: error\n") or raw.find(b"\nevent: error\n") >= 0

    def _read(self) -> None:
        self._is_read = True
        try:
            found: Any = orjson.loads(self.data)
        except orjson.JSONDecodeError:
            self._is_broken = True
        else:
            self._object = found if isinstance(found, dict) else None


def _line(raw: bytes) -> bytes:
    """A line of JSON that is a whole event."""
    return raw if raw.startswith(b"{") else b""
