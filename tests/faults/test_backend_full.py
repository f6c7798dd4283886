"""An engine that is full, or not ready, says 503 or 429: nobody is lost, and it is not pressed."""

import asyncio
import threading

import pytest

from tests.faults.asking import PATH, chat, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import SCRIPTS
from tests.support.patience import eventually

PLACES = 3


def engine_with_places(backend, *refusal, work_s=0.02):
    """It serves so many at once and refuses the others as vLLM does; what it refused."""
    state = {"inside": 0, "most": 0, "refused": 0}

    async def answer(exchange):
        if state["inside"] >= PLACES:
            state["refused"] += 1
            await SCRIPTS["status"](_arguments(exchange, *(refusal or ("503", "None"))))
            return
        state["inside"] += 1
        state["most"] = max(state["most"], state["inside"])
        try:
            await asyncio.sleep(work_s)
            await backend.default(exchange)
        finally:
            state["inside"] -= 1

    return state, answer


def _arguments(exchange, *values):
    exchange.arguments = list(values)
    return exchange


def asked_together(proxy, stream):
    answers = []

    def one():
        answers.append(proxy.ask("POST", PATH, chat(stream), script("places")).status)

    threads = [threading.Thread(target=one) for _ in range(14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return answers


@pytest.mark.parametrize("status", ["503", "529"])
def test_who_is_refused_with_a_time_to_come_back_waits_as_long(start_pair, status):
    engine, proxy = start_pair()
    state, engine.scripts["places"] = engine_with_places(engine, status, "None", "None", "retry-after=1", work_s=0.3)
    assert asked_together(proxy, False) == [200] * 14
    assert state["refused"] <= 2 * 14, "it is not pressed"


@pytest.mark.parametrize("stream", [False, True])
def test_who_is_refused_waits_for_a_place(start_pair, stream):
    engine, proxy = start_pair()
    state, engine.scripts["places"] = engine_with_places(engine)
    assert asked_together(proxy, stream) == [200] * 14
    assert state["most"] == PLACES
    assert state["refused"] <= 14, "each is refused once at most, not again and again"
    assert proxy.metrics().total("tidegate_retries_total") == 0


def test_a_full_engine_with_a_free_one_beside_it(start_backend, start_proxy):
    full, free = start_backend(), start_backend()

    async def refuse(exchange):
        await SCRIPTS["status"](_arguments(exchange, "503", "None"))

    full.scripts["full"] = refuse
    free.scripts["full"] = free.default
    proxy = start_proxy({"backends": [backend_entry(full, "full"), backend_entry(free, "free")]})
    answers = [proxy.ask("POST", PATH, chat(number % 2 == 0), script("full")).status for number in range(40)]
    assert answers == [200] * 40
    assert len(full.requests) < 10, "it is not pressed"
    assert proxy.metrics().total("tidegate_ejections_total") == 0


def test_a_refusal_that_cannot_be_waited_for_says_when_to_come_back(proxy):
    for stream in (False, True):
        answer = proxy.ask("POST", PATH, chat(stream), script("status 503 None"))
        assert answer.status == 503
        assert int(answer.head.get("retry-after")) >= 1
        assert answer.head.get("x-should-retry") is None
        eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 200, "the pause over", 5.0)


def test_when_all_are_full_the_clients_three_tries_do_not_become_nine(start_backend, start_proxy):
    """It was tried nowhere: "do not retry" beside "retry after 1 s" would end it for the SDKs."""
    engines = [start_backend(), start_backend()]
    entries = [backend_entry(engine, name) for engine, name in zip(engines, "ab", strict=True)]
    proxy = start_proxy({"backends": entries, "hold": {"max_wait": "0"}})
    answer = proxy.ask("POST", PATH, chat(False), script("status 503 None"))
    assert [len(engine.requests) for engine in engines] == [1, 1]
    assert (answer.status, answer.head.get("x-should-retry")) == (503, "false")
    assert int(answer.head.get("retry-after")) >= 1
