"""Fields of requests that the operator sets, fills in or takes out: what the engine gets, who is told, and when."""

import json

import pytest

from tests.support.bed import backend_entry
from tests.support.raw_client import ask

PATH = "/v1/chat/completions"
CHANGES = ("set", "default", "drop")
MESSAGES = [{"role": "user", "content": "x"}]
CHAT = b'{"model":"public", "logit_bias":{"5":1},"messages":[{"role":"user","content":"top_k"}],"temperature" : 1.0}'


@pytest.fixture(scope="module")
def changing(bed):
    with bed.backend() as engine:
        entry = backend_entry(
            engine,
            "alpha",
            aliases={"public": "fake-model"},
            parameters={"set": {"top_k": 20}, "default": {"seed": 7, "temperature": 0.6}, "drop": ["logit_bias"]},
        )
        models = [{"name": "public", "parameters": {"set": {"top_k": 40, "chat_template_kwargs": {"thinking": False}}}}]
        with bed.proxy(
            {"backends": [entry], "routing": {"models": models}, "console": {"hosts": ["proxy.test"]}}
        ) as proxy:
            yield engine, proxy


def test_they_are_changed_and_nothing_else(changing):
    engine, proxy = changing
    assert proxy.ask("POST", PATH, CHAT).status == 200
    assert engine.requests[-1].body == (
        b'{"model":"fake-model","messages":[{"role":"user","content":"top_k"}],"temperature" : 1.0,'
        b'"chat_template_kwargs":{"thinking":false},"top_k":20,"seed":7}'
    )
    assert engine.requests[-1].header("content-length") == str(len(engine.requests[-1].body))


def test_what_is_of_a_model_is_not_of_others(changing):
    engine, proxy = changing
    assert proxy.ask("POST", PATH, {"model": "fake-model", "messages": MESSAGES}).status == 200
    sent = engine.requests[-1].json()
    assert "chat_template_kwargs" not in sent
    assert (sent["top_k"], sent["seed"], sent["temperature"]) == (20, 7, 0.6)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_is_changed_and_still_counted(changing, stream):
    engine, proxy = changing
    answer = proxy.ask("POST", PATH, {"model": "public", "messages": MESSAGES, "stream": stream})
    assert answer.status == 200
    assert engine.requests[-1].json()["top_k"] == 20
    assert b"usage" not in answer.body or not stream


def test_vectors_have_no_temperature(changing):
    engine, proxy = changing
    body = {"model": "public", "input": "x", "logit_bias": 1}
    assert proxy.ask("POST", "/v1/embeddings", body).status == 200
    assert engine.requests[-1].json() == {"model": "fake-model", "input": "x"}


def test_the_operator_sees_it(changing):
    _, proxy = changing
    before = {
        change: proxy.metrics().total("tidegate_request_fields_changed_total", change=change) for change in CHANGES
    }
    assert proxy.ask("POST", PATH, CHAT).status == 200
    after = {
        change: proxy.metrics().total("tidegate_request_fields_changed_total", change=change) for change in CHANGES
    }
    assert {change: after[change] - before[change] for change in CHANGES} == dict.fromkeys(CHANGES, 1)
    told = json.loads(ask(("127.0.0.1", proxy.admin_port), "POST", "/explain", CHAT).body)
    assert told["fields"] == {
        "set": ["chat_template_kwargs", "top_k"],
        "default": ["seed", "temperature"],
        "drop": ["logit_bias"],
    }
