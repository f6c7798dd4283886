"""A client that leaves frees its permit at once and a real engine's slot as soon as that engine notices."""

import select
import time
from typing import Any

import openai

from tests.engines.conftest import TEXT, assert_at_rest, config_for
from tests.engines.llama_server import CONTEXT_TOKENS, LlamaServer
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy
from tests.support.raw_client import connected, request_bytes

ANSWERED_WITHIN_S = 20.0
FREED_WITHIN_S = 10.0
"""llama-server itself takes up to three seconds for an answer that is no stream."""
CLOSED_WITHIN_S = 1.0


def long_request(**more: Any) -> bytes:
    """As many tokens as the context holds: many seconds of work."""
    messages = [{"role": "user", "content": "tell me a long story"}]
    body = {"model": TEXT, "messages": messages, "max_tokens": CONTEXT_TOKENS, "cache_prompt": False, **more}
    return request_bytes("POST", "/v1/chat/completions", body)


def assert_given_up(slots: list[dict[str, Any]]) -> None:
    """The slots were at work, and none holds a full context: the work was given up, not completed."""
    held = max(slot.get("n_prompt_tokens") or 0 for slot in slots)
    assert 0 < held < CONTEXT_TOKENS - 10, held


def wait_until_in_flight(proxy: ProxyProcess, jobs: int) -> None:
    eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight", backend=TEXT) == jobs, f"{jobs} in flight")


def open_connections(proxy: ProxyProcess) -> float:
    return proxy.metrics().total("tidegate_upstream_connections", backend=TEXT)


def test_leaving_a_stream(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    with connected(proxy.address, long_request(stream=True)) as connection:
        assert connection.answer_head().status == 200
        chunks = connection.chunks()
        for _ in range(3):
            next(chunks)
    assert_at_rest(proxy)
    assert_given_up(text_server.wait_until_idle(FREED_WITHIN_S))


def test_leaving_before_the_answer(text_server: LlamaServer) -> None:
    """The engine may be done before it notices, so what counts is that its connection is closed at once.

    Nothing stays in the pool of this proxy for long, so that what is open belongs to what is in flight.
    """
    config = {**config_for(text_server), "limits": {"upstream": {"keepalive": "1ms"}}}
    with running_proxy(config) as proxy:
        ready(proxy, models=1)
        with connected(proxy.address, long_request()):
            wait_until_in_flight(proxy, 1)
            eventually(lambda: open_connections(proxy) == 1, "one connection, the request's")
        assert_at_rest(proxy)
        eventually(lambda: open_connections(proxy) == 0, "its connection closed", CLOSED_WITHIN_S)
    text_server.wait_until_idle(FREED_WITHIN_S)


def test_leaving_while_the_engine_has_no_free_slot(text_server: LlamaServer, proxy: ProxyProcess) -> None:
    """Two streams run, one waits inside the engine for one of two slots, whichever came last; all three leave."""
    request = long_request(stream=True)
    with (
        connected(proxy.address, request) as first,
        connected(proxy.address, request) as second,
        connected(proxy.address, request) as third,
    ):
        wait_until_in_flight(proxy, 3)
        waiting = {connection.socket for connection in (first, second, third)}
        until = time.monotonic() + ANSWERED_WITHIN_S
        while len(waiting) > 1:
            ready, _, _ = select.select(waiting, [], [], max(0.0, until - time.monotonic()))
            assert ready, "two slots, and fewer than two streams began"
            waiting -= set(ready)
    assert_at_rest(proxy)
    assert_given_up(text_server.wait_until_idle(FREED_WITHIN_S))


def test_the_official_client_closes_its_stream(
    text_server: LlamaServer, proxy: ProxyProcess, through: openai.OpenAI
) -> None:
    with through.completions.create(model=TEXT, prompt="once", max_tokens=CONTEXT_TOKENS, stream=True) as stream:
        for chunk, _ in zip(stream, range(3), strict=False):
            assert chunk.choices
    assert_at_rest(proxy)
    assert_given_up(text_server.wait_until_idle(FREED_WITHIN_S))
