"""The order of what is done to a prompt, what is counted, and what the client is told."""

import json
from typing import Any

import orjson

from proxy.live.prompts import Prompts
from proxy.model.endpoint import Endpoint
from proxy.model.line_pattern import line_pattern
from proxy.model.prompts import FirstAnswer, PromptEdits
from proxy.model.request import Job, Request
from proxy.wire.prompts.lint import PrefixLint
from proxy.wire.prompts.named import NamedPrompts
from proxy.wire.prompts.template import Template, text_with_variables

TURN = [{"role": "user", "content": "q " * 100}, {"role": "assistant", "content": "a " * 100}]
EDITS = PromptEdits((line_pattern("billing"),), 200, FirstAnswer(50, "short", 60.0))
SYSTEM = "x-anthropic-billing-header: 1\nBe kind."


def request(body: bytes, **more: Any) -> Request:
    return Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m", body_bytes=len(body), json=True, **more)


def named() -> NamedPrompts:
    return NamedPrompts([("1", 1, Template("p", "1", text_with_variables("From {{x}}."), history=100))])


def test_all_of_it_in_order() -> None:
    prompts = Prompts(None, named(), iter([1.0, 1.5]).__next__)
    messages = [{"role": "system", "content": SYSTEM}, *TURN, *TURN, *TURN, TURN[0]]
    body = json.dumps({"messages": messages, "prompt": {"id": "p", "variables": {"x": SYSTEM}}}).encode()
    fields = orjson.loads(body)
    built, body, template = prompts.assembled({}, "", request(body), fields, body)
    assert (built.prompt_version, built.body_bytes) == ("p@1", len(body))
    assert prompts.assembly["p@1"].sum == 0.5
    body, said, first = prompts.edited("chat", EDITS, template, built, fields, body)
    assert orjson.loads(body) == fields
    assert fields["messages"][0]["content"].startswith("From x-anthropic-billing-header: 1\nBe kind.")
    assert "in short" in fields["messages"][0]["content"]
    assert fields["messages"][1] == {"role": "system", "content": "Be kind."}
    assert fields["messages"][2:] == [TURN[0]]
    assert fields["max_tokens"] == 50
    assert dict(said) == {
        b"x-tidegate-prompt": b"p@1",
        b"x-tidegate-history": b"cut=6; kept=3",
        b"x-tidegate-expandable": b"r",
    }
    assert first is not None
    assert (dict(prompts.lines_stripped), dict(prompts.messages_cut)) == ({"chat": 1}, {"chat": 6})


def test_a_request_for_the_rest_is_not_made_short_again() -> None:
    body = b'{"messages":[{"role":"user","content":"x"}]}'
    edited = Prompts().edited("chat", EDITS, None, request(body, expands=True), orjson.loads(body), body)
    assert edited == (body, (), None)


def test_without_a_reference_nothing_is_put_in_front() -> None:
    body = b'{"messages":[]}'
    asked = request(body)
    assert Prompts(None, named()).assembled({}, "", asked, {}, body) == (asked, body, None)
    form = Request("r", "POST", "/v1/audio", Endpoint.AUDIO, "m")
    assert Prompts(None, named()).assembled({b"x-tidegate-prompt": b"nobody"}, "", form, {}, b"x").template is None


def test_the_lint_sees_what_is_asked_but_not_what_is_too_large() -> None:
    lint = PrefixLint()
    prompts = Prompts(lint)
    for size_b in (100, 2 << 20):
        prompts.saw(Job(1, "m"), Request("r", "POST", "/", Endpoint.CHAT, "m", body_bytes=size_b, json=True), {})
    assert lint.seen == 1
    Prompts().saw(Job(1, "m"), request(b""), {})


def test_what_is_no_conversation_is_left_alone() -> None:
    inputs = [{"role": "system", "content": SYSTEM}, *TURN, *TURN, *TURN]
    for endpoint in (Endpoint.EMBEDDINGS, Endpoint.COMPLETIONS, Endpoint.RERANK, Endpoint.OTHER):
        asked = Request("r", "POST", "/", endpoint, "m", json=True)
        fields = {"input": inputs, "prompt": {"prompt_string": "x"}}
        body = json.dumps(fields).encode()
        assert Prompts(None, named()).assembled({}, "", asked, fields, body) == (asked, body, None)
        assert Prompts().edited("chat", EDITS, None, asked, fields, body) == (body, (), None)
