"""A family without samples says the same as one of the library."""

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from proxy.obs.numbers import Numbers

ROWS = [(("a", "x"), 1.0), (("b", "y"), 2.5)]


def test_its_samples_are_those_of_the_library() -> None:
    gauge, counter = GaugeMetricFamily("g", "A.", labels=("k", "l")), CounterMetricFamily("c", "B.", labels=("k", "l"))
    for key, value in ROWS:
        gauge.add_metric(key, value)
        counter.add_metric(key, value)
    assert Numbers("g", "gauge", "A.", ("k", "l"), ROWS) == gauge
    assert Numbers("c", "counter", "B.", ("k", "l"), ROWS) == counter


def test_samples_are_not_put_in_from_outside() -> None:
    with pytest.raises(AttributeError):
        Numbers("g", "gauge", "A.", (), []).samples = []


def test_rows_are_read_when_it_is_made() -> None:
    live = {("a",): 1.0}
    family = Numbers("g", "gauge", "A.", ("k",), live.items())
    live["b",] = 2.0
    assert len(family.rows) == 1
