"""Who has what engines keep (responses, conversations), as metrics. Owns names and help texts."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from proxy.model.stored import OwnersView
from proxy.obs.families import counters, gauge


def owners_families(view: OwnersView) -> Iterator[Metric]:
    """All series."""
    text = "Responses and conversations whose backend is known (limits.stored)."
    yield gauge("tidegate_stored_known", text, view.known)
    yield counters(
        "tidegate_stored_lookups",
        "Ids of responses and conversations that requests named, by where their backend was found: memory, second_level"
        " (cache.remote), nowhere; unanswered: the second level said nothing in time, and the request got 404.",
        ("found",),
        [((found,), float(count)) for found, count in view.lookups.items()],
    )
    yield counters(
        "tidegate_stored_told",
        "Ids that were to be told to other proxies by the second level: told, or dropped since it was away for long.",
        ("result",),
        [(("told",), float(view.told)), (("dropped",), float(view.dropped))],
    )
