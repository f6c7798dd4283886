"""Whose API is asked, told by a target that may be no route at all."""

import orjson
import pytest

from proxy.model.endpoint import Api
from proxy.wire.error_shapes import Words, api_of, body


@pytest.mark.parametrize(
    ("target", "api"),
    [
        (b"/v1/messages", Api.MESSAGES),
        (b"/v1/messages?beta=true", Api.MESSAGES),
        (b"/v1/messages/count_tokens", Api.MESSAGES),
        (b"/v1/messages/batches/b_1/nothing", Api.MESSAGES),
        (b"/messages", Api.MESSAGES),
        (b"http://host:1/v1/messages", Api.MESSAGES),
        (b"/v1/messagesx", Api.OPENAI),
        (b"/v1/responses", Api.RESPONSES),
        (b"/v1/responses/resp_1?stream=true", Api.RESPONSES),
        (b"/responses", Api.RESPONSES),
        (b"/v1/images/generations", Api.TYPED),
        (b"/v1/audio/speech", Api.TYPED),
        (b"/v1/chat/completions", Api.OPENAI),
        (b"/v1/chat/messages", Api.OPENAI),
        (b"/v1/embeddings", Api.OPENAI),
        (b"/v1", Api.OPENAI),
        (b"/", Api.OPENAI),
        (b"", Api.OPENAI),
        (b"*", Api.OPENAI),
        (b"http://", Api.OPENAI),
        (b"\xff\x00", Api.OPENAI),
    ],
)
def test_whose_api_it_is(target: bytes, api: Api) -> None:
    assert api_of(target) is api


def test_anthropics_clients_say_so_on_every_route() -> None:
    assert api_of(b"/v1/models", {b"anthropic-version": b"2023-06-01"}) is Api.MESSAGES
    assert api_of(b"/api/hello", {b"anthropic-version": b"2023-06-01"}) is Api.MESSAGES
    assert api_of(b"/v1/models", {b"authorization": b"x"}) is Api.OPENAI
    assert api_of(b"/v1/chat/completions", {b"anthropic-version": b"2023-06-01"}) is Api.OPENAI


def test_a_thread_that_nobody_keeps_is_told_with_the_code_that_clients_look_for() -> None:
    words = Words("no", "invalid_request_error", "thread.previous_message_id", "thread_not_found")
    error = orjson.loads(body(words, 404, Api.MESSAGES))["error"]
    assert (error["type"], error["details"]) == ("not_found_error", {"error_code": "thread_not_found"})
    other = orjson.loads(body(Words("no", "invalid_request_error"), 404, Api.MESSAGES))["error"]
    assert set(other) == {"type", "message"}
