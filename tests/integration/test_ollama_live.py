"""Ollama's own API through the proxy, as its official client and web UIs use it: the same answers, counts, ends."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import ollama
import pytest

from tests.support.bed import backend_entry
from tests.support.engine_scripts import except_for_probes, reset
from tests.support.ollama_engine import SCRIPTS, VERSION, entry, line, lines, prompt_tokens
from tests.support.ollama_engine import ollama as engine_script
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Zürich?"}]
CHAT = {"model": "llama3.2", "messages": MESSAGES}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
MODELS = ("llama3.2:latest", "qwen3:8b")
LIMITS = {"upstream": {"idle": "500ms", "first_byte": "5s"}}


@pytest.fixture(scope="module")
def pair(bed):
    with bed.backend(engine_script, models=MODELS) as engine:
        engine.scripts.update(SCRIPTS)
        config = {
            "backends": [backend_entry(engine, "alpha", aliases={"fast": "llama3.2:latest"})],
            "limits": LIMITS,
            "routing": {"scrape": "2s"},
        }
        with bed.proxy(config, models=3) as proxy:
            eventually(lambda: proxy.ask("GET", "/api/ps").json()["models"], "what is in memory is known")
            yield engine, proxy


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


Same = Callable[[Callable[[ollama.Client], Any]], Any]


@pytest.fixture
def same(pair) -> Same:
    """Runs a call direct and through the proxy, and gives the result, which must be the same."""
    engine, proxy = pair

    def compare(call: Callable[[ollama.Client], Any]) -> Any:
        found = []
        for url in (engine.url, proxy.url):
            client = ollama.Client(host=url, trust_env=False)
            try:
                found.append(plain(call(client)))
            except ollama.ResponseError as error:
                found.append((error.status_code, error.error))
            client.close()
        assert found[0] == found[1]
        return found[1]

    return compare


CALLS: dict[str, Callable[[ollama.Client], Any]] = {
    "chat": lambda c: c.chat("llama3.2", MESSAGES),
    "chat, streamed": lambda c: list(c.chat("llama3.2", MESSAGES, stream=True)),
    "chat with tools": lambda c: c.chat("llama3.2", MESSAGES, tools=TOOLS),
    "chat with tools, streamed": lambda c: list(c.chat("llama3.2", MESSAGES, tools=TOOLS, stream=True)),
    "thought": lambda c: list(c.chat("qwen3:8b", MESSAGES, think=True, stream=True)),
    "format": lambda c: c.chat("llama3.2", MESSAGES, format={"type": "object"}, options={"temperature": 0}),
    "limit": lambda c: c.generate("llama3.2", "hello there you", options={"num_predict": 2}),
    "generate": lambda c: c.generate("llama3.2", "hello", system="x", suffix="y", keep_alive="5m"),
    "generate, streamed": lambda c: list(c.generate("llama3.2", "hello", stream=True)),
    "picture": lambda c: c.generate("llama3.2", "what?", images=[b"\x89PNG" * 9]),
    "load": lambda c: c.generate("llama3.2"),
    "load by chat": lambda c: c.chat("llama3.2"),
    "embed": lambda c: c.embed("llama3.2", ["a", "bc"]),
    "embed one": lambda c: c.embed("llama3.2", "a", truncate=False),
    "embeddings": lambda c: c.embeddings("llama3.2", "abc"),
    "show": lambda c: c.show("qwen3:8b"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_the_official_client_gets_what_it_gets_direct(same: Same, call: Callable[[ollama.Client], Any]) -> None:
    assert same(call)


async def test_the_asynchronous_client_too(pair) -> None:
    engine, proxy = pair
    found = []
    for url in (engine.url, proxy.url):
        client = ollama.AsyncClient(host=url, trust_env=False)
        found.append([plain(part) async for part in await client.chat("llama3.2", MESSAGES, stream=True)])
        await client._client.aclose()
    assert found[0] == found[1]


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("stream", [None, True, False])
@pytest.mark.parametrize("more", [{}, {"think": True}, {"tools": TOOLS}, {"format": "json"}], ids=str)
def test_bytes_are_the_same_and_counts_the_engines(pair, path, stream, more):
    engine, proxy = pair
    body = CHAT | {"prompt": "hello"} | more | ({} if stream is None else {"stream": stream})
    direct = RawConnection(engine.address)
    with direct:
        direct.send(request_bytes("POST", path, body))
        expected = direct.answer()
    name = f"same-{path[5:]}-{stream}-{len(str(more))}"
    got = proxy.ask("POST", path, body, [("x-request-id", name)])
    assert (got.status, got.body) == (200, expected.body)
    assert got.head.get("content-type") == ("application/json" if stream is False else "application/x-ndjson")
    last = json.loads(got.body.splitlines()[-1])
    log = proxy.log_line(name)
    assert (log["prompt_tokens"], log["completion_tokens"]) == (last["prompt_eval_count"], last["eval_count"])
    assert (log["path"], log["outcome"]) == (path, "served")
    assert (log.get("ttft_ms") is not None) is (stream is not False)


def test_however_its_bytes_come(pair):
    _engine, proxy = pair
    answer = proxy.ask("POST", "/api/chat", CHAT, [("x-fake", "in-bytes")])
    assert answer.body == b"".join(map(line, lines("/api/chat", CHAT)))


def test_a_last_line_without_its_end_is_whole(pair):
    _engine, proxy = pair
    answer = proxy.ask("POST", "/api/chat", CHAT, [("x-fake", "without-end"), ("x-request-id", "endless")])
    assert answer.body == b"".join(map(line, lines("/api/chat", CHAT)))
    assert proxy.log_line("endless")["outcome"] == "served"


# --- what is looked up


def test_lists_of_what_there_is(pair):
    engine, proxy = pair
    assert proxy.ask("GET", "/api/tags").json()["models"] == [
        entry("llama3.2:latest") | {"name": "fast", "model": "fast"},
        *map(entry, MODELS),
    ]
    in_memory = [one["name"] for one in proxy.ask("GET", "/api/ps").json()["models"]]
    assert in_memory == ["fast", "llama3.2:latest"]
    eventually(lambda: proxy.ask("GET", "/api/version").json() == {"version": VERSION}, "its version is known")
    for method in ("GET", "HEAD"):
        assert proxy.ask(method, "/").status == 200
    assert proxy.ask("GET", "/").body == b"Ollama is running"
    assert not [one for one in engine.requests if one.path in ("/", "/api/tags", "/api/ps")]
    client = ollama.Client(host=proxy.url, trust_env=False)
    assert [one.model for one in client.list().models] == ["fast", *MODELS]
    assert [one.model for one in client.ps().models] == ["fast", "llama3.2:latest"]
    client.close()


@pytest.mark.parametrize("key", ["model", "name"])
def test_an_alias_is_the_engines_own_name_there(pair, key):
    engine, proxy = pair
    assert proxy.ask("POST", "/api/show", {key: "fast", "verbose": True}).json()["asked"]["model"] == "llama3.2:latest"
    assert proxy.ask("POST", "/api/chat", {**CHAT, "model": "fast"}).status == 200
    assert engine.requests[-1].json() == {**CHAT, "model": "llama3.2:latest"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/pull"),
        ("POST", "/api/push"),
        ("POST", "/api/create"),
        ("POST", "/api/copy"),
        ("DELETE", "/api/delete"),
        ("POST", "/api/blobs/sha256:0"),
        ("HEAD", "/api/blobs/sha256:0"),
        ("POST", "/api/me"),
    ],
)
def test_management_is_nobodys(pair, method, path):
    engine, proxy = pair
    count = len(engine.requests)
    answer = proxy.ask(method, path, {"model": "llama3.2"})
    assert answer.status == 404
    if method != "HEAD":
        assert set(answer.json()) == {"error"}
        assert isinstance(answer.json()["error"], str)
    assert len(engine.requests) == count


# --- errors


REFUSED = {
    "unknown model": (CHAT | {"model": "nobody"}, 404),
    "no JSON": (b"{", 400),
    "an array": (b"[]", 400),
    "stream": (CHAT | {"stream": "yes"}, 400),
    "messages": (CHAT | {"messages": ["x"]}, 400),
    "no model": ({"messages": MESSAGES}, 400),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_our_refusals_are_in_its_words(pair, body, status):
    _engine, proxy = pair
    answer = proxy.ask("POST", "/api/chat", body, [("content-type", "application/json")])
    assert answer.status == status
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "said"), [(400, "qwen does not support thinking"), (404, "model 'x' not found")])
def test_its_errors_pass_byte_for_byte(pair, status, said, stream):
    _engine, proxy = pair
    answer = proxy.ask("POST", "/api/chat", CHAT | {"stream": stream}, [("x-fake", f"api-error {status} {said}")])
    assert (answer.status, answer.body) == (status, json.dumps({"error": said}).encode())
    client = ollama.Client(host=proxy.url, headers={"x-fake": f"api-error {status} {said}"}, trust_env=False)
    with pytest.raises(ollama.ResponseError) as raised:
        list(client.chat("llama3.2", MESSAGES, stream=True))
    assert (raised.value.status_code, raised.value.error) == (status, said)
    client.close()


@pytest.mark.parametrize("how", ["end", "cut", "reset", "silence", "error"])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_stream_that_breaks_ends_in_a_line_that_says_so(pair, path, how):
    _engine, proxy = pair
    body = CHAT | {"prompt": "one two three four"}
    name = f"breaks-{how}-{path[5:]}"
    answer = proxy.ask("POST", path, body, [("x-fake", f"lines-then {how}"), ("x-request-id", name)])
    assert (answer.status, answer.complete) == (200, True)
    first = b"".join(line(fields) for fields in list(lines(path, body))[:2])
    assert answer.body.startswith(first)
    last = answer.body.removeprefix(first)
    assert last.count(b"\n") == 1, "the half of a line is not passed on"
    told = json.loads(last)
    assert list(told) == ["error"]
    assert isinstance(told["error"], str)
    assert (last == b'{"error":"the runner broke"}\n') is (how == "error")
    log = proxy.log_line(name)
    assert (log["outcome"], log["completion_tokens"]) == ("failed", 2)
    client = ollama.Client(host=proxy.url, headers={"x-fake": f"lines-then {how}"}, trust_env=False)
    with pytest.raises(ollama.ResponseError):
        list(client.chat("llama3.2", MESSAGES, stream=True))
    client.close()


def test_lines_of_16_mb(pair):
    _engine, proxy = pair
    for size, fits in ((16_000_000, True), (17_000_000, False)):
        name = f"long-{size}"
        answer = proxy.ask(
            "POST", "/api/chat", CHAT, [("x-fake", f"long {size}"), ("x-request-id", name)], deadline_s=60
        )
        *_, middle, last = answer.body.splitlines(keepends=True)
        assert answer.complete
        if fits:
            assert len(middle) == size
            assert json.loads(last)["done"] is True
        else:
            assert len(answer.body) < 100_000
            assert list(json.loads(last)) == ["error"]
        assert proxy.log_line(name)["outcome"] == ("served" if fits else "failed")


def test_a_client_that_leaves_frees_its_engine(pair):
    engine, proxy = pair
    engine.forget()
    with RawConnection(proxy.address) as connection:
        connection.send(request_bytes("POST", "/api/chat", CHAT, [("x-fake", "lines-then silence")]))
        connection.read_some()
    eventually(lambda: engine.requests[0].aborted_at is not None, "the engine is free")


# --- several backends


def two(start_backend, start_proxy, **more):
    engines = [start_backend(engine_script, models=MODELS) for _ in range(2)]
    for engine in engines:
        engine.scripts.update(SCRIPTS)
    entries = [backend_entry(engine, f"b{number}") for number, engine in enumerate(engines)]
    return engines, start_proxy({"backends": entries, "limits": LIMITS, **more}, models=2)


@pytest.mark.parametrize("how", ["reset", "first-error", "busy"])
def test_what_fails_before_its_first_line_goes_elsewhere(start_backend, start_proxy, how):
    engines, proxy = two(start_backend, start_proxy, routing={"policy": "round_robin"})

    async def busy(exchange):
        exchange.arguments[:] = ["503", "server busy, please try again.  maximum pending requests exceeded"]
        await SCRIPTS["api-error"](exchange)

    async def fails(exchange):
        if exchange.request.path == "/api/chat":
            await {"reset": reset, "first-error": SCRIPTS["first-error"], "busy": busy}[how](exchange)
        else:
            await engine_script(exchange)

    engines[0].default = except_for_probes(fails)
    whole = b"".join(map(line, lines("/api/chat", CHAT)))
    for _ in range(3):
        answer = proxy.ask("POST", "/api/chat", CHAT)
        assert (answer.status, answer.body) == (200, whole)
    assert engines[0].requests


def test_one_model_of_ollama_and_of_others(start_backend, start_proxy):
    ours, theirs = start_backend(engine_script, models=("m:latest",)), start_backend(models=("m:latest",))
    entries = [backend_entry(ours, "ours", kind="ollama"), backend_entry(theirs, "theirs", kind="vllm")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}}, models=1)
    for _ in range(4):
        assert proxy.ask("POST", "/api/chat", CHAT | {"model": "m:latest"}).status == 200
        assert proxy.ask("POST", "/v1/chat/completions", CHAT | {"model": "m:latest"}).status == 200
    assert {one.path for one in theirs.requests} == {"/v1/chat/completions"}
    assert len([one for one in ours.requests if one.path == "/api/chat"]) == 4


def test_without_ollama_there_is_no_such_route(start_backend, start_proxy):
    engine = start_backend(models=("m",))
    proxy = start_proxy({"backends": [backend_entry(engine, "a", kind="vllm")]})
    for method, path in (("POST", "/api/chat"), ("GET", "/api/tags"), ("GET", "/"), ("POST", "/"), ("GET", "/props")):
        assert proxy.ask(method, path, CHAT if method == "POST" else None).status == 404, path
    assert not engine.requests


def test_tenants_see_and_use_their_own_models(start_backend, start_proxy):
    engine = start_backend(engine_script, models=MODELS)
    digest = "sha256:" + sha256(b"sk-team").hexdigest()
    tenants = [{"tenant": "team", "keys": [digest], "models": ["qwen3*"], "requests_per_minute": 2}]
    config = {
        "backends": [backend_entry(engine, "a")],
        "routing": {"scrape": "2s", "tenants": tenants},
    }
    proxy = start_proxy(config, models=2)
    key = [("authorization", "Bearer sk-team")]
    eventually(lambda: proxy.ask("GET", "/api/tags", None, key).json()["models"], "its models are known")
    assert [one["name"] for one in proxy.ask("GET", "/api/tags", None, key).json()["models"]] == ["qwen3:8b"]
    assert proxy.ask("GET", "/api/ps", None, key).json() == {"models": []}
    assert len(proxy.ask("GET", "/api/tags").json()["models"]) == 2
    assert proxy.ask("POST", "/api/chat", CHAT, key).status == 404
    mine = CHAT | {"model": "qwen3:8b"}
    statuses = [proxy.ask("POST", "/api/chat", mine, key).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert isinstance(proxy.ask("POST", "/api/chat", mine, key).json()["error"], str)


def test_parameters_classes_and_limits_hold_there(start_backend, start_proxy):
    engine = start_backend(engine_script, models=MODELS)
    parameters = {"set": {"think": False}, "default": {"format": "json"}, "drop": ["keep_alive"]}
    entries = [backend_entry(engine, "a", parameters=parameters, max_tokens=3)]
    proxy = start_proxy({"backends": entries}, models=2)
    body = CHAT | {"keep_alive": 0, "options": {"num_predict": 99, "seed": 1}}
    answer = proxy.ask("POST", "/api/chat", body, [("x-tidegate-class", "bulk"), ("x-request-id", "params")])
    assert answer.status == 200
    sent = engine.requests[-1].json()
    assert sent == CHAT | {"options": {"num_predict": 3, "seed": 1}, "think": False, "format": "json"}
    assert proxy.log_line("params")["class"] == "bulk"
    assert proxy.log_line("params")["prompt_tokens"] == prompt_tokens(body)


@pytest.mark.parametrize(
    "stream", [{"granularity": "token"}, {"granularity": "text"}, {"pace": "smooth"}, {"resume": True}]
)
def test_what_a_class_does_to_streams_leaves_lines_as_they_are(start_backend, start_proxy, stream):
    engine = start_backend(engine_script, models=MODELS)
    engine.scripts.update(SCRIPTS)
    classes = [{"name": "interactive", "stream": {"ping": "1s", **stream}}]
    proxy = start_proxy({"backends": [backend_entry(engine, "a")], "classes": classes}, models=2)
    whole = b"".join(map(line, lines("/api/chat", CHAT)))
    for headers in ([], [("x-fake", "late 2.5")]):
        assert proxy.ask("POST", "/api/chat", CHAT, headers).body == whole
    refused = proxy.ask("POST", "/api/chat", CHAT, [("x-fake", "api-error 400 no")])
    assert (refused.status, refused.json()) == (400, {"error": "no"})


def test_another_model_instead(start_backend, start_proxy):
    engine = start_backend(engine_script, models=("small:latest",))
    gone = {"name": "gone", "url": "http://127.0.0.1:1", "models": ["large"], "kind": "ollama"}
    config = {
        "backends": [gone, backend_entry(engine, "here")],
        "hold": {"max_wait": "100ms"},
        "routing": {"models": [{"name": "large", "fallback": {"model": "small"}}]},
    }
    proxy = start_proxy(config, models=2)
    answer = proxy.ask("POST", "/api/chat", CHAT | {"model": "large"})
    assert (answer.status, json.loads(answer.body.splitlines()[0])["model"]) == (200, "small")


def test_affinity_of_a_conversation(start_backend, start_proxy):
    engines, proxy = two(start_backend, start_proxy)
    long = [{"role": "system", "content": "rules " * 2000}]
    for turn in range(6):
        messages = [*long, *({"role": "user", "content": f"turn {n}"} for n in range(turn + 1))]
        assert proxy.ask("POST", "/api/chat", {"model": "qwen3:8b", "messages": messages}).status == 200
    assert sorted(len(engine.requests) for engine in engines) == [0, 6]


@pytest.mark.parametrize("path", ["/api/chat", "/api/tags", "/completion", "/", "/v1/v1/models", "/nothing"])
@pytest.mark.parametrize("body", [b"", b'{"model":"x"}'])
def test_an_upgrade_is_refused_at_once_everywhere(pair, path, body):
    _engine, proxy = pair
    upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
    answer = proxy.ask("GET", path, body or None, [*upgrade, ("sec-websocket-key", "x")])
    assert answer.status == 426
