"""Engines told apart by their own answers, as captured and as their sources write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.dialect import DIALECTS, UNKNOWN, listed_models, recognise
from tests.engines_captures.reading import capture


@pytest.mark.parametrize(
    ("name", "kind"), [("llama.cpp/models", "llama_cpp"), ("vllm/models", "vllm"), ("vllm/emb_models", "vllm")]
)
def test_captured_model_lists(name: str, kind: str) -> None:
    found = capture(name)
    models = json.loads(found.body)
    assert recognise(models, found.header(b"server").decode()) == kind
    assert recognise(models, "") == kind, "a proxy between may have taken the header"
    assert listed_models(models) == {"tiny"}


def test_an_engine_that_answers_500_to_its_model_list() -> None:
    found = capture("transformers-serve/models")
    assert found.status == 500
    assert recognise(None, found.header(b"server").decode()) is None


def entry(name: str, owner: str, created: int = 1_700_000_000) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([entry("m", "sglang")], "sglang"),
        ([entry("llama3:8b", "library")], "ollama"),
        ([entry("m", "tensorrt_llm")], "tensorrt_llm"),
        ([entry("org/m", "org/m", 0)], "tgi"),
        ([entry("org/m", "org/m")], None),
        ([entry("gpt-5", "openai"), entry("m", "vllm")], "vllm"),
        ([entry("gpt-5", "openai")], None),
        ([], None),
    ],
)
def test_owners(entries: list[dict[str, Any]], kind: str | None) -> None:
    assert recognise({"object": "list", "data": entries}, "uvicorn") == kind


def test_the_header_of_llama_cpp_is_enough() -> None:
    assert recognise(None, "llama.cpp") == "llama_cpp"


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["data", "id", "owned_by", "created"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@given(ANYTHING, st.text(max_size=8))
def test_any_answer_can_be_asked(models: Any, server: str) -> None:
    assert recognise(models, server) in {None, *DIALECTS}
    names = listed_models(models)
    assert names is None or all(isinstance(name, str) and name for name in names)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ({"data": []}, set()),
        ({"data": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}, {"a", "b"}),
        ({"data": [{"id": ""}, {"id": 7}, {}, "c", None, {"id": "a"}]}, {"a"}),
    ],
)
def test_listed_models(models: Any, names: set[str]) -> None:
    assert listed_models(models) == names


@pytest.mark.parametrize(
    "models", [None, [], "x", {}, {"data": None}, {"data": {"id": "a"}}, {"models": [{"id": "a"}]}]
)
def test_not_a_list(models: Any) -> None:
    assert listed_models(models) is None


def test_dialects() -> None:
    assert all(kind == dialect.kind for kind, dialect in DIALECTS.items())
    assert not UNKNOWN.answers_500_to_bad_requests, "nobody's 500 is excused unless we know better"
    assert [d.kind for d in DIALECTS.values() if not d.says_done] == ["transformers"]


@pytest.mark.parametrize("name", ["llama.cpp/err_bad_json", "transformers-serve/err_messages_wrong_type"])
def test_engines_that_say_500_when_the_client_is_wrong(name: str) -> None:
    kind = {"llama.cpp": "llama_cpp", "transformers-serve": "transformers"}[name.split("/")[0]]
    assert capture(name).status == 500
    assert DIALECTS[kind].answers_500_to_bad_requests
    assert capture("vllm/err_bad_json").status == 400
    assert not DIALECTS["vllm"].answers_500_to_bad_requests


@pytest.mark.parametrize("name", ["vllm/chat_stream", "llama.cpp/chat_stream", "transformers-serve/chat_stream"])
def test_who_says_done(name: str) -> None:
    kind = {"llama.cpp": "llama_cpp", "transformers-serve": "transformers"}.get(name.split("/")[0], "vllm")
    assert (b"data: [DONE]" in capture(name).body) is DIALECTS[kind].says_done
