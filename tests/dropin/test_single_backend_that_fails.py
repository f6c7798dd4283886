"""Before a single engine that fails, the official client does through the proxy what it does directly."""

import openai
import pytest

from tests.dropin.conftest import client_of
from tests.support.engine_scripts import SCRIPTS
from tests.support.fake_engine import well_behaved

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
STORIES = {
    "one 500": [500, 200],
    "a 500, a 503, then fine": [500, 503, 200],
    "two 503s": [503, 503, 200],
    "three 500s": [500, 500, 500],
    "three 503s": [503, 503, 503],
    "three 502s": [502, 502, 502],
    "three 504s": [504, 504, 504],
    "a reset": ["reset", 200],
    "resets": ["reset", "reset", "reset"],
    "a 400": [400],
    "a 401": [401],
    "a 404": [404],
    "a 409": [409, 200],
    "a 429": [429, 200],
}


def told(story):
    """An engine that goes through a story, and the list of what it was asked."""
    seen = []

    async def answer(exchange):
        step = story[min(len(seen), len(story) - 1)]
        seen.append(step)
        if step == 200:
            await well_behaved(exchange)
        elif step == "reset":
            exchange.reset()
        else:
            exchange.arguments = [str(step), "some_code", "None", "retry-after-ms=20"]
            await SCRIPTS["status"](exchange)

    return seen, answer


def lived(url, stream):
    """How a call with the client's own two retries ends."""
    with client_of(url, max_retries=2) as client:
        try:
            answer = client.chat.completions.create(**CHAT, stream=stream, extra_headers={"x-fake": "story"})
            return "answered", bool(list(answer) if stream else answer.choices)
        except openai.APIStatusError as error:
            return error.status_code, error.code
        except openai.APIConnectionError:
            return "connection", None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("story", list(STORIES.values()), ids=list(STORIES))
def test_as_directly(start_pair, story, stream):
    engine, proxy = start_pair()
    ends, asked = [], []
    for url in (engine.url, proxy.url):
        seen, engine.scripts["story"] = told(story)
        ends.append(lived(url, stream))
        asked.append(list(seen))
    if asked[1][:1] == ["reset"]:  # over a pooled connection it may have been a dead one: asked again on a new one
        asked[1] = asked[1][-len(asked[0]) :]
    assert asked[1] == asked[0], "the engine is asked as often"
    if ends[0][0] == "connection":  # a proxy can say so only by a status of its own
        assert ends[1][0] == 502
    else:
        assert ends[1] == ends[0]
