"""Request bodies: undo a content coding, parse a copy, read what we route by, refuse what no engine should see.

Owns the reading of request fields. The bytes themselves are forwarded as they came (see `splice` for the exceptions).
"""

import zlib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from proxy.model.endpoint import ENDPOINTS, ENGINES_OWN, Api, Endpoint
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.limits import ParameterLimits
from proxy.model.request import Request
from proxy.wire import multipart, native, weight
from proxy.wire.headers import Head
from proxy.wire.routes import Route

_MAX_TOKENS_CEILING: Final = 2**31 - 1
"""Engines keep token counts in 32-bit signed integers; more is a mistake, not a wish."""
_QUERY_FIELDS: Final = 64
_PLAIN: Final = frozenset({b"", b"identity"})
_INFLATE_STEP_B: Final = 1 << 20
_GZIP_SIZE_B: Final = 4
"""RFC 1952: the last bytes say how many there were."""
WHOLE_B: Final = 1 << 20
"""Of a larger body the insides of long strings and lists are checked, but missing among its fields."""


def invalid(message: str, param: str | None = None, code: str | None = None) -> FaultError:
    """A 400 with the OpenAI `param` field."""
    return FaultError(downstream(Kind.INVALID, message, param=param, code=code))


def decoded_b(body: bytes, coding: bytes) -> int:
    """How large the body is without its content coding, as its last bytes claim; `decode` holds it to that."""
    if coding in _PLAIN:
        return len(body)
    return int.from_bytes(body[-_GZIP_SIZE_B:], "little")


def decode(body: bytes, coding: bytes, limit_b: int) -> bytes:
    """The body without its content coding: gzip is undone (engines do not), others are refused."""
    if coding in _PLAIN:
        return body
    if coding not in (b"gzip", b"x-gzip"):
        raise FaultError(downstream(Kind.CONTENT_CODING, "Content-Encoding: only gzip or none is supported."))
    claimed_b = decoded_b(body, coding)
    parts: list[bytes] = []
    size = 0
    for part in _inflated(body):
        size += len(part)
        if size > limit_b:
            raise FaultError(downstream(Kind.BODY_TOO_LARGE, f"The unpacked body is larger than {limit_b} bytes."))
        if size > claimed_b:
            raise FaultError(downstream(Kind.MALFORMED, "The gzip body is broken."))
        if claimed_b <= limit_b:  # else it is unpacked only to tell too large from broken
            parts.append(part)
    return b"".join(parts)


def _inflated(body: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    try:
        while body and not inflater.eof:
            yield inflater.decompress(body, _INFLATE_STEP_B)
            body = inflater.unconsumed_tail
    except zlib.error:
        raise FaultError(downstream(Kind.MALFORMED, "The gzip body is broken.")) from None
    if not inflater.eof or inflater.unused_data:
        raise FaultError(downstream(Kind.MALFORMED, "The gzip body is cut or has bytes after its end."))


def understand(head: Head, route: Route, body: bytes, limits: ParameterLimits) -> Request:
    """What the client asks. Raises FaultError for a body that is not what the route takes."""
    return read(head, route, body, limits)[0]


def read(head: Head, route: Route, body: bytes, limits: ParameterLimits) -> tuple[Request, dict[str, Any]]:
    """The same, and the fields of a JSON body, which are not to be kept: they may be many times its size."""
    fields: dict[str, Any] = {}
    model: str | None = None
    if head.method in ("POST", "PUT", "PATCH"):
        if is_json(head.content_type, route):
            if body or route.json_only:  # SDKs cancel a response by an empty POST that claims to be JSON
                fields = _parse(body, limits)
                model = _model(fields)
                if model is None and ENDPOINTS[route.endpoint].api is Api.OLLAMA and "name" in fields:
                    model = _model({"model": fields["name"]})  # as it was called before
        elif body:
            model = _form_model(head.content_type, body)
    elif route.plain:
        model = _asked_model(route.target)
    max_tokens = None
    facts = ENDPOINTS[route.endpoint]
    if facts.generates:
        _check_generation(route.endpoint, fields, limits)
        max_tokens = native.limit(fields, facts.limits_at) if facts.api in ENGINES_OWN else _max_tokens(fields)
    stream = fields.get("stream")
    if stream is None:
        stream = facts.streams
    elif not isinstance(stream, bool):
        raise invalid("`stream` must be true or false.", "stream")
    usage_asked, continuous_usage_asked = _usage_asked(fields)
    request = Request(
        head.request_id,
        head.method,
        route.target,
        route.endpoint,
        model,
        stream=stream,
        body_bytes=len(body),
        max_tokens=max_tokens,
        client_attempt=head.client_attempt,
        client_timeout_s=head.client_timeout_s,
        usage_asked=usage_asked,
        continuous_usage_asked=continuous_usage_asked,
        json=bool(fields),
        traffic_class=head.traffic_class,
        route=route.plain,
    )
    return request, fields


def _usage_asked(fields: dict[str, Any]) -> tuple[bool, bool]:
    options = fields.get("stream_options")
    if not isinstance(options, dict):
        return False, False
    return options.get("include_usage") is True, options.get("continuous_usage_stats") is True


def is_json(content_type: bytes, route: Route) -> bool:
    """Whether the body is to be parsed. FaultError where the route takes nothing else."""
    essence = content_type.split(b";", 1)[0].strip().lower()
    if essence in (b"application/json", b"") or essence.endswith(b"+json"):
        return essence != b"" or route.json_only
    if route.json_only:
        raise FaultError(downstream(Kind.MEDIA_TYPE, "This route takes Content-Type: application/json."))
    return False


def _parse(body: bytes, limits: ParameterLimits) -> dict[str, Any]:
    if not body:
        raise invalid("The request body is empty; it must be a JSON object.")
    text = body if len(body) <= WHOLE_B else weight.abridged(body)
    if not weight.is_light(text, limits.values):
        raise _too_heavy(text, limits)
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})" if text is body else ""
        raise invalid(f"The request body is not valid JSON: {error.msg}{where}.") from None
    if not isinstance(fields, dict):
        raise invalid("The request body must be a JSON object.")
    return fields


def _too_heavy(text: bytes, limits: ParameterLimits) -> FaultError:
    """What can be told of a body that is not parsed: messages are the only ones that say who speaks."""
    if text.count(b'"role"') > limits.messages:
        return invalid(f"`messages` has more than {limits.messages} entries.", "messages")
    return invalid(f"The JSON of the body has too many values (limit: {limits.values}; an array or object counts 18).")


def _model(fields: dict[str, Any]) -> str | None:
    if "model" not in fields:
        return None
    model = fields["model"]
    if not isinstance(model, str) or not model:
        raise invalid("`model` must be a non-empty string.", "model")
    if len(model) > 1024 or not model.isprintable():
        raise invalid("`model` is longer than 1024 characters or has unprintable ones.", "model")
    return model


def _asked_model(target: str) -> str | None:
    """In the query, as llama.cpp has it where nothing else names one."""
    named = parse_qs(target.partition("?")[2], max_num_fields=_QUERY_FIELDS).get("model") if "?" in target else None
    return _model({"model": named[0]}) if named else None


def _form_model(content_type: bytes, body: bytes) -> str | None:
    span = multipart.model_span(content_type, body)
    return None if span is None else _model({"model": body[span.start : span.end].decode("utf-8", "replace")})


def _max_tokens(fields: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = fields.get(name)
        if isinstance(value, int):
            return value
    return None


def _check_generation(endpoint: Endpoint, fields: dict[str, Any], limits: ParameterLimits) -> None:
    get = fields.get
    if endpoint is Endpoint.CHAT or (endpoint is Endpoint.OLLAMA_CHAT and fields.get("messages")):
        _check_messages(fields, limits)
    _check_count(fields, "n", 1, limits.n)
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        _check_count(fields, name, 0, _MAX_TOKENS_CEILING)
    _check_count(fields, "top_logprobs", 0, limits.top_logprobs)
    stop = get("stop")
    if isinstance(stop, list) and len(stop) > limits.stop:
        raise invalid(f"`stop` has more than {limits.stop} entries.", "stop")
    tools = get("tools")
    if isinstance(tools, list) and len(tools) > limits.tools:
        raise invalid(f"`tools` has more than {limits.tools} entries.", "tools")


def _check_messages(fields: dict[str, Any], limits: ParameterLimits) -> None:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("`messages` must be a non-empty array.", "messages")
    if len(messages) > limits.messages:
        raise invalid(f"`messages` has more than {limits.messages} entries.", "messages")
    for index, message in enumerate(messages):
        if type(message) is not dict:
            raise invalid(f"`messages[{index}]` must be an object.", f"messages[{index}]")


def _check_count(fields: dict[str, Any], name: str, low: int, high: int) -> None:
    value = fields.get(name)
    if value is None:
        return
    if type(value) is not int or not low <= value <= high:
        raise invalid(f"`{name}` must be a whole number from {low} to {high}.", name)
