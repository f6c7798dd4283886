"""Targets, before the first request: which can be measured, and what is said of those that cannot."""

import json
from collections.abc import Sequence

import pytest

from proxy.bench.target import Found, TargetError, find_out, is_here
from tests.unit.bench.engines_made import engine
from tests.unit.bench.servers import END, Step, events, scripted, whole

MODELS = [whole(b'{"data": [{"id": "m", "owned_by": "vllm"}]}')]
EVENT = '{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}'
USAGE = '{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'
GOOD = [events(EVENT, USAGE, "[DONE]"), END]


async def found(*scripts: Sequence[Step], models: Sequence[str] = (), probe: bool = True) -> Found:
    async with scripted(*scripts) as server:
        return await find_out(server.url, {}, "chat", models, probe=probe)


async def test_an_engine() -> None:
    async with engine() as server:
        one = await find_out(server.url, {}, "chat", ())
        vectors = await find_out(server.url, {}, "embeddings", ())
    assert (one.models, one.owner, one.is_tidegate, one.includes_usage, one.notes) == (["sim"], "vllm", False, True, [])
    assert vectors.notes == []


async def test_a_tidegate_is_known_by_its_headers() -> None:
    one = await found(MODELS, [events(EVENT, USAGE, "[DONE]", x_tidegate_route="backend=a"), END])
    assert one.is_tidegate


async def test_a_server_that_does_not_take_stream_options() -> None:
    refusal = whole(json.dumps({"error": {"message": "Unrecognized: stream_options"}}).encode(), 400)
    one = await found(MODELS, [refusal], [events(EVENT, "[DONE]"), END])
    assert not one.includes_usage
    assert "does not take stream_options" in one.notes[0]
    assert "says no usage" in one.notes[1]


async def test_a_model_that_is_not_listed_is_noted() -> None:
    one = await found(MODELS, GOOD, models=["other"])
    assert "does not list the model 'other'; it lists m" in one.notes[0]


async def test_a_server_without_a_list_is_measured_where_a_model_is_named() -> None:
    assert (await found([whole(b"", 404)], GOOD, models=["m"])).models == []


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ([[whole(b"<html>welcome to nginx</html>")]], "is it an OpenAI-compatible server? GET /v1/models answered 200"),
        ([[whole(b"", 404)]], "answered 404; if it is, name a model: --model NAME"),
        ([[whole(b'{"data": []}')]], "has no model in its list"),
        ([[whole(b"", 401)]], "wants another key (HTTP 401)"),
        ([[None]], "nothing can be measured at"),
        ([[b"220 smtp ready\r\n\r\n"]], "its answer is not HTTP"),
        ([MODELS, [whole(b'{"error": {"message": "boom"}}', 500)]], "is not answered: boom (HTTP 500)"),
        ([MODELS, [whole(b"", 404)]], "it may not have /v1/chat/completions"),
        (
            [MODELS, [events(EVENT.replace('"finish_reason": "stop"', '"index": 0')), END]],
            "ended without finish_reason",
        ),
        ([MODELS, [events(EVENT), None]], "the connection was closed"),
    ],
)
async def test_what_cannot_be_measured(scripts: list[Sequence[Step]], said: str) -> None:
    with pytest.raises(TargetError) as refused:
        await found(*scripts)
    assert said in str(refused.value)


async def test_nobody_there() -> None:
    with pytest.raises(TargetError, match=r"nothing can be measured at http://127\.0\.0\.1:1: connection refused"):
        await find_out("http://127.0.0.1:1", {}, "chat", ())


def test_this_machine() -> None:
    assert is_here("http://localhost:1")
    assert is_here("http://[::1]:1")
    assert not is_here("http://10.0.0.1")
