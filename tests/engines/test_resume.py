"""Two engines of a kind: one is killed in the middle of a greedy stream, and the other goes on, word for word."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from tests.engines import cache
from tests.engines.kinds import KINDS, MODEL
from tests.engines.pair import client_of
from tests.engines.process import EngineProcess, running
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess, ready, running_proxy

pytestmark = [pytest.mark.slow, pytest.mark.case("resume")]
TWINS = {"llama_cpp": (("llama-server", "xllamacpp"), ("xllamacpp", "llama-server"))}
"""Kind → the parts that each of the two may be: two builds of llama.cpp where both are there."""
HEALTHY_WITHIN_S = 60.0
TEXT_TOKENS = 250
PROMPT = "once upon a time there was a little house"
PROMPTS = (PROMPT, "the sea", "def main(", "Tell me of foxes.", "Où est le café?", "one two three", "a letter", "once")


@pytest.fixture(scope="module", params=TWINS)
def twins(request: pytest.FixtureRequest) -> Iterator[dict[str, EngineProcess]]:
    """Name of the backend → the engine."""
    kinds = [KINDS[cache.need(*parts)] for parts in TWINS[request.param]]
    with ExitStack() as stack:
        engines = [kind.start(*kind.usual) for kind in kinds]
        yield {name: stack.enter_context(running(one)) for name, one in zip("ab", engines, strict=True)}


@pytest.fixture(scope="module")
def resuming(twins: dict[str, EngineProcess]) -> Iterator[ProxyProcess]:
    config = {
        "backends": [{"name": name, "url": server.url} for name, server in twins.items()],
        "classes": [{"name": "interactive", "stream": {"resume": True}}],
    }
    with running_proxy(config) as proxy:
        ready(proxy, models=1)
        yield proxy


def backends(proxy: ProxyProcess) -> dict[str, Any]:
    told: dict[str, Any] = proxy.admin("/backends").json()["backends"]
    return told


def are_healthy(proxy: ProxyProcess) -> bool:
    return all(one["state"] == "healthy" and one["engine"]["kind"] for one in backends(proxy).values())


def only_ascii() -> dict[str, int]:
    """Biases against all other words: of an engine without running usage only theirs are counted by events."""
    vocabulary = json.loads((cache.folder() / f"models/{MODEL}/tokenizer.json").read_text())["model"]["vocab"]
    return {str(rank): -100 for token, rank in vocabulary.items() if token[0] == "Ġ" and not token[1:].isascii()}


def pieces(client: openai.OpenAI, api: str) -> Iterator[str]:
    call: Any = {"model": MODEL, "max_tokens": TEXT_TOKENS, "temperature": 0, "stream": True}
    call["logit_bias"] = only_ascii()
    if api == "chat":
        for chunk in client.chat.completions.create(messages=[{"role": "user", "content": PROMPT}], **call):
            yield from (choice.delta.content for choice in chunk.choices if choice.delta.content)
    else:
        for chunk in client.completions.create(prompt=PROMPT, **call):
            yield from (choice.text for choice in chunk.choices if choice.text)


def test_unlike_engines_part_in_the_same_greedy_text() -> None:
    """Why none goes on where another kind broke off: with the same weights, as llama.cpp is usually run. With a cache
    as exact as the weights it says what the others say, which is how the other tests of this folder start it."""
    llama, vllm = KINDS[cache.need("llama-server", "xllamacpp")], KINDS[cache.need("vllm")]
    usual = ("-ctk", "f16", "-ctv", "f16", "-fa", "auto")
    with running(llama.start(*llama.usual, *usual)) as one, running(vllm.start(*vllm.usual)) as other:
        told = []
        for server in (one, other):
            with client_of(server.url) as client:
                call: Any = {"model": MODEL, "max_tokens": TEXT_TOKENS, "temperature": 0}
                told.append([client.completions.create(prompt=prompt, **call).choices[0].text for prompt in PROMPTS])
    assert told[0] != told[1]


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_the_other_goes_on(api: str, twins: dict[str, EngineProcess], resuming: ProxyProcess) -> None:
    if api == "chat" and twins["a"].kind == "llama_cpp":
        pytest.skip("llama.cpp begins a new turn")
    eventually(lambda: are_healthy(resuming), "both healthy and recognised", HEALTHY_WITHIN_S)
    with client_of(twins["a"].url) as direct:
        expected = "".join(pieces(direct, api))
    with client_of(resuming.url) as client:
        stream = pieces(client, api)
        told = [next(stream) for _ in range(4)]
        (at_work,) = [name for name, one in backends(resuming).items() if one["in_flight"]]
        twins[at_work].kill()
        told += stream
    twins[at_work].start()
    assert "".join(told) == expected
