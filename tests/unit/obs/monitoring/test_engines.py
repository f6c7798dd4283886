"""What engines say of themselves."""

from proxy.obs.monitoring.backends import backends
from proxy.obs.monitoring.engines import engines
from proxy.obs.monitoring.queries import drawn, metrics


def test_all_that_they_say_is_drawn_on_the_dashboard_of_backends() -> None:
    assert engines() in backends().rows
    shown = {known.name for panel in engines().panels for query in panel.queries for known in drawn(query.expr)}
    said = {name for name in metrics() if name.startswith("tidegate_engine_")} - {"tidegate_engine_wait_seconds"}
    assert shown == said
