"""All backends together: who is in, out, on trial or coming back, and who may not be taken out.

Owns the ejection timers and the rule of the last backend. Methods return whether a backend was opened, so that the
caller can let held jobs go. Knows nothing of jobs.
"""

from collections.abc import Sequence
from typing import Final

from proxy.core.affinity import PrefixIndex
from proxy.core.backend import Backend
from proxy.core.catalogue import Catalogue
from proxy.core.health import State
from proxy.core.pool import Checks, Pool
from proxy.core.timers import Timers
from proxy.model.backend import BackendSpec
from proxy.model.faults import Fault, Kind, Source
from proxy.model.limits import HealthSettings

_NO_BLAME: Final = frozenset({Kind.BUSY, Kind.STALLED})
"""Says nothing of a backend's health."""


class Fleet:
    """The backends, their catalogue and their health."""

    def __init__(self, specs: Sequence[BackendSpec], settings: HealthSettings) -> None:
        self.prefixes = PrefixIndex(len(specs))
        checks = Checks()
        self.pools = {name: Pool(name, checks) for name in dict.fromkeys(spec.pool for spec in specs)}
        self.backends = tuple(
            Backend(spec, index, settings, self.pools[spec.pool], self.prefixes.record(index))
            for index, spec in enumerate(specs)
        )
        for backend in self.backends:
            backend.pool.backends += 1
        self.by_name = {b.name: b for b in self.backends}
        if len(self.by_name) != len(self.backends):
            raise ValueError("two backends share a name")
        self.catalogue = Catalogue(self.backends)
        self.timers = Timers()
        """Ends of ejections, by index of the backend."""
        self.ramping: list[Backend] = []
        """Backends whose share is below 1."""
        self.ejections = 0
        self._settings = settings

    def advance(self, now: float) -> bool:
        """End the ejections that are over."""
        ended = [self.backends[index] for index in self.timers.due(now)]
        for backend in ended:
            backend.health.start_probation()
            self._reopen(backend)
        return bool(ended)

    def trial_began(self, backend: Backend) -> None:
        """An attempt was sent to a backend that is not healthy."""
        if backend.health.state is State.PROBATION:
            backend.health.trials += 1
            self._reopen(backend)

    def served(self, backend: Backend, era: int, now: float) -> bool:
        """An attempt was answered to the last byte."""
        health = backend.health
        if era != health.era or health.state is State.EJECTED:
            return False
        if health.state is State.HEALTHY:
            health.served(now)
            return False
        self._readmit(backend, now)
        return True

    def failed(self, backend: Backend, era: int, fault: Fault, now: float) -> bool:
        """An attempt ended in `fault`; only what the backend is to blame for counts."""
        if fault.kind is Kind.BUSY:
            self._press(backend, now)
        if fault.source is not Source.UPSTREAM or fault.kind in _NO_BLAME:
            return self.withdrawn(backend, era)
        health = backend.health
        if era != health.era or health.state is State.EJECTED:
            return False
        if health.state is State.PROBATION:
            return self._eject(backend, now)
        health.failed(now)
        return self._eject_if_failing(backend, now)

    def withdrawn(self, backend: Backend, era: int) -> bool:
        """An attempt ended and says nothing about the backend."""
        health = backend.health
        if era != health.era or health.state is not State.PROBATION:
            return False
        health.trials -= 1
        self._reopen(backend)
        return not health.trials

    def probed(self, backend: Backend, ok: bool, now: float) -> bool:
        """An active probe ended. While ejected it changes nothing: the time is served in full."""
        health = backend.health
        if health.state is State.EJECTED:
            return False
        if health.state is State.PROBATION:
            if ok:
                self._readmit(backend, now)
                return True
            return self._eject(backend, now)
        if ok:
            health.probe_served()
            return False
        health.probe_failed(now)
        return self._eject_if_failing(backend, now)

    def learn(self, backend: Backend, listed: frozenset[str] | None) -> bool:
        """A probe found a model list; returns whether any candidates changed."""
        if not self.catalogue.learn(backend, listed):
            return False
        for candidates in self.catalogue.candidates():
            candidates.reopen(self._settings.panic_threshold)
        return True

    def holders(self, chain: Sequence[int], most: int, usable: Sequence[Backend]) -> list[Backend]:
        """At most so many of `usable` that hold the most of a prompt's prefix."""
        bits = self.prefixes.best_holders(chain)
        found: list[Backend] = []
        allowed = None if len(usable) == len(self.backends) else frozenset(usable)
        while bits and len(found) < most:
            low = bits & -bits
            backend = self.backends[low.bit_length() - 1]
            if allowed is None or backend in allowed:
                found.append(backend)
            bits ^= low
        return found

    def refresh_shares(self, now: float) -> None:
        """Let slow starts grow; before a choice while `ramping` is not empty."""
        for backend in self.ramping:
            backend.share = backend.health.share_at(now)
        self.ramping = [b for b in self.ramping if b.share < 1.0]

    def _readmit(self, backend: Backend, now: float) -> None:
        backend.health.readmit(now)
        self._ramp(backend, now)
        self._reopen(backend)

    def _press(self, backend: Backend, now: float) -> None:
        backend.busy += 1
        if backend.health.state is State.HEALTHY:
            backend.health.press(now)
            self._ramp(backend, now)

    def _ramp(self, backend: Backend, now: float) -> None:
        if backend not in self.ramping:
            self.ramping.append(backend)
        self.refresh_shares(now)

    def _eject_if_failing(self, backend: Backend, now: float) -> bool:
        if not backend.health.is_failing(now) or self._is_last(backend):
            return False
        return self._eject(backend, now)

    def _is_last(self, backend: Backend) -> bool:
        """Whether every model it serves would be left without a healthy backend (or it serves none)."""
        return all(candidates.healthy <= 1 for candidates in backend.memberships)

    def _eject(self, backend: Backend, now: float) -> bool:
        self.timers.set(backend.index, backend.health.eject(now))
        self.ejections += 1
        backend.share = 1.0
        if backend in self.ramping:
            self.ramping.remove(backend)
        self._reopen(backend)
        return True  # panic may have opened all, and a job that rather went elsewhere may have nowhere else left

    def _reopen(self, backend: Backend) -> None:
        for candidates in backend.memberships:
            candidates.reopen(self._settings.panic_threshold)
