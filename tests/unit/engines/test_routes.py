"""What of an engine is for its clients, by kind; management for nobody, however it is written."""

import pytest

from proxy.engines.registry import DIALECTS
from proxy.engines.routes import UNRECOGNISED, labels, offers
from proxy.model.endpoint import ROUTE_LABEL, ROUTE_LABELS, SOMEWHERE

KINDS = [*DIALECTS, UNRECOGNISED]
API = ["/v1/chat/completions", "/v1/embeddings", "/v1/moderations", "/v1/files/f_1/content", "/v1/responses/r/cancel"]
MANAGEMENT = [
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/v1/Load_Lora_Adapter/",
    "/v1/load-lora-adapter",
    "/v1/sleep",
    "/v1/wake_up",
    "/v1/is_sleeping",
    "/v1/internal/model/load",
    "/v1/internal/anything",
    "/v1/model/load",
    "/v1/model/unload",
    "/v1/lora/unload",
    "/v1/update_weights_from_disk",
    "/v1/reset_prefix_cache",
    "/v1/flush_cache",
    "/v1/abort_requests",
    "/v1/collective_rpc",
    "/v1/organization/api_keys",
    "/v1/stream",
    "/v1/slots/0",
    "/sleep",
    "/slots",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/api/copy",
    "/api/delete",
    "/api/blobs/sha256:0",
    "/lora-adapters",
]


MANAGED = {
    "vllm": "/sleep /wake_up /is_sleeping /pause /resume /is_paused /reset_prefix_cache /reset_mm_cache /server_info"
    " /reset_encoder_cache /collective_rpc /init_weight_transfer_engine /update_weights /get_world_size /load /metrics"
    " /scale_elastic_ep /is_scaling_elastic_ep /start_profile /stop_profile /abort_requests /v1/load_lora_adapter"
    " /v1/unload_lora_adapter",
    "sglang": "/abort_request /pause_generation /continue_generation /flush_cache /release_memory_occupation"
    " /resume_memory_occupation /update_weights_from_disk /update_weights_from_tensor /update_weight_version"
    " /init_weights_update_group /destroy_weights_update_group /load_lora_adapter /unload_lora_adapter /server_info"
    " /set_internal_state /configure_logging /freeze_gc /start_profile /stop_profile /v1/loads /dump_tensors"
    " /start_expert_distribution_record /stop_expert_distribution_record /dump_expert_distribution_record"
    " /clear_hicache_storage_backend",
    "tgi": "/metrics",
    "llama_cpp": "/slots /slots/0 /lora-adapters /metrics /models/load /models/unload /v1/stream",
    "ollama": "/api/pull /api/push /api/create /api/copy /api/delete /api/blobs/sha256:0",
    "transformers": "/load_model /reset",
    "lmdeploy": "/sleep /wakeup /update_weights /abort_request /terminate /distserve/p2p_connect",
    "tensorrt_llm": "/kv_cache_events /perf_metrics /metrics /prometheus/metrics /release_memory /resume_memory"
    " /update_weights",
    "others": "/models/apply /models/delete/x /v2/repository/models/m/load /v1/model/load /api/admin/reload_config"
    " /v1/lora/load /v1/download /backend/shutdown",
}
"""Whose management is where: by their fact sheets and sources."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whose", MANAGED)
def test_no_kind_is_asked_for_the_management_of_any(kind: str, whose: str) -> None:
    assert [path for path in MANAGED[whose].split() if offers(kind, path)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_api_is_asked_of_every_kind_and_management_of_none(kind: str) -> None:
    assert all(offers(kind, path) for path in API)
    assert [path for path in MANAGEMENT if offers(kind, path)] == []


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/tokenize", {"vllm", "sglang", "tgi", "llama_cpp", UNRECOGNISED}),
        ("/detokenize", {"vllm", "sglang", "llama_cpp", UNRECOGNISED}),
        ("/v1/rerank", {"vllm", "sglang", "llama_cpp", "openai", UNRECOGNISED}),
        ("/pooling", {"vllm", UNRECOGNISED}),
        ("/apply-template", {"llama_cpp", UNRECOGNISED}),
        ("/generate", {"sglang", "tgi", "lmdeploy", UNRECOGNISED}),
        ("/embed", {UNRECOGNISED}),
        ("/v1/future/thing", {"openai", UNRECOGNISED}),
        ("/v1/filesystem", {"openai", UNRECOGNISED}),
        ("/v1/chat/completions/batch", {"vllm", "openai", UNRECOGNISED}),
        ("/v2/embed", {"vllm", UNRECOGNISED}),
        ("/v2/rerank", {"vllm", UNRECOGNISED}),
        ("/v1/decisions", {*KINDS}),
        ("/api/chat", {"ollama", "sglang"}),
        ("/api/generate", {"ollama", "sglang"}),
        ("/api/embed", {"ollama"}),
        ("/api/show", {"ollama", "sglang"}),
        ("/api/ps", {"ollama"}),
        ("/completion", {"llama_cpp", UNRECOGNISED}),
        ("/infill", {"llama_cpp", UNRECOGNISED}),
        ("/props", {"llama_cpp"}),
        ("/generate_stream", {"tgi", UNRECOGNISED}),
        ("/info", {"tgi"}),
        ("/", {"tgi", "ollama"}),
    ],
)
def test_the_rest_by_kind(path: str, kinds: set[str]) -> None:
    assert {kind for kind in KINDS if offers(kind, path)} == kinds


def test_every_kind_has_a_list() -> None:
    for kind in DIALECTS:
        assert offers(kind, "/v1/chat/completions/"), kind
    assert not offers("no such kind", "/v1/future")


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_of_what_not_every_kind_has(kind: str) -> None:
    asked = {ROUTE_LABEL + path for path in SOMEWHERE if offers(kind, path)}
    assert labels(kind) == asked - ({ROUTE_LABEL + "/"} if kind == "ollama" else set()), "it only greets there"
    assert labels(kind) <= ROUTE_LABELS


def test_every_route_of_an_engine_has_its_row() -> None:
    listed = {path for dialect in DIALECTS.values() for path in dialect.routes}
    assert listed - {"/v1/encode", "/v1/systemone"} <= SOMEWHERE, "those go as any other below /v1"
