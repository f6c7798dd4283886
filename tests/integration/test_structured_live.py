"""Structured answers over sockets: what is found, what is repaired, and that no schema holds anybody up."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.app.candidate import candidate
from proxy.config.loader import load
from tests.support.live_proxy import Answer, Live, before
from tests.support.route_engine import RouteEngine, route_engine

PATH = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
CHECKS = "classes: [{name: interactive, validate: true}]\n"
REPAIRS = "classes: [{name: interactive, validate: {answers: true, repair: true}}]\n"


class Engine:
    """Says one text after the other, and remembers what it was asked."""

    def __init__(self, *texts: str | int) -> None:
        self.texts = list(texts)
        self.asked: list[dict[str, Any]] = []
        self.hangs = asyncio.Event()
        """At the text `hang`."""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        if text == "hang":
            self.hangs.set()
            await asyncio.sleep(60)
        if isinstance(text, int):
            return web.json_response({"error": {"message": "no"}}, status=text)
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            return web.json_response({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
        answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await answer.prepare(request)
        for piece, finish in ((text[:3], None), (text[3:], None), (None, "stop")):
            delta = {} if piece is None else {"content": piece}
            event = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            await answer.write(b"data: %b\n\n" % json.dumps(event).encode())
        await answer.write(b"data: [DONE]\n\n")
        return answer


@asynccontextmanager
async def proxied(folder: Path, engine: Engine, more: str) -> AsyncIterator[Live]:
    async with route_engine({PATH: engine.chat}) as behind:
        entry = f"  - {{url: '{_url(behind)}', name: a, models: [m]}}\n"
        async with before(folder, entry, more) as live:
            await checking(live)
            engine.asked.clear()
            yield live


def _url(engine: RouteEngine) -> str:
    return engine.url


async def checking(live: Live) -> None:
    """Until the process of checks is there."""
    async with asyncio.timeout(20):
        while await found(live) == "busy":
            await asyncio.sleep(0.05)


async def found(live: Live) -> str:
    return (await ask(live, response_format={"type": "json_object"})).headers["x-tidegate-structured"]


async def ask(live: Live, **more: Any) -> Answer:
    return await live.ask({"stream": False, "max_tokens": 50, **more})


def text(answer: Answer) -> str:
    found: str = json.loads(answer.body)["choices"][0]["message"]["content"]
    return found


async def counted(live: Live, line: str) -> None:
    async with asyncio.timeout(10):
        while line not in await live.metrics():
            await asyncio.sleep(0.05)


async def test_a_whole_answer_says_what_was_found_and_is_what_the_engine_said(tmp_path: Path) -> None:
    engine = Engine('{"n": 1}')
    async with proxied(tmp_path, engine, CHECKS) as live:
        engine.texts = ['{"n": 1}', '{"n": "one"}', "n is 1", '{"n": 1}']
        said = [await ask(live, response_format=BY_SCHEMA) for _ in range(3)]
        assert [one.headers["x-tidegate-structured"] for one in said] == ["valid", "mismatch", "not_json"]
        assert [text(one) for one in said] == ['{"n": 1}', '{"n": "one"}', "n is 1"]
        free = await ask(live)
        assert "x-tidegate-structured" not in free.headers
        assert len(engine.asked) == 4, "nothing is repaired that is not to be"
        await counted(live, 'tidegate_structured_answers_total{model="m",verdict="mismatch"} 1.0')
        assert "post_process;dur=" in said[0].headers["server-timing"]
        told = await live.send("GET", f"/v1/tidegate/requests/{said[1].headers['x-request-id']}")
        fields = json.loads(told.body)
        assert fields["structured"] == "mismatch"
        assert "post_process" in [stage["name"] for stage in fields["stages"]]


async def test_a_class_that_does_not_validate_has_no_process_and_no_header(tmp_path: Path) -> None:
    engine = Engine("no")
    async with (
        route_engine({PATH: engine.chat}) as behind,
        before(tmp_path, f"  - {{url: '{_url(behind)}', name: a, models: [m]}}\n") as live,
    ):
        answer = await ask(live, response_format=BY_SCHEMA)
        assert "x-tidegate-structured" not in answer.headers
        assert "post_process" not in answer.headers["server-timing"]
        assert "tidegate_structured_answers_total{" not in await live.metrics()


async def test_a_wrong_answer_is_asked_for_once_more(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS) as live:
        engine.texts = ['{"n": "one"}', '{"n": 1}']
        answer = await ask(live, response_format=BY_SCHEMA)
        assert answer.headers["x-tidegate-structured"] == "valid; repair=done"
        assert text(answer) == '{"n": 1}'
        first, second = engine.asked
        assert second["messages"][:-2] == first["messages"]
        assert second["messages"][-2] == {"role": "assistant", "content": '{"n": "one"}'}
        assert "$.n" in second["messages"][-1]["content"]
        assert {key: value for key, value in second.items() if key != "messages"} == {
            key: value for key, value in first.items() if key != "messages"
        }
        await counted(live, 'tidegate_structured_repairs_total{model="m",result="repaired"} 1.0')
        told = json.loads((await live.send("GET", f"/v1/tidegate/requests/{answer.headers['x-request-id']}")).body)
        assert told["completion_tokens"] == 10, "both calls are counted"
        stages = [stage["name"] for stage in told["stages"]]
        assert stages == ["queue", "engine", "repair", "post_process"]
        spent = sum(stage["ms"] for stage in told["stages"]) + told["unattributed_ms"]
        assert abs(spent - told["e2e_ms"]) < 0.01


@pytest.mark.parametrize("second", ["still not", '{"n": []}', 400, 503])
async def test_when_that_is_no_better_the_client_has_the_first_one(tmp_path: Path, second: str | int) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS) as live:
        engine.texts = ["wrong", second]
        answer = await ask(live, response_format=BY_SCHEMA, max_tokens=51)
        assert (answer.status, text(answer)) == (200, "wrong")
        assert answer.headers["x-tidegate-structured"] == "not_json; repair=failed"
        await counted(live, 'tidegate_structured_repairs_total{model="m",result="failed"} 1.0')
        engine.texts = ['{"n": 1}']
        assert (await ask(live, response_format=BY_SCHEMA)).headers["x-tidegate-structured"] == "valid"


async def test_who_leaves_while_it_is_repaired_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS) as live:
        engine.texts = ["wrong", "hang"]
        client = asyncio.ensure_future(ask(live, response_format=BY_SCHEMA))
        await engine.hangs.wait()
        client.cancel()
        await counted(live, 'tidegate_backend_in_flight{backend="a",pool="default"} 0.0')
        await counted(live, 'direction="completion"} 1')


async def test_repairs_have_a_budget(tmp_path: Path) -> None:
    engine = Engine("wrong")
    async with proxied(tmp_path, engine, REPAIRS + "retries: {budget_ratio: 0, budget_min_per_s: 0.2}\n") as live:
        for _ in range(6):
            assert text(await ask(live, response_format=BY_SCHEMA)) == "wrong"
        assert len(engine.asked) <= 8
        await counted(live, 'result="no_budget"')


async def test_a_stream_is_never_held_and_is_counted_afterwards(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS) as live:
        engine.texts = ['{"n": "one"}']
        answer = await live.ask({"stream": True, "response_format": BY_SCHEMA})
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert "x-tidegate-structured" not in answer.headers
        await counted(live, 'tidegate_structured_answers_total{model="m",verdict="mismatch"} 1.0')
        assert len(engine.asked) == 1
        told = await live.send("GET", f"/v1/tidegate/requests/{answer.headers['x-request-id']}")
        assert json.loads(told.body)["structured"] == "mismatch"


async def test_no_schema_holds_anybody_up(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS) as live:
        engine.texts = ['"' + "a" * 60 + '!"']
        deep: Any = json.loads('{"properties":{"a":' * 400 + "{}" + "}}" * 400)
        schemas: list[tuple[Any, str]] = [
            ({"pattern": "^(a+)+$"}, "timeout"),
            ({"pattern": "^(a+)+$"}, "timeout"),
            ({"description": "x" * 900_000}, "too_large"),
            ({"$ref": "#"}, "schema_unusable"),
            ({"$ref": "http://127.0.0.1:9/never"}, "schema_unusable"),
            (deep, "schema_unusable"),
        ]
        for schema, found in schemas:
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            async with asyncio.timeout(10):
                answer = await ask(live, response_format=form)
                while found != "busy" and answer.headers["x-tidegate-structured"] == "busy":
                    await asyncio.sleep(0.05)
                    answer = await ask(live, response_format=form)
            assert (answer.status, answer.headers["x-tidegate-structured"]) == (200, found)
            assert text(answer) == engine.texts[0]


def reloaded(live: Live, before: str, after: str) -> None:
    live.file.write_text(live.file.read_text().replace(before, after))
    loaded = load(live.file, {})
    assert loaded.config is not None, loaded.diagnostics
    live.proxy.configured.prepare(candidate(loaded.config, loaded.rule_lines))()


async def test_another_configuration_switches_it_off_and_on(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, CHECKS) as live:
        engine.texts = ["wrong"]
        reloaded(live, "validate: true", "validate: false")
        assert "x-tidegate-structured" not in (await ask(live, response_format=BY_SCHEMA)).headers
        reloaded(live, "validate: false", "validate: true")
        await checking(live)
        assert (await ask(live, response_format=BY_SCHEMA)).headers["x-tidegate-structured"] == "not_json"
        reloaded(live, "validate: true", "validate: {answers: true, repair: true}")
        engine.texts = ["wrong", '{"n": 1}']
        repaired = await ask(live, response_format=BY_SCHEMA)
        assert repaired.headers["x-tidegate-structured"] == "valid; repair=done"


async def test_what_is_wrong_is_not_kept_and_what_is_repaired_neither(tmp_path: Path) -> None:
    engine = Engine("{}")
    async with proxied(tmp_path, engine, REPAIRS + "cache: {size: 16MiB}\n") as live:
        engine.texts = ["wrong", '{"n": 1}', '{"n": 2}', '{"n": 3}']
        asked = {"response_format": BY_SCHEMA, "temperature": 0}
        answers = [await ask(live, **asked) for _ in range(3)]
        assert [text(one) for one in answers] == ['{"n": 1}', '{"n": 2}', '{"n": 2}']
        assert [one.headers["x-tidegate-cache"] for one in answers] == ["miss", "miss", "hit"]
