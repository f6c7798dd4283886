"""What an engine's own metrics say of its load: where to ask, and how to read the answer.

Owns names of metrics and paths of the versions in `dialect`. Whatever is not as expected reads as unknown; the core
judges what is plausible.
"""

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

MAX_B = 4 << 20
"""Longest answer that is read."""
_MAX_SERIES = 1024
_SAMPLE = re.compile(rb'(?:\{(?P<labels>(?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\})?[ \t]+(?P<value>[^ \t\r\n]+)')
_LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


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


NOTHING = Reading()


class Source(NamedTuple):
    """Where an engine tells its load."""

    path: str
    read: Callable[[bytes], Reading]


class _Sample(NamedTuple):
    labels: bytes
    value: float


def _samples(text: bytes, name: bytes) -> list[_Sample]:
    """Of a metric in Prometheus text format; found by its name at a line's beginning, the rest is not parsed."""
    found: list[_Sample] = []
    at = 0 if text.startswith(name) else _next(text, name, 0)
    while at >= 0 and len(found) < _MAX_SERIES:
        at += len(name)
        match = _SAMPLE.match(text, at)
        value = _number(match["value"]) if match else None
        if match and value is not None:
            found.append(_Sample(match["labels"] or b"", value))
        at = _next(text, name, at)
    return found


def _next(text: bytes, name: bytes, start: int) -> int:
    at = text.find(b"\n" + name, start)
    return at + 1 if at >= 0 else -1


def _number(text: bytes) -> float | None:
    try:
        value = float(text) if b"_" not in text else -1.0  # a spelling of Python's alone
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def _sum(text: bytes, *names: bytes) -> float | None:
    """Over all series of the first of these metrics that is there (an engine may have several ranks)."""
    for name in names:
        samples = _samples(text, name)
        if samples:
            return sum(sample.value for sample in samples)
    return None


def _mean(text: bytes, *names: bytes) -> float | None:
    for name in names:
        samples = _samples(text, name)
        if samples:
            return sum(sample.value for sample in samples) / len(samples)
    return None


def _vllm(text: bytes) -> Reading:
    budgets = [_vllm_budget(sample.labels) for sample in _samples(text, b"vllm:cache_config_info")]
    known = [budget for budget in budgets if budget is not None]
    return Reading(
        running=_sum(text, b"vllm:num_requests_running"),
        waiting=_sum(text, b"vllm:num_requests_waiting"),
        kv_usage=_mean(text, b"vllm:kv_cache_usage_perc", b"vllm:gpu_cache_usage_perc"),
        kv_tokens=sum(known) if known else None,
        odometer=_sum(text, b"vllm:prompt_tokens_total"),
    )


def _vllm_budget(labels: bytes) -> float | None:
    values = {name: _number(value) for name, value in _LABEL.findall(labels)}
    tokens = values.get(b"kv_cache_size_tokens")
    if tokens:
        return tokens
    blocks, size = values.get(b"num_gpu_blocks"), values.get(b"block_size")
    return blocks * size if blocks and size else None


def _sglang(text: bytes) -> Reading:
    return Reading(
        running=_sum(text, b"sglang:num_running_reqs"),
        waiting=_sum(text, b"sglang:num_queue_reqs"),
        kv_usage=_mean(text, b"sglang:token_usage"),
        kv_tokens=_sum(text, b"sglang:max_total_num_tokens"),
        odometer=_sum(text, b"sglang:prompt_tokens_total"),
    )


def _tgi(text: bytes) -> Reading:
    return Reading(
        running=_sum(text, b"tgi_batch_current_size"),
        waiting=_sum(text, b"tgi_queue_size"),
        odometer=_sum(text, b"tgi_request_count"),
    )


def _llama_metrics(text: bytes) -> Reading:
    return Reading(
        running=_sum(text, b"llamacpp:requests_processing"),
        waiting=_sum(text, b"llamacpp:requests_deferred"),
        odometer=_sum(text, b"llamacpp:prompt_tokens_total"),
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
    told = (entry.get("name") for entry in entries if isinstance(entry, dict))
    names = [name for name in told if isinstance(name, str) and name]
    return Reading(loaded=frozenset((*names, *(name.removesuffix(_LATEST) for name in names))))


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
    "llama_cpp": (Source("/slots", _llama_slots), Source(_METRICS, _llama_metrics)),
    "ollama": (Source("/api/ps", _ollama),),
}
"""By kind of engine, the best first; each may be switched off in the engine. Kinds without one tell nothing."""
