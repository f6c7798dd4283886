"""Hard limits under load, on virtual time: what is let through in half an hour is the limit, within a hundredth.

Twenty clients of one tenant ask as fast as they may and wait as long as they are told; their jobs end in every way.
"""

import heapq
import itertools
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from proxy.config.plain import read
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Failed, Finished, FirstToken, Refuse
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings
from proxy.model.tenants import TenantSettings
from tests.support.attempts import attempt_of
from tests.unit.core.playing import fault

CLIENTS = 20
MINUTES = 30.0
EXACT = 0.01
PROMPT, ANSWER = 100, 100
"""Tokens, as they are expected before any answer is known."""


class Used(NamedTuple):
    """What a job turned out to be."""

    requests: int
    prompt: float
    answer: float


class Load:
    """One tenant's clients before one engine that takes everything."""

    def __init__(self, seed: int, limits: dict[str, Any], *, off: float = 1.0, endings: str = "served") -> None:
        self.rng = random.Random(seed)
        entry = read(TenantSettings, {"tenant": "a", **limits})
        settings = SchedulingSettings(tenants=(entry,), policy="round_robin")
        self.scheduler = Scheduler(
            [BackendSpec("engine", any_model=True)],
            retries=RetrySettings(attempts=1),
            hold=HoldSettings(),
            health=HealthSettings(consecutive_failures=10**6, failure_ratio=1.0, min_samples=10**6),
            rng=random.Random(seed),
            scheduling=settings,
        )
        self.off, self.endings = off, endings.split()
        self.ids = itertools.count(1)
        self.used: list[Used] = []
        self.refused = 0
        self.now = 0.0
        self.most_at_once = 0

    def play(self, clients: int = CLIENTS, minutes: float = MINUTES) -> None:
        """Until the time is over, and what is open has ended."""
        order = itertools.count()
        clients_ = (self._client() for _ in range(clients))
        events: list[tuple[float, int, Iterator[float]]] = [(self.rng.random(), next(order), one) for one in clients_]
        heapq.heapify(events)
        while events:
            now, _, client = heapq.heappop(events)
            self.now = now
            after = next(client)
            if now + after < 60 * minutes:
                heapq.heappush(events, (now + after, next(order), client))

    def _client(self) -> Iterator[float]:
        """Yields seconds until it goes on."""
        while True:
            number = next(self.ids)
            job = Job(number, "m", stream=True, tenant="a", prompt_tokens=PROMPT, max_tokens=ANSWER)
            command = next(iter(self.scheduler.submit(job, self.now)))
            if isinstance(command, Refuse):
                self.refused += 1
                assert command.fault.retry_after_s is not None
                yield command.fault.retry_after_s
                continue
            assert isinstance(command, Dispatch)
            self.most_at_once = max(self.most_at_once, self.scheduler.counts(self.now).in_flight)
            yield self.rng.uniform(0.1, 3.0)
            self._ends(number)

    def _ends(self, number: int) -> None:
        core, attempt = self.scheduler, attempt_of(self.scheduler, number)
        answer = max(1, round(ANSWER * self.off * self.rng.uniform(0.5, 1.5)))
        how = self.rng.choice(self.endings)
        expected = core._attempts.open[number].reserved._holdings[0]._ask  # type: ignore[union-attr]
        if how == "served":
            core.observe(Finished(attempt, PROMPT, 0, answer), self.now)
            self.used.append(Used(1, PROMPT, answer))
        elif how == "untold":
            core.observe(Finished(attempt), self.now)
            self.used.append(Used(1, expected.prompt, expected.answer))
        elif how == "unbegun":
            core.observe(Failed(attempt, fault(), repeatable=True), self.now)
        elif how == "broken":
            core.observe(FirstToken(attempt), self.now)
            core.observe(Failed(attempt, fault(), repeatable=False), self.now)
            self.used.append(Used(1, expected.prompt, expected.answer))
        else:
            core.observe(FirstToken(attempt), self.now)
            core.cancel(number, self.now)
            self.used.append(Used(1, expected.prompt, expected.answer))

    def total(self, what: str) -> float:
        prompts, answers = sum(one.prompt for one in self.used), sum(one.answer for one in self.used)
        return {
            "requests_per_minute": sum(one.requests for one in self.used),
            "tokens_per_minute": prompts + answers,
            "input_tokens_per_minute": prompts,
            "output_tokens_per_minute": answers,
        }[what]


LIMITS = {
    "requests_per_minute": 60,
    "tokens_per_minute": 20_000,
    "input_tokens_per_minute": 9_000,
    "output_tokens_per_minute": 9_000,
}
ALL = "served untold unbegun broken left"


@pytest.mark.parametrize("where", ["all", "model", "class"])
@pytest.mark.parametrize("what", LIMITS)
@pytest.mark.parametrize("endings", ["served", ALL])
def test_as_much_as_the_limit_gets_through(what: str, endings: str, where: str) -> None:
    limits: dict[str, Any] = {what: LIMITS[what]}
    if where != "all":
        limits = {"limits": [{where: "m" if where == "model" else "interactive", **limits}]}
    load = Load(17, limits, endings=endings)
    load.play()
    allowed = LIMITS[what] * (1 + MINUTES)
    assert load.refused > 100, "it is asked for more than there is"
    assert load.total(what) == pytest.approx(allowed, rel=EXACT)


@pytest.mark.parametrize("off", [0.1, 3.0, 10.0])
@pytest.mark.parametrize("what", ["tokens_per_minute", "output_tokens_per_minute"])
def test_estimates_that_are_far_off_are_settled(what: str, off: float) -> None:
    load = Load(18, {what: LIMITS[what]}, off=off)
    load.play()
    allowed = LIMITS[what] * (1 + MINUTES)
    overshoot = CLIENTS * ANSWER * off * 1.5
    """Of what was out when more than had been expected was found out."""
    assert load.total(what) <= allowed * (1 + EXACT) + overshoot
    if off >= 1:
        assert load.total(what) >= allowed * (1 - EXACT)


@pytest.mark.parametrize("limit", ["max_concurrent", "max_streams"])
def test_never_more_at_once(limit: str) -> None:
    load = Load(19, {limit: 7}, endings=ALL)
    load.play(minutes=10.0)
    assert load.most_at_once == 7


def test_refusals_cost_nothing() -> None:
    """A client that asks a hundred times a second gets no less and no more."""
    wild = Load(20, {"requests_per_minute": 60})
    for n in range(int(MINUTES * 60 * 100)):
        wild.now = n / 100
        number = next(wild.ids)
        job = Job(number, "m", stream=True, tenant="a", prompt_tokens=PROMPT, max_tokens=ANSWER)
        if isinstance(next(iter(wild.scheduler.submit(job, wild.now))), Dispatch):
            wild._ends(number)
    assert wild.total("requests_per_minute") == pytest.approx(60 * (1 + MINUTES), rel=EXACT)


@pytest.mark.parametrize("seed", range(20))
def test_who_waits_as_long_as_told_gets_in(seed: int) -> None:
    """Nobody else asks meanwhile."""
    rng = random.Random(seed)
    limits = {what: rng.randrange(200, 5000) for what in LIMITS if rng.random() < 0.7}
    load = Load(seed, limits or {"requests_per_minute": 7})
    now, told = rng.uniform(0, 1e6), 0.0
    for _ in range(400):
        number = next(load.ids)
        job = Job(number, "m", stream=True, tenant="a", prompt_tokens=PROMPT, max_tokens=ANSWER)
        command = next(iter(load.scheduler.submit(job, now)))
        if isinstance(command, Refuse):
            assert not told, (limits, command.fault.message)
            told = command.fault.retry_after_s or 0.0
            now += told
            continue
        told = 0.0
        load.now = now
        load._ends(number)
        now += rng.choice([0.0, rng.random()])
