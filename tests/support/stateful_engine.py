"""An engine that keeps what it answered: `/v1/responses` and `/v1/conversations` with their state, as OpenAI has them.

Every engine knows its own ids alone and answers 404 to all others, in vLLM's words.
"""

import asyncio
import itertools
import json
from typing import Any

from tests.support.fake_backend import Exchange
from tests.support.fake_engine import answer_to, event, json_answer, send_answer, stream_head
from tests.support.http_bytes import LAST_CHUNK, chunk


class Stateful:
    """The script of one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: dict[str, dict[str, Any]] = {}
        self.misses: list[str] = []
        """Ids that it was asked for and does not have."""
        self.go_on = asyncio.Event()
        """A stream of `hold` ends when it is set."""
        self._numbers = itertools.count(1)

    async def __call__(self, exchange: Exchange) -> None:
        request = exchange.request
        parts = request.path.removeprefix("/v1/").split("/")
        if parts[0] == "responses" and len(parts) == 1:
            await self._create(exchange)
        elif parts[0] == "conversations" and len(parts) == 1:
            await self._say(exchange, self._keep("conv", {"object": "conversation", "created_at": 1, "metadata": {}}))
        elif parts[0] in ("responses", "conversations"):
            await self._of_one(exchange, parts[1], parts[2:])
        else:
            await send_answer(exchange, answer_to(request, exchange.backend.models))

    async def _create(self, exchange: Exchange) -> None:
        asked = exchange.request.json()
        conversation = asked.get("conversation")
        for name in (asked.get("previous_response_id"), conversation):
            if name is not None and name not in self.kept:
                await self._miss(exchange, name)
                return
        status = "queued" if asked.get("background") else "completed"
        made = self._keep("resp", {**self._response(asked), "status": status})
        if not asked.get("stream"):
            await self._say(exchange, made)
            return
        await exchange.send(stream_head())
        for number, kind in enumerate(("response.created", "response.in_progress")):
            await exchange.send(chunk(event({"type": kind, "sequence_number": number, "response": made}, kind)))
        delta = {"type": "response.output_text.delta", "sequence_number": 2, "delta": self.name}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        await exchange.send(chunk(event({**delta, **place}, "response.output_text.delta")))
        if asked["input"] == "hold":
            await self.go_on.wait()
        end = {"type": "response.completed", "sequence_number": 3, "response": made}
        await exchange.send(chunk(event(end, "response.completed")) + LAST_CHUNK)

    async def _of_one(self, exchange: Exchange, name: str, rest: list[str]) -> None:
        found, method = self.kept.get(name), exchange.request.method
        if found is None:
            await self._miss(exchange, name)
        elif method == "DELETE" and not rest:
            del self.kept[name]
            await self._say(exchange, {"id": name, "object": f"{found['object']}.deleted", "deleted": True})
        elif rest == ["cancel"]:
            found["status"] = "cancelled"
            await self._say(exchange, found)
        elif rest:
            listed = {"object": "list", "data": [], "first_id": "a", "last_id": "z", "has_more": False}
            await self._say(exchange, listed)
        else:
            await self._say(exchange, found)

    def _response(self, asked: dict[str, Any]) -> dict[str, Any]:
        content = [{"type": "output_text", "text": self.name, "annotations": []}]
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
        return {
            "object": "response",
            "created_at": 1,
            "model": asked["model"],
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "previous_response_id": asked.get("previous_response_id"),
            "usage": {
                "input_tokens": 3,
                "output_tokens": 1,
                "total_tokens": 4,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        }

    def _keep(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        name = f"{kind}_{self.name}{next(self._numbers)}"
        self.kept[name] = {"id": name, **fields}
        return self.kept[name]

    async def _say(self, exchange: Exchange, value: dict[str, Any]) -> None:
        await send_answer(exchange, json_answer(json.loads(json.dumps(value))))

    async def _miss(self, exchange: Exchange, name: str) -> None:
        self.misses.append(name)
        error = {"message": f"Response with id '{name}' not found.", "type": "invalid_request_error", "code": 404}
        await send_answer(exchange, json_answer({"error": {**error, "param": "response_id"}}, 404))
