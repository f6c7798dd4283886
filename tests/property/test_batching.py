"""Merged and taken apart again, every request has the answer that it would have had alone."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint import Endpoint
from proxy.wire.batching import Part, Who, key, merged, part
from proxy.wire.slicing import Asked, MismatchError, shares, slices
from tests.support.array_engine import answer

TEXT = st.text(max_size=30).filter(lambda text: text.isprintable())
IDS = st.lists(st.integers(0, 2**17), min_size=1, max_size=5)
MODEL = {"model": "m"}
NOBODY = Who()
ENDPOINTS = (Endpoint.EMBEDDINGS, Endpoint.MODERATIONS, Endpoint.RERANK, Endpoint.SCORE, Endpoint.COMPLETIONS)


def inputs(endpoint: Endpoint, texts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one_or_more = texts | st.lists(texts, min_size=1, max_size=4)
    if endpoint is Endpoint.RERANK:
        documents = st.lists(TEXT, min_size=1, max_size=4)
        best = st.none() | st.integers(1, 5)
        return st.builds(lambda d, n: {"query": "q", "documents": d} | ({"top_n": n} if n else {}), documents, best)
    if endpoint is Endpoint.SCORE:
        return st.builds(lambda left, right: {"text_1": left, "text_2": right}, TEXT, one_or_more)
    name = "prompt" if endpoint is Endpoint.COMPLETIONS else "input"
    return one_or_more.map(lambda value: {name: value})


@st.composite
def callers(draw: st.DrawFn) -> tuple[Endpoint, list[dict[str, Any]]]:
    """Requests with equal keys, whatever their inputs."""
    endpoint = draw(st.sampled_from(ENDPOINTS))
    ids = endpoint in (Endpoint.EMBEDDINGS, Endpoint.COMPLETIONS) and draw(st.booleans())
    rest = dict(MODEL)
    if endpoint is Endpoint.COMPLETIONS:
        rest |= {"max_tokens": 3} | draw(st.sampled_from([{}, {"n": 2}]))
    those = draw(st.lists(inputs(endpoint, IDS if ids else TEXT), min_size=1, max_size=6))
    return endpoint, [rest | own if draw(st.booleans()) else own | rest for own in those]


def parts_of(endpoint: Endpoint, requests: list[dict[str, Any]]) -> list[Part]:
    found = [part(endpoint, fields) for fields in requests]
    return [one for one in found if one is not None]


def taken_apart(endpoint: Endpoint, requests: list[dict[str, Any]], said: dict[str, Any]) -> list[Any]:
    asked = [Asked(one, f"id{i}") for i, one in enumerate(parts_of(endpoint, requests))]
    return [json.loads(body) for body in slices(endpoint, json.dumps(said).encode(), asked, "id0")]


@given(callers(), st.randoms(use_true_random=False))
def test_everybody_gets_what_it_would_have_got_alone(
    those: tuple[Endpoint, list[dict[str, Any]]], rng: random.Random
) -> None:
    endpoint, requests = those
    keys = {
        key(endpoint, "/v1/x", fields, one, [], NOBODY)
        for fields, one in zip(requests, parts_of(endpoint, requests), strict=True)
    }
    assert len(keys) == 1
    together = merged(endpoint, json.dumps(requests[0]).encode(), parts_of(endpoint, requests))
    said = answer(endpoint, together, "id0")
    if endpoint not in (Endpoint.RERANK, Endpoint.MODERATIONS):
        rng.shuffle(said["data" if "data" in said else "choices"])
    alone = [answer(endpoint, json.dumps(fields).encode(), f"id{i}") for i, fields in enumerate(requests)]
    assert taken_apart(endpoint, requests, said) == alone


@given(callers(), st.integers(0, 10_000))
def test_the_parts_of_usage_sum_up_to_what_the_engine_counted(
    those: tuple[Endpoint, list[dict[str, Any]]], more: int
) -> None:
    endpoint, requests = those
    said = answer(endpoint, merged(endpoint, json.dumps(requests[0]).encode(), parts_of(endpoint, requests)), "id0")
    if "usage" not in said:
        return
    usage = said["usage"]
    usage["prompt_tokens"] += more
    usage["total_tokens"] += more
    usage["prompt_tokens_details"]["cached_tokens"] = usage["prompt_tokens"] // 3
    own = [one["usage"] for one in taken_apart(endpoint, requests, said)]
    for name in usage:
        if isinstance(usage[name], int):
            assert sum(one[name] for one in own) == usage[name]
    cached = [one["prompt_tokens_details"]["cached_tokens"] for one in own]
    assert sum(cached) == usage["prompt_tokens_details"]["cached_tokens"]
    assert all(some <= one["prompt_tokens"] for some, one in zip(cached, own, strict=True))
    assert all(one["prompt_tokens"] + one.get("completion_tokens", 0) == one["total_tokens"] for one in own)


@given(callers(), st.integers(0, 100), st.sampled_from(["lost", "lost and renumbered", "twice", "foreign", "more"]))
def test_an_answer_that_is_not_one_entry_per_input_is_nobodys(
    those: tuple[Endpoint, list[dict[str, Any]]], at: int, how: str
) -> None:
    endpoint, requests = those
    said = answer(endpoint, merged(endpoint, json.dumps(requests[0]).encode(), parts_of(endpoint, requests)), "id0")
    entries = next(value for value in said.values() if isinstance(value, list))
    at %= len(entries)
    if how == "more":
        entries.append(entries[at])
    elif how == "twice" and len(entries) > 1 and "index" in entries[0]:
        entries[at] = entries[at - 1]
    elif how == "foreign" and "index" in entries[0]:
        entries[at]["index"] += len(entries)
    else:
        del entries[at]
        for i, entry in enumerate(entries):
            if how == "lost and renumbered" and "index" in entry:
                entry["index"] = i
    with pytest.raises(MismatchError):
        taken_apart(endpoint, requests, said)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 40), st.sampled_from([1.0, 0.5, "float", "base64", "u"]))
FIELDS = st.dictionaries(
    st.sampled_from(["dimensions", "encoding_format", "user", "truncate_prompt_tokens", "priority", "lora"]), VALUES
)


@given(FIELDS, FIELDS)
def test_any_other_parameter_is_another_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    def key_of(rest: dict[str, Any]) -> bytes:
        fields = {"model": "m", "input": "a", **rest}
        found = part(Endpoint.EMBEDDINGS, fields)
        assert found is not None
        return key(Endpoint.EMBEDDINGS, "/v1/embeddings", fields, found, [], NOBODY)

    is_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (key_of(one) == key_of(other)) == is_same


@given(st.integers(0, 10**7), st.lists(st.integers(0, 10**5), min_size=1, max_size=40))
def test_shares_are_whole_and_fair(total: int, weights: list[int]) -> None:
    found = shares(total, weights)
    assert sum(found) == total
    assert all(share >= 0 for share in found)
    whole = sum(weights)
    if whole:
        assert all(abs(share - weight * total / whole) <= 1 for share, weight in zip(found, weights, strict=True))
