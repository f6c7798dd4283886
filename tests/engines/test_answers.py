"""A real llama-server answers the official client through the proxy as it does direct."""

import base64
import json
import struct
from typing import Any

import openai
import pytest

from tests.engines.conftest import EMBED, TEXT, Same, comparable
from tests.engines.llama_server import LlamaServer
from tests.support.proxy_process import ProxyProcess
from tests.support.raw_client import ask

# The engine's own field, unknown to the proxy: without it the second of two equal prompts is computed another way, and
# rounding may choose another word.
REPEATABLE: dict[str, Any] = {"temperature": 0, "seed": 5, "extra_body": {"cache_prompt": False}}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Où est le café? 🙂"}]
TOWN = {"type": "object", "properties": {"town": {"type": "string", "maxLength": 5}}, "required": ["town"]}


def chat(**more: Any) -> dict[str, Any]:
    return {"model": TEXT, "messages": MESSAGES, "max_tokens": 24, **REPEATABLE, **more}


CHATS = {
    "plain": chat(),
    "content parts": chat(messages=[{"role": "user", "content": [{"type": "text", "text": "one more day"}]}]),
    "several choices": chat(n=2),
    "logprobs": chat(logprobs=True, top_logprobs=3),
    "stop": chat(stop=["e", "a"]),
    "structured output": chat(
        max_tokens=60, response_format={"type": "json_schema", "json_schema": {"name": "town", "schema": TOWN}}
    ),
    "new name of the limit": {**chat(max_completion_tokens=5), "max_tokens": openai.omit},
    "the engine's own knobs": chat(extra_body={"cache_prompt": False, "top_k": 7, "min_p": 0.01, "mirostat": 0}),
}


@pytest.mark.parametrize("call", CHATS.values(), ids=CHATS.keys())
class TestChat:
    def test_non_stream(self, same: Same, call: dict[str, Any]) -> None:
        answer = same(lambda client: client.chat.completions.create(**call))
        assert answer["usage"]["completion_tokens"] > 0
        assert answer["model"] == TEXT

    def test_stream(self, same: Same, call: dict[str, Any]) -> None:
        chunks = same(lambda client: list(client.chat.completions.create(stream=True, **call)))
        assert not any(chunk["usage"] for chunk in chunks)
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] is not None

    def test_stream_with_usage(self, same: Same, call: dict[str, Any]) -> None:
        chunks = same(
            lambda client: list(
                client.chat.completions.create(stream=True, stream_options={"include_usage": True}, **call)
            )
        )
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["completion_tokens"] > 0


class TestStream:
    def test_says_what_the_whole_answer_says(self, through: openai.OpenAI) -> None:
        whole = through.chat.completions.create(**chat(max_tokens=80))
        chunks = list(through.chat.completions.create(stream=True, **chat(max_tokens=80)))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content
        assert len(chunks) > 20

    def test_ends_with_done_and_a_clean_end(self, proxy: ProxyProcess) -> None:
        body = {"model": TEXT, "messages": MESSAGES, "max_tokens": 8, "stream": True}
        answer = proxy.ask("POST", "/v1/chat/completions", body)
        assert answer.status == 200
        assert answer.complete
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert answer.body.count(b"[DONE]") == 1
        assert (answer.head.get("content-type") or "").startswith("text/event-stream")


PROMPTS: dict[str, Any] = {
    "text": "once upon a time",
    "texts": ["once upon a time", "water and fire"],
    "tokens": [260, 270, 280, 300],
    "lists of tokens": [[260, 270], [280, 300, 310]],
}


def completion(prompt: Any, **more: Any) -> dict[str, Any]:
    return {"model": TEXT, "prompt": prompt, "max_tokens": 12, **REPEATABLE, **more}


class TestCompletions:
    @pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
    def test_non_stream(self, same: Same, prompt: Any) -> None:
        answer = same(lambda client: client.completions.create(**completion(prompt)))
        assert answer["choices"][0]["text"]

    def test_stream(self, same: Same) -> None:
        chunks = same(lambda client: list(client.completions.create(stream=True, **completion("once upon"))))
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"

    def test_stream_of_several_prompts_without_its_odd_event(
        self, text_server: LlamaServer, proxy: ProxyProcess
    ) -> None:
        """llama.cpp begins it with `data: null`, which carries nothing: the one event that is not passed on."""
        body = {"model": TEXT, "prompt": ["once", "upon"], "max_tokens": 6, "temperature": 0, "stream": True}
        direct, through = (sorted_events(peer.address, body) for peer in (text_server, proxy))
        assert len(direct) > 2
        direct.remove("null")
        assert through == direct


def sorted_events(address: tuple[str, int], body: dict[str, Any]) -> list[str]:
    """The data of every event, without what varies. Sorted: which prompt is ahead is up to the engine."""
    answer = ask(address, "POST", "/v1/completions", {**body, "cache_prompt": False})
    lines = answer.body.decode().split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return sorted(json.dumps(comparable(json.loads(item))) for item in data)


INPUTS: dict[str, Any] = {"text": "one word", "texts": ["water", "fire", "Źródło 水 🙂"], "tokens": [260, 270, 280]}


class TestEmbeddings:
    @pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS.keys())
    @pytest.mark.parametrize("encoding", [openai.omit, "float", "base64"], ids=["default", "float", "base64"])
    def test_equal(self, same: Same, given: Any, encoding: Any) -> None:
        answer = same(
            lambda client: client.embeddings.create(model=EMBED, input=given, encoding_format=encoding), EMBED
        )
        assert len(answer["data"]) == (len(given) if given == INPUTS["texts"] else 1)

    def test_both_encodings_hold_the_same_numbers(self, through: openai.OpenAI) -> None:
        as_numbers = through.embeddings.create(model=EMBED, input="water", encoding_format="float").data[0].embedding
        packed: Any = through.embeddings.create(model=EMBED, input="water", encoding_format="base64").data[0].embedding
        raw = base64.b64decode(packed)
        assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(as_numbers, abs=1e-6)
        assert len(as_numbers) == 384


class TestOtherRoutes:
    def test_models_of_both_engines(self, through: openai.OpenAI) -> None:
        assert {model.id for model in through.models.list()} == {TEXT, EMBED}
        assert through.models.retrieve(EMBED).id == EMBED

    def test_responses(self, same: Same) -> None:
        call = {"model": TEXT, "input": "tell me a story", "max_output_tokens": 12, "temperature": 0}
        answer = same(lambda client: client.responses.create(**call, extra_body={"cache_prompt": False}))
        assert answer["output"]

    def test_responses_stream(self, same: Same) -> None:
        call = {"model": TEXT, "input": "tell me a story", "max_output_tokens": 12, "temperature": 0, "stream": True}
        events = same(lambda client: list(client.responses.create(**call, extra_body={"cache_prompt": False})))
        assert events[-1]["type"] == "response.completed"

    def test_a_route_only_this_engine_has(self, text_server: LlamaServer, proxy: ProxyProcess) -> None:
        body = {"model": TEXT, "messages": MESSAGES}
        direct, through = (
            ask(peer.address, "POST", "/v1/chat/completions/input_tokens", body) for peer in (text_server, proxy)
        )
        assert through.status == direct.status == 200
        assert through.body == direct.body
