"""The process of checks, by its frames; as a process of its own: test_checker.py."""

import io

import orjson
import pytest

from proxy.live.check_worker import serve
from proxy.wire.structured import ASKED, SAID


def frame(spec: bytes, answer: bytes) -> bytes:
    return ASKED.pack(len(spec), len(answer), False) + spec + answer


def whole(text: str) -> bytes:
    return orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


def test_it_says_that_it_is_ready_and_answers_in_order_until_its_input_ends() -> None:
    asks = io.BytesIO(frame(b'{"any":true}', whole("{}")) + frame(b'{"any":true}', whole("no\ud7ff")) + b"\0\0")
    says = io.BytesIO()
    serve(asks, says)
    told = says.getvalue()
    assert SAID.unpack(told[:4]) == (0,)
    (size,) = SAID.unpack(told[4:8])
    assert orjson.loads(told[8 : 8 + size]) == ["valid", ""]
    assert orjson.loads(told[12 + size :])[0] == "not_json"


def test_what_it_cannot_read_ends_it() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        serve(io.BytesIO(frame(b"no form", b"")), io.BytesIO())
