"""Answers that must be JSON of a schema; one that is not counts as `invalid`."""

from dataclasses import dataclass
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from proxy.bench.asks import Ask, Session
from proxy.bench.text import prose, rng_of
from proxy.bench.workloads.chats import chat_ask

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "priority": {"type": "string", "enum": ["low", "normal", "high"]},
        "hours": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["title", "priority", "hours", "tags"],
    "additionalProperties": False,
}
_TOKENS: Final = 200
_VALIDATOR: Final = Draft202012Validator(SCHEMA)


@dataclass(frozen=True, slots=True)
class Structured:
    """A ticket out of a text of 60 to 300 tokens."""

    name: str = "structured"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One request."""
        rng = rng_of(self.name, seed, number)
        text = f"Make a ticket of this, as JSON with title, priority, hours, tags: {prose(rng, rng.randint(60, 300))}"
        wanted = {"type": "json_schema", "json_schema": {"name": "ticket", "strict": True, "schema": SCHEMA}}
        ask = chat_ask([{"role": "user", "content": text}], _TOKENS, response_format=wanted)
        return Session((Ask(ask.kind, ask.fields, ask.output_tokens, check=why_invalid),))


def why_invalid(text: str) -> str:
    """Empty for an answer that is as the schema wants it."""
    try:
        answer = orjson.loads(text)
    except ValueError:
        return "the answer is no JSON"
    wrong = next(_VALIDATOR.iter_errors(answer), None)
    return "" if wrong is None else f"not as the schema wants it: {wrong.message[:120]}"
