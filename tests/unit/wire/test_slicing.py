"""Answers taken apart, in the shapes that engines have."""

import json
from typing import Any

import pytest

from proxy.model.endpoint import Endpoint
from proxy.wire.batching import Part
from proxy.wire.slicing import Asked, MismatchError, slices, tokens_of

TWO = [Asked(Part(["a"], "text"), "req-1"), Asked(Part(["b", "c"], "text"), "req-2")]


def taken_apart(endpoint: Endpoint, said: Any, asked: list[Asked] | None = None) -> list[Any]:
    return [json.loads(body) for body in slices(endpoint, json.dumps(said).encode(), asked or TWO, "req-1")]


def embeddings(**more: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": f"vector{i}"} for i in range(3)]
    return {"object": "list", "data": data, "model": "m", **more}


def test_each_counts_its_entries_from_0() -> None:
    first, second = taken_apart(Endpoint.EMBEDDINGS, embeddings())
    assert first["data"] == [{"object": "embedding", "index": 0, "embedding": "vector0"}]
    assert [(entry["index"], entry["embedding"]) for entry in second["data"]] == [(0, "vector1"), (1, "vector2")]
    assert list(first) == list(embeddings())


def test_ids_are_made_of_each_request_as_the_engine_makes_them() -> None:
    assert [one["id"] for one in taken_apart(Endpoint.EMBEDDINGS, embeddings(id="embd-req-1"))] == [
        "embd-req-1",
        "embd-req-2",
    ]


def test_ids_that_an_engine_draws_are_not_given_twice() -> None:
    first, second = taken_apart(Endpoint.EMBEDDINGS, embeddings(id="embd-77"))
    assert first["id"] == "embd-77"
    assert second["id"] != "embd-77"


def test_usage_is_told_by_tokens() -> None:
    usage = {"prompt_tokens": 30, "total_tokens": 30, "prompt_tokens_details": None}
    own = [one["usage"] for one in taken_apart(Endpoint.EMBEDDINGS, embeddings(usage=usage))]
    assert [one["prompt_tokens"] for one in own] == [10, 20]
    assert [one["total_tokens"] for one in own] == [10, 20]
    assert all(one["prompt_tokens_details"] is None for one in own)


def test_what_is_written_is_told_by_what_each_wrote() -> None:
    choices = [{"index": i, "text": "x" * 20 * (i + 1), "logprobs": None} for i in range(2)]
    usage = {"prompt_tokens": 2, "completion_tokens": 30, "total_tokens": 32}
    asked = [Asked(Part(["a"], "text"), "req-1"), Asked(Part(["b"], "text"), "req-2")]
    own = taken_apart(Endpoint.COMPLETIONS, {"choices": choices, "usage": usage}, asked)
    assert [one["usage"]["completion_tokens"] for one in own] == [10, 20]
    assert [one["usage"]["total_tokens"] for one in own] == [11, 21]


def test_a_ranking_keeps_its_order_and_ends_where_it_was_asked_to() -> None:
    results = [{"index": i, "relevance_score": score} for i, score in ((2, 0.9), (0, 0.5), (1, 0.1))]
    asked = [Asked(Part(["a"], "text"), "1"), Asked(Part(["b", "c"], "text", best=1), "2")]
    own = taken_apart(Endpoint.RERANK, {"results": results}, asked)
    assert [[entry["relevance_score"] for entry in one["results"]] for one in own] == [[0.5], [0.9]]
    assert [[entry["index"] for entry in one["results"]] for one in own] == [[0], [1]]


def test_a_ranking_that_is_a_bare_list_stays_one() -> None:
    own = taken_apart(Endpoint.RERANK, [{"index": i, "score": -i} for i in range(3)])
    assert own == [[{"index": 0, "score": 0}], [{"index": 0, "score": -1}, {"index": 1, "score": -2}]]


def test_entries_without_numbers_are_in_order() -> None:
    own = taken_apart(Endpoint.MODERATIONS, {"id": "m", "results": [{"flagged": i} for i in range(3)]})
    assert [one["results"] for one in own] == [[{"flagged": 0}], [{"flagged": 1}, {"flagged": 2}]]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"data": None},
        {"data": [1, 2, 3]},
        {"data": [{"index": 0}, {"index": 1}]},
        {"data": [{"index": 0}, {"index": 1}, {"index": 1}]},
        {"data": [{"index": 0}, {"index": 1}, {"index": 3}]},
        {"data": [{"index": 0}, {"index": 1}, {}]},
        "text",
    ],
)
def test_anything_else_is_nobodys(said: Any) -> None:
    with pytest.raises(MismatchError):
        taken_apart(Endpoint.EMBEDDINGS, said)
    with pytest.raises(MismatchError):
        slices(Endpoint.EMBEDDINGS, b"{", TWO, "")


def test_inputs_of_every_kind_have_tokens() -> None:
    assert tokens_of(Part([[1, 2, 3], [4]], "ids")) == 4
    assert tokens_of(Part([("one text", "another")], "pair")) == tokens_of(Part(["one text", "another"], "text"))
    assert tokens_of(Part([{"text": "one text"}], "object")) == tokens_of(Part(["one text"], "text"))
