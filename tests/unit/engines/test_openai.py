"""What is taken for OpenAI's API, and what vendors say."""

import json

import pytest

from proxy.engines.openai import OPENAI
from proxy.engines.refusals import cannot
from proxy.engines.routes import offers
from proxy.model.abilities import PLAIN, Cannot, Lack
from proxy.model.endpoint import Endpoint


def test_nothing_is_excused_of_it() -> None:
    assert not OPENAI.answers_500_to_bad_requests, "nobody's 500 is excused unless we know better"
    assert OPENAI.traits == PLAIN
    assert OPENAI.loads == ()


def test_it_may_have_routes_that_are_not_listed() -> None:
    assert offers("openai", "/v1/future/thing")
    assert not offers("openai", "/future")


@pytest.mark.parametrize(
    "text",
    [
        "prompt is too long: 210000 tokens > 2048 maximum",
        "The input token count (99) exceeds the maximum number of tokens allowed (2048).",
        "Trying to keep the first 9 tokens when it overflows is loaded with context length of only 2048 tokens",
    ],
)
def test_vendors_words(text: str) -> None:
    body = json.dumps({"error": {"message": text}}).encode()
    assert cannot(400, body, Endpoint.CHAT, OPENAI) == Cannot(Lack.CONTEXT, 2048)
