"""Engines that refuse to be asked for usage: the client, which never asked, does not notice."""

import json

import pytest

from tests.faults.asking import PATH, chat, events, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS

REFUSALS = {"named": "Unrecognized-request-argument-supplied:stream_options", "not named": "extra_fields_not_permitted"}


def picky(engine, code, status):
    """It takes what the client sends and nothing else."""

    async def answer(exchange):
        if "stream_options" in json.loads(exchange.request.body):
            exchange.arguments = [str(status), code]
            await SCRIPTS["status"](exchange)
        else:
            await engine.default(exchange)

    return answer


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("code", REFUSALS.values(), ids=REFUSALS.keys())
def test_the_clients_own_bytes_are_sent_once_more_and_that_is_remembered(start_pair, code, status):
    engine, proxy = start_pair()
    engine.scripts["picky"] = picky(engine, code, status)
    for _ in range(3):
        answer = proxy.ask("POST", PATH, chat(True), script("picky"))
        assert answer.status == 200
        assert events(answer)[-1] == "[DONE]"
    asked = ["stream_options" in json.loads(request.body) for request in engine.requests if request.body]
    assert asked == [True, False, False, False]


@pytest.mark.parametrize("status", [404, 500, 501])
def test_an_engine_that_breaks_at_it_is_asked_without_it_too(start_pair, status):
    engine, proxy = start_pair()
    engine.scripts["picky"] = picky(engine, "unexpected-keyword-argument-stream_options", status)
    for _ in range(2):
        assert proxy.ask("POST", PATH, chat(True), script("picky")).status == 200
    asked = ["stream_options" in json.loads(request.body) for request in engine.requests if request.body]
    assert asked == [True, False, False]


def test_an_engine_that_fails_without_it_too_is_asked_for_it_again(start_pair):
    engine, proxy = start_pair()
    named = script("status 500 broken-stream_options")
    assert proxy.ask("POST", PATH, chat(True), named).status == 500
    assert proxy.ask("POST", PATH, chat(True)).status == 200
    asked = ["stream_options" in json.loads(request.body) for request in engine.requests if request.body]
    assert asked == [True, False, True]


def test_a_mistake_of_the_client_stays_one_and_teaches_nothing(start_pair):
    engine, proxy = start_pair()
    for _ in range(2):
        assert proxy.ask("POST", PATH, chat(True), script("status 400 some_mistake")).status == 400
    assert proxy.ask("POST", PATH, chat(True)).status == 200
    before = len(engine.requests)
    assert proxy.ask("POST", PATH, chat(True), script("status 400 some_mistake")).status == 400
    (asked,) = engine.requests[before:]  # an engine that was asked before and did not mind is not asked twice
    assert "stream_options" in json.loads(asked.body)


def test_it_can_be_switched_off(start_backend, start_proxy):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha", usage="never")]})
    assert proxy.ask("POST", PATH, chat(True)).status == 200
    assert all("stream_options" not in json.loads(request.body) for request in engine.requests if request.body)
