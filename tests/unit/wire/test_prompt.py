"""What is read of a request beside its body: prefix blocks, wishes, tenant, constraints."""

import hashlib
from typing import Any

import pytest

from proxy.model.faults import FaultError
from proxy.wire import prompt


def chat(*contents: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text} for text in contents], **more}


def blocks(fields: dict[str, Any], model: str = "m", whose: str = "t") -> tuple[int, ...]:
    return prompt.prefix(fields, model, whose)


def test_a_conversation_that_goes_on_keeps_the_blocks_it_had() -> None:
    first = blocks(chat("a" * 3000))
    longer = blocks(chat("a" * 3000, "b" * 3000, "c"))
    assert len(first) >= 5
    assert len(longer) >= 11
    assert longer[: len(first)] == first


def test_another_beginning_shares_nothing_and_a_shared_one_all_up_to_the_difference() -> None:
    one, other = blocks(chat("s" * 2000, "x" * 2000)), blocks(chat("s" * 2000, "y" * 2000))
    same = [a == b for a, b in zip(one, other, strict=True)]
    assert same == sorted(same, reverse=True)
    assert 3 <= sum(same) < len(same)
    assert not set(one) & set(blocks(chat("z" + "s" * 1999, "x" * 2000)))


def test_blocks_belong_to_a_tenant_a_model_and_the_tools() -> None:
    fields = chat("a" * 5000)
    for others in (blocks(fields, whose="u"), blocks(fields, model="n"), blocks({**fields, "tools": [{"x": 1}]})):
        assert not set(blocks(fields)) & set(others)


def test_white_space_and_key_order_of_the_rest_do_not_matter() -> None:
    fields = chat("a" * 5000)
    assert blocks({"temperature": 1, **fields, "stream": True}) == blocks(fields)


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_other_routes_have_prompts_too(name: str) -> None:
    assert blocks({name: "a" * 2000})[:2] == blocks({name: "a" * 1500})[:2]
    assert blocks({name: [1] * 2000})


def test_short_and_missing_prompts_have_no_blocks() -> None:
    assert blocks(chat("hi")) == blocks({}) == blocks({"messages": None}) == ()


def test_the_work_is_bounded() -> None:
    assert len(blocks(chat(*["a" * 100_000] * 100))) == prompt.MAX_BLOCKS


def test_wishes() -> None:
    assert prompt.wishes({b"host": b"h"}) is prompt.NO_WISHES
    found = prompt.wishes({b"x-slo-ttft-ms": b"200", b"x-llm-d-slo-tpot-ms": b" 40.5 ", b"x-request-deadline-ms": b"1"})
    assert found == (0.2, 0.0405, 0.001)
    assert prompt.wishes({b"x-slo-ttft-ms": b"100", b"x-llm-d-slo-ttft-ms": b"900"}).ttft_s == 0.1


@pytest.mark.parametrize("name", ["x-slo-ttft-ms", "x-slo-tpot-ms", "x-request-deadline-ms", "x-llm-d-slo-ttft-ms"])
@pytest.mark.parametrize(
    "value", ["-1", "0", "", "abc", "nan", "inf", "1e9", "99999999999", "200, 300", "0x10", "200ms"]
)
def test_bad_wishes_name_their_header(name: str, value: str) -> None:
    with pytest.raises(FaultError) as caught:
        prompt.wishes({name.encode(): value.encode()})
    assert caught.value.fault.param == name


def test_the_tenant_is_a_digest_of_the_key_however_it_is_sent() -> None:
    digest = hashlib.sha256(b"sk-1").hexdigest()[:8]
    assert prompt.tenant({b"authorization": b"Bearer sk-1"}) == digest
    assert prompt.tenant({b"authorization": b"bearer  sk-1 "}) == digest
    assert prompt.tenant({b"x-api-key": b"sk-1"}) == digest
    assert prompt.tenant({b"authorization": b"Bearer "}) == prompt.tenant({}) == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"tools": []}, False),
        ({"tools": [{}]}, True),
        ({"response_format": {"type": "text"}}, False),
        ({"response_format": {"type": "json_schema"}}, True),
        ({"response_format": "json"}, False),
        ({"text": {"format": {"type": "json_schema"}}}, True),
        ({"text": {"format": {"type": "text"}}}, False),
        ({"text": ["a"]}, False),
        ({"guided_json": {"a": 1}}, True),
    ],
)
def test_constraints(fields: dict[str, Any], expected: bool) -> None:
    assert prompt.is_constrained(fields) is expected


def test_a_tier_is_text() -> None:
    assert prompt.tier({"service_tier": "flex"}) == "flex"
    assert prompt.tier({"service_tier": 3}) == prompt.tier({}) == ""
