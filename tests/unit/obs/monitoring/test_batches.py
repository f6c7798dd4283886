"""Panels of files and batches draw every metric of theirs."""

from proxy.obs.monitoring.batches import batches
from proxy.obs.monitoring.queries import drawn, metrics


def test_every_metric_of_the_store_is_drawn() -> None:
    found = {known.name for panel in batches().panels for query in panel.queries for known in drawn(query[0])}
    wanted = {
        name for name in metrics() if name.startswith(("tidegate_batches", "tidegate_batch_line", "tidegate_store_"))
    }
    assert wanted <= found
