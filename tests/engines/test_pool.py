"""All engines in one pool, under one name: who can serve a request gets it, and nobody notices who died."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from tests.engines import cache
from tests.engines.kinds import CONTEXT_TOKENS, KINDS, MODEL
from tests.engines.pair import client_of
from tests.engines.process import EngineProcess, running
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

pytestmark = pytest.mark.slow
PARTS = (("llama-server", "xllamacpp"), ("vllm",), ("transformers",))
"""One of each kind."""
SLOW_VLLM = {"step_ms": 5.0}
KNOWN_WITHIN_S = 30.0
PROMPT = "once upon a time there was a little house"
LONG = "water " * (CONTEXT_TOKENS + 300)


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, EngineProcess]]:
    """Kind → the engine. llama.cpp has room for prompts that vLLM has not."""
    parts = [cache.need(*names) for names in PARTS]
    with ExitStack() as stack:
        found = {}
        for part in parts:
            wide = ("-c", str(4 * CONTEXT_TOKENS)) if KINDS[part].repeatable else ()
            knobs = SLOW_VLLM if part == "vllm" else {}
            server = KINDS[part].start(*KINDS[part].usual, *wide, **knobs)
            found[server.kind] = stack.enter_context(running(server))
        yield found


@pytest.fixture(scope="module")
def proxy(engines: dict[str, EngineProcess]) -> Iterator[ProxyProcess]:
    config = {
        "backends": [{"name": kind, "url": server.url} for kind, server in engines.items()],
        "classes": [{"name": "interactive", "stream": {"resume": True}}],
    }
    with running_proxy(config) as proxy:
        ready(proxy, models=1)
        eventually(lambda: kinds_seen(proxy) == set(engines), "all of them recognised", KNOWN_WITHIN_S)
        yield proxy


@pytest.fixture(autouse=True)
def all_alive(engines: dict[str, EngineProcess], proxy: ProxyProcess) -> None:
    """Each test begins with engines that serve, whatever the one before did to them."""
    for server in engines.values():
        server.revive()
    eventually(lambda: len(healthy(proxy)) == len(engines), "all of them healthy", KNOWN_WITHIN_S)


def backends(proxy: ProxyProcess) -> dict[str, Any]:
    told: dict[str, Any] = proxy.admin("/backends").json()["backends"]
    return told


def kinds_seen(proxy: ProxyProcess) -> set[str]:
    return {backend["engine"]["kind"] for backend in backends(proxy).values()}


def healthy(proxy: ProxyProcess) -> set[str]:
    return {name for name, backend in backends(proxy).items() if backend["state"] == "healthy"}


def at_work(proxy: ProxyProcess) -> list[str]:
    return [name for name, backend in backends(proxy).items() if backend["in_flight"]]


def many(proxy: ProxyProcess, call: Callable[[openai.OpenAI], Any], count: int = 12) -> list[Any]:
    """So many at once; the first that fails fails the test."""
    with client_of(proxy.url) as client, ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: call(client), range(count)))


def served_by(proxy: ProxyProcess) -> set[str]:
    return {line["backend"] for line in proxy.log if line.get("status") == 200 and line.get("backend")}


@pytest.mark.case("recognised")
def test_requests_go_to_all_of_them(engines: dict[str, EngineProcess], proxy: ProxyProcess) -> None:
    def everybody() -> bool:
        many(proxy, lambda client: client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8))
        return served_by(proxy) == set(engines)

    eventually(everybody, "every engine served some", 60.0)


@pytest.mark.case("capabilities")
class TestCapabilities:
    """What one of them cannot goes to those that can, or elsewhere after its refusal: never an error."""

    def test_arrays_of_prompts(self, proxy: ProxyProcess) -> None:
        prompts = ["once upon", "a time"]
        answers = many(proxy, lambda client: client.completions.create(model=MODEL, prompt=prompts, max_tokens=4))
        assert all(len(answer.choices) == 2 for answer in answers)

    def test_token_ids(self, proxy: ProxyProcess) -> None:
        prompt = [260, 270, 280]
        answers = many(proxy, lambda client: client.completions.create(model=MODEL, prompt=prompt, max_tokens=4))
        assert all(answer.choices[0].text for answer in answers)

    def test_prompts_that_only_some_have_room_for(self, proxy: ProxyProcess) -> None:
        answers = many(proxy, lambda client: client.completions.create(model=MODEL, prompt=LONG, max_tokens=2), 4)
        assert all(answer.usage and answer.usage.prompt_tokens > CONTEXT_TOKENS for answer in answers)


def test_a_greedy_stream_that_breaks_is_not_continued_on_another_kind(
    engines: dict[str, EngineProcess], proxy: ProxyProcess
) -> None:
    """Its words might be others (test_resume.py): an error is the better end."""
    call: Any = {"model": MODEL, "prompt": PROMPT, "max_tokens": 400, "temperature": 0, "stream": True}
    with client_of(proxy.url) as client:
        stream = client.completions.create(**call)
        assert next(iter(stream)).choices
        (serving,) = at_work(proxy)
        engines[serving].kill()
        with pytest.raises(openai.APIError) as caught:
            for chunk in stream:
                assert chunk.choices
    assert not isinstance(caught.value, openai.APIConnectionError), "an error event, not a broken transport"


@pytest.mark.case("failover")
@pytest.mark.parametrize("dying", ["llama_cpp", "vllm", "transformers"])
def test_one_that_dies_is_not_noticed(dying: str, engines: dict[str, EngineProcess], proxy: ProxyProcess) -> None:
    engines[dying].kill()
    answers = many(proxy, lambda client: client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=8))
    assert all(answer.choices[0].text for answer in answers)
