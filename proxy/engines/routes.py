"""Which routes a kind of engine has for its clients, and which never pass: an engine's management is not its API.

Owns what all have and what nobody gets; what one kind has beside it stands in its own file. What a path means to us is
known to `model.endpoint`. Reasons: decisions/0016-what-passes-and-what-is-said.md.
"""

from typing import Final

from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import ROUTE_LABEL, SOMEWHERE

UNRECOGNISED: Final = ""
"""The kind of an engine that did not tell: it may have any route that is not management."""

_API: Final = (
    "/v1/assistants",
    "/v1/audio",
    "/v1/batches",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/containers",
    "/v1/conversations",
    "/v1/decisions",
    "/v1/embeddings",
    "/v1/evals",
    "/v1/files",
    "/v1/fine_tuning",
    "/v1/images",
    "/v1/messages",
    "/v1/moderations",
    "/v1/realtime",
    "/v1/responses",
    "/v1/threads",
    "/v1/uploads",
    "/v1/vector_stores",
    "/v1/videos",
)
"""OpenAI's API, and Anthropic's messages: passed to every kind, which says itself what it lacks."""
_OLLAMAS: Final = "/api/"
_OF_KNOWN: Final = frozenset({"/", "/info", "/props"})
"""Asked only of engines that are known to have them: elsewhere they may mean anything."""
_MANAGEMENT: Final = frozenset(
    {
        "admin",
        "apply",  # LocalAI: models, installed
        "blobs",
        "clear_hicache_storage_backend",
        "cluster",
        "collective_rpc",
        "copy",
        "create",
        "delete",
        "destroy_weights_update_group",
        "distserve",
        "download",
        "get_world_size",
        "internal",
        "is_paused",
        "is_scaling_elastic_ep",
        "is_sleeping",
        "kv_cache_events",  # who reads them takes them from whoever they are for
        "load",
        "loads",
        "lora",
        "lora_adapters",
        "metrics",
        "organization",
        "organizations",  # Anthropic's
        "pause",
        "perf_metrics",
        "projects",
        "pull",
        "push",
        "repository",
        "reset",
        "resume",
        "scale_elastic_ep",
        "server_info",
        "set_internal_state",
        "shutdown",
        "sleep",
        "slots",
        "stream",  # llama.cpp: the streams of other clients
        "switch",
        "terminate",
        "unload",
        "wake_up",
        "wakeup",
    }
)
"""Segments of a path that belong to whoever runs the engine."""
_MANAGING: Final = (
    "abort_",
    "configure_",
    "continue_generation",
    "destroy_",
    "dump_",
    "flush_",
    "freeze_",
    "init_weight",
    "load_",
    "pause_",
    "release_memory",
    "reset_",
    "resume_memory",
    "start_",
    "stop_",
    "unload_",
    "update_weight",
)


def offers(kind: str, path: str) -> bool:
    """Whether an engine of this kind may be asked for a decoded path, without its query.

    Recognised engines: the listed routes and no other. `openai` may have more under `/v1` than is listed here, and an
    engine that was not recognised more anywhere; what is known as management is refused there too.
    """
    path = path.rstrip("/") or "/"
    dialect = DIALECTS.get(kind)
    if path == "/" and dialect is not None and dialect.greeting:
        return True
    return _has(kind, path)


def _has(kind: str, path: str) -> bool:
    dialect = DIALECTS.get(kind)
    if _is_api(path) and (path not in SOMEWHERE or dialect is None):
        return True
    if dialect is not None and path in dialect.routes:
        return True
    if kind == UNRECOGNISED and (path in _OF_KNOWN or path.startswith(_OLLAMAS)):
        return False
    if kind == UNRECOGNISED or (dialect is not None and dialect.has_other_routes and path.startswith("/v1/")):
        return not _is_management(path)
    return False


def labels(kind: str) -> frozenset[str]:
    """For backends of this kind: which of the routes they have that not all engines have."""
    return _LABELS[kind]


def _is_api(path: str) -> bool:
    return any(path == listed or path.startswith(listed + "/") for listed in _API)


def _is_management(path: str) -> bool:
    segments = path.lower().replace("-", "_").split("/")
    return any(segment in _MANAGEMENT or segment.startswith(_MANAGING) for segment in segments)


_LABELS: Final = {
    kind: frozenset(ROUTE_LABEL + path for path in SOMEWHERE if _has(kind, path)) for kind in (*DIALECTS, UNRECOGNISED)
}
