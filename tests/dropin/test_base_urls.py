"""The base URLs people write: with `/v1`, without, with a trailing slash. A POST is never redirected."""

import openai
import pytest

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("suffix", ["/v1", "/v1/", "", "/"])
def test_the_client_works_with_this_base_url(proxy, suffix):
    with openai.OpenAI(base_url=proxy.url + suffix, api_key="k", max_retries=0, timeout=10.0) as client:
        assert client.chat.completions.create(model="fake-model", messages=MESSAGES).choices
        assert list(client.completions.create(model="fake-model", prompt="a", stream=True))
        assert client.embeddings.create(model="org/fake-embed", input="a").data
        assert client.models.list().data
        assert client.responses.create(model="fake-model", input="a").output


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/v1/chat/completions/", "/chat/completions"])
def test_every_spelling_of_a_route_reaches_the_engine_as_one(proxy, engine, target):
    answer = proxy.ask("POST", target, {"model": "fake-model", "messages": MESSAGES})
    assert answer.status == 200
    assert engine.requests[-1].target == "/v1/chat/completions"
