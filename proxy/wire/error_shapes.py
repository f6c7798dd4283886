"""How each API writes an error, before a stream and inside one: the one table of it.

    API              before the head                             inside a stream
    OpenAI           {"error": {message, type, param, code}}     data: the same
    Responses        the same                                    event: error, {"type": "error", "code", …}
    images, audio    the same                                    event: error, {"type": "error", "error": {…}}
    Anthropic        {"type": "error", "error": {type, message}} event: error, the same
    Ollama           {"error": text}                             a line: the same
    TGI              {"error": text, "error_type": …}            data: the same

llama.cpp's own routes have OpenAI's. SGLang has `/generate`, too: its errors pass there as they are.

Sources: OpenAI's API reference (errors; streaming events of Responses and images), Anthropic's (errors), Ollama's and
TGI's code. Which fault is which status is known to `errors`; here is only what an error looks like.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import ENDPOINTS, ENGINES_OWN, ROUTES, Api, Endpoint, Served


class Words(NamedTuple):
    """What an error says, in no API's shape yet."""

    message: str
    type: str
    param: str | None = None
    code: str | int | None = None


def _first_segments() -> Iterator[tuple[bytes, Api]]:
    for row in reversed(ROUTES):  # of a segment's routes the first tells
        api = ENDPOINTS[row.endpoint].api
        if row.served is Served.EVERYWHERE and row.endpoint is not Endpoint.MODELS:  # both APIs have it
            yield row.path.split("/")[2].encode(), api
        elif api in ENGINES_OWN and row.path != "/":
            yield row.path.split("/")[1].encode(), api


_BY_SEGMENT: Final = dict(_first_segments())
_ANTHROPIC_TYPES: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OVERLOADED: Final = "overloaded_error"
_NO_THREAD: Final = "thread_not_found"
_ANTHROPIC_OVERLOADED: Final = 529
_SEQUENCE: Final = re.compile(rb'"sequence_number" ?: ?([0-9]{1,15})')


def api_of(target: bytes, fields: Mapping[bytes, bytes] | None = None) -> Api:
    """The API that a request target asks, whether or not we have such a route; never raises.

    `fields`: the request's headers by lower-case name. Anthropic's SDKs say `anthropic-version` on every route, which
    tells where the path does not.
    """
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    while path.startswith(b"/v1/v1/"):
        path = path.removeprefix(b"/v1")
    segments = path.split(b"/", 3)
    found = segments[2] if len(segments) > 2 and segments[1] == b"v1" else segments[1] if len(segments) > 1 else b""
    api = _BY_SEGMENT.get(found)
    if api is not None and api is not Api.OLLAMA:
        return api
    if fields is not None and b"anthropic-version" in fields:  # Claude Code asks for `/api/hello`, too
        return Api.MESSAGES
    return api or Api.OPENAI


def status_of(status: int, kind: str, api: Api) -> int:
    """The status of an error of ours: Anthropic says overload, whoever is overloaded, as 529."""
    return _ANTHROPIC_OVERLOADED if api is Api.MESSAGES and kind == _OVERLOADED else status


def body(words: Words, status: int, api: Api, request_id: str = "") -> bytes:
    """The body of an error answer."""
    if api is Api.OLLAMA:
        return orjson.dumps({"error": words.message})
    if api is Api.TGI:
        return orjson.dumps({"error": words.message, "error_type": _tgi_type(words, status)})
    if api is not Api.MESSAGES:
        return orjson.dumps({"error": words._asdict()})
    said: dict[str, Any] = {"type": "error", "error": _anthropic(words, status)}
    if request_id:
        said["request_id"] = request_id
    return orjson.dumps(said)


def event(words: Words, status: int, api: Api, last: bytes = b"") -> bytes:
    """The last event of a stream that failed; `last`: the event before it, as far as there was one."""
    if api is Api.OLLAMA:
        return body(words, status, api) + b"\n"
    if api is Api.OPENAI or api in ENGINES_OWN:
        return b"data: " + body(words, status, api) + b"\n\n"
    if api is Api.MESSAGES:
        said: dict[str, Any] = {"type": "error", "error": _anthropic(words, status)}
    elif api is Api.TYPED:
        said = {"type": "error", "error": words._asdict()}
    else:
        code = words.type if words.code is None else str(words.code)
        said = {
            "type": "error",
            "code": code,
            "message": words.message,
            "param": words.param,
            "sequence_number": _sequence_after(last),
        }
    return b"event: error\ndata: " + orjson.dumps(said) + b"\n\n"


def is_body(fields: Mapping[str, Any], api: Api) -> bool:
    """Whether an engine's error body is already what clients of this API read."""
    error = fields.get("error")
    if isinstance(error, str):
        return api is Api.OLLAMA or (api is Api.TGI and isinstance(fields.get("error_type"), str))
    if api is Api.OLLAMA or not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return False
    return api is not Api.MESSAGES or (fields.get("type") == "error" and isinstance(error.get("type"), str))


def is_event(fields: Mapping[str, Any], api: Api) -> bool:
    """The same of an engine's event inside a stream."""
    if api is Api.OPENAI or api in ENGINES_OWN:
        return is_body(fields, api)
    if api is Api.RESPONSES and fields.get("type") == "response.failed":
        return True
    if fields.get("type") != "error":
        return False
    return is_body(fields, api) or (api is Api.RESPONSES and isinstance(fields.get("message"), str))


def _anthropic(words: Words, status: int) -> dict[str, Any]:
    if words.type == _OVERLOADED:
        return {"type": _OVERLOADED, "message": words.message}
    usual = "invalid_request_error" if status < 500 else "api_error"
    said: dict[str, Any] = {"type": _ANTHROPIC_TYPES.get(status, usual), "message": words.message}
    if words.code == _NO_THREAD:  # its clients send the whole conversation anew where they read this
        said["details"] = {"error_code": _NO_THREAD}
    return said


def _tgi_type(words: Words, status: int) -> str:
    if words.type == _OVERLOADED or status in (429, 503):
        return "overloaded"
    return "validation" if status < 500 else "generation"


def _sequence_after(last: bytes) -> int:
    """Text cannot look like the number: inside a JSON string every quote is escaped."""
    numbers = _SEQUENCE.findall(last)
    return int(numbers[-1]) + 1 if numbers else 0
