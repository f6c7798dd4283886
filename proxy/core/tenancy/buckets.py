"""What may be used in a minute, which fills up evenly, and in a day, which begins anew at midnight UTC.

Owns these two laws. Of a bucket at most `limit · (1 + t / 60 s)` is taken in any `t` seconds; what was used above what
had been expected is a debt, and paid off first. A day is counted by the clock on the wall, which may jump: what was
used of a day is found again when the clock comes back, and nobody waits for a day that only a wrong clock saw.
"""

from typing import Final

from proxy.model.tenants import Allowance

_MINUTE_S: Final = 60.0
DAY_S: Final = 86_400.0
_DAYS_KEPT: Final = 4
_NOTHING: Final = 1e-9
"""Share of a minute's worth that is not told from none: a clock of a million seconds is no more exact."""


class Bucket:
    """Fills evenly, a whole minute's worth at most; in debt after more was used than had been expected."""

    __slots__ = ("_at", "_left", "limit")

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self._left = float(limit)
        self._at = now

    def left(self, now: float) -> float:
        """What may be taken now; negative: debt."""
        elapsed = max(0.0, now - self._at)
        return min(float(self.limit), self._left + elapsed * self.limit / _MINUTE_S)

    def take(self, amount: float, now: float) -> None:
        """Below 0: give back."""
        self._left = min(float(self.limit), self.left(now) - amount)
        self._at = max(self._at, now)

    def give(self, amount: float) -> None:
        """Back, whenever: what comes back and what fills up are one sum."""
        self._left = min(float(self.limit), self._left + amount)

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much is there: whoever waits as long finds nothing short, whatever floats make of it."""
        missing = amount - self.left(now)
        return missing * _MINUTE_S / self.limit if missing > _NOTHING * self.limit else 0.0

    def resize(self, limit: int, now: float) -> None:
        """Another limit; what was used of the one before is used of this one."""
        self._left = self.left(now) + limit - self.limit
        self._at = max(self._at, now)
        self.limit = limit

    def view(self, now: float) -> Allowance:
        """As it is shown."""
        return Allowance(self.limit, max(0, int(self.left(now))), self.wait_s(self.limit, now))


class Days:
    """Which day it is: told from outside, since nobody here reads a clock."""

    __slots__ = ("_offset_s", "told_at")

    def __init__(self) -> None:
        self._offset_s = self.told_at = 0.0
        """The second: when, by the clock of `now`."""

    def tell(self, wall_s: float, now: float) -> None:
        """It is `wall_s` seconds since 1970 UTC, at `now`."""
        self._offset_s = wall_s - now
        self.told_at = now

    def today(self, now: float) -> int:
        """Days since 1970."""
        return int((now + self._offset_s) // DAY_S)

    def left_s(self, now: float) -> float:
        """Seconds until midnight."""
        return DAY_S - (now + self._offset_s) % DAY_S


class DayBudget:
    """So much in a day."""

    __slots__ = ("_days", "_used", "limit")

    def __init__(self, limit: int, days: Days) -> None:
        self.limit = limit
        self._days = days
        self._used: dict[int, float] = {}
        """By day, of the last few that were seen: a clock that jumps comes back to what was used."""

    def used(self, now: float) -> float:
        """Today; above the limit where more was used than had been expected."""
        return self._used.get(self._days.today(now), 0.0)

    def left(self, now: float) -> float:
        """What may be used today; below 0: debt."""
        return self.limit - self.used(now)

    def take(self, amount: float, now: float) -> int:
        """The day of which it was."""
        day = self._days.today(now)
        self._add(day, amount)
        return day

    def give(self, amount: float, day: int) -> None:
        """Back to the day of which it was taken; below 0: it was more."""
        self._add(day, -amount)

    def wait_s(self, now: float) -> float:
        """Seconds until it begins anew."""
        return self._days.left_s(now)

    def rows(self) -> list[tuple[int, float]]:
        """For a later life: days, and what was used of them."""
        return [(day, used) for day, used in self._used.items() if used]

    def recall(self, day: int, used: float) -> None:
        """So much was used of a day in an earlier life."""
        self._add(day, used)

    def view(self, now: float) -> Allowance:
        """As it is shown."""
        left = self.left(now)
        return Allowance(self.limit, max(0, int(left)), self.wait_s(now) if left < self.limit else 0.0)

    def _add(self, day: int, amount: float) -> None:
        used = self._used
        if day not in used and len(used) >= _DAYS_KEPT:
            del used[min(used) if day > min(used) else max(used)]
        used[day] = max(0.0, used.get(day, 0.0) + amount)
