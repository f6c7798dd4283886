"""The discrete-event world: the real scheduler, on virtual time, in front of modelled engines.

Owns the order of events and nothing else: what happens is decided by `proxy.core` and by `engine`. Takes the place of
`live`, calls the same five methods of the scheduler, and is exactly reproducible: same arrivals, same seed, same
commands, byte for byte. The network is left out; a failed connect is noticed after `CONNECT_FAILS_S`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from proxy.core.scheduler import Scheduler
from proxy.model.commands import Command, Dispatch, Failed, Finished, FirstByte, Probed, Refuse, Report
from proxy.model.faults import Kind, Retry, downstream, upstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.outcome import SERVED, Outcome, Phase, Verdict, failed_with
from proxy.model.request import Job
from proxy.sim.arrival import Arrival
from proxy.sim.cluster import SimBackend
from proxy.sim.engine import Engine
from proxy.sim.sequence import Emitted, Reporting, SimRequest, Stats
from proxy.sim.static import build_engine

PROGRESS_EVERY = 100
"""Arrivals."""
CONNECT_FAILS_S = 0.001
"""Assumed: a refused connection in one data centre."""
TOO_LONG = Outcome(Verdict.FAILED, "CH", downstream(Kind.INVALID, "the request exceeds the context of the model"))
"""The engine's own 400; for the scheduler an answer like any other."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A backend that is dead for a while; what it computes is lost, and so is its prefix cache."""

    backend: str
    start: float
    end: float


@dataclass(slots=True)
class Result:
    """What became of one arrival; its position in the trace is its job id."""

    arrival: Arrival
    outcome: Outcome | None = None
    backend: str | None = None
    """The last it was sent to."""
    attempts: int = 0
    first_token_at: float | None = None
    done_at: float | None = None
    cached_tokens: int = 0

    @property
    def reason(self) -> str:
        """Why it ended as it did, in one word."""
        if self.outcome is None:
            return "open"
        fault = self.outcome.fault
        return (fault.code or fault.kind.value) if fault else self.outcome.end_code

    @property
    def ttft_s(self) -> float | None:
        """From the arrival to the first token."""
        return None if self.first_token_at is None else self.first_token_at - self.arrival.at

    @property
    def e2e_s(self) -> float | None:
        """From the arrival to the end, whatever it was."""
        return None if self.done_at is None else self.done_at - self.arrival.at

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first; None for answers of one token and for lost ones."""
        if self.first_token_at is None or self.done_at is None or self.arrival.output_tokens < 2:
            return None
        if self.outcome is None or self.outcome.verdict is not Verdict.SERVED:
            return None
        return (self.done_at - self.first_token_at) / (self.arrival.output_tokens - 1)


@dataclass(slots=True)
class Played:
    """One run of the world."""

    results: list[Result]
    log: list[tuple[float, Command]] = field(default_factory=list)
    ended_at: float = 0.0
    engines: dict[str, Stats] = field(default_factory=dict)
    """What each backend's engine computed."""

    def log_bytes(self) -> bytes:
        """The command log as text, one command a line."""
        return "\n".join(f"{at!r} {_as_text(command)}" for at, command in self.log).encode()


class SchedulerLike(Protocol):
    """The five methods of `proxy.core.scheduler.Scheduler`."""

    def submit(self, job: Job, now: float) -> list[Command]: ...
    def cancel(self, job_id: int, now: float) -> list[Command]: ...
    def observe(self, report: Report, now: float) -> list[Command]: ...
    def tick(self, now: float) -> list[Command]: ...
    def wakeup_at(self) -> float | None: ...


def build_scheduler(
    backends: Sequence[SimBackend],
    policy: str,
    seed: int,
    retries: RetrySettings | None = None,
    hold: HoldSettings | None = None,
    health: HealthSettings | None = None,
) -> Scheduler:
    """The scheduler that `serve` would build, with a seeded generator."""
    return Scheduler(
        [backend.spec for backend in backends],
        policy=policy,
        retries=retries or RetrySettings(),
        hold=hold or HoldSettings(),
        health=health or HealthSettings(),
        rng=Random(seed),  # noqa: S311 — reproducible, not secret
    )


def plain_job(job_id: int, arrival: Arrival) -> Job:
    """What a proxy sees of a request: its size in bytes, and nothing of its answer."""
    return Job(
        job_id,
        arrival.model,
        stream=arrival.stream,
        body_bytes=arrival.body_bytes or 4 * arrival.prompt_tokens,
        max_tokens=arrival.max_tokens,
    )


class World:
    """One cluster, one scheduler, one clock. Plays one trace."""

    def __init__(
        self,
        backends: Sequence[SimBackend],
        scheduler: SchedulerLike,
        outages: Iterable[Outage] = (),
        probe_interval_s: float = 5.0,
        job_of: Callable[[int, Arrival], Job] = plain_job,
    ) -> None:
        self._scheduler = scheduler
        self._job_of = job_of
        self._servers = {backend.spec.name: _Server(backend) for backend in backends}
        self._outages = tuple(outages)
        self._probe_interval_s = probe_interval_s
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0
        self._wakeup: float | None = None
        self._commands: deque[Command] = deque()
        self._open: dict[int, Result] = {}
        self._left = 0
        """Arrivals still to come."""
        self._played = Played([])
        self._progress: Callable[[int], None] | None = None

    def play(self, arrivals: Iterable[Arrival], progress: Callable[[int], None] | None = None) -> Played:
        """Run until every arrival has its outcome; now and then `progress` hears how many have come."""
        self._progress = progress
        self._played = Played([Result(arrival) for arrival in arrivals])
        self._left = len(self._played.results)
        for server in self._servers.values():
            self._probe(server, 0.0)
        for server in self._servers.values():
            if server.backend.slower != 1.0:
                self._at(server.backend.slower_from_s, server.slow_down)
        for outage in self._outages:
            self._at(outage.start, partial(self._go_down, self._servers[outage.backend]))
            self._at(outage.end, partial(self._come_back, self._servers[outage.backend]))
        if self._played.results:
            self._at(self._played.results[0].arrival.at, partial(self._arrive, 0))
        while self._events and (self._left or self._open):
            at, _, happen = heappop(self._events)
            happen(at)
            self._obey(at)
        self._played.engines = {name: server.total() for name, server in self._servers.items()}
        return self._played

    # events

    def _at(self, at: float, happen: Callable[[float], None]) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, happen))

    def _arrive(self, job_id: int, now: float) -> None:
        result = self._played.results[job_id]
        arrival = result.arrival
        self._left -= 1
        if self._left:
            self._at(self._played.results[job_id + 1].arrival.at, partial(self._arrive, job_id + 1))
        if self._progress and job_id % PROGRESS_EVERY == 0:
            self._progress(job_id)
        self._open[job_id] = result
        if arrival.patience_s is not None:
            self._at(now + arrival.patience_s, partial(self._leave, job_id))
        self._commands.extend(self._scheduler.submit(self._job_of(job_id, arrival), now))

    def _leave(self, job_id: int, now: float) -> None:
        result = self._open.get(job_id)
        if result is None:
            return
        server = next((one for one in self._servers.values() if one.withdraw(job_id, now)), None)
        if server is not None:
            self._watch(server)
        self._end(job_id, Outcome(Verdict.CANCELLED, f"C{_phase(result).value}"), now)
        self._commands.extend(self._scheduler.cancel(job_id, now))

    def _probe(self, server: "_Server", now: float) -> None:
        models = server.backend.spec.models
        self._report(Probed(server.name, not server.down, models if not server.down else None), now)
        self._at(now + self._probe_interval_s, partial(self._probe, server))

    def _go_down(self, server: "_Server", now: float) -> None:
        for job_id in server.die():
            result = self._open[job_id]
            repeatable = result.first_token_at is None
            retry = Retry.SAFE if repeatable else Retry.NEVER
            fault = upstream(Kind.RESET, f"{server.name} closed the connection", retry)
            self._report(Failed(job_id, fault, repeatable), now)

    def _come_back(self, server: "_Server", _: float) -> None:
        server.down = False

    def _engine_event(self, server: "_Server", version: int, now: float) -> None:
        if version != server.version:
            return
        for emitted in server.engine.advance(now):
            self._emitted(server, emitted, now)
        self._watch(server)

    def _emitted(self, server: "_Server", emitted: Emitted, now: float) -> None:
        result = self._open[emitted.id]
        if result.first_token_at is None:
            result.first_token_at = emitted.at
            result.cached_tokens = emitted.cached_tokens
            self._report(FirstByte(emitted.id), now)
        if emitted.finished:
            server.jobs.discard(emitted.id)
            self._end(emitted.id, SERVED, now)
            self._report(Finished(emitted.id), now)

    def _watch(self, server: "_Server") -> None:
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

    def _report(self, report: Report, now: float) -> None:
        self._commands.extend(self._scheduler.observe(report, now))

    def _obey(self, now: float) -> None:
        """Do what the scheduler says, and arm its timer."""
        while self._commands:
            command = self._commands.popleft()
            self._played.log.append((now, command))
            if isinstance(command, Dispatch):
                self._dispatch(command, now)
            else:
                phase = _phase(self._open[command.job_id])
                self._end(command.job_id, failed_with(command.fault, phase), now)
        wakeup = self._scheduler.wakeup_at()
        if wakeup is not None and (self._wakeup is None or wakeup < self._wakeup):
            self._wakeup = max(wakeup, now)
            self._at(self._wakeup, self._tick)

    def _dispatch(self, command: Dispatch, now: float) -> None:
        server = self._servers[command.backend]
        result = self._open[command.job_id]
        result.backend, result.attempts = command.backend, command.attempt
        if server.down:
            self._at(now + CONNECT_FAILS_S, partial(self._connect_failed, command))
            return
        arrival = result.arrival
        if arrival.prompt_tokens + arrival.output_tokens > server.engine.spec.max_model_len:
            self._end(command.job_id, TOO_LONG, now)
            self._report(Finished(command.job_id), now)
            return
        server.jobs.add(command.job_id)
        server.engine.submit(
            SimRequest(command.job_id, arrival.prompt_tokens, arrival.output_tokens, arrival.prefix_hashes), now
        )
        self._watch(server)

    def _connect_failed(self, command: Dispatch, now: float) -> None:
        if command.job_id in self._open:
            fault = upstream(Kind.CONNECT, f"{command.backend} refused the connection", Retry.SAFE)
            self._report(Failed(command.job_id, fault, repeatable=True), now)

    def _end(self, job_id: int, outcome: Outcome, now: float) -> None:
        result = self._open.pop(job_id)
        result.outcome, result.done_at = outcome, now
        self._played.ended_at = now


class _Server:
    """One backend: up or down, and its engine."""

    def __init__(self, backend: SimBackend) -> None:
        self.backend = backend
        self.name = backend.spec.name
        self.slower = 1.0
        self.engine: Engine = self._new_engine()
        self._before = Stats()
        """Of engines that died."""
        self.down = False
        self.jobs: set[int] = set()
        self.version = 0
        """Grows whenever the engine's next event may have moved; an event of an older one is void."""

    def withdraw(self, job_id: int, now: float) -> bool:
        """The client of a job left; False when the job is not here."""
        if job_id not in self.jobs:
            return False
        self.jobs.discard(job_id)
        self.engine.cancel(job_id, now)
        return True

    def die(self) -> list[int]:
        """The jobs that are lost; what comes after starts empty."""
        lost = sorted(self.jobs)
        self.jobs.clear()
        self.down = True
        self.version += 1
        self._before = self.total()
        self.engine = self._new_engine()
        return lost

    def slow_down(self, now: float) -> None:
        """From the next step on."""
        self.slower = self.backend.slower
        self.engine.change_spec(self.backend.engine.slowed(self.slower), now)

    def total(self) -> Stats:
        """What was computed here so far."""
        return self._before + self.engine.stats

    def _new_engine(self) -> Engine:
        return build_engine(self.backend.engine.slowed(self.slower), Reporting.MILESTONES)


def _phase(result: Result) -> Phase:
    """How far a request has come."""
    if result.first_token_at is not None:
        return Phase.STREAM
    return Phase.HEAD if result.attempts else Phase.QUEUE


def _as_text(command: Command) -> str:
    if isinstance(command, Dispatch):
        return f"dispatch {command.job_id} {command.backend} {command.attempt}"
    assert isinstance(command, Refuse)
    return f"refuse {command.job_id} {command.fault.kind} {command.fault.retry_after_s!r}"
