"""What an engine's own metrics say of its load: where to ask, and how to read the answer.

Owns names of metrics and paths of the versions in `dialect`. Whatever is not as expected reads as unknown; the core
judges what is plausible.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from proxy.engines.listing import tokens
from proxy.engines.prometheus import Sample, labels_of, mean, number, samples, total

MAX_B = 4 << 20
"""Longest answer that is read."""


class Reading(NamedTuple):
    """One look at an engine; None: it does not tell."""

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    kv_tokens: float | None = None
    seats: float | None = None
    loaded: frozenset[str] | None = None
    odometer: float | None = None
    """A count that only ever grows: a smaller one later means that the engine was restarted."""
    contexts: dict[str, int] | None = None
    """Tokens, by model."""
    asleep: bool | None = None
    """It takes requests, and leaves them alone until somebody wakes it."""
    unloaded: bool | None = None
    """Its model is out of memory since it was idle, and the next request brings it back. None: it never sleeps so."""


NOTHING = Reading()


def merged(first: Reading, second: Reading) -> Reading:
    """What one of them tells; the first where both do."""
    told: dict[str, Any] = first._asdict()
    return second._replace(**{name: value for name, value in told.items() if value is not None})


class Source(NamedTuple):
    """Where an engine tells its load."""

    path: str
    read: Callable[[bytes], Reading]
    stirs: bool = False
    """Asking keeps an idle engine from falling asleep, and wakes it: to be asked when it is at work anyway."""


def _vllm(text: bytes) -> Reading:
    budgets = [_vllm_budget(sample) for sample in samples(text, b"vllm:cache_config_info")]
    known = [budget for budget in budgets if budget is not None]
    return Reading(
        running=total(text, b"vllm:num_requests_running"),
        waiting=total(text, b"vllm:num_requests_waiting"),
        kv_usage=mean(text, b"vllm:kv_cache_usage_perc", b"vllm:gpu_cache_usage_perc"),
        kv_tokens=sum(known) if known else None,
        odometer=total(text, b"vllm:prompt_tokens_total"),
        asleep=_vllm_asleep(text),
    )


def _vllm_asleep(text: bytes) -> bool | None:
    """Of each rank one series per state; a request may go to any rank."""
    states = samples(text, b"vllm:engine_sleep_state")
    awake = [sample.value for sample in states if labels_of(sample).get(b"sleep_state") == b"awake"]
    return not all(awake) if awake else None


def _vllm_budget(sample: Sample) -> float | None:
    values = {name: number(value) for name, value in labels_of(sample).items()}
    whole = values.get(b"kv_cache_size_tokens")
    if whole:
        return whole
    blocks, size = values.get(b"num_gpu_blocks"), values.get(b"block_size")
    return blocks * size if blocks and size else None


def _sglang(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"sglang:num_running_reqs"),
        waiting=total(text, b"sglang:num_queue_reqs"),
        kv_usage=mean(text, b"sglang:token_usage"),
        kv_tokens=total(text, b"sglang:max_total_num_tokens"),
        odometer=total(text, b"sglang:prompt_tokens_total"),
    )


def _tgi(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"tgi_batch_current_size"),
        waiting=total(text, b"tgi_queue_size"),
        odometer=total(text, b"tgi_request_count"),
    )


def _llama_props(text: bytes) -> Reading:
    """The one route that an engine answers in its sleep, and without being kept awake by it."""
    props = _json(text)
    if not isinstance(props, dict):
        return NOTHING
    slots, is_sleeping = props.get("total_slots"), props.get("is_sleeping")
    return Reading(
        seats=float(slots) if isinstance(slots, int) and slots > 0 else None,
        unloaded=is_sleeping if isinstance(is_sleeping, bool) else None,
    )


def _llama_metrics(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"llamacpp:requests_processing"),
        waiting=total(text, b"llamacpp:requests_deferred"),
        odometer=total(text, b"llamacpp:prompt_tokens_total"),
    )


def _llama_slots(text: bytes) -> Reading:
    """Every slot is a seat; what waits behind them is not told here. The context of a slot may be shared or its own,
    so that no budget follows from it."""
    slots = _json(text)
    if not isinstance(slots, list) or not slots or not all(isinstance(slot, dict) for slot in slots):
        return NOTHING
    busy = [slot.get("is_processing") for slot in slots]
    if not all(isinstance(is_busy, bool) for is_busy in busy):
        return NOTHING
    return Reading(running=float(sum(busy)), waiting=0.0 if not all(busy) else None, seats=float(len(slots)))


_LATEST = ":latest"
"""What Ollama adds to a name without a tag; requests may leave it out."""


def _ollama(text: bytes) -> Reading:
    fields = _json(text)
    entries = fields.get("models") if isinstance(fields, dict) else None
    if not isinstance(entries, list):
        return NOTHING
    named = {entry["name"]: entry for entry in entries if isinstance(entry, dict) and _is_name(entry.get("name"))}
    contexts = ((name, tokens(entry.get("context_length"))) for name, entry in named.items())
    return Reading(
        loaded=frozenset((*named, *(name.removesuffix(_LATEST) for name in named))),
        contexts={name: context for name, context in contexts if context is not None} or None,
    )


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name != ""


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_METRICS = "/metrics"
SOURCES: dict[str, tuple[Source, ...]] = {
    "vllm": (Source(_METRICS, _vllm),),
    "sglang": (Source(_METRICS, _sglang),),
    "tgi": (Source(_METRICS, _tgi),),
    "llama_cpp": (
        Source("/props", _llama_props),
        Source(_METRICS, _llama_metrics),
        Source("/slots", _llama_slots, stirs=True),
    ),
    "ollama": (Source("/api/ps", _ollama),),
}
"""By kind of engine; each may be switched off in the engine. All are asked, in this order: what one tells, a later one
need not. Kinds without one tell nothing."""
