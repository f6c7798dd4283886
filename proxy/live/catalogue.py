"""`/v1/models` from memory: what probes found, as the engines described it. Web UIs ask at every page load.

Owns the descriptions of models that some engine lists, and forgets them with the model.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from proxy.core.scheduler import Scheduler
from proxy.core.tenancy.access import Patterns, may_use

_MAX_ENTRY_B: Final = 16 << 10
"""Longest description that is kept; engines write some hundred bytes."""


class ModelList:
    """The aggregated model list; rendered again only when the catalogue changed."""

    def __init__(self, scheduler: Scheduler, created: int) -> None:
        self._scheduler = scheduler
        self._created = created
        self._entries: dict[str, bytes] = {}
        """As JSON: a tenth of the memory of what it describes."""
        self._kept_version = -1
        self._version = -1
        self._rendered = b""

    def learn(self, entries: list[dict[str, Any]]) -> None:
        """The entries of one backend's own list, after the scheduler heard of it; the first backend to describe a model
        is kept."""
        self._forget()
        for entry in entries:
            if entry["id"] in self._entries:
                continue
            described = orjson.dumps(entry)
            if len(described) <= _MAX_ENTRY_B:
                self._entries[entry["id"]] = described
                self._version = -1

    def render(self, permitted: Patterns = None) -> bytes:
        """The body of `GET /v1/models`: of those that are permitted."""
        if permitted is not None:
            return self._list(name for name in self._scheduler.models() if self._may_use(permitted, name))
        if self._version != self._scheduler.version:
            self._version = self._scheduler.version
            self._rendered = self._list(self._scheduler.models())
        return self._rendered

    def find(self, name: str, permitted: Patterns = None) -> bytes | None:
        """The body of `GET /v1/models/{name}`; None: there is no such model, or not for the one who asks."""
        listed = self._scheduler.listed_as(name)
        if listed is None or not self._may_use(permitted, name):
            return None
        entry = self._entry(listed)
        return entry if listed == name else orjson.dumps({**orjson.loads(entry), "id": name})

    def also(self, name: str) -> tuple[str, ...]:
        """Other spellings of `name`, where all that serve it take them for the same."""
        return self._scheduler.also(name)

    def only(self) -> str | None:
        """The model of a request that names none: the only one there is; empty when no engine lists any."""
        models = self._scheduler.models()
        if len(models) > 1:
            return None
        return models[0] if models else ""

    def any_of(self, permitted: Patterns = None) -> str | None:
        """One of several models, where all backends serve the same ones: the engine then chooses as it would without
        us. None where they differ, or where the one who asks may not use all of them."""
        models = self._scheduler.models()
        alike = self._scheduler.serve_alike() and all(self._may_use(permitted, name) for name in models)
        return models[0] if models and alike else None

    def there(self, label: str, permitted: Patterns = None) -> tuple[str, ...]:
        """Names of models that backends with a label serve, as far as they are permitted."""
        return tuple(name for name in self._scheduler.models_with(label)[0] if self._may_use(permitted, name))

    def any_there(self, label: str, permitted: Patterns = None) -> str | None:
        """The model of a request that names none, where only backends with a label are asked: the only one of theirs,
        or any, where they serve the same ones and the one who asks may use all of them. None: it has to be named."""
        names, alike = self._scheduler.models_with(label)
        if len(names) == 1 or (names and alike and all(self._may_use(permitted, name) for name in names)):
            return names[0]
        return self.only() if not names else None

    def version_at(self, backend: str) -> str:
        """Of the engine there; empty: it did not tell."""
        return self._scheduler.facts(backend).version

    def _may_use(self, permitted: Patterns, name: str) -> bool:
        return permitted is None or may_use(permitted, name, self.also(name))

    def _forget(self) -> None:
        """What no engine lists any more."""
        if self._kept_version == self._scheduler.version:
            return
        self._kept_version = self._scheduler.version
        there = frozenset(self._scheduler.models())
        self._entries = {name: entry for name, entry in self._entries.items() if name in there}

    def _list(self, names: Iterable[str]) -> bytes:
        return b'{"object":"list","data":[%b]}' % b",".join(self._entry(name) for name in names)

    def _entry(self, name: str) -> bytes:
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        return orjson.dumps({"id": name, "object": "model", "created": self._created, "owned_by": "tidegate"})
