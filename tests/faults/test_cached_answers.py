"""Answers that are kept: only good ones, and whoever makes one may fail or leave without harm to those who wait."""

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.faults.asking import PATH
from tests.support.engine_scripts import begin_stream, end_stream, except_for_probes, say, stream_then
from tests.support.fake_backend import Exchange, FakeBackend, Script
from tests.support.fake_engine import Answer, chat_chunk, error_answer, event, json_answer, send_answer, well_behaved
from tests.support.http_bytes import LAST_CHUNK, chunk
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess
from tests.support.raw_client import RawAnswer, RawConnection, request_bytes

ON = {"cache": {"size": "16MiB", "ttl": "1h"}}
HEADERS = [("content-type", "application/json")]


def body(stream: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0,
        "stream": stream,
    } | more


def in_turn(*scripts: Script) -> Script:
    """The n-th request gets the n-th script, all later ones the last."""
    left = list(scripts)

    async def script(exchange: Exchange) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return except_for_probes(script)


def with_arguments(script: Script, *arguments: str) -> Script:
    async def called(exchange: Exchange) -> None:
        exchange.arguments = list(arguments)
        await script(exchange)

    return called


def saying(answer: Answer) -> Script:
    async def script(exchange: Exchange) -> None:
        await send_answer(exchange, answer)

    return script


def ends_with(reason: str | None) -> Script:
    async def script(exchange: Exchange) -> None:
        await begin_stream(exchange)
        await exchange.send(chunk(event(chat_chunk({}, reason))) + chunk(b"data: [DONE]\n\n") + LAST_CHUNK)

    return script


def said(answer: RawAnswer) -> str | None:
    return answer.head.get("x-tidegate-cache")


def ask(proxy: ProxyProcess, *, stream: bool = True, **more: Any) -> RawAnswer:
    return proxy.ask("POST", PATH, body(stream, **more), HEADERS)


def asked(engine: FakeBackend) -> int:
    return sum(not request.is_probe for request in engine.received)


_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "no"}, "finish_reason": "stop"}
_HALF = {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}
_LARGE = {"role": "assistant", "content": "x" * (10 << 20)}
BAD_STREAMS = {
    "an error event": with_arguments(stream_then, "3", "error"),
    "no end": with_arguments(stream_then, "3", "end"),
    "cut": with_arguments(stream_then, "3", "reset"),
    "filtered": ends_with("content_filter"),
    "not ended": ends_with(None),
    "error status": saying(error_answer(400, "bad")),
    "too busy": saying(error_answer(429, "busy")),
}
BAD_WHOLES = {
    "error status": saying(error_answer(422, "bad")),
    "filtered": saying(json_answer({"choices": [{**_CHOICE, "finish_reason": "content_filter"}]})),
    "refused": saying(json_answer({"choices": [{**_CHOICE, "message": {"refusal": "I will not"}}]})),
    "an error with a good status": saying(json_answer({"error": {"message": "oops"}})),
    "no JSON": saying(Answer(200, b"<html>", "text/html")),
    "half a call of a tool": saying(
        json_answer(
            {"choices": [{**_CHOICE, "message": {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}}]}
        )
    ),
    "packed": saying(Answer(200, b"\x1f\x8b", headers=[("content-encoding", "gzip")])),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_stream_that_did_not_end_well_is_not_kept(name, start_pair):
    engine, proxy = start_pair(ON | {"retries": {"attempts": 1}}, default=in_turn(BAD_STREAMS[name], well_behaved))
    first = ask(proxy)
    again = ask(proxy)
    if asked(engine) == 2:  # else the bad one was tried again, and its client got the good one
        assert said(first) == "miss"
        assert said(again) == "miss"
    assert again.status == 200
    assert said(ask(proxy)) == "hit"


@pytest.mark.parametrize("name", BAD_WHOLES)
def test_nor_is_a_bad_answer_in_one_piece(name, start_pair):
    engine, proxy = start_pair(ON, default=in_turn(BAD_WHOLES[name], well_behaved))
    assert said(ask(proxy, stream=False)) == "miss"
    assert said(ask(proxy, stream=False)) == "miss"
    assert said(ask(proxy, stream=False)) == "hit"
    assert asked(engine) == 2


@pytest.mark.in_progress(40 << 20)
def test_ten_megabytes_pass_and_are_not_kept(start_pair):
    large = saying(
        json_answer({"choices": [{**_CHOICE, "message": {"role": "assistant", "content": "x" * (10 << 20)}}]})
    )
    engine, proxy = start_pair(ON, default=in_turn(large))
    for _ in range(2):
        answer = ask(proxy, stream=False)
        assert len(answer.body) > 10 << 20
        assert said(answer) == "miss"
    assert asked(engine) == 2
    assert proxy.metrics().total("tidegate_cache_entries") == 0


class Gate:
    """A script whose stream ends when it is told to."""

    def __init__(self, ending: Script = end_stream) -> None:
        self.is_open = False
        self._ending = ending

    async def __call__(self, exchange: Exchange) -> None:
        await begin_stream(exchange)
        while not self.is_open:
            await say(exchange, "t ")
            await asyncio.sleep(0.01)
        await self._ending(exchange)


@contextmanager
def crowd(proxy: ProxyProcess, count: int, *headers: tuple[str, str], **more: Any) -> Iterator[list[RawConnection]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(proxy.connect()) for _ in range(count)]
        for connection in connections:
            connection.send(request_bytes("POST", PATH, body(**more), [*HEADERS, *headers]))
        yield connections


def understood(proxy: ProxyProcess, count: int) -> None:
    eventually(lambda: proxy.metrics().total("tidegate_tasks") >= count, f"{count} requests under way", 10.0)


def test_five_hundred_at_once_are_one_per_tenant(start_pair):
    gate = Gate()
    engine, proxy = start_pair(ON, default=in_turn(gate))
    with (
        crowd(proxy, 250, ("authorization", "Bearer a")) as ones,
        crowd(proxy, 250, ("authorization", "Bearer b")) as others,
    ):
        understood(proxy, 500)
        gate.is_open = True
        answers = [connection.answer() for connection in (*ones, *others)]
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers)
    assert [said(answer) for answer in answers].count("miss") == 2
    assert [said(answer) for answer in answers].count("coalesced") == 498
    assert asked(engine) == 2


def test_a_leader_that_leaves_hands_over_to_one(start_pair):
    gate = Gate()
    engine, proxy = start_pair(ON, default=in_turn(gate))
    with crowd(proxy, 1) as (leader,):
        engine.wait_for_request()
        with crowd(proxy, 20) as others:
            understood(proxy, 21)
            leader.reset()
            eventually(lambda: asked(engine) == 2, "another one leads")
            gate.is_open = True
            answers = [connection.answer() for connection in others]
    assert {answer.status for answer in answers} == {200}
    assert asked(engine) == 2
    assert proxy.metrics().total("tidegate_cache_flights") == 0


def test_a_leader_that_fails_fails_nobody_else(start_pair):
    async def breaks(exchange: Exchange) -> None:
        await exchange.send(chunk(event({"error": {"message": "broke", "type": "x", "code": "y"}})) + LAST_CHUNK)

    gate = Gate(breaks)
    engine, proxy = start_pair(ON, default=in_turn(gate, well_behaved))
    with crowd(proxy, 1) as (leader,):
        engine.wait_for_request()
        with crowd(proxy, 10) as others:
            understood(proxy, 11)
            gate.is_open = True
            answers = [connection.answer() for connection in others]
        assert b"error" in leader.answer().body
    assert all(b"error" not in answer.body and answer.status == 200 for answer in answers)


def test_nobody_waits_for_longer_than_is_said(start_pair):
    gate = Gate()
    engine, proxy = start_pair({"cache": {"size": "16MiB", "coalesce": "200ms"}}, default=in_turn(gate, well_behaved))
    with crowd(proxy, 1) as (leader,):
        engine.wait_for_request()
        began = time.monotonic()
        assert ask(proxy).status == 200
        assert 0.15 < time.monotonic() - began < 3
        gate.is_open = True
        assert leader.answer().status == 200


def test_who_does_not_wait_may_share_the_call_and_its_answer_is_kept(start_pair):
    gate = Gate()
    engine, proxy = start_pair({"cache": {"size": "16MiB", "coalesce": "0s"}}, default=in_turn(gate))
    with crowd(proxy, 1) as (first,):
        engine.wait_for_request()
        with crowd(proxy, 5) as others:
            understood(proxy, 6)
            gate.is_open = True
            answers = [connection.answer() for connection in (first, *others)]
    assert {answer.status for answer in answers} == {200}
    assert [said(answer) for answer in answers] == ["miss"] + ["coalesced"] * 5
    assert said(ask(proxy)) == "hit"
    assert asked(engine) == 1


def test_an_answer_from_before_a_bump_is_not_one_from_after_it(start_pair):
    gate = Gate()
    engine, proxy = start_pair(ON, default=in_turn(gate, well_behaved))
    with crowd(proxy, 1) as (leader,):
        engine.wait_for_request()
        assert _bump(proxy) == 200
        gate.is_open = True
        assert leader.answer().status == 200
    assert said(ask(proxy)) == "miss"
    assert said(ask(proxy)) == "hit"


def test_a_drain_ends_an_answer_that_has_a_pace(start_pair):
    config = {"drain": {"streams": "300ms"}, "classes": [{"name": "interactive", "cache": {"replay": "paced 1/s"}}]}
    _, proxy = start_pair(ON | config)
    ask(proxy)
    with crowd(proxy, 1) as (one,):
        head = one.answer_head()
        assert head.head.get("x-tidegate-cache") == "hit"
        proxy.terminate()
        rest = b"".join(one.chunks())
        assert b'"error"' in rest
    assert proxy.wait() == 0


def test_a_client_that_leaves_an_answer_with_a_pace_leaves_nothing(start_pair):
    _, proxy = start_pair(ON | {"classes": [{"name": "interactive", "cache": {"replay": "paced 1/s"}}]})
    ask(proxy)
    with crowd(proxy, 20) as connections:
        for connection in connections:
            connection.answer_head()
            connection.reset()
    eventually(lambda: len([line for line in proxy.log if line["end"] == "CS"]) == 20, "all of them noticed")
    assert {line["cache"] for line in proxy.log if line["end"] == "CS"} == {"hit"}


def test_a_salt_of_a_tenant_reaches_an_engine_that_knows_it(start_pair):
    engine, proxy = start_pair(entry={"kind": "vllm", "cache_salt": "tenant"})
    for key in ("a", "b", "a"):
        headers = [*HEADERS, ("authorization", f"Bearer {key}")]
        assert proxy.ask("POST", PATH, body(False, cache_salt="theirs"), headers).status == 200
    salts = [request.json()["cache_salt"] for request in engine.received if not request.is_probe]
    assert salts[0] == salts[2] != salts[1]
    assert "theirs" not in salts


def test_without_it_what_a_client_says_stays(start_pair):
    engine, proxy = start_pair(entry={"kind": "vllm"})
    assert proxy.ask("POST", PATH, body(False, cache_salt="mine"), HEADERS).status == 200
    (request,) = [request for request in engine.received if not request.is_probe]
    assert request.json()["cache_salt"] == "mine"


def _bump(proxy: ProxyProcess) -> int:
    question = urllib.request.Request(f"{proxy.admin_url}/cache/bump", method="POST")
    with urllib.request.urlopen(question, timeout=5.0) as answer:
        return answer.status
