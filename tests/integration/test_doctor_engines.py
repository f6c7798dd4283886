"""`tidegate doctor` before scripted engines of each kind, which say what their sources have them say: recognised, asked
for nothing that would change them, and told what is wrong with their set-up."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from proxy.cli.main import main


class Scripted(NamedTuple):
    """An engine: what it answers to GETs, and what is found."""

    name: str
    owner: str
    answers: dict[str, Any]
    """Path → JSON, text, or a status."""
    found: list[str]
    server: str = "uvicorn"
    model: str = "m"


SGLANG = {"enable_cache_report": False, "disable_radix_cache": True, "max_running_requests": 4, "version": "0.5.23"}
ENGINES = [
    Scripted(
        "sglang",
        "sglang",
        {"/server_info": SGLANG, "/get_server_info": SGLANG, "/metrics": 404},
        ["no-metrics", "cached-tokens-untold", "prefix-cache-off", "few-seats"],
    ),
    Scripted(
        "tgi",
        "m",
        {"/info": {"version": "3.3.6", "max_concurrent_requests": 4, "max_total_tokens": 2048}, "/metrics": ""},
        ["few-seats", "short-context", "only-maintained"],
        server="",
    ),
    Scripted("lmdeploy", "lmdeploy", {"/metrics": 404}, ["no-metrics"]),
    Scripted(
        "tensorrt-llm", "tensorrt_llm", {"/prometheus/metrics": 404, "/version": {"version": "1.2"}}, ["no-metrics"]
    ),
    Scripted(
        "ollama",
        "library",
        {
            "/api/version": {"version": "0.33.0"},
            "/api/ps": {"models": [{"name": "m:latest", "context_length": 4096, "size": 10, "size_vram": 5}]},
        },
        ["short-context", "not-on-gpu"],
        server="",
        model="m:latest",
    ),
    Scripted("vllm", "vllm", {"/metrics": 404, "/version": {"version": "0.8.5"}}, ["no-metrics", "old"]),
]
HARMLESS = {"/v1/models", "/metrics", "/prometheus/metrics", "/info", "/version", "/is_sleeping"}
HARMLESS |= {"/server_info", "/get_server_info", "/api/ps", "/api/version", "/v1/loads", "/props", "/api/tags"}


@contextmanager
def running(engine: Scripted) -> Iterator[tuple[int, list[str]]]:
    """Its port, and what it was asked."""
    asked: list[str] = []
    created = 0 if engine.name == "tgi" else 1
    models = {"object": "list", "data": [{"id": engine.model, "owned_by": engine.owner, "created": created}]}
    answers = {"/v1/models": models, **engine.answers}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n")[0].split(" ")
        asked.append(f"{method} {target.partition('?')[0]}")
        if method == "POST":
            await stream(head, reader, writer)
            return
        told = answers.get(target.partition("?")[0], 404)
        status = told if isinstance(told, int) else 200
        body = "{}" if isinstance(told, int) else told if isinstance(told, str) else json.dumps(told)
        server = f"server: {engine.server}\r\n" if engine.server else ""
        said = f"HTTP/1.1 {status} X\r\n{server}content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}"
        writer.write(said.encode())
        writer.close()

    async def stream(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As llama.cpp's: a connection that carried one takes no second request, and does not say so."""
        await reader.readexactly(int(head.lower().partition("content-length: ")[2].partition("\r")[0]))
        text = 'data: {"usage":{"prompt_tokens":9}}\n\ndata: [DONE]\n\n'
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
        if await reader.read(1):
            writer.transport.abort()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        if tasks := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.wait(tasks))
        loop.close()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_what_is_wrong_with_its_set_up(engine: Scripted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routing.yaml"
    with running(engine) as (port, asked):
        file.write_text(f'version: 1\nadmin: 127.0.0.1:1\nbackends: [{{url: "http://127.0.0.1:{port}", name: a}}]\n')
        assert main(["doctor", str(file), "--json"]) == 0
    told = [one for one in json.loads(capsys.readouterr().out) if one["where"] == "a"]
    assert [one["id"] for one in told] == ["engine-seen", *(f"{engine.name}-{name}" for name in engine.found)]
    assert told[0]["what"].startswith(engine.name.replace("-", "_"))
    assert {one.partition(" ")[0] for one in asked} == {"GET"}
    assert {one.partition(" ")[2] for one in asked} <= HARMLESS
    if engine.name == "tensorrt-llm":
        assert "GET /metrics" not in asked, "reading it empties it"


def test_a_connection_that_carried_a_stream_is_not_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Scripted("llama-cpp", "llamacpp", {"/props": {"is_sleeping": False, "total_slots": 4}}, [])
    file = tmp_path / "routing.yaml"
    with running(engine) as (port, asked):
        file.write_text(f'version: 1\nadmin: 127.0.0.1:1\nbackends: [{{url: "http://127.0.0.1:{port}", name: a}}]\n')
        assert main(["doctor", str(file), "--json", "--try"]) == 0
    found = {one["id"]: one["what"] for one in json.loads(capsys.readouterr().out)}
    assert found["engine-tried"].startswith("m answers; "), found
    assert asked.count("POST /v1/chat/completions") == 2


@pytest.mark.parametrize("is_asleep", [True, False])
def test_a_llama_server_that_sleeps_is_not_woken(
    is_asleep: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its `/metrics` would load the model again, in builds of half a year."""
    told = {"is_sleeping": is_asleep, "total_slots": 4, "build_info": "b9760-6ee0f6579"}
    engine = Scripted("llama-cpp", "llamacpp", {"/props": told, "/metrics": 501, "/slots": []}, [])
    file = tmp_path / "routing.yaml"
    with running(engine) as (port, asked):
        file.write_text(f'version: 1\nadmin: 127.0.0.1:1\nbackends: [{{url: "http://127.0.0.1:{port}", name: a}}]\n')
        assert main(["doctor", str(file), "--json"]) == 0
    found = {one["id"] for one in json.loads(capsys.readouterr().out)}
    assert ("GET /metrics" in asked, "GET /slots" in asked) == (not is_asleep, False)
    assert ("llama-cpp-asleep" in found, "llama-cpp-no-metrics" in found) == (is_asleep, not is_asleep)
