"""Where a request came from, as an engine is told it; by default it is not."""

from tests.support.bed import backend_entry

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
SAID = [("X-Forwarded-For", "6.6.6.6")]


def told(proxy, engine):
    assert proxy.ask("POST", PATH, CHAT, SAID).status == 200
    return engine.requests[-1].head.all("x-forwarded-for")


def test_nothing_is_told_unless_the_operator_wants_it(start_backend, start_proxy):
    engine = start_backend()
    assert told(start_proxy({"backends": [backend_entry(engine, "a")]}), engine) == []


def test_a_stranger_is_told_by_his_address_alone(start_backend, start_proxy):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "a")], "headers": {"client": "x-forwarded-for"}}
    assert told(start_proxy(config), engine) == ["127.0.0.1"]


def test_what_a_proxy_in_front_says_is_extended(start_backend, start_proxy):
    engine = start_backend()
    headers = {"client": "x-forwarded-for", "trust": ["127.0.0.0/8"]}
    assert told(start_proxy({"backends": [backend_entry(engine, "a")], "headers": headers}), engine) == [
        "6.6.6.6, 127.0.0.1"
    ]
