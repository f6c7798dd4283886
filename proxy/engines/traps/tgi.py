"""Of Text Generation Inference 3.3.6, by its source."""

from typing import Final

from proxy.engines.load import METRICS
from proxy.engines.trap import Sight, Trap, whole

INFO_ROUTE: Final = "/info"
_FEW: Final = 8
_SHORT: Final = 4096
"""Tokens; older releases have half of it by default."""


def _no_metrics(sight: Sight) -> str:
    return "/metrics does not answer: its load is not known" if sight.lacks(METRICS) else ""


def _few_seats(sight: Sight) -> str:
    seats = whole(sight.fields(INFO_ROUTE).get("max_concurrent_requests"))
    return f"it refuses more than {seats} requests at once" if seats is not None and seats < _FEW else ""


def _short_context(sight: Sight) -> str:
    most = whole(sight.fields(INFO_ROUTE).get("max_total_tokens"))
    return f"prompt and answer have {most} tokens together" if most is not None and 0 < most < _SHORT else ""


def _maintained(sight: Sight) -> str:
    return f"version {sight.version.split()[0][:32]}; its project only maintains it" if sight.version else ""


TRAPS: Final = (
    Trap("no-metrics", "/metrics does not answer", "let /metrics through to the proxy", _no_metrics),
    Trap("few-seats", "it refuses all but few requests", "raise --max-concurrent-requests", _few_seats),
    Trap("short-context", "its context is short", "raise --max-total-tokens and --max-input-tokens", _short_context),
    Trap(
        "only-maintained",
        "it gets no new models or features",
        "for what is new: vLLM or SGLang; nothing has to be done",
        _maintained,
        is_grave=False,
    ),
)
