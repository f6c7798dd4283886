"""What is read of a request beside its body: prefix blocks, wishes, tenant, constraints."""

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


@pytest.mark.parametrize("name", ["prompt", "input", "inputs", "input_prefix"])
def test_other_routes_have_prompts_too(name: str) -> None:
    assert blocks({name: "a" * 2000})[:2] == blocks({name: "a" * 1500})[:2]
    assert blocks({name: [1] * 2000})


def test_short_and_missing_prompts_have_no_blocks() -> None:
    assert blocks(chat("hi")) == blocks({}) == blocks({"messages": None}) == ()


def test_the_work_is_bounded() -> None:
    assert len(blocks(chat(*["a" * 100_000] * 100))) == prompt.MAX_BLOCKS


RULES = {"type": "text", "text": "Mind the spoons. " * 200, "cache_control": {"type": "ephemeral"}}


def stamped(number: int) -> str:
    return f"x-anthropic-billing-header: cc_version=2.1.117.48f; cc_entrypoint=cli; cch={number:05x};"


@pytest.mark.parametrize(
    "system",
    [
        lambda number: [{"type": "text", "text": stamped(number)}, RULES],
        lambda number: stamped(number) + "\n" + RULES["text"],
    ],
    ids=["a block of its own", "a line"],
)
def test_what_an_agent_stamps_each_request_with_is_no_part_of_the_prompt(system: Any) -> None:
    one, other = (blocks({"system": system(number), **chat("a" * 2000)}) for number in (7, 0xFA690))
    assert one == other
    assert len(one) > 6


def test_elsewhere_the_same_words_are_part_of_it() -> None:
    for field in ("instructions", "tools"):
        one, other = (blocks({field: stamped(number) + "x" * 900}) for number in (7, 8))
        assert not set(one) & set(other)
    late, later = (blocks({"system": "x" * 600 + stamped(number) + "x" * 900}) for number in (7, 8))
    assert late != later


def test_wishes() -> None:
    assert prompt.hints({b"host": b"h"}) is prompt.NO_WISHES
    found = prompt.hints({b"x-slo-ttft-ms": b"200", b"x-llm-d-slo-tpot-ms": b" 40.5 ", b"x-request-deadline-ms": b"1"})
    assert found == (0.2, 0.0405, 0.001, None)
    assert prompt.hints({b"x-slo-ttft-ms": b"100", b"x-llm-d-slo-ttft-ms": b"900"}).ttft_s == 0.1


def test_promises_in_the_words_of_other_routers() -> None:
    assert prompt.hints({b"x-dynamo-meta-slo-ttft-ms": b"300"}).ttft_s == 0.3
    both = {b"x-dynamo-meta-slo-ttft-ms": b"300", b"x-slo-ttft-ms": b"100"}
    assert prompt.hints(both).ttft_s == 0.1, "the plain name wins"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"1500ms", 1.5),
        (b" 2s ", 2.0),
        (b"1m30s", 90.0),
        (b"1.5h", 5400.0),
        (b".5s", 0.5),
        (b"250us", 0.00025),
        (b"0", None),
        (b"0s", None),
        (b"999999h", 86_400.0),
    ],
)
def test_how_long_a_request_may_wait(text: bytes, seconds: float | None) -> None:
    found = prompt.hints({b"x-llm-d-inference-ttl": text}).wait_s
    assert found == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("text", [b"", b"5", b"-1s", b"1 s", b"s", b"1s,2s", b"inf", b"1d", b"..s", b"1s" * 40])
def test_waits_that_are_none(text: bytes) -> None:
    with pytest.raises(FaultError) as caught:
        prompt.hints({b"x-llm-d-inference-ttl": text})
    assert caught.value.fault.param == "x-llm-d-inference-ttl"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({b"x-session-id": b" one "}, {}),
        ({b"x-session-affinity": b"one"}, {}),
        ({b"x-dynamo-session-id": b"one"}, {}),
        ({}, {"metadata": {"session_id": "one"}}),
        ({}, {"prompt_cache_key": "one"}),
        ({b"x-session-id": b"one", b"x-session-affinity": b"two"}, {"prompt_cache_key": "three"}),
        ({}, {"metadata": {"session_id": "one"}, "prompt_cache_key": "three"}),
    ],
)
def test_the_session_is_a_digest_of_its_name_wherever_it_stands(headers: Any, fields: Any) -> None:
    found = prompt.session(headers, fields)
    assert found == prompt.session({}, {"prompt_cache_key": "one"})
    assert len(found) == 16
    assert "one" not in found


ONE = "54c1eb09-bc4c-4d2f-98eb-6d2ab2d5e2fe"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({b"x-claude-code-session-id": ONE.encode()}, {}),
        ({b"x-claude-code-session-id": ONE.encode()}, {"metadata": {"user_id": "someone"}}),
        ({}, {"metadata": {"user_id": f"user_{'a' * 64}_account__session_{ONE}"}}),
        ({}, {"metadata": {"user_id": f'{{"device_id":"d","account_uuid":"","session_id":"{ONE}"}}'}}),
        ({b"x-session-id": ONE.encode()}, {"metadata": {"user_id": "user_b_session_2"}}),
    ],
)
def test_sessions_of_coding_agents_are_found_where_each_version_puts_them(headers: Any, fields: Any) -> None:
    assert prompt.session(headers, fields) == prompt.session({b"x-session-id": ONE.encode()}, {})


def test_agents_that_share_a_session_have_conversations_of_their_own() -> None:
    of = {b"x-claude-code-session-id": ONE.encode()}
    main = prompt.session(of, {})
    subagents = {prompt.session({**of, b"x-claude-code-agent-id": name}, {}) for name in (b"a", b"b")}
    assert len({main, *subagents}) == 3
    assert prompt.session({b"x-claude-code-agent-id": b"a"}, {}) == "", "an agent of no session"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({}, {}),
        ({}, {"metadata": {"user_id": "u-7"}}),
        ({}, {"metadata": {"user_id": "{not JSON"}}),
        ({}, {"metadata": {"user_id": '["session_id"]'}}),
        ({}, {"metadata": {"user_id": '{"session_id": 7}'}}),
        ({}, {"metadata": {"user_id": 7}}),
        ({}, {"metadata": {"user_id": "x" * 2000 + "_session_1"}}),
        ({b"x-claude-code-session-id": b" "}, {}),
        ({b"x-session-id": b"  "}, {}),
        ({}, {"prompt_cache_key": ""}),
        ({}, {"prompt_cache_key": 7}),
        ({}, {"prompt_cache_key": ["one"]}),
        ({}, {"metadata": {"session_id": None}}),
        ({}, {"metadata": "session"}),
        ({}, {"metadata": {"session_id": {"a": 1}}}),
    ],
)
def test_no_session(headers: Any, fields: Any) -> None:
    assert prompt.session(headers, fields) == ""


def test_a_session_with_any_name() -> None:
    odd = {"prompt_cache_key": "\ud800" + "x" * 100_000}
    assert len(prompt.session({}, odd)) == 16
    assert prompt.session({b"x-session-id": b"\xff" * 9000}, {})


@pytest.mark.parametrize(
    "name",
    [
        "x-slo-ttft-ms",
        "x-slo-tpot-ms",
        "x-request-deadline-ms",
        "x-llm-d-slo-ttft-ms",
        "x-dynamo-meta-slo-ttft-ms",
    ],
)
@pytest.mark.parametrize(
    "value", ["-1", "0", "", "abc", "nan", "inf", "1e9", "99999999999", "200, 300", "0x10", "200ms"]
)
def test_bad_wishes_name_their_header(name: str, value: str) -> None:
    with pytest.raises(FaultError) as caught:
        prompt.hints({name.encode(): value.encode()})
    assert caught.value.fault.param == name


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
        ({"format": "json"}, True),
        ({"format": ""}, False),
    ],
)
def test_constraints(fields: dict[str, Any], expected: bool) -> None:
    assert prompt.is_constrained(fields) is expected


def test_a_tier_is_text() -> None:
    assert prompt.tier({"service_tier": "flex"}) == "flex"
    assert prompt.tier({"service_tier": 3}) == prompt.tier({}) == ""


def test_a_text_that_looks_like_a_mark_is_none() -> None:
    marked = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x" * 600, "cache_control": {"type": "ephemeral"}}]}
        ]
    }
    quoted = {"messages": [{"role": "user", "content": "x" * 600 + '","cache_control":{"type":"ephemeral"}'}]}
    assert len(prompt.prefix(quoted, "m", "")) == 1
    assert prompt.prefix(marked, "m", "") != prompt.prefix(quoted, "m", "")


@pytest.mark.parametrize("text", ["", "plain", 'a "quote"', "line\nend", "\u00e9\u4e2d", "a\\b"])
def test_a_message_is_the_same_however_its_fields_stand(text: str) -> None:
    one = {"messages": [{"role": "user", "content": text}, {"role": "user", "content": "x" * 600}]}
    other = {"messages": [{"content": text, "role": "user"}, {"role": "user", "content": "x" * 600}]}
    assert (prompt.prefix(one, "m", "") == prompt.prefix(other, "m", "")) == ('"' not in text)
