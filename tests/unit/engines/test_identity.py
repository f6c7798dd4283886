"""Which engines are the same one."""

import pytest

from proxy.engines.identity import digest, version

MODELS = {"data": [{"id": "m", "root": "org/m", "max_model_len": 4096, "created": 1}]}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"version": "0.33.0"}', "0.33.0"),
        (b'{"build_info": "b7000-abc", "total_slots": 4}', "b7000-abc"),
        (b'{"version": "3.3.6", "sha": "abc"}', "3.3.6 abc"),
        (b'{"version": 3}', ""),
        (b"[1]", ""),
        (b"no json", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_versions(body: bytes, found: str) -> None:
    assert version(body) == found


def test_the_same_engine() -> None:
    first = digest("vllm", "1", "a:80", MODELS)
    assert len(first) == 16
    later = {"data": [{"id": "m", "root": "org/m", "max_model_len": 4096, "created": 2, "permission": [{"id": "x"}]}]}
    assert digest("vllm", "1", "a:80", later) == first
    adapted = {"data": [*MODELS["data"], {"id": "lora", "parent": "m"}]}
    assert digest("vllm", "1", "a:80", adapted) == first, "adapters come and go"


@pytest.mark.parametrize(
    "changed",
    [
        ("sglang", "1", "a:80", MODELS),
        ("vllm", "2", "a:80", MODELS),
        ("vllm", "1", "b:80", MODELS),
        ("vllm", "1", "a:80", {"data": [{"id": "m", "root": "org/m-fp8", "max_model_len": 4096}]}),
        ("vllm", "1", "a:80", {"data": [{"id": "m", "root": "org/m", "max_model_len": 8192}]}),
        ("vllm", "1", "a:80", {"data": [*MODELS["data"], {"id": "second"}]}),
        ("vllm", "1", "a:80", None),
    ],
)
def test_another_engine(changed: tuple[str, str, str, object]) -> None:
    assert digest(*changed) != digest("vllm", "1", "a:80", MODELS)


@pytest.mark.parametrize("models", [None, [], {}, {"data": 3}, {"data": [None, 3, {"id": []}, {"meta": 4}]}])
def test_lists_that_are_none(models: object) -> None:
    assert len(digest("openai", "", "a:80", models)) == 16
