"""Model lists as captured, as sources write them, and absurd ones."""

import json
from typing import Any

import pytest

from proxy.engines.listing import MAX_NAMES, read
from tests.engines_captures.reading import capture


@pytest.mark.parametrize("name", ["llama.cpp/models", "vllm/models", "vllm/emb_models"])
def test_captured_model_lists(name: str) -> None:
    found = read(json.loads(capture(name).body))
    assert found is not None
    assert found.names == {"tiny"}
    assert found.contexts == {"tiny": 2048}, "of one slot, where an engine has slots"
    assert (found.loaded, found.left_out) == (None, 0)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ({"data": []}, set()),
        ({"data": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}, {"a", "b"}),
        ({"data": [{"id": ""}, {"id": 7}, {}, "c", None, {"id": "a"}, {"id": "x" * 513}]}, {"a"}),
    ],
)
def test_names(models: Any, names: set[str]) -> None:
    found = read(models)
    assert found is not None
    assert found.names == names
    assert found.contexts == {}


@pytest.mark.parametrize(
    "models", [None, [], "x", {}, {"data": None}, {"data": {"id": "a"}}, {"models": [{"id": "a"}]}]
)
def test_not_a_list(models: Any) -> None:
    assert read(models) is None


def state(name: str, value: str) -> dict[str, Any]:
    return {"id": name, "status": {"value": value}}


def test_what_is_in_memory() -> None:
    found = read(
        {"data": [state("a", "loaded"), state("b", "unloaded"), state("c", "sleeping"), state("d", "loading")]}
    )
    assert found is not None
    assert found.loaded == {"a"}
    untold = read({"data": [state("a", "loaded"), {"id": "b"}]})
    assert untold is not None
    assert untold.loaded is None


def test_a_list_without_end_is_cut() -> None:
    found = read({"data": [{"id": f"m{number}"} for number in range(MAX_NAMES + 100)]})
    assert found is not None
    assert (len(found.entries), found.left_out) == (MAX_NAMES, 100)


@pytest.mark.parametrize("value", [None, 0, -1, True, "2048", 2048.0, 1 << 40, [2048]])
def test_a_length_that_is_none(value: Any) -> None:
    found = read({"data": [{"id": "a", "max_model_len": value, "meta": {"n_ctx": value}}]})
    assert found is not None
    assert found.contexts == {}
