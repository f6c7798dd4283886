"""Anthropic's own API behind the proxy: its operator's key where it reads one, and the version that it asks for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from aiohttp import web

from proxy.cli.main import main
from tests.integration.test_odd_engines_live import until
from tests.support.live_proxy import Live, before
from tests.support.route_engine import route_engine

OURS = "sk-ant-ours"
MODELS = {
    "data": [
        {"type": "model", "id": f"claude-{n}", "display_name": f"Claude {n}", "created_at": "2026-01-01T00:00:00Z"}
        for n in range(30)
    ],
    "has_more": False,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
ASKED = {"model": "claude-1", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}


class Cloud:
    """It answers as its reference says, and remembers the heads of what it was asked."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.routes: dict[str, Any] = {
            "/v1/models": self._models,
            "/v1/messages": self._message,
            "/v1/chat/completions": self._chat,
        }

    def _refuses(self, request: web.Request) -> web.Response | None:
        head = {name.lower(): value for name, value in request.headers.items()}
        self.heads.append((request.path, head))
        if "x-api-key" not in head or "authorization" in head:
            error = {"type": "authentication_error", "message": "x-api-key header is required"}
            return web.json_response({"type": "error", "error": error}, status=401)
        if head.get("anthropic-version") is None:
            error = {"type": "invalid_request_error", "message": "anthropic-version: header is required"}
            return web.json_response({"type": "error", "error": error}, status=400)
        return None

    async def _models(self, request: web.Request) -> web.Response:
        most = int(request.query.get("limit", "20"))
        told = MODELS | {"data": MODELS["data"][:most], "has_more": most < len(MODELS["data"])}  # type: ignore[index,arg-type]
        return self._refuses(request) or web.json_response(told)

    async def _message(self, request: web.Request) -> web.Response:
        return self._refuses(request) or web.json_response(MESSAGE)

    async def _chat(self, request: web.Request) -> web.Response:
        """It takes clients of OpenAI there, who know bearer tokens alone."""
        self.heads.append((request.path, {name.lower(): value for name, value in request.headers.items()}))
        if request.headers.get("authorization") is None:
            return web.json_response({"error": {"message": "no key", "type": "authentication_error"}}, status=401)
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        return web.json_response({"id": "1", "object": "chat.completion", "model": "claude-1", "choices": [choice]})

    def head(self, path: str) -> dict[str, str]:
        """Of the last request there."""
        return next(head for asked, head in reversed(self.heads) if asked == path)


@asynccontextmanager
async def cloud(tmp_path: Path, *, key: bool = True) -> AsyncIterator[tuple[Cloud, Live]]:
    """By its host name, which leads to this machine."""
    secret = tmp_path / "key"
    secret.write_text(OURS)
    secret.chmod(0o600)
    there = Cloud()
    async with route_engine(there.routes, server="cloudflare") as engine:
        port = engine.url.rpartition(":")[2]
        shown = f", api_key: '${{file:{secret}}}'" if key else ", models: [claude-1]"
        line = f"  - {{url: 'http://api.anthropic.com:{port}', ip: 127.0.0.1, name: a{shown}}}\n"
        async with before(tmp_path, line) as live:
            yield there, live


async def test_the_operators_key_goes_where_it_is_read_and_no_clients_does(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (there, live):
        client = anthropic.AsyncAnthropic(base_url=live.proxy.listen_url, api_key="sk-theirs", max_retries=0)
        told = await client.messages.create(**ASKED)  # type: ignore[call-overload]
        assert told.content[0].text == "hi"
        head = there.head("/v1/messages")
        assert (head["x-api-key"], head.get("authorization")) == (OURS, None)
        assert head["anthropic-version"] == client.default_headers["anthropic-version"]
        assert "sk-theirs" not in json.dumps(there.heads)


async def test_all_its_models_are_listed(tmp_path: Path) -> None:
    """It tells no more than 20 unless it is asked for more, and nothing to who shows its key as a bearer token."""
    async with cloud(tmp_path) as (_, live):
        told = await live.send("GET", "/v1/models", None)
        assert len(json.loads(told.body)["data"]) == 30
        assert (await until(live, lambda one: bool(one["models"])))["engine"]["kind"] == "anthropic"


async def test_a_client_without_a_version_is_given_one_and_its_own_is_kept(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (there, live):
        assert (await live.send("POST", "/v1/messages", ASKED)).status == 200
        assert there.head("/v1/messages")["anthropic-version"] == "2023-06-01"
        later = {"anthropic-version": "2027-01-01"}
        assert (await live.send("POST", "/v1/messages", ASKED, **later)).status == 200
        assert there.head("/v1/messages")["anthropic-version"] == "2027-01-01"


async def test_chats_in_openais_shape_carry_it_as_a_bearer_token(tmp_path: Path) -> None:
    async with cloud(tmp_path) as (there, live):
        assert (await live.send("POST", "/v1/chat/completions", ASKED)).status == 200
        head = there.head("/v1/chat/completions")
        assert (head["authorization"], head.get("x-api-key")) == (f"Bearer {OURS}", None)


async def test_without_a_key_of_the_operators_clients_show_their_own(tmp_path: Path) -> None:
    async with cloud(tmp_path, key=False) as (there, live):
        assert (await live.send("POST", "/v1/messages", ASKED, **{"x-api-key": "sk-theirs"})).status == 200
        assert there.head("/v1/messages")["x-api-key"] == "sk-theirs"


async def test_doctor_asks_it_as_it_wants_to_be_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with cloud(tmp_path) as (there, live):
        there.heads.clear()
        await asyncio.to_thread(main, ["doctor", str(live.file), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert "anthropic, serves claude-0" in json.dumps(found)
        assert {head.get("x-api-key") for _, head in there.heads} == {OURS}
