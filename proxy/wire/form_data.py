"""A form (`multipart/form-data`) read as it comes: its fields, and its file piece by piece.

Holds no more than the head of a part, or a delimiter, however large the file is. RFC 7578 and 2046; a preamble is
passed over, what comes after the end is dropped.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy.model.faults import FaultError, Kind, downstream
from proxy.wire.multipart import boundary_of, disposition

_HEAD_B: Final = 8192
_LONGEST_BOUNDARY: Final = 200
_PARTS_MAX: Final = 32

_DELIMITER: Final = 0
"""A delimiter is looked for; what is before it is the body of a part, or the preamble."""
_BEHIND: Final = 1
"""One has passed: the end of its line, or of the form, follows."""
_HEAD: Final = 2
_ENDED: Final = 3


class Field(NamedTuple):
    """A part begins; what follows are its bytes."""

    name: str
    filename: str | None
    """None: it is no file."""


class FormReader:
    """One per form. FaultError for what is no form."""

    def __init__(self, content_type: bytes) -> None:
        boundary = boundary_of(content_type)
        if not content_type.lower().startswith(b"multipart/form-data") or not boundary:
            raise FaultError(downstream(Kind.MEDIA_TYPE, "Send the file as multipart/form-data."))
        if len(boundary) > _LONGEST_BOUNDARY:
            raise _broken("its boundary is too long")
        self._delimiter = b"\r\n--" + boundary
        self._data = b"\r\n"
        """Not looked at yet; a form begins as if a line had just ended."""
        self._state = _DELIMITER
        self._parts = 0

    @property
    def has_ended(self) -> bool:
        """Its last delimiter has come."""
        return self._state == _ENDED

    def feed(self, data: bytes) -> Iterator[Field | bytes]:
        """What the bytes complete, in order. FaultError where the form is broken."""
        self._data += data
        while True:
            if self._state == _DELIMITER:
                at = self._data.find(self._delimiter)
                body_b = at if at >= 0 else len(self._data) - len(self._delimiter) + 1
                if body_b > 0:
                    if self._parts:
                        yield self._data[:body_b]
                    self._data = self._data[body_b:]
                if at < 0:
                    return
                self._data = self._data[len(self._delimiter) :]
                self._state = _BEHIND
            elif self._state == _BEHIND:
                if len(self._data) < 2:
                    return
                self._begin()
            elif self._state == _HEAD:
                field = self._field()
                if field is None:
                    return
                yield field
            else:
                self._data = b""
                return

    def _begin(self) -> None:
        if self._data.startswith(b"--"):
            self._state = _ENDED
            return
        if not self._data.lstrip(b" \t").startswith((b"\r\n", b"\r")):
            raise _broken("something stands behind a boundary")
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise _broken(f"it has more than {_PARTS_MAX} parts")
        self._state = _HEAD

    def _field(self) -> Field | None:
        """None: its head is not complete."""
        end = self._data.find(b"\r\n\r\n")
        if end < 0 or end > _HEAD_B:
            if len(self._data) > _HEAD_B:
                raise _broken("the head of a part is too large")
            return None
        name, filename = disposition(self._data[:end])
        self._data = self._data[end + 4 :]
        self._state = _DELIMITER
        told = None if filename is None else filename.decode("utf-8", "replace")
        return Field(name.decode("utf-8", "replace"), told)


def _broken(why: str) -> FaultError:
    return FaultError(downstream(Kind.INVALID, f"The form is broken: {why}."))
