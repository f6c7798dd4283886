"""Embeddings taken apart and put together."""

from typing import Any

import orjson
import pytest

from proxy.wire import items
from tests.engines_captures.reading import capture, named

_V1 = "/v1/embeddings"
_ANSWERS = named(lambda c: c.status == 200 and c.name.rpartition("/")[2] in ("embeddings", "emb_base64"))


def _answer(count: int, tokens: int | None = 10) -> bytes:
    data = [{"object": "embedding", "index": n, "embedding": [n + 0.5]} for n in reversed(range(count))]
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return orjson.dumps({"id": "embd-1", "object": "list", "model": "m", "data": data, **usage})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2]], [[1], [2]]),
        ("", None),
        ([], None),
        (["a", 1], None),
        ([[1], []], None),
        ([True], None),
        ({"a": 1}, None),
        (None, None),
        (["a"] * (items.MOST + 1), None),
    ],
)
def test_what_is_embedded(told: Any, found: Any) -> None:
    assert items.inputs(_V1, {"input": told}) == found
    assert items.inputs("/embed", {"input": told}) is None


def test_one_input_is_the_same_alone_and_among_others() -> None:
    assert items.digest(b"rest", "a") == items.digest(b"rest", "a")
    others = {items.digest(b"rest", one) for one in ("a", "b", [1], [2], "[1]")} | {items.digest(b"other", "a")}
    assert len(others) == 6


def test_only_what_is_missing_is_asked_for() -> None:
    assert items.only(b'{ "input" : ["a","b"], "x":1 }', ["b"]) == b'{ "input" : ["b"], "x":1 }'


def test_vectors_come_in_the_order_of_the_request_whatever_the_engine_says() -> None:
    found = items.read(_answer(3), ["a", "bbbbbb", "c"])
    assert found is not None
    again = orjson.loads(items.joined([found[2], found[0]]))
    assert [(entry["index"], entry["embedding"]) for entry in again["data"]] == [(0, [2.5]), (1, [0.5])]
    assert again["model"] == "m"
    assert again["object"] == "list"
    assert "id" not in again


def test_tokens_are_shared_out_and_add_up() -> None:
    found = items.read(_answer(3), ["a", "bbbbbbbbbbbb", "c"])
    assert found is not None
    counts = [item.tokens or 0 for item in found]
    assert sum(counts) == 10
    assert counts[1] == max(counts)
    assert orjson.loads(items.joined(found))["usage"] == {"prompt_tokens": 10, "total_tokens": 10}


def test_tokens_that_nobody_told_are_not_made_up() -> None:
    found = items.read(_answer(1, None), ["a"])
    assert found is not None
    assert "usage" not in orjson.loads(items.joined(found))


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"error":{}}', b'{"error":{"x":1},"data":[]}', _answer(1), _answer(3)]
)
def test_what_is_no_answer_to_it_is_not_read(answer: bytes) -> None:
    assert items.read(answer, ["a", "b"]) is None


@pytest.mark.parametrize("name", _ANSWERS)
def test_answers_of_engines(name: str) -> None:
    answer = orjson.loads(capture(name).body)
    asked = ["x"] * len(answer["data"])
    found = items.read(capture(name).body, asked)
    assert found is not None
    again = orjson.loads(items.joined(found))
    assert [entry["embedding"] for entry in again["data"]] == [entry["embedding"] for entry in answer["data"]]
    assert again["usage"]["prompt_tokens"] == answer["usage"]["prompt_tokens"]
