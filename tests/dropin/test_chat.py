"""Chat completions: every shape of request the official client can make comes back as it does without a proxy."""

import base64

import pytest

from tests.support.patience import eventually

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "town", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


def chat(**more):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": more.pop("content", "hello")}]
    return {"model": "fake-model", "messages": messages, **more}


VARIANTS = {
    "plain": chat(),
    "unicode": chat(content="Zürich \u2028 🌉 مرحبا <|endoftext|> data: [DONE]\n\n"),
    "tools": chat(tools=[WEATHER], tool_choice="auto", parallel_tool_calls=True),
    "structured output": chat(response_format=SCHEMA),
    "json mode": chat(response_format={"type": "json_object"}),
    "logprobs": chat(logprobs=True, top_logprobs=2),
    "three choices": chat(n=3, temperature=0.7),
    "all the usual knobs": chat(
        max_completion_tokens=20,
        stop=["\n", "END"],
        seed=7,
        top_p=0.9,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logit_bias={"50256": -100},
        user="u1",
        metadata={"a": "b"},
        service_tier="auto",
        extra_body={"top_k": 5, "chat_template_kwargs": {"enable_thinking": False}, "guided_choice": ["a", "b"]},
    ),
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
class TestSameAsDirect:
    def test_non_stream(self, same, arrived, variant):
        result = same(lambda client: client.chat.completions.create(**variant))
        assert result["choices"]
        direct, through = arrived()
        assert through.body == direct.body

    def test_stream(self, same, variant):
        chunks = same(lambda client: list(client.chat.completions.create(**variant, stream=True)))
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert all(chunk["usage"] is None for chunk in chunks)
        assert all(chunk["choices"] for chunk in chunks)

    def test_stream_with_usage(self, same, variant):
        options = {"include_usage": True}
        create = {**variant, "stream": True, "stream_options": options}
        chunks = same(lambda client: list(client.chat.completions.create(**create)))
        assert chunks[-1]["choices"] == []
        assert chunks[-1]["usage"]["completion_tokens"] == 7

    async def test_async(self, same_async, variant):
        await same_async(lambda client: client.chat.completions.create(**variant))

    async def test_async_stream(self, same_async, variant):
        async def call(client):
            return [chunk async for chunk in await client.chat.completions.create(**variant, stream=True)]

        await same_async(call)


def test_an_image_of_8_mb_in_the_content(same, arrived):
    image = base64.b64encode(bytes(range(256)) * 24_000).decode()
    assert len(image) > 8_000_000
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
    ]
    result = same(lambda client: client.chat.completions.create(**chat(content=parts)))
    assert "echo of 2 parts" in result["choices"][0]["message"]["content"]
    direct, through = arrived()
    assert through.body == direct.body


def test_the_streaming_accumulator_of_the_sdk(same):
    def call(client):
        with client.chat.completions.stream(**chat(content="one two three")) as stream:
            kinds = [event.type for event in stream]
            return [kinds, stream.get_final_completion()]

    kinds, final = same(call)
    assert "content.delta" in kinds
    assert final["choices"][0]["message"]["content"].startswith("echo: one two")


def test_a_tool_round_trip(same):
    def call(client):
        first = client.chat.completions.create(**chat(tools=[WEATHER]))
        message = first.choices[0].message
        answer = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "12 °C"}
        history = [{"role": "user", "content": "?"}, message.model_dump(exclude_none=True), answer]
        return client.chat.completions.create(model="fake-model", messages=history)

    assert same(call)["choices"][0]["message"]["content"] == "echo: 12 °C"


def test_leaving_a_stream_early_frees_the_engine(through, engine):
    stream = through.chat.completions.create(**chat(), stream=True, extra_headers={"x-fake": "stream 1000 0.02"})
    next(iter(stream))
    stream.close()
    request = engine.wait_for_request()
    eventually(lambda: request.aborted_at, "the engine to see the abort", 1.0)
