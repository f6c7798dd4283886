"""The form that a request binds its answer to, and how one that missed it is asked for again.

Owns where a request says it: `response_format`, and tools that are strict, in chats and text completions; and the
frames in which forms and answers go to the process that checks them.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson

from proxy.model.endpoint import Endpoint
from proxy.wire.prompts.spans import values

ASKED: Final = struct.Struct(">II?")
"""In front of a form and an answer: their lengths, and whether it is a stream."""
SAID: Final = struct.Struct(">I")
"""In front of what was found: its length."""
SPEC_B: Final = 256 * 1024
"""Of a form that is checked, as JSON."""
REPAIRED_B: Final = 64 * 1024
"""Of an answer that is asked for again."""
TOO_DEEP: Final = b'{"schema":null}'
"""What stands for a schema of more than 250 levels: it is unusable."""
_FORMS: Final = frozenset({"json_object", "json_schema"})
_ENDPOINTS: Final = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})


def form(endpoint: Endpoint, fields: Mapping[str, Any]) -> bytes | None:
    """For `schema_check`: `{"any": true}` or `{"schema": …}` for the text, `{"tools": {name: schema}}` for calls. None:
    it may have any form. Longer than SPEC_B: too large to be checked."""
    if endpoint not in _ENDPOINTS:
        return None
    found: dict[str, Any] = {}
    wanted = fields.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") in _FORMS:
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        found = {"any": True} if schema is None else {"schema": schema}
    tools = dict(_strict(fields.get("tools")))
    if tools:
        found["tools"] = tools
    try:
        return orjson.dumps(found) if found else None
    except orjson.JSONEncodeError:  # it reads deeper than it writes
        return TOO_DEEP


def _strict(tools: Any) -> list[tuple[str, Any]]:
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return [
        (function["name"], function.get("parameters", {}))
        for function in functions
        if isinstance(function, dict) and function.get("strict") is True and isinstance(function.get("name"), str)
    ]


def text_of(answer: bytes) -> str | None:
    """The one text of a whole chat that could be asked for again; None: there are several, none, or calls of tools."""
    if len(answer) > REPAIRED_B:
        return None
    try:
        (choice,) = orjson.loads(answer)["choices"]
        message = choice["message"]
        text = None if message.get("tool_calls") else message["content"]
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return text if isinstance(text, str) else None


def asked_again(body: bytes, text: str, error: str) -> bytes:
    """The body of a chat with the answer it got, and what is wrong with it."""
    words = f"This is not the JSON that was asked for: {error}. Answer again with nothing but JSON that is."
    turns = [{"role": "assistant", "content": text}, {"role": "user", "content": words}]
    added = b"," + orjson.dumps(turns)[1:]
    for start, end in values(body, "messages", b"["):
        if body[start + 1 : end - 1].strip():
            body = b"".join((body[: end - 1], added, body[end:]))
    return body
