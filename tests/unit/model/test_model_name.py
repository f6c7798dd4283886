"""Names that mean one model to Ollama, and names that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.model_name import canonical, twin


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3.2", "llama3.2:latest"),
        ("llama3.2", "LLAMA3.2:Latest"),
        ("llama3.2", "library/llama3.2"),
        ("llama3.2:1b", "registry.ollama.ai/library/llama3.2:1b"),
        ("hf.co/org/X-GGUF", "hf.co/org/x-gguf:latest"),
        ("host:5000/a/b", "host:5000/a/b:latest"),
    ],
)
def test_one_model(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3.2", "llama3.2:1b"),
        ("llama3.2", "mike/llama3.2"),
        ("library/a/b", "a/b"),
        ("llama3.2", "llama3.2-latest"),
    ],
)
def test_two_models(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("name", "other"), [("a", "a:latest"), ("a:latest", "a"), ("a:7b", "a:7b"), ("host:80/a", "host:80/a:latest")]
)
def test_twins(name: str, other: str) -> None:
    assert twin(name) == other


@given(st.text())
def test_what_a_name_means_means_itself(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name) or "/" in name
    assert canonical(twin(name)) == canonical(name) or not name
