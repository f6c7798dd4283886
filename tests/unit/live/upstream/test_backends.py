"""The configuration of a backend as what talks to it: heads, limits, and what is remembered of it."""

import asyncio
import logging
from typing import Any

import pytest

from proxy.config.schema import Config
from proxy.engines.registry import UNKNOWN
from proxy.live.upstream import backends
from proxy.live.upstream.backends import Upstream
from proxy.live.watch import Watch
from tests.support.virtual_time import Clock


def built(clock: Clock | None = None, via: bytes = b"", limits: Any = None, **entry: Any) -> Upstream:
    loop = asyncio.get_running_loop()
    entries = [{"name": "alpha", "url": "http://engine.example:8000", **entry}]
    config = Config.model_validate({"version": 1, "backends": entries, "limits": {"upstream": limits or {}}})
    (backend,) = backends.build(config, loop, Watch(loop, clock or Clock()), via).values()
    return backend


def message(backend: Upstream, body: bytes = b"{}", method: str = "POST", *headers: tuple[bytes, bytes]) -> list[bytes]:
    whole = backend.message(method, "/v1/chat/completions", "r-1", list(headers), body)
    head, _, rest = whole.partition(b"\r\n\r\n")
    assert rest == body
    return head.split(b"\r\n")


async def test_a_request_as_the_engine_gets_it() -> None:
    lines = message(
        built(via=b"via: 1.1 me\r\n"), b"{}", "POST", (b"X-Own", b"1"), (b"Authorization", b"Bearer theirs")
    )
    assert lines == [
        b"POST /v1/chat/completions HTTP/1.1",
        b"host: engine.example:8000",
        b"X-Own: 1",
        b"Authorization: Bearer theirs",
        b"accept-encoding: identity",
        b"via: 1.1 me",
        b"x-request-id: r-1",
        b"content-length: 2",
    ]


async def test_a_get_without_a_body_says_no_length() -> None:
    assert not [line for line in message(built(), b"", "GET") if line.startswith(b"content-length")]
    assert b"content-length: 0" in message(built(), b"", "POST")


async def test_a_configured_key_goes_in_the_place_of_the_clients() -> None:
    backend = built(api_key="sk-ours")
    lines = message(backend, b"{}", "POST", (b"Authorization", b"Bearer theirs"), (b"X-Api-Key", b"theirs"))
    assert [line for line in lines if b"ours" in line] == [b"authorization: Bearer sk-ours"]
    assert not [line for line in lines if b"theirs" in line]
    assert (backend.has_key, built().has_key) == (True, False)


@pytest.mark.parametrize(
    ("url", "line", "host", "where"),
    [
        ("http://engine", b"POST /v1/chat/completions HTTP/1.1", b"host: engine", "engine"),
        (
            "http://engine:81/under/v1",
            b"POST /under/v1/chat/completions HTTP/1.1",
            b"host: engine:81",
            "engine:81/under",
        ),
        ("http://[::1]:8000", b"POST /v1/chat/completions HTTP/1.1", b"host: [::1]:8000", "[::1]:8000"),
    ],
)
async def test_urls(url: str, line: bytes, host: bytes, where: str) -> None:
    backend = built(url=url)
    assert message(backend)[:2] == [line, host]
    assert backend.where == where


async def test_limits_of_the_backend_go_before_those_of_all() -> None:
    common = built(limits={"first_byte": "70s", "idle": "20s", "connect": "2s"}).pool.address
    own = built(limits={"first_byte": "70s", "idle": "20s"}, first_byte="7s", idle="3s", connect="1s").pool.address
    assert (common.first_byte_s, common.idle_s, common.connect_s) == (70.0, 20.0, 2.0)
    assert (own.first_byte_s, own.idle_s, own.connect_s) == (7.0, 3.0, 1.0)


async def test_what_an_engine_is_told_or_recognised() -> None:
    unknown, told = built(), built(kind="vllm")
    assert (unknown.dialect is UNKNOWN, unknown.kind_known, told.kind, told.kind_known) == (True, False, "vllm", True)


async def test_usage_is_asked_for_until_it_was_refused() -> None:
    backend = built()
    assert (backend.tells_usage("m"), backend.has_told_usage("m")) == (True, False)
    backend.took_usage("m", True)
    assert (backend.tells_usage("m"), backend.has_told_usage("m")) == (True, True)
    backend.took_usage("m", False)
    assert (backend.tells_usage("m"), backend.tells_usage("other")) == (False, True)
    backend.forget_usage("m")
    assert backend.tells_usage("m")
    assert not built(usage="never").tells_usage("m")


async def test_models_it_remembers_something_of_are_bounded() -> None:
    backend = built()
    for number in range(5000):
        backend.took_usage(f"m{number}", False)
    assert len(backend._takes_usage) == 1024


async def test_a_port_with_nobody_behind_it_closes_probes_and_requests_alike() -> None:
    backend = built()
    assert not backend.is_nobody(closes_probe=True)
    backend.closed()
    assert backend.is_lost.is_set()
    assert backend.is_nobody(closes_probe=True)
    backend.heard()
    assert not backend.is_nobody(closes_probe=True)
    backend.closed()
    assert not backend.is_nobody(closes_probe=True), "it served while it closed probes: that says nothing of it"


async def test_a_warning_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    backend = built(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(119):
            backend.warn("its key is wrong")
            clock.now += 1.0
    assert len(caplog.records) == 2
