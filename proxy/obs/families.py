"""Short spellings of the library's metric families."""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from prometheus_client.metrics_core import Metric

from proxy.model.histogram import Histogram
from proxy.obs.numbers import Numbers

T = TypeVar("T")


def gauge(name: str, text: str, value: float) -> Metric:
    """One number that goes up and down."""
    return Numbers(name, "gauge", text, (), [((), value)])


def counter(name: str, text: str, value: float) -> Metric:
    """One number that only grows."""
    return Numbers(name, "counter", text, (), [((), value)])


def gauges(name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A gauge with labels."""
    return Numbers(name, "gauge", text, labels, values)


def counters(name: str, text: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A counter with labels."""
    return Numbers(name, "counter", text, labels, values)


def read(
    views: Iterable[T], key: Callable[[T], tuple[str, ...]], value: Callable[[T], float | None]
) -> list[tuple[tuple[str, ...], float]]:
    """Labels and value of each view; what has no value has no sample."""
    pairs = ((key(view), value(view)) for view in views)
    return [(labels, float(number)) for labels, number in pairs if number is not None]


class Histograms:
    """A histogram with labels. What has counted nothing has no series; the text of it is made from templates."""

    __slots__ = ("documentation", "labels", "name", "rows")
    type: Final = "histogram"

    def __init__(
        self, name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], Histogram]]
    ) -> None:
        self.name = name
        self.documentation = text
        self.labels = labels
        self.rows = rows


Family = Metric | Histograms
