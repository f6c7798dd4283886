"""Of llama-server of llama.cpp 0.5.0-dev, by recorded exchanges and its source. `/slots` is not asked: that would wake
it."""

from typing import Any, Final

from proxy.engines.load import METRICS
from proxy.engines.trap import Sight, Trap, whole

PROPS: Final = "/props"
_LONG_ENOUGH: Final = 8192
"""Tokens that a conversation with tools or files needs."""


def _no_metrics(sight: Sight) -> str:
    return "/metrics is off: what waits in it is not known" if sight.lacks(METRICS) else ""


def _no_slots(sight: Sight) -> str:
    is_off = sight.fields(PROPS).get("endpoint_slots") is False
    return "/slots is off: how many requests it runs is not known" if is_off else ""


def _one_slot(sight: Sight) -> str:
    return "it runs one request at a time, all others wait" if sight.fields(PROPS).get("total_slots") == 1 else ""


def _short_context(sight: Sight) -> str:
    props = sight.fields(PROPS)
    settings = props.get("default_generation_settings")
    each = whole(settings.get("n_ctx")) if isinstance(settings, dict) else None
    trained = _trained(sight)
    if not each or each >= _LONG_ENOUGH or trained is None or each >= trained:
        return ""
    slots = whole(props.get("total_slots")) or 1
    shared = f" ({slots} slots)" if slots > 1 else ""
    return f"a request has {each} tokens of context{shared}, the model was trained with {trained}"


def _no_tools(sight: Sight) -> str:
    caps = sight.fields(PROPS).get("chat_template_caps")
    is_without = isinstance(caps, dict) and caps.get("supports_tools") is False
    return "its chat template knows no tools: requests with tools get plain text" if is_without else ""


def _asleep(sight: Sight) -> str:
    is_asleep = sight.fields(PROPS).get("is_sleeping") is True
    return "its model is out of memory since it was idle: the next request waits for it" if is_asleep else ""


def _trained(sight: Sight) -> int | None:
    metas: list[Any] = [entry.get("meta") for entry in sight.entries()]
    known = [whole(meta.get("n_ctx_train")) for meta in metas if isinstance(meta, dict)]
    return max((length for length in known if length), default=None)


TRAPS: Final = (
    Trap("no-metrics", "/metrics is off", "start it with --metrics", _no_metrics),
    Trap("no-slots", "/slots is off", "start it with --slots", _no_slots),
    Trap("one-slot", "it runs one request at a time", "start it with -np 4, and -c four times as large", _one_slot),
    Trap(
        "short-context",
        "the context of each slot is short",
        "raise -c: it is shared by the slots (-np), unless they have one together (--kv-unified)",
        _short_context,
    ),
    Trap(
        "no-tools",
        "its chat template knows no tools",
        "start it with --jinja and a template that does: --chat-template-file",
        _no_tools,
        is_grave=False,
    ),
    Trap(
        "asleep", "its model is out of memory", "raise --sleep-idle-seconds, or leave it out", _asleep, is_grave=False
    ),
)
