"""One request, played: what is counted from where, and what is said of every way that it can end."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from proxy.bench.asks import Ask, Prepared, Stage
from proxy.bench.lag import LagWatch
from proxy.bench.player import Player
from proxy.bench.spec import LoadSpec, Sample
from tests.unit.bench.engines_made import Emitted, spec
from tests.unit.bench.servers import END, Scripted, Step, events, head, pieces, scripted, whole

CHAT = Ask("chat", {"messages": [{"role": "user", "content": "hi"}], "stream": True}, output_tokens=10)
VECTOR = Ask("embeddings", {"input": "x"})


def event(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]})


FINISH = '{"choices": [{"delta": {}, "finish_reason": "stop"}]}'
USAGE = '{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}'


async def played(server: Scripted, ask: Ask = CHAT, late_s: float = 0.0, **more: object) -> Sample:
    taken = Emitted()
    player = Player(spec(server.url, **more), "w", LagWatch(), taken.emit, None)
    await player.play(3, ask, "url", time.monotonic() - late_s)
    await player.settle()
    player.close()
    assert player.open == 0
    return taken[0]


async def test_a_stream() -> None:
    route = "backend=alpha; class=chat; batch=4; waited=12ms"
    timing = "queue;dur=1.5, prefill;dur=20"
    begin = events(
        event("a"), x_tidegate_route=route, server_timing=timing, x_request_id="r-1", x_tidegate_cache="miss"
    )
    timing = {"stages": [{"name": "queue", "ms": 1}, {"name": "prefill", "ms": 21}, {"name": "decode", "ms": 80}]}
    stream = [0.03, begin, 0.08, pieces(event("b"), FINISH, USAGE, "[DONE]"), END]
    async with scripted(stream, [whole(json.dumps(timing).encode())]) as server:
        one = await played(server)
        assert server.requests[1].startswith(b"GET /v1/tidegate/requests/r-1 ")
    row, detail = one.row, one.detail
    assert row.success
    assert (row.model, row.concurrency, row.prompt_tokens, row.output_tokens) == ("sim", 3, 7, 5)
    assert row.ttft_ms is not None
    assert row.e2e_ms is not None
    assert row.tpot_ms is not None
    assert row.ttft_ms >= 30
    assert row.e2e_ms - row.ttft_ms >= 75
    assert row.tpot_ms * 4 == pytest.approx(75, rel=0.9)
    assert detail.stages_ms == {"queue": 1.0, "prefill": 21.0, "decode": 80.0}
    assert (detail.backend, detail.batch_size, detail.waited_ms) == ("alpha", 4, 12.0)
    assert (detail.request_id, detail.answer_cache, detail.tokens_source, detail.outcome) == (
        "r-1", "miss", "usage", "served",
    )  # fmt: skip
    assert detail.text is None
    assert detail.text_chars == 2


async def test_latency_counts_from_the_moment_it_was_meant_to_go() -> None:
    async with scripted([events(event("a"), FINISH), END]) as server:
        one = await played(server, late_s=0.5)
    assert one.row.ttft_ms is not None
    assert one.row.ttft_ms >= 500
    assert one.detail.sent_at - one.detail.intended_at >= 0.5


@pytest.mark.parametrize(
    ("script", "outcome", "status", "error"),
    [
        ([whole(b'{"error": {"message": "busy"}}', 429)], "refused", 429, "busy"),
        ([whole(b"", 500)], "failed", 500, "HTTP 500"),
        ([None], "failed", None, "the connection was closed"),
        ([events(event("a")), None], "broken", 200, "the connection was closed"),
        ([events(event("a")), END], "broken", 200, "the stream ended without finish_reason and [DONE]"),
        ([events(event("a")), 60.0], "broken", 200, "no end within 0.3 s"),
        ([60.0], "failed", None, "no end within 0.3 s"),
        ([whole(b"<html>")], "failed", 200, "no answer of OpenAI's API: it has no choices"),
        ([b"+PONG\r\n\r\n"], "failed", None, "its answer is not HTTP"),
    ],
)
async def test_every_other_end(script: Sequence[Step], outcome: str, status: int | None, error: str) -> None:
    async with scripted(script) as server:
        one = await played(server, timeout_s=0.3)
    assert not one.row.success
    assert (one.detail.outcome, one.detail.status) == (outcome, status)
    assert one.detail.error.startswith(error)
    assert one.row.e2e_ms is not None
    assert one.row.tpot_ms is None


async def test_tokens_without_usage_are_events_and_the_source_is_said() -> None:
    async with scripted([events(event("a"), event("b"), FINISH), END]) as server:
        one = await played(server)
    assert (one.row.output_tokens, one.detail.tokens_source, one.row.prompt_tokens) == (2, "events", None)


async def test_or_counted_by_a_tokenizer() -> None:
    async with scripted([events(event("a b c"), FINISH), END]) as server:
        taken = Emitted()
        player = Player(spec(server.url, keeps_text=True), "w", LagWatch(), taken.emit, lambda text: len(text.split()))
        await player.play(0, CHAT, "url", time.monotonic())
        player.close()
    assert (taken[0].row.output_tokens, taken[0].detail.tokens_source) == (3, "tokenizer")
    assert taken[0].detail.text == "a b c"


async def test_vectors_have_no_tokens_of_output_and_no_first_one() -> None:
    body = b'{"data": [{"embedding": [1]}], "usage": {"prompt_tokens": 2, "completion_tokens": 0}}'
    async with scripted([whole(body)]) as server:
        one = await played(server, VECTOR)
    assert (one.row.output_tokens, one.row.ttft_ms, one.row.prompt_tokens) == (None, None, 2)
    assert one.row.success


async def test_a_client_that_leaves_is_neither_served_nor_failed() -> None:
    async with scripted([events(*[event("a")] * 3), 60.0]) as server:
        outcomes = []
        for number in range(8):
            taken = Emitted()
            player = Player(spec(server.url, cancel=1.0, timeout_s=5.0), "w", LagWatch(), taken.emit, None)
            ask = Ask(CHAT.kind, CHAT.fields, output_tokens=3)
            await player.play(number, ask, "url", time.monotonic())
            player.close()
            outcomes.append((taken[0].detail.outcome, taken[0].detail.error, taken[0].row.success))
    assert set(outcomes) == {("cancelled", "", False)}


async def test_an_answer_that_has_not_its_form() -> None:
    ask = Ask("chat", CHAT.fields, check=lambda text: "" if text == "b" else "not b")
    async with scripted([events(event("a"), FINISH), END], [events(event("b"), FINISH), END]) as server:
        ends = [(await played(server, ask)).detail for _ in range(2)]
    assert [(one.outcome, one.error) for one in ends] == [("invalid", "not b"), ("served", "")]


async def test_stages_of_the_client_are_told_and_its_end_is_reported() -> None:
    ask = Ask(
        "chat",
        CHAT.fields,
        prepare=lambda: Prepared([{"role": "user", "content": "found"}], [Stage("retrieval", 2.5)]),
        finish=lambda text: [Stage("post_process", 0.5)],
    )
    begin = events(event("a"), FINISH, server_timing="queue;dur=1", x_request_id="r-9")
    timing = b'{"stages": [{"name": "prefill", "ms": 3}, {"name": "retrieval", "ms": 2.5}]}'
    async with scripted([begin, END], [whole(timing)]) as server:
        one = await played(server, ask)
        first, report = server.requests
    assert b"x-tidegate-stages: retrieval;dur=2.500\r\n" in first
    assert b'"content":"found"' in first
    assert report.startswith(b"POST /v1/tidegate/requests/r-9/stages ")
    assert json.loads(report.partition(b"\r\n\r\n")[2])["post_process"] == 0.5
    assert one.detail.stages_ms == {"queue": 1.0, "prefill": 3.0, "retrieval": 2.5, "post_process": 0.5}


async def test_what_warms_up_is_in_no_row() -> None:
    async with scripted([head(500) + b"content-length: 0\r\n\r\n"]) as server:
        taken = Emitted()
        player = Player(spec(server.url), "w", LagWatch(), taken.emit, None)
        await player.play(0, CHAT, "url", time.monotonic(), recorded=False)
        player.close()
    assert (list(taken), player.failed, player.sent) == ([], 1, 1)


async def test_in_an_open_loop_concurrency_is_what_was_under_way() -> None:
    open_loop = spec("http://x").arrivals.model_copy(
        update={"process": "poisson", "concurrency": None, "rate_per_s": 1}
    )
    async with scripted([0.05, events(event("a"), FINISH), END]) as server:
        taken = Emitted()
        one: LoadSpec = spec(server.url, arrivals=open_loop)
        player = Player(one, "w", LagWatch(), taken.emit, None)
        await asyncio.gather(*(player.play(n, CHAT, "url", time.monotonic()) for n in range(3)))
        player.close()
    assert sorted(one.row.concurrency or 0 for one in taken) in ([1, 2, 3], [3, 3, 3], [2, 3, 3])
