"""The discrete-event world: the real scheduler, on virtual time, in front of modelled engines.

Owns the order of events and nothing else: what happens is decided by `proxy.core` and by `engine`. Takes the place of
`live`, calls the same five methods of the scheduler, and is exactly reproducible: same arrivals, same seed, same
commands, byte for byte. The scheduler hears what a proxy would hear: first tokens, ends with the engine's usage,
failures, probes, and metrics that are old by the time they are read. The network is left out; a failed connect is
noticed after `CONNECT_FAILS_S`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Final, Protocol

from proxy.core.route.limits import LIMITS
from proxy.core.scheduler import Scheduler
from proxy.model.commands import (
    Abort,
    Command,
    Dispatch,
    Failed,
    Finished,
    FirstByte,
    FirstToken,
    Flowed,
    Identified,
    Load,
    Part,
    Probed,
    Refuse,
    Report,
)
from proxy.model.faults import Kind, Retry, downstream, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.outcome import SERVED, Outcome, Verdict, failed_with
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.report.run import Result, SimulatedRun
from proxy.sim.engine.course import What
from proxy.sim.engine.sequence import Emitted, SimRequest
from proxy.sim.world.cluster import SimBackend
from proxy.sim.world.jobs import JobMaker, SeenByProxy
from proxy.sim.world.modelled_backend import ModelledBackend
from proxy.sim.world.placement import Placement
from proxy.workload.arrival import HASH_TOKENS, Arrival

PROGRESS_EVERY: Final = 100
"""Arrivals."""
FLOWED_S: Final = 1.0
"""Between two reports on what flows."""
CONNECT_FAILS_S: Final = 0.001
"""Assumed: a refused connection in one data centre."""
SCRAPE_S: Final = 5.0
"""Between two scrapes of a backend's metrics; 0: never."""
SCRAPE_LAG_S: Final = 0.05
"""How old metrics are when they are understood."""
FOR_TIME: Final = frozenset(limit.reason for limit in LIMITS)
"""Reasons of admission: such a refusal is right only where no engine could have kept the promise."""
TOO_LONG_FAULT: Final = downstream(Kind.INVALID, "the request exceeds the context of the model")
FULL_FAULT: Final = upstream(Kind.BUSY, "the engine is full", Retry.SAFE)
"""Its 503; vLLM names no time to come back at."""
TOO_LONG: Final = Outcome(Verdict.FAILED, "CH", TOO_LONG_FAULT)
"""The engine's own 400; for the scheduler an answer like any other."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A backend that is dead for a while; what it computes is lost, and so is its prefix cache."""

    backend: str
    start: float
    end: float


class SchedulerLike(Protocol):
    """The five methods of `proxy.core.scheduler.Scheduler`."""

    def submit(self, job: Job, now: float) -> list[Command]: ...
    def cancel(self, job_id: int, now: float) -> list[Command]: ...
    def observe(self, report: Report, now: float) -> list[Command]: ...
    def tick(self, now: float) -> list[Command]: ...
    def wakeup_at(self) -> float | None: ...


def build_scheduler(
    backends: Sequence[SimBackend],
    policy: str | None,
    seed: int,
    retries: RetrySettings | None = None,
    hold: HoldSettings | None = None,
    health: HealthSettings | None = None,
    scheduling: SchedulingSettings | None = None,
) -> Scheduler:
    """The scheduler that `serve` would build, with a seeded generator. `policy`: instead of that of `scheduling`."""
    return Scheduler(
        [backend.spec for backend in backends],
        policy=policy,
        scheduling=scheduling,
        retries=retries or RetrySettings(),
        hold=hold or HoldSettings(),
        health=health or HealthSettings(),
        rng=Random(seed),  # noqa: S311 — reproducible, not secret
    )


class World:
    """One cluster, one scheduler, one clock. Plays one trace."""

    def __init__(
        self,
        backends: Sequence[SimBackend],
        scheduler: SchedulerLike,
        outages: Iterable[Outage] = (),
        *,
        jobs: JobMaker | None = None,
        probe_interval_s: float = 5.0,
        scrape_interval_s: float = SCRAPE_S,
        scrape_lag_s: float = SCRAPE_LAG_S,
        seed: int = 0,
    ) -> None:
        """`seed`: of the engines' noise."""
        self._scheduler = scheduler
        self._jobs = jobs or SeenByProxy(0, HASH_TOKENS)
        self.servers = {backend.spec.name: ModelledBackend(backend, seed) for backend in backends}
        """The truth: for reports, and for a reference that may read it."""
        self._outages = (*outages, *_outages_of(backends))
        self._probe_interval_s = probe_interval_s
        self._scrape_interval_s, self._scrape_lag_s = scrape_interval_s, scrape_lag_s
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0
        self._wakeup: float | None = None
        self._commands: deque[Command] = deque()
        self._open: dict[int, Result] = {}
        self._calls: dict[int, tuple[set[int], list[int]]] = {}
        """Merged calls that are out: their jobs that are still computed, and those that are done."""
        self._left = 0
        """Arrivals still to come."""
        self._played = SimulatedRun([])
        self._placement = Placement(self._played.results)
        self._progress: Callable[[int], None] | None = None

    @property
    def results(self) -> Sequence[Result]:
        """By job id, as far as they have come."""
        return self._played.results

    def play(self, arrivals: Iterable[Arrival], progress: Callable[[int], None] | None = None) -> SimulatedRun:
        """Run until every arrival (in order of time) has its outcome; `progress` hears how many have come."""
        self._progress = progress
        self._played.results[:] = [Result(arrival) for arrival in arrivals]
        self._left = len(self._played.results)
        for server in self.servers.values():
            self._prepare(server)
        for outage in self._outages:
            self._at(outage.start, partial(self._go_down, self.servers[outage.backend]))
            if outage.end < inf:
                self._at(outage.end, partial(self._come_back, self.servers[outage.backend]))
        if self._played.results:
            self._at(self._played.results[0].arrival.at, partial(self._arrive, 0))
        while self._events and (self._left or self._open):
            at, _, happen = heappop(self._events)
            happen(at)
            self._obey(at)
        self._played.engines = {name: server.total() for name, server in self.servers.items()}
        return self._played

    # events

    def _at(self, at: float, happen: Callable[[float], None]) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, happen))

    def _prepare(self, server: ModelledBackend) -> None:
        self._probe(server, 0.0)
        self._report(Identified(server.name, "modelled"), 0.0)
        self._at(FLOWED_S, partial(self._flowed, server, 0))
        if self._scrape_interval_s:
            self._scrape(server, 0.0)
        for at in _turns_of(server.backend):
            self._at(at, partial(self._turn, server))

    def _arrive(self, job_id: int, now: float) -> None:
        result = self._played.results[job_id]
        arrival = result.arrival
        self._left -= 1
        if self._left:
            following = self._played.results[job_id + 1].arrival.at
            assert following >= now, "arrivals are not in order of time"
            self._at(following, partial(self._arrive, job_id + 1))
        if self._progress and job_id % PROGRESS_EVERY == 0:
            self._progress(job_id)
        self._open[job_id] = result
        if arrival.patience_s is not None:
            self._at(now + arrival.patience_s, partial(self._leave, job_id))
        self._commands.extend(self._scheduler.submit(self._jobs.job(job_id, arrival, now), now))

    def _leave(self, job_id: int, now: float) -> None:
        result = self._open.get(job_id)
        if result is None:
            return
        for server in self.servers.values():
            self._leave_call(server.jobs.get(job_id, 0), job_id, now)
            self._withdraw(server, job_id, now)
        self._end(job_id, Outcome(Verdict.CANCELLED, f"C{result.phase.value}"), "left", now)
        self._commands.extend(self._scheduler.cancel(job_id, now))

    def _leave_call(self, attempt: int, job_id: int, now: float) -> None:
        """A merged call goes on for the others."""
        call = self._calls.get(attempt)
        if call is None:
            return
        left, done = call
        left.discard(job_id)
        if not left and done:
            self._call_done(attempt, now)

    def _withdraw(self, server: ModelledBackend, job_id: int, now: float) -> None:
        if server.withdraw(job_id, now):
            self._watch(server)

    def _probe(self, server: ModelledBackend, now: float) -> None:
        models = server.backend.spec.models
        self._report(Probed(server.name, not server.down, models if not server.down else None), now)
        self._at(now + self._probe_interval_s, partial(self._probe, server))

    def _flowed(self, server: ModelledBackend, before: int, now: float) -> None:
        """All answers that flow get one token in every step."""
        steps, requests = server.engine.decoded(now)
        if requests and steps >= before:
            self._report(Flowed(server.name, requests * FLOWED_S, requests * (steps - before)), now)
        self._at(now + FLOWED_S, partial(self._flowed, server, steps))

    def _scrape(self, server: ModelledBackend, now: float) -> None:
        """Read the metrics; the scheduler hears of them later."""
        load = server.load()
        if load is not None:
            self._at(now + self._scrape_lag_s, partial(self._report, load))
        self._at(now + self._scrape_interval_s, partial(self._scrape, server))

    def _turn(self, server: ModelledBackend, now: float) -> None:
        server.turn(now)
        self._watch(server)

    def _go_down(self, server: ModelledBackend, now: float) -> None:
        lost = {attempt: job_id for job_id, attempt in server.die()}
        for attempt, job_id in lost.items():
            self._calls.pop(attempt, None)
            result = self._open[job_id]
            repeatable = result.first_token_at is None
            retry = Retry.SAFE if repeatable else Retry.NEVER
            fault = upstream(Kind.RESET, f"{server.name} closed the connection", retry)
            self._report(Failed(attempt, fault, repeatable), now)

    def _come_back(self, server: ModelledBackend, _: float) -> None:
        server.down = False

    def _engine_event(self, server: ModelledBackend, version: int, now: float) -> None:
        if version != server.version:
            return
        for emitted in server.engine.advance(now):
            if emitted.id in server.jobs:  # what was obeyed in between may have ended it
                self._emitted(server, emitted, now)
                self._obey(now)
        self._watch(server)

    def _emitted(self, server: ModelledBackend, emitted: Emitted, now: float) -> None:
        result, attempt = self._open[emitted.id], server.jobs[emitted.id]
        if attempt in self._calls:
            self._part_of(server, attempt, emitted, now)
            return
        if result.first_token_at is None and (result.arrival.stream or emitted.finished):
            result.first_token_at = emitted.at
            result.backend = server.name
            result.cached_tokens = emitted.cached_tokens
            self._report(FirstByte(attempt), now)
            if result.arrival.stream:
                self._report(FirstToken(attempt), now)
        if emitted.finished:
            del server.jobs[emitted.id]
            self._end(emitted.id, SERVED, "", now)
            self._jobs.finished(result.arrival)
            self._report(self._finished(server, attempt, emitted, result.arrival), now)

    def _part_of(self, server: ModelledBackend, attempt: int, emitted: Emitted, now: float) -> None:
        """Of a merged call: its answer is whole when the last of its jobs is computed."""
        left, done = self._calls[attempt]
        if not emitted.finished:
            return
        del server.jobs[emitted.id]
        left.discard(emitted.id)
        done.append(emitted.id)
        if not left:
            self._call_done(attempt, now)

    def _call_done(self, attempt: int, now: float) -> None:
        _, done = self._calls.pop(attempt)
        parts = []
        for job_id in done:
            if (result := self._open.get(job_id)) is None:
                continue  # its client left meanwhile
            result.first_token_at = now
            parts.append(Part(job_id, result.arrival.prompt_tokens, result.arrival.output_tokens))
            self._end(job_id, SERVED, "", now)
            self._jobs.finished(result.arrival)
        tokens = sum(part.prompt_tokens or 0 for part in parts)
        self._report(Finished(attempt, tokens, None, 0, parts=tuple(parts)), now)

    @staticmethod
    def _finished(server: ModelledBackend, attempt: int, emitted: Emitted, arrival: Arrival) -> Finished:
        """With the usage that the engine tells."""
        cached = emitted.cached_tokens if server.engine.spec.prefix_caching else None
        return Finished(attempt, arrival.prompt_tokens, cached, arrival.output_tokens)

    def _watch(self, server: ModelledBackend) -> None:
        """Look again when the engine's next event is due."""
        server.version += 1
        at = server.engine.next_event_at()
        if at is not None:
            self._at(at, partial(self._engine_event, server, server.version))

    def _tick(self, now: float) -> None:
        if self._wakeup is not None and now >= self._wakeup:
            self._wakeup = None
            self._commands.extend(self._scheduler.tick(now))

    # commands and reports

    def _report(self, report: Report | Load, now: float) -> None:
        self._commands.extend(self._scheduler.observe(report, now))

    def _obey(self, now: float) -> None:
        """Do what the scheduler says, and arm its timer."""
        while self._commands:
            command = self._commands.popleft()
            self._played.log.append((now, command))
            if isinstance(command, Dispatch):
                self._dispatch(command, now)
            elif isinstance(command, Abort):
                for job_id in command.jobs:
                    self._withdraw(self.servers[command.backend], job_id, now)
            else:
                self._refuse(command, now)
        wakeup = self._scheduler.wakeup_at()
        if wakeup is not None and (self._wakeup is None or wakeup < self._wakeup):
            self._wakeup = max(wakeup, now)
            self._at(self._wakeup, self._tick)

    def _dispatch(self, command: Dispatch, now: float) -> None:
        server = self.servers[command.backend]
        for job_id in command.jobs:
            result = self._open[job_id]
            result.attempts = command.number
            if command.hedge:
                result.hedged = True
            else:
                result.backend = command.backend
        if len(command.jobs) > 1:
            self._calls[command.attempt] = (set(command.jobs), [])
        if server.down:
            self._at(now + CONNECT_FAILS_S, partial(self._connect_failed, command))
            return
        for job_id in command.jobs:
            if not self._sent(server, job_id, command, now):
                break

    def _sent(self, server: ModelledBackend, job_id: int, command: Dispatch, now: float) -> bool:
        """One job of a call reaches its engine; False: that refuses the whole call."""
        arrival = self._open[job_id].arrival
        if arrival.context_tokens > server.engine.spec.max_model_len:
            if command.hedge:  # an error does not win while the other attempt lives
                self._report(Failed(command.attempt, TOO_LONG_FAULT, repeatable=True), now)
                return False
            self._end(job_id, TOO_LONG, "too_long", now)
            self._report(Finished(command.attempt, ok=False), now)
            return False
        if server.full:
            server.engine.stats.turned_away += 1
            self._at(now + CONNECT_FAILS_S, partial(self._turned_away, command))
            return False
        server.jobs[job_id] = command.attempt
        if server.engine.spec.request_s:
            self._at(now + server.engine.spec.request_s, partial(self._reach, server, job_id, command.attempt))
        else:
            self._reach(server, job_id, command.attempt, now)
        return True

    def _reach(self, server: ModelledBackend, job_id: int, attempt: int, now: float) -> None:
        """Its engine has it, unless it was withdrawn on its way."""
        if server.jobs.get(job_id) != attempt:
            return
        arrival = self._open[job_id].arrival
        tokens = arrival.prompt_tokens, arrival.output_tokens
        server.engine.submit(SimRequest(job_id, *tokens, arrival.prefix_hashes, arrival.cached_tokens), now)
        self._watch(server)

    def _refuse(self, command: Refuse, now: float) -> None:
        reason = command.reason.value if command.reason else command.fault.kind.value
        result = self._open[command.job_id]
        if command.reason in FOR_TIME:
            best = self._placement.best(result.arrival, self.servers.values(), now)
            result.falsely_refused = best is not None
        self._end(command.job_id, failed_with(command.fault, result.phase), reason, now)

    def _connect_failed(self, command: Dispatch, now: float) -> None:
        fault = upstream(Kind.CONNECT, f"{command.backend} refused the connection", Retry.SAFE)
        self._report(Failed(command.attempt, fault, repeatable=True), now)

    def _turned_away(self, command: Dispatch, now: float) -> None:
        """The answer of an engine that is full."""
        advice = self.servers[command.backend].backend.course.retry_after_s
        fault = upstream(Kind.BUSY, f"{command.backend} is full", Retry.SAFE, advice)
        self._report(Failed(command.attempt, fault, repeatable=True), now)

    def _end(self, job_id: int, outcome: Outcome, reason: str, now: float) -> None:
        result = self._open.pop(job_id)
        result.outcome, result.reason, result.done_at = outcome, reason, now
        self._played.ended_at = now


def _outages_of(backends: Iterable[SimBackend]) -> list[Outage]:
    return [Outage(one.spec.name, phase.start, phase.end) for one in backends for phase in one.course.of(What.OUTAGE)]


def _turns_of(backend: SimBackend) -> list[float]:
    """When it may become slower, faster, or unwilling."""
    moments = {backend.slower_from_s} if backend.slower != 1.0 else set()
    for phase in (*backend.course.of(What.SLOW), *backend.course.of(What.REFUSE)):
        moments |= {phase.start, phase.end}
    return sorted(moments - {inf})
