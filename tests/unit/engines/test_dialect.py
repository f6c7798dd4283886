"""What each engine does differently, against what was captured of it."""

import pytest

from proxy.engines.dialect import DIALECTS, UNKNOWN
from proxy.model.abilities import PLAIN
from tests.engines_captures.reading import capture


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


def test_traits() -> None:
    assert [d.kind for d in DIALECTS.values() if d.traits.loose_names] == ["ollama"]
    assert [d.kind for d in DIALECTS.values() if d.traits.counts_answer] == ["vllm", "sglang", "tgi"]
    assert UNKNOWN.traits == PLAIN
