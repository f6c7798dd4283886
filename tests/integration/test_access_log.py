"""One line per request: how it ended, who served it, how long it took, how many tokens. Never a prompt or key."""

import hashlib
import json

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import never
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "the secret prompt"}]}
FIELDS = {
    "time", "end", "outcome", "status", "method", "path", "model_asked", "model_served", "backend", "attempts",
    "stream", "queue_ms", "ttft_ms", "e2e_ms", "prompt_tokens", "completion_tokens", "id",
}  # fmt: skip


def test_a_served_request(proxy):
    proxy.ask("POST", f"{PATH}?q=secret-query", CHAT, [("x-request-id", "log-1")])
    line = proxy.log_line("log-1")
    assert set(line) >= FIELDS
    expected = {
        "end": "--", "outcome": "served", "status": 200, "method": "POST", "path": PATH, "model_asked": "fake-model",
        "model_served": "fake-model", "backend": "alpha", "attempts": 1, "stream": False, "completion_tokens": 7,
        "cached_tokens": 3, "fault": None,
    }  # fmt: skip
    assert expected.items() <= line.items()
    assert line["prompt_tokens"] > 0
    assert 0 <= line["queue_ms"] <= line["e2e_ms"] < 5000


@pytest.mark.parametrize("usage_asked", [False, True])
def test_a_stream_has_its_tokens_and_its_first_token(proxy, usage_asked):
    options = {"stream_options": {"include_usage": True}} if usage_asked else {}
    name = f"log-stream-{usage_asked}"
    proxy.ask("POST", PATH, {**CHAT, "stream": True, **options}, [("x-request-id", name), ("x-fake", "stream 5 0.05")])
    line = proxy.log_line(name)
    assert line["stream"] is True
    assert 40 <= line["ttft_ms"] < line["e2e_ms"]
    assert line["e2e_ms"] >= 240


def test_tokens_of_a_stream_are_those_the_engine_counts(proxy):
    for name, options in (("tok-1", {}), ("tok-2", {"stream_options": {"include_usage": True}})):
        proxy.ask("POST", PATH, {**CHAT, "stream": True, **options}, [("x-request-id", name)])
        line = proxy.log_line(name)
        assert line["completion_tokens"] == 7
        assert line["prompt_tokens"] > 0


def test_an_alias_shows_both_names(start_pair):
    _, proxy = start_pair(entry={"aliases": {"public-name": "fake-model"}})
    proxy.ask("POST", PATH, {**CHAT, "model": "public-name"}, [("x-request-id", "alias")])
    line = proxy.log_line("alias")
    assert (line["model_asked"], line["model_served"]) == ("public-name", "fake-model")


@pytest.mark.parametrize(
    ("name", "send", "expected"),
    [
        ("bad-json", ("POST", PATH, b"{"), {"end": "CR", "outcome": "failed", "status": 400, "attempts": 0}),
        ("no-route", ("GET", "/nowhere", None), {"outcome": "failed", "status": 404, "attempts": 0, "backend": ""}),
        ("no-model", ("POST", PATH, {**CHAT, "model": "nobody"}), {"end": "CR", "outcome": "failed", "status": 404}),
        ("method", ("GET", PATH, None), {"outcome": "failed", "status": 405}),
    ],
)
def test_a_refused_request_has_its_line_too(proxy, name, send, expected):
    proxy.ask(*send, [("x-request-id", name)])
    assert expected.items() <= proxy.log_line(name).items()


def test_an_engines_error(proxy):
    headers = [("x-fake", "status 500 engine_broke"), ("x-request-id", "engine-500")]
    proxy.ask("POST", PATH, CHAT, headers)
    line = proxy.log_line("engine-500")
    assert (line["outcome"], line["status"], line["backend"]) == ("failed", 500, "alpha")
    assert line["end"].startswith("U")


def test_no_prompt_no_key_no_answer_in_anything_that_is_written(proxy):
    headers = [("authorization", "Bearer sk-very-secret"), ("x-request-id", "quiet")]
    proxy.ask("POST", f"{PATH}?q=secret-query", CHAT, headers)
    proxy.ask("POST", PATH, {**CHAT, "stream": True}, headers)
    proxy.ask("POST", PATH, b'{"the secret prompt', headers)
    proxy.log_line("quiet")
    written = json.dumps(proxy.log) + proxy.error_text
    for secret in ("sk-very-secret", "the secret prompt", "echo:", "secret-query"):
        assert secret not in written


def test_who_asked_and_from_where(proxy):
    key = "sk-whose-request"
    tenant = hashlib.sha256(key.encode()).hexdigest()[:8]
    forged = [("x-forwarded-for", "203.0.113.9"), ("x-real-ip", "203.0.113.9"), ("forwarded", "for=203.0.113.9")]
    asked = {
        "with-bearer": [("authorization", f"Bearer {key}")],
        "with-x-api-key": [("x-api-key", key)],
        "without": [],
    }
    for name, headers in asked.items():
        proxy.ask("POST", PATH, CHAT, [*headers, *forged, ("x-request-id", name)])
        line = proxy.log_line(name)
        assert line["tenant"] == (tenant if headers else "")
        assert line["client"] == "127.0.0.1"


@pytest.mark.parametrize("send", [("GET", "/nowhere", None), ("POST", PATH, b"{"), ("OPTIONS", PATH, None)])
def test_who_asked_for_what_is_refused(proxy, send):
    proxy.ask(*send, [("authorization", "Bearer sk-2"), ("x-request-id", f"refused-{send[0]}-{send[1]}")])
    line = proxy.log_line(f"refused-{send[0]}-{send[1]}")
    assert line["tenant"] == hashlib.sha256(b"sk-2").hexdigest()[:8]
    assert line["client"] == "127.0.0.1"


def test_a_client_that_left_or_never_spoke_http_has_its_address_too(proxy):
    seen = len(proxy.log)
    with proxy.connect() as connection:
        connection.send(b"what is this\r\n\r\n")
        connection.answer()
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, CHAT, [("x-fake", "hang"), ("x-request-id", "left-early")]))
        never(lambda: any(line["id"] == "left-early" for line in proxy.log), "it ended", 0.1)
    assert proxy.log_line("left-early")["end"].startswith("C")
    assert [line["client"] for line in proxy.log[seen:]] == ["127.0.0.1", "127.0.0.1"]


def test_every_line_of_both_logs_is_json(proxy):
    proxy.ask("POST", PATH, CHAT, [("x-request-id", "every-line")])
    proxy.log_line("every-line")
    assert proxy.other_stdout == []
    told = [json.loads(line) for line in proxy.stderr]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in told)
    assert any("listening on" in line["message"] for line in told)


def test_lines_tell_who_begins_alike_and_nothing_of_what_was_said(start_pair):
    """Whatever the policy: it is for forecasts of others."""
    _, proxy = start_pair({"log": {"prefixes": True}, "routing": {"policy": "round_robin"}})
    digests = {}
    for name, text in (("one", "a secret beginning " * 100), ("two", "a secret beginning " * 100 + "b" * 2000)):
        proxy.ask("POST", PATH, {**CHAT, "messages": [{"role": "user", "content": text}]}, [("x-request-id", name)])
        digests[name] = proxy.log_line(name)["prefix"]
    proxy.ask("POST", PATH, CHAT, [("x-request-id", "short")])
    assert "prefix" not in proxy.log_line("short")
    assert len(digests["one"]) == 4 * 3
    assert digests["two"].startswith(digests["one"])
    assert len(digests["two"]) == 4 * 7


def test_the_log_can_be_switched_off(start_pair):
    _, proxy = start_pair({"log": {"access": False}})
    assert proxy.ask("POST", PATH, CHAT).status == 200
    proxy.terminate()
    assert proxy.wait() == 0
    assert proxy.log == []


def test_the_attempt_of_each_backend_is_counted(start_backend, start_proxy):
    dead, alive = start_backend(), start_backend()
    entries = [backend_entry(dead, "dead"), backend_entry(alive, "alive")]
    proxy = start_proxy({"backends": entries, "routing": {"policy": "round_robin"}})
    dead.stop()
    for number in range(2):
        proxy.ask("POST", PATH, CHAT, [("x-request-id", f"a-{number}")])
    assert sorted(proxy.log_line(f"a-{number}")["attempts"] for number in range(2)) == [1, 2]
