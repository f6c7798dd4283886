"""Whether the engine behind a URL is the one that was there before: its kind, version, models and place.

Owns where each kind tells its version, and the digest over all of it. What changes while the engine stays the same
(adapters, times, permissions) is left out.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

VERSION_ROUTES: Final[Mapping[str, str]] = {
    "vllm": "/version",
    "sglang": "/get_server_info",
    "tgi": "/info",
    "llama_cpp": "/props",
    "ollama": "/api/version",
}
"""By kind; the others tell none."""
_VERSIONS: Final = ("version", "build_info", "sha", "model_path")
"""Fields of these answers that say which program, and for SGLang which model, is run."""
_OF_MODEL: Final = ("id", "root", "max_model_len")
_OF_META: Final = ("n_params", "size", "n_ctx_train", "n_ctx")
_MAX_CHARS: Final = 512


def version(body: bytes) -> str:
    """What the answer of a route above says; empty where it says nothing."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(fields, dict):
        return ""
    return " ".join(fields[name][:_MAX_CHARS] for name in _VERSIONS if isinstance(fields.get(name), str))


def digest(kind: str, version: str, where: str, models: Any) -> str:
    """16 hex digits, the same for the same engine; `models`: its model list, parsed."""
    entries = models.get("data") if isinstance(models, dict) else None
    known = sorted(filter(None, map(_described, entries))) if isinstance(entries, list) else []
    return hashlib.sha256(json.dumps([kind, version, where, known]).encode()).hexdigest()[:16]


def _described(entry: Any) -> str:
    if not isinstance(entry, dict) or entry.get("parent"):  # vLLM's adapters have one
        return ""
    meta = entry.get("meta")
    of_meta = [meta.get(name) for name in _OF_META] if isinstance(meta, dict) else []
    return json.dumps([entry.get(name) for name in _OF_MODEL] + of_meta)
