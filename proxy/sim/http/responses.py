"""`/v1/responses`: one message or one call of a function, as vLLM 0.33 answers it, whole or as named events.

Owns the shape and the order of events. Nothing is stored: `previous_response_id` is not known here.
"""

import time
from contextlib import aclosing
from typing import Any

from aiohttp import web

from proxy.sim.http.generation import Generator, Tally
from proxy.sim.http.request import GenerationRequest
from proxy.sim.http.shapes import Json, encode
from proxy.sim.http.text import rng_for
from proxy.sim.http.wire import Wire


class ResponsesAnswer:
    """One response."""

    def __init__(self, ask: GenerationRequest, body: dict[str, Any], request_id: str) -> None:
        self._ask = ask
        self._choice = ask.choices[0]
        self._limit = body.get("max_output_tokens")
        self._instructions = body.get("instructions")
        self._metadata = body.get("metadata")
        self._id = f"resp_{request_id}"
        self._message_id = f"{'fc' if self._choice.tool else 'msg'}_{rng_for(request_id).getrandbits(64):016x}"
        self._created = int(time.time())
        self._sequence = 0

    async def send(self, generator: Generator, wire: Wire) -> web.StreamResponse:
        """The whole answer or the stream, as asked."""
        if self._ask.stream:
            return await self._stream(generator, wire)
        tally = Tally()
        async with aclosing(generator.emissions(self._ask, tally)) as emissions:
            async for _ in emissions:
                pass
        return await wire.whole(200, encode(self._response(self._status(), tally)))

    async def _stream(self, generator: Generator, wire: Wire) -> web.StreamResponse:
        generator.check_room(1)
        await wire.start_stream()
        tally, sent = Tally(), 0
        for kind in ("response.created", "response.in_progress"):
            await self._event(wire, kind, response=self._response("in_progress", None))
        await self._event(wire, "response.output_item.added", item=self._item("in_progress", ""), output_index=0)
        if self._choice.tool is None:
            await self._part_event(wire, "response.content_part.added", part=self._part(""))
        async with aclosing(generator.emissions(self._ask, tally)) as emissions:
            async for _, emitted in emissions:
                for token in self._choice.tokens[sent : sent + emitted.tokens]:
                    await self._delta(wire, token)
                sent += emitted.tokens
        await self._closing(wire, tally)
        return await wire.end_stream(done=None)

    async def _closing(self, wire: Wire, tally: Tally) -> None:
        text, status = "".join(self._choice.tokens), self._status()
        if self._choice.tool is None:
            await self._part_event(wire, "response.output_text.done", logprobs=[], text=text)
            await self._part_event(wire, "response.content_part.done", part=self._part(text))
        else:
            name = {"name": self._choice.tool, "item_id": self._message_id, "output_index": 0}
            await self._event(wire, "response.function_call_arguments.done", arguments=text, **name)
        await self._event(wire, "response.output_item.done", item=self._item(status, text), output_index=0)
        await self._event(wire, f"response.{status}", response=self._response(status, tally))

    async def _delta(self, wire: Wire, token: str) -> None:
        if self._choice.tool is None:
            await self._part_event(wire, "response.output_text.delta", delta=token, logprobs=[])
            return
        place = {"item_id": self._message_id, "output_index": 0}
        await self._event(wire, "response.function_call_arguments.delta", delta=token, **place)

    async def _event(self, wire: Wire, kind: str, **fields: Any) -> None:
        data = {**fields, "sequence_number": self._sequence, "type": kind}
        self._sequence += 1
        await wire.event(encode(data), kind)

    async def _part_event(self, wire: Wire, kind: str, **fields: Any) -> None:
        await self._event(wire, kind, content_index=0, item_id=self._message_id, output_index=0, **fields)

    def _status(self) -> str:
        return "incomplete" if self._choice.finish_reason == "length" else "completed"

    def _part(self, text: str) -> Json:
        return {"annotations": [], "text": text, "type": "output_text", "logprobs": None}

    def _item(self, status: str, text: str) -> Json:
        """What is answered: a message, or the call of a function."""
        if self._choice.tool is not None:
            call = f"call_{self._message_id.removeprefix('fc_')}"
            named = {"id": self._message_id, "type": "function_call", "name": self._choice.tool, "call_id": call}
            return {**named, "arguments": text, "status": status}
        head = {"id": self._message_id, "content": [self._part(text)] if text else [], "role": "assistant"}
        return {**head, "status": status, "type": "message", "phase": None}

    def _response(self, status: str, tally: Tally | None) -> Json:
        ended = tally is not None
        output = [self._item(status, "".join(self._choice.tokens))] if ended else []
        return {
            "id": self._id,
            "created_at": self._created,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": self._instructions,
            "metadata": self._metadata,
            "model": self._ask.model,
            "object": "response",
            "output": output,
            "parallel_tool_calls": True,
            "temperature": self._ask.sampling["temperature"],
            "tool_choice": "none",
            "tools": [],
            "top_p": self._ask.sampling["top_p"],
            "background": False,
            "max_output_tokens": self._limit,
            "previous_response_id": None,
            "reasoning": None,
            "service_tier": "auto",
            "status": status,
            "text": None,
            "top_logprobs": None,
            "truncation": "disabled",
            "usage": None if tally is None else self._usage(tally),
            "user": None,
        }

    def _usage(self, tally: Tally) -> Json:
        prompt = self._ask.prompts[0].tokens
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": tally.cached, "cache_write_tokens": 0},
            "output_tokens": tally.generated,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + tally.generated,
        }
