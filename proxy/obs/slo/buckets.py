"""Events in buckets of one width of time, in a ring: bounded memory, and no clock is trusted.

A bucket knows of which time it is. One of another time than is asked about, past or future, is not counted, and is
begun anew when its place is needed: a clock that jumps loses no more than the places that it wrote to meanwhile.
"""

from array import array
from math import floor
from typing import Final

Counts = tuple[int, int]
"""Good events, all events."""
Bucket = tuple[int, int, int]
"""Number of its time (seconds over width), good events, all events."""
_NEVER: Final = -(1 << 62)


class Ring:
    """The last `places` buckets of `width_s` seconds each."""

    __slots__ = (
        "_all",
        "_at",
        "_from",
        "_good",
        "_new_all",
        "_new_good",
        "_number",
        "_numbers",
        "_sums",
        "_unsaved",
        "_until",
        "places",
        "width_s",
    )

    def __init__(self, width_s: int, places: int) -> None:
        self.width_s = width_s
        self.places = places
        self._numbers = array("q", [_NEVER]) * places
        self._good = array("q", [0]) * places
        self._all = array("q", [0]) * places
        self._number, self._at = _NEVER, 0
        """The bucket that is counted into: of which time, and its place…"""
        self._from = self._until = 0.0
        """…from when until when."""
        self._new_good = self._new_all = 0
        """In it, and not saved."""
        self._unsaved: dict[int, Counts] = {}
        """Of buckets before; at most `places`."""
        self._sums: dict[int, tuple[int, int, int]] = {}
        """So many buckets back → up to which, good, all of those that cannot change before a turn."""

    def count(self, now: float, *, is_good: bool) -> None:
        """One event at `now`, seconds."""
        if not self._from <= now < self._until:
            self._turn(floor(now / self.width_s))
        at = self._at
        self._all[at] += 1
        self._new_all += 1
        if is_good:
            self._good[at] += 1
            self._new_good += 1

    def over(self, now: float, buckets: int) -> Counts:
        """Events of so many buckets, the one of `now` included."""
        last = floor(now / self.width_s)
        first = last - buckets + 1
        known = self._sums.get(buckets)
        if known is None or known[0] != last:
            others_good, others = self._summed(first, last)
            known = self._sums[buckets] = last, others_good, others
        good, total = self._read(last)
        good, total = known[1] + good, known[2] + total
        if first <= self._number < last:  # nobody came since
            at = self._at
            good, total = good + self._good[at], total + self._all[at]
        return good, total

    def take_unsaved(self) -> list[Bucket]:
        """What was counted since the last time."""
        self._put_by()
        taken = [(number, good, total) for number, (good, total) in self._unsaved.items()]
        self._unsaved = {}
        return taken

    def give_back(self, buckets: list[Bucket]) -> None:
        """What was taken could not be saved."""
        self._put_by()
        for number, good, total in buckets:
            self._remember(number, good, total)

    def load(self, buckets: list[Bucket]) -> None:
        """What is saved, of all who save there; what is not saved yet comes on top."""
        self._put_by()
        self._sums.clear()
        for number, good, total in buckets:
            at = number % self.places
            there = self._numbers[at]
            if there > number and (there == self._number or there in self._unsaved):
                continue  # an older turn of the ring, whose place is in use
            unsaved_good, unsaved = self._unsaved.get(number, (0, 0))
            self._numbers[at] = number
            self._good[at], self._all[at] = good + unsaved_good, total + unsaved

    def _read(self, number: int) -> Counts:
        at = number % self.places
        return (self._good[at], self._all[at]) if self._numbers[at] == number else (0, 0)

    def _summed(self, first: int, last: int) -> Counts:
        """Of those that only a turn can change: without the last one and the one that is counted into."""
        good = total = 0
        for number in range(max(first, last - self.places + 1), last):
            at = number % self.places
            if self._numbers[at] == number and number != self._number:
                good += self._good[at]
                total += self._all[at]
        return good, total

    def _turn(self, number: int) -> None:
        """To the bucket of another time."""
        self._put_by()
        self._sums.clear()
        at = number % self.places
        if self._numbers[at] != number:
            self._numbers[at] = number
            self._good[at] = self._all[at] = 0
        self._number, self._at = number, at
        self._from, self._until = float(number * self.width_s), float((number + 1) * self.width_s)

    def _put_by(self) -> None:
        if self._new_all:
            self._remember(self._number, self._new_good, self._new_all)
            self._new_good = self._new_all = 0

    def _remember(self, number: int, good: int, total: int) -> None:
        had_good, had = self._unsaved.get(number, (0, 0))
        self._unsaved[number] = had_good + good, had + total
        if len(self._unsaved) > self.places:
            del self._unsaved[min(self._unsaved)]
