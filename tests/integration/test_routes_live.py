"""Which routes are there: what the proxy tells of itself, engines' own, none of their management; without a model."""

import json

import pytest

from tests.support.bed import backend_entry
from tests.support.fake_engine import error_answer, json_answer, model_object, send_answer
from tests.support.patience import eventually
from tests.support.proxy_process import ready, running_proxy

HELPERS = ["/tokenize", "/detokenize", "/pooling", "/classify", "/rerank", "/v2/rerank", "/score", "/apply-template"]
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
    for path in ("/v1/future/thing", "/generate", "/apply-template"):
        assert proxy.ask("POST", path, body).error["code"] == "unknown_url", path
    for path in ("/tokenize", "/pooling", "/v1/moderations", "/v1/files/f/content"):
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
