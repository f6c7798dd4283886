"""What an engine's answer to `GET /v1/models` says of its models: names, context lengths, which are in memory.

Owns the fields of the versions in `dialect`. Whatever is not as expected reads as unknown.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

MAX_B: Final = 4 << 20
"""Longest list that is read, bytes."""
MAX_NAMES: Final = 8192
"""Of one backend; a vendor lists some hundreds, an engine with adapters some thousands. Each costs about a kilobyte and
time in every change of the catalogue, and nobody chooses from more."""
_MAX_NAME_CHARS: Final = 512
_MAX_CONTEXT: Final = 1 << 32
_IN_MEMORY: Final = "loaded"


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


def tokens(value: Any) -> int | None:
    """A context length as engines write it; None for anything else, 0 included, which means "the model's own"."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_CONTEXT:
        return value
    return None


def _context(entry: Mapping[str, Any]) -> int | None:
    """vLLM, SGLang: `max_model_len`; llama.cpp: `meta.n_ctx`, of one slot."""
    told = tokens(entry.get("max_model_len"))
    if told is not None:
        return told
    meta = entry.get("meta")
    return tokens(meta.get("n_ctx")) if isinstance(meta, dict) else None


def _loaded(by_name: Mapping[str, Mapping[str, Any]]) -> frozenset[str] | None:
    """llama.cpp without a model of its own and `transformers serve` say so of each model."""
    states = {name: entry.get("status") for name, entry in by_name.items()}
    if not states or not all(isinstance(state, dict) for state in states.values()):
        return None
    return frozenset(n for n, state in states.items() if isinstance(state, dict) and state.get("value") == _IN_MEMORY)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _MAX_NAME_CHARS
