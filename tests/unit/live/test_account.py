"""What is told of a request when it is over, and given back: once, from whatever there is of it."""

import asyncio
import json

import pytest
from aiohttp import web

from proxy.live.account import Account
from proxy.live.downstream.message import Message
from proxy.model.faults import Kind, downstream
from proxy.model.outcome import SERVED, Phase, failed_with
from tests.unit.live.downstream.test_connection import ClientTransport
from tests.unit.live.test_exchange import CHAT, House, house, post

STREAM = CHAT[:-1] + b',"stream":true}'


def event(text: str, **more: object) -> bytes:
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    return b"data: %b\n\n" % json.dumps({"choices": choices, **more}).encode()


async def streams(request: web.Request, *events: bytes) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    for one in (*events, b"data: [DONE]\n\n"):
        await answer.write(one)
        await asyncio.sleep(0.01)  # each in a read of its own
    return answer


def account(one: House, message: Message) -> tuple[Account, ClientTransport]:
    connection, transport = one.edge.connection(), ClientTransport()
    connection.connection_made(transport)
    return Account(one.accounts, connection, message, one.response_headers), transport


async def test_a_request_that_could_not_be_read_has_a_record_of_what_is_known() -> None:
    async with house((200, "{}")) as one:
        fault = downstream(Kind.MALFORMED, "no")
        made, _ = account(one, Message(None, b"", False, False, fault))
        one.now += 2.0
        made.settle(failed_with(fault, Phase.READ))
        (record,) = one.records
        assert (record.id, record.method, record.path, record.endpoint, record.tenant) == ("", "", "", "other", "")
        assert (record.outcome.end_code, record.timeline.done, record.timeline.received) == ("CR", 102.0, 100.0)
        assert (made.relay, made.attempt_id, made.streaming) == (None, 0, None)


async def test_what_the_engine_says_of_tokens_is_told_and_learned_from() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 18, "total_tokens": 25}

    async def said(request: web.Request) -> web.StreamResponse:
        return await streams(request, *(event(word) for word in "abcdefgh"), event("i", usage=usage))

    async with house(said) as one:
        one.client(post(STREAM))
        record = await one.told()
        assert (record.usage.prompt_tokens, record.usage.completion_tokens) == (7, 18)
        assert (record.token_source, record.meter.tokens, record.stream) == ("engine_usage", 9, True)
        assert one.watch._told == {record.backend: 18}
        assert one.watch._seen == {record.backend: 9}, "an event holds two tokens"


@pytest.mark.parametrize("count", [1, 4])
async def test_where_the_engine_says_nothing_events_are_counted(count: int) -> None:
    async def said(request: web.Request) -> web.StreamResponse:
        return await streams(request, *(event(str(number)) for number in range(count)))

    async with house(said) as one:
        one.client(post(STREAM))
        record = await one.told()
        assert (record.usage.completion_tokens, record.outcome) == (count, SERVED)
        assert record.token_source not in ("", "engine_usage")


async def test_a_stream_that_runs_shows_what_it_has_metered() -> None:
    goes_on = asyncio.Event()

    async def said(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(event("a"))
        await goes_on.wait()
        return answer

    async with house(said) as one:
        one.client(post(STREAM))
        async with asyncio.timeout(5):
            while not [running for running in one.running if running.streaming and running.streaming.meter.tokens]:
                await asyncio.sleep(0.001)
        (running,) = one.running
        assert running.streaming is not None
        assert (running.streaming.backend in one.backends, running.streaming.meter.tokens) == (True, 1)
        goes_on.set()
        await one.told()
