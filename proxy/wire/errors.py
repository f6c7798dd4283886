"""Faults as clients see them: the only place that knows which fault is which status, type and code.

Before the head is sent a fault is a status with a body; after it, the last event of the stream. What both look like in
the API that was asked is in `error_shapes`; what engines mean by their own errors is read here.
"""

import re
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import Api
from proxy.model.faults import OUT_OF_CREDIT, Blame, Fault, Kind, Retry, Source, downstream, upstream
from proxy.wire import error_shapes, sse
from proxy.wire.error_shapes import Words
from proxy.wire.event import Event


class Shape(NamedTuple):
    """How a kind of fault is answered."""

    status: int
    type: str
    code: str | None = None
    closes: bool = False
    """The connection's framing is in doubt or its client misbehaves: close it."""


_INVALID: Final = "invalid_request_error"
_SHAPES: Final = {
    Kind.MALFORMED: Shape(400, _INVALID, closes=True),
    Kind.HEAD_TOO_LARGE: Shape(431, _INVALID, closes=True),
    Kind.TARGET_TOO_LONG: Shape(414, _INVALID, closes=True),
    Kind.BODY_TOO_LARGE: Shape(413, _INVALID, closes=True),
    Kind.BODY_TOO_SLOW: Shape(408, _INVALID, "request_timeout", closes=True),
    Kind.TRANSFER_CODING: Shape(501, _INVALID, closes=True),
    Kind.MEDIA_TYPE: Shape(415, _INVALID),
    Kind.CONTENT_CODING: Shape(415, _INVALID),
    Kind.EXPECTATION: Shape(417, _INVALID, closes=True),
    Kind.UPGRADE: Shape(426, _INVALID, "no_websocket", closes=True),
    Kind.INVALID: Shape(400, _INVALID),
    Kind.UNKNOWN_ROUTE: Shape(404, _INVALID, "unknown_url"),
    Kind.METHOD: Shape(405, _INVALID, "method_not_allowed", closes=True),
    Kind.MODEL_NOT_FOUND: Shape(404, _INVALID, "model_not_found"),
    Kind.ORIGIN: Shape(403, _INVALID, "origin_not_allowed", closes=True),
    Kind.UNAUTHORIZED: Shape(401, _INVALID, "invalid_api_key", closes=True),
    Kind.LEFT: Shape(499, _INVALID, closes=True),
    Kind.WRITE_STALL: Shape(499, _INVALID, closes=True),
    Kind.NOT_KEPT: Shape(504, _INVALID, "not_cached"),
    Kind.ELSEWHERE: Shape(421, _INVALID, "kept_elsewhere"),
    Kind.CONNECT: Shape(502, "upstream_error", "backend_unreachable"),
    Kind.CONNECT_TIMEOUT: Shape(502, "upstream_error", "backend_unreachable"),
    Kind.TLS: Shape(502, "upstream_error", "backend_unreachable"),
    Kind.RESET: Shape(502, "upstream_error", "backend_reset"),
    Kind.FIRST_BYTE_TIMEOUT: Shape(504, "upstream_error", "backend_timeout"),
    Kind.IDLE_TIMEOUT: Shape(504, "upstream_error", "backend_timeout"),
    Kind.STALLED: Shape(504, "upstream_error", "backend_timeout"),
    Kind.CUT: Shape(502, "upstream_error", "backend_cut"),
    Kind.ABORTED: Shape(502, "upstream_error", "backend_aborted"),
    Kind.NONSENSE: Shape(502, "upstream_error", "backend_protocol"),
    Kind.REDIRECT: Shape(502, "upstream_error", "backend_protocol"),
    Kind.BUSY: Shape(503, "overloaded_error", "backend_busy"),
    Kind.MISCONFIGURED: Shape(502, "upstream_error", "backend_misconfigured"),
    Kind.CANNOT: Shape(502, "upstream_error", "backend_cannot"),
    Kind.ERROR_STATUS: Shape(502, "upstream_error", "backend_error"),
    Kind.STREAM_ERROR: Shape(502, "upstream_error", "backend_error"),
    Kind.EVENT_TOO_LARGE: Shape(502, "server_error", "event_too_large"),
    Kind.QUEUE_FULL: Shape(429, "overloaded_error", "queue_full"),
    Kind.QUOTA: Shape(429, "rate_limit_error", "rate_limit_exceeded"),
    Kind.HOLD_TIMEOUT: Shape(503, "overloaded_error", "queue_timeout"),
    Kind.NO_BACKEND: Shape(503, "overloaded_error", "no_backend"),
    Kind.CONNECTIONS: Shape(503, "overloaded_error", "too_many_connections", closes=True),
    Kind.MEMORY: Shape(503, "overloaded_error", "out_of_memory"),
    Kind.STORAGE: Shape(507, "server_error", "storage_full"),
    Kind.DRAINING: Shape(503, "overloaded_error", "draining", closes=True),
    Kind.LOOP: Shape(508, "server_error", "loop_detected"),
    Kind.BUG: Shape(500, "server_error", "internal_error"),
}

DO_NOT_RETRY: Final = (b"x-should-retry", b"false")
"""The SDKs obey it whatever the status."""
_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="tidegate"')
_RETRY_AFTER_MAX_S: Final = 120
"""openai-python gives up above it, openai-node sleeps whatever it is told."""
_HOPELESS: Final = frozenset(
    {Kind.ELSEWHERE, Kind.STORAGE, Kind.EVENT_TOO_LARGE, Kind.LOOP, Kind.MISCONFIGURED, Kind.NOT_KEPT, Kind.TLS}
)
"""Ends the same way however often it is tried."""
_TEXT_MAX: Final = 512
"""Characters of an engine's own words that are put into an envelope of ours."""
_COMPLAINTS_MAX: Final = 5
_LOOKED_AT_B: Final = 4096
_MISSING: Final = re.compile(rb"not found|not exist|notfound|no such|unknown model|is not available")
_BY_NAME: Final = {
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "overloaded_error": 529,
}
"""Types and codes of OpenAI's and Anthropic's errors, where no number is said."""
_TGI_REFUSALS: Final = frozenset({"validation", "template_error", "tool_error"})


ABORTED: Final = upstream(
    Kind.ABORTED, "The engine gave this answer up before it was complete.", Retry.SAFE, blame=Blame.UNPROVEN
)
"""For whoever has a part of it already."""


class ErrorAnswer(NamedTuple):
    """A whole error answer, ready for the wire."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    closes: bool


def shape_of(fault: Fault) -> Shape:
    """Status and type for a fault."""
    return _SHAPES[fault.kind]


def answer(fault: Fault, api: Api = Api.OPENAI, request_id: str = "", *, spent: bool = False) -> ErrorAnswer:
    """The HTTP answer for a fault known before the head was sent, as the asked API writes it.

    `spent`: more than one backend was tried, so that the SDKs are told not to repeat all of it; nor what is above a
    quota at any time or until tomorrow, what ends the same way whenever it is tried, nor what the operator must mend
    first.
    """
    shape = _SHAPES[fault.kind]
    status = error_shapes.status_of(shape.status, shape.type, api)
    headers = [(b"content-type", b"application/json")]
    if fault.kind in _HOPELESS or _is_above_quota(fault) or (spent and fault.source is Source.UPSTREAM):
        headers.append(DO_NOT_RETRY)
    if fault.retry_after_s is not None:
        most_s = fault.retry_after_s if fault.code == OUT_OF_CREDIT else _RETRY_AFTER_MAX_S  # nobody retries by itself
        headers.append((b"retry-after", b"%d" % round(min(max(1, fault.retry_after_s), most_s))))
    if shape.status == 401:
        headers.append(_CHALLENGE)
    if shape.status == 405:
        headers.append((b"allow", b"GET, POST"))
    if shape.status == 426:  # it must name a protocol: what is spoken here is all there is
        headers.append((b"upgrade", b"HTTP/1.1"))
    if api is Api.MESSAGES and request_id:
        headers.append((b"request-id", request_id.encode()))
    return ErrorAnswer(status, headers, envelope(fault, api, request_id), shape.closes)


def envelope(fault: Fault, api: Api = Api.OPENAI, request_id: str = "") -> bytes:
    """The error object of a fault, as the asked API writes it."""
    return error_shapes.body(_words(fault), _status(fault, api), api, request_id)


def event(fault: Fault, api: Api = Api.OPENAI, last: bytes = b"") -> bytes:
    """The last SSE event of a stream that failed after its head was sent; `last`: the one before it, if any."""
    return error_shapes.event(_words(fault), _status(fault, api), api, last)


def event_of(body: bytes, status: int, api: Api = Api.OPENAI, last: bytes = b"") -> bytes:
    """An engine's error body as the last SSE event of a stream."""
    fields = _object(body)
    words = _plain_words(body, status) if fields is None else _engines_words(fields, status)
    return error_shapes.event(words, status, api, last)


def event_as(event: bytes, api: Api, last: bytes = b"") -> bytes:
    """An engine's error event as clients of the asked API read it: itself, byte for byte, where it already is that."""
    body = Event(event).data
    fields = _object(body)
    if fields is not None and error_shapes.is_event(fields, api):
        return event
    status = 500 if fields is None else _meaning(fields.get("error") or fields, fields)[1]
    return event_of(body, status, api, last)


def _words(fault: Fault) -> Words:
    shape = _SHAPES[fault.kind]
    return Words(fault.message, shape.type, fault.param, fault.code or shape.code)


def _status(fault: Fault, api: Api) -> int:
    shape = _SHAPES[fault.kind]
    return error_shapes.status_of(shape.status, shape.type, api)


def _is_above_quota(fault: Fault) -> bool:
    return fault.kind is Kind.QUOTA and (fault.retry_after_s is None or fault.code == OUT_OF_CREDIT)


def normalised(status: int, body: bytes, api: Api = Api.OPENAI) -> bytes | None:
    """An engine's error body in the shape of the asked API; None when it already has it (then it passes byte for byte).

    Seen: `{"detail": …}` (FastAPI), `{"error": "text", "error_type": …}` (TGI), `{"object": "error", "message": …}`
    (SGLang, TensorRT-LLM), OpenAI's object on Anthropic's routes (llama.cpp), plain text (transformers serve), nothing
    at all (vLLM asleep).
    """
    fields = _object(body)
    if fields is None:
        return error_shapes.body(_plain_words(body, status), status, api)
    if error_shapes.is_body(fields, api) and not body.lstrip().startswith(b"["):
        return None
    return error_shapes.body(_engines_words(fields, status), status, api)


def recoded(body: bytes, code: str, api: Api = Api.OPENAI) -> bytes:
    """An engine's error body in the shape of the asked API, with OpenAI's code for what it says; all else stays."""
    fields = _object(body)
    if fields is None or api is Api.MESSAGES or not isinstance(fields.get("error"), dict):
        return body  # Anthropic's errors have none
    fields["error"]["code"] = code
    return orjson.dumps(fields)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(fields, list) and len(fields) == 1:  # Gemini
        fields = fields[0]
    return fields if isinstance(fields, dict) else None


def _plain_words(body: bytes, status: int) -> Words:
    """Of a body that is no JSON object: a sentence, a JSON string, or nothing that can be shown."""
    try:
        fields = orjson.loads(body)
        text = _shown(fields) if isinstance(fields, str) else ""
    except orjson.JSONDecodeError:
        text = _plain_text(body)
    return Words(text or _reason(status), _type(status))


def _engines_words(fields: dict[str, Any], status: int) -> Words:
    error = fields.get("error")
    source = error if isinstance(error, dict) else fields
    texts = (_text(value) for value in (source.get("message"), error, fields.get("detail")) if value)
    kind, param, code = source.get("type") or source.get("error_type"), source.get("param"), source.get("code")
    return Words(
        next(texts, "") or _reason(status),
        kind if isinstance(kind, str) and kind != "error" else _type(status),
        param if isinstance(param, str) else None,
        code if isinstance(code, str | int) else None,
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return _shown(value)
    if isinstance(value, list):
        return _shown("; ".join(_complaint(entry) for entry in value[:_COMPLAINTS_MAX] if isinstance(entry, dict)))
    return _shown(orjson.dumps(value).decode())


def _complaint(entry: dict[str, Any]) -> str:
    """One entry of pydantic's list: where and what. Its `input`, the client's own body with its prompt, stays out."""
    where, what = entry.get("loc"), entry.get("msg")
    place = ".".join(map(str, where)) if isinstance(where, list) else "body"
    return f"{place}: {what}"


def _plain_text(body: bytes) -> str:
    """A body that is not JSON, when it is a sentence; not when it is a page or something binary."""
    text = body[:_TEXT_MAX].decode("utf-8", "replace").strip()
    return text if text.isprintable() and "<" not in text else ""


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:_TEXT_MAX]).strip()


def _reason(status: int) -> str:
    return f"The backend answered with status {status} and no explanation."


def _type(status: int) -> str:
    return _INVALID if status < 500 else "upstream_error"


def is_out_of_credit(body: bytes) -> bool:
    """Whether a 429 means that an account is used up, so that waiting is of no use (OpenAI's `insufficient_quota`)."""
    return b'"insufficient_quota"' in body


def names_no_such_model(body: bytes) -> bool:
    """Whether a 404 is about the model, not about the route."""
    text = body[:_LOOKED_AT_B].lower()
    return b"model_not_found" in text or (b"model" in text and _MISSING.search(text) is not None)


def first_event_fault(payload: bytes, backend: str) -> tuple[Fault, int] | None:
    """What an engine means that answers 200 and whose first event is an error: the fault and the status it stands for.

    TGI takes its seat inside the stream and says 422 whatever the cause, so an overload is told by its text and a
    failure by its text too. What is left of the 4xx is the client's fault: it must not count against the backend.
    """
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or not sse.says_error(fields):
        return None
    error = fields.get("error") or fields
    text, status = _meaning(error, fields)
    if "overloaded" in text or "busy" in text or status in (429, 503, 529):
        message = f"Backend {backend} is overloaded."
        return upstream(Kind.BUSY, message, Retry.SAFE), 503 if status not in (429, 503, 529) else status
    if status < 500 and "during generation" not in text:
        return downstream(Kind.INVALID, f"Backend {backend} refused the request."), status
    why = f"Backend {backend} failed before its first token."
    return upstream(Kind.STREAM_ERROR, why, Retry.SAFE, blame=Blame.LIKELY), status


def _meaning(error: Any, fields: dict[str, Any]) -> tuple[str, int]:
    """(text, status) of an error object, or of TGI's and SGLang's flat ones."""
    source = error if isinstance(error, dict) else fields
    text = str(source.get("message") or error).lower()
    code = source.get("http_status_code") or source.get("code")
    if type(code) is int and 400 <= code <= 599:
        return text, code
    said = _by_name(source.get("type")) or _by_name(code)
    return text, said or (422 if fields.get("error_type") in _TGI_REFUSALS else 500)


def _by_name(name: Any) -> int | None:
    return _BY_NAME.get(name) if isinstance(name, str) else None
