"""Loads that come from files: traces with their moments, and prompts, one JSON object a line.

Owns what text stands for a recorded prompt: each numbered block of its prefix is always the same text, so that prefixes
that were shared are shared again; and which forms a line of prompts may have.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from proxy.bench.answer import Kind
from proxy.bench.asks import Ask, Session
from proxy.bench.text import prose, rng_of
from proxy.bench.workloads.chats import chat_ask
from proxy.workload.arrival import Arrival
from proxy.workload.traces import Trace, TraceError, read_trace

DEFAULT_OUTPUT: Final = 256
"""Tokens, where a prompt's line does not say."""
_PROMPTS_MAX: Final = 1_000_000
_FORMS: Final = "`prompt`, `messages`, `conversations`, `input`, or a whole request (`body`)"


class BadFileError(Exception):
    """A file that no load can be made of; the message says where and why."""


@dataclass(frozen=True, slots=True)
class TraceLoad:
    """Requests as they were recorded: sizes, shared prefixes, moments."""

    trace: Trace

    @property
    def name(self) -> str:
        """With the file's."""
        return f"trace {self.trace.name}"

    @property
    def total(self) -> int | None:
        """What is recorded."""
        return len(self.trace.arrivals)

    def session(self, seed: int, number: int) -> Session:
        """One request; for warming up others of the same sizes."""
        arrival = self.trace.arrivals[number % len(self.trace.arrivals)]
        own = rng_of("trace", seed, number)
        text = self._text(arrival, seed, own, fresh=number < 0)
        headers = {"x-tidegate-class": arrival.traffic_class} if arrival.traffic_class else {}
        output = arrival.output_tokens
        if not output:
            fields = {"input": text, "encoding_format": "float"}
            return Session((Ask("embeddings", fields, headers=headers),), arrival.at)
        ask = chat_ask([{"role": "user", "content": text}], output, streams=arrival.stream)
        return Session((Ask("chat", ask.fields, output, headers=headers),), arrival.at)

    def _text(self, arrival: Arrival, seed: int, own: Any, *, fresh: bool) -> str:
        size = self.trace.block_tokens
        blocks = () if fresh else arrival.prefix_hashes[: arrival.prompt_tokens // size]
        shared = [prose(rng_of("block", seed, block), size) for block in blocks]
        rest = arrival.prompt_tokens - size * len(blocks)
        return " ".join([*shared, prose(own, rest)] if rest else shared)


@dataclass(frozen=True, slots=True)
class PromptLoad:
    """Prompts of the user's own, in the order of the file, from the beginning again when it ends."""

    name: str
    asks: tuple[Ask, ...]
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One of them."""
        return Session((self.asks[number % len(self.asks)],))


def read_trace_load(path: Path, speed: float = 1.0) -> TraceLoad:
    """Raises BadFileError."""
    try:
        return TraceLoad(read_trace(path, speed=speed))
    except TraceError as error:
        raise BadFileError(str(error)) from None


def read_prompts(path: Path) -> PromptLoad:
    """Raises BadFileError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror or error}") from None
    asks = [_ask(f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not asks:
        raise BadFileError(f"{path}: holds no prompt")
    if len(asks) > _PROMPTS_MAX:
        raise BadFileError(f"{path}: holds more than {_PROMPTS_MAX:,} prompts")
    return PromptLoad(f"prompts {path.name}", tuple(asks))


def _ask(where: str, line: bytes) -> Ask:
    try:
        fields = orjson.loads(line)
    except ValueError as error:
        raise BadFileError(f"{where}: {error}") from None
    if not isinstance(fields, dict):
        raise BadFileError(f"{where}: not an object")
    if isinstance(fields.get("body"), dict):
        fields = fields["body"]
    if "conversations" in fields:
        fields = {"messages": _share_gpt(where, fields["conversations"])}
    kind, given = _kind(where, fields)
    if kind == "embeddings":
        return Ask(kind, given)
    output = given.get("max_tokens", given.get("max_completion_tokens", DEFAULT_OUTPUT))
    if type(output) is not int or output < 1:
        raise BadFileError(f"{where}: max_tokens is no whole number above 0")
    plain = {"temperature": 0, "stream": True} | ({} if "max_completion_tokens" in given else {"max_tokens": output})
    return Ask(kind, plain | given, output)


def _kind(where: str, fields: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    messages, prompt, text = fields.get("messages"), fields.get("prompt"), fields.get("input")
    if isinstance(messages, list) and messages and all(isinstance(one, dict) and "role" in one for one in messages):
        return "chat", fields
    if isinstance(prompt, str) and prompt:
        rest = {name: value for name, value in fields.items() if name != "prompt"}
        return "chat", {"messages": [{"role": "user", "content": prompt}], **rest}
    if isinstance(text, str | list) and text:
        return "embeddings", fields
    raise BadFileError(f"{where}: holds none of {_FORMS}")


def _share_gpt(where: str, turns: Any) -> list[dict[str, str]]:
    """Up to the last question."""
    roles = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadFileError(f"{where}: conversations is no list of turns")
    messages = [
        {"role": roles[turn["from"]], "content": str(turn.get("value", ""))}
        for turn in turns
        if turn.get("from") in roles
    ]
    while messages and messages[-1]["role"] != "user":
        messages.pop()
    if not messages:
        raise BadFileError(f"{where}: conversations holds no question")
    return messages
