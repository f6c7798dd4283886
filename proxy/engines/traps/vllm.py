"""Of vLLM 0.33.0, by recorded exchanges and its source."""

from typing import Final

from proxy.engines.load import METRICS
from proxy.engines.prometheus import labels_of, mean, number, samples, total
from proxy.engines.trap import Sight, Trap, crowded, numbers, path_as_name

DEV_ROUTE: Final = "/is_sleeping"
"""Only there in its development mode, changes nothing, and answers at once: `/server_info` takes seconds."""
_NESTED_ERRORS: Final = (0, 9)
"""Before it, errors are flat and metrics have other names."""
_FEW_FULL_LENGTH: Final = 2.0
_PREEMPTED_SHARE: Final = 0.01
_ENOUGH: Final = 100.0
"""Finished requests of which a share says something."""


def _no_metrics(sight: Sight) -> str:
    return "/metrics does not answer: its load is not known" if METRICS not in sight.bodies else ""


def _prefix_cache_off(sight: Sight) -> str:
    caches = (labels_of(sample) for sample in samples(_metrics(sight), b"vllm:cache_config_info"))
    is_off = any(labels.get(b"enable_prefix_caching") == b"False" for labels in caches)
    return "its prefix cache is off: each turn is computed anew" if is_off else ""


def _asleep(sight: Sight) -> str:
    states = samples(_metrics(sight), b"vllm:engine_sleep_state")
    awake = [sample.value for sample in states if labels_of(sample).get(b"sleep_state") == b"awake"]
    return "it sleeps: what reaches it waits until somebody wakes it" if awake and not all(awake) else ""


def _dev_mode(sight: Sight) -> str:
    is_dev = DEV_ROUTE in sight.bodies
    return "whoever reaches it may put it to sleep, empty its caches and read its settings" if is_dev else ""


def _few_seats(sight: Sight) -> str:
    text = _metrics(sight)
    running, waiting = total(text, b"vllm:num_requests_running"), total(text, b"vllm:num_requests_waiting")
    return crowded(running, waiting, mean(text, b"vllm:kv_cache_usage_perc"))


def _preempts(sight: Sight) -> str:
    text = _metrics(sight)
    preempted, finished = total(text, b"vllm:num_preemptions_total"), total(text, b"vllm:request_success_total")
    if not preempted or not finished or finished < _ENOUGH or preempted < _PREEMPTED_SHARE * finished:
        return ""
    return f"{preempted:.0f} of its {finished:.0f} requests lost their place and were computed anew"


def _small_cache(sight: Sight) -> str:
    for sample in samples(_metrics(sight), b"vllm:cache_config_info"):
        fitting = number(labels_of(sample).get(b"kv_cache_max_concurrency", b""))
        if fitting is not None and 0 < fitting < _FEW_FULL_LENGTH:
            return f"its KV cache holds {fitting:.1f} requests of full length"
    return ""


def _refuses(sight: Sight) -> str:
    refused = total(_metrics(sight), b"vllm:admission_rejections_total")
    return f"it has refused {refused:.0f} requests because it was full" if refused else ""


def _path_as_name(sight: Sight) -> str:
    return path_as_name(sight.entries())


def _old(sight: Sight) -> str:
    known = numbers(sight.version)
    return f"{sight.version[:32]}: its errors and metrics are not those of today" if () < known < _NESTED_ERRORS else ""


def _metrics(sight: Sight) -> bytes:
    return sight.bodies.get(METRICS, b"")


TRAPS: Final = (
    Trap("no-metrics", "/metrics does not answer", "leave out --disable-log-stats", _no_metrics),
    Trap("prefix-cache-off", "its prefix cache is off", "start it with --enable-prefix-caching", _prefix_cache_off),
    Trap("asleep", "it sleeps", "POST /wake_up to it", _asleep),
    Trap(
        "dev-mode",
        "its development routes are open",
        "start it without VLLM_SERVER_DEV_MODE, or let only the proxy reach it",
        _dev_mode,
    ),
    Trap("few-seats", "requests wait while its KV cache is not used", "raise --max-num-seqs", _few_seats),
    Trap(
        "preempts",
        "requests lose their place for want of KV cache",
        "lower --max-num-seqs or --max-model-len, or raise --gpu-memory-utilization",
        _preempts,
    ),
    Trap(
        "small-cache",
        "its KV cache holds less than two requests of full length",
        "lower --max-model-len, or raise --gpu-memory-utilization",
        _small_cache,
        is_grave=False,
    ),
    Trap(
        "refuses",
        "it refuses requests when it is full",
        "set `max_concurrency` of this backend below its --max-num-queued-reqs: they wait here, in order of class",
        _refuses,
        is_grave=False,
    ),
    Trap(
        "path-as-name",
        "its model is called as its folder",
        "start it with --served-model-name NAME, or write `aliases`",
        _path_as_name,
        is_grave=False,
    ),
    Trap("old", "it is older than 0.9", "update it", _old),
)
