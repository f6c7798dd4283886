"""An engine that ends in the middle of its work, and comes back on the same port."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.engines.kinds import CONTEXT_TOKENS, MODEL, EngineKind
from tests.engines.pair import Pair, assert_at_rest
from tests.engines.process import running
from tests.support.patience import eventually
from tests.support.proxy_process import ready, running_proxy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("offered")]
BACK_WITHIN_S = 60.0
"""One probe interval of 5 s, the first ejection of 5 s, and a slow machine."""
TO_THE_END_TOKENS = 400
TOLD_WITHIN_S = 40.0
"""Of an engine that keeps its streams open and says nothing more."""


@pytest.fixture(scope="module")
def mortal(kind: EngineKind) -> Iterator[Pair]:
    """An engine that tests may end. Terminated mid-stream llama-server cuts when its next comment is due."""
    often = ["--sse-ping-interval", "2"] if kind.repeatable else []
    with (
        running(kind.start(*kind.usual, *often)) as server,
        running_proxy({"backends": [{"url": server.url}]}) as proxy,
    ):
        ready(proxy, models=1)
        yield Pair(kind, server, proxy)


@pytest.fixture(autouse=True)
def alive(mortal: Pair) -> Iterator[None]:
    """Each test begins with an engine that serves, whatever the one before did to it."""
    mortal.server.revive()
    eventually(lambda: answers(mortal), "an answer of the engine that came back", BACK_WITHIN_S)
    yield
    assert_at_rest(mortal.proxy)


def answers(pair: Pair) -> bool:
    with pair.through() as client:
        try:
            return bool(client.chat.completions.create(**pair.chat(max_tokens=2)).choices)
        except openai.InternalServerError:
            return False


def story(**more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "tell me a long story"}]
    return {"model": MODEL, "messages": messages, "max_tokens": CONTEXT_TOKENS - 200, **more}


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGKILL, id="killed", marks=pytest.mark.case("killed mid-stream")),
        pytest.param(signal.SIGTERM, id="terminated", marks=pytest.mark.case("terminated mid-stream")),
    ],
)
def test_mid_stream_it_ends_in_an_error(mortal: Pair, number: signal.Signals) -> None:
    with mortal.through() as client:
        stream = client.chat.completions.create(stream=True, **story())
        assert next(iter(stream)).choices
        if number == signal.SIGKILL:
            mortal.server.kill()
        else:
            mortal.server.signal(number)
        with pytest.raises(openai.APIError) as caught:
            for chunk in stream:
                assert chunk.choices
    assert not isinstance(caught.value, openai.APIConnectionError), "an error event, not a broken transport"
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]


def test_one_that_is_told_to_go_and_stays_until_it_has_said_all_is_not_cut(mortal: Pair) -> None:
    """Its port is closed by then, and whoever probes it finds nobody."""
    if "terminated mid-stream" not in mortal.kind.lacks:
        pytest.skip("it cuts its streams")
    with mortal.through() as client:
        stream = client.chat.completions.create(stream=True, **story() | {"max_tokens": TO_THE_END_TOKENS})
        assert next(iter(stream)).choices
        mortal.server.signal(signal.SIGTERM)
        reasons = [choice.finish_reason for chunk in stream for choice in chunk.choices]
    assert reasons[-1] == "length"
    eventually(lambda: not mortal.server.is_running(), "it is gone", TOLD_WITHIN_S)


@pytest.mark.case("killed before the answer")
def test_before_the_answer_it_is_an_http_error(mortal: Pair) -> None:
    def kill() -> None:
        eventually(lambda: mortal.server.jobs() > 0, "the engine at work", BACK_WITHIN_S)
        mortal.server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with mortal.through() as client, pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(**story())
    finally:
        killer.join()
    assert caught.value.status_code in (502, 503)
    assert caught.value.request_id


@pytest.mark.case("restart")
def test_a_restart_between_two_requests(mortal: Pair) -> None:
    """While it is away a client is told so, with a code to try again; the pooled connections are dead."""
    mortal.server.kill()
    with mortal.through() as client, pytest.raises(openai.InternalServerError) as caught:
        client.with_options(timeout=60.0).chat.completions.create(**mortal.chat(max_tokens=2))
    assert caught.value.status_code in (502, 503)
    assert caught.value.response.headers["retry-after"]
    mortal.server.start()
    eventually(lambda: answers(mortal), "an answer of the engine that came back", BACK_WITHIN_S)
