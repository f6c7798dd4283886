"""Engines that give answers up because somebody told them to: nobody takes half an answer for a whole one.

SGLang's and vLLM's wire by their sources (`finish_reason: abort`); the real vLLM put to sleep mid-stream stands in
tests/engines/test_given_up.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_odd_engines_live import FAST, until
from tests.integration.test_scripted_engines_live import CHAT, SGLANG, alone, beside, in_front, says, streams
from tests.integration.test_unlike_engines import chat
from tests.support.live_proxy import before
from tests.support.route_engine import listed, model, route_engine

MESSAGES = "/v1/messages"
STORY = "said by the sound one"
VLLM = listed(model("m"))


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "matched_stop": None}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


ROLE = chunk(role="assistant", content="")
WHOLE = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Once upon"}, "finish_reason": "abort"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def last_error(body: bytes) -> dict[str, Any]:
    events = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line.startswith(b"data: ")]
    error: dict[str, Any] = json.loads(events[-1])["error"]
    return error


async def test_a_whole_answer_is_asked_of_another_backend(tmp_path: Path) -> None:
    answers, engine = await beside(tmp_path, {**SGLANG, CHAT: says(200, WHOLE)}, chat(stream=False))
    assert {one.status for one in answers} == {200}
    assert b"abort" not in b"".join(one.body for one in answers)
    assert engine.asked[CHAT] > 0


async def test_alone_it_is_an_error_and_half_an_answer_reaches_nobody(tmp_path: Path) -> None:
    got = await alone(tmp_path, {**SGLANG, CHAT: says(200, WHOLE)}, chat(stream=False))
    error = json.loads(got.body)["error"]
    assert (got.status, error["code"]) == (502, "backend_aborted")
    assert b"Once upon" not in got.body


async def test_a_message_that_vllm_gave_up_has_no_reason(tmp_path: Path) -> None:
    told = {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Once"}]}
    told |= {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}
    got = await alone(tmp_path, {"/v1/models": VLLM, "/v1/messages": says(200, told)}, chat(stream=False), MESSAGES)
    assert (got.status, json.loads(got.body)["type"]) == (502, "error")


async def test_before_its_first_token_a_stream_goes_elsewhere(tmp_path: Path) -> None:
    gives_up = streams(chunk("abort"), "[DONE]")
    answers, engine = await beside(tmp_path, {**SGLANG, CHAT: gives_up}, chat(stream=True))
    assert {one.status for one in answers} == {200}
    assert b"abort" not in b"".join(one.body for one in answers)
    assert engine.asked[CHAT] > 0


@pytest.mark.parametrize("granularity", ["engine", "token", "text"])
async def test_inside_a_stream_it_is_one_error_and_its_last_event(tmp_path: Path, granularity: str) -> None:
    said = streams(ROLE, chunk(content="Once"), chunk(content=" upon"), chunk("abort"), "[DONE]")
    classes = f"classes: [{{name: interactive, stream: {{granularity: {granularity}}}}}]\n"
    async with in_front(tmp_path, {**SGLANG, CHAT: said}, classes) as live:
        got = await live.ask(chat(stream=True))
        metrics = await live.metrics()
    assert got.status == 200
    assert b"Once" in got.body
    assert b"upon" in got.body
    assert last_error(got.body)["code"] == "backend_aborted"
    assert b"[DONE]" not in got.body
    assert b'"abort"' not in got.body
    assert any("aborted" in line and line.endswith(" 1.0") for line in metrics.splitlines()), "told as what it is"


async def test_an_answer_that_is_put_together_of_a_stream_is_asked_of_another_one(tmp_path: Path) -> None:
    gives_up = streams(ROLE, chunk(content="Once"), chunk("abort"), "[DONE]")
    sound = streams(ROLE, chunk(content=STORY), chunk("stop"), "[DONE]")
    async with route_engine({**SGLANG, CHAT: gives_up}) as a, route_engine({**SGLANG, CHAT: sound}) as b:
        lines = "".join(
            f"  - {{url: '{one.url}', name: {name}, stream_upstream: always}}\n" for one, name in ((a, "a"), (b, "b"))
        )
        async with before(tmp_path, lines, FAST.replace("routing: {", "routing: {policy: round_robin, ")) as live:
            await until(live, lambda one: bool(one["engine"]["kind"]))
            await until(live, lambda one: bool(one["engine"]["kind"]), "b")
            answers = [await live.ask(chat(stream=False)) for _ in range(4)]
    texts = [json.loads(one.body)["choices"][0]["message"]["content"] for one in answers]
    assert texts == [STORY] * 4
    assert a.asked[CHAT] > 0
