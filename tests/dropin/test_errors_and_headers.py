"""Errors come out of the official client as the classes apps branch on; the headers it reads survive, others do not."""

import openai
import pytest

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
CLASSES = [
    (400, "context_length_exceeded", "messages", openai.BadRequestError),
    (401, "invalid_api_key", None, openai.AuthenticationError),
    (403, "unsupported_country", None, openai.PermissionDeniedError),
    (404, "model_not_found", "model", openai.NotFoundError),
    (409, "conflict", None, openai.ConflictError),
    (422, "unprocessable", "n", openai.UnprocessableEntityError),
    (429, "rate_limit_exceeded", None, openai.RateLimitError),
    (500, "engine_broke", None, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "code", "param", "kind"), CLASSES, ids=[str(row[0]) for row in CLASSES])
@pytest.mark.parametrize("stream", [False, True])
def test_an_engines_error_keeps_its_class_code_param_and_type(direct, through, status, code, param, kind, stream):
    caught = []
    for client in (direct, through):
        headers = {"x-fake": f"status {status} {code} {param or ''}".strip()}
        with pytest.raises(kind) as info:
            client.chat.completions.create(**CHAT, stream=stream, extra_headers=headers)
        error = info.value
        caught.append((type(error), error.status_code, error.code, error.type, error.param, error.body))
    assert caught[1] == caught[0]
    assert (caught[1][2], caught[1][3]) == (code, "engine_error_type")


def test_an_unknown_model_is_a_404_with_its_code(through, engine):
    with pytest.raises(openai.NotFoundError) as info:
        through.chat.completions.create(model="nobody", messages=CHAT["messages"])
    assert info.value.code == "model_not_found"
    assert info.value.request_id
    with pytest.raises(openai.NotFoundError):
        through.models.retrieve("nobody")
    assert not engine.requests


def test_no_model_named_where_the_api_wants_one_and_several_are_served_is_a_400(proxy, engine):
    answer = proxy.ask("POST", "/v1/chat/completions", {"messages": CHAT["messages"]})
    assert answer.status == 400
    assert answer.error["param"] == "model"
    assert not engine.requests


def test_no_model_named_where_none_need_be_is_the_engines_business(same):
    assert same(lambda client: client.moderations.create(input="x"))["results"]


def test_a_stream_that_breaks_is_an_error_and_no_short_answer(through):
    headers = {"x-fake": "stream-then 3 close"}
    with pytest.raises(openai.APIError):
        list(through.chat.completions.create(**CHAT, stream=True, extra_headers=headers))


def test_the_clients_request_id_is_kept(through, engine):
    headers = {"x-request-id": "my-id-42"}
    answer = through.chat.completions.with_raw_response.create(**CHAT, extra_headers=headers)
    assert answer.headers["x-request-id"] == "my-id-42"
    assert answer.parse()._request_id == "my-id-42"
    assert engine.requests[-1].header("x-request-id") == "my-id-42"


def test_a_request_id_is_made_when_there_is_none(through, engine):
    ids = [through.chat.completions.create(**CHAT)._request_id for _ in range(2)]
    assert all(ids)
    assert ids[0] != ids[1]
    assert [request.header("x-request-id") for request in engine.requests] == ids


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/v1/models", None, 200),
        ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, 200),
        ("POST", "/v1/chat/completions", {**CHAT, "model": "nobody"}, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/v1/chat/completions", None, 405),
        ("POST", "/v1/chat/completions", b"{", 400),
    ],
)
def test_every_answer_has_a_request_id_and_every_error_an_envelope(proxy, method, target, body, status):
    answer = proxy.ask(method, target, body)
    assert answer.status == status
    assert answer.head.get("x-request-id")
    if status >= 400:
        assert answer.error["message"]


def test_headers_the_engine_needs_arrive(through, engine):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client = through.with_options(organization="org-1", project="proj-1", default_headers={"traceparent": trace})
    client.chat.completions.create(**CHAT)
    request = engine.requests[-1]
    assert request.header("traceparent") == trace
    assert request.header("openai-organization") == "org-1"
    assert request.header("openai-project") == "proj-1"
    assert request.header("authorization") == "Bearer sk-test-0123456789"
    assert request.header("user-agent").startswith("OpenAI/Python")
    assert request.header("host") == f"127.0.0.1:{engine.port}"


@pytest.mark.parametrize("name", ["cookie", "x-forwarded-for", "x-real-ip", "forwarded", "proxy-authorization", "te"])
def test_headers_that_are_none_of_the_engines_business_do_not_arrive(proxy, engine, name):
    proxy.ask("POST", "/v1/chat/completions", CHAT, [(name, "10.0.0.1")])
    assert engine.requests[-1].header(name) is None


def test_headers_the_client_reads_come_back_and_others_do_not(through):
    for stream in (False, True):
        answer = through.chat.completions.with_raw_response.create(**CHAT, stream=stream)
        headers = answer.headers
        assert headers["x-ratelimit-remaining-requests"] == "41"
        assert headers["x-ratelimit-reset-requests"] == "6m0s"
        assert headers["x-ratelimit-reset-tokens"] == "60ms"
        assert headers["openai-processing-ms"] == "17"
        assert "set-cookie" not in headers
        assert "fake-engine" not in headers.get("server", "")
        answer.http_response.close()


def test_retry_after_of_the_engine_is_kept(through):
    headers = {"x-fake": "status 429 rate_limit_exceeded None retry-after=7 x-should-retry=false"}
    with pytest.raises(openai.RateLimitError) as info:
        through.chat.completions.create(**CHAT, extra_headers=headers)
    assert info.value.response.headers["retry-after"] == "7"
    assert info.value.response.headers["x-should-retry"] == "false"


def test_a_stream_has_the_headers_of_a_stream(proxy):
    answer = proxy.ask("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    assert (answer.head.get("content-type") or "").startswith("text/event-stream")
    assert answer.head.get("cache-control") == "no-cache"
    assert answer.head.get("x-accel-buffering") == "no"
    assert answer.head.get("content-encoding") is None
    assert answer.head.get("content-length") is None
