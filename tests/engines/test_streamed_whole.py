"""Whole answers that a real engine is asked for as streams: its own, whatever their length, and given up with their
client."""

from typing import Any

import pytest

from tests.engines.kinds import MODEL
from tests.engines.pair import Pair, anthropic_client_of, comparable
from tests.support.patience import eventually
from tests.support.raw_client import connected, request_bytes

pytestmark = pytest.mark.usefixtures("offered")
PROMPTS = ("Tell me of foxes.", "Où est le café? 🙂", "漢字を", "def main(")
LENGTHS = (1, 2, 3, 5, 8, 13, 40)
"""Some end inside a character."""
STOPS_WITHIN_S = 60.0


@pytest.mark.case("chat")
@pytest.mark.parametrize("tokens", LENGTHS)
def test_a_chat_of_any_length_is_the_engines_own(pair: Pair, tokens: int) -> None:
    for prompt in PROMPTS:
        messages: Any = [{"role": "user", "content": prompt}]
        call = pair.chat(max_tokens=tokens) | {"messages": messages}
        pair.same(lambda client, call=call: client.chat.completions.create(**call))


@pytest.mark.case("completions")
@pytest.mark.parametrize("tokens", LENGTHS)
def test_a_text_of_any_length_is_the_engines_own(pair: Pair, tokens: int) -> None:
    for prompt in PROMPTS:
        call = pair.completion(prompt, max_tokens=tokens)
        pair.same(lambda client, call=call: client.completions.create(**call))


@pytest.mark.case("Anthropic messages")
@pytest.mark.parametrize("tokens", LENGTHS)
def test_a_message_of_any_length_is_the_engines_own(pair: Pair, tokens: int) -> None:
    for prompt in PROMPTS:
        call: Any = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}
        call["extra_body"] = {"temperature": 0, **pair.kind.repeatable}
        told = []
        for peer in (pair.server, pair.proxy):
            with anthropic_client_of(peer.url) as client:
                told.append(comparable(client.messages.create(**call)))
            usage = told[-1]["usage"]
            assert usage.pop("input_tokens") > 0, "less what was in its cache, which it is not to be kept from here"
        assert told[0] == told[1]


@pytest.mark.case("responses")
@pytest.mark.parametrize("tokens", LENGTHS)
def test_a_response_of_any_length_is_the_engines_own(pair: Pair, tokens: int) -> None:
    for prompt in PROMPTS:
        call: Any = {"model": MODEL, "input": prompt, "max_output_tokens": tokens, "temperature": 0, "stream": False}
        pair.same(lambda client, call=call: client.responses.create(extra_body=dict(pair.kind.repeatable), **call))


STORY = "tell me a long story of the sea"
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": STORY}], "max_tokens": 1800},
    "/v1/messages": {"messages": [{"role": "user", "content": STORY}], "max_tokens": 1800},
    "/v1/responses": {"input": STORY, "max_output_tokens": 1800},
}


@pytest.mark.case("clients that leave")
@pytest.mark.parametrize("path", ASKED)
def test_whoever_leaves_beside_others_frees_its_place(pair: Pair, path: str) -> None:
    """While somebody else's answer flows llama-server never looks for a client that left, if it does not stream."""
    body = {"model": MODEL, **pair.kind.repeatable}
    whole = request_bytes("POST", path, body | ASKED[path])
    flowing = request_bytes("POST", "/v1/chat/completions", body | ASKED["/v1/chat/completions"] | {"stream": True})
    if pair.kind.part == "transformers":
        pytest.skip("works at one request at a time")
    with connected(pair.proxy.address, flowing) as other:
        assert other.answer_head().status == 200
        with connected(pair.proxy.address, whole):
            eventually(lambda: pair.server.jobs() == 2, "both at work", STOPS_WITHIN_S)
        eventually(lambda: pair.server.jobs() < 2, "its place is free", STOPS_WITHIN_S)
