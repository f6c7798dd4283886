"""Which requests may go together, and what they send."""

import json
from typing import Any

import pytest

from proxy.model.endpoint import Endpoint
from proxy.wire.batching import Part, Who, is_deterministic, key, merged, part, same

EMBEDDINGS, RERANK, SCORE, COMPLETIONS = Endpoint.EMBEDDINGS, Endpoint.RERANK, Endpoint.SCORE, Endpoint.COMPLETIONS


@pytest.mark.parametrize(
    ("endpoint", "fields", "expected"),
    [
        (EMBEDDINGS, {"input": "a"}, Part(["a"], "text")),
        (EMBEDDINGS, {"input": ["a", "b"]}, Part(["a", "b"], "text")),
        (EMBEDDINGS, {"input": [1, 2]}, Part([[1, 2]], "ids")),
        (EMBEDDINGS, {"input": [[1], [2]]}, Part([[1], [2]], "ids")),
        (Endpoint.MODERATIONS, {"input": "a"}, Part(["a"], "text")),
        (RERANK, {"query": "q", "documents": ["a"], "top_n": 1}, Part(["a"], "text", best=1)),
        (RERANK, {"query": "q", "documents": [{"text": "a"}]}, Part([{"text": "a"}], "object")),
        (SCORE, {"text_1": "a", "text_2": "b"}, Part([("a", "b")], "pair")),
        (SCORE, {"text_1": "a", "text_2": ["b", "c"]}, Part([("a", "b"), ("a", "c")], "pair")),
        (SCORE, {"text_1": ["a", "b"], "text_2": ["c", "d"]}, Part([("a", "c"), ("b", "d")], "pair")),
        (COMPLETIONS, {"prompt": "a", "n": 2}, Part(["a"], "text", 2)),
        (COMPLETIONS, {"prompt": "a", "seed": 1, "temperature": 0}, Part(["a"], "text")),
    ],
)
def test_what_a_request_adds(endpoint: Endpoint, fields: dict[str, Any], expected: Part) -> None:
    assert part(endpoint, fields) == expected


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        (EMBEDDINGS, {}),
        (EMBEDDINGS, {"inputs": "a"}),
        (EMBEDDINGS, {"input": []}),
        (EMBEDDINGS, {"input": [[]]}),
        (EMBEDDINGS, {"input": ["a", 1]}),
        (EMBEDDINGS, {"input": [True]}),
        (EMBEDDINGS, {"input": {"text": "a"}}),
        (EMBEDDINGS, {"input": "a", "request_id": "mine"}),
        (Endpoint.MODERATIONS, {"input": [{"type": "text", "text": "a"}]}),
        (RERANK, {"query": "q", "documents": []}),
        (RERANK, {"query": "q", "documents": "a"}),
        (RERANK, {"query": "q", "documents": [{"image": "a"}]}),
        (RERANK, {"query": "q", "documents": ["a"], "top_n": 0}),
        (RERANK, {"query": "q", "documents": ["a"], "top_n": True}),
        (SCORE, {"text_1": ["a", "b"], "text_2": ["c"]}),
        (SCORE, {"text_1": "a", "text_2": [1]}),
        (SCORE, {"query": "q", "items": ["a"]}),
        (COMPLETIONS, {"prompt": "a", "stream": True}),
        (COMPLETIONS, {"prompt": "a", "n": 0}),
        (COMPLETIONS, {"prompt": "a", "seed": 1}),
        (Endpoint.CHAT, {"messages": [], "input": "a", "prompt": "a"}),
        (Endpoint.POOLING, {"input": "a"}),
    ],
)
def test_what_goes_alone(endpoint: Endpoint, fields: dict[str, Any]) -> None:
    assert part(endpoint, fields) is None


def key_of(
    fields: dict[str, Any], headers: list[tuple[bytes, bytes]] | None = None, who: Who | None = None, path: str = "/e"
) -> bytes:
    found = part(EMBEDDINGS, fields)
    assert found is not None
    return key(EMBEDDINGS, path, fields, found, headers or [], who or Who())


ONE: dict[str, Any] = {"model": "m", "input": "a", "dimensions": 8}


def test_only_inputs_may_differ() -> None:
    assert key_of(ONE) == key_of({"dimensions": 8, "input": ["b", "c"], "model": "m"})
    for other in ({"model": "n"}, {"dimensions": 9}, {"dimensions": 8.0}, {"user": "u"}, {"input": [1]}):
        assert key_of(ONE) != key_of({**ONE, **other})
    assert key_of(ONE) != key_of(ONE, path="/e?version=2")


def test_headers_that_an_engine_may_act_on_must_be_the_same() -> None:
    harmless = [(b"User-Agent", b"a"), (b"traceparent", b"1"), (b"X-Stainless-OS", b"Linux")]
    assert key_of(ONE) == key_of(ONE, harmless)
    assert key_of(ONE) != key_of(ONE, [(b"OpenAI-Organization", b"o")])


def test_keys_and_tenants_separate_where_they_matter() -> None:
    mine, theirs = [(b"Authorization", b"Bearer a")], [(b"authorization", b"Bearer b")]
    assert key_of(ONE, mine) != key_of(ONE, theirs)
    operators = Who(keys=False)
    assert key_of(ONE, mine, operators) == key_of(ONE, theirs, operators)
    assert key_of(ONE, mine, Who("t1", keys=False)) != key_of(ONE, mine, Who("t2", keys=False))


def test_the_first_body_with_everybodys_inputs() -> None:
    body = b'{"input": "a", "model":"m",  "x":1e2}'
    assert merged(EMBEDDINGS, body, [Part(["a"], "text"), Part(["b", "c"], "text")]) == (
        b'{"input": ["a","b","c"], "model":"m",  "x":1e2}'
    )


def test_a_shared_ranking_is_not_cut_by_the_engine() -> None:
    body = b'{"query":"q","documents":["a","b"],"top_n":1}'
    together = merged(RERANK, body, [Part(["a", "b"], "text", best=1), Part(["c"], "text")])
    assert json.loads(together) == {"query": "q", "documents": ["a", "b", "c"]}


def test_scores_become_pairs() -> None:
    together = merged(SCORE, b'{"text_1":"a","text_2":"b"}', [Part([("a", "b")], "pair"), Part([("c", "d")], "pair")])
    assert json.loads(together) == {"text_1": ["a", "c"], "text_2": ["b", "d"]}


@pytest.mark.parametrize(
    ("endpoint", "fields", "expected"),
    [
        (EMBEDDINGS, {"input": "a"}, True),
        (Endpoint.CHAT, {"temperature": 0}, True),
        (Endpoint.CHAT, {"temperature": 0.0, "n": 1, "stream": True}, True),
        (Endpoint.CHAT, {}, False),
        (Endpoint.CHAT, {"temperature": 0.1, "seed": 1}, False),
        (Endpoint.CHAT, {"temperature": False}, False),
        (Endpoint.CHAT, {"temperature": 0, "n": 2}, False),
        (Endpoint.CHAT, {"temperature": 0, "store": True}, False),
        (Endpoint.RESPONSES, {"temperature": 0}, False),
        (Endpoint.IMAGES, {"temperature": 0}, False),
        (Endpoint.TOKENS, {"temperature": 0}, False),
    ],
)
def test_what_is_answered_the_same_twice(endpoint: Endpoint, fields: dict[str, Any], expected: bool) -> None:
    assert is_deterministic(endpoint, fields) is expected


def test_the_same_request_is_one_in_every_field() -> None:
    def of(fields: dict[str, Any], shown: str = "interactive") -> bytes:
        return same("/v1/chat/completions", fields, shown, [], Who())

    assert of({"a": 1, "b": 2}) == of({"b": 2, "a": 1})
    assert of({"a": 1}) != of({"a": 2})
    assert of({"a": 1}) != of({"a": 1}, "bulk")
