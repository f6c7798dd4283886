"""`tidegate backends`: what stands behind a running proxy, and how each engine does.

Owns the text. What is told is in `obs.status`.
"""

import argparse
import json
import sys
from typing import Any, Final

from proxy.cli.inquiry import inquiry
from proxy.report.tables import table, width_of

_MODELS_SHOWN: Final = 2
_HEADER: Final = (
    *("backend", "engine", "version", "models", "state", "precision", "in flight", "seats", "running", "waiting"),
    *("KV", "context", "prefill tok/s", "TPOT", "scraped"),
)
_LEFT: Final = 6
"""Columns of text."""


def run(arguments: argparse.Namespace) -> int:
    """0 when they are told, else 1 with the reason."""
    asked = inquiry(arguments, arguments.file)
    told = None if asked is None else asked.told("/backends", "backends", dict)
    if told is None:
        return 1
    print(json.dumps(told, indent=2) if arguments.json else as_text(told["backends"], width_of(sys.stdout)))
    return 0


def as_text(backends: dict[str, dict[str, Any]], width: int) -> str:
    """A table, at most so wide; without it a line for each that is known of nobody."""
    if not backends:
        return "the proxy has no backends"
    return table(_HEADER, [_row(name, one) for name, one in backends.items()], width=width, left=_LEFT).rstrip("\n")


def _row(name: str, one: dict[str, Any]) -> tuple[str, ...]:
    engine = one["engine"]
    return (
        name,
        engine["kind"] or "-",
        engine["version"] or "-",
        _models(one["models"]),
        _state(one),
        engine["precision"] or "-",
        str(one["in_flight"]),
        _number(one["seats"]),
        _number(engine["running"]),
        _number(engine["waiting"]),
        _kv(one),
        _number(one["context_tokens"]),
        _number(one["learned_prefill_tokens_per_s"] if one["ttft_samples"] else None),
        f"{one['learned_tpot_s'] * 1e3:.3g} ms" if one["ttft_samples"] and one["learned_tpot_s"] else "-",
        "never" if engine["scraped_s_ago"] is None else f"{engine['scraped_s_ago']:.0f} s ago",
    )


def _models(models: list[str] | None) -> str:
    if models is None:
        return "not known yet"
    more = len(models) - _MODELS_SHOWN
    return (", ".join(models[:_MODELS_SHOWN]) or "-") + (f" and {more} more" if more > 0 else "")


def _state(one: dict[str, Any]) -> str:
    """The one word that says most."""
    if one["leaving"]:
        return "leaving"
    if one["asleep"]:
        return "asleep"
    if one["state"] == "healthy" and one["paused_for_s"] is not None:
        return "paused"
    return "unloaded" if one["state"] == "healthy" and one["engine"]["unloaded"] else str(one["state"])


def _kv(one: dict[str, Any]) -> str:
    """Its own word before ours."""
    if one["engine"]["kv_usage"] is not None:
        return f"{one['engine']['kv_usage']:.0%}"
    return f"{one['kv_used_tokens'] / one['kv_tokens']:.0%}" if one["kv_tokens"] else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
