"""curl, which many scripts are made of."""

import json
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(*arguments, data=None):
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "15", "--noproxy", "*", *arguments],
        input=data,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def body_of(content, **more):
    return json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": content}], **more}).encode()


JSON = ("--header", "content-type: application/json")


def test_a_chat_is_the_same(proxy, engine):
    answers = [
        curl(*JSON, "--data-binary", "@-", f"{url}/v1/chat/completions", data=body_of("hi"))
        for url in (engine.url, proxy.url)
    ]
    assert answers[0] == answers[1]


def test_a_stream_is_the_same(proxy, engine):
    data = body_of("a b c", stream=True, stream_options={"include_usage": True})
    answers = [
        curl("--no-buffer", *JSON, "--data-binary", "@-", f"{url}/v1/chat/completions", data=data)
        for url in (engine.url, proxy.url)
    ]
    assert answers[0] == answers[1]
    assert answers[1].endswith(b"data: [DONE]\n\n")


def test_a_large_body_waits_for_100_continue(proxy, engine):
    data = body_of("x" * 2_000_000)
    trace = curl(
        "--verbose", "--stderr", "-", "--output", "/dev/null", *JSON, "--header", "Expect: 100-continue",
        "--expect100-timeout", "10", "--data-binary", "@-", f"{proxy.url}/v1/chat/completions", data=data,
    )  # fmt: skip
    assert b"100 Continue" in trace
    assert b"HTTP/1.1 200" in trace
    assert engine.requests[-1].body == data


def test_a_body_over_the_limit_is_refused_before_it_is_sent(proxy, engine):
    code = curl(
        "--output", "/dev/null", "--write-out", "%{http_code} %{size_upload}", *JSON, "--header",
        "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary", "@-",
        f"{proxy.url}/v1/chat/completions", data=body_of("x" * (33 << 20)),
    )  # fmt: skip
    assert code.split()[0] == b"413"
    assert int(code.split()[1]) < 1 << 20
    assert not engine.requests


def test_http_1_0(proxy):
    answer = curl("--http1.0", *JSON, "--data-binary", "@-", f"{proxy.url}/v1/chat/completions", data=body_of("hi"))
    assert json.loads(answer)["choices"]


def test_a_form_upload(proxy, engine):
    curl("--form", "model=fake-model", "--form", "file=@-;filename=a.wav", f"{proxy.url}/v1/audio/transcriptions",
         data=b"RIFF" * 1000)  # fmt: skip
    assert b"RIFF" * 1000 in engine.requests[-1].body
