"""A named prompt put into a request: the system's text and tools at the front, then the client's own conversation.

Owns how a request refers to one and where its parts go in each API. What the client sent stays byte for byte; the
parsed fields are changed alike.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import Endpoint
from proxy.wire import splice
from proxy.wire.body import invalid
from proxy.wire.prompts.spans import values
from proxy.wire.prompts.template import Filled

HEADER: Final = b"x-tidegate-prompt"
_REFERENCE: Final = re.compile(r"([A-Za-z0-9._-]{1,64})(?:@([A-Za-z0-9._-]{1,32}))?", re.ASCII)
_HOSTED: Final = "pmpt_"
"""So begin the prompts that OpenAI keeps: they are the engine's business."""
_NOTHING: Final[dict[str, Any]] = {}


class Reference(NamedTuple):
    """Which prompt a request wants."""

    name: str
    version: str
    """Empty: whichever is served."""
    variables: Mapping[str, Any]
    param: str
    """Where it said so."""


def reference(headers: Mapping[bytes, bytes], fields: Mapping[str, Any]) -> Reference | None:
    """None: none. The header goes before the body; a 400 for what is neither."""
    told = fields.get("prompt")
    body = told if isinstance(told, dict) else _NOTHING
    variables = body.get("variables")
    if variables is None:
        variables = _NOTHING
    if not isinstance(variables, dict):
        raise invalid("`prompt.variables` must be an object.", "prompt.variables")
    named = headers.get(HEADER)
    if named is not None:
        found = _REFERENCE.fullmatch(named.decode("latin-1").strip())
        if found is None:
            raise invalid(f"`{HEADER.decode()}` must be a name, or name@version.", HEADER.decode())
        return Reference(found.group(1), found.group(2) or "", variables, HEADER.decode())
    name = body.get("id")
    if body is _NOTHING or (isinstance(name, str) and name.startswith(_HOSTED)):
        return None
    version = body.get("version")
    version = str(version) if isinstance(version, int) and not isinstance(version, bool) else version or ""
    if not isinstance(name, str) or not isinstance(version, str):
        raise invalid("`prompt.id` and `prompt.version` must be strings.", "prompt.id")
    return Reference(name, version, variables, "prompt.id")


def assembled(body: bytes, fields: dict[str, Any], endpoint: Endpoint, filled: Filled) -> bytes:
    """The body with the prompt in front. A 400 for an API that has no place for it."""
    if isinstance(fields.get("prompt"), dict):
        body = splice.without_key(body, "prompt")
        del fields["prompt"]
    if endpoint is Endpoint.CHAT:
        system: list[dict[str, str]] = [{"role": "system", "content": filled.system}] if filled.system else []
        body = _in_front(body, fields, "messages", system + filled.messages)
    elif endpoint is Endpoint.MESSAGES:
        body = _in_front(_with_system(body, fields, filled.system), fields, "messages", filled.messages)
    elif endpoint is Endpoint.RESPONSES:
        body = _with_text(body, fields, "instructions", filled.system)
        body = _in_front(_listed(body, fields, filled), fields, "input", filled.messages)
    else:
        raise invalid("A named prompt is for chat completions, messages and responses.", "prompt")
    return _in_front(body, fields, "tools", [orjson.loads(tool) for tool in filled.tools])


def _in_front(body: bytes, fields: dict[str, Any], key: str, front: list[Any]) -> bytes:
    """`front` before all items of the array `key`."""
    if not front:
        return body
    there = fields.get(key)
    if not isinstance(there, list):
        return _set(body, fields, key, front)
    text = orjson.dumps(front)[1:-1]
    for start, end in values(body, key, b"["):
        comma = b"," if body[start + 1 : end - 1].strip() else b""
        body = b"".join((body[: start + 1], text, comma, body[start + 1 :]))
    fields[key] = front + there
    return body


def _with_system(body: bytes, fields: dict[str, Any], text: str) -> bytes:
    """In the Messages API it may be a text or a list of parts."""
    if text and isinstance(fields.get("system"), list):
        return _in_front(body, fields, "system", [{"type": "text", "text": text}])
    return _with_text(body, fields, "system", text)


def _with_text(body: bytes, fields: dict[str, Any], key: str, text: str) -> bytes:
    """`text` before the client's own, with a blank line between."""
    there = fields.get(key)
    if not text:
        return body
    if not isinstance(there, str) or not there:
        return _set(body, fields, key, text)
    text += "\n\n"
    begin = orjson.dumps(text)[:-1]
    for start, _ in values(body, key, b'"'):
        body = body[:start] + begin + body[start + 1 :]
    fields[key] = text + there
    return body


def _listed(body: bytes, fields: dict[str, Any], filled: Filled) -> bytes:
    """An `input` that is a text, as a list, where messages have to stand before it."""
    there = fields.get("input")
    if not filled.messages or not isinstance(there, str):
        return body
    for start, end in values(body, "input", b'"'):
        body = b"".join((body[:start], b'[{"role":"user","content":', body[start:end], b"}]", body[end:]))
    fields["input"] = [{"role": "user", "content": there}]
    return body


def _set(body: bytes, fields: dict[str, Any], key: str, value: Any) -> bytes:
    is_there = key in fields
    fields[key] = value
    return splice.replace_value(body, key, value) if is_there else splice.with_first(body, key, value)
