"""For which requests, and on which engines, a broken stream may be continued."""

from typing import Any

import pytest

from proxy.engines.registry import DIALECTS
from proxy.model.endpoint import Endpoint
from proxy.wire.resumable import is_resumable
from tests.unit.wire.test_continuation import CHAT, TEXT, VLLM


class TestIsResumable:
    @pytest.mark.parametrize("kind", ["vllm", "sglang"])
    def test_greedy_chat(self, kind: str) -> None:
        assert is_resumable(CHAT, Endpoint.CHAT, DIALECTS[kind])

    @pytest.mark.parametrize("kind", ["openai", "tgi", "llama_cpp", "ollama", "transformers", "tensorrt_llm"])
    def test_chat_needs_an_engine_that_continues_a_message(self, kind: str) -> None:
        assert not is_resumable(CHAT, Endpoint.CHAT, DIALECTS[kind])

    @pytest.mark.parametrize("kind", ["vllm", "sglang", "tgi", "llama_cpp"])
    def test_greedy_text(self, kind: str) -> None:
        assert is_resumable(TEXT, Endpoint.COMPLETIONS, DIALECTS[kind])

    @pytest.mark.parametrize("kind", ["openai", "ollama"])
    def test_text_needs_a_raw_prompt(self, kind: str) -> None:
        assert not is_resumable(TEXT, Endpoint.COMPLETIONS, DIALECTS[kind])

    @pytest.mark.parametrize("endpoint", set(Endpoint) - {Endpoint.CHAT, Endpoint.COMPLETIONS})
    def test_other_endpoints(self, endpoint: Endpoint) -> None:
        assert not is_resumable(CHAT, endpoint, VLLM)
        assert not is_resumable(TEXT, endpoint, VLLM)

    @pytest.mark.parametrize(
        "extra",
        [
            {"seed": 7, "top_p": 0.5, "top_k": 3, "user": "u", "logit_bias": {"3": 1.0}},
            {"n": 1, "tools": None, "tool_choice": "none", "response_format": {"type": "text"}, "stop": []},
            {"max_tokens": 5},
            {"max_completion_tokens": 5},
            {"stream_options": {"include_usage": True}},
            {"presence_penalty": 0, "frequency_penalty": 0.0, "repetition_penalty": 1.0},
        ],
    )
    def test_harmless_fields(self, extra: dict[str, Any]) -> None:
        assert is_resumable(CHAT | extra, Endpoint.CHAT, VLLM)

    @pytest.mark.parametrize(
        "extra",
        [
            {"stream": False},
            {"stream": None},
            {"temperature": None},
            {"temperature": 0.1},
            {"temperature": 0.7, "seed": 1},
            {"temperature": False},
            {"temperature": "0"},
            {"n": 2},
            {"tools": [{"type": "function"}]},
            {"functions": [{}]},
            {"tool_choice": "required"},
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            {"guided_regex": "a+"},
            {"structured_outputs": {"regex": "a+"}},
            {"grammar": "root ::= x"},
            {"logprobs": True},
            {"top_logprobs": 0},
            {"echo": True},
            {"stop": "END"},
            {"stop": ["END"]},
            {"min_tokens": 3},
            {"presence_penalty": 0.5},
            {"frequency_penalty": -0.5},
            {"repetition_penalty": 1.1},
            {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
            {"stream_options": "x"},
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"add_generation_prompt": True},
            {"continue_final_message": False},
            {"return_token_ids": True},
            {"something_new": 0},
            {"max_tokens": 0},
            {"max_tokens": True},
            {"max_tokens": "9"},
            {"messages": []},
            {"messages": "x"},
            {"messages": [{"role": "assistant", "content": "So"}]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            {"messages": [{"role": "tool", "content": "x"}]},
            {"messages": ["x"]},
        ],
    )
    def test_what_forbids_a_chat(self, extra: dict[str, Any]) -> None:
        assert not is_resumable(CHAT | extra, Endpoint.CHAT, VLLM)

    @pytest.mark.parametrize(
        "extra",
        [
            {"prompt": ["a"]},
            {"prompt": [1, 2]},
            {"prompt": ""},
            {"prompt": "\ud800"},
            {"prompt": None},
            {"suffix": "end"},
            {"best_of": 2},
            {"echo": True},
            {"logprobs": 0},
            {"max_tokens": None},
        ],
    )
    def test_what_forbids_a_text(self, extra: dict[str, Any]) -> None:
        assert not is_resumable(TEXT | extra, Endpoint.COMPLETIONS, VLLM)
