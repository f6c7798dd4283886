"""The proxy itself stands still for longer than its limits: what came meanwhile is read, and nobody is blamed."""

import asyncio
import contextlib
import os
import signal
import time

import pytest

from tests.faults.asking import PATH, chat, events, script
from tests.support.bed import backend_entry
from tests.support.engine_scripts import begin_stream, end_stream, say
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

PAUSE_S, LIMIT = 2.0, "0.9s"
CONFIG = {
    "limits": {
        "upstream": {"first_byte": LIMIT, "idle": LIMIT},
        "head": {"timeout": LIMIT},
        "body": {"stall": LIMIT},
    },
    "retries": {"attempts": 1},
}


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    with bed.proxy({"backends": [backend_entry(engine, "alpha")], **CONFIG}) as process:
        yield process


@contextlib.contextmanager
def stopped(proxy):
    """The process does not run inside the block, which lasts longer than any limit."""
    os.kill(proxy.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        yield
        time.sleep(max(0.0, PAUSE_S - (time.monotonic() - began)))
    finally:
        os.kill(proxy.process.pid, signal.SIGCONT)


def test_a_stream_that_came_meanwhile_goes_on(proxy, engine):
    go_on = asyncio.Event()

    async def words(exchange):
        await begin_stream(exchange)
        await say(exchange, "before ")
        await go_on.wait()
        for number in range(5):
            await say(exchange, f"meanwhile{number} ")
        await asyncio.sleep(PAUSE_S)
        await say(exchange, "after ")
        await end_stream(exchange)

    engine.scripts["words"] = words
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(True), script("words")))
        engine.wait_for_request()
        time.sleep(0.2)
        with stopped(proxy):
            engine._loop.call(go_on.set)
        answer = connection.answer()
    assert events(answer)[-1] == "[DONE]"
    assert "after" in answer.body.decode()


def test_a_first_byte_that_came_meanwhile_counts(proxy, engine):
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(False), script("slow 0.6")))
        engine.wait_for_request()
        with stopped(proxy):
            pass
        assert connection.answer().status == 200


def test_an_engine_that_is_silent_is_still_given_up(proxy, engine):
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(False), script("hang")))
        engine.wait_for_request()
        with stopped(proxy):
            pass
        assert connection.answer().status == 504


@pytest.mark.parametrize("cut", [20, -5], ids=["in the head", "in the body"])
def test_a_request_whose_rest_came_meanwhile_is_served(proxy, cut):
    whole = request_bytes("POST", PATH, chat(False))
    with proxy.connect() as connection:
        connection.send(whole[:cut])
        time.sleep(0.3)
        with stopped(proxy):
            connection.send(whole[cut:])
        assert connection.answer().status == 200


def test_probes_that_were_under_way_fail_nobody(proxy):
    with stopped(proxy):
        pass
    eventually(lambda: proxy.ask("POST", PATH, chat(False)).status == 200, "served again", 1.0)
    assert not [line for line in proxy.stderr if "is down" in line]
