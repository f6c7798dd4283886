"""The upper mark: a greedy router that reads the modelled engines from inside, and knows how long answers will be.

It sends a request where the first token comes soonest for the work it costs, among the engines where its own SLO will
be kept and nobody's who is there is broken; what no engine can take yet waits as long as that is of use, what can keep
its SLO nowhere is refused. Greedy: it does not know who comes next. Owns that rule; a measure, not a product.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest

from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstToken, Reason, Refuse, Report
from proxy.model.faults import Kind, internal
from proxy.model.request import Job
from proxy.sim.arrival import Arrival
from proxy.sim.cluster import SimBackend
from proxy.sim.jobs import JobMaker
from proxy.sim.modelled_backend import ModelledBackend
from proxy.sim.placement import CARE, Placement
from proxy.sim.played import Played, Result
from proxy.sim.world import World

LOOK_AGAIN_S = 0.2
"""Held requests look at an engine whenever somebody there has a first token or ends, and at all of them so often."""
LOOKED_AT = 32
"""Of those that wait, so many of the most urgent have a chance at a time."""
PATIENCE_S = 3600.0
"""What was promised no time waits so long at most: engines may be gone for good."""


def play_reference(
    backends: Sequence[SimBackend],
    arrivals: Iterable[Arrival],
    jobs: JobMaker | None = None,
    progress: Callable[[int], None] | None = None,
    seed: int = 0,
) -> Played:
    """A world with the reference in it."""
    reference = Reference()
    world = World(backends, reference, jobs=jobs, seed=seed)
    reference.see(world.servers.values(), world.results)
    return world.play(arrivals, progress)


class Reference:
    """Takes the place of the scheduler in a world; `see` shows it the truth."""

    def __init__(self) -> None:
        self._servers: dict[str, ModelledBackend] = {}
        self._results: Sequence[Result] = ()
        self._placement = Placement(())
        self._held: dict[int, float] = {}
        """Job → until when holding it is of use."""
        self._look_at = 0.0
        self._sent: list[tuple[int, str]] = []
        """Job and engine of every attempt; its position is its id."""
        self._attempts: dict[int, int] = {}
        """Of each job, so far."""

    def see(self, servers: Iterable[ModelledBackend], results: Sequence[Result]) -> None:
        """The engines, and the arrivals by job id."""
        self._servers, self._results = {server.name: server for server in servers}, results
        self._placement = Placement(results)

    # ---- the five methods

    def submit(self, job: Job, now: float) -> list[Command]:
        """It goes, waits or is refused."""
        return self._place(job.id, self._servers.values(), now)

    def cancel(self, job_id: int, now: float) -> list[Command]:
        """The client left."""
        self._held.pop(job_id, None)
        return []

    def observe(self, report: Report, now: float) -> list[Command]:
        """Somebody got on: those who wait may have a chance."""
        if isinstance(report, Failed):
            job_id, _ = self._sent[report.attempt]
            return self._place(job_id, self._servers.values(), now) if report.repeatable else [self._refuse(job_id)]
        if self._held and isinstance(report, Finished | FirstToken):
            return self._look([self._servers[self._sent[report.attempt][1]]], now)
        return []

    def tick(self, now: float) -> list[Command]:
        """Time passed."""
        commands = self._look(self._servers.values(), now)
        self._look_at = now if commands else now + LOOK_AGAIN_S
        return commands

    def wakeup_at(self) -> float | None:
        """While somebody waits."""
        return self._look_at if self._held else None

    # ---- the rule

    def _place(self, job_id: int, servers: Iterable[ModelledBackend], now: float) -> list[Command]:
        arrival = self._results[job_id].arrival
        server = self._placement.best(arrival, servers, now)
        if server is not None:
            self._held.pop(job_id, None)
            self._attempts[job_id] = self._attempts.get(job_id, 0) + 1
            self._sent.append((job_id, server.name))
            return [Dispatch((job_id,), server.name, len(self._sent) - 1, self._attempts[job_id])]
        until = self._held.setdefault(job_id, self._last_moment(arrival))
        if now < until:
            return []
        del self._held[job_id]
        return [self._refuse(job_id)]

    def _look(self, servers: Iterable[ModelledBackend], now: float) -> list[Command]:
        """At everybody who waits, the most urgent first. One command at a time, since it changes the engines."""
        for job_id, _ in nsmallest(LOOKED_AT, self._held.items(), key=lambda item: (item[1], item[0])):
            commands = self._place(job_id, servers, now)
            if commands:
                return commands
        return []

    def _refuse(self, job_id: int) -> Refuse:
        fault = internal(Kind.HOLD_TIMEOUT, "no engine can keep what was promised")
        return Refuse(job_id, fault, Reason.TTFT)

    def _last_moment(self, arrival: Arrival) -> float:
        """After this even an idle engine that has the prefix would be late."""
        slo = arrival.slo
        return arrival.at + CARE * min(
            PATIENCE_S if slo.ttft_s is None else slo.ttft_s, PATIENCE_S if slo.e2e_s is None else slo.e2e_s
        )
