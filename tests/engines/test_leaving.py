"""A client that leaves, in every phase of its request: the permit is free at once, and the engine stops.

What an engine has to do, it tells itself; of one that does not, the threads that could run tell.
"""

import pytest

from tests.engines.kinds import CONTEXT_TOKENS, MODEL
from tests.engines.pair import Pair, assert_at_rest
from tests.engines.process import EngineProcess
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, connected, request_bytes

pytestmark = [pytest.mark.case("clients that leave"), pytest.mark.usefixtures("offered")]
BEGINS_WITHIN_S = 60.0
STOPS_WITHIN_S = 60.0
"""llama-server looks for clients that left every second or two; transformers computes the first token of each first."""
ANSWER_TOKENS = CONTEXT_TOKENS - 200


def request(pair: Pair, *, words: int = 4, stream: bool = True) -> bytes:
    """Many seconds of work."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "tell me a long story of the sea " * (words // 4)}],
        "max_tokens": ANSWER_TOKENS,
        "stream": stream,
        **pair.kind.repeatable,
    }
    return request_bytes("POST", "/v1/chat/completions", body)


def is_at_work(server: EngineProcess) -> bool:
    return server.jobs() > 0


def begun(connection: RawConnection) -> None:
    assert connection.answer_head().status == 200
    chunks = connection.chunks()
    for _ in range(3):
        next(chunks)


def assert_stopped(pair: Pair) -> None:
    assert_at_rest(pair.proxy)
    pair.server.wait_until_idle(STOPS_WITHIN_S)


def test_in_the_middle_of_a_stream(pair: Pair) -> None:
    with connected(pair.proxy.address, request(pair)) as connection:
        begun(connection)
        assert pair.server.jobs() > 0
    assert_stopped(pair)


def test_before_a_whole_answer(pair: Pair) -> None:
    with connected(pair.proxy.address, request(pair, stream=False)):
        eventually(lambda: is_at_work(pair.server), "the engine at work", BEGINS_WITHIN_S)
    assert_stopped(pair)


def test_while_the_prompt_is_computed(pair: Pair) -> None:
    """The engine may be done with the prompt before it is looked at; then it is the middle of a stream."""
    with connected(pair.proxy.address, request(pair, words=600)):
        eventually(lambda: in_flight(pair) == 1, "in flight", BEGINS_WITHIN_S)
    assert_stopped(pair)


def test_while_it_waits_in_the_engine(pair: Pair) -> None:
    """More requests than the engine has places; all of them leave, whoever was at work."""
    connections = [RawConnection(pair.proxy.address) for _ in range(6)]
    try:
        for connection in connections:
            connection.send(request(pair))
        eventually(lambda: is_at_work(pair.server), "the engine at work", BEGINS_WITHIN_S)
        eventually(lambda: in_flight(pair) > 0, "in flight", BEGINS_WITHIN_S)
    finally:
        for connection in connections:
            connection.close()
    assert_stopped(pair)


def test_who_waits_behind_it_is_served(pair: Pair) -> None:
    """What an abandoned request leaves does not keep others: each is answered long before it would have ended."""
    for stream in (True, False):
        with connected(pair.proxy.address, request(pair, stream=stream)):
            eventually(lambda: in_flight(pair) == 1, "in flight", BEGINS_WITHIN_S)
        with pair.through() as client:
            assert client.chat.completions.create(**pair.chat(max_tokens=2)).choices
    assert_stopped(pair)


def in_flight(pair: Pair) -> float:
    return pair.proxy.metrics().total("tidegate_backend_in_flight")
