"""A run in slices of time, so that an onset, an outage and what follows can be read.

Owns the slicing: a request belongs to the slice in which it arrived, whenever it ended.
"""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.report.report import Group, group_of
from proxy.report.run import Result

INTERVAL_S = 10.0
MAX_INTERVALS = 100_000
ALL = "all"


class Slice(NamedTuple):
    """What came from `start` until before `end`, seconds from the first arrival of the trace."""

    start: float
    end: float
    traffic_class: str
    group: Group


def slices_of(results: Sequence[Result], interval_s: float) -> list[Slice]:
    """All slices in order of time, those in which nothing came included: of everything, then by class where there are
    several. Raises ValueError for more than `MAX_INTERVALS`."""
    if not results:
        return []
    last = int(max(result.arrival.at for result in results) // interval_s)
    if last >= MAX_INTERVALS:
        raise ValueError(f"{last + 1:,} intervals; at most {MAX_INTERVALS:,}")
    lots: list[list[Result]] = [[] for _ in range(last + 1)]
    for result in results:
        lots[int(result.arrival.at // interval_s)].append(result)
    classes = sorted({result.arrival.traffic_class or "" for result in results})
    found = []
    for index, lot in enumerate(lots):
        start, end = index * interval_s, (index + 1) * interval_s
        found.append(Slice(start, end, ALL, group_of(lot)))
        if len(classes) > 1:
            for name in classes:
                of_class = [result for result in lot if (result.arrival.traffic_class or "") == name]
                found.append(Slice(start, end, name, group_of(of_class)))
    return found
