"""Bodies that are small on the wire and large in memory: refused by count before they are parsed, off the loop; honest
large ones pass byte for byte."""

import gzip
import json
import threading
import time

import pytest

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry
from tests.support.memory import MIB, memory_peak
from tests.support.raw_client import request_bytes

BODY_B = 31 * MIB
pytestmark = pytest.mark.in_progress(BODY_B)
BOMBS = {
    "arrays": b"[],",
    "objects": b"{},",
    "members": b'{"a":0},',
    "nested": b"[[[[]]]],",
    "strings": b'"ab",',
    "numbers": b"[0.5,7],",
}


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend() as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    with bed.proxy({"backends": [backend_entry(engine, "alpha")]}) as process:
        process.ask("POST", PATH, chat(False, pad="x" * (2 * MIB)))  # the thread and its memory
        yield process


def with_many(item, size_b=BODY_B, **more):
    front = json.dumps(chat(False, **more))[:-1].encode()
    return front + b',"pad":[' + item * (size_b // len(item)) + b"0]}"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb(proxy, engine, what, coding):
    body = with_many(BOMBS[what])
    sent = gzip.compress(body, 6) if coding == "gzip" else body
    with memory_peak(proxy) as memory:
        answer = proxy.ask("POST", PATH, sent, [("Content-Encoding", coding)] if coding == "gzip" else None)
    assert answer.status == 400
    assert "too many values" in answer.error["message"]
    memory.assert_at_most(len(body))
    assert not engine.requests


@pytest.mark.parametrize("text", ["😀" + "x" * 200, "ö" * 100, "\\n" * 100 + "😀"])
def test_a_long_text_is_not_widened(proxy, engine, text):
    """CPython keeps a string with one emoji at four bytes per character."""
    body = with_many(b'"%b",' % (text.encode() * (8 * MIB // len(text.encode()))), 24 * MIB)
    with memory_peak(proxy) as memory:
        assert proxy.ask("POST", PATH, body, deadline_s=30.0).status == 200
    assert engine.requests[-1].body == body
    memory.assert_at_most(len(body))


def token_ids(count, per_list):
    return {"model": "fake-model", "input": [list(range(1000, 1000 + per_list))] * (count // per_list)}


HONEST = {
    "pictures": (PATH, chat(False, images=["data:image/png;base64," + "QUJD" * MIB] * 2)),
    "messages": (
        PATH,
        {"model": "fake-model", "messages": [{"role": "user", "content": "What is this, and why?"}] * 10_000},
    ),
    "token ids in one list": ("/v1/embeddings", token_ids(2_000_000, 2_000_000)),
    "token ids in lists": ("/v1/embeddings", token_ids(2_000_000, 1_000)),
    "token ids in short lists": ("/v1/embeddings", token_ids(1_000_000, 64)),
    "a book": (PATH, chat(False, pad='She said: "No, I won\'t", and left.\n' * 300_000)),
}


@pytest.mark.parametrize("what", HONEST)
def test_an_honest_large_body_passes(proxy, engine, what):
    path, fields = HONEST[what]
    body = json.dumps(fields).encode()
    with memory_peak(proxy) as memory:
        assert proxy.ask("POST", path, body, deadline_s=60.0).status == 200
    assert engine.requests[-1].body == body
    memory.assert_at_most(len(body))


def test_a_stream_with_usage_is_parsed_once_and_forwarded(proxy, engine):
    body = json.dumps(chat(True, pad="x" * (4 * MIB), stream_options={"other": 1})).encode()
    answer = proxy.ask("POST", PATH, body, deadline_s=30.0)
    assert answer.complete
    seen = engine.requests[-1].json()
    assert seen.pop("stream_options") == {"other": 1, "include_usage": True}
    assert seen == {name: value for name, value in json.loads(body).items() if name != "stream_options"}


def test_what_is_broken_deep_inside_is_refused(proxy, engine):
    body = request_bytes("POST", PATH, chat(False, pad="x" * (8 * MIB)))
    broken = body[:-20] + b"\x01" + body[-19:]
    with proxy.connect() as connection:
        connection.send(broken)
        answer = connection.answer()
    assert answer.status == 400
    assert "not valid JSON" in answer.error["message"]
    assert not engine.requests


def test_short_requests_go_on_meanwhile(proxy):
    """Unpacking and parsing happen beside the loop; what holds the interpreter holds it for a moment."""
    sent = gzip.compress(with_many(b"[],"), 6)
    over = threading.Event()

    def attack():
        while not over.is_set():
            proxy.ask("POST", PATH, sent, [("Content-Encoding", "gzip")])

    attacker = threading.Thread(target=attack)
    attacker.start()
    waits = []
    try:
        for _ in range(50):
            begin = time.monotonic()
            assert proxy.ask("POST", PATH, chat(False)).status == 200
            waits.append(time.monotonic() - begin)
    finally:
        over.set()
        attacker.join()
    assert sorted(waits)[25] < 0.25
    assert max(waits) < 1.5
