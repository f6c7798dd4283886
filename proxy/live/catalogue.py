"""`/v1/models` from memory: what probes found, as the engines described it. Web UIs ask at every page load."""

from collections.abc import Iterable
from typing import Any

import orjson

from proxy.core.permitted import Patterns, may_use
from proxy.core.scheduler import Scheduler


class ModelList:
    """The aggregated model list; rendered again only when the catalogue changed."""

    def __init__(self, scheduler: Scheduler, created: int) -> None:
        self._scheduler = scheduler
        self._created = created
        self._entries: dict[str, dict[str, Any]] = {}
        self._version = -1
        self._rendered = b""

    def learn(self, entries: list[dict[str, Any]]) -> None:
        """The entries of one backend's own list; the first backend to describe a model is kept."""
        for entry in entries:
            if isinstance(entry.get("id"), str) and entry["id"] not in self._entries:
                self._entries[entry["id"]] = entry
                self._version = -1

    def render(self, permitted: Patterns = None) -> bytes:
        """The body of `GET /v1/models`: of those that are permitted."""
        if permitted is not None:
            return self._list(name for name in self._scheduler.models() if may_use(permitted, name))
        if self._version != self._scheduler.version:
            self._version = self._scheduler.version
            self._rendered = self._list(self._scheduler.models())
        return self._rendered

    def find(self, name: str, permitted: Patterns = None) -> bytes | None:
        """The body of `GET /v1/models/{name}`; None: there is no such model, or not for the one who asks."""
        there = name in self._scheduler.models() and may_use(permitted, name)
        return orjson.dumps(self._entry(name)) if there else None

    def only(self) -> str | None:
        """The model of a request that names none: the only one there is; empty when no engine lists any."""
        models = self._scheduler.models()
        if len(models) > 1:
            return None
        return models[0] if models else ""

    def _list(self, names: Iterable[str]) -> bytes:
        return orjson.dumps({"object": "list", "data": [self._entry(name) for name in names]})

    def _entry(self, name: str) -> dict[str, Any]:
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        return {"id": name, "object": "model", "created": self._created, "owned_by": "tidegate"}
