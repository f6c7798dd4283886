"""Engines told apart by their own answers, as captured and as their sources write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.recognition import look, recognise, signs
from proxy.engines.registry import DIALECTS
from tests.engines_captures.reading import capture


@pytest.mark.parametrize(
    ("name", "kind"), [("llama.cpp/models", "llama_cpp"), ("vllm/models", "vllm"), ("vllm/emb_models", "vllm")]
)
def test_captured_model_lists(name: str, kind: str) -> None:
    found = capture(name)
    models = json.loads(found.body)
    assert recognise(models, found.header(b"server").decode()) == kind
    assert recognise(models, "") == kind, "a proxy between may have taken the header"


def test_an_engine_that_answers_500_to_its_model_list() -> None:
    found = capture("transformers-serve/models")
    server = found.header(b"server").decode()
    assert found.status == 500
    assert recognise(None, server) is None
    (sign,) = signs(None, server)
    routes = capture("transformers-serve/openapi")
    assert routes.status == 200
    assert sign.path == "/openapi.json"
    assert sign.reads(routes.body) == "transformers"


def entry(name: str, owner: str, created: Any = 1_700_000_000, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner, **more}


def listed(*entries: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(entries)}


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([entry("m", "sglang")], "sglang"),
        ([entry("llama3:8b", "library")], "ollama"),
        ([entry("m", "tensorrt_llm")], "tensorrt_llm"),
        ([entry("m", "lmdeploy")], "lmdeploy"),
        ([entry("org/m", "org/m", 0)], "tgi"),
        ([entry("org/m", "org/m")], None),
        ([entry("tiny/hf", "tiny", 0, status={"value": "loaded"})], "transformers"),
        ([entry("tiny/hf", "", 0, status={"value": "unloaded"}), entry("x", "y", 0)], "transformers"),
        ([entry("tiny/hf", "tiny", 1, status={"value": "loaded"})], None),
        ([entry("tiny/hf", "tiny", False, status={"value": "loaded"})], None),
        ([entry("tiny/hf", "tiny", 0, status="loaded")], None),
        ([entry("m", "llamacpp", 0, status={"value": "loaded"})], "llama_cpp"),
        ([entry("gpt-5", "openai"), entry("m", "vllm")], "vllm"),
        ([entry("gpt-5", "openai")], None),
        ([], None),
    ],
)
def test_owners(entries: list[dict[str, Any]], kind: str | None) -> None:
    assert recognise(listed(*entries), "uvicorn") == kind


def test_the_header_of_llama_cpp_is_enough() -> None:
    assert recognise(None, "llama.cpp") == "llama_cpp"


@pytest.mark.parametrize(
    ("models", "server", "paths"),
    [
        (listed(entry("mike/mario:7b", "mike"), entry("hf.co/org/X-GGUF:Q4_K_M", "hf.co/org")), "", ["/api/version"]),
        (listed(entry("mike/mario:7b", "mike"), entry("gpt-5", "openai")), "", []),
        (listed(entry("host:80/mario", "mike")), "", []),
        (listed(entry("gpt-5", "openai")), "cloudflare", []),
        (listed(entry("tiny/hf", "tiny")), "uvicorn", ["/openapi.json"]),
        (listed(), "", []),
        (None, "", []),
    ],
)
def test_only_who_may_be_another_engine_is_asked_for_more(models: Any, server: str, paths: list[str]) -> None:
    assert [sign.path for sign in signs(models, server)] == paths


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"version":"0.12.0"}', "ollama"),
        (b'{"version":"0.12.0","build":7}', None),
        (b'{"version":7}', None),
        (b'["version"]', None),
        (b"404 page not found", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_version_of_ollama(body: bytes, kind: str | None) -> None:
    (sign,) = signs(listed(entry("mike/mario:7b", "mike")), "")
    assert sign.reads(body) == kind


@pytest.mark.parametrize(
    "body", [b"{}", b'{"paths":[]}', b'{"paths":{"/v1/chat/completions":{},"/v1/models":{},"/health":{}}}', b"<html>"]
)
def test_routes_of_another_server(body: bytes) -> None:
    (sign,) = signs(None, "uvicorn")
    assert sign.reads(body) is None


def test_what_another_engine_looks_like() -> None:
    before = look(listed(entry("a", "mike")), "uvicorn")
    assert look(listed(entry("b", "mike"), entry("c", "mike")), "uvicorn") == before, "other models, the same engine"
    assert look(listed(entry("a", "mike")), "nginx") != before
    assert look(listed(entry("a", "vllm")), "uvicorn") != before


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["data", "id", "owned_by", "created", "status", "value"]), inner, max_size=5),
    ),
    max_leaves=8,
)


@given(ANYTHING, st.text(max_size=8))
def test_any_answer_can_be_asked(models: Any, server: str) -> None:
    assert recognise(models, server) in {None, *DIALECTS}
    look(models, server)
    for sign in signs(models, server):
        sign.reads(json.dumps(models).encode())
