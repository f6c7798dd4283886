"""The helpers that the official clients bring (streams that add up, parsed answers, tool runners), through the proxy as
direct: what they make of the events, in their order.
"""

from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.dropin.conftest import client_of as openai_of
from tests.dropin.conftest import plain
from tests.support.agent_engine import MODEL, Threaded


class City(BaseModel):
    """What the engine says where a schema is asked for."""

    city: str
    population: int
    tags: list[str]


class Weather(BaseModel):
    """Of a city."""

    city: str
    note: str


CHAT: dict[str, Any] = {"model": "fake-model", "messages": [{"role": "user", "content": "Which city?"}]}
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Which city?"}]}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOLS = [{"name": name, "description": "of a file", "input_schema": SCHEMA} for name in ("Read", "Grep")]


def heard(manager: Any, final: str) -> Any:
    """The kinds of all that a stream's helper tells, and what it adds up to."""
    with manager as stream:
        kinds = [event.type for event in stream]
        return [kinds, getattr(stream, final)()]


@pytest.mark.parametrize(
    "more",
    [{}, {"response_format": City}, {"tools": [openai.pydantic_function_tool(Weather)]}, {"n": 2}, {"logprobs": True}],
    ids=["text", "schema", "tools", "choices", "logprobs"],
)
def test_chats_as_streams_that_add_up(same, more):
    kinds, final = same(lambda client: heard(client.chat.completions.stream(**CHAT, **more), "get_final_completion"))
    assert "chunk" in kinds
    if "response_format" in more:
        assert final["choices"][0]["message"]["parsed"]["population"] > 0
    if "tools" in more:
        assert "tool_calls.function.arguments.done" in kinds


def test_chats_that_are_parsed(same):
    message = same(lambda client: client.chat.completions.parse(**CHAT, response_format=City))["choices"][0]["message"]
    assert message["parsed"]["tags"]
    tools = [openai.pydantic_function_tool(Weather)]
    message = same(lambda client: client.chat.completions.parse(**CHAT, tools=tools))["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["parsed_arguments"]["city"]


@pytest.fixture(scope="module")
def urls(bed):
    with bed.backend(Threaded()) as engine, bed.proxy({"backends": [{"url": engine.url, "name": "alpha"}]}) as proxy:
        yield engine.url, proxy.url


@pytest.fixture
def same_response(urls) -> Callable[[Callable[[openai.OpenAI], Any]], Any]:
    def compare(call: Callable[[openai.OpenAI], Any]) -> Any:
        with openai_of(urls[0]) as direct, openai_of(urls[1]) as through:
            expected, got = plain(call(direct)), plain(call(through))
        assert got == expected
        return got

    return compare


@pytest.fixture
def same_message(urls) -> Callable[[Callable[[anthropic.Anthropic], Any]], Any]:
    def compare(call: Callable[[anthropic.Anthropic], Any]) -> Any:
        said = []
        for url in urls:
            with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=15.0) as client:
                said.append(plain(call(client)))
        assert said[0] == said[1]
        return said[0]

    return compare


RESPONSE: dict[str, Any] = {"model": MODEL, "input": [{"role": "user", "content": "Which city?"}]}
FUNCTIONS = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in ("Read", "Grep")]


@pytest.mark.parametrize("more", [{}, {"text_format": City}, {"tools": FUNCTIONS}], ids=["text", "schema", "tools"])
def test_responses_as_streams_that_add_up(same_response, more):
    kinds, final = same_response(
        lambda client: heard(client.responses.stream(**RESPONSE, **more), "get_final_response")
    )
    assert kinds[-1] == "response.completed"
    assert final["output"]


def test_responses_that_are_parsed(same_response):
    assert same_response(lambda client: client.responses.parse(**RESPONSE, text_format=City).output_parsed)["tags"]


@pytest.mark.parametrize(
    "more",
    [{}, {"output_format": City}, {"tools": TOOLS}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}],
    ids=["text", "schema", "tools", "thinking"],
)
def test_messages_as_streams_that_add_up(same_message, more):
    kinds, final = same_message(lambda client: heard(client.messages.stream(**ASKED, **more), "get_final_message"))
    assert kinds[-1] == "message_stop"
    assert final["content"]


def test_the_text_alone_of_a_message(same_message):
    def call(client: anthropic.Anthropic) -> list[str]:
        with client.messages.stream(**ASKED) as stream:
            return list(stream.text_stream)

    assert "".join(same_message(call))


def test_messages_that_are_parsed(same_message):
    assert same_message(lambda client: client.messages.parse(**ASKED, output_format=City).parsed_output)["tags"]


def test_a_runner_of_tools_goes_to_its_end(same_message):
    """Eighteen turns of two calls each, then text; of each turn only what is new is sent (`thread`)."""

    def call(client: anthropic.Anthropic) -> Any:
        done: list[str] = []

        @anthropic.beta_tool
        def Read(path: str, note: str) -> str:  # noqa: N802 - the tool's name
            """Reads a file."""
            done.append(f"{path} {note}")
            return "read"

        @anthropic.beta_tool
        def Grep(path: str, deep: list[Any]) -> str:  # noqa: N802 - the tool's name
            """Looks for something."""
            done.append(f"{path} {deep}")
            return "found"

        last = client.beta.messages.tool_runner(**ASKED, tools=[Read, Grep]).until_done()
        return [done, last.content, last.stop_reason]

    done, _, reason = same_message(call)
    assert len(done) == 36
    assert reason == "end_turn"
