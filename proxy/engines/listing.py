"""What an engine's answer to `GET /v1/models` says of its models: names, context lengths, which are in memory.

Which fields these are stands in each engine's file; they are looked for whoever answers, since an engine lists its
models before it is known which it is. Whatever is not as expected reads as unknown.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from proxy.engines.base import LOADED
from proxy.engines.load import tokens
from proxy.engines.registry import DIALECTS

MAX_B: Final = 4 << 20
"""Longest list that is read, bytes."""
MAX_NAMES: Final = 8192
"""Of one backend; a vendor lists some hundreds, an engine with adapters some thousands. Each costs about a kilobyte and
time in every change of the catalogue, and nobody chooses from more."""
_MAX_NAME_CHARS: Final = 512
_CONTEXT_AT: Final = tuple(dict.fromkeys(dialect.context_at for dialect in DIALECTS.values() if dialect.context_at))
_STATE_AT: Final = tuple(dict.fromkeys(dialect.state_at for dialect in DIALECTS.values() if dialect.state_at))


class Listing(NamedTuple):
    """A model list."""

    entries: list[dict[str, Any]]
    """As the engine describes them: each has a name as `id`, each name once."""
    contexts: dict[str, int]
    """Tokens of prompt and answer together, where told."""
    loaded: frozenset[str] | None
    """Names in memory; None: it does not tell."""
    left_out: int
    """Entries beyond what is read."""

    @property
    def names(self) -> frozenset[str]:
        """Of all entries."""
        return frozenset(entry["id"] for entry in self.entries)


def read(models: Any) -> Listing | None:
    """An OpenAI model list, parsed; None when it is not one."""
    entries = models.get("data") if isinstance(models, dict) else None
    if not isinstance(entries, list):
        return None
    by_name: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if len(by_name) >= MAX_NAMES:
            break
        if isinstance(entry, dict) and _is_name(entry.get("id")):
            by_name.setdefault(entry["id"], entry)
    found = ((name, _context(entry)) for name, entry in by_name.items())
    contexts = {name: context for name, context in found if context is not None}
    left_out = max(0, len(entries) - MAX_NAMES)
    return Listing(list(by_name.values()), contexts, _loaded(by_name), left_out)


def _context(entry: Mapping[str, Any]) -> int | None:
    return next((found for at in _CONTEXT_AT if (found := tokens(_at(entry, at))) is not None), None)


def _loaded(by_name: Mapping[str, Mapping[str, Any]]) -> frozenset[str] | None:
    """Where every model has a state, as one kind of engine tells it."""
    for at in _STATE_AT:
        if by_name and all(isinstance(entry.get(at[0]), dict) for entry in by_name.values()):
            return frozenset(name for name, entry in by_name.items() if _at(entry, at) == LOADED)
    return None


def _at(entry: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        entry = entry.get(name) if isinstance(entry, dict) else None
    return entry


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _MAX_NAME_CHARS
