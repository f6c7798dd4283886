"""One engine refuses everybody for the operator's own mistake: nobody notices but the operator."""

import json

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS, raw
from tests.support.fake_engine import event, stream_head
from tests.support.http_bytes import chunk
from tests.support.patience import eventually

SECRET = "sk-operator-0123456789"


def refusing(status, text):
    async def refuse(exchange):
        exchange.arguments = [str(status), text]
        await SCRIPTS["status"](exchange)

    return refuse


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_is_refused_costs_nobody_anything(start_backend, start_proxy, status):
    bad, good = start_backend(), start_backend()
    bad.scripts["key"] = refusing(status, f"Incorrect-API-key-provided:{SECRET}")
    good.scripts["key"] = good.default
    entries = [{**backend_entry(engine, name), "api_key": "${KEY}"} for engine, name in ((bad, "bad"), (good, "good"))]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}}, env={"KEY": SECRET})
    answers = [proxy.ask("POST", PATH, chat(number % 2 == 0), script("key")) for number in range(40)]
    assert [answer.status for answer in answers] == [200] * 40
    assert len(bad.requests) < 5, "it answers fastest, and draws nobody"
    eventually(lambda: [line for line in proxy.stderr if "bad" in line and "key" in line], "the warning")
    assert not any(SECRET in line for line in proxy.stderr)
    assert proxy.metrics().total("tidegate_backend_misconfigured_total", backend="bad") >= 1


def test_alone_it_is_said_without_the_engines_words(start_backend, start_proxy):
    bad = start_backend()
    bad.scripts["key"] = refusing(401, f"Incorrect-API-key-provided:{SECRET}")
    proxy = start_proxy({"backends": [{**backend_entry(bad, "bad"), "api_key": "${KEY}"}]}, env={"KEY": SECRET})
    for stream in (False, True):
        answer = proxy.ask("POST", PATH, chat(stream), script("key"))
        assert answer.status == 502
        assert answer.error["code"] == "backend_misconfigured"
        assert answer.head.get("x-should-retry") == "false"
        assert "Incorrect" not in json.dumps(answer.error)
    assert proxy.ask("POST", PATH, chat(False)).status == 200, "the last backend stays"


def test_a_key_that_is_refused_inside_a_stream_is_not_shown(start_backend, start_proxy):
    """OpenRouter's way: 200, and an error as the first event."""
    bad, good = start_backend(), start_backend()
    bad.scripts["key"] = raw(stream_head() + chunk(event({"error": {"code": 401, "message": f"No key {SECRET}"}})))
    good.scripts["key"] = good.default
    entries = [{**backend_entry(engine, name), "api_key": "${KEY}"} for engine, name in ((bad, "bad"), (good, "good"))]
    for backends, expected in ((entries, 200), (entries[:1], 502)):
        proxy = start_proxy({"backends": backends, "routing": {"policy": "round_robin"}}, env={"KEY": SECRET})
        answers = [proxy.ask("POST", PATH, chat(True), script("key")) for _ in range(6)]
        assert [answer.status for answer in answers] == [expected] * 6
        assert not any(SECRET.encode() in answer.body for answer in answers)


@pytest.mark.parametrize("body", [b"default backend - 404", b"<html><h1>404 Not Found</h1></html>", b""])
def test_a_url_that_leads_to_no_engine_draws_nobody(start_backend, start_proxy, body):
    """A wrong prefix, an ingress without its rule: what answers 404 answers fastest."""
    bad, good = start_backend(), start_backend()
    bad.scripts["page"] = raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    good.scripts["page"] = good.default
    entries = [backend_entry(bad, "bad"), backend_entry(good, "good")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}})
    answers = [proxy.ask("POST", PATH, chat(number % 2 == 0), script("page")) for number in range(10)]
    assert [answer.status for answer in answers] == [200] * 10
    assert len(bad.requests) == 1


def test_a_clients_own_key_is_its_own_business(proxy):
    answer = proxy.ask("POST", PATH, chat(False), script("status 401 invalid_api_key"))
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
