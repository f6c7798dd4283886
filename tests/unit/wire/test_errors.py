"""Faults as clients see them, and engines' errors brought into the one shape that SDKs read."""

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from proxy.model.endpoint import ENGINES_OWN, Api
from proxy.model.faults import OUT_OF_CREDIT, Blame, Fault, Kind, Retry, Source, downstream, internal, upstream
from proxy.wire import errors, sse
from proxy.wire.event import Event
from tests.engines_captures.reading import ERRORS, STREAMS, capture

STATUSES = {
    Kind.MALFORMED: 400,
    Kind.HEAD_TOO_LARGE: 431,
    Kind.TARGET_TOO_LONG: 414,
    Kind.BODY_TOO_LARGE: 413,
    Kind.BODY_TOO_SLOW: 408,
    Kind.TRANSFER_CODING: 501,
    Kind.MEDIA_TYPE: 415,
    Kind.CONTENT_CODING: 415,
    Kind.EXPECTATION: 417,
    Kind.INVALID: 400,
    Kind.UNKNOWN_ROUTE: 404,
    Kind.METHOD: 405,
    Kind.UPGRADE: 426,
    Kind.MODEL_NOT_FOUND: 404,
    Kind.ORIGIN: 403,
    Kind.UNAUTHORIZED: 401,
    Kind.LEFT: 499,
    Kind.WRITE_STALL: 499,
    Kind.NOT_KEPT: 504,
    Kind.CONNECT: 502,
    Kind.CONNECT_TIMEOUT: 502,
    Kind.TLS: 502,
    Kind.RESET: 502,
    Kind.FIRST_BYTE_TIMEOUT: 504,
    Kind.IDLE_TIMEOUT: 504,
    Kind.STALLED: 504,
    Kind.CUT: 502,
    Kind.ABORTED: 502,
    Kind.NONSENSE: 502,
    Kind.REDIRECT: 502,
    Kind.BUSY: 503,
    Kind.MISCONFIGURED: 502,
    Kind.CANNOT: 502,
    Kind.ERROR_STATUS: 502,
    Kind.STREAM_ERROR: 502,
    Kind.EVENT_TOO_LARGE: 502,
    Kind.QUEUE_FULL: 429,
    Kind.QUOTA: 429,
    Kind.HOLD_TIMEOUT: 503,
    Kind.NO_BACKEND: 503,
    Kind.CONNECTIONS: 503,
    Kind.MEMORY: 503,
    Kind.DRAINING: 503,
    Kind.STORAGE: 507,
    Kind.ELSEWHERE: 421,
    Kind.LOOP: 508,
    Kind.BUG: 500,
}


def envelope_of(body: bytes) -> dict[str, Any]:
    """The error object, checked to be the one that CLIENTS.md promises."""
    fields = json.loads(body)
    assert list(fields) == ["error"]
    error: dict[str, Any] = fields["error"]
    assert list(error) == ["message", "type", "param", "code"]
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    return error


@pytest.mark.parametrize("spent", [False, True])
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("source", Source)
def test_every_kind_of_every_source(kind: Kind, source: Source, spent: bool) -> None:
    fault = Fault(source, kind, "What happened.")
    shown = errors.answer(fault, spent=spent)
    assert shown.status == STATUSES[kind]
    headers = dict(shown.headers)
    assert headers[b"content-type"] == b"application/json"
    hopeless = (
        *(Kind.QUOTA, Kind.MISCONFIGURED, Kind.TLS, Kind.LOOP, Kind.EVENT_TOO_LARGE, Kind.NOT_KEPT),
        *(Kind.STORAGE, Kind.ELSEWHERE),
    )
    for_ever = (spent and source is Source.UPSTREAM) or kind in hopeless
    assert (headers.get(b"x-should-retry") == b"false") is for_ever
    assert (b"www-authenticate" in headers) is (shown.status == HTTPStatus.UNAUTHORIZED)
    assert (b"allow" in headers) is (shown.status == HTTPStatus.METHOD_NOT_ALLOWED)
    error = envelope_of(shown.body)
    assert error["message"] == "What happened."
    assert error["code"] is None or error["code"].isascii()
    assert shown.body == errors.envelope(fault)
    assert sse.payload(errors.event(fault)) == shown.body
    assert Event(errors.event(fault)).is_error


def test_a_day_that_is_used_up_is_not_asked_again_by_itself() -> None:
    fault = replace(internal(Kind.QUOTA, "x", 40_000.0), code=OUT_OF_CREDIT)
    headers = dict(errors.answer(fault).headers)
    assert headers[b"retry-after"] == b"40000", "the truth, which nobody waits for by itself"
    assert headers[b"x-should-retry"] == b"false"
    assert envelope_of(errors.answer(fault).body)["code"] == "insufficient_quota"


def test_a_quota_that_fills_again_may_be_asked_again() -> None:
    headers = dict(errors.answer(internal(Kind.QUOTA, "x", 30.0)).headers)
    assert headers[b"retry-after"] == b"30"
    assert b"x-should-retry" not in headers


FRAMING_IN_DOUBT = [Kind.MALFORMED, Kind.HEAD_TOO_LARGE, Kind.BODY_TOO_LARGE, Kind.BODY_TOO_SLOW, Kind.TRANSFER_CODING]


@pytest.mark.parametrize("kind", FRAMING_IN_DOUBT)
def test_a_doubtful_connection_is_closed(kind: Kind) -> None:
    assert errors.answer(downstream(kind, "x")).closes


@pytest.mark.parametrize("kind", [Kind.INVALID, Kind.MODEL_NOT_FOUND, Kind.UNKNOWN_ROUTE, Kind.QUEUE_FULL, Kind.CUT])
def test_another_is_kept(kind: Kind) -> None:
    assert not errors.answer(downstream(kind, "x")).closes


def test_param_and_code_of_a_fault() -> None:
    error = envelope_of(errors.envelope(downstream(Kind.INVALID, "x", param="n", code="mine")))
    assert (error["param"], error["code"]) == ("n", "mine")
    assert envelope_of(errors.envelope(downstream(Kind.MODEL_NOT_FOUND, "x")))["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("seconds", "header"),
    [
        (None, None),
        (0.0, b"1"),
        (0.2, b"1"),
        (1.6, b"2"),
        (119.0, b"119"),
        (120.0, b"120"),
        (1e9, b"120"),
        (float("inf"), b"120"),
    ],
)
def test_retry_after_is_never_absurd(seconds: float | None, header: bytes | None) -> None:
    shown = errors.answer(internal(Kind.QUEUE_FULL, "x", seconds))
    assert dict(shown.headers).get(b"retry-after") == header


# --- engines' answers


@pytest.mark.parametrize("name", ERRORS)
def test_captured_errors_keep_their_meaning(name: str) -> None:
    found = capture(name)
    better = errors.normalised(found.status, found.body)
    if better is None:
        error = json.loads(found.body)["error"]
        assert isinstance(error["message"], str), "passes byte for byte because SDKs can read it"
        return
    error = envelope_of(better)
    assert error["message"].isprintable()
    assert len(error["message"]) <= 512
    assert error["type"] == ("invalid_request_error" if found.status < 500 else "upstream_error")
    if found.body.startswith(b"{"):
        said = json.loads(found.body)
        text = said.get("detail", said.get("error"))
        if isinstance(text, str):
            assert error["message"] == text


def test_what_pydantic_echoes_of_a_prompt_stays_out() -> None:
    found = capture("transformers-serve/err_no_content_type")
    assert b"story about a fox" in found.body
    better = errors.normalised(found.status, found.body) or b""
    assert envelope_of(better)["message"] == "body: Input should be a valid dictionary"


@pytest.mark.parametrize(
    ("body", "message", "type_", "param", "code"),
    [
        ({"error": "Model is overloaded", "error_type": "overloaded"}, "Model is overloaded", "overloaded", None, None),
        (
            {"object": "error", "message": "too long", "type": "BadRequestError", "param": "messages", "code": 400},
            "too long",
            "BadRequestError",
            "messages",
            400,
        ),
        (
            {"message": "m", "code": "context_length_exceeded"},
            "m",
            "invalid_request_error",
            None,
            "context_length_exceeded",
        ),
        ({"error": {"message": {"a": 1}, "type": "T", "param": "p", "code": "c"}}, '{"a":1}', "T", "p", "c"),
        ({"error": {"code": 7}}, '{"code":7}', "invalid_request_error", None, 7),
        ({"error": {}}, None, "invalid_request_error", None, None),
        ({"error": None}, None, "invalid_request_error", None, None),
        ({}, None, "invalid_request_error", None, None),
        ({"detail": []}, None, "invalid_request_error", None, None),
        ({"detail": [1, "x"]}, None, "invalid_request_error", None, None),
        (
            {"detail": [{"msg": "bad", "loc": ["body", "n"], "input": "s3cret"}]},
            "body.n: bad",
            "invalid_request_error",
            None,
            None,
        ),
        ({"error": "a\nb\x00\u202ec"}, "a b  c", "invalid_request_error", None, None),
        ({"error": "x" * 9000}, "x" * 512, "invalid_request_error", None, None),
        ({"error": "x", "type": 7, "param": ["n"], "code": {"a": 1}}, "x", "invalid_request_error", None, None),
        ("Unauthorized", "Unauthorized", "invalid_request_error", None, None),
        (None, None, "invalid_request_error", None, None),
        ([1], None, "invalid_request_error", None, None),
        (7, None, "invalid_request_error", None, None),
        ([{"error": {"message": "m", "code": 400}}], "m", "invalid_request_error", None, 400),
    ],
)
def test_shapes(body: Any, message: str | None, type_: str, param: str | None, code: Any) -> None:
    error = envelope_of(errors.normalised(400, json.dumps(body).encode()) or b"")
    assert error["message"] == (message or "The backend answered with status 400 and no explanation.")
    assert (error["type"], error["param"], error["code"]) == (type_, param, code)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Internal Server Error\n", "Internal Server Error"),
        (b"", None),
        (b"  \n", None),
        (b"<html><body>502 Bad Gateway</body></html>", None),
        (b"Traceback:\n  File x", None),
        (b"\x00\xff\xfe", None),
        ("Zu viele Anfragen für heute".encode(), "Zu viele Anfragen für heute"),
        (b"word " * 1000, ("word " * 1000)[:512].strip()),
        (b'{"error": "cut', '{"error": "cut'),
    ],
)
def test_plain_text(body: bytes, message: str | None) -> None:
    error = envelope_of(errors.normalised(500, body) or b"")
    assert error["message"] == (message or "The backend answered with status 500 and no explanation.")


def test_a_body_in_shape_passes_byte_for_byte() -> None:
    for body in (b'{"error":{"message":""}}', b'{ "x":1, "error": {"message":"a\\nb","code":null} }'):
        assert errors.normalised(400, body) is None


# --- errors as the first event


@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        ({"error": {"message": "Model is overloaded", "http_status_code": 422}}, Kind.BUSY, 503),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, Kind.BUSY, 503),
        ({"error": {"message": "slow down", "code": 429}}, Kind.BUSY, 429),
        ({"error": {"message": "The request queue is full.", "code": 503}}, Kind.BUSY, 503),
        ({"error": {"message": "`inputs` must have less than 9 tokens", "http_status_code": 422}}, Kind.INVALID, 422),
        ({"error": "too long", "error_type": "validation"}, Kind.INVALID, 422),
        ({"error": {"message": "bad", "code": 400}}, Kind.INVALID, 400),
        ({"object": "error", "message": "bad", "code": 400}, Kind.INVALID, 400),
        (
            {"error": {"message": "Request failed during generation: x", "http_status_code": 422}},
            Kind.STREAM_ERROR,
            422,
        ),
        ({"error": "x", "error_type": "generation"}, Kind.STREAM_ERROR, 500),
        ({"error": {"message": "x", "code": 500}}, Kind.STREAM_ERROR, 500),
        ({"error": {"message": "x", "code": "bad_thing"}}, Kind.STREAM_ERROR, 500),
        ({"error": {"message": None, "code": 42}}, Kind.STREAM_ERROR, 500),
        ({"error": ["x"]}, Kind.STREAM_ERROR, 500),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Kind.BUSY, 529),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, Kind.BUSY, 429),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, Kind.STREAM_ERROR, 500),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "x"}}, Kind.INVALID, 400),
        ({"error": {"message": "x", "type": "invalid_request_error", "code": "bad"}}, Kind.INVALID, 400),
        ({"error": {"message": "x", "type": "tokens", "code": "rate_limit_exceeded"}}, Kind.BUSY, 429),
        ({"error": {"message": "x", "type": None, "code": "invalid_api_key"}}, Kind.INVALID, 401),
    ],
)
def test_first_events(payload: dict[str, Any], kind: Kind, status: int) -> None:
    found = errors.first_event_fault(json.dumps(payload).encode(), "alpha")
    assert found is not None
    fault, stands_for = found
    assert (fault.kind, stands_for) == (kind, status)
    assert "alpha" in fault.message
    assert (fault.retry is Retry.SAFE) is (kind is not Kind.INVALID)
    assert (fault.blame is Blame.LIKELY) is (kind is Kind.STREAM_ERROR), "or the body makes it fail"
    assert (fault.source is Source.DOWNSTREAM) is (kind is Kind.INVALID), "the client's fault must not eject a backend"


@pytest.mark.parametrize(
    "payload", [b"", b"x", b"[]", b"{}", b'{"error":null}', b'{"error":""}', b'{"choices":[]}', b"[DONE]"]
)
def test_first_events_that_are_no_errors(payload: bytes) -> None:
    assert errors.first_event_fault(payload, "alpha") is None


@pytest.mark.parametrize("name", STREAMS)
def test_captured_first_events_are_no_errors(name: str) -> None:
    events = sse.EventSplitter(1 << 20).feed(capture(name).body)
    assert errors.first_event_fault(sse.payload(events[0]) or b"", "alpha") is None


def test_upstream_faults_name_no_retry_after_unless_told() -> None:
    assert b"retry-after" not in dict(errors.answer(upstream(Kind.BUSY, "x")).headers)
    assert dict(errors.answer(upstream(Kind.BUSY, "x", retry_after_s=3)).headers)[b"retry-after"] == b"3"


SHAPES = {
    Api.MESSAGES: {"type": "error", "error": {"type": "overloaded_error", "message": "x"}, "request_id": "r-1"},
    Api.OPENAI: {"error": {"message": "x", "type": "overloaded_error", "param": None, "code": "draining"}},
    Api.OLLAMA: {"error": "x"},
    Api.TGI: {"error": "x", "error_type": "overloaded"},
}


@pytest.mark.parametrize("api", Api)
def test_an_overload_in_the_shape_of_every_api(api: Api) -> None:
    shown = errors.answer(internal(Kind.DRAINING, "x", 3.0), api, "r-1")
    assert shown.status == (529 if api is Api.MESSAGES else 503)
    assert json.loads(shown.body) == SHAPES.get(api, SHAPES[Api.OPENAI])
    assert dict(shown.headers).get(b"request-id") == (b"r-1" if api is Api.MESSAGES else None)
    assert dict(shown.headers)[b"retry-after"] == b"3"


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        (Kind.INVALID, 400, "invalid_request_error"),
        (Kind.MODEL_NOT_FOUND, 404, "not_found_error"),
        (Kind.UNKNOWN_ROUTE, 404, "not_found_error"),
        (Kind.METHOD, 405, "invalid_request_error"),
        (Kind.BODY_TOO_LARGE, 413, "request_too_large"),
        (Kind.QUOTA, 429, "rate_limit_error"),
        (Kind.QUEUE_FULL, 529, "overloaded_error"),
        (Kind.NO_BACKEND, 529, "overloaded_error"),
        (Kind.BUSY, 529, "overloaded_error"),
        (Kind.BUG, 500, "api_error"),
        (Kind.RESET, 502, "api_error"),
        (Kind.FIRST_BYTE_TIMEOUT, 504, "timeout_error"),
    ],
)
def test_anthropics_names(kind: Kind, status: int, said: str) -> None:
    shown = errors.answer(internal(kind, "x"), Api.MESSAGES)
    assert (shown.status, json.loads(shown.body)["error"]["type"]) == (status, said)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"error": {"message": "m", "type": "invalid_request_error", "code": 400}}, "invalid_request_error"),
        (401, {"error": "Unauthorized"}, "authentication_error"),
        (403, {"error": {"message": "m"}}, "permission_error"),
        (404, {"detail": "Not Found"}, "not_found_error"),
        (422, {"detail": [{"loc": ["body", "x"], "msg": "m"}]}, "invalid_request_error"),
        (429, {"error": {"message": "m"}}, "rate_limit_error"),
        (500, {"object": "error", "message": "m"}, "api_error"),
        (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}, "overloaded_error"),
        (529, {"error": {"message": "m"}}, "overloaded_error"),
    ],
)
def test_what_engines_say_on_anthropics_routes(status: int, body: Any, said: str) -> None:
    found = json.loads(errors.normalised(status, json.dumps(body).encode(), Api.MESSAGES) or b"")
    assert (found["type"], found["error"]["type"]) == ("error", said)
    assert found["error"]["message"]


def test_what_is_in_shape_already_is_left_alone() -> None:
    anthropic = b'{"type":"error","error":{"type":"not_found_error","message":"m"}}'
    openai = b'{"error":{"message":"m","type":"t","param":null,"code":null}}'
    assert errors.normalised(404, anthropic, Api.MESSAGES) is None
    assert errors.normalised(404, openai, Api.MESSAGES) is not None
    for api in (Api.OPENAI, Api.RESPONSES, Api.TYPED):
        assert errors.normalised(404, openai, api) is None


FLAT = b'data: {"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}\n\n'
NESTED = b'data: {"error":{"message":"broke","type":"InternalServerError","param":null,"code":500}}\n\n'
RESPONSES = b'event: error\ndata: {"type":"error","code":"c","message":"m","param":null,"sequence_number":3}\n\n'
ANTHROPIC = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"m"}}\n\n'
FAILED = b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"message":"m"}}}\n\n'
TEXT = b"event: error\ndata: it broke\n\n"
NAMELESS = {Api.OPENAI, *ENGINES_OWN}
LINE = b'{"error": "it broke"}\n'
OF_TGI = b'data: {"error":"Model is overloaded","error_type":"overloaded"}\n\n'


@pytest.mark.parametrize(
    ("api", "event"),
    [
        (Api.OPENAI, NESTED),
        (Api.RESPONSES, RESPONSES),
        (Api.RESPONSES, ANTHROPIC),
        (Api.RESPONSES, FAILED),
        (Api.MESSAGES, ANTHROPIC),
        (Api.TYPED, ANTHROPIC),
        (Api.OLLAMA, LINE),
        (Api.LLAMA, NESTED),
        (Api.TGI, OF_TGI),
        (Api.TGI, NESTED),  # SGLang's, on the same route
    ],
)
def test_an_engines_event_in_shape_passes_byte_for_byte(api: Api, event: bytes) -> None:
    assert errors.event_as(event, api) is event


@pytest.mark.parametrize("event", [FLAT, NESTED, TEXT], ids=["flat", "nested", "text"])
@pytest.mark.parametrize("api", Api)
def test_an_engines_event_in_another_shape_is_put_into_it(api: Api, event: bytes) -> None:
    last = b'data: {"type":"response.output_text.delta","delta":"\\"sequence_number\\":9","sequence_number":41}\n\n'
    shown = errors.event_as(event, api, last)
    fields = json.loads(Event(shown).data)
    message = {FLAT: "too long", NESTED: "broke", TEXT: "it broke"}[event]
    if api is Api.RESPONSES:
        assert (fields["type"], fields["message"], fields["sequence_number"]) == ("error", message, 42)
        assert set(fields) == {"type", "code", "message", "param", "sequence_number"}
    elif api is Api.OLLAMA or (api is Api.TGI and event is not NESTED):
        assert fields["error"] == message
        assert ("error_type" in fields) is (api is Api.TGI)
    else:
        assert fields["error"]["message"] == message
        assert fields.get("type") == (None if api in NAMELESS else "error")
    assert shown.startswith(b"event: error\ndata: ") is (api not in NAMELESS)
    assert errors.event_as(shown, api) is shown


@pytest.mark.parametrize("api", Api)
def test_a_break_of_ours_in_every_api(api: Api) -> None:
    shown = errors.event(upstream(Kind.CUT, "It was cut."), api)
    assert Event(shown).is_error
    assert errors.event_as(shown, api) is shown
    assert json.loads(Event(shown).data).get("sequence_number") == (0 if api is Api.RESPONSES else None)


def test_an_answer_of_several_lines_becomes_one_event() -> None:
    body = b'{\n "error": {\n  "message": "m",\n  "type": "t"}\n}'
    for api in Api:
        assert errors.event_of(body, 500, api).count(b"\ndata: ") == (api not in NAMELESS)


def test_who_wants_another_protocol_is_told_which_one_is_spoken() -> None:
    refused = errors.answer(downstream(Kind.UPGRADE, "no websockets here"))
    assert (b"upgrade", b"HTTP/1.1") in refused.headers
