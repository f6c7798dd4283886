"""A job and its attempts, with the real scheduler, on sockets; time is advanced, not waited for."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from aiohttp import web

from proxy.config.schema import Config
from proxy.core.scheduler import Scheduler
from proxy.live.attempt import Caller
from proxy.live.call import Call
from proxy.live.driver import Driver
from proxy.live.job import JobLoop
from proxy.live.outstanding import Jobs
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.model.backend import BackendSpec
from proxy.model.classes import StreamSettings
from proxy.model.faults import Fault, FaultError, Kind, Source, downstream, internal
from proxy.model.hedge import Hedge
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings, UpstreamLimits
from proxy.model.request import Endpoint, Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE
from tests.support.route_engine import RouteEngine, route_engine

PATH = "/v1/chat/completions"
LATE_S = 0.3
LEFT = downstream(Kind.LEFT, "gone")


class Bed:
    """Two engines, a scheduler, and a clock in one place."""

    def __init__(self, engines: dict[str, RouteEngine]) -> None:
        loop = asyncio.get_running_loop()
        self.now = 100.0
        self.engines = engines
        self.scheduler = Scheduler(
            [BackendSpec(name, models=frozenset({"m"})) for name in engines],
            retries=RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
            policy="round_robin",
        )
        entries = [{"name": name, "url": engine.url, "models": ["m"]} for name, engine in engines.items()]
        config = Config.model_validate({"version": 1, "backends": entries})
        self.backends = backends.build(config, loop, Watch(loop, monotonic))
        self.driver = Driver(self.scheduler, loop, self.clock)
        caller = Caller(self.scheduler, Tokenizers({}), UpstreamLimits(), loop, self.clock)
        self.jobs = Jobs(self.driver, caller, self.backends, foresees=True, attempts=3, loop=loop, clock=self.clock)

    def clock(self) -> float:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.driver._tick()

    def job(self, hedge: Hedge | None = None) -> JobLoop:
        request = Request("r", "POST", PATH, Endpoint.CHAT, "m", json=True)
        job = Job(1, "m", hedge=hedge)
        call = Call(request, job, [], b'{"model":"m"}', StreamSettings(), Timeline(self.now), Meter())
        return JobLoop(self.jobs, call, {})

    async def asked(self, count: int) -> None:
        """Until so many requests have reached an engine."""
        async with asyncio.timeout(5):
            while sum(engine.asked[PATH] for engine in self.engines.values()) < count:
                await asyncio.sleep(0.001)

    @property
    def counts(self) -> Any:
        return self.scheduler.counts(self.now)


@asynccontextmanager
async def bed(first: Any, second: Any) -> AsyncIterator[Bed]:
    """What is asked first is answered with `first`, whichever engine it is."""
    answers = iter((first, second, second))

    async def answer(request: web.Request) -> web.StreamResponse:
        found = next(answers)
        return await found(request) if callable(found) else web.Response(status=found[0], text=found[1])

    async with route_engine({PATH: answer}) as a, route_engine({PATH: answer}) as b:
        made = Bed({"a": a, "b": b})
        yield made
        for backend in made.backends.values():
            backend.pool.close()


async def hangs(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30.0)
    return web.Response()


GOOD, BAD = (200, '{"id":"x"}'), (500, '{"error":"boom"}')
RULE = Hedge(0.0, LATE_S, 0.5)


async def test_the_only_attempt_of_a_job_is_no_task_and_its_permit_is_kept_to_the_end() -> None:
    async with bed(GOOD, GOOD) as one:
        job = one.job()
        answer = await job.answer()
        assert (answer.status, answer.body, answer.complete) == (200, b'{"id":"x"}', True)
        assert [attempt.task for attempt in job._out] == [None]
        assert (one.counts.in_flight, job.settled) == (1, False)
        assert job.settle(None, NO_USAGE)
        assert (one.counts.in_flight, one.counts.finished) == (0, 1)
        assert not job.settle(None, NO_USAGE), "once"


async def test_a_failure_goes_on_elsewhere_and_its_backend_is_blamed() -> None:
    async with bed(BAD, GOOD) as one:
        job = one.job()
        answer = await job.answer()
        assert (answer.status, job.attempts, job.hedge_won) == (200, 2, None)
        assert job.asked == set(one.engines) - {job.backend}
        assert job.settle(None, NO_USAGE)
        assert (one.counts.retries, one.counts.finished) == (1, 1)


async def test_when_nobody_answers_well_the_client_gets_the_last_engines_own_words() -> None:
    async with bed(BAD, BAD) as one:
        job = one.job()
        answer = await job.answer()
        assert (answer.status, answer.body, job.settled, job.is_spent) == (500, b'{"error":"boom"}', True, True)
        assert one.counts.in_flight == 0


@pytest.mark.parametrize("hedge", [None, RULE])
async def test_a_job_that_is_cut_ends_with_the_fault_it_is_cut_by(hedge: Hedge | None) -> None:
    async with bed(hangs, GOOD) as one:
        job, fault = one.job(hedge), internal(Kind.DRAINING, "enough")
        asking = asyncio.ensure_future(job.answer())
        await one.asked(1)
        job.cut(fault)
        with pytest.raises(FaultError) as raised:
            await asyncio.wait_for(asking, 5)
        assert raised.value.fault is fault
        assert job.settle(fault, NO_USAGE) is False
        assert one.counts.in_flight == 0


async def test_whoever_breaks_off_in_the_middle_is_told_of() -> None:
    async with bed(GOOD, GOOD) as one:
        job = one.job()
        await job.answer()
        fault = Fault(Source.UPSTREAM, Kind.RESET, "cut")
        assert await job.resumed(fault) is None, "no stream that could go on"
        assert job.settle(fault, NO_USAGE) is False
        assert (one.counts.refused, one.counts.cancelled, one.counts.in_flight) == (1, 0, 0)
