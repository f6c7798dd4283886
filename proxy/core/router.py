"""One choice: which backend gets this job now, if any.

Owns feasibility (open, a permit left, better not tried yet) and slow start; the taste is the policy's.
"""

from proxy.core.backend import Backend
from proxy.core.candidates import Candidates
from proxy.core.fleet import Fleet
from proxy.core.policies import Policy
from proxy.core.rng import Rng
from proxy.core.ticket import Ticket
from proxy.model.request import Job


class Router:
    """Applies one policy."""

    def __init__(self, fleet: Fleet, policy: Policy, rng: Rng) -> None:
        self._fleet = fleet
        self._policy = policy
        self._rng = rng

    def pick(self, candidates: Candidates, job: Job, avoid: frozenset[Backend], now: float) -> Backend | None:
        """A backend with a permit left; None when the job has to wait."""
        usable = candidates.open
        if len(usable) == 1:
            only = usable[0]
            return only if only.in_flight < only.limit else None
        free = [b for b in usable if b.in_flight < b.limit]
        if avoid and not avoid.issuperset(usable):
            free = [b for b in free if b not in avoid]
        if len(free) < 2:
            return free[0] if free else None
        if self._fleet.ramping:
            free = self._thin(free, now)
        return free[0] if len(free) == 1 else self._policy(free, job, self._rng)

    def _thin(self, free: list[Backend], now: float) -> list[Backend]:
        """Slow start for every policy: a backend is looked at as often as its share says."""
        self._fleet.refresh_shares(now)
        seen = [b for b in free if b.share >= 1.0 or self._rng.random() < b.share]
        return seen or free


def to_avoid(ticket: Ticket, candidates: Candidates) -> frozenset[Backend] | None:
    """The backends the next attempt should rather not go to: all tried ones, or else the last.

    None: only the backend that just failed is there, and asking it again is of no use: it had refused the connection
    before, or it said when to come back.
    """
    usable = candidates.open
    if not ticket.tried.issuperset(usable):
        return ticket.tried
    last = frozenset(b for b in usable if b is ticket.last)
    if len(last) < len(usable):
        return last
    asked_to_wait = ticket.fault is not None and ticket.fault.retry_after_s is not None
    return None if ticket.connects > 1 or asked_to_wait else last
