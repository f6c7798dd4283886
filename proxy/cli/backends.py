"""`tidegate backends`: what stands behind a running proxy, and how each engine does.

Owns the text. What is told is in `obs.status`.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from proxy.cli.inquiry import inquiry
from proxy.report.screen.words import ABSENT, amount, inner, number, percent, plain, seconds, short, strings, whole
from proxy.report.tables import table, width_of

_MODELS_SHOWN: Final = 2
_HEADER: Final = (
    *(
        "backend",
        "engine",
        "version",
        "models",
        "state",
        "precision",
        "in flight",
        "seats",
        "quota left",
        "running",
        "waiting",
    ),
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


def as_text(backends: Mapping[str, Mapping[str, Any]], width: int) -> str:
    """A table, at most so wide; without it a line for each that is known of nobody."""
    if not backends:
        return "the proxy has no backends"
    return table(_HEADER, [_row(name, one) for name, one in backends.items()], width=width, left=_LEFT).rstrip("\n")


def _row(name: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    engine = inner(one, "engine")
    learned = one if amount(one.get("ttft_samples")) else {}
    scraped = engine.get("scraped_s_ago")
    return (
        plain(name),
        *(plain(engine.get(fact)) or ABSENT for fact in ("kind", "version")),
        _models(one.get("models")),
        _state(one, engine),
        plain(engine.get("precision")) or ABSENT,
        *(whole(one.get(count)) for count in ("in_flight", "seats")),
        _quota(one),
        *(whole(engine.get(count)) for count in ("running", "waiting")),
        percent(_kv(one, engine)),
        whole(one.get("context_tokens")),
        short(learned.get("learned_prefill_tokens_per_s")),
        seconds(learned.get("learned_tpot_s") or None),
        "never" if scraped is None else f"{seconds(scraped)} ago",
    )


def _models(models: object) -> str:
    if not isinstance(models, list):
        return "not known yet"
    more = len(models) - _MODELS_SHOWN
    return (", ".join(strings(models[:_MODELS_SHOWN])) or ABSENT) + (f" and {more} more" if more > 0 else "")


def _state(one: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    """The one word that says most."""
    if one.get("leaving"):
        return "leaving"
    if one.get("asleep"):
        return "asleep"
    if one.get("state") == "healthy" and one.get("paused_for_s") is not None:
        return "paused"
    return "unloaded" if one.get("state") == "healthy" and engine.get("unloaded") else plain(one.get("state"))


def _kv(one: Mapping[str, Any], engine: Mapping[str, Any]) -> float | None:
    """Its own word before ours."""
    told, size = number(engine.get("kv_usage")), amount(one.get("kv_tokens"))
    return amount(one.get("kv_used_tokens")) / size if told is None and size else told


def _quota(one: Mapping[str, Any]) -> str:
    """Requests and tokens of this minute."""
    requests, tokens = number(one.get("quota_requests_left")), number(one.get("quota_tokens_left"))
    told = [*([] if requests is None else [whole(requests)]), *([] if tokens is None else [f"{whole(tokens)} tok"])]
    return ", ".join(told) or ABSENT
