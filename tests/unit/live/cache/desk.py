"""A cache before real jobs on real sockets: what a request gets, and what is kept of it."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

from proxy.core.cache.versions import Versions
from proxy.core.tenancy.classify import Classifier
from proxy.live.answer import Answer
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.cache.use import CacheUse
from proxy.live.call import Call
from proxy.live.catalogue import ModelList
from proxy.live.job import JobLoop
from proxy.live.job_builder import JobBuilder
from proxy.live.tokenizers import Tokenizers
from proxy.model.cache import CacheSettings
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.limits import ParameterLimits
from proxy.model.timeline import Timeline
from proxy.wire import body as bodies
from proxy.wire.meter import Meter
from proxy.wire.routes import route
from proxy.wire.usage import NO_USAGE
from tests.unit.live.test_job import PATH, Bed
from tests.unit.wire.asking import JSON, head_of

WHOLE = json.dumps(
    {
        "id": "chatcmpl-first",
        "created": 1700000000,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
)


class Desk:
    """What `Exchange` does with a cache, and nothing else."""

    def __init__(self, bed: Bed, cache: dict[str, Any] | None = None, classes: tuple[ClassSettings, ...] = ()) -> None:
        settings = replace(CacheSettings(size=16 << 20), **(cache or {}))
        self.bed = bed
        self.versions = Versions()
        loop = asyncio.get_running_loop()
        self.cache = ResponseCache(settings, self.versions, Tokenizers({}), 1 << 20, loop, time.monotonic, time.time)
        classifier = Classifier(with_built_in(classes), (), None)
        self._builder = JobBuilder(classifier, ModelList(bed.scheduler, 0), None, foresees=False)

    def begin(
        self, target: str = PATH, key: bytes = b"a", cache_control: bytes = b"", **more: Any
    ) -> tuple[CacheUse, JobLoop]:
        """Up to where an answer is looked for."""
        headers = [JSON, (b"authorization", b"Bearer " + key)]
        if cache_control:
            headers.append((b"cache-control", cache_control))
        head = head_of(*headers, target=target.encode())
        fields = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0, **more}
        body = json.dumps(fields).encode()
        request, read = bodies.read(head, route(head.target), body, ParameterLimits())
        taken = self._builder.take(head, request, read, self.bed.now)
        use = self.cache.use(head, request, taken, read, body)
        settings = taken.classified.traffic_class.stream
        call = Call(
            request=request,
            job=taken.job,
            headers=head.forward,
            body=body,
            settings=settings,
            timeline=Timeline(self.bed.now),
            meter=Meter(),
            part=taken.part,
            tap=use.tap,
        )
        return use, JobLoop(self.bed.jobs, call, {})

    async def asked(self, **more: Any) -> tuple[str, Answer]:
        """One request from its beginning to its end."""
        use, job = self.begin(**more)
        answer = await use.answer(job)
        self.end(use, job)
        return use.said, answer

    @staticmethod
    def end(use: CacheUse, job: JobLoop, *, is_served: bool = True, has_left: bool = False) -> None:
        use.ended(job, is_served=is_served, has_left=has_left)
        job.settle(None, NO_USAGE)
