"""The same question several times at once: one attempt, and an answer for each."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from proxy.live.answer import Answer
from proxy.live.job import JobLoop
from proxy.model.commands import Failed, Finished, FirstToken
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind
from proxy.wire.usage import NO_USAGE, Usage
from tests.support.route_engine import route_engine
from tests.unit.live.shared_bed import LEFT, SharedBed, shared_bed, until
from tests.unit.live.standins import Sink

PATH = "/v1/chat/completions"
EVENTS = [b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % i for i in range(4)]
END = (
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n'
)
ALL = b"".join(EVENTS) + END


class Streamer:
    """One event at a time, when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.gates = [asyncio.Event() for _ in range(6)]
        self.is_left = False
        self.whole: tuple[int, dict[str, Any]] | None = None
        self.breaks_after = 99

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked += 1
        await self.gates[0].wait()
        if self.whole is not None:
            return web.json_response(self.whole[1], status=self.whole[0])
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        try:
            for i, event in enumerate([*EVENTS, END]):
                await self.gates[i].wait()
                if i >= self.breaks_after and request.transport is not None:
                    request.transport.abort()
                await response.write(event)
        except ConnectionError:
            self.is_left = True
            raise
        return response

    def open(self) -> None:
        for gate in self.gates:
            gate.set()


@asynccontextmanager
async def bed(streamer: Streamer) -> AsyncIterator[SharedBed]:
    async with route_engine({PATH: streamer.answer}) as engine, shared_bed(engine.url, 1) as made:
        yield made


def chat(made: SharedBed, *, stream: bool = True) -> JobLoop:
    options = {"stream_options": {"include_usage": True}} if stream else {}
    fields = {"messages": [{"role": "user", "content": "q"}], "stream": stream, "temperature": 0, **options}
    return made.job(PATH, Endpoint.CHAT, fields, same=b"q")


async def read(answer: Answer, sink: Sink) -> None:
    async with asyncio.timeout(5):
        await answer.start(sink)


async def test_streams_are_passed_to_all_and_counted_once() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        streamer.open()
        answers, sinks = await asyncio.gather(*asked), [Sink(), Sink()]
        await asyncio.gather(*map(read, answers, sinks))
        assert [sink.bytes for sink in sinks] == [ALL, ALL]
        assert [one.usage() for one in answers] == [Usage(3, 4), NO_USAGE]
        assert streamer.asked == 1
        for job in jobs:
            assert job.settle(None, NO_USAGE)
        assert made.scheduler.told(Finished, FirstToken) == [FirstToken(1), Finished(1, 3, None, 4, True)]


async def test_who_comes_late_gets_the_beginning_at_once_and_follows() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        first, late = chat(made), chat(made)
        streamer.gates[0].set()
        streamer.gates[1].set()
        answer, sink = await first.answer(), Sink()
        running = asyncio.ensure_future(read(answer, sink))
        await until(lambda: sink.bytes == EVENTS[0] + EVENTS[1])
        second, theirs = await late.answer(), Sink()
        following = asyncio.ensure_future(read(second, theirs))
        await until(lambda: theirs.bytes == EVENTS[0] + EVENTS[1])
        streamer.open()
        await asyncio.gather(running, following)
        assert (sink.bytes, theirs.bytes, streamer.asked) == (ALL, ALL, 1)
        assert second.meter.first_token is not None
        assert answer.meter.first_token is not None
        assert second.meter.first_token > answer.meter.first_token, "it counts from when it came"
        first.settle(None, NO_USAGE)
        late.settle(None, NO_USAGE)


async def test_a_leader_that_leaves_hands_over() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        first, second = chat(made), chat(made)
        streamer.gates[0].set()
        answers = await asyncio.gather(first.answer(), second.answer())
        sinks = [Sink(), Sink()]
        running = [asyncio.ensure_future(read(one, sink)) for one, sink in zip(answers, sinks, strict=True)]
        running[0].cancel()
        first.settle(LEFT, NO_USAGE)
        streamer.open()
        await running[1]
        assert sinks[1].bytes == ALL
        assert second.settle(None, NO_USAGE)
        assert (streamer.is_left, made.scheduler.left) == (False, [1])


async def test_when_all_have_left_the_engine_is_freed() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        streamer.gates[0].set()
        await asyncio.gather(*(job.answer() for job in jobs))
        for job in jobs:
            job.settle(LEFT, NO_USAGE)
        streamer.open()
        await until(lambda: streamer.is_left)
        assert made.scheduler.left == [1, 2]


async def test_a_slow_client_keeps_nobody_waiting() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        streamer.gates[0].set()
        answers, sinks = await asyncio.gather(*(job.answer() for job in jobs)), [Sink(), Sink()]
        running = [asyncio.ensure_future(read(one, sink)) for one, sink in zip(answers, sinks, strict=True)]
        await until(lambda: sinks[0].bytes == EVENTS[0] == sinks[1].bytes)
        answers[0].on_pause(True)
        streamer.open()
        await running[1]
        assert (sinks[0].bytes, sinks[1].bytes) == (EVENTS[0], ALL)
        answers[0].on_pause(False)
        await running[0]
        assert sinks[0].bytes == ALL
        for job in jobs:
            job.settle(None, NO_USAGE)


async def test_whole_answers_carry_each_requests_own_id() -> None:
    streamer = Streamer()
    body = {"id": "chatcmpl-req-1x", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    streamer.whole = (200, body)
    async with bed(streamer) as made:
        jobs = [chat(made, stream=False), chat(made, stream=False)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        streamer.open()
        answers = await asyncio.gather(*asked)
        assert [json.loads(one.body)["id"] for one in answers] == ["chatcmpl-req-1x", "chatcmpl-req-2x"]
        assert [one.usage() for one in answers] == [Usage(3, 4), NO_USAGE]
        assert streamer.asked == 1
        for job in jobs:
            assert job.settle(None, NO_USAGE)
        assert made.scheduler.told() == [Finished(1, 3, None, 4, True)]


async def test_an_error_of_the_clients_is_everybodys() -> None:
    streamer = Streamer()
    streamer.whole = (400, {"error": {"message": "bad"}})
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        streamer.open()
        answers = await asyncio.gather(*asked)
        assert [one.status for one in answers] == [400, 400]
        for job in jobs:
            job.settle(LEFT, NO_USAGE)
        assert made.scheduler.told() == [Finished(1, None, None, None, False)]


async def test_a_stream_that_breaks_off_ends_for_all() -> None:
    streamer = Streamer()
    streamer.breaks_after = 2
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        streamer.open()
        answers, sinks = await asyncio.gather(*asked), [Sink(), Sink()]
        await asyncio.gather(*map(read, answers, sinks))
        for job, answer in zip(jobs, answers, strict=True):
            assert answer.fault is not None
            assert answer.fault.kind is Kind.CUT
            job.settle(answer.fault, NO_USAGE)
        report = made.scheduler.told()[0]
        assert isinstance(report, Failed)
        assert not report.repeatable


async def test_a_failure_before_the_first_byte_is_tried_again() -> None:
    streamer = Streamer()
    streamer.whole = (500, {"error": {"message": "boom"}})
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        streamer.open()
        answers = await asyncio.gather(*asked)
        assert [one.status for one in answers] == [500, 500], "the engine's own words, of the last attempt"
        assert streamer.asked > 1
        for job in jobs:
            job.settle(LEFT, NO_USAGE)


async def test_the_drain_cuts_what_flows() -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        jobs = [chat(made), chat(made)]
        streamer.gates[0].set()
        answers, sinks = await asyncio.gather(*(job.answer() for job in jobs)), [Sink(), Sink()]
        running = [asyncio.ensure_future(read(one, sink)) for one, sink in zip(answers, sinks, strict=True)]
        await until(lambda: sinks[1].bytes == EVENTS[0])
        for one, job in zip(running, jobs, strict=True):
            job.cut(LEFT)
            await one
            job.settle(LEFT, NO_USAGE)
        streamer.open()
        await until(lambda: streamer.is_left)


@pytest.mark.parametrize("size", [1, 2])
async def test_a_call_that_loses_its_place_is_made_again(size: int) -> None:
    streamer = Streamer()
    async with bed(streamer) as made:
        jobs = [chat(made) for _ in range(size)]
        asked = [asyncio.ensure_future(job.answer()) for job in jobs]
        await until(lambda: streamer.asked == 1)
        made.driver._carry_out(made.scheduler.preempt())
        streamer.open()
        answers, sinks = await asyncio.gather(*asked), [Sink() for _ in jobs]
        await asyncio.gather(*map(read, answers, sinks))
        assert all(sink.bytes == ALL for sink in sinks)
        for job in jobs:
            job.settle(None, NO_USAGE)
