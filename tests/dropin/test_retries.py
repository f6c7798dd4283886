"""A client's own retries on top of ours must not multiply: a dead engine costs at most three upstream calls."""

import openai
import pytest

from tests.dropin.conftest import client_of
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS, except_for_probes
from tests.support.fake_engine import well_behaved

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}


def failing_with(status):
    async def fail(exchange):
        exchange.arguments = [str(status), "unavailable"]
        await SCRIPTS["status"](exchange)

    return fail


@pytest.fixture
def three(start_backend, start_proxy):
    """Three engines that list the model and fail every request as told."""

    def start(script):
        engines = [start_backend(except_for_probes(script)) for _ in range(3)]
        entries = [backend_entry(engine, f"b{number}") for number, engine in enumerate(engines)]
        return engines, start_proxy({"backends": entries})

    return start


@pytest.mark.parametrize("status", [500, 502, 503])
def test_engines_that_fail_cost_three_calls_per_client_call(three, status):
    engines, proxy = three(failing_with(status))
    with client_of(proxy.url, max_retries=2) as client, pytest.raises(openai.InternalServerError) as info:
        client.chat.completions.create(**CHAT)
    assert sum(len(engine.requests) for engine in engines) <= 3
    assert info.value.request_id


def test_engines_that_reset_cost_three_calls_per_client_call(three):
    engines, proxy = three(SCRIPTS["reset"])
    with client_of(proxy.url, max_retries=2) as client, pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**CHAT)
    assert 1 <= sum(len(engine.requests) for engine in engines) <= 3


def test_when_our_attempts_are_spent_the_client_is_told_not_to_retry(three):
    _, proxy = three(failing_with(503))
    answer = proxy.ask("POST", "/v1/chat/completions", CHAT)
    assert answer.status in (502, 503)
    assert answer.head.get("x-should-retry") == "false"
    assert answer.error["message"]


def limited_once(hint):
    """429 with a hint for the first request, then good answers; and the list of what was asked."""
    seen = []

    async def answer(exchange):
        seen.append(exchange.request.header("x-stainless-retry-count"))
        exchange.arguments = ["429", "rate_limit_exceeded", "None", hint]
        await (SCRIPTS["status"] if len(seen) == 1 else well_behaved)(exchange)

    return seen, answer


@pytest.mark.parametrize("hint", ["retry-after-ms=10", "retry-after=1"])
def test_a_rate_limit_of_the_only_engine_is_no_error_for_a_client_that_retries(start_pair, hint):
    engine, proxy = start_pair()
    seen, engine.scripts["limited-once"] = limited_once(hint)
    with client_of(proxy.url, max_retries=2) as client:
        answer = client.chat.completions.create(**CHAT, extra_headers={"x-fake": "limited-once"})
    assert answer.choices
    assert len(seen) == 2
