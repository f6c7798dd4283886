"""Lines of a batch: what they ask, what is wrong with them, and which begin alike."""

import json
from itertools import pairwise
from typing import Any

import pytest

from proxy.model.batch import Complaint
from proxy.wire.batch_lines import Asked, body_of, read

CHAT = "/v1/chat/completions"


def line(**more: Any) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    return json.dumps({"custom_id": "a", "method": "POST", "url": CHAT, "body": body, **more}).encode()


def test_a_good_line() -> None:
    assert read(line(), 1, CHAT, "") == Asked("a", "m", b"")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"7", "invalid_json_line"),
        (line(custom_id=""), "missing_required_parameter"),
        (line(custom_id="x" * 513), "invalid_custom_id"),
        (line(method="GET"), "invalid_method"),
        (line(url="/v1/embeddings"), "invalid_url"),
        (line(url=None), "invalid_url"),
        (line(body=[]), "missing_required_parameter"),
        (line(body={}), "missing_required_parameter"),
        (line(body={"model": "other"}), "mismatched_model"),
        (line(body={"model": "m", "stream": True}), "stream_unsupported"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(raw: bytes, code: str) -> None:
    found = read(raw, 7, CHAT, "m")
    assert isinstance(found, Complaint)
    assert (found.code, found.line) == (code, 7)


def test_the_body_goes_as_it_came() -> None:
    body = b'{"model":"m",  "seed": 12345678901234567890123, "x":{"body":1}, "t":1.0}'
    raw = b'{"body":{}, "custom_id":"a","method":"POST","url":"/v1/chat/completions", "body":%b}' % body
    assert body_of(raw) == body


def test_prompts_that_begin_alike_stand_together_in_the_order_of_their_heads() -> None:
    def head(first: str, rest: str) -> bytes:
        text = [{"role": "system", "content": first * 3000}, {"role": "user", "content": rest * 900}]
        found = read(line(body={"model": "m", "messages": text}), 1, CHAT, "")
        assert isinstance(found, Asked)
        return found.head

    heads = [head(first, rest) for rest in "uvwxyz" for first in "abc"]
    assert len(set(heads)) == 18
    order = [heads.index(one) % 3 for one in sorted(heads)]
    assert sum(a != b for a, b in pairwise(order)) == 2, "three groups, each in one piece"
