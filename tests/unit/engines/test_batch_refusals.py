"""What engines say of arrays that they do not take."""

import json
from typing import Any

import pytest

from proxy.engines.batch_refusals import NOTHING_SAID, ArrayRefusal, of

TEI = {"error": "batch size 40 > maximum allowed batch size 32", "error_type": "Validation"}
PYDANTIC = {
    "detail": [
        {
            "type": "too_long",
            "loc": ["body", "input", "list[str]"],
            "msg": "List should have at most 32 items after validation, not 40",
        }
    ]
}
OPENAI = {
    "error": {
        "message": "Invalid 'input': array too long. Expected an array with maximum length 32, but got an array with"
        " length 40 instead.",
        "type": "invalid_request_error",
        "param": "input",
    }
}
COHERE = {"message": "invalid request: total number of texts must be at most 32, you provided 40"}


@pytest.mark.parametrize(
    ("status", "said"),
    [(413, TEI), (422, TEI), (422, PYDANTIC), (400, OPENAI), (400, COHERE), (400, "too many: at most 32 inputs")],
)
def test_the_cap_that_an_engine_tells(status: int, said: Any) -> None:
    assert of(status, json.dumps(said).encode(), 40) == ArrayRefusal(cap=32, too_large=True)


def test_a_413_that_tells_nothing_says_that_fewer_may_do() -> None:
    assert of(413, b"Payload Too Large", 40) == ArrayRefusal(too_large=True)


@pytest.mark.parametrize(
    "said",
    [
        {"detail": [{"loc": ["body", "input", "list[str]", 3], "msg": "Input should be a valid string"}]},
        {"error": {"message": "input[3] must not be empty", "param": "input"}},
        {"error": {"message": "bad", "param": "input[3]"}},
    ],
)
def test_the_bad_one_is_named(said: Any) -> None:
    assert of(400, json.dumps(said).encode(), 8).guilty == 3


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, TEI),
        (400, {"error": {"message": "This model's maximum context length is 32 tokens, your input has 90"}}),
        (400, {"error": {"message": "dimensions must be at most 32"}}),
        (400, {"error": "batch size 40 > maximum allowed batch size 4000"}),
        (400, [1, None]),
        (400, {"error": {"message": None}}),
    ],
)
def test_all_else_says_nothing(status: int, said: Any) -> None:
    assert of(status, json.dumps(said).encode(), 40) == NOTHING_SAID


def test_bytes_of_any_kind_are_read() -> None:
    assert of(400, b"\xff" * 300, 4) == NOTHING_SAID
    assert of(400, b"[" * 70_000, 4) == NOTHING_SAID
