"""Anthropic's `/v1/messages` and `/v1/messages/count_tokens`, as engines serve them: by way of a chat.

Owns what a message says as a chat, the shape of the answer and the order of its events. As in vLLM the line that Claude
Code stamps its requests with is no part of the prompt, nor are marks of caches. Thoughts are read, never written.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web

from proxy.sim.http import refusal
from proxy.sim.http.fields import Fields
from proxy.sim.http.generation import Generator, Tally
from proxy.sim.http.refusal import PlainRefusal, Refusal
from proxy.sim.http.request import GenerationRequest
from proxy.sim.http.shapes import Json, encode
from proxy.sim.http.text import rng_for
from proxy.sim.http.wire import Wire

STAMP = "x-anthropic-billing-header"
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    503: "overloaded_error",
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_ENDS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def as_anthropic(refused: Refusal) -> Refusal:
    """The same error in Anthropic's shape."""
    kind = _KINDS.get(refused.status, "api_error" if refused.status >= 500 else "invalid_request_error")
    message = str(refused) or "The request failed."
    return PlainRefusal(refused.status, {"type": "error", "error": {"type": kind, "message": message}})


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat that says the same. Raises Refusal."""
    fields = Fields(body)
    messages = fields.required("messages")
    if not isinstance(messages, list):
        raise refusal.invalid("list_type", "body.messages", "Input should be a valid list", messages)
    chat = {
        name: body[name] for name in ("model", "max_tokens", "stream", "temperature", "top_p", "seed") if name in body
    }
    system = [{"role": "system", "content": _system(body["system"])}] if body.get("system") else []
    chat["messages"] = system + [_turn(message, index) for index, message in enumerate(messages)]
    chat["stop"] = list(fields.sequence("stop_sequences"))
    tools = [_function(tool) for tool in fields.sequence("tools") if isinstance(tool, dict)]
    if tools:
        chat["tools"] = tools
        chat["tool_choice"] = _choice(fields.mapping("tool_choice"))
    return chat


def _system(value: Any) -> str:
    blocks = value if isinstance(value, list) else [value]
    texts = [str(block.get("text", "")) if isinstance(block, dict) else str(block) for block in blocks]
    return "\n".join(text for text in map(_without_stamp, texts) if text)


def _without_stamp(text: str) -> str:
    return text.partition("\n")[2] if text.startswith(STAMP) else text


def _turn(message: Any, index: int) -> Json:
    if not isinstance(message, dict):
        raise refusal.invalid("dict_type", f"body.messages.{index}", "Input should be a valid dictionary", message)
    content = message.get("content")
    blocks = content if isinstance(content, list) else [content]
    return {"role": message.get("role"), "content": "".join(map(_text, blocks))}


def _text(block: Any) -> str:
    """What a block adds to the prompt."""
    if not isinstance(block, dict):
        return "" if block is None else str(block)
    kind = block.get("type")
    if kind in ("text", "thinking"):
        return str(block.get(kind) or "")
    if kind == "tool_result":
        inner = block.get("content")
        return "".join(map(_text, inner if isinstance(inner, list) else [inner]))
    return json.dumps({name: value for name, value in block.items() if name != "cache_control"})


def _function(tool: Mapping[str, Any]) -> Json:
    described = {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "parameters": tool.get("input_schema"),
    }
    return {"type": "function", "function": described}


def _choice(asked: Mapping[str, Any]) -> Any:
    kind = str(asked.get("type", "auto"))
    return {"function": {"name": asked.get("name")}} if kind == "tool" else _CHOICES.get(kind, "auto")


class MessagesAnswer:
    """One message."""

    def __init__(self, ask: GenerationRequest, request_id: str) -> None:
        self._ask = ask
        self._choice = ask.choices[0]
        self._id = f"msg_{request_id}"
        self._call = f"toolu_{rng_for(request_id).getrandbits(64):016x}"

    async def send(self, generator: Generator, wire: Wire) -> web.StreamResponse:
        """The whole answer or the stream, as asked."""
        if self._ask.stream:
            return await self._stream(generator, wire)
        tally = Tally()
        async with aclosing(generator.emissions(self._ask, tally)) as emissions:
            async for _ in emissions:
                pass
        return await wire.whole(200, encode(self._message(tally)))

    async def _stream(self, generator: Generator, wire: Wire) -> web.StreamResponse:
        generator.check_room(1)
        await wire.start_stream()
        tally, sent, begun = Tally(), 0, False
        async with aclosing(generator.emissions(self._ask, tally)) as emissions:
            async for _, emitted in emissions:
                if not begun:
                    begun = True
                    for event in self._opening(emitted.cached_tokens):
                        await self._event(wire, event)
                for token in self._choice.tokens[sent : sent + emitted.tokens]:
                    await self._event(wire, {"type": "content_block_delta", "index": 0, "delta": self._delta(token)})
                sent += emitted.tokens
        for event in self._closing(tally):
            await self._event(wire, event)
        return await wire.end_stream(done=None)

    def _opening(self, cached: int) -> Iterator[Json]:
        """What is known once the prompt is computed."""
        begun = {**self._head(), "content": [], "stop_reason": None, "usage": self._usage(cached, 0)}
        yield {"type": "message_start", "message": begun}
        empty = self._block({}) if self._choice.tool else self._block("")
        yield {"type": "content_block_start", "index": 0, "content_block": empty}

    def _closing(self, tally: Tally) -> Iterator[Json]:
        yield {"type": "content_block_stop", "index": 0}
        ended = {"stop_reason": self._end(), "stop_sequence": self._choice.stop_reason}
        yield {"type": "message_delta", "delta": ended, "usage": self._usage(tally.cached, tally.generated)}
        yield {"type": "message_stop"}

    async def _event(self, wire: Wire, event: Json) -> None:
        await wire.event(encode(event), str(event["type"]))

    def _delta(self, token: str) -> Json:
        if self._choice.tool is None:
            return {"type": "text_delta", "text": token}
        return {"type": "input_json_delta", "partial_json": token}

    def _block(self, said: Any) -> Json:
        if self._choice.tool is None:
            return {"type": "text", "text": said}
        return {"type": "tool_use", "id": self._call, "name": self._choice.tool, "input": said}

    def _message(self, tally: Tally) -> Json:
        text = "".join(self._choice.tokens)
        complete = self._choice.finish_reason != "length"
        said = text if self._choice.tool is None else json.loads(text) if complete else {}
        usage = self._usage(tally.cached, tally.generated)
        return {**self._head(), "content": [self._block(said)], "stop_reason": self._end(), "usage": usage}

    def _head(self) -> Json:
        stop = self._choice.stop_reason
        return {"id": self._id, "type": "message", "role": "assistant", "model": self._ask.model, "stop_sequence": stop}

    def _end(self) -> str:
        return "stop_sequence" if self._choice.stop_reason else _ENDS[self._choice.finish_reason]

    def _usage(self, cached: int, generated: int) -> Json:
        prompt = self._ask.prompts[0].tokens - cached
        read = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": cached}
        return {"input_tokens": prompt, **read, "output_tokens": generated}
