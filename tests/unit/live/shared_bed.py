"""Jobs that share calls, on one engine over sockets, with a scheduler that does what the test says."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.config.schema import Config
from proxy.core.scheduler import Scheduler
from proxy.live.answer import Answer
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
from proxy.model.faults import Kind, downstream
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings, UpstreamLimits
from proxy.model.request import Endpoint, Job, Request
from proxy.model.timeline import Timeline
from proxy.wire import batching
from proxy.wire.meter import Meter
from proxy.wire.usage import NO_USAGE
from tests.support.gathering import Gathering

LEFT = downstream(Kind.LEFT, "gone")


class SharedBed:
    """`size`: jobs that go as one."""

    def __init__(self, url: str, size: int, kind: str = "vllm") -> None:
        loop = asyncio.get_running_loop()
        self.scheduler = Gathering(size)
        entry = {"name": "a", "url": url, "models": ["m"], "kind": kind}
        self.backends = backends.build(
            Config.model_validate({"version": 1, "backends": [entry]}), loop, Watch(loop, loop.time)
        )
        self.driver = Driver(self.scheduler, loop, loop.time)
        names = Scheduler(
            [BackendSpec("a", models=frozenset({"m"}))],
            retries=RetrySettings(),
            hold=HoldSettings(),
            health=HealthSettings(),
            rng=random.Random(1),
        )
        caller = Caller(names, Tokenizers({}), UpstreamLimits(), loop, loop.time)
        self.jobs = Jobs(self.driver, caller, self.backends, foresees=True, attempts=3, loop=loop, clock=loop.time)
        self._ids = itertools.count(1)

    def job(self, path: str, endpoint: Endpoint, fields: dict[str, Any], *, same: bytes | None = None) -> JobLoop:
        """A request that may go with others."""
        number = next(self._ids)
        fields = {"model": "m", **fields}
        part = batching.part(endpoint, fields)
        job = Job(number, "m", endpoint=endpoint, stream=bool(fields.get("stream")), window=b"w", same=same)
        stream = bool(fields.get("stream"))
        request = Request(f"req-{number}x", "POST", path, endpoint, "m", stream=stream, usage_asked=stream, json=True)
        line = Timeline(self.jobs.clock())
        body = json.dumps(fields).encode()
        return JobLoop(
            self.jobs,
            Call(
                request=request,
                job=job,
                headers=[],
                body=body,
                settings=StreamSettings(),
                timeline=line,
                meter=Meter(),
                part=part,
            ),
            {},
        )

    def embedding(self, value: Any) -> JobLoop:
        return self.job("/v1/embeddings", Endpoint.EMBEDDINGS, {"input": value})

    async def answers(self, *jobs: JobLoop) -> list[Answer]:
        """What each gets; then all is settled."""
        found = await asyncio.gather(*(job.answer() for job in jobs))
        for job, answer in zip(jobs, found, strict=True):
            job.settle(None, answer.usage() if answer.complete else NO_USAGE)
        return list(found)

    @property
    def is_at_rest(self) -> bool:
        """Nothing is out, nobody has a mailbox."""
        return not (self.jobs.shared or self.driver._boxes or self.scheduler.out)


@asynccontextmanager
async def shared_bed(url: str, size: int, kind: str = "vllm") -> AsyncIterator[SharedBed]:
    """One bed, at rest at its end."""
    bed = SharedBed(url, size, kind)
    yield bed
    for backend in bed.backends.values():
        backend.pool.close()
    assert bed.is_at_rest


async def until(condition: Callable[[], bool]) -> None:
    """Until it is so, in this process."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
