"""Each limit of the client side through the wire: one below and at the limit is served, one above is refused."""

import json

import pytest

from tests.support.bed import backend_entry
from tests.support.http_bytes import chunk
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
BODY_B = 4096
LIMITS = {
    "body": {"size": f"{BODY_B}B"},
    "head": {"count": 20, "target": "200B", "field": "1000B", "total": "4000B"},
    "parameters": {"n": 5, "top_logprobs": 3, "stop": 4, "tools": 3, "messages": 6},
}
AROUND = (-1, 0, 1)


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    with bed.proxy({"backends": [backend_entry(engine, "alpha")], "limits": LIMITS}) as process:
        yield process


def chat(**more):
    return {"model": "fake-model", "messages": [{"role": "user", "content": "x"}], **more}


def body_of(size):
    body = json.dumps(chat(pad="")).encode()
    return body.replace(b'"pad": ""', b'"pad": "%b"' % (b"x" * (size - len(body))))


def expect(answer, more, refusal):
    assert answer.status == (refusal if more > 0 else 200)
    if more > 0:
        assert answer.error["message"]


@pytest.mark.parametrize("more", AROUND)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_body_size(proxy, engine, more, framing):
    body = body_of(BODY_B + more)
    assert len(body) == BODY_B + more
    if framing == "length":
        answer = proxy.ask("POST", PATH, body)
    else:
        wire = chunk(body[:1000]) + chunk(body[1000:]) + b"0\r\n\r\n"
        answer = proxy.ask("POST", PATH, wire, [("Transfer-Encoding", "chunked")])
    expect(answer, more, 413)
    assert len(engine.requests) == (more <= 0)


@pytest.mark.parametrize("more", AROUND)
def test_number_of_headers(proxy, more):
    own = request_bytes("POST", PATH, chat()).partition(b"\r\n\r\n")[0].count(b"\r\n")
    headers = [(f"x-{number}", "y") for number in range(20 - own + more)]
    expect(proxy.ask("POST", PATH, chat(), headers), more, 431)


@pytest.mark.parametrize("more", AROUND)
def test_length_of_the_target(proxy, more):
    target = f"{PATH}?".ljust(200 + more, "a")
    expect(proxy.ask("POST", target, chat()), more, 414)


@pytest.mark.parametrize("more", AROUND)
def test_size_of_one_header(proxy, more):
    """Name and value count; a few bytes of separators may or may not."""
    expect(proxy.ask("POST", PATH, chat(), [("x-a", "y" * (990 + more * 20))]), more, 431)


@pytest.mark.parametrize(("last_b", "more"), [(100, -1), (200, 0), (400, 1)])
def test_size_of_all_headers(proxy, last_b, more):
    """The other fields of the request take about 3,700 bytes, with separators or without."""
    headers = [(f"x-{number}", "y" * 900) for number in range(4)]
    expect(proxy.ask("POST", PATH, chat(), [*headers, ("x-last", "y" * last_b)]), more, 431)


PARAMETERS = {
    "n": lambda count: chat(n=count),
    "top_logprobs": lambda count: chat(logprobs=True, top_logprobs=count),
    "stop": lambda count: chat(stop=["a"] * count),
    "tools": lambda count: chat(tools=[{"type": "function", "function": {"name": "f"}}] * count),
    "messages": lambda count: chat(messages=[{"role": "user", "content": "x"}] * count),
}


@pytest.mark.parametrize("more", AROUND)
@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter(proxy, name, more):
    answer = proxy.ask("POST", PATH, PARAMETERS[name](LIMITS["parameters"][name] + more))
    expect(answer, more, 400)
    if more > 0:
        assert answer.error["param"] == name


def test_zero_choices_are_none(proxy):
    assert proxy.ask("POST", PATH, chat(n=0)).status == 400
