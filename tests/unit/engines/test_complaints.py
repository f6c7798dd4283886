"""Engines' errors in OpenAI's terms, against what was captured of them."""

import pytest

from proxy.engines.complaints import Complaint, complaint
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.model.endpoint import Endpoint
from tests.engines_captures.reading import ERRORS, capture

TOO_LONG = Complaint(400, "context_length_exceeded")
NO_MODEL = Complaint(404, "model_not_found")
KINDS = {"vllm": "vllm", "llama.cpp": "llama_cpp", "transformers-serve": "transformers"}
EXPECTED = {
    "vllm/err_context_chat": TOO_LONG,
    "vllm/err_context_chat_stream": TOO_LONG,
    "vllm/err_context_completion": TOO_LONG,
    "vllm/err_max_tokens_too_big": TOO_LONG,
    "llama.cpp/err_context_chat": TOO_LONG,
    "llama.cpp/err_context_chat_stream": TOO_LONG,
    "llama.cpp/err_context_completion": TOO_LONG,
    "llama.cpp/emb_too_long": TOO_LONG,
    "llama.cpp/err_bad_json": Complaint(400, None),
    "llama.cpp/err_empty_body": Complaint(400, None),
    "vllm/err_unknown_model": NO_MODEL,
    "transformers-serve/err_unknown_model": NO_MODEL,
}


@pytest.mark.parametrize("name", ERRORS)
def test_every_captured_error(name: str) -> None:
    found = capture(name)
    dialect = DIALECTS[KINDS[name.partition("/")[0]]]
    endpoint = Endpoint.EMBEDDINGS if "emb" in name else Endpoint.CHAT
    assert complaint(found.status, found.body, endpoint, dialect) == EXPECTED.get(name), name


def test_what_is_said_as_openai_says_it_is_left_alone() -> None:
    body = b'{"error":{"message":"This model\'s maximum context length is 5","code":"context_length_exceeded"}}'
    assert complaint(400, body, Endpoint.CHAT, UNKNOWN) is None
    assert complaint(413, body, Endpoint.CHAT, UNKNOWN) == TOO_LONG, "but for its status"
    body = b'{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}'
    assert complaint(404, body, Endpoint.CHAT, UNKNOWN) is None


def test_what_a_client_wrote_is_no_word_of_the_engine() -> None:
    body = b'{"error":{"message":"bad value: the model `x` does not exist","code":400}}'
    assert complaint(400, body, Endpoint.CHAT, UNKNOWN) is None


def test_failures_stay_failures() -> None:
    for status in (429, 500, 502, 503):
        assert complaint(status, b"Internal Server Error", Endpoint.CHAT, DIALECTS["transformers"]) is None
