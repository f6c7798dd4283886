"""Which engine answers: from its model list and headers, and where these do not tell, from one more route of its own.

Owns the signs. Whatever is not a sign reads as "not told": a wrong guess costs more than none.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

_OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama_cpp",
    "library": "ollama",
    "lmdeploy": "lmdeploy",
    "tensorrt_llm": "tensorrt_llm",
}
_SERVE_ROUTES = frozenset({"/load_model", "/reset", "/v1/chat/completions"})
"""Only `transformers serve` has all of them."""


class Sign(NamedTuple):
    """A route that tells when the model list does not."""

    path: str
    reads: Callable[[bytes], str | None]
    """The kind of engine from the body of a 200."""


def recognise(models: Any, server_header: str) -> str | None:
    """The kind of engine from its answer to `GET /v1/models` (parsed) and its `Server` header; None: not told."""
    if "llama.cpp" in server_header:
        return "llama_cpp"
    for entry in _entries(models):
        owner = entry.get("owned_by")
        if isinstance(owner, str) and owner in _OWNERS:
            return _OWNERS[owner]
        if entry.get("created") != 0 or isinstance(entry.get("created"), bool):
            continue
        if isinstance(owner, str) and entry.get("id") == owner:
            return "tgi"
        status = entry.get("status")
        if isinstance(status, dict) and isinstance(status.get("value"), str):
            return "transformers"
    return None


def signs(models: Any, server_header: str) -> tuple[Sign, ...]:
    """What else to ask an engine that was not recognised. Of most others nothing: vendors count requests."""
    names = [entry.get("id") for entry in _entries(models)]
    if names and all(isinstance(name, str) and ":" in name.rpartition("/")[2] for name in names):
        return (_OLLAMA,)
    return (_TRANSFORMERS,) if "uvicorn" in server_header else ()


def look(models: Any, server_header: str) -> tuple[str, frozenset[str]]:
    """What changes when another engine answers: its header and the owners of its models."""
    owners = (entry.get("owned_by") for entry in _entries(models))
    return server_header, frozenset(owner for owner in owners if isinstance(owner, str))


def _entries(models: Any) -> list[dict[str, Any]]:
    entries = models.get("data") if isinstance(models, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _version_of_ollama(body: bytes) -> str | None:
    """Its models belong to the namespaces of their authors, so that owners need not tell; it has no header either."""
    fields = _object(body)
    return "ollama" if list(fields) == ["version"] and isinstance(fields["version"], str) else None


def _routes_of_transformers(body: bytes) -> str | None:
    paths = _object(body).get("paths")
    return "transformers" if isinstance(paths, dict) and _SERVE_ROUTES.issubset(paths) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


_OLLAMA = Sign("/api/version", _version_of_ollama)
_TRANSFORMERS = Sign("/openapi.json", _routes_of_transformers)
