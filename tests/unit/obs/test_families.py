"""Families as the library writes them."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from proxy.obs.families import counter, counters, gauge, gauges, read


class Of:
    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> tuple[Metric, ...]:
        return self._families


def lines(*families: Metric) -> list[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Of(*families))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("# HELP")]


def test_one_number() -> None:
    assert lines(gauge("a", "A.", 2), counter("b", "B.", 3)) == [
        "# TYPE a gauge",
        "a 2.0",
        "# TYPE b_total counter",
        "b_total 3.0",
    ]


def test_numbers_by_labels() -> None:
    samples = [(("x", "y"), 1.0), (("x", "z"), 2.0)]
    assert lines(gauges("a", "A.", ("one", "two"), samples), counters("b", "B.", ("one", "two"), samples[:1])) == [
        "# TYPE a gauge",
        'a{one="x",two="y"} 1.0',
        'a{one="x",two="z"} 2.0',
        "# TYPE b_total counter",
        'b_total{one="x",two="y"} 1.0',
    ]


def test_what_has_no_value_has_no_sample() -> None:
    found = read([("a", 1), ("b", None), ("c", False)], lambda view: (view[0],), lambda view: view[1])
    assert found == [(("a",), 1.0), (("c",), 0.0)]
