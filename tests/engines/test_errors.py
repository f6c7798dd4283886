"""Errors of a real engine arrive with the engine's own words; errors it would not notice are ours."""

from typing import Any

import openai
import pytest

from tests.engines.conftest import TEXT
from tests.engines.llama_server import CONTEXT_TOKENS, LlamaServer
from tests.support.proxy_process import ProxyProcess
from tests.support.raw_client import ask

TOO_LONG: Any = [{"role": "user", "content": "water " * (CONTEXT_TOKENS + 100)}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long(through: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        through.chat.completions.create(model=TEXT, messages=TOO_LONG, stream=stream)
    error: Any = caught.value.body
    assert caught.value.type == "exceed_context_size_error"
    assert error["n_ctx"] == CONTEXT_TOKENS
    assert error["n_prompt_tokens"] > CONTEXT_TOKENS
    assert caught.value.request_id


def test_it_reads_as_it_does_direct(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    body = {"model": TEXT, "messages": TOO_LONG}
    direct, through = (ask(peer.address, "POST", "/v1/chat/completions", body) for peer in (text_server, proxy))
    assert through.status == direct.status == 400
    said, told = direct.json()["error"], through.json()["error"]
    assert told["code"] == "context_length_exceeded", "as clients know it; its own is 400"
    assert {**said, "code": ""}.items() <= {**told, "code": ""}.items()


def test_a_feature_that_is_off(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    body = {"model": TEXT, "input": "water"}
    direct, through = (ask(peer.address, "POST", "/v1/embeddings", body) for peer in (text_server, proxy))
    assert through.status == direct.status == 501
    assert direct.json()["error"].items() <= through.json()["error"].items()


def test_an_unknown_model_is_refused_though_the_engine_would_take_it(
    text_server: LlamaServer, through: openai.OpenAI
) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    body = {"model": "nonexistent", "messages": messages, "max_tokens": 1}
    assert ask(text_server.address, "POST", "/v1/chat/completions", body).status == 200
    with pytest.raises(openai.NotFoundError) as caught:
        through.chat.completions.create(model="nonexistent", messages=messages)
    assert caught.value.code == "model_not_found"


def test_bad_json_is_a_400_whatever_the_engine_says(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    direct, through = (
        ask(peer.address, "POST", "/v1/chat/completions", b'{"model": "tiny",') for peer in (text_server, proxy)
    )
    assert direct.status in (400, 500), "500 in older builds"
    assert through.status == 400


def test_clients_mistakes_do_not_eject_the_engine(through: openai.OpenAI, proxy: ProxyProcess) -> None:
    for _ in range(10):
        with pytest.raises(openai.BadRequestError):
            through.chat.completions.create(model=TEXT, messages=TOO_LONG)
    with pytest.raises(openai.APIStatusError):  # 501: the engine's, and no sign of ill health either
        through.embeddings.create(model=TEXT, input="water")
    assert proxy.metrics().total("tidegate_backend_healthy", backend=TEXT) == 1
    answer = through.completions.create(model=TEXT, prompt="hello", max_tokens=2)
    assert answer.choices[0].text
