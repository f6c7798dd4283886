"""A real vLLM that is put to sleep while it works ends its answers with `abort`, which no client takes for an end."""

import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.engines.kinds import CONTEXT_TOKENS, MODEL, EngineKind
from tests.engines.pair import Pair, assert_at_rest
from tests.engines.process import running
from tests.support.patience import eventually
from tests.support.proxy_process import ready, running_proxy

pytestmark = [pytest.mark.slow, pytest.mark.case("given up")]
STORY: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "tell me a long story"}],
    "max_tokens": CONTEXT_TOKENS - 200,
}
WITHIN_S = 30.0


@pytest.fixture(scope="module")
def vllm(kind: EngineKind) -> Iterator[Pair]:
    if "given up" in kind.lacks:
        pytest.skip(kind.lacks["given up"])
    with (
        running(kind.start(*kind.usual)) as server,
        running_proxy({"backends": [{"url": server.url}], "hold": {"max_wait": "2s"}}) as proxy,
    ):
        ready(proxy, models=1)
        yield Pair(kind, server, proxy)


@pytest.fixture(autouse=True)
def awake(vllm: Pair) -> Iterator[None]:
    yield
    post(vllm, "/wake_up")
    assert_at_rest(vllm.proxy)


def post(pair: Pair, path: str) -> None:
    request = urllib.request.Request(pair.server.url + path, method="POST")
    with urllib.request.urlopen(request, timeout=WITHIN_S) as done:
        assert done.status == 200


def test_direct_it_ends_as_if_it_were_complete(vllm: Pair) -> None:
    """What this is about: should it be otherwise one day, the rule can go."""
    with openai.OpenAI(base_url=f"{vllm.server.url}/v1", api_key="k", max_retries=0) as client:
        stream = client.chat.completions.create(stream=True, **STORY)
        next(iter(stream))
        post(vllm, "/sleep?level=1")
        reasons = [choice.finish_reason for chunk in stream for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["abort"]


def test_a_stream_ends_in_an_error(vllm: Pair) -> None:
    with vllm.through() as client:
        stream = client.chat.completions.create(stream=True, **STORY)
        next(iter(stream))
        post(vllm, "/sleep?level=1")
        with pytest.raises(openai.APIError) as caught:
            for chunk in stream:
                assert chunk.choices
    assert caught.value.code == "backend_aborted"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_whole_answer_is_an_error_or_a_whole_answer(vllm: Pair, path: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(vllm.proxy.ask, "POST", path, STORY)
        eventually(lambda: vllm.server.jobs() > 0, "at work", WITHIN_S)
        threading.Thread(target=post, args=(vllm, "/sleep?level=1")).start()
        answer = asked.result(4 * WITHIN_S)
    assert answer.status in (502, 503, 529)
    assert "abort" not in answer.body.decode().replace("backend_aborted", "")
