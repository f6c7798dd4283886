"""What errors say that an engine cannot do: as captured, as sources write them, and what only looks so."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.refusals import cannot, refuses_key
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.model.abilities import Cannot, Lack
from proxy.model.endpoint import Endpoint
from tests.engines_captures.reading import capture

NO_ROUTE = Cannot(Lack.ENDPOINT)
NO_TOOLS = Cannot(Lack.TOOLS)
SHORT = Cannot(Lack.CONTEXT, 2048)
KINDS = {"vllm": "vllm", "llama.cpp": "llama_cpp", "transformers-serve": "transformers"}


@pytest.mark.parametrize(
    ("name", "endpoint", "expected"),
    [
        ("vllm/err_context_chat", Endpoint.CHAT, SHORT),
        ("vllm/err_context_completion", Endpoint.COMPLETIONS, SHORT),
        ("vllm/err_context_chat_stream", Endpoint.CHAT, SHORT),
        ("vllm/embeddings", Endpoint.EMBEDDINGS, NO_ROUTE),
        ("vllm/emb_chat_on_embedder", Endpoint.CHAT, NO_ROUTE),
        ("vllm/rerank", Endpoint.RERANK, NO_ROUTE),
        ("vllm/err_405", Endpoint.CHAT, NO_ROUTE),
        ("vllm/chat_tools_auto", Endpoint.CHAT, NO_TOOLS),
        ("vllm/chat_tools_named", Endpoint.CHAT, NO_TOOLS),
        ("vllm/chat_stream_tools_required", Endpoint.CHAT, NO_TOOLS),
        ("vllm/err_unknown_model", Endpoint.CHAT, None),
        ("vllm/err_bad_json", Endpoint.CHAT, None),
        ("vllm/err_max_tokens_negative", Endpoint.CHAT, None),
        ("vllm/err_messages_wrong_type", Endpoint.CHAT, None),
        ("vllm/err_temperature_range", Endpoint.CHAT, None),
        ("vllm/auth_missing", Endpoint.CHAT, None),
        ("vllm/chat_paused", Endpoint.CHAT, None),
        ("vllm/n_too_big_for_queue", Endpoint.CHAT, None),
        ("vllm/engine_dead_chat", Endpoint.CHAT, None),
        ("llama.cpp/err_context_chat", Endpoint.CHAT, SHORT),
        ("llama.cpp/err_context_completion", Endpoint.COMPLETIONS, SHORT),
        ("llama.cpp/embeddings", Endpoint.EMBEDDINGS, NO_ROUTE),
        ("llama.cpp/rerank", Endpoint.RERANK, NO_ROUTE),
        ("llama.cpp/err_404", Endpoint.SCORE, NO_ROUTE),
        ("llama.cpp/emb_too_long", Endpoint.EMBEDDINGS, Cannot(Lack.CONTEXT, 512)),
        ("llama.cpp/err_bad_json", Endpoint.CHAT, None),
        ("llama.cpp/health_loading", Endpoint.CHAT, None),
        ("llama.cpp/err_no_messages", Endpoint.CHAT, None),
        ("transformers-serve/embeddings", Endpoint.EMBEDDINGS, NO_ROUTE),
        ("transformers-serve/err_unknown_model", Endpoint.CHAT, None),
        ("transformers-serve/err_unknown_field", Endpoint.CHAT, None),
        ("transformers-serve/err_messages_wrong_type", Endpoint.CHAT, None),
        ("transformers-serve/completion_array", Endpoint.COMPLETIONS, Cannot(Lack.PROMPTS)),
    ],
)
def test_captured_errors(name: str, endpoint: Endpoint, expected: Cannot | None) -> None:
    found = capture(name)
    assert found.status >= 400
    assert cannot(found.status, found.body, endpoint, DIALECTS[KINDS[name.split("/")[0]]]) == expected


def said(text: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": text, "type": "invalid_request_error", **more}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, said("max_tokens=100000 cannot be greater than max_model_len=2048. Please request fewer."), SHORT),
        (400, said("Too long.", code="context_length_exceeded"), Cannot(Lack.CONTEXT)),
        (400, said("The input (9 tokens) is longer than the model's context length (2048 tokens)."), SHORT),
        (400, said("The decoder prompt (length 5000) is longer than the maximum model length of 2048."), SHORT),
        (422, b'{"error":"`inputs` must have less than 2048 tokens. Given: 1","error_type":"validation"}', SHORT),
        (
            422,
            b'{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1"}',
            SHORT,
        ),
        (400, said("the prompt is longer than the context length currently available"), Cannot(Lack.CONTEXT)),
        (400, said("registry.ollama.ai/library/gemma3:4b does not support tools"), NO_TOOLS),
        (500, said("tools param requires --jinja flag"), NO_TOOLS),
        (400, said("Qwen3-8B is not a multimodal model"), Cannot(Lack.IMAGES)),
        (400, said("At most 0 image(s) may be provided in one prompt."), Cannot(Lack.IMAGES)),
        (500, said("image input is not supported - hint: you may need to provide the mmproj"), Cannot(Lack.IMAGES)),
        (500, said("audio input is not supported - hint: you may need the mmproj"), Cannot(Lack.AUDIO)),
        (400, b'{"detail":"prompt must be a string."}', Cannot(Lack.PROMPTS)),
        (
            400,
            said("json: cannot unmarshal array into Go struct field CompletionRequest.prompt of type string"),
            Cannot(Lack.PROMPTS),
        ),
        (400, b'{"object":"error","message":"The model does not support Embeddings API","code":400}', NO_ROUTE),
        (400, said("As of transformers v4.44, default chat template is no longer allowed, so"), NO_ROUTE),
        (400, said('"nomic-embed-text" does not support chat'), NO_ROUTE),
        (404, b"404 page not found", NO_ROUTE),
        (404, b"", NO_ROUTE),
        (404, b"<html>\r\n<h1>404 Not Found</h1><hr>nginx</html>", NO_ROUTE),
        (404, b"default backend - 404", NO_ROUTE),
        (405, b"<!doctype html>\n<title>405 Method Not Allowed</title>", NO_ROUTE),
        (400, said("prompt is too long: 210000 tokens > 2048 maximum"), SHORT),
        (400, said("The input token count (99) exceeds the maximum number of tokens allowed (2048)."), SHORT),
        (
            400,
            said("Prompt contains 40 tokens and 0 draft tokens, too large for model with 2048 maximum context length"),
            SHORT,
        ),
        (404, said("Invalid URL (POST /v1/x)", code="unknown_url"), NO_ROUTE),
        (501, b"", NO_ROUTE),
        (501, b"\xff" * 100_000, NO_ROUTE),
    ],
)
def test_words_of_sources(status: int, body: bytes, expected: Cannot) -> None:
    assert cannot(status, body, Endpoint.CHAT, DIALECTS["llama_cpp"]) == expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, said("1 validation error: {'input': 'x does not support tools'}")),
        (400, said('Invalid value: "This model\'s maximum context length is 10 tokens"')),
        (400, said("messages[0]: image input is not supported - hint")),
        (404, said("model 'x' not found, try pulling it first")),
        (404, said("Response with id 'resp_1' not found.")),
        (401, said("This server does not support you")),
        (429, said("This model's maximum context length is 10 tokens")),
        (503, said("The model does not support Chat API")),
        (200, b""),
        (400, b""),
        (400, b"[]"),
        (400, b'{"error":7}'),
    ],
)
def test_what_says_nothing_of_the_kind(status: int, body: bytes) -> None:
    assert cannot(status, body, Endpoint.CHAT, UNKNOWN) is None


def test_a_500_counts_only_of_engines_that_say_it_to_clients() -> None:
    body = said("tools param requires --jinja flag")
    assert cannot(500, body, Endpoint.CHAT, DIALECTS["vllm"]) is None


@pytest.mark.parametrize("endpoint", [Endpoint.OTHER, Endpoint.MODELS])
def test_of_routes_of_many_kinds_nothing_is_learnt(endpoint: Endpoint) -> None:
    assert cannot(404, b'{"detail":"Not Found"}', endpoint, UNKNOWN) is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, said("API key not valid. Please pass a valid API key."), True),
        (400, b"[" + said("API key expired. Please renew the API key.") + b"]", True),
        (400, said("Your credit balance is too low to access the Anthropic API."), True),
        (400, said("No.", code="invalid_api_key"), True),
        (400, said("messages[0].content: 'API key not valid'"), False),
        (422, said("API key not valid."), False),
        (400, said("Invalid 'temperature'"), False),
        (400, b"", False),
    ],
)
def test_a_400_that_is_about_the_key(status: int, body: bytes, expected: bool) -> None:
    assert refuses_key(status, body) is expected


@given(st.integers(400, 599), st.binary() | st.text().map(str.encode), st.sampled_from(Endpoint))
def test_nothing_raises(status: int, body: bytes, endpoint: Endpoint) -> None:
    cannot(status, body, endpoint, UNKNOWN)
    cannot(status, json.dumps({"error": {"message": body.decode("utf-8", "replace")}}).encode(), endpoint, UNKNOWN)
