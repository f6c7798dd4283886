"""What is open at one moment, by traffic class.

Counted when somebody looks, from the open jobs themselves: nothing is kept for it while nobody does.
"""

from proxy.core.jobs.attempts import Attempts
from proxy.core.jobs.hold import Holds


class LaneView:
    """One class at one moment."""

    __slots__ = ("gathering", "held", "in_flight", "waited_s")

    def __init__(self) -> None:
        self.in_flight = 0
        """Jobs that are out to a backend."""
        self.held = 0
        """Jobs that wait here, for whatever reason."""
        self.gathering = 0
        """Of `held`: they could go, and wait for others to go with them."""
        self.waited_s = 0.0
        """Seconds that the longest of those that wait has waited."""


def lanes(attempts: Attempts, holds: Holds, now: float) -> dict[str, LaneView]:
    """Every class that has an open job."""
    views: dict[str, LaneView] = {}
    for open_job in attempts.open.values():
        view = views.get(open_job.job.traffic_class)
        if view is None:
            view = views[open_job.job.traffic_class] = LaneView()
        waits_in = open_job.waits_in
        if waits_in is None:
            view.in_flight += 1 if open_job.attempts else 0
            continue
        view.held += 1
        view.gathering += 1 if waits_in is holds.gathering else 0
        if open_job.held_at is not None:
            view.waited_s = max(view.waited_s, now - open_job.held_at)
    return views
