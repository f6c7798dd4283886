"""Upper marks: routers that read the modelled engines from inside, and know how long answers will be.

`greedy_informed` sends a request where the first token comes soonest for the work it costs, among the engines where its
own SLO will be kept and nobody's who is there is broken; what no engine can take yet waits as long as that is of use,
the most urgent first, what can keep its SLO nowhere is refused. Greedy: it does not know who comes next.

`priced_informed` does the same, but in overload it refuses the dearest first: whoever costs an engine more seconds than
the going price waits, and the cheapest of those that wait goes first. The price falls whenever somebody cheaper is
refused, and rises while nobody is.

Owns these rules; measures, not products. None of them is the best there can be, so the better one is the mark.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from math import inf

from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstToken, Reason, Refuse, Report
from proxy.model.faults import Kind, internal
from proxy.model.request import Job
from proxy.report.run import Result, SimulatedRun
from proxy.sim.engine.spec import MOONCAKE16
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.jobs import JobMaker
from proxy.sim.world.modelled_backend import ModelledBackend
from proxy.sim.world.placement import CARE, Placement
from proxy.sim.world.world import World
from proxy.workload.arrival import Arrival

LOOK_AGAIN_S = 1.0
"""Held requests look at an engine whenever somebody there has a first token or ends, and at all of them so often."""
LOOKED_AT = 32
"""Of those that wait, so many of the first have a chance at a time."""
PATIENCE_S = 3600.0
"""What was promised no time waits so long at most: engines may be gone for good."""
BATCH = 32
"""Assumed: so many share a decode step, where its price is asked for."""
PRICE_FALLS, PRICE_RISES = 0.97, 1.1
"""At each refusal of somebody cheaper, and for each second without."""

Held = tuple[float, int]
"""Rank or time, and job."""


def play_reference(
    backends: Sequence[SimBackend],
    arrivals: Iterable[Arrival],
    jobs: JobMaker | None = None,
    progress: Callable[[int], None] | None = None,
    seed: int = 0,
    reference: "GreedyInformed | None" = None,
) -> SimulatedRun:
    """A world with a reference in it; the greedy one unless another is given."""
    reference = reference or GreedyInformed()
    world = World(backends, reference, jobs=jobs, seed=seed)
    reference.see(world.servers.values(), world.results)
    return world.play(arrivals, progress)


class GreedyInformed:
    """Takes the place of the scheduler in a world; `see` shows it the truth."""

    def __init__(self) -> None:
        self._servers: dict[str, ModelledBackend] = {}
        self._results: Sequence[Result] = ()
        self._placement = Placement(())
        self._ranks: dict[int, float] = {}
        """Who waits, and before whom: the lowest first."""
        self._line: list[Held] = []
        """The same in order."""
        self._expiries: list[Held] = []
        """Until when waiting is of use; in order."""
        self._look_at = inf
        self._there: ModelledBackend | None = None
        """Look at this one alone, and at once: somebody has just gone there, and others may fit too."""
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
        arrival = self._results[job.id].arrival
        if self.may_go_at_once(arrival, now):
            return self._place(job.id, self._servers.values(), now)
        self._hold(job.id, now)
        return []

    def cancel(self, job_id: int, now: float) -> list[Command]:
        """The client left."""
        self._release(job_id)
        return []

    def observe(self, report: Report, now: float) -> list[Command]:
        """Somebody got on: those who wait may have a chance."""
        if isinstance(report, Failed):
            job_id, _ = self._sent[report.attempt]
            return self._place(job_id, self._servers.values(), now) if report.repeatable else [self._refuse(job_id)]
        if self._line and isinstance(report, Finished | FirstToken):
            return self._look_there(self._servers[self._sent[report.attempt][1]], now)
        return []

    def tick(self, now: float) -> list[Command]:
        """Time passed."""
        if self._there is not None:
            return self._look_there(self._there, now)
        commands = self._expired(now)
        if commands or now < self._look_at:
            return commands
        commands = self._look(list(self._servers.values()), now)
        self._look_at = now if commands else now + LOOK_AGAIN_S
        return commands

    def wakeup_at(self) -> float | None:
        """While somebody waits."""
        if not self._line:
            return None
        return 0.0 if self._there is not None else min(self._look_at, self._expiries[0][0])

    # ---- what another rule may change

    def rank(self, arrival: Arrival) -> float:
        """Of those that wait the lowest goes first: here the most urgent."""
        return self._last_moment(arrival)

    def may_go_at_once(self, arrival: Arrival, now: float) -> bool:
        """Whether a newcomer need not wait where there is room."""
        return True

    def refused(self, arrival: Arrival) -> None:
        """Nobody could take it in time."""

    # ---- the rule

    def _place(self, job_id: int, servers: Iterable[ModelledBackend], now: float) -> list[Command]:
        server = self._placement.best(self._results[job_id].arrival, servers, now)
        if server is None:
            self._hold(job_id, now)
            return []
        self._release(job_id)
        self._attempts[job_id] = self._attempts.get(job_id, 0) + 1
        self._sent.append((job_id, server.name))
        return [Dispatch((job_id,), server.name, len(self._sent) - 1, self._attempts[job_id])]

    def _look_there(self, server: ModelledBackend, now: float) -> list[Command]:
        commands = self._look([server], now)
        self._there = server if commands else None
        return commands

    def _look(self, servers: Iterable[ModelledBackend], now: float) -> list[Command]:
        """At those who wait, the first first. One command at a time, since it changes the engines."""
        willing = [server for server in servers if self._placement.takes_any(server, now)]
        for _, job_id in self._line[:LOOKED_AT] if willing else ():
            commands = self._place(job_id, willing, now)
            if commands:
                return commands
        return []

    def _expired(self, now: float) -> list[Command]:
        """Whom waiting helps no more."""
        commands: list[Command] = []
        while self._expiries and self._expiries[0][0] <= now:
            job_id = self._expiries[0][1]
            self._release(job_id)
            commands.append(self._refuse(job_id))
        return commands

    # ---- who waits

    def _hold(self, job_id: int, now: float) -> None:
        if job_id in self._ranks:
            return
        if not self._line:
            self._look_at = now + LOOK_AGAIN_S
        arrival = self._results[job_id].arrival
        self._ranks[job_id] = self.rank(arrival)
        insort(self._line, (self._ranks[job_id], job_id))
        insort(self._expiries, (self._last_moment(arrival), job_id))

    def _release(self, job_id: int) -> None:
        if job_id in self._ranks:
            _take(self._line, (self._ranks.pop(job_id), job_id))
            _take(self._expiries, (self._last_moment(self._results[job_id].arrival), job_id))

    def _refuse(self, job_id: int) -> Refuse:
        self.refused(self._results[job_id].arrival)
        fault = internal(Kind.HOLD_TIMEOUT, "no engine can keep what was promised")
        return Refuse(job_id, fault, Reason.TTFT)

    def _last_moment(self, arrival: Arrival) -> float:
        """After this even an idle engine that has the prefix would be late."""
        slo = arrival.slo
        return arrival.at + CARE * min(
            PATIENCE_S if slo.ttft_s is None else slo.ttft_s, PATIENCE_S if slo.e2e_s is None else slo.e2e_s
        )


class PricedInformed(GreedyInformed):
    """Refuses the dearest first."""

    def __init__(self) -> None:
        super().__init__()
        self._going = inf
        """Seconds of an engine: who costs more has to wait."""
        self._since = 0.0
        """When it was last changed."""

    def rank(self, arrival: Arrival) -> float:
        """The cheapest first."""
        return price_s(arrival)

    def may_go_at_once(self, arrival: Arrival, now: float) -> bool:
        """Who costs no more than the going price."""
        if self._going < inf:
            self._going *= PRICE_RISES ** (now - self._since)
        self._since = now
        return price_s(arrival) <= self._going

    def refused(self, arrival: Arrival) -> None:
        """Somebody cheaper than the going price was refused: it is too high."""
        price = price_s(arrival)
        if price < self._going:
            self._going = max(price, PRICE_FALLS * self._going) if self._going < inf else 4 * price


def price_s(arrival: Arrival) -> float:
    """Seconds of an engine with the published constants that a request costs, no prefix being cached."""
    spec, tokens = MOONCAKE16, arrival.output_tokens
    context = arrival.prompt_tokens + tokens / 2
    step_s = spec.step_s / BATCH + spec.step_s_per_sequence + spec.step_s_per_kv_token * context
    return spec.prefill_s(0, arrival.prompt_tokens) + tokens * step_s


def _take(line: list[Held], one: Held) -> None:
    del line[bisect_left(line, one)]
