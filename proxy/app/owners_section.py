"""The part of the state file that says which backend has which response and conversation.

    {"owners": [[backend, model], …], "ids": base64 of 22 bytes each: name (16), which owner (2), when it ends (4)}

Owns its form. Names are digests (`live.owners`): the file shows no id and no tenant. The loop makes a list, which is
made into JSON in the thread that writes; what is not as it was written reads as not known.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from proxy.core.cache.store import Entry
from proxy.live.owners import NAME_B, Known, Owners
from proxy.model.timeline import Clock

SECTION: Final = "stored"
MOST: Final = 100_000
"""Ids in the file, those that live longest; they are 3 MB there."""
_MOST_OWNERS: Final = 1 << 16
_ROW: Final = struct.Struct(f">{NAME_B}sHI")
_LAST: Final = (1 << 32) - 1
_MAX_CHARS: Final = 512


class Taken(NamedTuple):
    """All owners at one moment; `offset_s`: what seconds since 1970 are more than theirs."""

    known: list[Entry]
    offset_s: float

    def as_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        known = self.known
        if len(known) > MOST:
            known = sorted(known, key=lambda one: one.expires)[-MOST:]
        numbers: dict[tuple[str, str], int] = {}
        rows = []
        for one in known:
            number = numbers.setdefault(one.value, len(numbers))
            if number < _MOST_OWNERS:
                rows.append(_ROW.pack(one.key, number, min(_LAST, max(0, int(one.expires + self.offset_s)))))
        owners = [list(owner) for owner in numbers][:_MOST_OWNERS]
        return {"owners": owners, "ids": b64encode(b"".join(rows)).decode()}


class OwnersSection:
    """One per proxy. `wall`: seconds since 1970; `clock`: that of the owners."""

    def __init__(self, owners: Owners, wall: Clock, clock: Clock) -> None:
        self._owners = owners
        self._wall = wall
        self._clock = clock

    def taken(self) -> Taken:
        """To be written."""
        return Taken(self._owners.known(), self._wall() - self._clock())

    def recall(self, section: Any) -> None:
        """What an earlier process wrote."""
        now = self._clock()
        self._owners.recall(_read(section, self._wall() - now), now)


def _read(section: Any, offset_s: float) -> Iterator[Known]:
    owners = section.get("owners") if isinstance(section, dict) else None
    ids = section.get("ids") if isinstance(section, dict) else None
    if not isinstance(owners, list) or not isinstance(ids, str):
        return
    named = [_owner(row) for row in owners[:_MOST_OWNERS]]
    try:
        data = b64decode(ids, validate=True)
    except ValueError:
        return
    whole_b = len(data) - len(data) % _ROW.size
    for name, number, expires in _ROW.iter_unpack(data[: min(whole_b, MOST * _ROW.size)]):
        owner = named[number] if number < len(named) else None
        if owner is not None:
            yield Known(name, owner, expires - offset_s)


def _owner(row: Any) -> tuple[str, str] | None:
    if not isinstance(row, list) or len(row) != 2:
        return None
    backend, model = row
    if not isinstance(backend, str) or not isinstance(model, str) or max(len(backend), len(model)) > _MAX_CHARS:
        return None
    return backend, model
