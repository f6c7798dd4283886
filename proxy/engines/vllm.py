"""vLLM 0.33.0, by recorded exchanges and its source."""

import re
from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, MAX_MODEL_LEN, RANKING, TOKENS, Dialect
from proxy.engines.load import METRICS, NOTHING, SELDOM_S, LoadSource, Reading, parsed, said, share, version, word
from proxy.engines.prometheus import Sample, labels_of, mean, number, samples, total
from proxy.engines.traps import vllm
from proxy.model.abilities import Lack, Traits
from proxy.model.engine_facts import EngineFacts

_CONFIG_CHARS: Final = 16 << 10
_SETTING: Final = re.compile(r"\b(dtype|quantization|revision|kv_cache_dtype|speculative_config)=([^\s,()]{1,64})")


def _load(text: bytes) -> Reading:
    budgets = [_budget(sample) for sample in samples(text, b"vllm:cache_config_info")]
    known = [budget for budget in budgets if budget is not None]
    return Reading(
        running=total(text, b"vllm:num_requests_running"),
        waiting=total(text, b"vllm:num_requests_waiting"),
        kv_usage=mean(text, b"vllm:kv_cache_usage_perc", b"vllm:gpu_cache_usage_perc"),
        kv_tokens=sum(known) if known else None,
        odometer=total(text, b"vllm:prompt_tokens_total"),
        asleep=_asleep(text),
        facts=_facts(text),
    )


def _facts(text: bytes) -> EngineFacts | None:
    """The drafts are counted only where it decodes speculatively. Of its weights it says nothing here."""
    drafted = total(text, b"vllm:spec_decode_num_draft_tokens_total")
    caches = samples(text, b"vllm:cache_config_info")
    kv_type = labels_of(caches[0]).get(b"cache_dtype", b"").decode("latin-1") if caches else ""
    return said(
        kv_precision="" if kv_type == "auto" else word(kv_type),
        speculative=None if drafted is None else True,
        acceptance=share(total(text, b"vllm:spec_decode_num_accepted_tokens_total"), drafted),
        prefix_hits=share(
            total(text, b"vllm:prefix_cache_hits_total"), total(text, b"vllm:prefix_cache_queries_total")
        ),
    )


def _server_info(text: bytes) -> Reading:
    """Its whole set-up as a text, where it was started for developers; what else it tells is in its metrics."""
    fields = parsed(text)
    config = fields.get("vllm_config") if isinstance(fields, dict) else None
    if not isinstance(config, str):
        return NOTHING
    first: dict[str, str] = dict(reversed(_SETTING.findall(config[:_CONFIG_CHARS])))  # its own before those of parts
    told = {name: value for name, value in first.items() if value not in ("None", "auto")}
    return Reading(
        facts=said(
            precision=word(told.get("quantization") or told.get("dtype", "")),
            revision=word(told.get("revision", "")),
            kv_precision=word(told.get("kv_cache_dtype", "")),
            speculative=None if "speculative_config=" not in config else "speculative_config" in told,
        )
    )


def _asleep(text: bytes) -> bool | None:
    """Of each rank one series per state; a request may go to any rank."""
    states = samples(text, b"vllm:engine_sleep_state")
    awake = [sample.value for sample in states if labels_of(sample).get(b"sleep_state") == b"awake"]
    return not all(awake) if awake else None


def _budget(sample: Sample) -> float | None:
    values = {name: number(value) for name, value in labels_of(sample).items()}
    whole = values.get(b"kv_cache_size_tokens")
    if whole:
        return whole
    blocks, size = values.get(b"num_gpu_blocks"), values.get(b"block_size")
    return blocks * size if blocks and size else None


VLLM: Final = Dialect(
    "vllm",
    spellings=("vLLM",),
    owners=("vllm",),
    ports=(8000, 8001),
    context_at=MAX_MODEL_LEN,
    loads=(
        LoadSource(METRICS, _load),
        LoadSource("/version", version, every_s=SELDOM_S),
        LoadSource("/server_info", _server_info, every_s=SELDOM_S),
    ),
    tells=frozenset({"kv_precision", "speculative"}),
    routes=RANKING
    | TOKENS
    | {
        "/rerank",
        "/v2/rerank",
        "/v2/embed",
        "/v1/chat/completions/batch",
        "/score",
        "/pooling",
        "/classify",
        "/cohere/v2/chat",
        "/inference/v1/generate",
    }
    | {"/invocations"},
    refusals={
        Lack.CONTEXT: (
            r"'max_tokens' or 'max_completion_tokens' is too large: \d+\. this model's maximum "
            r"context length is (\d+)",
            r"max_(?:completion_)?tokens=\d+ cannot be greater than max_model_len=(\d+)",
            r"the (?:decoder|encoder) prompt \(length \d+\) is longer than the maximum model length of (\d+)",
        ),
        Lack.TOOLS: (
            r'"auto" tool choice requires --enable-auto-tool-choice',
            r"tool_choice=.{1,256} requires --tool-call-parser to be set\Z",
        ),
        Lack.IMAGES: (
            r"at most 0 image\(s\) may be provided",
            r"\S+ is not a multimodal model\b",
        ),
        Lack.AUDIO: (r"at most 0 audio\(s\) may be provided",),
        Lack.ENDPOINT: (
            r"the model does not support [a-z ]+ api\Z",
            r"as of transformers v4\.44, default chat template is no longer allowed",
        ),
    },
    no_model=(r"the model `.{1,256}` does not exist",),
    health="/health",  # its engine died
    usage_on_request=ASKED_FOR_USAGE,
    cached_flag="--enable-prompt-tokens-details",
    continuous_usage=True,
    continues_chat=True,
    continues_text=True,
    salts_cache=True,
    traps=vllm.TRAPS,
    trap_routes=(vllm.DEV_ROUTE,),
    traits=Traits(counts_answer=True),
)
