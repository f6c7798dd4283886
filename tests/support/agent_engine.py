"""An engine that a coding agent works with: thoughts that are signed, two calls at once, until a conversation is long.

Serves Anthropic's Messages and OpenAI's Responses; what it says depends on how far the conversation is, and on nothing
else of the request, so that the same one is answered with the same bytes. Tokens: four bytes of a body are one.
"""

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.support.fake_backend import Exchange
from tests.support.fake_engine import CREATED, answer_to, event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk

CALLS_UNTIL = 18
"""Turns that call tools; what comes later is text."""
PIECE = 7
CACHED = 16
MODEL = "fake-model"
CALLS = (
    ("Read", {"path": "/src/päth.py", "note": 'a "quoted" \n line 🌉'}),
    ("Grep", {"path": "/src", "deep": [1, {}]}),
)


def turn_of(conversation: list[Any]) -> int:
    """How many answers it holds."""
    return sum(item.get("type", item.get("role")) in ("assistant", "reasoning") for item in conversation)


def signature(turn: int) -> str:
    """Bytes that only the engine can read."""
    return base64.b64encode(bytes((turn + number) % 256 for number in range(600))).decode()


def said(turn: int, form: Any) -> str:
    """The text of an answer: JSON where a schema is asked for."""
    if isinstance(form, dict) and form.get("type") == "json_schema":
        return json.dumps({"city": "Zürich", "population": 436_332 + turn, "tags": ["lake", "Ü"]}, ensure_ascii=False)
    return f"Turn {turn} “it is”\n\ndata: [DONE]"


def pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


async def agentic(exchange: Exchange) -> None:
    """The script."""
    request = exchange.request
    if request.method == "POST" and request.path == "/v1/messages/count_tokens":
        await send_answer(exchange, json_answer({"input_tokens": len(request.body) // 4}))
    elif request.method == "POST" and request.path == "/v1/messages":
        message = message_to(request.json(), len(request.body) // 4)
        await _say(exchange, message, message_events(message))
    elif request.method == "POST" and request.path == "/v1/responses":
        response = response_to(request.json(), len(request.body) // 4)
        await _say(exchange, response, response_events(response))
    else:
        await send_answer(exchange, answer_to(request, exchange.backend.models))


class Threaded:
    """One that keeps conversations, as Anthropic's API does for whoever asks for a thread."""

    def __init__(self, name: str = "") -> None:
        self.kept: dict[str, tuple[list[Any], list[Any]]] = {}
        """Messages and tools by the id of the last answer."""
        self.misses: list[str] = []
        """Ids that it was asked for and does not have."""
        self._name, self._numbers = name, itertools.count(1)

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        asked = request.json() if request.method == "POST" and request.path == "/v1/messages" else {}
        thread = asked.get("thread")
        if thread is None:
            await agentic(exchange)
            return
        before = thread.get("previous_message_id")
        if before is not None and before not in self.kept:
            self.misses.append(before)
            error = {"type": "not_found_error", "message": "no", "details": {"error_code": "thread_not_found"}}
            await send_answer(exchange, json_answer({"type": "error", "error": error}, 404))
            return
        messages, tools = self.kept.get(before, ([], asked.get("tools", [])))
        messages = messages + asked["messages"]
        message = message_to({**asked, "messages": messages, "tools": tools}, len(request.body) // 4)
        message["id"] = f"msg_{self._name}{next(self._numbers)}"
        self.kept[message["id"]] = ([*messages, {"role": "assistant", "content": message["content"]}], tools)
        await _say(exchange, message, message_events(message))


async def _say(exchange: Exchange, whole: dict[str, Any], events: Iterator[bytes]) -> None:
    if not exchange.request.json().get("stream"):
        await send_answer(exchange, json_answer(whole))
        return
    await exchange.send(stream_head())
    for one in events:
        await exchange.send(chunk(one))
    await exchange.send(LAST_CHUNK)


# ------------------------------------------------------------------------------------------------- Messages


def message_to(asked: dict[str, Any], prompt: int) -> dict[str, Any]:
    turn = turn_of(asked["messages"])
    content: list[dict[str, Any]] = []
    if "thinking" in asked:
        content.append({"type": "thinking", "thinking": f"Turn {turn}: well, then.", "signature": signature(turn)})
        content.append({"type": "redacted_thinking", "data": signature(turn + 1)})
    content.append({"type": "text", "text": said(turn, (asked.get("output_config") or {}).get("format"))})
    calls = turn < CALLS_UNTIL and bool(asked.get("tools"))
    for number, (name, given) in enumerate(CALLS if calls else ()):
        content.append({"type": "tool_use", "id": f"toolu_{turn}_{number}", "name": name, "input": given})
    usage = {
        "input_tokens": prompt - CACHED,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED,
        "output_tokens": 40 + turn,
    }
    return {
        "id": f"msg_{turn}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def message_events(message: dict[str, Any]) -> Iterator[bytes]:
    def named(name: str, **fields: Any) -> bytes:
        return event({"type": name, **fields}, name)

    used = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
    yield named("message_start", message=begun)
    yield named("ping")
    for index, block in enumerate(message["content"]):
        begins, deltas = _block_parts(block)
        yield named("content_block_start", index=index, content_block=begins)
        for delta in deltas:
            yield named("content_block_delta", index=index, delta=delta)
        yield named("content_block_stop", index=index)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield named("message_delta", delta=ended, usage={"output_tokens": used["output_tokens"]})
    yield named("message_stop")


def _block_parts(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    kind = block["type"]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": text} for text in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if kind == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in pieces(block["text"])]
    if kind == "tool_use":
        given = json.dumps(block["input"], ensure_ascii=False)
        deltas = [{"type": "input_json_delta", "partial_json": text} for text in ("", *pieces(given))]
        return {**block, "input": {}}, deltas
    return block, []


# ------------------------------------------------------------------------------------------------- Responses


def response_to(asked: dict[str, Any], prompt: int) -> dict[str, Any]:
    turn = turn_of(asked["input"])
    summary = [{"type": "summary_text", "text": f"Turn {turn}: well, then."}]
    output: list[dict[str, Any]] = [{"id": f"rs_{turn}", "type": "reasoning", "summary": summary}]
    if "reasoning.encrypted_content" in asked.get("include", ()):
        output[0]["encrypted_content"] = signature(turn)
    if turn < CALLS_UNTIL and asked.get("tools"):
        for number, (name, given) in enumerate(CALLS):
            call = {"id": f"fc_{turn}_{number}", "type": "function_call", "status": "completed", "name": name}
            arguments = json.dumps(given, ensure_ascii=False)
            output.append({**call, "call_id": f"call_{turn}_{number}", "arguments": arguments})
    else:
        text = said(turn, (asked.get("text") or {}).get("format"))
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
        output.append(
            {"id": f"msg_{turn}", "type": "message", "role": "assistant", "status": "completed", "content": content}
        )
    return {
        "id": f"resp_{turn}",
        "object": "response",
        "created_at": CREATED,
        "model": asked["model"],
        "status": "completed",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        "usage": {
            "input_tokens": prompt,
            "output_tokens": 40 + turn,
            "total_tokens": prompt + 40 + turn,
            "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 12},
        },
    }


def response_events(response: dict[str, Any]) -> Iterator[bytes]:
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    steps: list[dict[str, Any]] = [
        {"type": f"response.{name}", "response": begun} for name in ("created", "in_progress")
    ]
    for index, item in enumerate(response["output"]):
        steps += _item_steps(index, item)
    steps.append({"type": "response.completed", "response": response})
    for number, step in enumerate(steps):
        yield event({**step, "sequence_number": number}, step["type"])


def _item_steps(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    place: dict[str, Any] = {"item_id": item["id"], "output_index": index}
    kind = item["type"]
    empty = {"function_call": {"arguments": ""}, "reasoning": {"summary": []}, "message": {"content": []}}[kind]
    yield {"type": "response.output_item.added", "output_index": index, "item": {**item, **empty}}
    if kind == "function_call":
        for text in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **place, "delta": text}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield {"type": "response.function_call_arguments.done", **place, **done}
    elif kind == "reasoning":
        (part,) = item["summary"]
        place |= {"summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
        for text in pieces(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": text}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": part}
    else:
        (part,) = item["content"]
        place |= {"content_index": 0}
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        for text in pieces(part["text"]):
            yield {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
