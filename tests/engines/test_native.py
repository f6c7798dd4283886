"""llama.cpp's own routes: a real llama-server answers through the proxy as it does direct, counted as it counts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.conftest import TEXT
from tests.engines.llama_server import SLOTS, LlamaServer
from tests.support.proxy_process import ProxyProcess, ready, running_proxy
from tests.support.raw_client import RawAnswer, RawConnection, ask, request_bytes

# Without the first the second of two equal prompts is computed another way.
REPEATABLE: dict[str, Any] = {"cache_prompt": False, "temperature": 0, "seed": 5, "n_predict": 12}
_VARYING = frozenset({"timings", "id_slot", "created", "time_ms"})


def same(value: Any) -> Any:
    """What does not vary from one answer to the next."""
    if isinstance(value, list):
        return [same(one) for one in value]
    if isinstance(value, dict):
        return {name: type(one).__name__ if name in _VARYING else same(one) for name, one in value.items()}
    return value


def events(answer: RawAnswer) -> Iterator[Any]:
    """Of a stream that is nothing but events of one line."""
    for event in answer.body.removesuffix(b"\n\n").split(b"\n\n"):
        assert event.startswith(b"data: "), event
        yield json.loads(event.removeprefix(b"data: "))


PROMPTS: dict[str, dict[str, Any]] = {
    "text": {"prompt": "Once upon a time"},
    "tokens": {"prompt": [1, 20, 300]},
    "mixed": {"prompt": [1, "two three"]},
    "probabilities": {"prompt": "one", "n_probs": 3},
    "stop": {"prompt": "one", "stop": ["e"], "n_predict": 30},
    "grammar": {"prompt": "say", "grammar": 'root ::= "yes" | "no"'},
    "schema": {"prompt": "say", "json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
    "one token": {"prompt": "one", "n_predict": 1},
    "with timings": {"prompt": "one", "timings_per_token": True, "return_tokens": True},
    "with progress": {"prompt": "one two " * 200, "return_progress": True},
    "several": {"prompt": ["one", "two", "three words here"]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS.keys())
def test_completion(text_server: LlamaServer, proxy: ProxyProcess, prompt: Any, stream: bool) -> None:
    body = REPEATABLE | prompt | {"model": TEXT} | ({"stream": True} if stream else {})
    direct = ask(text_server.address, "POST", "/completion", body, deadline_s=60)
    name = f"own-{len(str(body))}-{stream}"
    through = proxy.ask("POST", "/completion", body, [("x-request-id", name)], deadline_s=60)
    assert (through.status, direct.status) == (200, 200)
    if stream:
        said = list(events(through))
        assert same(sorted(said, key=_place)) == same(sorted(events(direct), key=_place))
        last = [one for one in said if isinstance(one, dict) and one["stop"]]
    else:
        whole = through.json()
        assert same(whole) == same(direct.json())
        last = whole if isinstance(whole, list) else [whole]
    log = proxy.log_line(name)
    assert log["outcome"] == "served"
    assert log["prompt_tokens"] == sum(one["tokens_evaluated"] for one in last)
    assert log["completion_tokens"] == sum(one["tokens_predicted"] for one in last)


def _place(event: Any) -> Any:
    """Several prompts are computed at once: only within each is there an order."""
    return (event["index"], event["tokens_predicted"]) if isinstance(event, dict) else (-1, 0)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/apply-template", {"messages": [{"role": "user", "content": "Où?"}]}),
        ("POST", "/tokenize", {"content": "Où est le café? 🙂", "with_pieces": True}),
        ("POST", "/detokenize", {"tokens": [5, 60, 700]}),
        ("GET", "/props", None),
        ("POST", "/infill", {"input_prefix": "def ", "input_suffix": ":", **REPEATABLE}),
        ("POST", "/completion", {"prompt": "x", "n_predict": 1, "grammar": "root ::= ("}),
        ("POST", "/completion", {"prompt": "x " * 9000, "n_predict": 1}),
        ("POST", "/completion", {"prompt": "x " * 9000, "n_predict": 1, "stream": True}),
        ("POST", "/completion", {"prompt": 7}),
    ],
)
def test_the_rest_and_its_errors(
    text_server: LlamaServer, proxy: ProxyProcess, method: str, path: str, body: Any
) -> None:
    target = f"{path}?model={TEXT}" if method == "GET" else path
    with_model = None if body is None else body | {"model": TEXT}
    direct = ask(text_server.address, method, target, with_model)
    through = proxy.ask(method, target, with_model)
    assert through.status == direct.status
    assert same(through.json()) == same(direct.json())


@pytest.mark.parametrize("path", ["/slots", "/lora-adapters", "/metrics", "/slots/0?action=erase"])
def test_what_shows_or_changes_the_engine_does_not_pass(proxy: ProxyProcess, path: str) -> None:
    assert proxy.ask("GET", path).status == 404
    assert proxy.ask("POST", path, {}).status == 404
    assert proxy.ask("POST", "/props", {"default_generation_settings": {}}).status == 405


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_its_slot(text_server: LlamaServer, proxy: ProxyProcess, stream: bool) -> None:
    body = {"prompt": "Once", "n_predict": 1900, "stream": stream, "ignore_eos": True, "model": TEXT}
    with RawConnection(proxy.address) as connection:
        connection.send(request_bytes("POST", "/completion", body))
        if stream:
            connection.read_some()
    text_server.wait_until_idle(within_s=30.0)


def test_a_model_need_not_be_named_where_one_engine_has_the_route(text_server: LlamaServer) -> None:
    other = {"name": "cloud", "url": "http://127.0.0.1:1", "models": ["gpt"], "kind": "openai"}
    with running_proxy({"backends": [{"name": "local", "url": text_server.url}, other]}) as proxy:
        ready(proxy, models=2)
        for path in ("/completion", "/tokenize"):
            body = REPEATABLE | {"prompt": "one", "content": "one"}
            direct = ask(text_server.address, "POST", path, body)
            through = proxy.ask("POST", path, body)
            assert (through.status, same(through.json())) == (200, same(direct.json()))
        assert proxy.ask("GET", "/props").json()["total_slots"] == SLOTS
