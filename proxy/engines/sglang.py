"""SGLang 0.5.23, by its source."""

from collections.abc import Mapping
from typing import Any, Final

from proxy.engines.base import ASKED_FOR_USAGE, MAX_MODEL_LEN, RANKING, TOKENS, Dialect
from proxy.engines.load import METRICS, NOTHING, SELDOM_S, LoadSource, Reading, count, parsed, said, word
from proxy.engines.prometheus import mean, total
from proxy.engines.traps import sglang
from proxy.model.abilities import Lack, Traits
from proxy.model.engine_facts import EngineFacts

_HEALTH_S: Final = 30.0
_GIB: Final = 1 << 30
_MEMORY: Final = ("weight", "kvcache", "graph")


def _load(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"sglang:num_running_reqs"),
        waiting=total(text, b"sglang:num_queue_reqs"),
        kv_usage=mean(text, b"sglang:token_usage"),
        kv_tokens=total(text, b"sglang:max_total_num_tokens"),
        odometer=total(text, b"sglang:prompt_tokens_total"),
        facts=_rates(text),
    )


def _rates(text: bytes) -> EngineFacts | None:
    """As they were of late: gauges."""
    accepted, found = mean(text, b"sglang:spec_accept_rate"), mean(text, b"sglang:cache_hit_rate")
    return said(
        speculative=True if accepted else None,
        acceptance=accepted if accepted and accepted <= 1 else None,
        prefix_hits=found if found is not None and found <= 1 else None,
    )


def _loads(text: bytes) -> Reading:
    """Of each rank, whether its metrics are on or not. A request may go to any rank."""
    fields = parsed(text)
    ranks = fields.get("loads") if isinstance(fields, dict) else None
    if not isinstance(ranks, list) or not ranks or not all(isinstance(rank, dict) for rank in ranks):
        return NOTHING
    usages = _numbers(ranks, "token_usage")
    drafts = [rank["speculative"] for rank in ranks if isinstance(rank.get("speculative"), dict)]
    accepted = _numbers(drafts, "accept_rate")
    rate = sum(accepted) / len(accepted) if accepted else None
    return Reading(
        running=_added(ranks, "num_running_reqs"),
        waiting=_added(ranks, "num_waiting_reqs"),
        kv_usage=sum(usages) / len(usages) if usages else None,
        kv_tokens=_added(ranks, "max_total_num_tokens"),
        seats=_added(ranks, "max_running_requests"),
        facts=said(
            version=word(fields.get("version")),
            gpu=word(fields.get("accelerator")),
            speculative=True if rate else None,
            acceptance=rate if rate and rate <= 1 else None,
        ),
    )


def _added(ranks: list[dict[str, Any]], name: str) -> float | None:
    found = _numbers(ranks, name)
    return sum(found) if len(found) == len(ranks) else None


def _numbers(ranks: list[dict[str, Any]], name: str) -> list[float]:
    found = [rank.get(name) for rank in ranks]
    return [float(n) for n in found if isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n < 1e12]


def _server_info(text: bytes) -> Reading:
    """Its arguments, flat, and what its schedulers say."""
    fields = parsed(text)
    if not isinstance(fields, dict):
        return NOTHING
    ranks = fields.get("internal_states")
    inside = ranks[0] if isinstance(ranks, list) and ranks and isinstance(ranks[0], dict) else {}
    weights, drafts = word(fields.get("dtype")), fields.get("speculative_algorithm", "")
    told = said(
        version=word(fields.get("version")),
        precision=word(fields.get("quantization")) or ("" if weights == "auto" else weights),
        kv_precision="" if fields.get("kv_cache_dtype") == "auto" else word(fields.get("kv_cache_dtype")),
        attention=word(fields.get("attention_backend")),
        speculative=None if drafts == "" else drafts is not None,
        revision=word(fields.get("revision")),
        gpu_memory_b=_memory_b(inside),
    )
    return Reading(
        kv_tokens=count(fields.get("max_total_num_tokens")),
        seats=count(inside.get("effective_max_running_requests_per_dp")) or count(fields.get("max_running_requests")),
        facts=told,
    )


def _memory_b(inside: Mapping[str, Any]) -> float | None:
    """Of weights, KV cache and graphs, told in GiB."""
    told = inside.get("memory_usage")
    parts = [told.get(name) for name in _MEMORY] if isinstance(told, dict) else []
    known = [part for part in parts if isinstance(part, int | float) and not isinstance(part, bool) and 0 < part < 1e6]
    return sum(known) * _GIB if known else None


SGLANG: Final = Dialect(
    "sglang",
    owners=("sglang",),
    ports=(30000,),
    context_at=MAX_MODEL_LEN,
    loads=(
        LoadSource(METRICS, _load),
        LoadSource("/v1/loads?include=core,spec", _loads, spare=True),
        LoadSource("/server_info", _server_info, every_s=SELDOM_S),
        LoadSource("/get_server_info", _server_info, every_s=SELDOM_S),  # older
    ),
    tells=frozenset({"precision", "kv_precision", "attention", "speculative", "gpu"}),
    routes=RANKING
    | TOKENS
    | {"/v1/classify", "/v1/tokenize", "/v1/detokenize", "/classify", "/encode", "/generate"}
    | {"/api/chat", "/api/generate", "/api/show", "/api/tags"},
    refusals={
        Lack.CONTEXT: (
            r"the input \(\d+ tokens\) is longer than the model's context length \((\d+)",
            r"requested token count exceeds the model's maximum context length of (\d+)",
        ),
        Lack.IMAGES: (r"multimodal data provided, but model does not support multimodal requests",),
    },
    health="/health",  # its scheduler is stuck: a token is generated for the answer
    health_every_s=_HEALTH_S,
    usage_on_request=ASKED_FOR_USAGE,
    cached_flag="--enable-cache-report",
    continuous_usage=True,
    continues_chat=True,
    continues_text=True,
    salts_cache=True,
    traps=sglang.TRAPS,
    trap_routes=sglang.SETTINGS_ROUTES,
    traits=Traits(counts_answer=True),
)
