"""A real llama-server ends in the middle of its work, and comes back on the same port."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.engines.conftest import assert_at_rest, client_of, config_for
from tests.engines.llama_server import CONTEXT_TOKENS, Engine, LlamaServer, running_server
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

MORTAL = "mortal"
BACK_WITHIN_S = 30.0
"""One probe interval of 5 s, the first ejection of 5 s, and a slow machine."""


@pytest.fixture
def server(engine: Engine) -> Iterator[LlamaServer]:
    # Terminated mid-stream it says nothing more until its next comment is due (30 s unless told otherwise), then cuts.
    with running_server(engine, MORTAL, "--sse-ping-interval", "2") as server:
        yield server


@pytest.fixture
def lone_proxy(server: LlamaServer) -> Iterator[ProxyProcess]:
    with running_proxy(config_for(server)) as proxy:
        ready(proxy, models=1)
        yield proxy
        assert_at_rest(proxy)


@pytest.fixture
def client(lone_proxy: ProxyProcess) -> Iterator[openai.OpenAI]:
    with client_of(lone_proxy.url) as client:
        yield client


def story(**more: Any) -> dict[str, Any]:
    return {"model": MORTAL, "prompt": "once upon a time", "max_tokens": CONTEXT_TOKENS, **more}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_mid_stream_it_ends_in_an_error(server: LlamaServer, client: openai.OpenAI, number: signal.Signals) -> None:
    stream = client.completions.create(stream=True, **story())
    assert next(iter(stream)).choices
    server.signal(number)
    with pytest.raises(openai.APIError) as caught:
        for chunk in stream:
            assert chunk.choices
    assert not isinstance(caught.value, openai.APIConnectionError), "an error event, not a broken transport"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


def test_before_the_answer_it_is_an_http_error(server: LlamaServer, client: openai.OpenAI) -> None:
    killer = threading.Timer(1.0, server.signal, (signal.SIGKILL,))
    killer.start()
    try:
        with pytest.raises(openai.InternalServerError) as caught:
            client.completions.create(**story())
    finally:
        killer.join()
    assert caught.value.status_code in (502, 503)
    assert caught.value.request_id


def test_it_comes_back(server: LlamaServer, client: openai.OpenAI) -> None:
    assert client.completions.create(**story(max_tokens=2)).choices[0].text
    server.kill()
    with pytest.raises(openai.InternalServerError) as caught:
        client.completions.create(**story(max_tokens=2))
    assert caught.value.status_code in (502, 503)

    server.start()

    def answers() -> bool:
        try:
            return bool(client.completions.create(**story(max_tokens=2)).choices[0].text)
        except openai.InternalServerError:
            return False

    eventually(answers, "an answer of the engine that came back", BACK_WITHIN_S)


def test_a_restart_between_two_requests_is_not_noticed(server: LlamaServer, client: openai.OpenAI) -> None:
    """The pooled connections are dead; the next request goes on a new one."""
    for _ in range(3):
        assert client.completions.create(**story(max_tokens=2)).choices[0].text
        server.kill()
        server.start()
    assert client.completions.create(**story(max_tokens=2)).choices[0].text
