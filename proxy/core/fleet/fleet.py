"""All backends together: who is in, out, away, full, on trial or coming back, and who may not be taken out.

    not reached    it is not there: away at once, back as soon as a probe or an attempt reaches it
    busy           it is full: nothing for a while, or no more than it had (`pressure`)
    failed         it is ill: ejected after some failures, back by probation

Owns the timers of ejections and pauses, and the rule of the last backend. Methods return whether a backend was opened,
so that the caller can let held jobs go. Knows nothing of jobs.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.catalogue import Catalogue
from proxy.core.fleet.health import HealthState
from proxy.core.fleet.roster import Roster
from proxy.core.timers import Timers
from proxy.model.backend import BackendSpec
from proxy.model.commands import Load, Probed
from proxy.model.faults import DECLINED, NOT_REACHED, Fault, Kind, Source
from proxy.model.limits import HealthSettings

_NO_BLAME: Final = DECLINED | {Kind.STALLED}
"""Says nothing of a backend's health."""
_PAUSE_MAX_S: Final = 60.0
"""An engine may ask to be left alone for so long at most."""


class Fleet:
    """The backends, their catalogue and their health."""

    def __init__(
        self, specs: Sequence[BackendSpec], settings: HealthSettings, *, learns_concurrency: bool = True
    ) -> None:
        self.roster = Roster(specs, settings, learns=learns_concurrency)
        self.prefixes = self.roster.prefixes
        self.pools = self.roster.pools
        self.by_name = self.roster.by_name
        """Those that leave, too."""
        self.leaving = self.roster.leaving
        self.catalogue = Catalogue(self.backends)
        self.timers = Timers()
        """Ends of ejections, by number of the backend."""
        self.pauses = Timers()
        """When a backend that was full may get more, by its number; and when more of its quota is there, by that number
        below 0."""
        self.ramping: list[Backend] = []
        """Backends whose share is below 1."""
        self.ejections = 0
        self._settings = settings

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those that are configured, in order."""
        return self.roster.backends

    def change(
        self, specs: Sequence[BackendSpec], settings: HealthSettings, now: float, *, learns_concurrency: bool
    ) -> list[Backend]:
        """These are configured now; who is new starts slowly. Returns those that leave: they get nothing new. Raises
        ValueError."""
        before = {*self.backends, *self.leaving}
        gone = self.roster.change(specs, settings, learns=learns_concurrency)
        self._settings = settings
        for backend in self.backends:
            if backend.quota is not None and backend.quota.is_used:
                self._quota_goes_on(backend, now)
            if backend not in before:
                backend.health.start_slowly(now)
                self._ramp(backend, now)
        self.ramping = [backend for backend in self.ramping if backend not in gone]
        self.catalogue.change(self.backends)
        self._look_at_all()
        return gone

    def forget_idle(self) -> list[Backend]:
        """Those that left and have no attempt out are known no more; returns them."""
        idle = self.roster.forget_idle()
        for backend in idle:
            self.timers.clear(backend.number)
            self.pauses.clear(backend.number)
            self.pauses.clear(_of_quota(backend.number))
            if backend in self.ramping:
                self.ramping.remove(backend)
        return idle

    def advance(self, now: float) -> bool:
        """End the ejections and pauses that are over."""
        ended = [self.roster.numbered(number) for number in self.timers.due(now)]
        for backend in ended:
            backend.health.start_probation()
            self._reopen(backend)
        eased = self.pauses.due(now)
        for number in eased:
            if number < 0:
                self._quota_goes_on(self.roster.numbered(_of_quota(number)), now)
            else:
                backend = self.roster.numbered(number)
                self._look_again(backend, backend.pressure.ease(), now)
        return bool(ended or eased)

    def _quota_goes_on(self, backend: Backend, now: float) -> None:
        quota = backend.quota
        assert quota is not None
        was_full = quota.is_full
        quota.advance(now)
        self.quota_changed(backend, was_full)

    def quota_changed(self, backend: Backend, was_full: bool) -> None:
        """More or less of it is left now; `was_full`: nobody could be sent there before."""
        quota = backend.quota
        assert quota is not None
        at = quota.changes_at()
        if at < inf:
            self.pauses.set(_of_quota(backend.number), at)
        if quota.is_full != was_full:
            self._reopen(backend)

    def trial_began(self, backend: Backend) -> None:
        """An attempt was sent to a backend that is not healthy."""
        if backend.health.state is HealthState.PROBATION:
            backend.health.trials += 1
            self._reopen(backend)

    def began(self, backend: Backend) -> bool:
        """It takes what it is sent: perhaps one more."""
        if not backend.pressure.took():
            return False
        backend.limit = backend.pressure.limit
        return True

    def served(self, backend: Backend, era: int, now: float) -> bool:
        """An attempt was answered to the last byte."""
        health = backend.health
        if era != health.era or health.state is HealthState.EJECTED:
            return False
        if health.state is HealthState.HEALTHY:
            health.served(now)
            return False
        self._readmit(backend, now)
        return True

    def failed(self, backend: Backend, era: int, fault: Fault, now: float) -> bool:
        """An attempt ended in `fault`; only what the backend is to blame for counts."""
        if fault.kind in NOT_REACHED:
            return self.lost(backend, fault)
        if fault.kind is Kind.BUSY:
            self._busy(backend, fault.retry_after_s, now)
            return self.withdrawn(backend, era) or backend.pressure.paused  # panic may have opened others
        if fault.source is not Source.UPSTREAM or fault.kind in _NO_BLAME:
            return self.withdrawn(backend, era)
        health = backend.health
        if era != health.era or health.state is HealthState.EJECTED:
            return False
        if health.state is HealthState.PROBATION:
            return self._eject(backend, now)
        health.failed(now)
        return self._eject_if_failing(backend, now)

    def misconfigured(self, backend: Backend, era: int, now: float) -> bool:
        """It refused for the operator's own fault what another backend served: it would refuse all that follows."""
        health = backend.health
        backend.misconfigured += 1
        if era != health.era or health.state is HealthState.EJECTED or self._is_last(backend):
            return False
        return self._eject(backend, now)

    def lost(self, backend: Backend, fault: Fault | None) -> bool:
        """It cannot be reached. True: whoever waited for it may have to go elsewhere."""
        backend.lost_for = fault
        if backend.health.away:
            return False
        backend.health.leave()
        self._reopen(backend)
        return True

    def withdrawn(self, backend: Backend, era: int) -> bool:
        """An attempt ended and says nothing about the backend."""
        health = backend.health
        if era != health.era or health.state is not HealthState.PROBATION:
            return False
        health.trials -= 1
        self._reopen(backend)
        return not health.trials

    def probed(self, backend: Backend, report: Probed, now: float) -> bool:
        """An active probe ended. An ejection is not ended by it: the time is served in full."""
        health, ok = backend.health, report.ok
        if not report.reached:
            return self.lost(backend, report.fault)
        came_back = health.away
        if came_back:
            health.come_back()
            self._reopen(backend)
        return self._judged_by_probe(backend, ok, now) or came_back

    def _judged_by_probe(self, backend: Backend, ok: bool, now: float) -> bool:
        health = backend.health
        if health.state is HealthState.EJECTED:
            return False
        if health.state is HealthState.PROBATION:
            if ok:
                self._readmit(backend, now)
                return True
            return self._eject(backend, now)
        if ok:
            health.probe_served()
            return False
        health.probe_failed(now)
        return self._eject_if_failing(backend, now)

    def learn(self, backend: Backend, report: Probed) -> bool:
        """A probe was answered; returns whether any candidates changed."""
        changed = report.kind is not None and backend.is_of_kind(report.kind)
        if self.catalogue.learn(backend, report.models, report.traits):
            changed = True
        if report.routes is not None and backend.offers(report.routes):
            self.catalogue.version += 1
            changed = True
        if changed:
            self._look_at_all()
        if report.contexts is not None and backend.abilities.tell(report.contexts):
            self.compare(backend)
        return changed

    def _look_at_all(self) -> None:
        for candidates in self.catalogue.candidates():
            candidates.reopen(self._settings.panic_threshold)
            candidates.compare()

    def told(self, backend: Backend, report: Load) -> bool:
        """A scrape: what it says of sleep, contexts and what its models cannot."""
        if report.unable is not None and backend.abilities.tell_unable(report.unable):
            self.compare(backend)
        if report.contexts is not None and backend.abilities.tell(report.contexts):
            self.compare(backend)
        if not report.asleep:
            return report.asleep is not None and self.woke(backend)
        if not backend.asleep:
            backend.asleep = True
            backend.record.wipe()
            self._reopen(backend)
        return False

    def woke(self, backend: Backend) -> bool:
        """It takes requests again, or is another engine now; returns whether it had slept."""
        if not backend.asleep:
            return False
        backend.asleep = False
        self._reopen(backend)
        return True

    def compare(self, backend: Backend) -> None:
        """What it can do is another thing now."""
        for candidates in backend.memberships:
            candidates.compare()

    def holders(self, chain: Sequence[int], most: int, usable: Sequence[Backend]) -> list[Backend]:
        """At most so many of `usable` that hold the most of a prompt's prefix."""
        bits = self.prefixes.best_holders(chain)
        found: list[Backend] = []
        everybody = len(self.backends) + len(self.leaving)
        allowed = None if len(usable) == everybody else frozenset(usable)
        while bits and len(found) < most:
            low = bits & -bits
            backend = self.roster.numbered(low.bit_length() - 1)
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

    def _busy(self, backend: Backend, retry_after_s: float | None, now: float) -> None:
        backend.busy += 1
        told_s = None if retry_after_s is None else min(_PAUSE_MAX_S, retry_after_s)
        self._look_again(backend, backend.pressure.said_busy(backend.in_flight, told_s), now)

    def _look_again(self, backend: Backend, after_s: float | None, now: float) -> None:
        """Its pressure changed, and will again after so many seconds (`inf`: no more; None: as agreed before)."""
        backend.limit = backend.pressure.limit
        if after_s is not None and after_s < inf:
            backend.shut_until = now + after_s
            self.pauses.set(backend.number, now + after_s)
        self._reopen(backend)

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
        self.timers.set(backend.number, backend.health.eject(now))
        self.ejections += 1
        backend.share = 1.0
        if backend in self.ramping:
            self.ramping.remove(backend)
        self._reopen(backend)
        return True  # panic may have opened all, and a job that rather went elsewhere may have nowhere else left

    def _reopen(self, backend: Backend) -> None:
        for candidates in backend.memberships:
            candidates.reopen(self._settings.panic_threshold)


def _of_quota(number: int) -> int:
    """The key of the timer of a backend's quota, by its number, and the reverse."""
    return -1 - number
