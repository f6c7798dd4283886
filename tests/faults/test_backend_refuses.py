"""An engine that says "not now": the next one is asked, as long as nothing has reached the client."""

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS


@pytest.fixture
def busy_and_free(start_backend, start_proxy):
    """Engine `busy` fails scripted requests, `free` answers all of them."""

    def start(busy_script):
        busy, free = start_backend(), start_backend()
        busy.scripts["maybe"] = busy_script

        async def good(exchange):
            await exchange.backend.default(exchange)

        free.scripts["maybe"] = good
        entries = [backend_entry(busy, "busy"), backend_entry(free, "free")]
        return busy, free, start_proxy({"backends": entries, "routing": {"policy": "round_robin"}})

    return start


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_goes_to_the_next_backend(busy_and_free, stream, status):
    async def refuse(exchange):
        exchange.arguments = [str(status), "busy"]
        await SCRIPTS["status"](exchange)

    busy, free, proxy = busy_and_free(refuse)
    answers = [proxy.ask("POST", PATH, chat(stream), script("maybe", f"r-{number}")) for number in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert (len(busy.requests), len(free.requests)) == (1, 2)
    attempts = sorted(proxy.log_line(f"r-{number}")["attempts"] for number in range(2))
    assert attempts == [1, 2]


def test_a_clients_fault_is_not_tried_again(busy_and_free):
    async def refuse(exchange):
        exchange.arguments = ["400", "context_length_exceeded", "messages"]
        await SCRIPTS["status"](exchange)

    busy, free, proxy = busy_and_free(refuse)
    statuses = sorted(proxy.ask("POST", PATH, chat(False), script("maybe")).status for _ in range(2))
    assert statuses == [200, 400]
    assert (len(busy.requests), len(free.requests)) == (1, 1)


def test_a_route_that_may_leave_something_behind_is_never_sent_twice(busy_and_free):
    busy, free, proxy = busy_and_free(SCRIPTS["reset"])
    body = {"model": "fake-model", "input": "x"}
    answers = [proxy.ask("POST", "/v1/responses", body, script("maybe")) for _ in range(2)]
    assert sorted(answer.status for answer in answers) == [200, 502]
    assert (len(busy.requests), len(free.requests)) == (1, 1)


def test_a_reset_before_the_first_byte_goes_to_the_next_backend(busy_and_free):
    busy, free, proxy = busy_and_free(SCRIPTS["reset"])
    answers = [proxy.ask("POST", PATH, chat(False), script("maybe")) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(free.requests) == 2
    assert len(busy.requests) <= 2, "once over a pooled connection, which may have been stale, and once over a new one"


def test_a_reset_by_the_only_backend_is_a_502_and_the_client_may_decide(proxy):
    for stream in (False, True):
        answer = proxy.ask("POST", PATH, chat(stream), script("reset"))
        assert answer.status == 502
        assert "alpha" in answer.error["message"]
        assert answer.head.get("x-should-retry") is None, "it was tried once"
