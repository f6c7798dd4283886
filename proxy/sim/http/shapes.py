"""The JSON of chat and text completions, as vLLM 0.33 writes it, null fields included.

Owns field names and order. Decides nothing.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from proxy.sim.http.request import Choice, GenerationRequest
from proxy.sim.http.text import rng_for

Json = dict[str, Any]
VOCABULARY = 50_000


def encode(value: Any) -> bytes:
    """Compact JSON, as vLLM's."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Identity:
    """What every object of one answer repeats."""

    id: str
    model: str
    fingerprint: str
    created: int

    @classmethod
    def of(cls, prefix: str, request_id: str, model: str, fingerprint: str) -> "Identity":
        """Of an answer that begins now."""
        return cls(f"{prefix}-{request_id}", model, fingerprint, int(time.time()))


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive tokens of one choice, to be sent in one event."""

    choice: Choice
    start: int
    tokens: Sequence[str]
    last: bool


def usage(ask: GenerationRequest, generated: int, cached: int) -> Json:
    """Of the whole answer."""
    prompt = sum(one.tokens for one in ask.prompts)
    details = {"cached_tokens": cached, "created_cache_tokens": max(0, prompt - cached) // 16 * 16}
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + generated,
        "completion_tokens": generated,
        "prompt_tokens_details": details,
    }


def running_usage(ask: GenerationRequest, generated: int) -> Json:
    """In every event, with `continuous_usage_stats`."""
    prompt = sum(one.tokens for one in ask.prompts)
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt + generated,
        "completion_tokens": generated,
        "completion_tokens_details": None,
    }


def token_id(token: str) -> int:
    """A number for a token; equal tokens have equal ones."""
    return crc32(token.encode("utf-8", "surrogatepass")) % VOCABULARY


def _alternatives(token: str, position: int, count: int) -> list[tuple[str, float]]:
    """The token and `count` - 1 others, the likeliest first; the chosen one is the first."""
    rng = rng_for("logprob", token, position)
    value = -rng.uniform(0.01, 1.5)
    found = [(token, value)]
    for i in range(1, count):
        value -= rng.uniform(0.05, 1.0)
        found.append((f"{token[:2]}{i}", value))
    return found


class ChatShape:
    """`/v1/chat/completions`."""

    prefix = "chatcmpl"

    def __init__(self, ask: GenerationRequest, identity: Identity) -> None:
        self._ask = ask
        self._identity = identity

    def opening(self, choice: Choice) -> list[Json]:
        """The role chunk, and the name of the function where one is called."""
        role = {"index": choice.index, "delta": {"role": "assistant", "content": ""}, "logprobs": None}
        events = [self._event(role | {"finish_reason": None}) | {"prompt_token_ids": None, "prompt_text": None}]
        if choice.tool is not None:
            call = {"id": self._call_id(choice), "type": "function", "index": 0, "function": {"name": choice.tool}}
            delta = {"content": None, "tool_calls": [call]}
            named = {"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None, "token_ids": None}
            events.append(self._event(named) | {"kv_transfer_params": None})
        return events

    def piece(self, piece: Piece) -> Json:
        """One content or arguments chunk."""
        text = "".join(piece.tokens)
        delta: Json = {"content": text}
        if piece.choice.tool is not None:
            delta = {"content": None, "tool_calls": [{"index": 0, "function": {"arguments": text}}]}
        body: Json = {
            "index": piece.choice.index,
            "delta": delta,
            "logprobs": self._logprobs(piece.tokens, piece.start),
            "finish_reason": piece.choice.finish_reason if piece.last else None,
        }
        if piece.last:
            body["stop_reason"] = piece.choice.stop_reason
        body["token_ids"] = [token_id(token) for token in piece.tokens] if self._ask.token_ids else None
        if not piece.last:
            return self._event(body) | {"kv_transfer_params": None}
        return self._event(body) | {"system_fingerprint": self._identity.fingerprint, "kv_transfer_params": None}

    def usage_event(self, used: Json) -> Json:
        """The chunk without choices."""
        head = self._head("chat.completion.chunk")
        return {**head, "choices": [], "usage": used, "system_fingerprint": self._identity.fingerprint}

    def whole(self, used: Json) -> Json:
        """The answer that is no stream."""
        return {
            **self._head("chat.completion"),
            "choices": [self._choice(choice) for choice in self._ask.choices],
            "service_tier": None,
            "system_fingerprint": self._identity.fingerprint,
            "usage": {**used, "completion_tokens_details": None},
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "prompt_text": None,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }

    def _choice(self, choice: Choice) -> Json:
        text = "".join(choice.tokens)
        message: Json = {
            "role": "assistant",
            "content": None if choice.tool else text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
        }
        if choice.tool is not None:
            function = {"name": choice.tool, "arguments": text}
            message["tool_calls"] = [{"id": self._call_id(choice), "type": "function", "function": function}]
        return {
            "index": choice.index,
            "message": {**message, "reasoning": None},
            "logprobs": self._logprobs(choice.tokens, 0),
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.stop_reason,
            "token_ids": [token_id(token) for token in choice.tokens] if self._ask.token_ids else None,
            "routed_experts": None,
            "weight_versions": None,
        }

    def _call_id(self, choice: Choice) -> str:
        return f"chatcmpl-tool-{rng_for(self._identity.id, choice.index).getrandbits(64):016x}"

    def _logprobs(self, tokens: Sequence[str], start: int) -> Json | None:
        if self._ask.logprobs is None:
            return None
        content = []
        for position, token in enumerate(tokens, start):
            options = [_logprob(*one) for one in _alternatives(token, position, max(1, self._ask.logprobs))]
            content.append({**options[0], "top_logprobs": options[: self._ask.logprobs]})
        return {"content": content}

    def _head(self, kind: str) -> Json:
        return {
            "id": self._identity.id,
            "object": kind,
            "created": self._identity.created,
            "model": self._identity.model,
        }

    def _event(self, choice: Json) -> Json:
        return {**self._head("chat.completion.chunk"), "choices": [choice]}


def _logprob(token: str, value: float) -> Json:
    return {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "surrogatepass"))}


class CompletionShape:
    """`/v1/completions`."""

    prefix = "cmpl"

    def __init__(self, ask: GenerationRequest, identity: Identity) -> None:
        self._ask = ask
        self._identity = identity

    def opening(self, choice: Choice) -> list[Json]:
        """The prompt, where it is to be echoed."""
        if not self._ask.echo:
            return []
        return [self._event(self._part(choice, [choice.prompt.text], 0, last=False)) | {"kv_transfer_params": None}]

    def piece(self, piece: Piece) -> Json:
        """One text chunk."""
        event = self._event(self._part(piece.choice, piece.tokens, piece.start, piece.last))
        if piece.last:
            event["system_fingerprint"] = self._identity.fingerprint
        return event | {"kv_transfer_params": None}

    def usage_event(self, used: Json) -> Json:
        """The chunk without choices."""
        return {**self._head(), "choices": [], "usage": used, "system_fingerprint": self._identity.fingerprint}

    def whole(self, used: Json) -> Json:
        """The answer that is no stream."""
        return {
            **self._head(),
            "choices": [self._choice(choice) for choice in self._ask.choices],
            "service_tier": None,
            "system_fingerprint": self._identity.fingerprint,
            "usage": {**used, "completion_tokens_details": None},
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }

    def _choice(self, choice: Choice) -> Json:
        return {
            "index": choice.index,
            "text": (choice.prompt.text if self._ask.echo else "") + "".join(choice.tokens),
            "logprobs": self._logprobs(choice.tokens, 0),
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.stop_reason,
            "token_ids": [token_id(token) for token in choice.tokens] if self._ask.token_ids else None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "routed_experts": None,
            "weight_versions": None,
        }

    def _part(self, choice: Choice, tokens: Sequence[str], start: int, last: bool) -> Json:
        return {
            "index": choice.index,
            "text": "".join(tokens),
            "logprobs": self._logprobs(tokens, start),
            "finish_reason": choice.finish_reason if last else None,
            "stop_reason": choice.stop_reason if last else None,
            "prompt_token_ids": None,
            "token_ids": [token_id(token) for token in tokens] if self._ask.token_ids else None,
            "weight_versions": None,
        }

    def _logprobs(self, tokens: Sequence[str], start: int) -> Json | None:
        if self._ask.logprobs is None:
            return None
        options = [_alternatives(token, i, max(1, self._ask.logprobs)) for i, token in enumerate(tokens, start)]
        lengths = [len(token) for token in tokens]
        return {
            "text_offset": [sum(lengths[:i]) for i in range(len(lengths))],
            "token_logprobs": [one[0][1] for one in options],
            "tokens": list(tokens),
            "top_logprobs": [dict(one[: self._ask.logprobs]) for one in options],
        }

    def _head(self) -> Json:
        return {
            "id": self._identity.id,
            "object": "text_completion",
            "created": self._identity.created,
            "model": self._identity.model,
        }

    def _event(self, choice: Json) -> Json:
        return {**self._head(), "choices": [choice]}


Shape = ChatShape | CompletionShape
