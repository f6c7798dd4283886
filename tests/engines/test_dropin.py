"""Every engine answers official clients through the proxy as it does direct. What one lacks is skipped, and told."""

import base64
import json
import struct
from typing import Any

import openai
import pytest

from tests.engines.kinds import CONTEXT_TOKENS, MODEL
from tests.engines.pair import Pair, anthropic_client_of, comparable

pytestmark = pytest.mark.usefixtures("offered")
TOWN = {"type": "object", "properties": {"town": {"type": "string", "maxLength": 5}}, "required": ["town"]}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": TOWN}}
NAMED: Any = {"type": "function", "function": {"name": "weather"}}


def text_of(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.case("recognised")
def test_its_kind_is_found_out(pair: Pair) -> None:
    backends = pair.proxy.admin("/backends").json()["backends"]
    assert [backend["engine"]["kind"] for backend in backends.values()] == [pair.server.kind]


@pytest.mark.case("models")
def test_its_model_is_listed(pair: Pair) -> None:
    with pair.through() as through:
        assert [model.id for model in through.models.list()] == [MODEL]
        assert through.models.retrieve(MODEL).id == MODEL


@pytest.mark.case("chat")
class TestChat:
    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "one more day"}]}]},
            {"stop": ["e", "a"]},
            {"max_tokens": openai.omit, "max_completion_tokens": 5},
        ],
        ids=["plain", "content parts", "stop", "new name of the limit"],
    )
    def test_equal(self, pair: Pair, more: dict[str, Any]) -> None:
        answer = pair.same(lambda client: client.chat.completions.create(**pair.chat(**more)))
        assert answer["usage"]["completion_tokens"] > 0
        assert answer["usage"]["prompt_tokens"] > 5


@pytest.mark.case("chat, streamed")
class TestStream:
    @pytest.mark.parametrize("options", [openai.omit, {"include_usage": True}], ids=["plain", "with usage"])
    def test_equal(self, pair: Pair, options: Any) -> None:
        call = pair.chat(stream=True, stream_options=options)
        chunks = pair.same(lambda client: list(client.chat.completions.create(**call)))
        assert [c["finish_reason"] for chunk in chunks for c in chunk["choices"] if c["finish_reason"]] == ["length"]
        if options:
            assert chunks[-1]["usage"]["completion_tokens"] == 16

    def test_says_what_the_whole_answer_says(self, pair: Pair) -> None:
        with pair.through() as client:
            whole = client.chat.completions.create(**pair.chat(max_tokens=40))
            chunks = list(client.chat.completions.create(stream=True, **pair.chat(max_tokens=40)))
        assert text_of([comparable(chunk) for chunk in chunks]) == whole.choices[0].message.content
        assert len(chunks) > 5

    def test_ends_with_done_and_a_clean_end(self, pair: Pair) -> None:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "stream": True}
        answer = pair.proxy.ask("POST", "/v1/chat/completions", body)
        assert answer.status == 200
        assert answer.complete
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert answer.body.count(b"[DONE]") == 1


@pytest.mark.case("several choices")
def test_several_choices(pair: Pair) -> None:
    """By chance, since vLLM gives one greedy answer only."""
    call = pair.chat(n=2, temperature=1)
    direct, through = pair.both(lambda client: client.chat.completions.create(**call))
    assert [choice["index"] for choice in through["choices"]] == [choice["index"] for choice in direct["choices"]]
    assert len(through["choices"]) == 2


@pytest.mark.case("logprobs")
@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(pair: Pair, stream: bool) -> None:
    """Direct and through equal but for how many tokens an event holds, which is chance where an engine packs them."""
    call = pair.chat(logprobs=True, top_logprobs=3, stream=stream)

    def tokens(client: openai.OpenAI) -> list[Any]:
        answer: Any = client.chat.completions.create(**call)
        choices = [choice for chunk in (answer if stream else [answer]) for choice in chunk.choices]
        return [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content]

    told = pair.same(tokens)
    assert len(told) == 16
    assert {len(entry["top_logprobs"]) for entry in told} == {3}


@pytest.mark.case("tools")
@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_tools(pair: Pair, choice: Any) -> None:
    call = pair.chat(tools=[WEATHER], tool_choice=choice, max_tokens=300, **pair.kind.calls_tools)
    answer = pair.same(lambda client: client.chat.completions.create(**call))
    made = answer["choices"][0]["message"]["tool_calls"][0]
    assert made["function"]["name"] == "weather"
    json.loads(made["function"]["arguments"])  # whole; vLLM holds it to the schema only where `strict` is said


@pytest.mark.case("tools")
def test_tools_streamed(pair: Pair) -> None:
    def arguments(client: openai.OpenAI) -> tuple[str, str]:
        call = pair.chat(tools=[WEATHER], tool_choice=NAMED, max_tokens=300, **pair.kind.calls_tools)
        stream = client.chat.completions.create(stream=True, **call)
        deltas = [choice.delta for chunk in stream for choice in chunk.choices]
        calls = [call.function for delta in deltas for call in delta.tool_calls or () if call.index == 0]
        return "".join(call.name or "" for call in calls), "".join(call.arguments or "" for call in calls)

    name, told = pair.same(arguments)
    assert name == "weather"
    json.loads(told)


@pytest.mark.case("JSON schema")
def test_structured_output(pair: Pair) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "town", "schema": TOWN}}
    call = pair.chat(response_format=form, max_tokens=80)
    answer = pair.same(lambda client: client.chat.completions.create(**call))
    assert "town" in json.loads(answer["choices"][0]["message"]["content"])


@pytest.mark.case("completions")
class TestCompletions:
    def test_equal(self, pair: Pair) -> None:
        answer = pair.same(lambda client: client.completions.create(**pair.completion("once upon a time")))
        assert answer["choices"][0]["text"]

    def test_streamed(self, pair: Pair) -> None:
        def told(client: openai.OpenAI) -> tuple[str, list[str]]:
            chunks = list(client.completions.create(stream=True, **pair.completion("once upon")))
            choices = [choice for chunk in chunks for choice in chunk.choices]
            reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
            return "".join(choice.text for choice in choices), reasons

        text, reasons = pair.same(told)
        assert text
        assert reasons == ["length"]


@pytest.mark.case("arrays of prompts")
def test_arrays_of_prompts(pair: Pair) -> None:
    prompts = ["once upon a time", "water and fire"]
    answer = pair.same(lambda client: client.completions.create(**pair.completion(prompts)))
    assert [choice["index"] for choice in answer["choices"]] == [0, 1]


@pytest.mark.case("token ids")
@pytest.mark.parametrize("prompt", [[260, 270, 280, 300], [[260, 270], [280, 300, 310]]], ids=["one", "two"])
def test_token_ids(pair: Pair, prompt: Any) -> None:
    answer = pair.same(lambda client: client.completions.create(**pair.completion(prompt)))
    assert answer["choices"][0]["text"]


@pytest.mark.case("embeddings")
class TestEmbeddings:
    @pytest.mark.parametrize("given", ["one word", ["water", "fire", "Źródło 水 🙂"], [260, 270, 280]])
    def test_equal(self, embedding_pair: Pair, given: Any) -> None:
        direct, through = embedding_pair.both(lambda client: client.embeddings.create(model=MODEL, input=given))
        assert through["usage"] == direct["usage"]
        assert len(through["data"]) == (3 if isinstance(given[0], str) and len(given) == 3 else 1)
        for one, other in zip(direct["data"], through["data"], strict=True):
            assert other["embedding"] == pytest.approx(one["embedding"], abs=1e-4)

    def test_both_encodings_hold_the_same_numbers(self, embedding_pair: Pair) -> None:
        with embedding_pair.through() as client:
            call = {"model": MODEL, "input": "water"}
            as_numbers = client.embeddings.create(encoding_format="float", **call).data[0].embedding
            packed: Any = client.embeddings.create(encoding_format="base64", **call).data[0].embedding
        raw = base64.b64decode(packed)
        assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(as_numbers, abs=1e-4)


@pytest.mark.case("responses")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_responses(pair: Pair, stream: bool) -> None:
    call: Any = {"model": MODEL, "input": "tell me a story", "max_output_tokens": 12, "temperature": 0}

    def text(client: openai.OpenAI) -> str:
        answer: Any = client.responses.create(stream=stream, extra_body=dict(pair.kind.repeatable), **call)
        if not stream:
            return str(answer.output_text)
        events = list(answer)
        assert events[-1].type in ("response.completed", "response.incomplete")
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")

    assert pair.same(text)


@pytest.mark.case("Anthropic messages")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_messages(pair: Pair, stream: bool) -> None:
    call: Any = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 12}
    call["extra_body"] = {"temperature": 0, **pair.kind.repeatable}
    told = []
    for peer in (pair.server, pair.proxy):
        with anthropic_client_of(peer.url) as client:
            if stream:
                with client.messages.stream(**call) as events:
                    told.append(events.get_final_text())
            else:
                told.append(client.messages.create(**call).content[0].text)
    assert told[0] == told[1] != ""


# -- mistakes ----------------------------------------------------------------------------------------------------------


def refusal(pair: Pair, body: Any, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    answer = pair.proxy.ask("POST", path, body)
    return answer.status, answer.json()["error"]


@pytest.mark.case("context overflow")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_prompt_that_is_too_long(pair: Pair, stream: bool) -> None:
    messages: Any = [{"role": "user", "content": "water " * (CONTEXT_TOKENS + 100)}]
    with pair.through() as client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=messages, stream=stream)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.request_id


@pytest.mark.case("mistakes of clients")
class TestMistakes:
    def test_an_unknown_model(self, pair: Pair) -> None:
        with pair.through() as client, pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(**pair.chat(model="nonexistent"))
        assert caught.value.code == "model_not_found"

    @pytest.mark.parametrize(
        "body",
        [
            b'{"model": "tiny",',
            b"[]",
            {"model": MODEL},
            {"model": MODEL, "messages": "hello"},
            {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "max_tokens": "many"},
        ],
        ids=["cut", "array", "no messages", "text for messages", "text for a count"],
    )
    def test_are_400_and_cost_the_engine_nothing(self, pair: Pair, body: Any) -> None:
        for _ in range(6):
            status, error = refusal(pair, body)
            assert status in (400, 422), error
            assert error["message"]
        assert pair.proxy.metrics().total("tidegate_backend_healthy") == 1
        with pair.through() as client:
            assert client.chat.completions.create(**pair.chat(max_tokens=2)).choices

    def test_text_for_a_number(self, pair: Pair) -> None:
        """Of transformers 5.24 a 500, which is passed on: what else is in a 500 nobody can tell."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "temperature": "warm"}
        for _ in range(6):
            status, error = refusal(pair, body)
            assert status in (400, 422, 500 if pair.server.kind == "transformers" else 400), error
        assert pair.proxy.metrics().total("tidegate_backend_healthy") == 1

    def test_a_route_that_it_lacks(self, pair: Pair) -> None:
        for _ in range(6):
            status, error = refusal(pair, {"model": MODEL, "input": "water"}, "/v1/embeddings")
            assert status in (400, 404, 405, 501), error
            assert error["message"]
        assert pair.proxy.metrics().total("tidegate_backend_healthy") == 1
