"""The health of one backend: what its attempts and probes say, and when it is out, on trial or coming back.

    HEALTHY ──failures──> EJECTED ──n * eject──> PROBATION ──success──> HEALTHY, slow start
                             ^                       │
                             └───────failure─────────┘

Owns the rules for one backend. Which backends may be out together (panic, the last one) is the fleet's business.
"""

from enum import StrEnum
from math import inf
from typing import Final

from proxy.core.learn.sliding_window import SlidingCount
from proxy.model.limits import HealthSettings

FLOOR_SHARE: Final = 0.1
"""Share of its usual traffic with which a returning backend starts."""
_HAIR: Final = 1e-9
"""0.1 * 30 is a hair above 3 in binary; a hair must not decide."""


class HealthState(StrEnum):
    """Closed: also a metric label."""

    HEALTHY = "healthy"
    EJECTED = "ejected"
    PROBATION = "probation"
    AWAY = "away"
    """Not reached: nothing listens there."""


class Health:
    """State, failure counts and slow start of one backend."""

    __slots__ = (
        "_failed",
        "_live_failures",
        "_out_s",
        "_probe_failures",
        "_ramp_base",
        "_ramp_since",
        "_row",
        "_row_until",
        "_served",
        "_settings",
        "away",
        "ejected_until",
        "era",
        "state",
        "trials",
    )

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._live_failures = 0
        self._probe_failures = 0
        self._served = SlidingCount(settings.window)
        self._failed = SlidingCount(settings.window)
        self._row = 0
        self._out_s = 0.0
        self._row_until = -inf
        self._ramp_base = 1.0
        self._ramp_since = -inf
        self.state = HealthState.HEALTHY
        """What attempts have shown; whether it can be reached is `away`."""
        self.away = False
        """Its last connection was refused; whatever was known of its health waits until it is back."""
        self.era = 0
        """Attempts sent in an earlier era say nothing about this one."""
        self.ejected_until: float | None = None
        self.trials = 0
        """Attempts out while on probation; one at a time, unless panic sends more."""

    def configure(self, settings: HealthSettings) -> None:
        """Other bounds; an ejection that goes on lasts as long as it was to. Another window begins anew."""
        if settings.window != self._settings.window:
            self._served, self._failed = SlidingCount(settings.window), SlidingCount(settings.window)
        self._settings = settings

    @property
    def takes_traffic(self) -> bool:
        """Whether a request may be sent, panic aside."""
        return self.state is HealthState.HEALTHY or (self.state is HealthState.PROBATION and not self.trials)

    @property
    def shown(self) -> HealthState:
        """The state, for people."""
        return HealthState.AWAY if self.away else self.state

    @property
    def failures_in_a_row(self) -> int:
        """Attempts and probes that failed since the last that did not."""
        return self._live_failures + self._probe_failures

    def served(self, now: float) -> None:
        """An attempt was answered."""
        self._live_failures = self._probe_failures = 0
        self._served.add(now)

    def failed(self, now: float) -> None:
        """An attempt failed, and it was the backend's fault."""
        self._live_failures += 1
        self._failed.add(now)

    def probe_served(self) -> None:
        """A probe was answered. It does not outweigh failed requests: model lists are answered by many a broken
        engine."""
        self._probe_failures = 0

    def probe_failed(self, now: float) -> None:
        """A probe failed; counts as an attempt that failed."""
        self._probe_failures += 1
        self._failed.add(now)

    def is_failing(self, now: float) -> bool:
        """Whether the failures so far call for ejection; asked after a failure only, successes stay cheap."""
        if self.failures_in_a_row >= self._settings.consecutive_failures:
            return True
        failed = self._failed.total(now)
        samples = failed + self._served.total(now)
        return samples >= self._settings.min_samples and failed >= self._settings.failure_ratio * samples - _HAIR

    def eject(self, now: float) -> float:
        """Out, for longer each time in a row; returns until when."""
        settings = self._settings
        self._row = self._row + 1 if now < self._row_until or self.state is HealthState.PROBATION else 1
        self._out_s = min(self._row * settings.eject, settings.eject_max)
        self.state = HealthState.EJECTED
        self.era += 1
        self.ejected_until = now + self._out_s
        self._forget()
        return self.ejected_until

    def leave(self) -> None:
        """It was not reached: what is still out there will end without it, and says nothing of what comes back."""
        self.away = True
        self.era += 1
        self.trials = 0

    def come_back(self) -> None:
        """It was reached; an ejection that is not over goes on."""
        self.away = False

    def start_probation(self) -> None:
        """The ejection is over; one trial decides."""
        self.state = HealthState.PROBATION
        self.era += 1
        self.ejected_until = None
        self.trials = 0

    def readmit(self, now: float) -> None:
        """The trial went well: back in, slowly."""
        self.state = HealthState.HEALTHY
        self.trials = 0
        # The row goes on when it fails again before it was in for as long as it was out, or while it starts slowly:
        # an engine whose probes succeed and whose requests fail must not come back every few seconds for ever.
        self._row_until = now + max(self._out_s, self._settings.slow_start)
        self._forget()
        self.start_slowly(now)

    def start_slowly(self, now: float) -> None:
        """From now on its share of the traffic grows."""
        self._ramp_base, self._ramp_since = FLOOR_SHARE, now

    def share_at(self, now: float) -> float:
        """The share of its usual traffic that it should get, FLOOR_SHARE to 1."""
        ramp_s = self._settings.slow_start
        if not ramp_s:
            return 1.0
        return min(1.0, self._ramp_base + (1.0 - FLOOR_SHARE) * (now - self._ramp_since) / ramp_s)

    def _forget(self) -> None:
        self._live_failures = self._probe_failures = 0
        self._served.clear()
        self._failed.clear()
        self._ramp_base, self._ramp_since = 1.0, -inf
