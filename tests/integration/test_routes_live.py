"""Which routes are there: what the proxy tells of itself, engines' own, none of their management; without a model."""

import json

import pytest

from tests.support.bed import backend_entry
from tests.support.fake_engine import error_answer, json_answer, model_object, send_answer
from tests.support.patience import eventually
from tests.support.proxy_process import ready, running_proxy

HELPERS = [
    "/tokenize",
    "/detokenize",
    "/pooling",
    "/classify",
    "/rerank",
    "/v2/rerank",
    "/score",
    "/apply-template",
    "/v2/embed",
]
MANAGEMENT = ["/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/sleep", "/v1/internal/model/load", "/sleep"]


def test_health_of_a_proxy_with_an_engine_and_of_one_without(start_backend, start_proxy):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha")]})
    for path in ("/health", "/v1/health", "/ping"):
        answer = proxy.ask("GET", path)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})
        assert proxy.ask("HEAD", path).status == 200
        assert proxy.ask("POST", path, {}).status == 405
    assert set(proxy.ask("GET", "/version").json()) == {"version"}
    assert not engine.requests
    lost = start_proxy({"backends": [{"name": "gone", "url": "http://127.0.0.1:1"}]}, models=0)
    answer = lost.ask("GET", "/health")
    assert (answer.status, answer.json()) == (503, {"status": "no backend answers"})
    assert answer.head.get("retry-after")


def test_health_while_draining(start_backend):
    config = {"backends": [backend_entry(start_backend(), "alpha")], "drain": {"readiness": "3s"}}
    with running_proxy(config) as proxy, proxy.connect() as connection:
        ready(proxy, 1)
        proxy.terminate()

        def says() -> bool:
            connection.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = connection.answer()
            return (answer.status, answer.json()) == (503, {"status": "draining"})

        eventually(says, "503 from /health")
        assert proxy.wait() == 0, "a second signal would end it at once"


@pytest.mark.parametrize("path", HELPERS)
def test_engines_routes_go_by_model_at_their_own_path(start_backend, start_proxy, path):
    engines = {name: start_backend(models=(name,)) for name in ("one", "two")}
    proxy = start_proxy({"backends": [backend_entry(engine, name) for name, engine in engines.items()]}, models=2)
    for name in ("one", "two", "one"):
        answer = proxy.ask("POST", f"{path}?a=1", {"model": name, "prompt": "hi"})
        assert answer.json()["target"] == f"{path}?a=1"
        assert engines[name].requests[-1].json()["model"] == name


@pytest.mark.parametrize("path", MANAGEMENT)
def test_management_does_not_pass(start_pair, path):
    engine, proxy = start_pair()
    for spelling in (path, path + "/", path.replace("e", "%65"), f"http://x{path}?a=1"):
        answer = proxy.ask("POST", spelling, {"model": "fake-model"})
        assert (answer.status, answer.error["code"]) == (404, "unknown_url"), spelling
    assert not engine.requests


def test_a_recognised_engine_is_asked_for_its_listed_routes_only(start_backend, start_proxy):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha", kind="vllm")]})
    body = {"model": "fake-model"}
    for path in ("/v1/future/thing", "/infill", "/apply-template"):
        assert proxy.ask("POST", path, body).error["code"] == "unknown_url", path
    for path in ("/tokenize", "/pooling", "/v1/moderations", "/v1/decisions", "/v1/files/f/content"):
        assert proxy.ask("POST", path, body).status == 200, path


def test_the_operator_may_pass_more(start_backend, start_proxy):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "a", kind="vllm")], "routes": {"forward": ["/api/chat", "/v1/load_*"]}}
    proxy = start_proxy(config)
    for path in ("/api/chat?x=1", "/v1/load_lora_adapter"):
        assert proxy.ask("POST", path, {"model": "fake-model"}).json()["target"] == path
    assert proxy.ask("POST", "/api/pull", {}).status == 404
    assert proxy.ask("POST", "/v1/unload_lora_adapter", {}).status == 404


def alike(models):
    async def only_some(exchange):
        if exchange.request.path == "/v1/models":
            await send_answer(exchange, json_answer({"object": "list", "data": [model_object(m) for m in models]}))
        else:
            await send_answer(exchange, error_answer(404, "the_engines_own"))

    return only_some


@pytest.mark.parametrize("target", ["/v1/moderations", "/v1/future/thing", "/tokenize"])
@pytest.mark.parametrize("engines", [[("a", "b")], [("a", "b"), ("a", "b")]], ids=["one engine", "two alike"])
def test_without_a_model_the_engine_decides(start_backend, start_proxy, engines, target):
    running = [start_backend(alike(models), models=models) for models in engines]
    entries = [backend_entry(engine, f"b{number}") for number, engine in enumerate(running)]
    proxy = start_proxy({"backends": entries}, models=2)
    body = {"input": "x", "messages": [{"role": "user", "content": "x"}]}
    answer = proxy.ask("POST", target, body)
    assert (answer.status, answer.error["code"]) == (404, "the_engines_own")
    (request,) = [request for engine in running for request in engine.requests]
    assert json.loads(request.body) == body


def test_without_a_model_and_unlike_engines_nobody_can_tell(start_backend, start_proxy):
    engines = [start_backend(models=("a", "b")), start_backend(models=("b", "c"))]
    proxy = start_proxy({"backends": [backend_entry(e, f"b{n}") for n, e in enumerate(engines)]}, models=3)
    answer = proxy.ask("POST", "/v1/moderations", {"input": "x"})
    assert (answer.status, answer.error["param"]) == (400, "model")


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/apply-template", {"llama"}),
        ("/pooling", {"vllm"}),
        ("/detokenize", {"llama", "vllm"}),
        ("/v1/chat/completions/batch", {"vllm"}),
        ("/v2/embed", {"vllm"}),
        ("/v1/decisions", {"llama", "vllm", "tgi"}),
    ],
)
def test_one_model_of_unlike_engines_goes_only_where_the_route_is(start_backend, start_proxy, path, who):
    engines = {name: start_backend(models=("m",)) for name in ("llama", "vllm", "tgi")}
    kinds = {"llama": "llama_cpp", "vllm": "vllm", "tgi": "tgi"}
    entries = [backend_entry(engine, name, kind=kinds[name]) for name, engine in engines.items()]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}}, models=1)
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    for number in range(6):
        answer = proxy.ask("POST", path, body | {"user": str(number)})
        assert (answer.status, answer.json()["target"]) == (200, path)
    assert {name for name, engine in engines.items() if engine.requests} == who


def test_a_model_whose_engines_lack_the_route_is_not_found_there(start_backend, start_proxy):
    engines = [start_backend(models=(name,)) for name in ("ours", "theirs")]
    entries = [backend_entry(e, f"b{k}", kind=k) for e, k in zip(engines, ("vllm", "llama_cpp"), strict=True)]
    proxy = start_proxy({"backends": entries}, models=2)
    answer = proxy.ask("POST", "/infill", {"model": "ours", "input_prefix": "x"})
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "/infill" in answer.error["message"]
    assert not any(engine.requests for engine in engines)
    answer = proxy.ask("POST", "/infill", {"input_prefix": "x"})
    assert (answer.status, len(engines[1].requests)) == (200, 1), "of the only model that has it"


def test_a_base_url_with_v1_and_a_client_that_adds_its_own(start_pair):
    engine, proxy = start_pair()
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
    assert [proxy.ask("GET", f"{path}/models").json()["data"][0]["id"] for path in ("", "/v1", "/v1/v1")] == [
        "fake-model"
    ] * 3
    for path in ("/v1/v1/chat/completions", "/v1/v1/completions/", "/v1/v1/embeddings"):
        assert proxy.ask("POST", path, body | {"prompt": "x", "input": "x"}).status == 200, path
        assert engine.requests[-1].path == path.removeprefix("/v1").rstrip("/")
