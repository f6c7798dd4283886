"""Ids of what engines keep, as requests name them and answers tell them."""

from typing import Any

import orjson
import pytest

from proxy.model.faults import FaultError
from proxy.wire.stored import EVENT_B, LONGEST, Named, in_body, in_event, in_fields, in_target, in_thread


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("/v1/responses/resp_1", Named("resp_1", "Response", "", is_all=True)),
        ("/v1/responses/resp_1?stream=true", Named("resp_1", "Response", "", is_all=True)),
        ("/v1/responses/resp_1/cancel", Named("resp_1", "Response", "")),
        ("/v1/conversations/conv_1/items/msg_1", Named("conv_1", "Conversation", "")),
        ("/v1/responses/a%2Fb", Named("a/b", "Response", "", is_all=True)),
        ("/v1/conversations", None),
        ("/v1/conversations/", None),
        ("/v1/conversations?x=/a/b", None),
    ],
)
def test_a_path_names_what_stands_behind_its_route(target: str, named: Named | None) -> None:
    assert in_target(target) == named


def test_a_body_names_what_it_goes_on_from() -> None:
    assert in_fields({"input": "x", "previous_response_id": None, "conversation": None}) == []
    response = Named("r", "Response", "previous_response_id")
    conversation = Named("c", "Conversation", "conversation")
    assert in_fields({"previous_response_id": "r"}) == [response]
    assert in_fields({"conversation": {"id": "c"}}) == [conversation]
    assert in_fields({"conversation": "c", "previous_response_id": "r"}) == [response, conversation]


@pytest.mark.parametrize("named", [1, "", [], {}, {"id": ""}, {"id": 1}, True])
def test_what_is_no_id_is_refused(named: Any) -> None:
    for field in ("previous_response_id", "conversation"):
        with pytest.raises(FaultError, match=field) as refused:
            in_fields({field: named})
        assert refused.value.fault.param == field


def test_a_thread_names_the_message_that_it_goes_on_from() -> None:
    for fields in ({}, {"thread": None}, {"thread": {"type": "create"}}, {"thread": "x"}):
        assert in_thread(fields) == []
    field = "thread.previous_message_id"
    going_on = {"thread": {"type": "continue", "previous_message_id": "msg_1"}}
    assert in_thread(going_on) == [Named("msg_1", "Message", field)]
    with pytest.raises(FaultError, match=field):
        in_thread({"thread": {"previous_message_id": 7}})


def test_a_message_that_begins_tells_its_id() -> None:
    begun = {"type": "message_start", "message": {"id": "msg_1", "type": "message"}}
    assert in_event(b"event: message_start\ndata: " + orjson.dumps(begun) + b"\n\n") == "msg_1"


BODIES = [
    (b'{"id":"resp_1","object":"response"}', "resp_1"),
    (b' {\n "id" : "resp_1", "out', "resp_1"),
    (b'{"object":"response","id":"resp_1","x":{"id":"no"}}', "resp_1"),
    (orjson.dumps({"output": [{"id": "msg"}], "id": "resp_1"}), "resp_1"),
    (b'{"output":[{"id":"msg"}]}', ""),
    (b'{"id":"%b"}' % (b"x" * (LONGEST + 1)), ""),
    (b'{"id":7}', ""),
    (b'{"id":""}', ""),
    (b'["id"]', ""),
    (b"", ""),
    (b"{", ""),
    (b'{"x":"%b","id":"resp_1"}' % (b"y" * EVENT_B), ""),
]


@pytest.mark.parametrize(("body", "name"), BODIES, ids=range(len(BODIES)))
def test_the_id_of_a_whole_answer_is_its_own_and_of_nothing_in_it(body: bytes, name: str) -> None:
    assert in_body(body) == name


def test_the_first_event_tells_the_id() -> None:
    created = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1"}}
    assert in_event(b"event: response.created\ndata: " + orjson.dumps(created) + b"\n\n") == "resp_1"
    for other in (b": ping\n\n", b"data: [DONE]\n\n", b'data: {"id":"resp_1"}\n\n', b'data: {"response":"x"}\n\n'):
        assert in_event(other) == ""
