"""PromQL for panels and alerts. Owns which metrics there are, and how a dashboard's variables select of them.

A metric or a label that the proxy does not have is refused here, so that nothing is drawn that never has data.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from proxy.obs.families import Family
from proxy.obs.reference import example, labels_of

RATE: Final = "[$__rate_interval]"
"""As long as Grafana thinks right: four scrapes at least, longer where less detail is shown."""
_MATCHED: Final = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')
_SERIES: Final = re.compile(r"\b(?:tidegate|process|python)_[a-z0-9_]+")
_PARTS: Final = ("bucket", "count", "sum")
HISTOGRAM: Final = "histogram"
_FROM_PROMETHEUS: Final = frozenset({"instance", "job"})
_LE: Final = "le"


class Known(NamedTuple):
    """A metric."""

    name: str
    """Of its samples; of a histogram without `_bucket` and the like."""
    kind: str
    labels: frozenset[str]
    text: str


class UnknownMetricError(ValueError):
    """The proxy has no such metric, or it has no such label."""


@cache
def metrics() -> dict[str, Known]:
    """All of a proxy that has everything, by name."""
    families = [family for _, some in example().sections() for family in some]
    return {one.name: one for one in map(_known, families)}


def metric(series: str) -> Known:
    """What a series is of, be it a part of a histogram."""
    if series in metrics():
        return metrics()[series]
    base, _, part = series.rpartition("_")
    if part in _PARTS and base in metrics() and metrics()[base].kind == HISTOGRAM:
        return metrics()[base]
    raise UnknownMetricError(f"there is no metric {series}; deploy/METRICS.md lists all")


def drawn(expression: str) -> list[Known]:
    """The metrics of an expression, each once."""
    return list({one.name: one for one in map(metric, _SERIES.findall(expression))}.values())


class Queries:
    """For one dashboard, whose variables are named as the labels that they select by; or for none, as alerts are."""

    def __init__(self, *variables: str) -> None:
        self._variables = variables

    def of(self, series: str, where: str = "") -> str:
        """A selector: what the variables say that the metric has a label for, and `where`."""
        known = metric(series)
        if known.kind == HISTOGRAM and series == known.name:
            raise UnknownMetricError(f"{series} is a histogram: ask for its _bucket, _count or _sum")
        asked = set(_MATCHED.findall(where)) - _FROM_PROMETHEUS - {_LE}
        if not asked <= known.labels:
            raise UnknownMetricError(f"{series} has no label {', '.join(sorted(asked - known.labels))}")
        chosen = [one for one in self._variables if one in known.labels | {"instance"}]
        matchers = [*(f'{one}=~"${one}"' for one in chosen), *([where] if where else [])]
        return f"{series}{{{', '.join(matchers)}}}" if matchers else series

    def now(self, series: str, by: Iterable[str] = (), where: str = "", how: str = "sum") -> str:
        """A gauge, of all proxies together."""
        return f"{how}{_by(series, by)}({self.of(series, where)})"

    def rate(self, series: str, by: Iterable[str] = (), where: str = "", over: str = RATE) -> str:
        """A counter, per second."""
        return f"sum{_by(series, by)}(rate({self.of(series, where)}{over}))"

    def count(self, series: str, by: Iterable[str] = (), where: str = "", over: str = "[$__range]") -> str:
        """A counter, in all of the time that is shown."""
        return f"sum{_by(series, by)}(increase({self.of(series, where)}{over}))"

    def quantile(self, share: float, histogram: str, by: Iterable[str] = (), over: str = RATE) -> str:
        """Of a histogram."""
        names = _grouped(histogram, by)
        inner = ", ".join([_LE, *names])
        return f"histogram_quantile({share:g}, sum by ({inner}) (rate({self.of(histogram + '_bucket')}{over})))"

    def mean(self, histogram: str, by: Iterable[str] = ()) -> str:
        """Of a histogram."""
        group = tuple(by)
        return f"{self.rate(histogram + '_sum', group)} / {self.rate(histogram + '_count', group)}"


def _by(series: str, by: Iterable[str]) -> str:
    names = _grouped(series, by)
    return f" by ({', '.join(names)}) " if names else ""


def _grouped(series: str, by: Iterable[str]) -> tuple[str, ...]:
    names = tuple(by)
    missing = {*names} - metric(series).labels - _FROM_PROMETHEUS
    if missing:
        raise UnknownMetricError(f"{series} has no label {', '.join(sorted(missing))}")
    return names


def _known(family: Family) -> Known:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Known(name, family.type, frozenset(labels_of(family)), family.documentation)
