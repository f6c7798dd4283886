"""An engine that is what a continuation hopes for: greedy, exact, and true to `continue_final_message`.

Its answer is a fixed list of units: some text and the tokens it took (a character of several tokens comes at once, with
empty events before it). Reads requests as bytes, answers with events as bytes, speaks like vLLM or like llama.cpp.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from proxy.engines.base import Dialect
from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import Endpoint
from proxy.wire import sse


class Unit(NamedTuple):
    """Text that comes at once, and how many tokens it is."""

    text: str
    tokens: int


class IdealEngine:
    """One backend; `answer` is what the model says to every request."""

    def __init__(self, answer: list[Unit], endpoint: Endpoint, *, name: str, pack: int, kind: str = "vllm") -> None:
        self.answer = answer
        self.endpoint = endpoint
        self.name = name
        self.pack = pack
        self.dialect: Dialect = DIALECTS[kind]
        self.prompt_tokens = 7

    def stream(self, body: bytes) -> Iterator[bytes]:
        """All events of one stream, `[DONE]` too."""
        fields = orjson.loads(body)
        given = self._given(fields)
        done, prompt = sum(unit.tokens for unit in given), self.prompt_tokens
        prompt += done
        limit = fields.get("max_tokens") or fields.get("max_completion_tokens") or 10**9
        units, finish = self._within(self.answer[len(given) :], limit)
        if self.endpoint is Endpoint.CHAT:
            yield self._event({"delta": {"role": "assistant", "content": ""}, "finish_reason": None}, prompt, 0)
        sent = 0
        packs = [units[i : i + self.pack] for i in range(0, len(units), self.pack)] or [[]]
        for position, pack in enumerate(packs):
            last = position == len(packs) - 1
            for _ in range(pack[0].tokens - 1 if len(pack) == 1 else 0):
                yield self._piece("", None, prompt, sent)
            sent += sum(unit.tokens for unit in pack)
            yield self._piece("".join(unit.text for unit in pack), finish if last else None, prompt, sent)
        yield self._line({"choices": []} | self._usage(prompt, sent))
        yield b"data: [DONE]\n\n"

    def _given(self, fields: dict[str, Any]) -> list[Unit]:
        """The part of the answer that the request holds already."""
        if self.endpoint is Endpoint.COMPLETIONS:
            text = fields["prompt"].removeprefix("Tell:")
        else:
            last = fields["messages"][-1]
            if last["role"] != "assistant":
                return []
            assert fields["continue_final_message"] is True
            assert fields["add_generation_prompt"] is False
            text = last["content"]
        count, seen = 0, ""
        while seen != text:
            seen += self.answer[count].text
            count += 1
        return self.answer[:count]

    @staticmethod
    def _within(units: list[Unit], limit: int) -> tuple[list[Unit], str]:
        kept: list[Unit] = []
        for unit in units:
            limit -= unit.tokens
            if limit < 0:
                return kept, "length"
            kept.append(unit)
        return kept, "stop"

    def _piece(self, text: str, finish: str | None, prompt: int, sent: int) -> bytes:
        key: dict[str, Any] = {"delta": {"content": text}} if self.endpoint is Endpoint.CHAT else {"text": text}
        return self._event({**key, "finish_reason": finish}, prompt, sent)

    def _event(self, choice: dict[str, Any], prompt: int, sent: int) -> bytes:
        running = self._usage(prompt, sent) if self.dialect.continuous_usage else {}
        return self._line({"choices": [{"index": 0, "logprobs": None} | choice]} | running)

    @staticmethod
    def _usage(prompt: int, sent: int) -> dict[str, Any]:
        details = {"cached_tokens": prompt - 1}
        counts = {"prompt_tokens": prompt, "completion_tokens": sent, "total_tokens": prompt + sent}
        return {"usage": {**counts, "prompt_tokens_details": details}}

    def _line(self, fields: dict[str, Any]) -> bytes:
        identity = {"id": f"id-{self.name}", "created": len(self.name), "model": f"tiny-{self.name}"}
        return b"data: " + orjson.dumps({**identity, **fields}) + b"\n\n"


class Seen(NamedTuple):
    """What a client makes of a stream."""

    text: str
    finish: str | None
    usage: tuple[int, int, int] | None
    identities: set[tuple[str, int, str]]
    roles: int
    dones: int


def seen(events: list[bytes]) -> Seen:
    """Reads a stream as a client does."""
    chunks = [orjson.loads(data) for event in events if (data := sse.payload(event)) not in (None, sse.DONE)]
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    deltas = [choice.get("delta", choice) for choice in choices]
    usage = chunks[-1].get("usage")
    return Seen(
        "".join(delta.get("content", delta.get("text", "")) for delta in deltas),
        next((choice["finish_reason"] for choice in choices if choice["finish_reason"]), None),
        (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) if usage else None,
        {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks},
        sum("role" in delta for delta in deltas),
        sum(sse.payload(event) == sse.DONE for event in events),
    )
