"""What the prefix lint found, as series: which prompts change at their front, where, and what that costs."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from proxy.obs.families import counter, gauges
from proxy.wire.prompts.lint import PrefixFinding, PrefixLint

MOST = 32
"""Prompts that are told, those that cost most."""


def prefix_families(lint: PrefixLint) -> Iterator[Metric]:
    """Tenants as digests, prompts by name or number, classes of what changes: no text."""
    found = lint.findings()[:MOST]
    labels = ("tenant", "prompt", "part", "kind")
    yield gauges(
        "tidegate_prefix_break_byte",
        "Where requests stop sharing a prompt: byte of its part at which a value begins that changes.",
        labels,
        [(_labels(one), float(one.byte)) for one in found],
    )
    yield gauges(
        "tidegate_prefix_break_share",
        "Share of the prompt's tokens in front of that place, which a prefix cache can give.",
        labels,
        [(_labels(one), one.reused / one.tokens if one.tokens else 0.0) for one in found],
    )
    yield gauges(
        "tidegate_prefix_break_tokens",
        "Prompt tokens per request that would be reused too if what changes came last (estimate).",
        labels,
        [(_labels(one), one.saved) for one in found],
    )
    yield counter(
        "tidegate_prefix_looked_at", "Requests whose prompt was compared with the one before.", lint.looked_at
    )


def _labels(one: PrefixFinding) -> tuple[str, ...]:
    return (one.tenant or "none", one.prompt, one.part, one.kind)
