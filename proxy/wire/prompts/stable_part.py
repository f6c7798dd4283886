"""The part of a prompt that requests are expected to share: tools, and the system's or the first message's text.

Owns which fields those are in each API, and their order as chat templates put them. Pure; what it returns is a copy.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

MAX_B: Final = 32 * 1024
"""Of the part, only so much is looked at: a difference behind it is worth little."""
_SYSTEM: Final = frozenset({"system", "developer"})
TOOLS: Final = "the list of tools"
SYSTEM: Final = "the system prompt"
FIRST: Final = "the first message"
PROMPT: Final = "the prompt"


class StablePart(NamedTuple):
    """Tools first, one line each, then text."""

    data: bytes
    tools_b: int
    """Of `data`, what is tools."""
    name: str
    """Of the text behind the tools: what people call it."""


def stable_part(fields: Mapping[str, Any]) -> StablePart:
    """Of a body's fields, at most `MAX_B`."""
    tools = fields.get("tools")
    lines = [orjson.dumps(tool) + b"\n" for tool in tools[:256]] if isinstance(tools, list) else []
    named = b"".join(lines)[:MAX_B]
    text, name = _text(fields)
    return StablePart((named + text.encode("utf-8", "surrogatepass"))[:MAX_B], len(named), name)


def rough_size(fields: Mapping[str, Any]) -> int:
    """Characters of the text's beginning, without copying any: prompts of other sizes are others, mostly."""
    value: Any = fields.get("system") or fields.get("instructions")
    if value is None:
        messages = fields.get("messages")
        first = messages[0] if isinstance(messages, list) and messages else None
        value = first.get("content") if isinstance(first, dict) else fields.get("prompt")
    if isinstance(value, list):
        first = value[-1] if value else None
        value = first.get("text") if isinstance(first, dict) else None
    return len(value) if isinstance(value, str) else 0


def _text(fields: Mapping[str, Any]) -> tuple[str, str]:
    parts = [text for key in ("system", "instructions") if (text := text_of(fields.get(key)))]
    messages = fields.get("messages")
    if messages is None:
        messages = fields.get("input")
    if not isinstance(messages, list):
        messages = []
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _SYSTEM:
            break
        parts.append(text_of(message.get("content")))
    if parts:
        return "\n".join(parts), SYSTEM
    if messages:
        first = messages[0]
        return text_of(first.get("content")) if isinstance(first, dict) else "", FIRST
    return text_of(fields.get("prompt")) or text_of(fields.get("input")), PROMPT


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the texts of its parts, a line each."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join([text for text in texts if isinstance(text, str)])
