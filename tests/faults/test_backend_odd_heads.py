"""Heads that are HTTP and yet mean nothing, and bodies that are not what their head says: a clean answer either way."""

import asyncio
import gzip
import random
import zlib

import pytest

from tests.faults.asking import PATH, chat, events, script
from tests.support.engine_scripts import close, raw
from tests.support.fake_engine import DONE, chat_chunk, event
from tests.support.http_bytes import LAST_CHUNK, chunk

GOOD = b'{"choices":[],"text":"good"}'
ERROR = b'{"error":{"message":"the engine says no","type":"x","param":null,"code":"no"}}'
STREAM = event(chat_chunk({"content": "word"})) + event(chat_chunk({}, "stop")) + DONE


def answer_bytes(status, body, *fields):
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 %d Odd\r\n%bContent-Length: %d\r\n\r\n%b" % (status, lines, len(body), body)


def ask(proxy, engine, data, *, stream=False, then=None, headers=()):
    engine.scripts["odd"] = raw(data, then=then)
    return proxy.ask("POST", PATH, chat(stream), [*script("odd"), *headers])


ZIPPED = b"Content-Encoding: gzip"
JSON = b"Content-Type: application/json"
CODED = {
    "gzip": (b"gzip, chunked", gzip.compress(GOOD)),
    "deflate": (b"deflate, chunked", zlib.compress(GOOD)),
    "unknown": (b"foo, chunked", GOOD),
    "twice": (b"chunked, chunked", GOOD),
}


@pytest.mark.parametrize("status", [0, 99, 600, 999])
def test_a_status_that_means_nothing_is_a_502(proxy, engine, status):
    odd = (b"HTTP/1.1 %03d Odd\r\nContent-Length: 4\r\n\r\nCRAP" % status) + answer_bytes(200, GOOD, JSON)
    answer = ask(proxy, engine, odd)
    assert (answer.status, answer.error["code"]) == (502, "backend_protocol")
    assert b"CRAP" not in answer.body


@pytest.mark.parametrize("status", [202, 299, 418, 451, 599])
def test_a_status_that_is_only_unusual_passes(proxy, engine, status):
    body = GOOD if status < 400 else ERROR
    answer = ask(proxy, engine, answer_bytes(status, body, JSON))
    assert (answer.status, answer.body) == (status, body)


def test_a_body_of_an_interim_answer_never_comes_before_the_real_one(proxy, engine):
    interim = b"HTTP/1.1 150 Odd\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"CRAP") + LAST_CHUNK
    answer = ask(proxy, engine, interim + answer_bytes(200, GOOD, JSON))
    assert answer.status == 502
    assert b"CRAP" not in answer.body


@pytest.mark.parametrize(("codings", "body"), CODED.values(), ids=CODED.keys())
def test_a_transfer_coding_that_nobody_asked_for_is_a_502(proxy, engine, codings, body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: %b\r\n\r\n" % codings
    answer = ask(proxy, engine, head + chunk(body) + LAST_CHUNK)
    assert (answer.status, answer.error["code"]) == (502, "backend_protocol")


# --- errors: headers that fit the body


ERRORS = {
    "gzip": (gzip.compress(ERROR), [ZIPPED, JSON], "the engine says no"),
    "gzip of a page": (gzip.compress(b"<html>no</html>"), [ZIPPED, b"Content-Type: text/html"], "no explanation"),
    "not gzip at all": (ERROR, [ZIPPED, JSON], "no explanation"),
    "brotli": (b"\x1b\x00", [b"Content-Encoding: br", JSON], "no explanation"),
    "events": (b"data: " + ERROR + b"\n\n", [b"Content-Type: text/event-stream"], "the engine says no"),
    "json called events": (ERROR, [b"Content-Type: text/event-stream"], "the engine says no"),
    "json called a page": (ERROR, [b"Content-Type: text/html; charset=utf-8"], "the engine says no"),
    "a file": (b"no", [b"Content-Type: text/plain", b"Content-Disposition: attachment; filename=a"], "no"),
    "a language": (b"nein", [b"Content-Type: text/plain", b"Content-Language: de"], "nein"),
}


@pytest.mark.parametrize("takes", ["gzip, br", "identity"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(("body", "fields", "says"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_has_headers_that_fit_it(proxy, engine, body, fields, says, status, stream, takes):
    headers = [("accept-encoding", takes)]
    answer = ask(proxy, engine, answer_bytes(status, body, *fields), stream=stream, headers=headers)
    assert answer.status == status
    assert says in answer.error["message"]
    assert answer.head.all("content-type") == ["application/json"]
    for name in ("content-encoding", "content-disposition", "content-language"):
        assert answer.head.get(name) is None


# --- codings of good answers


@pytest.mark.parametrize("said", [None, "gzip, deflate", "identity"])
def test_engines_are_asked_for_plain_answers(proxy, engine, said):
    headers = [("accept-encoding", said)] if said else []
    assert proxy.ask("POST", PATH, chat(False), headers).status == 200
    assert engine.requests[-1].head.all("accept-encoding") == ["identity"]


@pytest.mark.parametrize("takes", ["gzip, deflate", "*", "identity", "gzip;q=0", None])
def test_a_coded_answer_is_one_that_the_client_takes(proxy, engine, takes):
    zipped = gzip.compress(GOOD)
    headers = [("accept-encoding", takes)] if takes else []
    answer = ask(proxy, engine, answer_bytes(200, zipped, ZIPPED, JSON), headers=headers)
    assert answer.status == 200
    if takes in ("gzip, deflate", "*"):
        assert (answer.head.get("content-encoding"), answer.body) == ("gzip", zipped)
    else:
        assert (answer.head.get("content-encoding"), answer.body) == (None, GOOD)


@pytest.mark.parametrize("takes", ["gzip", "identity"])
def test_a_coded_stream_is_one_that_the_client_takes(proxy, engine, takes):
    zipped = gzip.compress(STREAM * 4000 + random.Random(1).randbytes(2 << 20))
    fields = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + fields + ZIPPED + b"\r\n\r\n"
    headers = [("accept-encoding", takes)]
    answer = ask(proxy, engine, head + chunk(zipped) + LAST_CHUNK, stream=True, headers=headers)
    if takes == "gzip":
        assert (answer.status, answer.head.get("content-encoding"), answer.body) == (200, "gzip", zipped)
    else:
        assert (answer.status, answer.error["code"]) == (502, "backend_protocol")


@pytest.mark.in_progress(16 * 1024 * 1024)
@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(GOOD)[:-4], gzip.compress(bytes(64 << 20), 1)])
def test_a_coded_answer_that_cannot_be_undone_is_a_502(proxy, engine, body):
    answer = ask(proxy, engine, answer_bytes(200, body, ZIPPED, JSON))
    assert (answer.status, answer.error["code"]) == (502, "backend_protocol")


def test_no_second_head_inside_a_stream(bed, start_proxy, engine):
    """A ping has begun the stream when the engine answers with something that is none."""

    async def late(exchange):
        await asyncio.sleep(0.5)
        await exchange.send(answer_bytes(200, GOOD, JSON))

    engine.scripts["late"] = late
    classes = [{"name": "chatty", "stream": {"ping": "0.1s"}}]
    config = {"backends": [{"name": "alpha", "url": engine.url}], "classes": classes}
    proxy = start_proxy({**config, "routing": {"rules": [{"class": "chatty"}]}}, models=3)
    answer = proxy.ask("POST", PATH, chat(True), script("late"))
    assert answer.status == 200
    assert b"HTTP/1.1" not in answer.body
    assert "backend_protocol" in events(answer)[-1]


# --- whatever comes


FIELDS = [
    b"Content-Length: 28",
    b"Content-Length: 0",
    b"Content-Length: 5, 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding:",
    b"Content-Type: text/event-stream",
    b"Content-Type: application/json",
    b"Content-Encoding: gzip",
    b"Content-Encoding: identity",
    b"Connection: close",
    b"Connection: upgrade",
    b"Upgrade: h2c",
    b"Retry-After: 99999999999999",
    b"Trailer: a",
    b"X: \xff",
    b": none",
    b"a b: c",
    b"a:",
]
BODIES = [GOOD, chunk(GOOD) + LAST_CHUNK, STREAM, chunk(STREAM) + LAST_CHUNK, b"", b"\x00", gzip.compress(GOOD)]
STATUSES = [
    b"200",
    b"200",
    b"200",
    b"204",
    b"205",
    b"206",
    b"301",
    b"304",
    b"400",
    b"429",
    b"500",
    b"503",
    b"000",
    b"1",
    b"99999",
]


def random_answer(dice):
    version = dice.choice([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/3", b"http/1.1"])
    interim = dice.choice(
        [b""] * 8 + [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nContent-Length: 2\r\n\r\nhi"]
    )
    fields = b"".join(field + b"\r\n" for field in dice.choices(FIELDS, k=dice.randrange(5)))
    status, reason = dice.choice(STATUSES), dice.choice([b"", b" ", b" OK", b" O\tK"])
    return interim + version + b" " + status + reason + b"\r\n" + fields + b"\r\n" + dice.choice(BODIES)


def test_random_heads_become_whole_answers(bed, start_proxy, start_backend):
    """Each in good framing, and a good request afterwards is answered as ever."""
    engine = start_backend()
    entry = {"name": "alpha", "url": engine.url}
    limits = {"upstream": {"first_byte": "2s", "idle": "2s"}}
    health = {"consecutive_failures": 10_000, "min_samples": 10_000}
    proxy = start_proxy({"backends": [entry], "limits": limits, "health": health, "retries": {"attempts": 1}})
    dice = random.Random(7)
    for _ in range(300):
        data = random_answer(dice)
        answer = ask(proxy, engine, data, stream=dice.random() < 0.5, then=close)
        assert answer.status in (200, 204, 205, 206, 304, 400, 429, 500, 502, 503, 504), data
        if answer.status >= 400:
            assert answer.complete, data
            assert answer.error["message"], data
    assert proxy.ask("POST", PATH, chat(False)).json()["choices"]
