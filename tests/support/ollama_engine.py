"""An Ollama by script: its own API, streams of lines of JSON included, as its server writes them.

What goes wrong is named by `x-fake`: `SCRIPTS`. Times are fixed, so that two answers compare.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.engine_scripts import hang
from tests.support.fake_backend import Exchange, Script
from tests.support.fake_engine import Answer, answer_to, json_answer, send_answer
from tests.support.http_bytes import LAST_CHUNK, chunk, head_bytes

VERSION = "0.33.0"
WHEN = "2026-01-01T00:00:00.000001Z"
DETAILS = {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8.0B"}
NDJSON = "application/x-ndjson"
Fields = dict[str, Any]


def entry(name: str) -> Fields:
    details = DETAILS | {"quantization_level": "Q4_K_M"}
    return {"name": name, "model": name, "modified_at": WHEN, "size": 97 << 20, "digest": "0" * 64, "details": details}


def line(fields: Fields) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


async def ollama(exchange: Exchange) -> None:
    """The default script of one."""
    request, models = exchange.request, exchange.backend.models
    if request.path in _TOLD:
        await send_answer(exchange, _TOLD[request.path](models))
    elif request.path in _ASKED:
        await _answered(exchange, request.json())
    elif request.path == "/v1/models":
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "library"} for name in models]
        await send_answer(exchange, json_answer({"object": "list", "data": listed}))
    elif request.path.startswith("/v1/"):
        await send_answer(exchange, answer_to(request, models))
    else:
        await send_answer(exchange, Answer(404, b"404 page not found", "text/plain"))


async def _answered(exchange: Exchange, body: Fields) -> None:
    model, path = body.get("model") or body.get("name") or "", exchange.request.path
    if model not in exchange.backend.models and f"{model}:latest" not in exchange.backend.models:
        await send_answer(exchange, json_answer({"error": f"model '{model}' not found"}, 404))
    elif path not in _TEXTS:
        await send_answer(exchange, json_answer(_ASKED[path](body)))
    elif body.get("stream", True):
        await begin(exchange)
        for fields in lines(path, body):
            await exchange.send(chunk(line(fields)))
        await exchange.send(LAST_CHUNK)
    else:
        await send_answer(exchange, json_answer(whole(path, body)))


async def begin(exchange: Exchange) -> None:
    """The head of a stream."""
    head = [("content-type", NDJSON), ("date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("transfer-encoding", "chunked")]
    await exchange.send(head_bytes("HTTP/1.1 200 OK", head))


def lines(path: str, body: Fields) -> Iterator[Fields]:
    """A whole stream."""
    pieces = list(_pieces(path, body))
    for piece in pieces:
        yield {"model": body["model"], "created_at": WHEN, **_shown(path, piece), "done": False}
    yield _last(path, body, len(pieces))


def whole(path: str, body: Fields) -> Fields:
    """The same in one piece."""
    pieces = list(_pieces(path, body))
    joined: Fields = {}
    for piece in pieces:
        for name, value in piece.items():
            joined[name] = joined[name] + value if name in joined else value
    last = _last(path, body, len(pieces))
    return last | _shown(path, joined) if joined else last


def _last(path: str, body: Fields, count: int) -> Fields:
    last = {"model": body["model"], "created_at": WHEN, **_shown(path, {}), "done": True}
    if not count:
        return last | {"done_reason": "load"}
    times = {"total_duration": 9, "load_duration": 1, "prompt_eval_duration": 3, "eval_duration": 4}
    more: Fields = {"context": [1, 2, 3]} if path == "/api/generate" else {}
    return last | more | times | {"done_reason": "stop", "prompt_eval_count": prompt_tokens(body), "eval_count": count}


def prompt_tokens(body: Fields) -> int:
    """As it counts them."""
    return len(json.dumps(body.get("messages") or body.get("prompt"))) // 4


def _pieces(path: str, body: Fields) -> Iterator[Fields]:
    asked = body.get("messages") if path == "/api/chat" else body.get("prompt")
    if not asked:
        return
    if body.get("think"):
        yield from ({"thinking": word} for word in ("Let ", "me ", "see."))
    if body.get("tools") and path == "/api/chat":
        name = body["tools"][0]["function"]["name"]
        yield {"tool_calls": [{"function": {"index": 0, "name": name, "arguments": {"error": "Zürich", "n": 1}}}]}
        return
    said = asked if isinstance(asked, str) else asked[-1]["content"]
    text = json.dumps({"city": "Zürich"}, ensure_ascii=False) if body.get("format") else f'echo: {said} "é" \\ 😀\n'
    words = [word + " " for word in text.split(" ")]
    most = (body.get("options") or {}).get("num_predict")
    yield from ({"text": word} for word in (words if most is None or most < 0 else words[:most]))


def _shown(path: str, piece: Fields) -> Fields:
    more = {name: value for name, value in piece.items() if name != "text"}
    if path == "/api/generate":
        return {"response": piece.get("text", ""), **more}
    return {"message": {"role": "assistant", "content": piece.get("text", ""), **more}}


def _embed(body: Fields) -> Fields:
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vectors = [[float(len(text)), 0.5] for text in inputs]
    return {"model": body["model"], "embeddings": vectors, "total_duration": 9, "prompt_eval_count": 4 * len(inputs)}


def _show(body: Fields) -> Fields:
    info = {"general.architecture": "llama", "llama.context_length": 8192}
    shown = {"modelfile": "FROM x", "parameters": 'stop "x"', "template": "{{ .Prompt }}", "details": DETAILS}
    return {**shown, "model_info": info, "capabilities": ["completion"], "asked": body}


_TEXTS = ("/api/chat", "/api/generate")
_TOLD: dict[str, Callable[[tuple[str, ...]], Answer]] = {
    "/": lambda models: Answer(200, b"Ollama is running", "text/plain; charset=utf-8"),
    "/api/version": lambda models: json_answer({"version": VERSION}),
    "/api/tags": lambda models: json_answer({"models": [entry(name) for name in models]}),
    "/api/ps": lambda models: json_answer(
        {"models": [entry(models[0]) | {"expires_at": WHEN, "size_vram": 0, "context_length": 4096}]}
    ),
}
_ASKED: dict[str, Callable[[Fields], Fields]] = {
    "/api/embed": _embed,
    "/api/embeddings": lambda body: {"embedding": [float(len(body["prompt"])), 0.5]},
    "/api/show": _show,
    **dict.fromkeys(_TEXTS, dict),
}


async def _stream_then(exchange: Exchange) -> None:
    """`lines-then HOW`: two lines, and then what is named."""
    body = exchange.request.json()
    sent = list(lines(exchange.request.path, body))
    await begin(exchange)
    for fields in sent[:2]:
        await exchange.send(chunk(line(fields)))
    await _ENDINGS[exchange.arguments[0]](exchange, line(sent[2]))


async def _end(exchange: Exchange, _: bytes) -> None:
    await exchange.send(LAST_CHUNK)


async def _cut(exchange: Exchange, following: bytes) -> None:
    await exchange.send(chunk(following[: len(following) // 2]) + LAST_CHUNK)


async def _reset(exchange: Exchange, following: bytes) -> None:
    await exchange.send(chunk(following[: len(following) // 2]))
    exchange.reset()


async def _silence(exchange: Exchange, _: bytes) -> None:
    await hang(exchange)


async def _error(exchange: Exchange, _: bytes) -> None:
    await exchange.send(chunk(b'{"error":"the runner broke"}\n') + LAST_CHUNK)


async def _first_error(exchange: Exchange) -> None:
    """Its head is out before its runner fails."""
    await begin(exchange)
    await exchange.send(chunk(b'{"error":"llama runner process has terminated"}\n') + LAST_CHUNK)


async def _error_status(exchange: Exchange) -> None:
    """`api-error STATUS TEXT…`"""
    status, *words = exchange.arguments
    await send_answer(exchange, json_answer({"error": " ".join(words)}, int(status)))


async def _long(exchange: Exchange) -> None:
    """`long BYTES`: a line of so many in the middle of a stream."""
    size, body = int(exchange.arguments[0]), exchange.request.json()
    first, *_, last = lines(exchange.request.path, body)
    empty = len(line(_with(first, "")))
    await begin(exchange)
    await exchange.send(chunk(line(first)) + chunk(line(_with(first, "x" * (size - empty)))) + chunk(line(last)))
    await exchange.send(LAST_CHUNK)


def _with(fields: Fields, content: str) -> Fields:
    return fields | {"message": {"role": "assistant", "content": content}}


async def _without_end(exchange: Exchange) -> None:
    """Its last line has no end."""
    *some, last = lines(exchange.request.path, exchange.request.json())
    await begin(exchange)
    await exchange.send(b"".join(chunk(line(fields)) for fields in some) + chunk(line(last)[:-1]) + LAST_CHUNK)


async def _late(exchange: Exchange) -> None:
    """`late SECONDS`: so long nothing, not even a head."""
    await asyncio.sleep(float(exchange.arguments[0]))
    await ollama(exchange)


async def _in_bytes(exchange: Exchange) -> None:
    """Every byte of the stream in a chunk of its own."""
    await begin(exchange)
    for fields in lines(exchange.request.path, exchange.request.json()):
        for byte in line(fields):
            await exchange.send(chunk(bytes([byte])))
    await exchange.send(LAST_CHUNK)


_ENDINGS = {"end": _end, "cut": _cut, "reset": _reset, "silence": _silence, "error": _error}
SCRIPTS: dict[str, Script] = {
    "lines-then": _stream_then,
    "first-error": _first_error,
    "api-error": _error_status,
    "long": _long,
    "without-end": _without_end,
    "in-bytes": _in_bytes,
    "late": _late,
}
