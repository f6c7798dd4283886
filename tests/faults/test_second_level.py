"""The second level of the cache, a real redis-server: shared by proxies, and missing, slow, full, wrong, restarted."""

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.asking import PATH
from tests.faults.test_cached_answers import HEADERS, Gate, asked, body, crowd, in_turn, said, understood
from tests.support.bed import backend_entry
from tests.support.fake_engine import well_behaved
from tests.support.patience import eventually
from tests.support.redis_server import needs_redis, redis_server

pytestmark = needs_redis


@pytest.fixture
def pair(start_backend, start_proxy):
    """Two proxies before one engine, with one second level."""
    with redis_server() as redis:
        engine = start_backend(default=in_turn(well_behaved))
        config = {"backends": [backend_entry(engine, "alpha")], "cache": {"size": "16MiB", "remote": redis.url}}
        yield redis, engine, [start_proxy(config) for _ in range(2)]


def ask(proxy, content="hi", **more):
    question = body(**more) | {"messages": [{"role": "user", "content": content}]}
    return proxy.ask("POST", PATH, question, HEADERS)


def remote(proxy, event):
    return proxy.metrics().total("tidegate_cache_remote_total", event=event)


def bump(proxy):
    question = urllib.request.Request(f"{proxy.admin_url}/cache/bump", method="POST")
    with urllib.request.urlopen(question, timeout=5.0) as answer:
        return json.loads(answer.read())


def kept(redis, count=1):
    eventually(lambda: len(redis.keys("tidegate:kept:*")) == count, f"{count} kept there")


def test_what_one_proxy_was_told_another_knows(pair):
    redis, engine, (one, other) = pair
    for number in range(5):  # 5 ms may be too little where others work: then another question
        first = ask(one, f"q{number}")
        eventually(lambda: remote(one, "stored") + remote(one, "left_out") > number, "it is kept there")  # noqa: B023
        before, errors = asked(engine), remote(other, "error")
        again = ask(other, f"q{number}")
        if remote(other, "error") == errors:
            break
    assert (said(first), said(again)) == ("miss", "hit")
    assert asked(engine) == before
    assert _text(again) == _text(first)
    assert int(again.head.get("age")) <= 1
    assert said(ask(other, f"q{number}", stream=False)) == "hit"
    eventually(lambda: not redis.keys("tidegate:lease:*"), "no lease left")


def test_a_bump_of_one_reaches_the_other(pair):
    redis, engine, (one, other) = pair
    ask(one)
    kept(redis)
    assert said(ask(other)) == "hit"
    bump(one)
    assert said(ask(one)) == "miss"
    eventually(lambda: said(ask(other)) == "hit" and asked(engine) == 2, "the other means what is newer", 5.0)
    assert b"1" in redis.command("HGET", "tidegate:epochs", "")


def test_proxies_make_it_once(start_backend, start_proxy):
    gate = Gate()
    with redis_server() as redis:
        engine = start_backend(default=in_turn(gate))
        config = {"backends": [backend_entry(engine, "alpha")], "cache": {"size": "16MiB", "remote": redis.url}}
        one, other = start_proxy(config), start_proxy(config)
        with crowd(one, 20) as ones:
            engine.wait_for_request()
            with crowd(other, 20) as others:
                understood(other, 20)
                time.sleep(0.1)
                assert asked(engine) == 1
                gate.is_open = True
                answers = [connection.answer() for connection in (*ones, *others)]
        assert {answer.status for answer in answers} == {200}
        assert asked(engine) == 1


def test_away_from_the_start(start_pair):
    engine, proxy = start_pair({"cache": {"size": "16MiB", "remote": "redis://127.0.0.1:1/0"}})
    assert [said(ask(proxy)) for _ in range(2)] == ["miss", "hit"]
    assert asked(engine) == 1
    assert remote(proxy, "error") >= 1


def test_gone_and_back(pair):
    redis, _, (one, _) = pair
    ask(one)
    kept(redis)
    redis.stop()
    for number in range(10):
        assert ask(one, f"without {number}").status == 200
    assert said(ask(one)) == "hit"  # its own memory
    redis.start()
    stored = remote(one, "stored")
    numbers = iter(range(1000))
    eventually(lambda: ask(one, f"with {next(numbers)}") and remote(one, "stored") > stored, "it is used again", 8.0)


@pytest.mark.slow
def test_a_bump_while_it_is_away_is_told_when_it_is_back(pair):
    redis, _, (one, other) = pair
    redis.stop()
    bump(one)
    redis.start()
    eventually(lambda: b"1" in redis.command("HGET", "tidegate:epochs", ""), "the bump is shared", 8.0)
    ask(one)
    kept(redis)
    eventually(lambda: said(ask(other)) == "hit", "both mean the same", 5.0)


def test_frozen_it_costs_milliseconds(pair):
    redis, _, (one, _) = pair
    ask(one, "warm")
    redis.freeze()
    try:
        began = time.monotonic()
        answers = [ask(one, f"frozen {number}") for number in range(20)]
        took_s = time.monotonic() - began
    finally:
        redis.thaw()
    assert {answer.status for answer in answers} == {200}
    assert took_s < 3
    assert remote(one, "error") >= 3
    assert remote(one, "left_out") >= 1


def test_frozen_in_the_middle_no_answer_is_another_ones(pair):
    """A question given up, and its late answer, must not become the answer to the next question."""
    redis, _, (one, other) = pair
    for number in range(20):
        ask(one, f"q{number}")
    kept(redis, 20)

    def check(number):
        answer = ask(other, f"q{number % 20}")
        assert answer.status == 200
        assert _text(answer) == _text(ask(one, f"q{number % 20}"))

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(check, number) for number in range(60)]
        for _ in range(4):
            redis.freeze()
            time.sleep(0.05)
            redis.thaw()
            time.sleep(0.05)
        for one_done in done:
            one_done.result(20)
    assert remote(other, "foreign") == 0


def test_full_it_is_read_and_not_written(start_pair):
    with redis_server("--maxmemory", "1", "--maxmemory-policy", "noeviction") as redis:
        _, proxy = start_pair({"cache": {"size": "16MiB", "remote": redis.url}})
        for number in range(5):
            assert ask(proxy, f"full {number}").status == 200
        assert said(ask(proxy, "full 0")) == "hit"
        assert remote(proxy, "stored") == 0


@pytest.mark.parametrize("damage", ["garbage", "cut", "of another key", "empty", "huge", "not a string"])
def test_what_it_holds_is_believed_only_when_it_is_right(pair, damage):
    redis, engine, (one, other) = pair
    ask(one)
    ask(one, "another")
    kept(redis, 2)
    first, second = redis.keys("tidegate:kept:*")
    for name, twin in ((first, second), (second, first)):
        value = redis.command("GET", twin).partition(b"\r\n")[2][:-2]
        if damage == "not a string":
            redis.command("DEL", name)
            redis.command("LPUSH", name, b"x")
            continue
        wrong = {"garbage": b"\x00\xff" * 50, "cut": value[:-9], "empty": b"", "huge": b"x" * (3 << 20)}
        if damage in wrong:
            redis.command("SET", name, wrong[damage])
    if damage == "of another key":
        redis.command("RENAME", first, b"aside")
        redis.command("RENAME", second, first)
        redis.command("RENAME", b"aside", second)
    answer = ask(other)
    assert answer.status == 200
    assert said(answer) == "miss"
    assert asked(engine) == 3
    if damage == "huge":  # as much as is looked at may already take too long
        assert remote(other, "foreign") + remote(other, "error") >= 1
    elif damage not in ("empty", "not a string"):
        assert remote(other, "foreign") == 1 or remote(other, "error")  # 5 ms may be too little where others work


def test_a_password_is_given_by_reference(start_backend, start_proxy):
    with redis_server("--requirepass", "s3cret") as redis:
        cache = {"size": "16MiB", "remote": redis.url, "remote_password": "${REDIS_PASSWORD}"}
        config = {"backends": [backend_entry(start_backend(), "alpha")], "cache": cache}
        proxy = start_proxy(config, env={"REDIS_PASSWORD": "s3cret"})
        ask(proxy)
        eventually(lambda: remote(proxy, "stored") == 1, "it is let in")
        assert "s3cret" not in proxy.error_text


def _text(answer):
    """All that was said, whatever it is called now."""
    lines = [line for line in answer.body.split(b"\n\n") if line.startswith(b"data: {")]
    return [json.loads(line.removeprefix(b"data: "))["choices"] for line in lines]
