"""Every objective's events, counted as requests end and read when somebody asks. Pure: `now` is an argument.

Each objective has three rings of buckets: 10 s for windows up to an hour, 5 minutes up to 3 days, an hour up to a
quarter. A window ends with the bucket of now, and is short by less than one: 3 % of 5 minutes, 0.1 % of 30 days.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from proxy.model.slos import MAX_WINDOW_S, ServiceLevelObjective
from proxy.obs.record import Record
from proxy.obs.slo.buckets import Bucket, Counts, Ring
from proxy.obs.slo.burn import (
    EXHAUSTION_WINDOW,
    WINDOWS_S,
    attainment,
    budget_left,
    burn_rate,
    exhausted_in_s,
    firing,
)
from proxy.obs.slo.events import GOOD, NO_EVENT, REASONS, ended, missed

_RINGS: Final = ((10, 3600.0), (300, 259_200.0), (3600, MAX_WINDOW_S))
"""Width of a bucket, seconds, and the longest window that is told by it."""
Row = tuple[str, int, int, int, int]
"""Key of an objective, width of the bucket (seconds), number of its time, good events, all events."""
_MOST: Final = 1 << 53
PLACES: Final[dict[int, int]] = {width_s: int(longest_s) // width_s + 1 for width_s, longest_s in _RINGS}
"""Width of a bucket → how many there are of it, in memory and in the file."""


class SloStatus(NamedTuple):
    """One objective at one moment."""

    slo: ServiceLevelObjective
    good: int
    """Events since the start of this process…"""
    bad: dict[str, int]
    """…by reason."""
    in_window: Counts
    attainment: float | None
    """Over the objective's window; None: there were no events."""
    budget_left: float
    """Share of the error budget; below 0: overspent."""
    burns: dict[str, float]
    """Window → burn rate."""
    exhausted_in_s: float | None
    """None: never, as the last hour was."""
    alert: str | None
    """`page`, `ticket`, or None."""


class _Tracked:
    """One objective, and what is counted of it."""

    __slots__ = ("bad", "good", "key", "rings", "slo")

    def __init__(self, slo: ServiceLevelObjective) -> None:
        self.slo = slo
        self.key = key_of(slo)
        self.good = 0
        self.bad = dict.fromkeys(REASONS, 0)
        self.rings = [Ring(width_s, places) for width_s, places in PLACES.items()]

    def over(self, now: float, window_s: float) -> Counts:
        for ring, (width_s, longest_s) in zip(self.rings, _RINGS, strict=True):
            if window_s <= longest_s:
                return ring.over(now, -int(-window_s // width_s))
        raise ValueError("longer than any window")

    def take_unsaved(self) -> list[Row]:
        return [
            (self.key, ring.width_s, number, good, total)
            for ring in self.rings
            for number, good, total in ring.take_unsaved()
        ]

    def status(self, now: float) -> SloStatus:
        slo = self.slo
        in_window = self.over(now, slo.window)
        burns = {name: burn_rate(self.over(now, length_s), slo.budget) for name, length_s in WINDOWS_S.items()}
        left = budget_left(in_window, slo.budget)
        until = exhausted_in_s(left, burns[EXHAUSTION_WINDOW], slo.window)
        alert = firing(slo, burns)
        return SloStatus(slo, self.good, self.bad, in_window, attainment(in_window), left, burns, until, alert)


def _with(tracked: _Tracked | None, slo: ServiceLevelObjective) -> _Tracked:
    """Its share and its window may be others."""
    if tracked is None:
        return _Tracked(slo)
    tracked.slo = slo
    return tracked


def key_of(slo: ServiceLevelObjective) -> str:
    """By which its counts are found again: another name, class or threshold is another objective; another share or
    window is not."""
    return f"{slo.name}/{sha256(repr(slo.meaning).encode()).hexdigest()[:12]}"


class SloBook:
    """All objectives of a configuration."""

    def __init__(self, slos: Sequence[ServiceLevelObjective] = ()) -> None:
        self._all: list[_Tracked] = []
        self._by_class: dict[str, list[_Tracked]] = {}
        self.configure(slos)

    def configure(self, slos: Sequence[ServiceLevelObjective]) -> list[Row]:
        """These from now on. Those that mean the same as before go on with their counts; of the others what was not
        saved is given."""
        known = {tracked.key: tracked for tracked in self._all}
        self._all = [_with(known.pop(key_of(slo), None), slo) for slo in slos]
        self._by_class = {}
        for tracked in self._all:
            self._by_class.setdefault(tracked.slo.class_, []).append(tracked)
        return [row for tracked in known.values() for row in tracked.take_unsaved()]

    def count(self, record: Record, now: float) -> None:
        """One request has ended."""
        of_class = self._by_class.get(record.traffic_class)
        if of_class is None:
            return
        how = ended(record.outcome)
        if how == NO_EVENT:
            return
        for tracked in of_class:
            slo = tracked.slo
            if slo.tenant is not None and slo.tenant != record.tenant:
                continue
            if slo.model is not None and slo.model != (record.model_asked or record.model):
                continue
            why = missed(record, slo) if how == GOOD else how
            if why == GOOD:
                tracked.good += 1
            else:
                tracked.bad[why] += 1
            for ring in tracked.rings:
                ring.count(now, is_good=why == GOOD)

    def status(self, now: float) -> list[SloStatus]:
        """In the order of the configuration."""
        return [tracked.status(now) for tracked in self._all]

    def shown(self, now: float) -> list[dict[str, Any]]:
        """The same as plain values for JSON: names as in the configuration, times in seconds."""
        return [_shown(status) for status in self.status(now)]

    # --- what outlives a restart

    @property
    def keys(self) -> list[str]:
        """Of all objectives."""
        return [tracked.key for tracked in self._all]

    def take_unsaved(self) -> list[Row]:
        """What was counted since the last time."""
        return [row for tracked in self._all for row in tracked.take_unsaved()]

    def give_back(self, rows: Iterable[Row]) -> None:
        """They could not be saved."""
        for ring, buckets in self._sorted(rows):
            ring.give_back(buckets)

    def load(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """What is saved, by whomever: rows that make no sense, or are of other objectives, are left out."""
        for ring, buckets in self._sorted([row for row in map(_sense_of, rows) if row is not None]):
            ring.load(buckets)

    def _sorted(self, rows: Iterable[Row]) -> list[tuple[Ring, list[Bucket]]]:
        rings = {(tracked.key, ring.width_s): ring for tracked in self._all for ring in tracked.rings}
        found: dict[tuple[str, int], list[Bucket]] = {}
        for key, width_s, number, good, total in rows:
            if (key, width_s) in rings:
                found.setdefault((key, width_s), []).append((number, good, total))
        return [(rings[place], buckets) for place, buckets in found.items()]


def _sense_of(row: tuple[Any, ...]) -> Row | None:
    """SQLite holds any value in any column."""
    key, width_s, number, good, total = row
    if not isinstance(key, str) or not all(isinstance(one, int) and abs(one) < _MOST for one in row[1:]):
        return None
    return (key, width_s, number, good, total) if 0 <= good <= total else None


def _shown(status: SloStatus) -> dict[str, Any]:
    slo, (good, total) = status.slo, status.in_window
    return {
        "name": slo.name,
        "class": slo.class_,
        "model": slo.model,
        "tenant": slo.tenant,
        "objective": round(slo.objective, 10),
        "window_s": slo.window,
        "thresholds_s": {"ttft": slo.ttft, "tpot": slo.tpot, "e2e": slo.e2e},
        "events": total,
        "bad_events": total - good,
        "attainment": status.attainment,
        "error_budget_left": status.budget_left,
        "burn_rates": dict(status.burns),
        "exhausted_in_s": status.exhausted_in_s,
        "alert": status.alert,
        "since_start": {"good": status.good, "bad": dict(status.bad)},
    }
