"""Bodies arrive byte for byte: what no parser could write again must reach the engine as the client wrote it."""

import json

import pytest

BODIES = {
    "an integer of 10^30": b'{"model":"fake-model","messages":[{"role":"user","content":"x"}],"seed":1'
    + b"0" * 30
    + b"}",
    "odd spacing": b'\n{ "model" :\t"fake-model" ,\r\n "messages":[ {"role":"user","content":"x"} ] } ',
    "unknown fields": (
        b'{"future":{"a":[1,2.50,-0.0,1E+2]},"model":"fake-model","messages":[{"role":"user","content":"x"}]}'
    ),
    "escapes": rb'{"model":"fake\u002dmodel","messages":[{"role":"user","content":"\u00e9\ud83d\ude00\/"}]}',
    "a repeated key": b'{"model":"nobody","messages":[{"role":"user","content":"x"}],"model":"fake-model"}',
    "urls that look like ours": (
        b'{"model":"fake-model","api_base":"http://127.0.0.1:1","base_url":"http://127.0.0.1:1","api_key":"k",'
        b'"user_config":{},"messages":[{"role":"user","content":"x"}]}'
    ),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_body_arrives_as_it_was_sent(proxy, engine, body, framing):
    if framing == "length":
        answer = proxy.ask("POST", "/v1/chat/completions", body)
    else:
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 9]), body[i : i + 9]) for i in range(0, len(body), 9))
        chunked = [("Transfer-Encoding", "chunked")]
        answer = proxy.ask("POST", "/v1/chat/completions", pieces + b"0\r\n\r\n", chunked)
    assert answer.status == 200
    assert engine.requests[-1].body == body


def test_a_megabyte_of_one_letter(proxy, engine):
    body = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": "a" * 1_000_000}]}).encode()
    answer = proxy.ask("POST", "/v1/chat/completions", body)
    assert answer.json()["choices"][0]["message"]["content"] == "echo: " + "a" * 1_000_000
    assert engine.requests[-1].body == body


def test_a_large_stream_arrives_whole(proxy):
    text = "wörd " * 20_000
    body = {"model": "fake-model", "messages": [{"role": "user", "content": text}], "stream": True}
    answer = proxy.ask("POST", "/v1/chat/completions", body)
    assert answer.complete
    events = [line[6:] for line in answer.body.split(b"\n\n") if line.startswith(b"data: {")]
    said = "".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events)
    assert said.split() == ["echo:", *text.split()]
    assert answer.body.endswith(b"data: [DONE]\n\n")
