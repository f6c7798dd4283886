"""Engines close idle connections after five seconds, at the worst moment: no client may see it."""

import time

import pytest

from tests.faults.asking import PATH, chat
from tests.support.engine_scripts import hang
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes


def test_a_connection_closed_while_idle_is_not_used(start_pair):
    engine, proxy = start_pair(idle_close_s=0.3)
    for _ in range(4):
        assert proxy.ask("POST", PATH, chat(False)).status == 200
        eventually(lambda: engine.open_connections == 0, "the engine's close", 3.0)
    assert len(engine.requests) == 4


def test_a_connection_closed_at_the_moment_of_use_is_replaced_unseen(start_pair):
    """The engine takes the second request of a connection and closes it without an answer, as a race would."""
    engine, proxy = start_pair()
    seen = {}

    async def once_per_connection(exchange):
        request = exchange.request
        if seen.setdefault(request.connection, request.number) != request.number:
            exchange.close()
            return
        await exchange.backend.default(exchange)

    engine.scripts["once"] = once_per_connection
    for stream in (False, True):
        for _ in range(3):
            answer = proxy.ask("POST", PATH, chat(stream), [("x-fake", "once")])
            assert answer.status == 200
            assert answer.complete


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_after_the_replacement_frees_the_engine(start_pair, stream):
    """What is to be cancelled is the second connection, not the one that was dead."""
    engine, proxy = start_pair()
    assert proxy.ask("POST", PATH, chat(False)).status == 200
    used = {request.connection for request in engine.received}

    async def hangs_on_a_new_connection(exchange):
        if exchange.request.connection in used:
            exchange.close()
            return
        await hang(exchange)

    engine.scripts["once"] = hangs_on_a_new_connection
    engine.forget()
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, chat(stream), [("x-fake", "once")]))
        eventually(lambda: engine.open_requests == 1 and len(engine.requests) == 2, "the replacement", 3.0)
        connection.close()
    eventually(lambda: not engine.open_requests, "the engine freed", 1.0)


def test_pooled_connections_are_given_up_before_the_engine_does(start_pair):
    engine, proxy = start_pair({"limits": {"upstream": {"keepalive": "300ms"}}, "health": {"probe_interval": "30s"}})
    assert proxy.ask("POST", PATH, chat(False)).status == 200
    before = time.monotonic()
    eventually(lambda: engine.open_connections == 0, "the pool let go", 5.0)
    assert time.monotonic() - before < 5.0


def test_requests_share_a_connection(start_pair):
    engine, proxy = start_pair()
    for _ in range(10):
        assert proxy.ask("POST", PATH, chat(False)).status == 200
    assert len({request.connection for request in engine.requests}) == 1
