"""Of Ollama 0.33.0, by its source. How many requests it runs at once (OLLAMA_NUM_PARALLEL) it tells nobody."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from proxy.engines.load import tokens
from proxy.engines.trap import Sight, Trap, whole

LOADED_ROUTE: Final = "/api/ps"
_LONG_ENOUGH: Final = 8192
"""Tokens; its default is half of it on small machines."""
_SOON_S: Final = 600.0
"""Its default is half of it."""
_CLOUD: Final = ("-cloud", ":cloud")


def _loaded(sight: Sight) -> Iterator[Mapping[str, Any]]:
    entries = sight.fields(LOADED_ROUTE).get("models")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            yield entry


def _short_context(sight: Sight) -> str:
    known = [tokens(entry.get("context_length")) for entry in _loaded(sight)]
    short = [context for context in known if context is not None and context < _LONG_ENOUGH]
    return f"longer prompts than {min(short)} tokens are cut silently" if short else ""


def _not_on_gpu(sight: Sight) -> str:
    for entry in _loaded(sight):
        size, on_gpu = whole(entry.get("size")), whole(entry.get("size_vram"))
        if size and on_gpu and on_gpu < size:
            return f"{1 - on_gpu / size:.0%} of {entry['name'][:64]} does not fit on the GPU, and sets its pace"
    return ""


def _leaves_soon(sight: Sight) -> str:
    left = [(_until(entry.get("expires_at"), sight.now), entry["name"]) for entry in _loaded(sight)]
    soon = [(seconds, name) for seconds, name in left if seconds is not None and 0 < seconds <= _SOON_S]
    if not soon:
        return ""
    seconds, name = min(soon)
    return f"{name[:64]} leaves memory after {seconds / 60:.0f} minutes without requests: the next one waits for it"


def _until(text: Any, now: float) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None


def _elsewhere(sight: Sight) -> str:
    names = [entry.get("id") for entry in sight.entries()]
    away = [name for name in names if isinstance(name, str) and name.endswith(_CLOUD)]
    return f"requests for {away[0][:64]} leave this machine for the vendor's" if away else ""


TRAPS: Final = (
    Trap(
        "short-context",
        "its context is short, and what is longer is cut without a word",
        "set OLLAMA_CONTEXT_LENGTH or num_ctx",
        _short_context,
    ),
    Trap(
        "not-on-gpu",
        "a part of a model runs on the CPU",
        "a smaller model, quantization or context; fewer models at once: OLLAMA_MAX_LOADED_MODELS",
        _not_on_gpu,
    ),
    Trap(
        "leaves-soon",
        "models leave memory soon after the last request",
        "set OLLAMA_KEEP_ALIVE=-1, or longer",
        _leaves_soon,
        is_grave=False,
    ),
    Trap(
        "cloud-models",
        "it serves models that run at the vendor's",
        "name the others in `models`, where prompts have to stay here",
        _elsewhere,
        is_grave=False,
    ),
)
