"""Of SGLang 0.5.23, by its source."""

from collections.abc import Mapping
from typing import Any, Final

from proxy.engines.load import METRICS
from proxy.engines.prometheus import mean, total
from proxy.engines.trap import Sight, Trap, crowded, path_as_name, whole

SETTINGS_ROUTES: Final = ("/server_info", "/get_server_info")
"""All its settings; the second is the older name."""
_FEW: Final = 8
_KEYS: Final = ("api_key", "admin_api_key")


def _settings(sight: Sight) -> Mapping[str, Any]:
    return next((told for route in SETTINGS_ROUTES if (told := sight.fields(route))), {})


def _no_metrics(sight: Sight) -> str:
    return "/metrics is off: its load is not known" if sight.lacks(METRICS) else ""


def _cached_untold(sight: Sight) -> str:
    is_off = _settings(sight).get("enable_cache_report") is False
    return (
        "it does not tell how much of a prompt it had: what is believed of its cache is not checked" if is_off else ""
    )


def _prefix_cache_off(sight: Sight) -> str:
    is_off = _settings(sight).get("disable_radix_cache") is True
    return "its prefix cache is off: each turn is computed anew" if is_off else ""


def _few_seats(sight: Sight) -> str:
    seats = whole(_settings(sight).get("max_running_requests"))
    if seats is not None and 0 < seats < _FEW:
        return f"it runs {seats} requests at once at most"
    text = sight.bodies.get(METRICS, b"")
    running, waiting = total(text, b"sglang:num_running_reqs"), total(text, b"sglang:num_queue_reqs")
    return crowded(running, waiting, mean(text, b"sglang:token_usage"))


def _coarse(sight: Sight) -> str:
    interval = whole(_settings(sight).get("stream_interval"))
    return f"its streams bring {interval} tokens at a time" if interval is not None and interval > 1 else ""


def _tells_key(sight: Sight) -> str:
    settings = _settings(sight)
    return "its settings, which anybody may read, show its API key" if any(settings.get(key) for key in _KEYS) else ""


def _path_as_name(sight: Sight) -> str:
    return path_as_name(sight.entries())


TRAPS: Final = (
    Trap("no-metrics", "/metrics is off", "start it with --enable-metrics", _no_metrics),
    Trap(
        "cached-tokens-untold", "it does not tell cached tokens", "start it with --enable-cache-report", _cached_untold
    ),
    Trap("prefix-cache-off", "its prefix cache is off", "start it without --disable-radix-cache", _prefix_cache_off),
    Trap("few-seats", "it runs few requests at once", "raise --max-running-requests", _few_seats),
    Trap(
        "coarse-streams",
        "its streams bring several tokens at a time",
        "start it with --stream-interval 1, unless that is meant",
        _coarse,
        is_grave=False,
    ),
    Trap(
        "tells-its-key", "its settings show its API key", "let only the proxy reach it, and change the key", _tells_key
    ),
    Trap(
        "path-as-name",
        "its model is called as its folder",
        "start it with --served-model-name NAME, or write `aliases`",
        _path_as_name,
        is_grave=False,
    ),
)
