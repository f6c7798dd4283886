"""The upload of a file: its form read as it comes, its bytes handed on, its fields kept.

Owns which fields there are. In memory is never more than a piece of the file.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from proxy.live.downstream.upload import CutError, Upload
from proxy.model.faults import FaultError, Kind, downstream
from proxy.wire.body import invalid
from proxy.wire.form_data import Field, FormReader

PURPOSES: Final = ("batch",)
"""Of files that clients upload."""
_VALUE_B: Final = 4096
_ANCHOR: Final = "expires_after[anchor]"
_SECONDS: Final = "expires_after[seconds]"
_LEAST_S: Final = 3600
_MOST_S: Final = 30 * 86400

Write = Callable[[bytes], Awaitable[None]]


class TakenForm:
    """What a form said beside its file."""

    __slots__ = ("fields", "filename", "has_file")

    def __init__(self) -> None:
        self.fields: dict[str, bytearray] = {}
        self.filename = ""
        self.has_file = False

    @property
    def purpose(self) -> str:
        """Of the file. FaultError where there is none that we know."""
        said = self.fields.get("purpose", bytearray()).decode("utf-8", "replace")
        if said not in PURPOSES:
            raise invalid(f"`purpose` must be {' or '.join(PURPOSES)}.", "purpose")
        return said

    def expires(self, created: int) -> int | None:
        """When the file is removed; None: it does not say."""
        seconds = self.fields.get(_SECONDS)
        if seconds is None and _ANCHOR not in self.fields:
            return None
        if bytes(self.fields.get(_ANCHOR, b"")) != b"created_at" or seconds is None or not seconds.isdigit():
            raise invalid("`expires_after` must be {anchor: created_at, seconds: …}.", "expires_after")
        if not _LEAST_S <= int(seconds) <= _MOST_S:
            raise invalid(f"`expires_after.seconds` must be from {_LEAST_S} to {_MOST_S}.", "expires_after")
        return created + int(seconds)


async def take_form(upload: Upload, content_type: bytes, stall_s: float, write: Write) -> TakenForm:
    """All of it, its file by `write`. FaultError where it is none, is cut, comes too slowly or lacks a field."""
    reader, form = FormReader(content_type), TakenForm()
    value: bytearray | None = None
    while data := await _next(upload, stall_s):
        for part in reader.feed(data):
            if isinstance(part, Field):
                value = _begin(form, part)
            elif value is None:
                await write(part)
            else:
                value += part
                if len(value) > _VALUE_B:
                    raise invalid(f"A field of the form is longer than {_VALUE_B} bytes.")
    if not reader.has_ended:
        raise invalid("The form has no end: its last boundary is missing.")
    if not form.has_file:
        raise invalid("`file` is missing.", "file")
    _ = form.purpose, form.expires(0)
    return form


def _begin(form: TakenForm, part: Field) -> bytearray | None:
    """Where the bytes of the part go; None: into the file."""
    if part.name == "file":
        if form.has_file:
            raise invalid("The form has more than one file.", "file")
        form.has_file = True
        form.filename = _plain_name(part.filename or "")
        return None
    return form.fields.setdefault(part.name[:64], bytearray())


def _plain_name(filename: str) -> str:
    """Without folders, and what cannot be shown."""
    name = filename.replace("\\", "/").rpartition("/")[2][:255]
    return "".join(character for character in name if character.isprintable())


async def _next(upload: Upload, stall_s: float) -> bytes:
    try:
        return await upload.next(stall_s)
    except TimeoutError:
        raise FaultError(downstream(Kind.BODY_TOO_SLOW, "The request body came too slowly.")) from None
    except CutError:
        raise FaultError(downstream(Kind.LEFT, "The upload was cut.")) from None
