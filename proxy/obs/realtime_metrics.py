"""WebSockets that are tunnelled to engines, as metrics. Owns names and help texts."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from proxy.model.realtime import RealtimeView
from proxy.obs.families import counters, gauge


def realtime_families(view: RealtimeView) -> Iterator[Metric]:
    """All series."""
    yield gauge("tidegate_realtime_connections", "WebSockets that are open (/v1/realtime).", view.open)
    text = "How many may be (realtime.connections)."
    yield gauge("tidegate_realtime_connections_limit", text, view.most)
    yield counters(
        "tidegate_realtime_bytes",
        "Bytes that passed through them, as they passed.",
        ("direction",),
        [(("from_client",), float(view.from_clients_b)), (("to_client",), float(view.to_clients_b))],
    )
    yield counters(
        "tidegate_realtime_ended",
        "WebSockets that are over, by how they ended.",
        ("end",),
        [((end,), float(count)) for end, count in view.ends.items()],
    )
    yield counters(
        "tidegate_realtime_refused",
        "Handshakes that got no tunnel for want of room (full), of room for their tenant (tenant), or since a page of"
        " another origin may have none (origin).",
        ("reason",),
        [((reason,), float(count)) for reason, count in view.refused.items()],
    )
