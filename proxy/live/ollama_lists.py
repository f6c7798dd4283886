"""What Ollama's clients ask before they ask for an answer: which models there are, which are in memory, which version,
whether anybody is there. Web UIs do so at every page load: all backends' answers together, from memory.

Owns these answers. What engines said of themselves was read by probes and scrapes.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from proxy.core.tenancy.access import Patterns
from proxy.live.catalogue import ModelList
from proxy.live.upstream.backends import Upstream
from proxy.model.endpoint import ROUTE_LABEL
from proxy.model.model_name import twin

_CHATS: Final = ROUTE_LABEL + "/api/chat"
"""Listed are those that can be asked."""
_MADE: Final = "1970-01-01T00:00:00Z"
_NO_VERSION: Final = "0.0.0"
_DETAILS: Final = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}
"""Of engines that say nothing of it."""

Entry = dict[str, Any]
_Kept = dict[str, tuple[bytes, dict[str, Entry]]]


class OllamaLists:
    """One per configuration."""

    def __init__(self, models: ModelList, backends: tuple[Upstream, ...]) -> None:
        self._models = models
        self._backends = backends
        self._read: _Kept = {}
        """Of each list that was read: the bytes that it was read from, and its entries by name."""

    def tags(self, permitted: Patterns) -> bytes:
        """The body of `GET /api/tags`: of models that are permitted, aliases included."""
        told = self._told((backend, "tags", backend.listed) for backend in self._backends)
        names = self._models.there(_CHATS, permitted)
        return orjson.dumps({"models": [told.get(name) or _plain(name) for name in names]})

    def ps(self, permitted: Patterns) -> bytes:
        """The body of `GET /api/ps`: of those in memory, of any backend."""
        told = self._told((backend, "ps", backend.in_memory) for backend in self._backends)
        return orjson.dumps({"models": [told[name] for name in self._models.there(_CHATS, permitted) if name in told]})

    def version(self) -> bytes:
        """The body of `GET /api/version`: the oldest, which all of them can do."""
        found = [self._models.version_at(backend.name) for backend in self._backends if backend.dialect.greeting]
        return orjson.dumps({"version": min(filter(None, found), key=_parts, default=_NO_VERSION)})

    def greeting(self) -> bytes:
        """What one of them says at `/`; empty: none does."""
        return next((backend.dialect.greeting for backend in self._backends if backend.dialect.greeting), b"")

    def _told(self, lists: Iterable[tuple[Upstream, str, bytes]]) -> dict[str, Entry]:
        """Entries by the names that clients use; the first backend to describe a model is believed."""
        told: dict[str, Entry] = {}
        for backend, what, body in lists:
            own = self._entries(f"{what} {backend.name}", body)
            for name, entry in own.items():
                told.setdefault(name, entry)
            for name, meant in backend.aliases.items():
                entry = own.get(meant) or own.get(twin(meant), {})
                if entry:
                    told.setdefault(name, {**entry, "name": name, "model": name})
        return told

    def _entries(self, key: str, body: bytes) -> dict[str, Entry]:
        kept = self._read.get(key)
        if kept is None or kept[0] is not body:
            kept = self._read[key] = (body, {entry["name"]: entry for entry in _parsed(body)})
        return kept[1]


def _parsed(body: bytes) -> Iterator[Entry]:
    try:
        fields = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return
    entries = fields.get("models") if isinstance(fields, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            yield entry


def _plain(name: str) -> Entry:
    """Of a model that its engine does not describe."""
    return {"name": name, "model": name, "modified_at": _MADE, "size": 0, "digest": "", "details": _DETAILS}


def _parts(version: str) -> tuple[int, ...]:
    """`0.33.0-rc2` as numbers."""
    numbers = version.lstrip("v").partition("-")[0].split(".")
    return tuple(int(number) if number.isascii() and number.isdigit() else 0 for number in numbers[:4])
