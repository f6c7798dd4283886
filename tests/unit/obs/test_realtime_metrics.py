"""Names and numbers."""

from proxy.model.realtime import RealtimeView
from proxy.obs.realtime_metrics import realtime_families


def test_all_of_it() -> None:
    view = RealtimeView(1, 4, 10, 20, {"client": 3}, {"full": 2})
    told = {(s.name, *s.labels.values()): s.value for family in realtime_families(view) for s in family.samples}
    assert told == {
        ("tidegate_realtime_connections",): 1.0,
        ("tidegate_realtime_connections_limit",): 4.0,
        ("tidegate_realtime_bytes_total", "from_client"): 10.0,
        ("tidegate_realtime_bytes_total", "to_client"): 20.0,
        ("tidegate_realtime_ended_total", "client"): 3.0,
        ("tidegate_realtime_refused_total", "full"): 2.0,
    }
