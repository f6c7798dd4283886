"""The well-behaved engine: the same request always gets the same answer, so that direct and through the proxy compare.

Owns what an answer holds. Framing and misbehaviour are the business of `fake_backend` and `engine_scripts`.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.support.fake_backend import Exchange, Received
from tests.support.http_bytes import LAST_CHUNK, HeaderList, chunk, head_bytes

CREATED = 1_700_000_000
_OWN_HEADERS: HeaderList = [
    ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("server", "fake-engine/1.0"),
    ("set-cookie", "engine=1; Path=/"),
    ("x-ratelimit-limit-requests", "100"),
    ("x-ratelimit-remaining-requests", "41"),
    ("x-ratelimit-reset-requests", "6m0s"),
    ("x-ratelimit-limit-tokens", "40000"),
    ("x-ratelimit-remaining-tokens", "39000"),
    ("x-ratelimit-reset-tokens", "60ms"),
    ("openai-processing-ms", "17"),
    ("openai-version", "2020-10-01"),
]


@dataclass
class Answer:
    """What the engine says: a body, or events of a stream."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    events: list[bytes] | None = None
    headers: HeaderList = field(default_factory=list)


async def well_behaved(exchange: Exchange) -> None:
    """The default script of a fake backend."""
    await send_answer(exchange, answer_to(exchange.request, exchange.backend.models))


async def send_answer(exchange: Exchange, answer: Answer) -> None:
    """Puts an answer on the wire: Content-Length for a body, chunked for a stream."""
    if answer.events is None:
        await exchange.send(plain_answer_bytes(answer, exchange.request.method == "HEAD"))
        return
    await exchange.send(stream_head(answer))
    for event in answer.events:
        await exchange.send(chunk(event))
    await exchange.send(LAST_CHUNK)


def plain_answer_bytes(answer: Answer, head_only: bool = False) -> bytes:
    fields = [("content-type", answer.content_type), ("content-length", str(len(answer.body)))]
    head = head_bytes(f"HTTP/1.1 {answer.status} Whatever", [*fields, *_OWN_HEADERS, *answer.headers])
    return head if head_only else head + answer.body


def stream_head(answer: Answer | None = None) -> bytes:
    fields: HeaderList = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")]
    return head_bytes("HTTP/1.1 200 OK", [*fields, *_OWN_HEADERS, *(answer.headers if answer else [])])


def json_answer(value: Any, status: int = 200, headers: HeaderList | None = None) -> Answer:
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), headers=headers or [])


def error_answer(status: int, code: str | None, param: str | None = None, headers: HeaderList | None = None) -> Answer:
    error = {"message": f"the engine says {code}", "type": "engine_error_type", "param": param, "code": code}
    return json_answer({"error": error}, status, headers)


def event(value: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    prefix = f"event: {name}\n" if name else ""
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{prefix}data: {data}\n\n".encode()


DONE = event("[DONE]")


def answer_to(request: Received, models: tuple[str, ...]) -> Answer:
    """The answer of a healthy engine."""
    if request.path == "/v1/models":
        return json_answer({"object": "list", "data": [model_object(name) for name in models]})
    if request.path.startswith("/v1/models/"):
        return _model(unquote(request.path.removeprefix("/v1/models/")), models)
    return _ROUTES.get(request.path, _other)(request)


def _model(name: str, models: tuple[str, ...]) -> Answer:
    return json_answer(model_object(name)) if name in models else error_answer(404, "model_not_found", "model")


def model_object(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}


def chat_chunk(
    delta: dict[str, Any], finish: str | None = None, index: int = 0, model: str = "fake-model", **more: Any
) -> dict[str, Any]:
    """One chunk of a chat stream."""
    choice = {"index": index, "delta": delta, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "system_fingerprint": "fp_fake",
        "choices": [choice],
        **more,
    }


def chat_text(body: dict[str, Any]) -> str:
    """What the engine says to a chat: JSON when the client wants a schema, else the last message again."""
    if (body.get("response_format") or {}).get("type") in ("json_schema", "json_object"):
        return json.dumps({"city": "Zürich", "population": 436_332, "tags": ["lake", "Ü"]}, ensure_ascii=False)
    content = body["messages"][-1].get("content")
    if isinstance(content, str):
        return f"echo: {content}"
    return f"echo of {len(content or [])} parts, {_digest(json.dumps(content).encode())}"


# ------------------------------------------------------------------------------------------------- chat


def _chat(request: Received) -> Answer:
    body = request.json()
    if body.get("stream"):
        return Answer(200, events=[*_chat_events(body), DONE])
    choices = [_chat_choice(body, index) for index in range(body.get("n") or 1)]
    return json_answer(
        {
            "id": f"chatcmpl-{_digest(request.body)}",
            "object": "chat.completion",
            "created": CREATED,
            "model": body["model"],
            "choices": choices,
            "usage": _usage(body),
            "system_fingerprint": "fp_fake",
        }
    )


def _chat_choice(body: dict[str, Any], index: int) -> dict[str, Any]:
    if body.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [_tool_call(body["tools"][0])]}
        return {"index": index, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    text = chat_text(body)
    logprobs = {"content": [_logprob(word) for word in _words(text)], "refusal": None} if body.get("logprobs") else None
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": "stop"}


def _chat_events(body: dict[str, Any]) -> Iterator[bytes]:
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    usage: dict[str, Any] = {"usage": None} if with_usage else {}
    model = body["model"]
    for index in range(body.get("n") or 1):
        yield event(chat_chunk({"role": "assistant", "content": ""}, index=index, model=model, **usage))
        for delta, logprobs in _deltas(body):
            yield event(chat_chunk(delta, index=index, model=model, logprobs=logprobs, **usage))
        finish = "tool_calls" if body.get("tools") else "stop"
        yield event(chat_chunk({}, finish, index, model, **usage))
    if with_usage:
        yield event({**chat_chunk({}, model=model), "choices": [], "usage": _usage(body)})


def _deltas(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    if body.get("tools"):
        call = _tool_call(body["tools"][0])
        arguments = call["function"]["arguments"]
        head = {"index": 0, "id": call["id"], "type": "function"}
        yield {"tool_calls": [head | {"function": {"name": call["function"]["name"], "arguments": ""}}]}, None
        for start in range(0, len(arguments), 7):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": arguments[start : start + 7]}}]}, None
        return
    for word in _words(chat_text(body)):
        yield {"content": word}, ({"content": [_logprob(word)], "refusal": None} if body.get("logprobs") else None)


def _tool_call(tool: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps({"city": "Zürich", "note": 'a "quoted" \n line'}, ensure_ascii=False)
    return {"id": "call_1", "type": "function", "function": {"name": tool["function"]["name"], "arguments": arguments}}


def _logprob(word: str) -> dict[str, Any]:
    same = {"token": word, "logprob": -0.25, "bytes": list(word.encode())}
    return {**same, "top_logprobs": [same, {"token": "other", "logprob": -1.75, "bytes": None}]}


def _words(text: str) -> list[str]:
    return [word + " " for word in text.split(" ")]


def _usage(body: dict[str, Any]) -> dict[str, Any]:
    prompt = len(json.dumps(body.get("messages") or body.get("prompt") or body.get("input"))) // 4
    return {
        "prompt_tokens": prompt,
        "completion_tokens": 7,
        "total_tokens": prompt + 7,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------- messages


def _messages(request: Received) -> Answer:
    """Anthropic's, as vLLM and llama.cpp serve them."""
    body = request.json()
    text = chat_text(body)
    usage = {"input_tokens": 5, "output_tokens": 7}
    message = {
        "id": f"msg_{_digest(request.body)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    return Answer(200, events=list(_message_events(message, text))) if body.get("stream") else json_answer(message)


def _message_events(message: dict[str, Any], text: str) -> Iterator[bytes]:
    begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 0}}
    yield _typed("message_start", message=begun)
    yield _typed("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for start in range(0, len(text), 6):
        delta = {"type": "text_delta", "text": text[start : start + 6]}
        yield _typed("content_block_delta", index=0, delta=delta)
    yield _typed("content_block_stop", index=0)
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _typed("message_delta", delta=ended, usage={"output_tokens": 7})
    yield _typed("message_stop")


def _typed(name: str, **fields: Any) -> bytes:
    return event({"type": name, **fields}, name)


# ------------------------------------------------------------------------------------------------- the rest


def _completions(request: Received) -> Answer:
    body = request.json()
    prompt = body["prompt"]
    prompts = prompt if isinstance(prompt, list) and not isinstance(prompt[0], int) else [prompt]
    head = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED, "model": body["model"]}
    choices = [
        {"index": index, "text": f"<{json.dumps(item)}>", "logprobs": None, "finish_reason": "stop"}
        for index, item in enumerate(prompts)
    ]
    if not body.get("stream"):
        return json_answer({**head, "choices": choices, "usage": _usage(body)})
    events = [event({**head, "choices": [choice]}) for choice in choices]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(event({**head, "choices": [], "usage": _usage(body)}))
    return Answer(200, events=[*events, DONE])


def _embeddings(request: Received) -> Answer:
    body = request.json()
    given = body["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(item, body.get("encoding_format"))}
        for index, item in enumerate(inputs)
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json_answer({"object": "list", "data": data, "model": body["model"], "usage": usage})


def _vector(item: Any, encoding: str | None) -> str | list[float]:
    seed = hashlib.sha256(json.dumps(item).encode()).digest()
    numbers = [byte / 256 - 0.5 for byte in seed]
    if encoding == "base64":
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    return numbers


def _moderations(request: Received) -> Answer:
    body = request.json()
    result = {
        "flagged": False,
        "categories": {"violence": False},
        "category_scores": {"violence": 0.01},
        "category_applied_input_types": {"violence": ["text"]},
    }
    return json_answer({"id": "modr-1", "model": body.get("model") or "fake-model", "results": [result]})


def _ranked(request: Received) -> Answer:
    body = request.json()
    documents = body.get("documents") or body.get("text_2") or []
    results = [{"index": index, "relevance_score": 1 / (index + 1)} for index in range(len(documents))]
    return json_answer({"id": "rank-1", "model": body["model"], "results": results})


def _speech(request: Received) -> Answer:
    return Answer(200, bytes(range(256)) * 64 + request.body[:32], "audio/mpeg")


def _transcription(request: Received) -> Answer:
    text = f"{len(request.body)} bytes, {_digest(_without_boundary(request))}"
    return json_answer({"text": text})


def _without_boundary(request: Received) -> bytes:
    boundary = (request.header("content-type") or "").partition("boundary=")[2].strip('"')
    return request.body.replace(boundary.encode(), b"")


def _images(request: Received) -> Answer:
    return json_answer({"created": CREATED, "data": [{"b64_json": base64.b64encode(request.body[:64]).decode()}]})


def _responses(request: Received) -> Answer:
    body = request.json()
    text = f"echo: {body['input']}"
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "model": body["model"],
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "total_tokens": 12,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if not body.get("stream"):
        return json_answer(response)
    return Answer(200, events=list(_response_events(response, text)))


def _response_events(response: dict[str, Any], text: str) -> Iterator[bytes]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    steps: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    steps += [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in _words(text)]
    steps.append({"type": "response.output_text.done", **place, "text": text, "logprobs": []})
    steps.append({"type": "response.completed", "response": response})
    for number, step in enumerate(steps):
        yield event({**step, "sequence_number": number}, step["type"])


def _other(request: Received) -> Answer:
    return json_answer(
        {
            "method": request.method,
            "target": request.target,
            "content_type": request.header("content-type"),
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
        }
    )


_ROUTES: dict[str, Callable[[Received], Answer]] = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _completions,
    "/v1/messages": _messages,
    "/v1/embeddings": _embeddings,
    "/v1/moderations": _moderations,
    "/v1/rerank": _ranked,
    "/v1/score": _ranked,
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcription,
    "/v1/images/generations": _images,
    "/v1/responses": _responses,
}
