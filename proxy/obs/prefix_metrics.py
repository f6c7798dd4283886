"""What the prefix lint found, as series: which prompts change at their front, where, and what that costs."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from proxy.obs.families import counter, gauges
from proxy.obs.labels import Labels
from proxy.wire.prompts.lint import PrefixFinding, PrefixLint

MOST = 32
"""Prompts that are told, those that cost most."""


def prefix_families(lint: PrefixLint, tenants: Labels) -> Iterator[Metric]:
    """Tenants by name, prompts by name or number, classes of what changes: no text. Of those that would be told alike
    the one that costs most is."""
    labels = ("tenant", "prompt", "part", "kind")
    found: dict[tuple[str, ...], PrefixFinding] = {}
    for one in lint.findings()[:MOST]:
        found.setdefault((tenants.of(one.tenant), one.prompt, one.part, one.kind), one)
    yield gauges(
        "tidegate_prefix_break_byte",
        "Where requests stop sharing a prompt: byte of its part at which a value begins that changes.",
        labels,
        [(key, float(one.byte)) for key, one in found.items()],
    )
    yield gauges(
        "tidegate_prefix_break_share",
        "Share of the prompt's tokens in front of that place, which a prefix cache can give.",
        labels,
        [(key, one.reused / one.tokens if one.tokens else 0.0) for key, one in found.items()],
    )
    yield gauges(
        "tidegate_prefix_break_tokens",
        "Prompt tokens per request that would be reused too if what changes came last (estimate).",
        labels,
        [(key, one.saved) for key, one in found.items()],
    )
    yield counter(
        "tidegate_prefix_looked_at", "Requests whose prompt was compared with the one before.", lint.looked_at
    )
