"""A gauge or counter of the library that is not made sample by sample: whoever writes it down needs none of them.

The library makes a dictionary and a tuple of each sample, which for a large fleet is half of a scrape.
"""

from collections.abc import Iterable
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

Row = tuple[tuple[str, ...], float]
"""Values of the labels, and the number."""


class Numbers(Metric):
    """One family; `rows` are read once it is made."""

    def __init__(self, name: str, kind: str, text: str, labels: tuple[str, ...], rows: Iterable[Row]) -> None:
        self.name = name
        self.type = kind
        self.documentation = text
        self.unit = ""
        self.labels = labels
        self.rows = list(rows)

    @property
    def sample_name(self) -> str:
        """What its samples are called."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    @property
    def samples(self) -> list[Sample]:
        """As the library has them."""
        name, labels = self.sample_name, self.labels
        return [Sample(name, dict(zip(labels, key, strict=True)), float(value)) for key, value in self.rows]

    @samples.setter
    def samples(self, made: Any) -> None:
        raise AttributeError("they are made of the rows")
