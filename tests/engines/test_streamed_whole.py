"""Whole answers that a real engine is asked for as streams: its own, whatever their length, and given up with their
client."""

from typing import Any

import pytest

from tests.engines.kinds import MODEL
from tests.engines.pair import Pair
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


@pytest.mark.case("clients that leave")
def test_whoever_leaves_beside_others_frees_its_place(pair: Pair) -> None:
    """While somebody else's answer flows llama-server never looks for a client that left, if it does not stream."""
    messages = [{"role": "user", "content": "tell me a long story of the sea"}]
    body = {"model": MODEL, "messages": messages, "max_tokens": 1800, **pair.kind.repeatable}
    whole = request_bytes("POST", "/v1/chat/completions", body)
    flowing = request_bytes("POST", "/v1/chat/completions", body | {"stream": True})
    if pair.kind.part == "transformers":
        pytest.skip("works at one request at a time")
    with connected(pair.proxy.address, flowing) as other:
        assert other.answer_head().status == 200
        with connected(pair.proxy.address, whole):
            eventually(lambda: pair.server.jobs() == 2, "both at work", STOPS_WITHIN_S)
        eventually(lambda: pair.server.jobs() < 2, "its place is free", STOPS_WITHIN_S)
