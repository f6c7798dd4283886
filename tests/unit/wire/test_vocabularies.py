"""Names of models and what they speak; a name that says nothing gets no vocabulary, since a wrong one counts worse."""

import pytest

from proxy.wire.vocabularies import vocabulary_of


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-oss-120b", "gpt-oss"),
        ("o1", "o200k_base"),
        ("o1-mini", "o200k_base"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("hub/team/QWEN2.5-0.5B-Instruct", "qwen2"),
        ("text-embedding-3-small", "cl100k_base"),
        ("microsoft/phi-4-mini", "phi4"),
    ],
)
def test_families(model: str, vocabulary: str) -> None:
    assert vocabulary_of(model) == vocabulary


@pytest.mark.parametrize(
    "model", ["", "/", "o1x", "olympus", "my-gpt-4", "llama-3.1-8b", "phi-4o", "gpt-4/adapter", "qwen", "qwen2b"]
)
def test_what_only_looks_like_one_has_none(model: str) -> None:
    assert vocabulary_of(model) is None
