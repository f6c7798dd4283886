"""A forecast before anybody was looked at."""

from proxy.core.fleet.forecast import Forecast
from tests.support.attributes import attributes_of


def test_it_says_nothing_yet() -> None:
    made = Forecast()
    numbers = {getattr(made, name) for name in attributes_of(Forecast) if name != "reason"}
    assert numbers == {0.0}
    assert made.reason is None
