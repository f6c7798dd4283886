"""Percentiles over sliding windows, from the bins of DDSketch: each is at most 1 % off, however many were counted.

Owns the bins and what is in which of them for how long. The bins are those of the library `ddsketch` at its relative
accuracy, so that counts of several proxies add up to one of its sketches (`obs.sketches`); counting is done here, in
some additions per request, where its own `add` costs more than all other metrics together. Pure: `now` is an argument.

A window of a minute is the slot that runs and the whole ones of the minute before: it ends now and is up to a slot
longer. Bounded: series come from closed sets of labels, slots are forgotten, bins are as many as fit into the range.
"""

from collections.abc import Iterator
from math import ceil, exp2, inf, log, log1p, log2
from typing import Final, NamedTuple

ACCURACY: Final = 0.005
"""Relative: half of what may be promised of the whole way, the rest is for clocks."""
SLOT_S: Final = 15.0
WINDOWS: Final[tuple[tuple[str, int], ...]] = (("1m", 4), ("5m", 20))
"""Name of a window, and its whole slots."""
MEASURES: Final = ("ttft", "tpot", "e2e", "queue")
QUANTILES: Final = (0.5, 0.95, 0.99)
DIMENSIONS: Final = ("class", "model", "backend", "warmth", "output")
"""By what: traffic class, model, backend; whether the answer was `kept` here, or its prompt at the engine (`prefix`) or
nothing of it (`cold`); and whether its output was `constrained` (a grammar, a schema, tools) or `free`."""

_LEAST_S: Final = 1e-5
_MOST_S: Final = 1e5
"""What is shorter or longer counts as this."""
_STRIDE: Final = 1 << 14
"""Between the bins of two measures in one table; more than there are bins."""
_MIDDLE: Final = _STRIDE // 2
"""Bin of a second."""
_GAMMA: Final = 1.0 + 2.0 * ACCURACY / (1.0 - ACCURACY)
_PER_OCTAVE: Final = log(2.0) / log1p(2.0 * ACCURACY / (1.0 - ACCURACY))
_MOST_WAITING: Final = 512
"""Requests that are counted together before they are in each of their series: in one go, below a millisecond."""
_MOST_KEYS: Final = 4096
"""Combinations of labels that are remembered with their series."""

Key = tuple[str, str, str, str, str]
"""One label value per dimension; empty: it does not count there, nor among all."""


class Percentile(NamedTuple):
    """What one series says of one window, seconds."""

    by: str
    """The dimension; empty: of all requests."""
    name: str
    """The value of its label."""
    measure: str
    window: str
    values: int
    """So many."""
    p50_s: float
    p95_s: float
    p99_s: float


def bin_of(value_s: float) -> int:
    """Which bin, seconds."""
    value_s = min(max(value_s, _LEAST_S), _MOST_S)
    return ceil(log2(value_s) * _PER_OCTAVE)


def value_of(number: int) -> float:
    """What stands for all in a bin, seconds: nobody in it is further than the accuracy from it."""
    return exp2(number / _PER_OCTAVE) * (2.0 / (1.0 + _GAMMA))


class _Series:
    """Bins by slot, of all measures in one table."""

    __slots__ = ("at", "by", "current", "name", "slots")

    def __init__(self, by: str, name: str) -> None:
        self.by = by
        self.name = name
        self.at = -1
        self.current: dict[int, int] = {}
        self.slots: dict[int, dict[int, int]] = {}

    def begin(self, slot: int) -> None:
        """A new slot; what no window shows any more goes."""
        self.at = slot
        self.current = self.slots[slot] = {}
        for old in [number for number in self.slots if number < slot - WINDOWS[-1][1]]:
            del self.slots[old]

    def add(self, slot: int, bins: dict[int, int]) -> None:
        """Count them in this slot."""
        if self.at != slot:
            self.begin(slot)
        current = self.current
        for at, count in bins.items():
            current[at] = current.get(at, 0) + count

    def counted(self, slot: int, whole: int) -> dict[int, int]:
        """All that was counted in this slot and the `whole` ones before it."""
        found: dict[int, int] = {}
        for number, bins in self.slots.items():
            if slot - whole <= number <= slot:
                for at, count in bins.items():
                    found[at] = found.get(at, 0) + count
        return found


class Percentiles:
    """One per proxy."""

    __slots__ = ("_series", "_slot", "_together", "_until", "_waiting", "_waits")

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}
        self._together: dict[Key, list[_Series]] = {}
        """The series that one request counts in."""
        self._waiting: dict[Key, dict[int, int]] = {}
        """Counted in this slot, and in none of the series yet."""
        self._waits = 0
        """Requests of which that is made."""
        self._slot = 0
        self._until = -inf
        """When the slot ends."""

    def add(
        self,
        key: Key,
        ttft_s: float | None,
        tpot_s: float | None,
        e2e_s: float | None,
        queue_s: float | None,
        now: float,
    ) -> None:
        """Count one request; None: it has no such time. `now`: monotonic seconds."""
        if now >= self._until or self._waits >= _MOST_WAITING:
            self._turn(now)
        self._waits += 1
        bins = self._waiting.get(key)
        if bins is None:
            bins = self._waiting[key] = {}
        if ttft_s is not None:
            at = _MIDDLE + bin_of(ttft_s)
            bins[at] = bins.get(at, 0) + 1
        if tpot_s is not None:
            at = _STRIDE + _MIDDLE + bin_of(tpot_s)
            bins[at] = bins.get(at, 0) + 1
        if e2e_s is not None:
            at = 2 * _STRIDE + _MIDDLE + bin_of(e2e_s)
            bins[at] = bins.get(at, 0) + 1
        if queue_s is not None:
            at = 3 * _STRIDE + _MIDDLE + bin_of(queue_s)
            bins[at] = bins.get(at, 0) + 1

    def read(self, now: float, only: str | None = None) -> Iterator[Percentile]:
        """Every series that has something in a window, one after the other: take as many at a time as there is time.
        `only`: of this dimension."""
        self._turn(now)
        slot = self._slot
        for series in [one for one in self._series.values() if only is None or one.by == only]:
            for window, whole in WINDOWS:
                counted = series.counted(slot, whole)
                if counted:
                    yield from _percentiles(series, window, counted)

    def bins(self, by: str, name: str, measure: str, window: str, now: float) -> dict[int, int]:
        """Bin → count of one series, as a sketch takes it. Empty: nothing was counted, or there is no such thing."""
        self._turn(now)
        series = self._series.get((by, name))
        if series is None or measure not in MEASURES:
            return {}
        first = MEASURES.index(measure) * _STRIDE
        counted = series.counted(self._slot, dict(WINDOWS).get(window, 0))
        return {at - first - _MIDDLE: count for at, count in counted.items() if first <= at < first + _STRIDE}

    def forget(self, by: str, name: str) -> None:
        """Nothing will count there any more."""
        self._turn(self._slot * SLOT_S)
        if self._series.pop((by, name), None) is not None:
            self._together.clear()

    def _turn(self, now: float) -> None:
        """What waits gets into its series, and a new slot begins where it is time. Never an earlier one than before: a
        clock that jumps back brings nothing into disorder."""
        for key, bins in self._waiting.items():
            together = self._together.get(key)
            for series in self._find(key) if together is None else together:
                series.add(self._slot, bins)
        self._waiting.clear()
        self._waits = 0
        self._slot = max(self._slot, int(now / SLOT_S))
        self._until = (self._slot + 1) * SLOT_S

    def _find(self, key: Key) -> list[_Series]:
        found = [self._one(by, name) for by, name in zip(DIMENSIONS, key, strict=True) if name]
        if all(key):
            found.append(self._one("", ""))
        if len(self._together) >= _MOST_KEYS:
            self._together.clear()
        self._together[key] = found
        return found

    def _one(self, by: str, name: str) -> _Series:
        series = self._series.get((by, name))
        if series is None:
            series = self._series[by, name] = _Series(by, name)
        return series


def _percentiles(series: _Series, window: str, counted: dict[int, int]) -> Iterator[Percentile]:
    ordered = sorted(counted)
    at = 0
    for place, measure in enumerate(MEASURES):
        begin, total = at, 0
        above = (place + 1) * _STRIDE
        while at < len(ordered) and ordered[at] < above:
            total += counted[ordered[at]]
            at += 1
        if total:
            offset = place * _STRIDE + _MIDDLE
            values = [value_of(_ranked(ordered, begin, counted, q * (total - 1)) - offset) for q in QUANTILES]
            yield Percentile(series.by, series.name, measure, window, total, values[0], values[1], values[2])


def _ranked(ordered: list[int], at: int, counted: dict[int, int], rank: float) -> int:
    """The bin that holds this rank, as DDSketch has it."""
    running = counted[ordered[at]]
    while running <= rank:
        at += 1
        running += counted[ordered[at]]
    return ordered[at]
